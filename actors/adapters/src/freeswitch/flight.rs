//! What is under way: commands without their answer, orders without their proof.
//!
//! Plain data. The rules: answers come in the order of their questions on one connection; an order answers its ticket
//! once, in `FreeSwitch::finish`.

use ifbus_call::order::Direction;
use ifbus_call::{ConferenceId, LegId};

use super::fetch::Fetching;
use super::inspect::{Check, Inspection};
use super::probe::Probing;
use super::recording::Segment;
use crate::adapter::Ticket;

/// The most orders under way or waiting on one server: ten times what the sheet's capacity figures need.
pub(super) const ORDERS_MAX: usize = 1000;

/// Drops are taken beyond the limit, or an overloaded server could not be relieved.
pub(super) const DROPS_MAX: usize = 2 * ORDERS_MAX;

/// Why a command was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Auth,
    Subscribe,
    /// Version and limits, at the beginning of a life.
    Status,
    /// The life of the server.
    Core,
    /// The folder of recordings.
    Folder,
    /// All legs, for a list of ours.
    Channels(u64),
    /// One leg of that list.
    Row(u64),
    /// One leg, because an order has found no proof.
    LastLook(Ticket, LegId),
    /// One leg, because the server did not know it a moment ago, or a phone has moved it.
    Truth(LegId),
    Originate(Ticket, LegId),
    /// `uuid_bridge`, `uuid_transfer`, `uuid_kill`, `uuid_audio`, `uuid_send_dtmf`.
    Command(Ticket),
    /// What accompanies an order; its answer changes nothing.
    Quiet,
    /// The variable of a recording.
    Recorder(Ticket),
    /// A recording begins or ends.
    Record(Ticket),
    /// What writes along on a leg.
    Recorders(Ticket),
    Pause(Ticket),
    Paused(Ticket),
    Load(Ticket),
    Echo(Ticket),
    /// An echo that comes back as an event.
    EchoJob(Ticket),
    Inspect(Ticket, Check),
    /// A part of a file.
    Slice(Ticket),
}

impl Purpose {
    /// Whether the answer is that of a connection's own command, not of an `api`.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Auth | Self::Subscribe | Self::Originate(..) | Self::EchoJob(_))
    }
}

/// A job of ours on the server, which ends with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    Originate(Ticket, LegId),
    Echo(Ticket),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A connection is to be logged in.
    Login(u8),
    /// The lists of the server have caught up with our events.
    List,
    Order(Ticket),
    /// An originate failed without a word about its leg: that may still be on the way.
    Grace(Ticket),
    /// The digits of an order have sounded.
    Played(Ticket),
    /// A file that was not whole is to be asked for again.
    Refetch(Ticket),
    /// A leg the server does not know is to have an end.
    Gone(LegId),
    /// What became of the partner of a leg that has ended is not known: it is told now.
    Parting(LegId),
    /// A connection that was asked is to have said something.
    Silent(u8),
    /// SIP is to be asked again: datagrams get lost.
    Retransmit,
    /// A job outside of any order is over, however it ended.
    Job(u128),
}

/// An order that has begun.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) work: Work,
    /// The server has taken its command.
    pub(super) accepted: bool,
    /// Its deadline has passed and this many legs are being looked at.
    pub(super) looks: Option<usize>,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Work {
    Dial {
        leg: LegId,
        /// The originate failed with this word, and no leg was seen yet.
        failed: Option<String>,
    },
    Join {
        a: LegId,
        b: LegId,
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
        digits: usize,
    },
    Enter {
        leg: LegId,
        conference: ConferenceId,
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
            Self::Record(segment) | Self::StopRecord(segment) => !segment.sent,
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
            Self::Join { a, b } => vec![*a, *b],
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
