//! What is under way: messages without their answer, orders without their proof.
//!
//! Plain data. The rules: an answer counts only under the id of its question; an order answers its ticket once, in
//! `Yate::finish`. An order is a row of steps (`steps.rs`), each begun when the one before was answered.

use std::collections::VecDeque;

use ifbus_call::order::Direction;
use ifbus_call::{Cause, ConferenceId, Digits, LegId, Nanos};

use super::fetch::Fetching;
use super::inspect::Inspection;
use super::listing::Part;
use super::probe::Probing;
use crate::adapter::Ticket;

/// The most orders under way or waiting on one server: ten times what the sheet's capacity figures need.
pub(super) const ORDERS_MAX: usize = 1000;

/// Drops are taken beyond the limit, or an overloaded server could not be relieved.
pub(super) const DROPS_MAX: usize = 2 * ORDERS_MAX;

/// Why a message was sent.
#[derive(Debug)]
pub(super) enum Purpose {
    /// The step an order is at.
    Step(Ticket),
    /// One leg, because something was heard about it.
    Truth(LegId),
    /// One leg, because an order has found no proof.
    LastLook(Ticket, LegId),
    /// A part of a list.
    List(u64, Part),
    /// The figures that tell why a dial was refused; the cause if they tell nothing.
    Room(Ticket, Cause),
    Load(Ticket),
    Ping(Ticket),
    /// A leg whose ringing time is over was dropped.
    Overdue,
    /// A word whose answer says nothing: a tag, a fence.
    Quiet,
    /// A leg that lost its partner was placed, before the engine's question is answered.
    Rescue(LegId),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Login,
    /// A list for nobody, or before we are ready, is to be complete.
    List(u64),
    Order(Ticket),
    Digit(Ticket),
    /// A file that was not whole, or not there, is to be asked for again.
    Refetch(Ticket),
    /// A leg has rung long enough.
    Ring(LegId),
    /// A leg the server does not know is to have an end.
    Gone(LegId),
    /// The engine waits to be told whether a leg is kept.
    Held(LegId),
    /// Whether a leg lost its partner by a transfer was not to be seen: look.
    Parting(LegId),
    /// A question of that leg is to be answered.
    Truth(LegId),
    /// The engine was asked and is to have said something.
    Silent,
    Retransmit(Ticket),
}

/// One message of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Proves one of the two sounds at a leg's ear.
    Sound(LegId, Sound),
    /// Lays silence over an ear, or takes it away.
    Ear {
        leg: LegId,
        deaf: bool,
    },
    Connect(LegId, LegId),
    /// Asks what a leg is connected to.
    Look(LegId),
    /// Takes a leg and its partner into a room of their own.
    Gather {
        held: LegId,
        other: LegId,
    },
    Place(LegId, Place),
    Room(LegId, ConferenceId),
    /// Closes or opens a leg's mouth in its room.
    Hush {
        leg: LegId,
        on: bool,
    },
    /// Begins a segment, or ends what is written.
    Recorder(LegId, Option<String>),
    Drop(LegId, &'static str),
    /// Asks the file server whether the segment is there.
    Begun(String),
    /// Has a party called.
    Execute(Box<super::orders::Dialing>),
}

/// Where a leg waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Silence,
    Music,
}

/// The two files that places are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    Silence,
    Music,
}

/// An order that has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) work: Work,
    pub(super) steps: VecDeque<Step>,
    /// The step that waits for its answer, and the id of its message.
    pub(super) current: Option<(u128, Step)>,
    /// Something that may take effect has left us.
    pub(super) sent: bool,
    /// Every step was answered.
    pub(super) over: bool,
    /// Its deadline has passed and this many legs are being looked at.
    pub(super) looks: Option<usize>,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Work {
    Dial { leg: LegId },
    Join { a: LegId, b: LegId },
    Park { held: LegId, other: LegId },
    Drop { leg: LegId, cause: Cause },
    Mute { leg: LegId, direction: Direction, on: bool },
    Dtmf { leg: LegId, digits: Digits, next: usize, sent: Nanos },
    Enter { leg: LegId, conference: ConferenceId },
    Leave { leg: LegId },
    Record { leg: LegId, segment: String, began: Nanos },
    StopRecord { leg: LegId },
    Fetch(Box<Fetching>),
    Drain { on: bool },
    List,
    Load,
    Probe(Probing),
    Inspect(Inspection),
}

impl Work {
    /// The legs nobody else may touch meanwhile.
    pub(super) fn legs(&self) -> Vec<LegId> {
        match self {
            Self::Dial { leg }
            | Self::Drop { leg, .. }
            | Self::Mute { leg, .. }
            | Self::Enter { leg, .. }
            | Self::Leave { leg }
            | Self::Record { leg, .. }
            | Self::StopRecord { leg } => vec![*leg],
            Self::Join { a, b } | Self::Park { held: a, other: b } => vec![*a, *b],
            Self::Dtmf { .. }
            | Self::Fetch(_)
            | Self::Drain { .. }
            | Self::List
            | Self::Load
            | Self::Probe(_)
            | Self::Inspect(_) => Vec::new(),
        }
    }
}
