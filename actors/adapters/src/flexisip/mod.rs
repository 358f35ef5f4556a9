//! Flexisip 2.3 to 2.7: a proxy that cannot call, list or end calls by itself.
//!
//! Calls of ours are placed through it by the SIP agent, which is also how its life is told. It pushes what happens to
//! calls over HTTP/2 to a port of ours; its account manager is a web service beside it, asked about accounts, devices and
//! statistics. It does not configure the server, and has no media.
//!
//! Facts: `docs/servers/flexisip.md`. Read [`options`], then `LIFECYCLE.md`, then `machine.rs`.

mod api;
mod calls;
mod flight;
mod foreign;
mod inspect;
mod machine;
mod name;
pub mod options;
mod orders;
mod push;
mod pushed;
mod release;

pub use machine::Flexisip;
pub use options::{KEYS, Options};

#[cfg(test)]
mod tests;
