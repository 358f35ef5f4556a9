//! Kamailio 5.6 to 6.1: a proxy that cannot call by itself.
//!
//! Its JSON-RPC lists calls, ends those that are not ours and refuses new ones; its `evapi` tells of them, without being
//! believed. Calls of ours are placed through it by the SIP agent. It does not configure the server, and has no media.
//!
//! Facts: `docs/servers/kamailio.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod calls;
mod drain;
mod ending;
mod events;
mod flight;
mod inspect;
mod listing;
mod login;
mod machine;
pub mod options;
mod orders;
mod probe;
mod rpc;
mod shapes;

pub use machine::Kamailio;
pub use options::{KEYS, Options};

#[cfg(test)]
pub(crate) mod tests;
