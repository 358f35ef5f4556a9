//! What is under way: actions without their answer, orders without their proof, and the clock of both.
//!
//! Plain data. The rules: an answer counts only under the id and on the connection of its question; an order answers
//! its ticket once, in `Asterisk::finish`.

use ifbus_call::order::Direction;
use ifbus_call::{ConferenceId, Digits, LegId, Nanos};

use super::drain::Sought;
use super::fetch::Fetching;
use super::inspect::Inspection;
use super::listing::Item;
use super::probe::Probing;
use super::recording::Segment;
use crate::adapter::Ticket;

/// The most orders under way or waiting on one server: ten times what the sheet's capacity figures need.
pub(super) const ORDERS_MAX: usize = 1000;

/// Drops are taken beyond the limit, or an overloaded server could not be relieved.
pub(super) const DROPS_MAX: usize = 2 * ORDERS_MAX;

/// A question on an AMI connection.
#[derive(Debug)]
pub(super) struct Asked {
    /// The connection it went out on.
    pub(super) slot: u8,
    pub(super) purpose: Purpose,
}

/// Why it was asked.
#[derive(Debug)]
pub(super) enum Purpose {
    Challenge(u8),
    Login(u8),
    Filter,
    Mask,
    Settings,
    Boot,
    /// All channels: for readiness, for an order, or to find what was missed.
    List(Option<Ticket>, Vec<Item>),
    /// One channel, because something was heard about it.
    Truth(LegId, Option<Item>),
    /// One channel, because an order has found no proof.
    LastLook(Ticket, LegId, Option<Item>),
    /// One channel, because it may be joined only in its waiting place.
    Settle(Ticket, LegId, Option<Item>),
    Originate(Ticket, LegId),
    /// `Bridge`, `Redirect`, `Hangup`, `MuteAudio`, `MixMonitor`, `StopMixMonitor`, `PJSIPSetMaintenance`.
    Command(Ticket),
    /// The fence of a leg is taken away.
    Fence(Ticket),
    /// The variable of a recording.
    Recorder(Ticket),
    /// A variable was set.
    Marked(Ticket),
    Digit(Ticket),
    Ping(Ticket),
    Load(Ticket),
    Rights(Ticket),
    Dialplan(Ticket, usize, Vec<String>),
    /// Something in the dialplan, and whether it was there.
    Seek(Ticket, Sought, bool),
    /// An originate that makes no channel: its end shows what we may hear.
    Ghost(Ticket),
    Marker(Ticket),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection is to be logged in.
    Login(u8),
    /// The server is to say that it has booted.
    Booted,
    /// The event stream is to be proven, or to say something.
    Stream,
    /// The event stream is opened again.
    Reopen,
    /// An action outside of any order is to be answered.
    Asked(u128),
    Order(Ticket),
    /// An originate failed without a channel: its events may still be on the way.
    Grace(Ticket),
    Digit(Ticket),
    /// A leg that was not where an order wants it is to be looked at again.
    Settle(Ticket),
    /// A file that was not whole is to be asked for again.
    Refetch(Ticket),
    /// A leg the server does not know is to have an end.
    Gone(LegId),
    /// Whether a leg lost its partner by a transfer was not to be seen: look again.
    Parting(LegId),
    /// Doubt about everything is to be settled by a list.
    Resync,
    /// A connection that was asked is to have said something.
    Silent(u8),
    Retransmit(Ticket),
}

/// An order that has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) work: Work,
    /// The actions it waits for.
    pub(super) asks: Vec<u128>,
    /// The server has answered its action with success.
    pub(super) accepted: bool,
    /// Its deadline has passed and this many legs are being looked at.
    pub(super) looks: Option<usize>,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Work {
    Dial {
        leg: LegId,
        /// The originate failed with this reason, and no channel was seen yet.
        failed: Option<u16>,
    },
    Join {
        a: LegId,
        b: LegId,
        /// `Bridge` has left us.
        sent: bool,
    },
    Park {
        held: LegId,
        other: LegId,
    },
    Drop {
        leg: LegId,
    },
    Mute {
        leg: LegId,
        direction: Direction,
        on: bool,
    },
    Dtmf {
        leg: LegId,
        digits: Digits,
        next: usize,
        /// When the last digit was sent.
        sent: Nanos,
    },
    Enter {
        leg: LegId,
        conference: ConferenceId,
        /// `Redirect` has left us.
        sent: bool,
    },
    Leave {
        leg: LegId,
    },
    Record(Segment),
    StopRecord(Segment),
    Fetch(Fetching),
    Drain {
        on: bool,
    },
    List,
    Load,
    Probe(Probing),
    Inspect(Inspection),
}

impl Work {
    /// Whether nothing that could take effect has left us.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Join { sent, .. } | Self::Enter { sent, .. } => !sent,
            Self::Record(segment) | Self::StopRecord(segment) => !segment.sent,
            Self::Dtmf { next, .. } => *next == 0,
            _ => false,
        }
    }

    /// The legs nobody else may touch meanwhile.
    pub(super) fn legs(&self) -> Vec<LegId> {
        match self {
            Self::Dial { leg, .. } | Self::Drop { leg } | Self::Enter { leg, .. } | Self::Leave { leg } => {
                vec![*leg]
            }
            Self::Record(segment) | Self::StopRecord(segment) => vec![segment.leg],
            Self::Join { a, b, .. } => vec![*a, *b],
            Self::Park { held, other } => vec![*held, *other],
            Self::Mute { .. }
            | Self::Dtmf { .. }
            | Self::Fetch(_)
            | Self::Drain { .. }
            | Self::List
            | Self::Load
            | Self::Probe(_)
            | Self::Inspect(_) => Vec::new(),
        }
    }
}
