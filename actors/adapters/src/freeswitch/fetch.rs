//! The bytes of a recording: in slices through the server's own shell, or from a web server beside it.
//!
//! ESL moves no files (sheet, section 7.2), so how they come is the operator's choice. Nothing is handed on before the
//! header was checked, so a second try never follows bytes of a first one. What becomes of the file is decided elsewhere.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Why};
use ifbus_call::{Nanos, RecordingId, Refused, Said};

use super::flight::{Purpose, Timer, Work};
use super::login::LOGIN_WITHIN;
use super::machine::{FILES, FreeSwitch, Link, Session};
use super::names;
use super::options::Fetch;
use super::orders::unfit_refusal;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, RequestId, Ticket};
use crate::wire_format::base64;
use crate::wire_format::esl::{Command, Frame};
use crate::wire_format::wav::{Download, FILE_MAX};

/// How much comes with one command: a megabyte in base64, half a minute of sound.
const SLICE: u64 = 768 * 1024;

/// The deadline of one download: the largest file at a megabyte in a second.
const FETCH_WITHIN: Duration = Duration::from_secs(600);

/// A download of which nothing comes for so long is over.
const STALLED: Duration = Duration::from_secs(15);

/// A file is whole when its recorder has stopped; a loaded disk may take longer.
const UNFINISHED_MAX: Duration = Duration::from_secs(2);

/// From one try to the next.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A download under way.
#[derive(Debug)]
pub(super) struct Fetching {
    file: String,
    began: Nanos,
    stage: Download,
    /// Bytes that have come in this try.
    taken: u64,
}

impl FreeSwitch {
    pub(super) fn fetch(&mut self, ticket: Ticket, recording: RecordingId, segment: u16) {
        let file = names::recorded(recording, segment);
        let fetching = Fetching { file, began: self.now, stage: Download::default(), taken: 0 };
        match &self.options.fetch {
            Fetch::Off => {
                let text =
                    "set fetch=socket or fetch=http://HOST/FOLDER; until then recordings stay on the server";
                let said = Some(Said::new(None, text));
                self.refuse(ticket, Refused { said, ..Refused::unsent(Why::Prerequisite) });
            }
            Fetch::Http { .. } => {
                self.running(ticket, Work::Fetch(fetching), STALLED);
                self.ask_file(ticket);
            }
            Fetch::Socket => {
                self.running(ticket, Work::Fetch(fetching), STALLED);
                match self.session(FILES).link {
                    Link::In => self.ask_slice(ticket),
                    Link::Closed => {
                        self.open_session(FILES);
                        self.life.timers.arm(Timer::Login(FILES), self.now + LOGIN_WITHIN);
                    }
                    Link::Opening | Link::Open => {}
                }
            }
        }
    }

    fn fetching(&mut self, ticket: Ticket) -> Option<&mut Fetching> {
        match &mut self.life.orders.get_mut(&ticket)?.work {
            Work::Fetch(fetching) => Some(fetching),
            _ => None,
        }
    }

    /// From the beginning of the file.
    pub(super) fn fetch_again(&mut self, ticket: Ticket) {
        let Some(fetching) = self.fetching(ticket) else { return };
        fetching.stage = Download::default();
        fetching.taken = 0;
        if self.options.fetch == Fetch::Socket { self.ask_slice(ticket) } else { self.ask_file(ticket) }
    }

    /// Hands on what is sound of what came. Says whether the download goes on.
    fn take(&mut self, ticket: Ticket, bytes: &[u8]) -> bool {
        let now = self.now;
        let Some(fetching) = self.fetching(ticket) else { return false };
        fetching.taken += bytes.len() as u64;
        match fetching.stage.take(bytes) {
            Ok(given) => {
                if !matches!(fetching.stage, Download::Unfinished) {
                    self.life.timers.arm(Timer::Order(ticket), now + STALLED);
                }
                self.out.extend(given.map(|given| Output::Chunk(ticket, given)));
                true
            }
            Err(bad) => {
                self.not_fetched(ticket, Why::Refused, None, &bad.to_string());
                false
            }
        }
    }

    /// The file has no more bytes.
    fn at_its_end(&mut self, ticket: Ticket) {
        let now = self.now;
        let Some(fetching) = self.fetching(ticket) else { return };
        match &fetching.stage {
            Download::Giving(0) => self.finish(ticket, Ok(Done::Proven)),
            Download::Giving(_) => {
                self.not_fetched(ticket, Why::Refused, None, "the file is shorter than its header says");
            }
            Download::Header(_) | Download::Unfinished if now.since(fetching.began) < UNFINISHED_MAX => {
                self.life.timers.arm(Timer::Refetch(ticket), now + ASK_AGAIN);
            }
            Download::Header(_) | Download::Unfinished => {
                self.not_fetched(ticket, Why::Refused, None, "the file is still being written");
            }
        }
    }

    /// Nothing has come for a while.
    pub(super) fn fetch_late(&mut self, ticket: Ticket) {
        self.not_fetched(ticket, Why::Unproven, None, &format!("no bytes within {STALLED:?}"));
    }

