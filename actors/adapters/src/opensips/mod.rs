//! OpenSIPS 3.4 to 4: a proxy that cannot call by itself.
//!
//! Its management interface (MI, JSON-RPC over HTTP or datagrams) lists calls, ends those that are not ours and refuses
//! new ones; its events tell of them, without being believed. Calls of ours are placed through it by the SIP agent. It
//! does not configure the server, has no media, and leaves its `ua_session_*` and `b2b_*` commands alone, which leak and
//! cut calls (sheet opensips, sections 6 and 7).
//!
//! Facts: `docs/servers/opensips.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod calls;
mod drain;
mod ending;
mod events;
mod flight;
mod inspect;
mod listing;
mod login;
mod machine;
mod mi;
pub mod options;
mod orders;
mod probe;
mod shapes;

pub use machine::OpenSips;
pub use options::{KEYS, Options};

#[cfg(test)]
pub(crate) mod tests;
