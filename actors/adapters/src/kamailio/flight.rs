//! What is under way: questions without their answer, orders without their proof, and the clock of both.
//!
//! Plain data. Orders of calls of ours are the agent's and are not here.

use ifbus_call::LegId;

use super::ending::Ending;
use super::inspect::{Check, Inspection};
use crate::adapter::Ticket;

/// The most orders under way here: each needs one of two places at the server.
pub(super) const ORDERS_MAX: usize = 200;

/// Why something was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Version,
    Methods,
    Boot,
    /// Whether it is the same life of the server still.
    SameBoot,
    /// All dialogs: for readiness, or for an order.
    List(Option<Ticket>),
    /// One dialog, before and after it is told to end.
    Look(Ticket),
    /// It was told to end.
    End(Ticket),
    /// A dialog that nobody owns any more was told to end.
    Orphan(LegId),
    Load(Ticket),
    Ever(Ticket),
    Probe(Ticket),
    Drain(Ticket),
    Inspect(Ticket, Check),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The events are to be open.
    EventsOpen,
    /// The events are to say something.
    EventsSilent,
    /// The events are opened again.
    Reopen,
    /// Without events, the server is asked whether it is the same still.
    Poll,
    /// A dialog that was told to end is looked at.
    Look(Ticket),
    /// An order is to be done.
    Order(Ticket),
}

/// An order that has begun.
#[derive(Debug)]
pub(super) enum Work {
    List,
    /// A dialog that is not ours ends.
    End(Ending),
    Load(ifbus_call::Load),
    Probe(ifbus_call::Nanos),
    Drain {
        on: bool,
    },
    Inspect(Inspection),
}