    fn not_fetched(&mut self, ticket: Ticket, why: Why, code: Option<u16>, text: &str) {
        let said = Some(Said::new(code, text));
        self.finish(ticket, Err(Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(why) }));
    }

    // ---- through the event socket ------------------------------------------------------------------------------------

    /// Everybody who waited for the connection asks for the first slice.
    pub(super) fn files_ready(&mut self) {
        let waiting = self.life.orders.iter().filter(|(_, running)| matches!(running.work, Work::Fetch(_)));
        for ticket in waiting.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            self.ask_slice(ticket);
        }
    }

    fn ask_slice(&mut self, ticket: Ticket) {
        let Some(fetching) = self.fetching(ticket) else { return };
        let (name, from) = (fetching.file.clone(), fetching.taken + 1);
        let Some(file) = self.file(&name) else {
            return self.not_fetched(
                ticket,
                Why::Prerequisite,
                None,
                "the server has no folder for recordings",
            );
        };
        // folder and name were checked: none of their characters means anything to a shell
        let command = Command::api("system")
            .words("tail -c")
            .word(format_args!("+{from}"))
            .word(file)
            .words("| head -c")
            .word(SLICE)
            .words("| base64 -w0");
        if let Err(unfit) = self.ask(FILES, command, Purpose::Slice(ticket)) {
            self.refuse(ticket, unfit_refusal(&unfit));
        }
    }

    pub(super) fn slice(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let Some(fetching) = self.fetching(ticket) else { return };
        let first = fetching.taken == 0;
        let said = frame.said();
        if said.starts_with("-ERR no reply") && first {
            return self.not_fetched(ticket, Why::Refused, None, "the server has no such recording");
        }
        if said.starts_with("-ERR no reply") {
            return self.at_its_end(ticket);
        }
        if said.starts_with('-') {
            let text = format!(
                "system: {}; set fetch=http://HOST/FOLDER, or allow it",
                said.trim_start_matches("-ERR ")
            );
            return self.not_fetched(ticket, Why::Prerequisite, None, &text);
        }
        let Some(bytes) = base64::decode(frame.body.trim_ascii()) else {
            return self.not_fetched(ticket, Why::Refused, None, "system: what came is no base64");
        };
        let whole = bytes.len() as u64 == SLICE;
        if !self.take(ticket, &bytes) {
            return;
        }
        let unfinished =
            self.fetching(ticket).is_some_and(|fetching| matches!(fetching.stage, Download::Unfinished));
        if whole && !unfinished { self.ask_slice(ticket) } else { self.at_its_end(ticket) }
    }

    /// The connection for files is lost: its orders are answered, the rest of the server is as it was.
    pub(super) fn files_closed(&mut self) {
        if self.session(FILES).link == Link::Closed {
            return;
        }
        *self.session(FILES) = Session::default();
        for timer in [Timer::Login(FILES), Timer::Silent(FILES)] {
            self.life.timers.disarm(timer);
        }
        if self.options.fetch != Fetch::Socket {
            return;
        }
        let open = self.life.orders.iter().filter(|(_, running)| matches!(running.work, Work::Fetch(_)));
        for ticket in open.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            self.finish(ticket, Err(Refused { evidence: Evidence::NotDone, ..Refused::link_lost() }));
        }
    }

    // ---- from a web server -------------------------------------------------------------------------------------------

    fn ask_file(&mut self, ticket: Ticket) {
        let Fetch::Http { host, port, path } = self.options.fetch.clone() else { return };
        let Some(fetching) = self.fetching(ticket) else { return };
        let path = format!("{path}{}.wav", fetching.file);
        self.life.request += 1;
        let number = self.life.request;
        self.life.requests.insert(number, ticket);
        let request = HttpRequest {
            method: "GET",
            host,
            port,
            path,
            basic: None,
            bearer: None,
            header: None,
            body: None,
            within: FETCH_WITHIN,
            reply_max: FILE_MAX,
            tls: None,
            streamed: true,
        };
        self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number }, request));
        self.life.timers.arm(Timer::Order(ticket), self.now + STALLED);
    }

    /// A part of a body. Of a request that is over there are none: there is one at a time for a ticket.
    pub(super) fn http_part(&mut self, number: u64, bytes: &[u8]) {
        if let Some(ticket) = self.life.requests.get(&number).copied() {
            self.take(ticket, bytes);
        }
    }

    /// The end of a try.
    pub(super) fn file_sent(&mut self, ticket: Ticket, result: Result<HttpReply, LinkError>) {
        match result {
            Ok(HttpReply { status: 200, .. }) => self.at_its_end(ticket),
            Ok(HttpReply { status: 404, .. }) => {
                self.not_fetched(ticket, Why::Refused, Some(404), "the web server has no such recording");
            }
            Ok(reply) => {
                self.not_fetched(
                    ticket,
                    Why::Refused,
                    Some(reply.status),
                    "the web server does not give the file",
                );
            }
            Err(LinkError::Refused | LinkError::NoRoute(_)) => {
                self.not_fetched(ticket, Why::Prerequisite, None, "nobody listens where fetch= points to");
            }
            Err(LinkError::TimedOut) => {
                self.not_fetched(ticket, Why::Unproven, None, "the download took too long");
            }
            Err(_) => self.finish(ticket, Err(Refused::link_lost())),
        }
    }
}
