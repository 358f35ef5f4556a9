//! What is under way: questions without their answer, orders without their proof, and the clock of both.
//!
//! Plain data. Orders of calls of ours are the agent's and are not here.

use ifbus_call::LegId;

use super::ending::Ending;
use super::inspect::{Check, Inspection};
use crate::adapter::Ticket;

/// The most orders under way here: its HTTP answers one after the other.
pub(super) const ORDERS_MAX: usize = 200;

/// Why something was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Version,
    Which,
    Boot,
    /// Whether it is the same life of the server still.
    SameBoot,
    /// Which events there are.
    Events,
    /// One event, by its place among those that are wanted.
    Subscribe(usize),
    /// Whether it knows of us still.
    Subscribers,
    /// Nobody waits for this.
    Unheard,
    /// A page of the list of this number.
    Page(u64),
    /// One dialog, before and after it is told to end.
    Look(Ticket),
    /// It was told to end.
    End(Ticket),
    /// A dialog that nobody owns any more was told to end.
    Orphan(LegId),
    Load(Ticket),
    Probe(Ticket),
    /// Whether anybody asks for the switch.
    Switch(Ticket),
    Drain(Ticket),
    Inspect(Ticket, Check),
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A question by datagram is to be answered.
    Asked(u64),
    /// The link of datagrams is to be open.
    Opening,
    /// The subscriptions are to be there.
    Subscribing,
    /// The events are to say something.
    EventsSilent,
    /// Events are tried again.
    Reopen,
    /// The subscriptions are renewed.
    Renew,
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
    Load,
    Probe(ifbus_call::Nanos),
    Drain {
        on: bool,
    },
    Inspect(Inspection),
}
