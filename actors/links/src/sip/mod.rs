//! The SIP stack of one server, behind [`SipLeg`]: transactions, transports and parsing by `rsipstack`, dialogs by us.
//!
//! The crate's own dialog layer is not used: what is written down of a leg ([`Wire`]) is the dialog, and every request is
//! built from it. So a restart restores nothing but records, requests inside a dialog are authenticated like the first
//! one, a target is refreshed where SIP says so, and an idle dialog costs its record (sheet sip-3pcc, W5, W6, W8 to W13).
//! No type of the crate leaves this folder.
//!
//! Not here: what a call is. See `ifbus_adapters::sip` for that, and for the two halves of this wire.
//!
//! Read on: `stack.rs`, then `transport.rs` for what stands in front of the crate.

mod anchor;
mod answer;
mod digest;
mod inside;
mod invite;
mod orphan;
mod reply;
mod request;
mod socket;
mod stack;
#[cfg(test)]
mod tests;
mod text;
mod transport;

use std::sync::Arc;

use ifbus_adapters::sip::SipCommand;

use crate::network::Sink;
use crate::tls::Pins;

/// The SIP side of one server. Dropping it closes the endpoint without a report; dialogs are left to the phones.
pub trait SipLeg {
    /// Asks something. Never waits: what comes of it is reported as [`crate::Report::Sip`].
    fn ask(&self, command: SipCommand);
}

/// The real one.
pub(crate) fn real(pins: Arc<dyn Pins>, sink: Sink) -> Box<dyn SipLeg> {
    Box::new(stack::Stack::new(pins, sink))
}
