//! The latest events, numbered, for whoever listens: a bounded ring that nobody can slow down.
//!
//! A reader that falls behind is told how many events it missed; other readers and the writers never notice. Nothing
//! here is durable: after a restart a new boot begins.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ifbus_call::{Address, CallId, ServerName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::view::EndView;

/// How many events are kept: minutes of a busy fleet, about 50 MB at worst.
pub const EVENTS_MAX: usize = 100_000;

/// One event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// `<boot>-<seq>`: what `Last-Event-ID` takes.
    pub id: String,
    /// Its number in this boot of the orchestrator, from 1 without gaps.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened, without its number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// `call.answered`, `server.down`; see docs/LEXICON.md for all.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The number of the event within its call, from 1 without gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_seq: Option<u64>,
    /// Which call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub call: Option<CallId>,
    /// Which server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub server: Option<ServerName>,
    /// The life of the server's links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The parties of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Address>,
    /// The parties of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Address>,
    /// The party it is about: `a`, `b`, `c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Why, for ends and failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<EndView>,
    /// A sentence for people.
    pub text: String,
}

impl Fact {
    /// A fact with nothing but its kind, time and sentence.
    #[must_use]
    pub fn new(kind: &str, time: Timestamp, text: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            time,
            call_seq: None,
            call: None,
            server: None,
            epoch: None,
            from: None,
            to: None,
            role: None,
            cause: None,
            text: text.into(),
        }
    }
}

/// The ring. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Sender<u64>,
    boot: Arc<str>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<EventView>>,
    next: u64,
    max: usize,
}

/// What a reader gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Read {
    /// The next event.
    Event(Arc<EventView>),
    /// Events `from` to `to` are not kept any more.
    Gap {
        /// The first one missed.
        from: u64,
        /// The last one missed.
        to: u64,
    },
}

impl Journal {
    /// An empty ring of `max` events; `boot` tells this life of the orchestrator from others.
    #[must_use]
    pub fn new(boot: &str, max: usize) -> Self {
        let ring = Ring { events: VecDeque::new(), next: 1, max: max.max(1) };
        Self { ring: Arc::new(Mutex::new(ring)), newest: watch::Sender::new(0), boot: boot.into() }
    }

    /// Adds an event and wakes the readers.
    pub fn append(&self, fact: Fact) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = ring.next;
        ring.next += 1;
        if ring.events.len() == ring.max {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(EventView { id: format!("{}-{seq}", self.boot), seq, fact }));
        drop(ring);
        self.newest.send_replace(seq);
    }

    /// The number of the newest event, 0 if there is none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// A reader of what comes after event `after`; from now on if nothing is said.
    #[must_use]
    pub fn reader(&self, after: Option<u64>) -> Reader {
        let newest = self.newest.subscribe();
        let after = after.unwrap_or_else(|| self.newest());
        Reader { journal: self.clone(), newest, next: after + 1 }
    }

    /// The number in an event id: `None` if it is of another boot or no id at all.
    #[must_use]
    pub fn number(&self, id: &str) -> Option<u64> {
        let (boot, seq) = id.rsplit_once('-')?;
        (boot == &*self.boot).then(|| seq.parse().ok()).flatten()
    }

    fn read(&self, next: u64) -> Option<Read> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = ring.events.front()?.seq;
        if next < oldest {
            return Some(Read::Gap { from: next, to: oldest - 1 });
        }
        let index = usize::try_from(next - oldest).ok()?;
        ring.events.get(index).cloned().map(Read::Event)
    }
}

/// One reader's place in the ring.
#[derive(Debug)]
pub struct Reader {
    journal: Journal,
    newest: watch::Receiver<u64>,
    next: u64,
}

impl Reader {
    /// What comes next, if it is there already.
    pub fn try_next(&mut self) -> Option<Read> {
        let read = self.journal.read(self.next)?;
        self.next = match &read {
            Read::Event(event) => event.seq + 1,
            Read::Gap { to, .. } => to + 1,
        };
        Some(read)
    }

    /// What comes next. `None` when the journal is gone.
    pub async fn next(&mut self) -> Option<Read> {
        loop {
            // Looked at before reading, so that an event between the two wakes us again.
            self.newest.borrow_and_update();
            if let Some(read) = self.try_next() {
                return Some(read);
            }
            self.newest.changed().await.ok()?;
        }
    }
}
