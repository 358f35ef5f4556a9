//! The orchestrator of ifbus: the actors put together, and what they show to the world.
//!
//! Not here: what a command line looks like (the binary), who decides (`ifbus-fleet`), how servers are spoken to.
//!
//! Read [`serve`] first.

pub mod serve;
