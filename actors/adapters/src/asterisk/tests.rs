//! The adapter against recorded sessions of real servers, against a pretended one, and against chance.

mod adoption;
mod conferences;
mod connection;
mod drains;
mod files;
mod golden;
mod hostile;
mod options;
mod orders;
mod pitfalls;
pub(crate) mod pretend;
mod recordings;
mod replay;
mod rig;
pub(crate) mod transcript;
