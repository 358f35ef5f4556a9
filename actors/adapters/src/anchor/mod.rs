//! A server without media and one that lends it: together they carry out every order.
//!
//! A proxy's calls flow from phone to phone. What needs media (conference, recording, mute, music, tones on the wire) is
//! done by another server of the fleet: it is told to call us for each leg, the phone is re-invited to it, and from then
//! on its own adapter carries out the orders. Each leg has two names, one on each side; the calls above know only the
//! phone's.
//!
//! Neither half knows of the other: the proxy's adapter owns the SIP agent, the media server's is the one that drives
//! that kind everywhere, under an instance of its own so that its other calls are never touched.
//!
//! Not here: SIP itself ([`crate::sip`], `loan.rs`). Read `machine.rs`, then `jobs.rs`, `facts.rs`, `taking_up.rs`.

mod facts;
mod jobs;
mod machine;
mod taking_up;

#[cfg(test)]
mod tests;

pub use machine::{Anchored, Media};

use crate::adapter::Adapter;
use crate::sip::Agent;

/// A server whose calls are carried by a SIP agent, so that its legs can be lent.
pub trait Proxied: Adapter {
    /// The agent.
    fn agent(&self) -> &Agent;

    /// Does something with the agent and takes over what it says: it comes out of [`Adapter::poll`].
    fn with_agent(&mut self, work: &mut dyn FnMut(&mut Agent));
}
