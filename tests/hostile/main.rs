//! Hostile servers: the whole fleet against peers that lie, babble, stall and forge.
//!
//! In the simulated network and in virtual time, so that silence costs nothing and every run is the same. What is
//! promised of each: it is contained to that server, calls go on beside it, everybody who asked is answered, what is
//! kept of its bytes is bounded, the reason is told in words, and it is used again when it behaves.
//!
//! Not here: what only real sockets can do wrong (`actors/links/src/tests.rs`, `tls/tests.rs`), the machine alone under
//! random bytes (`actors/adapters/src/fuzz`), what users write (`tests/e2e/injection.rs`).

#![allow(clippy::unwrap_used)]

mod after_login;
mod at_the_door;
#[path = "../sim/host.rs"]
mod host;
mod mischief;
mod our_own_side;
mod pitfalls;
mod stream;
#[allow(dead_code, reason = "the stage of the simulations, not all of which is used here")]
#[path = "../sim/world.rs"]
mod world;
