//! The SIP agent: calls through a server that cannot originate by itself (Kamailio, OpenSIPS, Flexisip).
//!
//! Signalling only (flow E): one dialog for each leg, placed through the server; the descriptions of two legs are handed
//! across, and media flows between the phones. What needs media of ours (mute, conferences, recordings) is refused; a
//! media anchor lends it. Nothing here is a server's own: the adapter of a kind owns an [`Agent`] and forwards to it.
//!
//! Read [`command`] and [`event`], the two halves of the wire; then [`dialog`], what is written down; then `agent.rs`.

mod agent;
mod align;
mod alive;
pub mod cause;
pub mod command;
pub mod dialog;
mod digits;
pub mod event;
mod heard;
mod legs;
mod loan;
pub mod options;
mod orders;
mod refer;
mod refer_to;
pub mod sdp;
mod strangers;
#[cfg(test)]
mod tests;

pub use agent::{Agent, Standing};
pub use command::{SipAnchor, SipCommand, SipCredential, SipEndpoint, SipInvite, SipTransport};
pub use dialog::{Dialog, Media, Progress, Wire};
pub use event::{Ended, Reply, Session, SipEvent};
pub use options::AgentOptions;
