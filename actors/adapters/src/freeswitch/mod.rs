//! FreeSWITCH 1.10 and newer, by its event socket in inbound mode.
//!
//! Orders go over one connection, events come over another, because an `api` that takes its time holds up the events of
//! its own connection. Every id is ours: of legs, of jobs. It does not configure the server and never blocks it.
//!
//! Facts: `docs/servers/freeswitch.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod cause;
mod conference;
mod drain;
mod events;
mod facts;
mod fetch;
mod flight;
mod inspect;
mod legs;
mod listing;
mod login;
mod machine;
mod names;
pub mod options;
mod orders;
mod parting;
mod probe;
mod proof;
mod recording;
mod session;

pub use machine::FreeSwitch;
pub use options::{KEYS, Options};

#[cfg(test)]
pub(crate) mod tests;
