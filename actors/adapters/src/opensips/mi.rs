//! Questions to the management interface: which there are, over which way, how many at once, each with its own deadline.
//!
//! Its HTTP answers one after the other, and one that waits holds up all others (sheet, section 2.1), so nothing is asked
//! here that waits for a phone. Names are the old ones, which every version from 3.0 on understands.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::flight::{Purpose, Timer};
use super::machine::{MI, OpenSips};
use super::options::Mi;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, RequestId};
use crate::wire_format::jsonrpc::{self, Failure, Param, Unfit};

/// Datagrams are answered in any order; more at once would only fill the server's socket.
const DATAGRAMS_MAX: usize = 4;

/// A healthy server answers within milliseconds; what was lost, or stuck behind somebody else's question, never.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(3);

/// A hundred dialogs are 88 kB (sheet, section 11), and a description may be long.
const PAGE_MAX: usize = 4 * 1024 * 1024;
/// Everything else: the names of all commands are 3 kB.
const REPLY_MAX: usize = 256 * 1024;

/// Ids are cut to 31 bits on their way back (sheet, section 2.2).
const IDS: u64 = 1 << 31;

/// Every command that is ever given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Version,
    Which,
    Uptime,
    Events,
    Subscribe,
    Subscribers,
    List,
    End,
    Statistics,
    Set,
    Get,
}

impl Command {
    pub(super) const ALL: [Self; 11] = [
        Self::Version,
        Self::Which,
        Self::Uptime,
        Self::Events,
        Self::Subscribe,
        Self::Subscribers,
        Self::List,
        Self::End,
        Self::Statistics,
        Self::Set,
        Self::Get,
    ];

    /// As every version takes it.
    pub(super) const fn name(self) -> &'static str {
        self.names().0
    }

    /// As every version takes it, and as 4.0 and later tell it.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Version => ("version", "core:version"),
            Self::Which => ("which", "core:which"),
            Self::Uptime => ("uptime", "core:uptime"),
            Self::Events => ("events_list", "evi:list"),
            Self::Subscribe => ("event_subscribe", "evi:subscribe"),
            Self::Subscribers => ("subscribers_list", "evi:subscribers"),
            Self::List => ("dlg_list", "dialog:list"),
            Self::End => ("dlg_end_dlg", "dialog:end_dlg"),
            Self::Statistics => ("get_statistics", "statistics:get"),
            Self::Set => ("shv_set", "cfgutils:shv_set"),
            Self::Get => ("shv_get", "cfgutils:shv_get"),
        }
    }

    /// Whether asking twice does no more than asking once.
    const fn is_read(self) -> bool {
        !matches!(self, Self::End | Self::Set)
    }
}

/// A question on its way, or waiting to be.
#[derive(Debug)]
pub(super) struct Question {
    command: Command,
    purpose: Purpose,
    body: Vec<u8>,
    asked: u8,
}

/// All of them in one life of the links.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: VecDeque<(u64, Question)>,
    flying: BTreeMap<u64, Question>,
    number: u64,
}

impl Questions {
    /// As if so many had been asked.
    #[cfg(test)]
    pub(super) fn wind(&mut self, number: u64) {
        self.number = number;
    }
}

/// What came of a question.
#[derive(Debug)]
pub(super) struct Answer {
    number: u64,
    result: Result<HttpReply, LinkError>,
}

/// Why a question has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// The way there.
    #[error("{0}")]
    Link(LinkError),
    /// The server's word.
    #[error("{0}")]
    Said(Failure),
}

impl Trouble {
    pub(super) fn is_no_method(&self) -> bool {
        matches!(self, Self::Said(failure) if failure.is_no_method())
    }

    /// An error with this code.
    pub(super) fn is(&self, wanted: i64) -> bool {
        matches!(self, Self::Said(Failure::Error { code, .. }) if *code == wanted)
    }
}

impl Answer {
    /// The result, in the form that its command has.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        match &self.result {
            Ok(reply) => jsonrpc::reply(reply.status, &reply.body, self.number).map_err(Trouble::Said),
            Err(error) => Err(Trouble::Link(error.clone())),
        }
    }

    /// Whether a page did not fit into a datagram, which is told in words without an id.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(&self.result, Ok(reply) if reply.body == TOO_LONG)
    }
}

/// What a datagram says instead of a page that is too long for one.
const TOO_LONG: &[u8] = b"500 Internal error";

