//! Calls of others, as far as the server pushed what happens to them.
//!
//! Best effort (sheet, section 4): nothing is replayed, a call that ends without BYE is never told to end, a call without
//! SDP is not told at all. So what is known grows old by itself, and is never more than [`CALLS_MAX`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::{Boot, Nanos, Seen, ServerName, Stage};

use crate::names;

/// The most that are remembered; the oldest is forgotten for a new one.
const CALLS_MAX: usize = 10_000;
/// The most devices of one call that are remembered.
const DEVICES_MAX: usize = 32;
/// A call that nobody spoke of for so long is over, as far as we know.
const OLD: Duration = Duration::from_secs(4 * 3600);
/// The same of one that was not answered: the server gives a fork up after 90 s.
const OLD_UNANSWERED: Duration = Duration::from_secs(120);
/// So many names of calls that ended are remembered: the end of one may be told twice.
const GONE_MAX: usize = 100;
/// The longest name of a party that is kept.
const PARTY_MAX: usize = 120;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    calls: BTreeMap<String, Call>,
    /// How many of those that are up have ended, though nobody knows which.
    astray: usize,
    /// Each name of a call of ours, and its other one.
    ours: BTreeMap<String, String>,
    /// The names that ended last.
    gone: VecDeque<String>,
}

#[derive(Debug)]
struct Call {
    party: String,
    born: Nanos,
    heard: Nanos,
    up: bool,
    /// What each device of the callee does: `true` while it may still answer.
    devices: BTreeMap<String, bool>,
    rings: bool,
}

impl Foreign {
    /// A call was made. Told twice is a success.
    pub(super) fn began(&mut self, id: &str, from: &str, to: &str, now: Nanos) {
        if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(id) {
            self.forget_one(now);
        }
        let party = format!("{} to {}", user(from), user(to));
        let new = Call { party, born: now, heard: now, up: false, devices: BTreeMap::new(), rings: false };
        self.calls.entry(id.to_owned()).or_insert(new);
    }

    /// A device rings.
    pub(super) fn rang(&mut self, id: &str, device: &str, now: Nanos) {
        if let Some(call) = self.calls.get_mut(id) {
            call.heard = now;
            call.rings = true;
            call.note(device, true);
        }
    }

    /// A device has answered, or has not.
    pub(super) fn settled(&mut self, id: &str, device: &str, state: &str, now: Nanos) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.heard = now;
        call.note(device, false);
        call.up |= matches!(state, "accepted" | "accepted_elsewhere");
        // one refusal may be one of several devices: those that still ring keep the call
        if !call.up && call.devices.values().all(|rings| !rings) {
            self.calls.remove(id);
        }
    }

    /// A call of ours, by the two names that its end may have before 2.4.
    pub(super) fn is_not(&mut self, id: &str, turned: &str) {
        if self.ours.len() >= 2 * CALLS_MAX {
            self.ours.pop_first();
        }
        self.ours.insert(id.to_owned(), turned.to_owned());
        self.ours.insert(turned.to_owned(), id.to_owned());
    }

    /// A call is over. Before 2.4, where names are numbers, what the callee ends has another name, and which call it was
    /// cannot be told; when as many have ended so as were up, it was those. Told twice is a success.
    pub(super) fn ended(&mut self, id: &str, now: Nanos) {
        let known = self.calls.remove(id);
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(other) = self.ours.remove(id) {
            self.ours.remove(&other);
        } else if known.is_none() && is_number && !self.gone.iter().any(|gone| gone == id) {
            self.astray += 1;
        }
        self.settle(now);
        self.gone.push_back(id.to_owned());
        if self.gone.len() > GONE_MAX {
            self.gone.pop_front();
        }
    }

    fn settle(&mut self, now: Nanos) {
        if self.astray > 0 && self.astray >= self.up(now) {
            self.astray = 0;
            self.calls.retain(|_, call| !call.up);
        }
    }

    fn up(&self, now: Nanos) -> usize {
        self.calls.values().filter(|call| call.up && call.lives(now)).count()
    }

    /// How many there are.
    pub(super) fn len(&self, now: Nanos) -> usize {
        let listed = self.calls.values().filter(|call| call.lives(now)).count();
        listed - self.astray.min(self.up(now))
    }

    /// As legs in a list: one for each call.
    pub(super) fn seen(&self, server: &ServerName, now: Nanos) -> impl Iterator<Item = Seen> {
        self.calls.iter().filter(move |(_, call)| call.lives(now)).map(move |(id, call)| Seen {
            leg: names::foreign(server, &Boot(String::new()), id.as_bytes()),
            tag: None,
            native: id.clone(),
            stage: match (call.up, call.rings) {
                (true, _) => Stage::Up,
                (false, true) => Stage::Ringing,
                (false, false) => Stage::Dialing,
            },
            partners: Vec::new(),
            conference: None,
            moved: None,
            hears_music: false,
            party: call.party.clone(),
            age: now.since(call.born),
        })
    }

    fn forget_one(&mut self, now: Nanos) {
        self.calls.retain(|_, call| call.lives(now));
        if self.calls.len() >= CALLS_MAX {
            let oldest = self.calls.iter().min_by_key(|(_, call)| call.heard).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                self.calls.remove(&oldest);
            }
        }
    }
}

impl Call {
    fn lives(&self, now: Nanos) -> bool {
        now.since(self.heard) < if self.up { OLD } else { OLD_UNANSWERED }
    }

    fn note(&mut self, device: &str, rings: bool) {
        if self.devices.len() < DEVICES_MAX || self.devices.contains_key(device) {
            self.devices.insert(device.to_owned(), rings);
        }
    }
}

/// The user part of an address, fit to be shown.
fn user(address: &str) -> String {
    let user = address.split('@').next().unwrap_or(address);
    user.chars().filter(|c| !c.is_control()).take(PARTY_MAX).collect()
}
