//! The account manager: a web service beside the proxy, asked about accounts, devices and statistics.
//!
//! It has no word about calls that live (sheet, section 1). Whoever it does not know it leads to a login page, so a
//! redirection is a refusal. Without Redis it says that there are no devices.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::flight::Purpose;
use super::machine::Flexisip;
use super::options::Login;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Output, RequestId};

/// A web service of PHP, perhaps behind another one.
const WITHIN: Duration = Duration::from_secs(4);
/// A page of twenty accounts.
const REPLY_MAX: usize = 1024 * 1024;

/// Questions without an answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<u64, Purpose>,
    asked: u64,
}

/// Why there is no answer of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// None came.
    #[error("{0}")]
    Link(LinkError),
    /// It does not know who we are.
    #[error("it does not take our key (http status {0})")]
    Denied(u16),
    /// There is no such thing, or no such space.
    #[error("not found (http status 404)")]
    NotFound,
    /// Anything else.
    #[error("http status {0}")]
    Status(u16),
    /// It is not what the account manager says.
    #[error("not the words of an account manager")]
    Words,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) total: u64,
}

/// An account.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) activated: bool,
    #[serde(default)]
    pub(super) blocked: bool,
}

/// The body of a good answer.
pub(super) fn body(answer: Result<HttpReply, LinkError>) -> Result<Vec<u8>, Trouble> {
    let reply = answer.map_err(Trouble::Link)?;
    match reply.status {
        200..=299 => Ok(reply.body),
        300..=399 | 401 | 403 => Err(Trouble::Denied(reply.status)),
        404 => Err(Trouble::NotFound),
        status => Err(Trouble::Status(status)),
    }
}

/// What an answer says.
pub(super) fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|_| Trouble::Words)
}

/// How many devices an account has: `{}` where there are none, else a list or a map.
pub(super) fn devices(body: &[u8]) -> Result<usize, Trouble> {
    match read::<serde_json::Value>(body)? {
        serde_json::Value::Array(devices) => Ok(devices.len()),
        serde_json::Value::Object(devices) => Ok(devices.len()),
        _ => Err(Trouble::Words),
    }
}

/// A part of a path: whatever could mean something else there is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl Flexisip {
    /// Asks, if there is anybody to ask.
    pub(super) fn ask_api(&mut self, path: String, purpose: Purpose) -> bool {
        let Some(api) = &self.options.api else { return false };
        let (mut header, mut bearer) = (None, None);
        // what everybody is told needs no key
        if path != PING {
            match &api.login {
                Some(Login::Key(key)) => header = Some(("x-api-key".to_owned(), key.clone())),
                Some(Login::Token(token)) => bearer = Some(token.clone()),
                None => {}
            }
        }
        let request = HttpRequest {
            method: "GET",
            host: api.host.clone(),
            port: api.port,
            path,
            basic: None,
            bearer,
            header,
            body: None,
            within: WITHIN,
            reply_max: REPLY_MAX,
            tls: api.tls.trust(&self.server),
            streamed: false,
        };
        let questions = &mut self.life.questions;
        questions.asked += 1;
        questions.open.insert(questions.asked, purpose);
        let id = RequestId { epoch: self.epoch, number: questions.asked };
        self.out.push_back(Output::Http(id, request));
        true
    }

    pub(super) fn ping_api(&mut self) {
        self.ask_api(PING.to_owned(), Purpose::Ping);
    }

    pub(super) fn api_answered(&mut self, number: u64, result: Result<HttpReply, LinkError>) {
        match self.life.questions.open.remove(&number) {
            Some(Purpose::Ping) => {
                if let Err(trouble) = pong(body(result)) {
                    let text =
                        format!("the account manager does not answer ({trouble}): calls go on without it");
                    self.warn("api_off", text);
                }
            }
            Some(Purpose::Inspect(ticket, look)) => self.api_looked(ticket, look, body(result)),
            None => {}
        }
    }
}

/// Whether somebody is there; public.
pub(super) const PING: &str = "/api/ping";

/// Whether the answer to [`PING`] is the right one.
pub(super) fn pong(body: Result<Vec<u8>, Trouble>) -> Result<(), Trouble> {
    let body = body?;
    let text = String::from_utf8_lossy(&body);
    if text.trim().trim_matches('"') == "pong" { Ok(()) } else { Err(Trouble::Words) }
}