impl OpenSips {
    /// Asks, when there is room; parameters by their names.
    pub(super) fn ask(
        &mut self,
        command: Command,
        params: &[(&str, Param<'_>)],
        purpose: Purpose,
    ) -> Result<(), Unfit> {
        let number = self.next_number();
        let body = jsonrpc::request_by_name(command.name(), params, number)?;
        self.life.questions.waiting.push_back((number, Question { command, purpose, body, asked: 0 }));
        self.fly();
        Ok(())
    }

    /// The same, for commands whose parameters have other names in other versions.
    pub(super) fn ask_in_order(
        &mut self,
        command: Command,
        params: &[Param<'_>],
        purpose: Purpose,
    ) -> Result<(), Unfit> {
        let number = self.next_number();
        let body = jsonrpc::request(command.name(), params, number)?;
        self.life.questions.waiting.push_back((number, Question { command, purpose, body, asked: 0 }));
        self.fly();
        Ok(())
    }

    /// Asks something that has no parameters.
    pub(super) fn ask_plain(&mut self, command: Command, purpose: Purpose) {
        self.ask(command, &[], purpose).expect("names of commands are fit");
    }

    /// Asks before all that waits, and once: whether the server answers at all must not depend on a long list.
    pub(super) fn ask_first(&mut self, command: Command, purpose: Purpose) {
        let number = self.next_number();
        let body = jsonrpc::request(command.name(), &[], number).expect("names of commands are fit");
        self.life.questions.waiting.push_front((number, Question { command, purpose, body, asked: 1 }));
        self.fly();
    }

    fn next_number(&mut self) -> u64 {
        self.life.questions.number = (self.life.questions.number + 1) % IDS;
        self.life.questions.number
    }

    /// Sends what there is room for.
    fn fly(&mut self) {
        let most = if self.options.mi == Mi::Udp { DATAGRAMS_MAX } else { 1 };
        while self.life.questions.flying.len() < most {
            let Some((number, mut question)) = self.life.questions.waiting.pop_front() else { return };
            question.asked += 1;
            let request = self.http_request(&question);
            match request {
                Some(request) => {
                    self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number }, request));
                }
                None => {
                    self.life.timers.arm(Timer::Asked(number), self.now + ASK_WITHIN);
                    self.out.push_back(Output::Send(self.link(MI), question.body.clone()));
                }
            }
            self.life.questions.flying.insert(number, question);
        }
    }

    fn http_request(&self, question: &Question) -> Option<HttpRequest> {
        let Mi::Http { path, basic, tls } = &self.options.mi else { return None };
        Some(HttpRequest {
            method: "POST",
            host: self.options.host.clone(),
            port: self.options.port,
            path: path.clone(),
            basic: basic.clone(),
            bearer: None,
            header: None,
            body: Some(("application/json", question.body.clone())),
            within: ASK_WITHIN,
            reply_max: if question.command == Command::List { PAGE_MAX } else { REPLY_MAX },
            tls: tls.trust(&self.server),
            streamed: false,
        })
    }

    /// Something came of a question; what it was asked for is told, once. One that was lost is asked again, if asking
    /// changes nothing: an answer may be stuck until the next question (sheet, section 2.1).
    pub(super) fn answered(&mut self, number: u64, result: Result<HttpReply, LinkError>) {
        self.life.timers.disarm(Timer::Asked(number));
        let Some(question) = self.life.questions.flying.remove(&number) else { return };
        if result == Err(LinkError::TimedOut) && question.command.is_read() && question.asked < 2 {
            self.life.questions.waiting.push_front((number, question));
            return self.fly();
        }
        self.fly();
        self.heard(question.purpose, &Answer { number, result });
    }

    /// A datagram of the management's. One that is no JSON belongs to a page that was too long for it, if there is one.
    pub(super) fn datagram(&mut self, bytes: &[u8]) {
        let number = jsonrpc::answers(bytes).or_else(|| self.page_in_words(bytes));
        match number.filter(|number| self.life.questions.flying.contains_key(number)) {
            Some(number) => self.answered(number, Ok(HttpReply { status: 200, body: bytes.to_vec() })),
            // late, or nothing of ours
            None => self.out.push_back(Output::Unknown(1)),
        }
    }

    fn page_in_words(&self, bytes: &[u8]) -> Option<u64> {
        let is_page = |(_, question): &(&u64, &Question)| question.command == Command::List;
        let page = self.life.questions.flying.iter().find(is_page);
        page.filter(|_| bytes == TOO_LONG).map(|(number, _)| *number)
    }
}
