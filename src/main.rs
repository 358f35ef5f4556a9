//! ifbus: one control plane over a mixed fleet of SIP servers.
//!
//! The process itself: what a command does is in `cli`, what the orchestrator does in [`ifbus::serve`].

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os().collect())
}
