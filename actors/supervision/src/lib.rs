//! The supervision kernel: actors that outlive their panics.
//!
//! actix gives mailboxes and scheduling; this crate adds what Erlang would: a panic is contained, the address and the
//! mailbox outlive the instance, a fresh instance is born from its seed after a jittered backoff, and an actor that
//! dies too often gives up loudly and tells its parent. It is the only crate that names actix.
//!
//! Deliberately absent: remote actors, links between peers, persistence, async handlers, bounded mailboxes (a bound is
//! an explicit permit, not a mailbox size) and throughput records.
//!
//! Layout: [`Behavior`] and [`On`] are what an actor is written in (`behavior.rs`); [`World`] is its only door to the
//! outside (`world.rs`); [`Address`] is how it is reached (`address.rs`); [`Policy`] says how often it may die
//! (`policy.rs`); [`Exit`] and [`Down`] name every way to end (`exit.rs`); [`Kernel`] is where a program starts
//! (`kernel.rs`). The life of an instance is in `supervised.rs`, what the outside sees of it in `cell.rs`. The promises,
//! each with the test that shows it, are in `docs/SUPERVISION.md`: read that next.

mod address;
mod behavior;
mod cell;
mod exit;
mod kernel;
mod policy;
mod supervised;
#[cfg(any(test, feature = "universe"))]
mod universe;
mod watchdog;
mod world;

#[cfg(test)]
mod tests;

pub use address::{Address, Answer, Recipient};
pub use behavior::{Behavior, Escalation, On, Strategy};
pub use cell::{ActorInfo, Standing};
pub use exit::{ActorName, Down, Exit};
pub use kernel::{Arbiter, Death, Kernel, Options};
pub use policy::{Backoff, BadPolicy, Policy};
#[cfg(any(test, feature = "universe"))]
pub use universe::Universe;
pub use watchdog::{Freeze, Watchdog, WhenFrozen};
pub use world::{Task, Timer, World};
