//! What a Kamailio does, and what follows.

mod adoption;
mod connection;
mod ending;
mod hostile;
mod inspection;
mod options;
mod orders;
mod pitfalls;
mod replay;
pub(crate) mod rig;
