//! From a configuration file to a fleet: what an operator wrote, checked, and where ifbus keeps its own files.
//!
//! Not here: what a kind of server makes of its `auth` and `set` keys (its adapter), how servers are reached, and when
//! a change takes effect. This crate reads and writes files and nothing else.
//!
//! Read [`schema`] first: everything a file can say. Then [`mod@file`]: how it is read and how mistakes are shown.

pub mod complaint;
pub mod diff;
pub mod file;
pub mod kept;
pub mod known;
mod mask;
pub mod orchestrators;
pub mod paths;
pub mod private;
pub mod schema;
pub mod secrets;
#[cfg(test)]
mod tests;
pub mod token;

pub use complaint::nearest;
pub use diff::Diff;
pub use file::{BadConfig, load, parse};
pub use kept::Kept;
pub use known::Known;
pub use paths::Paths;
pub use schema::{Config, Limits, Scope, Server, Token};
pub use secrets::{BadSecret, Reference, Secret};
