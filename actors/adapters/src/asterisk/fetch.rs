//! The bytes of a recording, over ARI or from a web server beside it: asked for until the file is whole, then handed on as they come.
//!
//! Nothing is handed on before the header was checked, so a second try never follows bytes of a first one. What is kept
//! is at most one header. Who may hear a recording, and what becomes of the file, is decided elsewhere.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Nanos, RecordingId, Refused, Said, Why};

use super::flight::{Timer, Work};
use super::machine::{Asterisk, Request};
use super::names;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, Ticket};
use crate::wire_format::wav::{BadDownload, Download, FILE_MAX};

/// The deadline of one download: the largest file at a megabyte in a second.
const FETCH_WITHIN: Duration = Duration::from_secs(600);

/// A download of which nothing comes for so long is over.
const STALLED: Duration = Duration::from_secs(15);

/// A file is whole 6 to 19 ms after its recorder was stopped (sheet, section 5); a loaded disk may take longer.
const UNFINISHED_MAX: Duration = Duration::from_secs(2);

/// From one try to the next.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A download under way.
#[derive(Debug)]
pub(super) struct Fetching {
    file: String,
    began: Nanos,
    stage: Download,
}

impl Asterisk {
    pub(super) fn fetch(&mut self, ticket: Ticket, recording: RecordingId, segment: u16) {
        if self.options.ari.is_none() && self.options.files.is_none() {
            let needs = self.options.dialect.files;
            let off = if self.options.dialect.misses_ari { "ari_port is 0" } else { "recordings is off" };
            let said = Some(Said::new(None, &format!("{needs}; {off}")));
            return self.refuse(ticket, Refused { said, ..Refused::unsent(Why::Prerequisite) });
        }
        let file = names::recorded(recording, segment);
        let fetching = Fetching { file, began: self.now, stage: Download::default() };
        self.running(ticket, Work::Fetch(fetching), Vec::new(), STALLED);
        self.ask_recording(ticket);
    }

    /// Asks for the file from its beginning.
    pub(super) fn ask_recording(&mut self, ticket: Ticket) {
        let Some(file) = self.fetching(ticket).map(|fetching| fetching.file.clone()) else { return };
        let plain = match &self.options.files {
            Some(files) => Some(files.request(&self.server, &format!("{file}.wav"))),
            None => self.ari_request("GET", format!("/ari/recordings/stored/{file}/file"), None),
        };
        let Some(plain) = plain else { return };
        let request = HttpRequest { within: FETCH_WITHIN, reply_max: FILE_MAX, streamed: true, ..plain };
        self.request(Request::Recording(ticket), request);
        if let Some(fetching) = self.fetching(ticket) {
            fetching.stage = Download::default();
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + STALLED);
    }

    fn fetching(&mut self, ticket: Ticket) -> Option<&mut Fetching> {
        match &mut self.life.orders.get_mut(&ticket)?.work {
            Work::Fetch(fetching) => Some(fetching),
            _ => None,
        }
    }

    /// A part of a body. Of a request that is over there are none: there is one at a time for a ticket.
    pub(super) fn http_part(&mut self, number: u64, bytes: &[u8]) {
        let Some(Request::Recording(ticket)) = self.life.requests.get(&number).copied() else { return };
        let Some(fetching) = self.fetching(ticket) else {
            return;
        };
        match fetching.stage.take(bytes) {
            Ok(given) => {
                if !matches!(fetching.stage, Download::Unfinished) {
                    self.life.timers.arm(Timer::Order(ticket), self.now + STALLED);
                }
                self.out.extend(given.map(|given| Output::Chunk(ticket, given)));
            }
            Err(bad) => self.not_fetched(ticket, Why::Refused, None, &bad.to_string()),
        }
    }

    /// The end of a try.
    pub(super) fn recording_sent(&mut self, ticket: Ticket, result: Result<HttpReply, LinkError>) {
        let now = self.now;
        let Some(fetching) = self.fetching(ticket) else {
            return;
        };
        match (result, &fetching.stage) {
            (Ok(HttpReply { status: 200, .. }), Download::Giving(0)) => self.finish(ticket, Ok(Done::Proven)),
            (Ok(HttpReply { status: 200, .. }), Download::Giving(_)) => {
                self.not_fetched(ticket, Why::Refused, None, "the file is shorter than its header says");
            }
            (Ok(HttpReply { status: 200, .. }), Download::Header(_) | Download::Unfinished) => {
                if now.since(fetching.began) < UNFINISHED_MAX {
                    self.life.timers.arm(Timer::Refetch(ticket), now + ASK_AGAIN);
                } else {
                    self.not_fetched(ticket, Why::Refused, None, "the file is still being written");
                }
            }
            (Ok(reply), _) => self.status_refused(ticket, reply.status),
            (Err(error), _) => self.fetch_failed(ticket, &error),
        }
    }

    fn status_refused(&mut self, ticket: Ticket, status: u16) {
        let files = self.options.files.is_some();
        let (why, text) = match status {
            401 if files => (Why::Refused, "the web server does not take our user and password"),
            403 if files => (Why::Refused, "the web server may not read the file"),
            404 if files => (Why::Refused, "the web server has no such recording"),
            401 => (Why::Refused, "ARI does not take our user and password: ari.conf"),
            403 => (Why::Refused, "the ARI user may not fetch recordings: ari.conf"),
            // without a stream ARI may be off as a whole, and then it says the same
            404 if !self.by_stream() => (Why::Prerequisite, self.options.dialect.files),
            404 => (Why::Refused, "the server has no such recording"),
            _ => (Why::Refused, "the server does not give the file"),
        };
        self.not_fetched(ticket, why, Some(status), text);
    }

    fn fetch_failed(&mut self, ticket: Ticket, error: &LinkError) {
        match error {
            LinkError::Refused => {
                self.not_fetched(
                    ticket,
                    Why::Prerequisite,
                    None,
                    &format!("{}: {error}", self.options.dialect.files),
                );
            }
            LinkError::Limit(_) => {
                self.not_fetched(ticket, Why::Refused, None, &BadDownload::TooLarge.to_string())
            }
            LinkError::TimedOut => {
                self.not_fetched(ticket, Why::Unproven, None, "the download took too long")
            }
            _ => self.finish(ticket, Err(Refused::link_lost())),
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
}
