//! What the actors count: told as it happens, kept by whoever wants the figures.
//!
//! Not here: what is derived from events and views. A fleet without a listener counts nothing.

use std::time::Duration;

use ifbus_adapters::adapter::DownReason;
use ifbus_call::{Interface, Kind, Order, Outcome, ServerName};

use crate::problem::Skipped;

/// Listens to figures. Called on the arbiter of the deciding actors: returns at once.
pub trait Meter: Send + Sync {
    /// An order was given to a server.
    fn order_given(&self, server: &ServerName);
    /// An order was answered, `took` after it was given.
    fn order_done(&self, server: &ServerName, kind: Kind, order: &Order, outcome: &Outcome, took: Duration);
    /// A server was chosen, or none was; these were passed over.
    fn routed(&self, took: Duration, skipped: &[Skipped]);
    /// The links to a server are ready; `after` is what ended their last life, `None` for the first.
    fn link_connected(&self, server: &ServerName, after: Option<&DownReason>);
    /// All legs found on a server were looked at, `took` after this life of its links began.
    fn adopted(&self, server: &ServerName, adopted: u64, ended: u64, foreign: u64, took: Duration);
    /// A probe was answered after `took`, or given up.
    fn probed(&self, server: &ServerName, interface: Interface, answered: bool, took: Duration);
    /// A server sent frames that were not understood.
    fn unknown_frames(&self, server: &ServerName, count: u64);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn order_given(&self, _: &ServerName) {}
    fn order_done(&self, _: &ServerName, _: Kind, _: &Order, _: &Outcome, _: Duration) {}
    fn routed(&self, _: Duration, _: &[Skipped]) {}
    fn link_connected(&self, _: &ServerName, _: Option<&DownReason>) {}
    fn adopted(&self, _: &ServerName, _: u64, _: u64, _: u64, _: Duration) {}
    fn probed(&self, _: &ServerName, _: Interface, _: bool, _: Duration) {}
    fn unknown_frames(&self, _: &ServerName, _: u64) {}
}
