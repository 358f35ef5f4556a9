//! The legs of one server and who talks to whom: what the last event or answer said.
//!
//! Plain data; what a change means to an order or to the world outside is decided in `facts.rs`. A talk has two sides
//! here, never more.

use std::collections::BTreeMap;

use ifbus_call::{LegId, Stage, Tag};

use super::cause::Past;
use super::names::Room;

/// One leg.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// The UUID of a leg that is not ours; ours is made from the leg's id.
    pub(super) foreign: Option<String>,
    pub(super) stage: Stage,
    /// The server has said that it exists.
    pub(super) made: bool,
    pub(super) rang: bool,
    pub(super) early: bool,
    pub(super) partner: Option<LegId>,
    pub(super) room: Option<Room>,
    /// It sits in a park.
    pub(super) waits: bool,
    /// An order of ours asked for its end.
    pub(super) dropped: bool,
    /// The server, when asked, did not know it; its end is on the way or was missed.
    pub(super) gone: bool,
    /// Of a leg of ours: its call, and its place in it.
    pub(super) tag: Option<Tag>,
    /// The server's word for the far end of a foreign leg.
    pub(super) party: String,
    /// Whom it talked to last.
    pub(super) talked_to: Option<LegId>,
    /// A phone's own transfer sent it away, and nobody has answered there yet.
    pub(super) away: bool,
    /// The server ends it at some time, unless it is told otherwise before it talks again.
    pub(super) fenced: bool,
    /// It hears ringing as soon as it is parked, and ends after so many seconds.
    pub(super) ring: Option<u64>,
    /// Whom it has left waiting to ask a third party.
    pub(super) asks: Option<LegId>,
    /// The server parks it when its partner leaves, instead of ending it.
    pub(super) comes_back: bool,
}

impl Leg {
    pub(super) fn new(foreign: Option<String>) -> Self {
        Self {
            foreign,
            stage: Stage::Dialing,
            made: false,
            rang: false,
            early: false,
            partner: None,
            room: None,
            waits: false,
            dropped: false,
            gone: false,
            tag: None,
            party: String::new(),
            talked_to: None,
            away: false,
            fenced: false,
            ring: None,
            asks: None,
            comes_back: false,
        }
    }

    pub(super) fn past(&self) -> Past {
        Past { up: self.stage == Stage::Up, rang: self.rang, dropped: self.dropped, away: self.away }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Legs {
    known: BTreeMap<LegId, Leg>,
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

    pub(super) fn remove(&mut self, leg: LegId) -> Option<Leg> {
        self.part(leg);
        self.known.remove(&leg)
    }

    pub(super) fn partner(&self, leg: LegId) -> Option<LegId> {
        self.known.get(&leg)?.partner
    }

    /// Whether two legs talk to each other.
    pub(super) fn together(&self, a: LegId, b: LegId) -> bool {
        a != b && self.partner(a) == Some(b)
    }

    /// Puts two known legs together, each out of any other talk; the two that were left.
    pub(super) fn join(&mut self, a: LegId, b: LegId) -> [Option<LegId>; 2] {
        let left = [self.part(a), self.part(b)];
        for (leg, other) in [(a, b), (b, a)] {
            if let Some(known) = self.known.get_mut(&leg) {
                (known.partner, known.talked_to) = (Some(other), Some(other));
                (known.waits, known.away, known.ring, known.room) = (false, false, None, None);
            }
        }
        left
    }

    /// Takes a leg out of its talk; whom it left.
    pub(super) fn part(&mut self, leg: LegId) -> Option<LegId> {
        let partner = self.known.get_mut(&leg)?.partner.take()?;
        if let Some(other) = self.known.get_mut(&partner).filter(|other| other.partner == Some(leg)) {
            other.partner = None;
        }
        Some(partner)
    }
}
