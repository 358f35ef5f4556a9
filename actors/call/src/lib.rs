//! The words of ifbus and the choreography of a call. Pure: no clock, no randomness, no input or output.
//!
//! Not here: how a server is spoken to (`ifbus-adapters`), who decides which server is used (`ifbus-fleet`).
//!
//! Read [`order`] and [`event`] first: everything ifbus can say and hear. Then [`call`]: how verbs are made of orders.

pub mod address;
pub mod call;
pub mod cause;
pub mod event;
pub mod id;
pub mod kind;
pub mod leg;
pub mod load;
pub mod order;
#[cfg(test)]
mod tests;
pub mod time;

pub use address::Address;
pub use call::{Accepted, Call, End, Goal, Mode, NewCall, NotNow, Notice, Verb};
pub use cause::{By, Cause, Said};
pub use event::Event;
pub use id::{Boot, CallId, ConferenceId, Epoch, InstanceId, LegId, RecordingId, ServerName};
pub use kind::Kind;
pub use leg::{Seen, Stage};
pub use load::Load;
pub use order::{
    Dial, Digits, Done, Evidence, Finding, Inbound, Interface, Order, Outcome, Refused, Role, Tag, Verdict,
    Wait, Why,
};
pub use time::Nanos;
