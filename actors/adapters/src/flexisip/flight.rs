//! What is under way: questions without their answer, orders without their proof, and the clock of both.
//!
//! Plain data. Orders of calls of ours are the agent's and are not here.

use super::inspect::Inspection;
use crate::adapter::Ticket;

/// The most orders under way here.
pub(super) const ORDERS_MAX: usize = 200;

/// Why the account manager was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether it is there: at the beginning.
    Ping,
    /// The same, for an inspection.
    Inspect(Ticket, Look),
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Sip,
    Api,
    Accounts,
    /// Our own account, then what hangs on it.
    Account,
    Devices,
    Statistics,
}

/// What is due at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The port for pushes is opened again.
    Reopen,
    /// Whoever pushes is asked for a sign of life.
    Ping,
    /// The server may have begun anew: if SIP answers, calls are offered again.
    Mend,
    /// The question for the release is repeated.
    AskAgain,
    /// Nobody waits longer for its answer.
    Unnamed,
    /// An order is to be done.
    Order(Ticket),
}

/// An order that has begun.
#[derive(Debug)]
pub(super) enum Work {
    Probe,
    Inspect(Inspection),
}
