//! Every order and event of the machine against a pretended engine: no sockets, no clock.

mod adoption;
mod connection;
mod files;
mod golden;
mod hostile;
mod options;
mod orders;
mod pitfalls;
pub(crate) mod replay;
pub(crate) mod rig;
