//! Questions to JSON-RPC: which there are, at most two at a time, each with its own deadline.
//!
//! A request of HTTP occupies one of the server's few TCP workers, and some wait in it (sheet, section 1). Never among
//! them: `dlg.list_ctx` and its like, which kill the whole server where module `sst` is loaded (sheet, section 3).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::flight::Purpose;
use super::machine::Kamailio;
use super::options::Login;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, RequestId};
use crate::wire_format::jsonrpc::{self, Failure, Param, Unfit};

/// How many are with the server at once.
const FLYING_MAX: usize = 2;

/// A healthy server answers within milliseconds; what is broken is answered never.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(2);

/// 1,191 calls took 1.5 s on a busy machine (sheet, section 2).
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(10);

/// 0.7 kB for each call: 20,000 of them.
const LIST_MAX: usize = 16 * 1024 * 1024;
/// Everything else: the names of all methods are 6 kB.
const REPLY_MAX: usize = 256 * 1024;

/// Every method that is ever asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Version,
    Methods,
    Uptime,
    List,
    Look,
    Terminate,
    Cancel,
    Active,
    Counters,
    Set,
    Get,
}

impl Method {
    #[cfg(test)]
    pub(super) const ALL: [Self; 11] = [
        Self::Version,
        Self::Methods,
        Self::Uptime,
        Self::List,
        Self::Look,
        Self::Terminate,
        Self::Cancel,
        Self::Active,
        Self::Counters,
        Self::Set,
        Self::Get,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Version => "core.version",
            Self::Methods => "system.listMethods",
            Self::Uptime => "core.uptime",
            Self::List => "dlg.list",
            Self::Look => "dlg.dlg_list",
            Self::Terminate => "dlg.terminate_dlg",
            Self::Cancel => "tm.cancel",
            Self::Active => "dlg.stats_active",
            Self::Counters => "stats.fetchn",
            Self::Set => "htable.seti",
            Self::Get => "htable.get",
        }
    }
}

/// A question on its way, or waiting to be.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) purpose: Purpose,
    body: Vec<u8>,
    within: Duration,
    reply_max: usize,
}

/// All of them in one life of the links.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: VecDeque<(u64, Question)>,
    flying: BTreeMap<u64, Question>,
    number: u64,
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
}

impl Answer {
    /// The result, in the form that its method has.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Trouble> {
        match &self.result {
            Ok(reply) => jsonrpc::reply(reply.status, &reply.body, self.number).map_err(Trouble::Said),
            Err(error) => Err(Trouble::Link(error.clone())),
        }
    }
}

impl Kamailio {
    /// Asks, when there is room.
    pub(super) fn ask(
        &mut self,
        method: Method,
        params: &[Param<'_>],
        purpose: Purpose,
    ) -> Result<(), Unfit> {
        let asked = self.question(method, params, purpose)?;
        self.life.questions.waiting.push_back(asked);
        self.fly();
        Ok(())
    }

    /// Asks before all that waits: whether the server answers at all must not depend on a long list.
    pub(super) fn ask_first(&mut self, method: Method, purpose: Purpose) {
        let asked = self.question(method, &[], purpose).expect("names of methods are fit");
        self.life.questions.waiting.push_front(asked);
        self.fly();
    }

    /// Asks something that has no value from outside in it.
    pub(super) fn ask_plain(&mut self, method: Method, purpose: Purpose) {
        self.ask(method, &[], purpose).expect("names of methods are fit");
    }

    fn question(
        &mut self,
        method: Method,
        params: &[Param<'_>],
        purpose: Purpose,
    ) -> Result<(u64, Question), Unfit> {
        let questions = &mut self.life.questions;
        let number = questions.number + 1;
        let body = jsonrpc::request(method.name(), params, number)?;
        questions.number = number;
        let (within, reply_max) =
            if method == Method::List { (LIST_WITHIN, LIST_MAX) } else { (ASK_WITHIN, REPLY_MAX) };
        Ok((number, Question { purpose, body, within, reply_max }))
    }

    /// Sends what there is room for.
    fn fly(&mut self) {
        while self.life.questions.flying.len() < FLYING_MAX {
            let Some((number, mut question)) = self.life.questions.waiting.pop_front() else { return };
            let body = std::mem::take(&mut question.body);
            let (within, reply_max) = (question.within, question.reply_max);
            self.life.questions.flying.insert(number, question);
            let request = self.http_request(body, within, reply_max);
            self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number }, request));
        }
    }

    fn http_request(&self, body: Vec<u8>, within: Duration, reply_max: usize) -> HttpRequest {
        let (basic, header) = match &self.options.login {
            Login::None => (None, None),
            Login::Basic(user, secret) => (Some((user.clone(), secret.clone())), None),
            Login::Header(name, value) => (None, Some((name.clone(), value.clone()))),
        };
        HttpRequest {
            method: "POST",
            host: self.options.host.clone(),
            port: self.options.port,
            path: self.options.path.clone(),
            basic,
            bearer: None,
            header,
            body: Some(("application/json", body)),
            within,
            reply_max,
            tls: self.options.tls.trust(&self.server),
            streamed: false,
        }
    }

    /// Something came of a question; what it was asked for is told, once.
    pub(super) fn answered(&mut self, number: u64, result: Result<HttpReply, LinkError>) {
        let Some(question) = self.life.questions.flying.remove(&number) else { return };
        self.fly();
        self.heard(question.purpose, &Answer { number, result });
    }
}
