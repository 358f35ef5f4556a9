//! Yate 6.4, by its external module protocol: one connection, plain text, no password.
//!
//! Orders are messages we inject, call state is what we watch; a leg carries its tag in every message about it. It does
//! not configure the server, never starts a program, and cannot write a drop without a channel.
//!
//! Facts: `docs/servers/yate.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod cause;
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
mod mixing;
mod names;
pub mod options;
mod orders;
mod parting;
mod probe;
mod proof;
mod recording;
mod rescue;
mod session;
mod steps;
mod tones;

pub use machine::Yate;
pub use options::{KEYS, Options};

#[cfg(test)]
pub(crate) mod tests;
