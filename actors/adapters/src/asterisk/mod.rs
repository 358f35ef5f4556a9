//! Asterisk 16 to 22, and whatever speaks AMI like it.
//!
//! Orders go over AMI; call state comes from ARI's event stream, which a caller cannot forge, or from AMI alone where
//! ARI is off (then every event is only a reason to ask). It does not configure the server and never sends `Command`.
//!
//! Facts: `docs/servers/asterisk.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod cause;
mod conference;
pub mod dialect;
mod drain;
mod events;
mod facts;
mod fetch;
pub mod files;
mod flight;
mod inspect;
mod legs;
mod listing;
mod login;
pub(crate) mod machine;
pub(crate) mod names;
pub mod options;
mod orders;
mod parting;
mod probe;
mod proof;
mod recording;
mod rights;
mod session;
mod settle;
mod tones;

pub use dialect::{Dialect, Ids};
pub use files::Files;
pub use machine::Asterisk;
pub use options::{KEYS, Key, Options};

#[cfg(test)]
pub(crate) mod tests;
