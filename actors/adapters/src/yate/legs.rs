//! The legs of one server and what each is connected to: what the last answer or event said.
//!
//! Plain data; what a change means to an order or to the world outside is decided in `facts.rs`.

use std::collections::{BTreeMap, VecDeque};

use ifbus_call::{ConferenceId, LegId, Nanos, Stage, Tag};

use super::cause::{End, Past};
use crate::wire_format::extmodule::Channel;

/// One leg.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// It is none of this instance.
    pub(super) foreign: bool,
    /// The engine's name of it; absent while its dial is not answered.
    pub(super) native: Option<Channel>,
    pub(super) stage: Stage,
    /// The server has said that it exists.
    pub(super) made: bool,
    pub(super) rang: bool,
    pub(super) early: bool,
    pub(super) peer: Option<Peer>,
    /// Whom it talked to last, in the engine's words.
    pub(super) with: Option<Channel>,
    /// An order of ours asked for its end.
    pub(super) dropped: bool,
    /// Our ringing time for it was over.
    pub(super) timed_out: bool,
    /// Of a leg of ours: its call, and its place in it.
    pub(super) tag: Option<Tag>,
    /// The number at its far end, of a leg that is not ours.
    pub(super) party: String,
    /// When its answer was heard.
    pub(super) answered: Option<Nanos>,
    /// It is not to be heard; it is to hear nothing.
    pub(super) muted: (bool, bool),
    /// Silence is laid over its ear; unknown of a leg that was found.
    pub(super) deaf: Option<bool>,
    /// The segment that is being written.
    pub(super) segment: Option<String>,
    /// The channel that plays music to it, as its tag says.
    pub(super) music: Option<String>,
    /// It has to outlive its partner.
    pub(super) keep: bool,
    /// Its phone holds its partner.
    pub(super) holds: bool,
    /// A phone's own transfer sent it to somebody who has not answered yet.
    pub(super) away: bool,
    /// How that somebody ended.
    pub(super) guest_ended: Option<u16>,
    /// The server, when asked, did not know it; its end is on the way or was missed.
    pub(super) gone: bool,
    /// Its connections have changed while an order was busy with it.
    pub(super) stirred: bool,
    pub(super) question: Question,
    /// Its end was heard before its dial was answered.
    pub(super) rumor: Option<End>,
    /// Its life and end are told: ours, and foreign ones that were listed or talk to one of ours.
    pub(super) told: bool,
}

/// What a leg is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// A channel that plays something, or nothing.
    Place(String),
    /// A channel in a room.
    Room(String, Room),
    /// Another leg.
    Leg(LegId),
}

/// Whose room it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Room {
    /// A conference of this instance.
    Ours(ConferenceId),
    /// Of the operator, of another instance, or one that two legs of ours pass through.
    Foreign,
}

/// Whether the truth about a leg is being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    None,
    Asked,
    /// Something was heard after the question: ask again.
    Stale,
}

impl Leg {
    pub(super) fn new(foreign: bool) -> Self {
        Self {
            foreign,
            native: None,
            stage: Stage::Dialing,
            made: false,
            rang: false,
            early: false,
            peer: None,
            with: None,
            dropped: false,
            timed_out: false,
            tag: None,
            party: String::new(),
            answered: None,
            muted: (false, false),
            deaf: None,
            segment: None,
            music: None,
            keep: false,
            holds: false,
            away: false,
            guest_ended: None,
            gone: false,
            stirred: false,
            question: Question::None,
            rumor: None,
            told: !foreign,
        }
    }

    pub(super) fn past(&self) -> Past {
        Past {
            up: self.stage == Stage::Up,
            rang: self.rang,
            dropped: self.dropped,
            timed_out: self.timed_out,
            away: self.away,
            guest_ended: self.guest_ended,
        }
    }

    /// Whom it talks to.
    pub(super) const fn partner(&self) -> Option<LegId> {
        match self.peer {
            Some(Peer::Leg(leg)) => Some(leg),
            _ => None,
        }
    }
}

/// The names of legs that have ended lately: events about them may still be on the way.
#[derive(Debug, Default)]
pub(super) struct Ended {
    names: BTreeMap<String, Option<u16>>,
    order: VecDeque<String>,
}

impl Ended {
    /// Enough for ten seconds of a hundred calls a second.
    const KEPT: usize = 2000;

    /// With the SIP status of the end, where it was a refusal.
    pub(super) fn insert(&mut self, native: &str, code: Option<u16>) {
        if self.names.insert(native.to_owned(), code).is_none() {
            self.order.push_back(native.to_owned());
        }
        if self.order.len() > Self::KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, native: &str) -> bool {
        self.names.contains_key(native)
    }

    /// How a leg refused.
    pub(super) fn code(&self, native: &str) -> Option<u16> {
        self.names.get(native).copied().flatten()
    }
}

/// All of them, under our names and the engine's.
#[derive(Debug, Default)]
pub(super) struct Legs {
    known: BTreeMap<LegId, Leg>,
    natives: BTreeMap<String, LegId>,
}

impl Legs {
    pub(super) fn get(&self, leg: LegId) -> Option<&Leg> {
        self.known.get(&leg)
    }

    pub(super) fn get_mut(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.known.get_mut(&leg)
    }

    pub(super) fn insert(&mut self, leg: LegId, new: Leg) -> &mut Leg {
        self.known.entry(leg).or_insert(new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LegId, &Leg)> {
        self.known.iter().map(|(id, leg)| (*id, leg))
    }

    /// The leg of this name.
    pub(super) fn named(&self, native: &str) -> Option<LegId> {
        self.natives.get(native).copied()
    }

    /// Gives a known leg its name, the one time.
    pub(super) fn name(&mut self, leg: LegId, native: &Channel) {
        if let Some(known) = self.known.get_mut(&leg).filter(|known| known.native.is_none()) {
            known.native = Some(native.clone());
            self.natives.insert(native.as_str().to_owned(), leg);
        }
    }

    pub(super) fn remove(&mut self, leg: LegId) -> Option<Leg> {
        let known = self.known.remove(&leg)?;
        if let Some(native) = &known.native
            && self.natives.get(native.as_str()) == Some(&leg)
        {
            self.natives.remove(native.as_str());
        }
        // being connected is mutual
        if let Some(other) = known.partner().and_then(|partner| self.known.get_mut(&partner))
            && other.peer == Some(Peer::Leg(leg))
        {
            other.peer = None;
        }
        Some(known)
    }

    /// Whether two legs talk to each other.
    pub(super) fn together(&self, a: LegId, b: LegId) -> bool {
        a != b && self.get(a).and_then(Leg::partner) == Some(b)
    }

    /// The conference of this instance that a leg is in.
    pub(super) fn conference_of(&self, leg: LegId) -> Option<&ConferenceId> {
        match self.get(leg)?.peer.as_ref()? {
            Peer::Room(_, Room::Ours(conference)) => Some(conference),
            _ => None,
        }
    }

    /// Whether silence belongs over the ear of `leg` when it talks to `partner`.
    pub(super) fn should_be_deaf(&self, leg: LegId, partner: Option<LegId>) -> bool {
        let muted = |leg: LegId| self.get(leg).map_or((false, false), |known| known.muted);
        muted(leg).1 || partner.is_some_and(|partner| muted(partner).0)
    }
}
