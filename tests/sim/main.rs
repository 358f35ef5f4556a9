//! The whole fleet in memory and virtual time: real actors, real adapters, simulated servers and links.
//!
//! Each file is a claim. A failure prints its seed; the same seed gives the same history.

mod a_call_goes_its_way;
mod a_killed_orchestrator_cuts_no_call;
mod a_panic_is_contained;
mod a_server_that_fails_is_contained;
mod calls_through_a_proxy;
mod conferences_recordings_and_drains;
mod host;
mod nobody_rings_twice;
mod the_same_seed_gives_the_same_trace;
mod world;
