//! The legs of one server and the bridges they are in, talks and conferences: what the last event or answer said.
//!
//! Plain data; what a change means to an order or to the world outside is decided in `facts.rs`.

use std::collections::BTreeMap;

use ifbus_call::{By, ConferenceId, LegId, Stage, Tag};

use super::cause::{End, Past};

/// One leg.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    /// The channel id of a leg that is not ours; ours is made from the leg's id.
    pub(super) foreign: Option<String>,
    pub(super) stage: Stage,
    /// The server has said that it exists.
    pub(super) made: bool,
    pub(super) rang: bool,
    pub(super) early: bool,
    pub(super) bridge: Option<u128>,
    /// It sits in its waiting place, or was joined from there: only then may it be joined (see `settle.rs`).
    pub(super) settled: bool,
    /// An order of ours asked for its end.
    pub(super) dropped: bool,
    /// Who asked for its end first.
    pub(super) by: Option<By>,
    /// How it ended, heard from a source that has to be confirmed.
    pub(super) rumor: Option<End>,
    /// The server, when asked, did not know it; its end is on the way or was missed.
    pub(super) gone: bool,
    /// It was asked about again a little later: another "no such channel" is believed.
    pub(super) last_chance: bool,
    pub(super) question: Question,
    /// Of a leg of ours: its call, and its place in it.
    pub(super) tag: Option<Tag>,
    /// Whom it talked to last, and in which bridge.
    pub(super) talked_to: Option<(LegId, u128)>,
    /// A phone's own transfer sent it away, and nobody has answered there yet.
    pub(super) away: bool,
}

/// A bridge, as an event or a line of a list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bridge {
    /// A digest of its id.
    pub(super) key: u128,
    /// What kind of conference it is; a talk of two is none.
    pub(super) room: Option<Room>,
}

/// A bridge of `ConfBridge`: who is in it together are not each other's partners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Room {
    /// A conference of this instance.
    Ours(ConferenceId),
    /// A conference of the operator, or of another instance.
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
    pub(super) fn new(foreign: Option<String>) -> Self {
        Self {
            foreign,
            stage: Stage::Dialing,
            made: false,
            rang: false,
            early: false,
            bridge: None,
            settled: false,
            dropped: false,
            by: None,
            rumor: None,
            gone: false,
            last_chance: false,
            question: Question::None,
            tag: None,
            talked_to: None,
            away: false,
        }
    }

    /// Whether something was heard about it that the server has not confirmed yet.
    pub(super) fn unsure(&self) -> bool {
        self.question != Question::None
    }

    pub(super) fn past(&self) -> Past {
        Past {
            up: self.stage == Stage::Up,
            rang: self.rang,
            dropped: self.dropped,
            by: self.by,
            away: self.away,
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Legs {
    known: BTreeMap<LegId, Leg>,
    bridges: BTreeMap<u128, Inside>,
}

/// What is inside a bridge.
#[derive(Debug)]
struct Inside {
    room: Option<Room>,
    members: Vec<LegId>,
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
        self.unbridge(leg);
        self.known.remove(&leg)
    }

    /// The bridge a leg is in.
    pub(super) fn bridge_of(&self, leg: LegId) -> Option<u128> {
        self.known.get(&leg)?.bridge
    }

    /// Everyone in a bridge.
    pub(super) fn members(&self, bridge: u128) -> &[LegId] {
        self.bridges.get(&bridge).map_or(&[], |inside| inside.members.as_slice())
    }

    /// Whether two legs talk to each other.
    pub(super) fn together(&self, a: LegId, b: LegId) -> bool {
        let shared = self.bridge_of(a).filter(|bridge| a != b && self.bridge_of(b) == Some(*bridge));
        shared.is_some_and(|bridge| self.room(bridge).is_none())
    }

    /// What kind of conference a bridge is, if it is one and anybody we know is in it.
    pub(super) fn room(&self, bridge: u128) -> Option<&Room> {
        self.bridges.get(&bridge)?.room.as_ref()
    }

    /// The conference a leg is in, of whomever.
    pub(super) fn room_of(&self, leg: LegId) -> Option<&Room> {
        self.room(self.bridge_of(leg)?)
    }

    /// The conference of this instance that a leg is in.
    pub(super) fn conference_of(&self, leg: LegId) -> Option<&ConferenceId> {
        match self.room_of(leg)? {
            Room::Ours(conference) => Some(conference),
            Room::Foreign => None,
        }
    }

    /// Puts a known leg into a bridge, out of any other. What kind of bridge it is is said by the first one in it: a
    /// bridge never becomes another one, and a later line may show a leg that is on its way out.
    pub(super) fn put(&mut self, leg: LegId, bridge: &Bridge) {
        self.unbridge(leg);
        if let Some(known) = self.known.get_mut(&leg) {
            known.bridge = Some(bridge.key);
            let new = || Inside { room: bridge.room.clone(), members: Vec::new() };
            self.bridges.entry(bridge.key).or_insert_with(new).members.push(leg);
        }
    }

    /// Takes a leg out of its bridge.
    pub(super) fn unbridge(&mut self, leg: LegId) {
        let Some(bridge) = self.known.get_mut(&leg).and_then(|known| known.bridge.take()) else { return };
        if let Some(inside) = self.bridges.get_mut(&bridge) {
            inside.members.retain(|member| *member != leg);
            if inside.members.is_empty() {
                self.bridges.remove(&bridge);
            }
        }
    }
}
