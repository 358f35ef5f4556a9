//! The adapter against recorded sessions of real servers, against a pretended one, and against chance.

mod adoption;
mod connection;
mod golden;
mod hostile;
mod options;
mod orders;
mod pitfalls;
mod pretend;
mod replay;
mod rig;
pub(crate) mod transcript;
