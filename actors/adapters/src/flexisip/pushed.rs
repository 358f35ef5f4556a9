//! What a push says: calls of others that begin, ring, are settled and end; calls of ours that may be over.
//!
//! The path has the name of a call and of a device as they are, with quotes and angle brackets (sheet, section 4). Later
//! word of a call that was never told is no fault: nothing is replayed.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::machine::Flexisip;
use super::name;
use crate::adapter::Output;
use crate::wire_format::http2::Request;

/// The longest name of a call or device.
const NAME_MAX: usize = 300;

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// All calls.
    Calls,
    /// One call.
    Call(&'a str),
    /// One device of a call.
    Device(&'a str, &'a str),
}

#[derive(Deserialize)]
struct Began {
    /// A text, or a number before 2.4.
    id: Value,
    /// From 2.6 on.
    #[serde(default)]
    sip_call_id: Option<String>,
    from: String,
    to: String,
    #[serde(default)]
    conference_id: Option<Value>,
}

#[derive(Deserialize)]
struct Went {
    #[serde(default)]
    rang_at: Option<String>,
    #[serde(default)]
    invite_terminated: Option<Settled>,
    #[serde(default)]
    ended_at: Option<String>,
}

#[derive(Deserialize)]
struct Settled {
    #[serde(default)]
    state: String,
}

impl Flexisip {
    pub(super) fn pushed(&mut self, request: &Request) {
        if !self.shows_key(request) {
            self.life.push.strangers += 1;
            return self.warn(
                "events_stranger",
                "somebody pushes with another key than events_secret: it is not believed".to_owned(),
            );
        }
        self.life.push.heard += 1;
        let path = String::from_utf8_lossy(&request.path).into_owned();
        let known = match (request.method.as_slice(), place(&path)) {
            (b"POST", Some(Place::Calls)) => self.began(&request.body),
            (b"PATCH", Some(Place::Call(id))) => self.went(id, None, &request.body),
            (b"PATCH", Some(Place::Device(id, device))) => self.went(id, Some(device), &request.body),
            // messages and conferences are told there, too
            _ => Some(()),
        };
        if known.is_none() {
            self.out.push_back(Output::Unknown(1));
        }
    }

    /// In a time that tells nothing about how much of it was right.
    fn shows_key(&self, request: &Request) -> bool {
        let Some(events) = &self.options.events else { return false };
        let expected = Sha256::digest(events.secret.expose().as_bytes());
        let shown = Sha256::digest(request.header("x-api-key").unwrap_or_default());
        expected.iter().zip(shown).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }

    fn began(&mut self, body: &[u8]) -> Option<()> {
        let began: Began = serde_json::from_slice(body).ok()?;
        let id = match &began.id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        // a meeting of theirs is told as a call to it
        if id.len() > NAME_MAX || began.conference_id.as_ref().is_some_and(|id| !id.is_null()) {
            return None;
        }
        if !self.is_ours(&id, &began) {
            self.foreign.began(&id, &began.from, &began.to, self.now);
        }
        Some(())
    }

    /// By its Call-ID, or by the name that is made of it.
    fn is_ours(&mut self, id: &str, began: &Began) -> bool {
        if let Some(call_id) = &began.sip_call_id {
            return self.calls.agent().owner(call_id).is_some()
                || self.calls.agent().is_of_this_instance(call_id);
        }
        let (from, to) = (began.from.as_str(), began.to.as_str());
        for leg in self.calls.agent().seen() {
            if name::since_2_4(from, to, &leg.native) == id {
                return true;
            }
            if name::before_2_4(from, to, &leg.native) == id {
                self.foreign.is_not(id, &name::before_2_4(to, from, &leg.native));
                return true;
            }
        }
        false
    }

    fn went(&mut self, id: &str, device: Option<&str>, body: &[u8]) -> Option<()> {
        let went: Went = serde_json::from_slice(body).ok()?;
        if id.len() > NAME_MAX || device.is_some_and(|device| device.len() > NAME_MAX) {
            return None;
        }
        let device = device.unwrap_or_default();
        if went.rang_at.is_some() {
            self.foreign.rang(id, device, self.now);
        }
        if let Some(settled) = went.invite_terminated {
            self.foreign.settled(id, device, &settled.state, self.now);
        }
        if went.ended_at.is_some() {
            self.foreign.ended(id, self.now);
        }
        Some(())
    }
}

/// Whatever stands before `calls` is the operator's choice.
fn place(path: &str) -> Option<Place<'_>> {
    let at = path.find("/calls")?;
    let rest = &path[at + "/calls".len()..];
    if rest.is_empty() || rest == "/" {
        return Some(Place::Calls);
    }
    let rest = rest.strip_prefix('/')?;
    match rest.split_once('/') {
        None => Some(Place::Call(rest)),
        Some((id, device)) => Some(Place::Device(id, device.strip_prefix("devices/")?)),
    }
}
