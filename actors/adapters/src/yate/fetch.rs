//! The two files of a segment from the operator's file server, asked for until both are whole, and handed on as one.
//!
//! Nothing is handed on before both headers were checked, so a second try never follows bytes of a first one. Who may
//! hear a recording, and what becomes of the files, is decided elsewhere.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Nanos, RecordingId, Refused, Said, Why};

use super::flight::{Timer, Work};
use super::machine::{Request, Yate};
use super::mixing::{FILE_MAX, Mixer};
use super::names;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, Ticket};

/// The deadline of one download: the largest file at a megabyte in a second.
const FETCH_WITHIN: Duration = Duration::from_secs(600);

/// A download of which nothing comes for so long is over.
const STALLED: Duration = Duration::from_secs(15);

/// The engine closes a file within milliseconds of its end; a loaded disk may take longer.
const UNFINISHED_MAX: Duration = Duration::from_secs(2);

/// From one try to the next.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What the operator has to provide.
const NEEDS: &str =
    "Yate hands out no files: serve the folder of recordings by HTTP and set fetch=http://HOST:PORT";

/// A download under way.
#[derive(Debug)]
pub(super) struct Fetching {
    files: [String; 2],
    began: Nanos,
    mixer: Mixer,
    /// The request that is under way for each file.
    requests: [u64; 2],
    /// The files that are to be asked for again.
    again: [bool; 2],
}

impl Yate {
    pub(super) fn fetch(&mut self, ticket: Ticket, recording: RecordingId, segment: u16) {
        if self.options.files.is_none() {
            let said = Some(Said::new(None, NEEDS));
            return self.refuse(ticket, Refused { said, ..Refused::unsent(Why::Prerequisite) });
        }
        let files = names::files(&names::segment(recording, segment));
        let (mixer, requests) = (Mixer::default(), [0; 2]);
        let fetching = Fetching { files, began: self.now, mixer, requests, again: [true; 2] };
        self.running(ticket, Work::Fetch(Box::new(fetching)), [], STALLED);
        self.ask_files(ticket);
    }

    /// A file by its name.
    pub(super) fn file_request(&self, file: &str) -> Option<HttpRequest> {
        let files = self.options.files.as_ref()?;
        Some(HttpRequest {
            method: "GET",
            host: files.host.clone(),
            port: files.port,
            path: format!("{}/{file}", files.path),
            basic: None,
            bearer: None,
            header: None,
            body: None,
            within: Duration::from_secs(2),
            reply_max: 64,
            tls: None,
            streamed: false,
        })
    }

    /// The timer that a file is looked for again has gone off.
    pub(super) fn ask_again(&mut self, ticket: Ticket) {
        if let Some(Work::Record { segment, .. }) = self.work(ticket) {
            let segment = segment.clone();
            return self.ask_begun(ticket, &segment);
        }
        self.ask_files(ticket);
    }

    /// Asks for the files that are wanted from their beginning.
    fn ask_files(&mut self, ticket: Ticket) {
        for side in [0, 1] {
            let Some(fetching) = self.fetching(ticket) else { return };
            if !std::mem::take(&mut fetching.again[side]) {
                continue;
            }
            fetching.mixer.again(side);
            let file = fetching.files[side].clone();
            let Some(plain) = self.file_request(&file) else { return };
            let reply_max = usize::try_from(FILE_MAX).unwrap_or(usize::MAX);
            let request = HttpRequest { within: FETCH_WITHIN, reply_max, streamed: true, ..plain };
            let number = self.request(Request::Side(ticket, side), request);
            if let Some(fetching) = self.fetching(ticket) {
                fetching.requests[side] = number;
            }
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + STALLED);
    }

    fn fetching(&mut self, ticket: Ticket) -> Option<&mut Fetching> {
        match &mut self.life.orders.get_mut(&ticket)?.work {
            Work::Fetch(fetching) => Some(&mut **fetching),
            _ => None,
        }
    }

    /// A part of a body.
    pub(super) fn http_part(&mut self, number: u64, bytes: &[u8]) {
        let Some(Request::Side(ticket, side)) = self.life.requests.get(&number).copied() else { return };
        let Some(fetching) = self.fetching(ticket).filter(|fetching| fetching.requests[side] == number)
        else {
            return;
        };
        let taken = fetching.mixer.take(side, bytes);
        let counts = !fetching.mixer.is_unfinished(side);
        self.hand_on(ticket, taken.map_err(|why| why.to_string()));
        if counts && self.life.orders.contains_key(&ticket) {
            self.life.timers.arm(Timer::Order(ticket), self.now + STALLED);
        }
    }

    fn hand_on(&mut self, ticket: Ticket, taken: Result<Vec<u8>, String>) {
        match taken {
            Ok(given) if given.is_empty() => {}
            Ok(given) => self.out.push_back(Output::Chunk(ticket, given)),
            Err(text) => self.not_fetched(ticket, Why::Refused, None, &text),
        }
    }

    /// The end of a try for one file.
    pub(super) fn side_sent(&mut self, ticket: Ticket, side: usize, result: Result<HttpReply, LinkError>) {
        let now = self.now;
        let Some(fetching) = self.fetching(ticket) else { return };
        let late = now.since(fetching.began) >= UNFINISHED_MAX;
        let unfinished = fetching.mixer.is_unfinished(side);
        match result {
            // the header comes with the first sound: a file without one is of a side that was silent
            Ok(HttpReply { status: 200 | 404, .. }) if unfinished && !late => {
                fetching.again[side] = true;
                self.life.timers.arm(Timer::Refetch(ticket), now + ASK_AGAIN);
            }
            Ok(HttpReply { status: 404, .. }) if unfinished => self.side_is_empty(ticket, side),
            Ok(HttpReply { status: 200, .. }) if unfinished => {
                self.not_fetched(ticket, Why::Refused, None, "the file is still being written");
            }
            Ok(HttpReply { status: 200, .. }) if fetching.mixer.is_whole(side) => self.fetched(ticket),
            Ok(HttpReply { status: 200, .. }) => {
                self.not_fetched(ticket, Why::Refused, None, "the file is shorter than its header says");
            }
            Ok(reply) => {
                let text = "the file server does not give the file";
                self.not_fetched(ticket, Why::Refused, Some(reply.status), text);
            }
            Err(LinkError::Refused) => {
                self.not_fetched(ticket, Why::Prerequisite, None, "nobody listens at the address of `fetch`");
            }
            Err(LinkError::Limit(_)) => {
                self.not_fetched(ticket, Why::Refused, None, "the file is larger than 512 MB");
            }
            Err(LinkError::TimedOut) => {
                self.not_fetched(ticket, Why::Unproven, None, "the download took too long");
            }
            Err(_) => self.finish(ticket, Err(Refused::link_lost())),
        }
    }

    fn side_is_empty(&mut self, ticket: Ticket, side: usize) {
        let Some(fetching) = self.fetching(ticket) else { return };
        let taken = fetching.mixer.empty(side);
        if fetching.mixer.is_empty() {
            return self.not_fetched(ticket, Why::Refused, Some(404), "the server has no such recording");
        }
        self.hand_on(ticket, taken.map_err(|why| why.to_string()));
        self.fetched(ticket);
    }

    fn fetched(&mut self, ticket: Ticket) {
        let Some(fetching) = self.fetching(ticket) else { return };
        if [0, 1].into_iter().all(|side| fetching.mixer.is_whole(side)) {
            self.finish(ticket, Ok(Done::Proven));
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
