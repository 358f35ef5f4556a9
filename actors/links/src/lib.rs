//! What moves the bytes between ifbus and the servers.
//!
//! Not here: what the bytes mean. Read [`network`] first: all that the fleet knows of this crate.

pub mod network;

pub use network::{Link, Network, Pending, Report, Sink};
