//! The command line as a user or a script meets it: the built program, its streams, its exit codes.
//!
//! `bare` needs nothing, `flows` and `rooms` a pretended orchestrator, `background` and `rehearsal` the real one with simulated
//! servers, `terminal` a pseudo-terminal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod background;
mod bare;
mod fake;
mod flows;
mod kinds_of_failure;
mod program;
mod rehearsal;
mod rooms;
mod secrets;
mod terminal;
