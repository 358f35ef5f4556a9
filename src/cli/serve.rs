//! `ifbus serve`: the orchestrator in this process, in the foreground or as the child of another command.
//!
//! Not here: what an orchestrator does ([`ifbus::serve`]).

use std::net::SocketAddr;

use ifbus::serve::{self, ServeOptions, log};

use super::background::Proof;
use super::errors::Failure;
use super::grammar::ServeArgs;
use super::screen::{Colour, Screen};
use super::session;

/// Runs until it is told to end.
pub fn run(screen: &Screen, args: ServeArgs) -> Result<(), Failure> {
    log::begin(&std::env::var(log::VARIABLE).unwrap_or_default())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let paths = session::paths()?;
    let proof = Proof::of_process();
    if proof.is_some() {
        // Away from the terminal: what ends the other command is not to end this one.
        rustix::process::setsid()
            .map_err(|error| Failure::not_started(format!("a session of its own: {error}")))?;
    }
    let (screen, token) = (screen.clone(), paths.token());
    let ready = move |address: SocketAddr| match proof {
        Some(proof) => {
            if let Err(error) = proof.give(address) {
                screen.note_as(Colour::Yellow, "warn", &format!("whoever started this is gone: {error}"));
            }
        }
        None => screen.note(&format!("listening on http://{address} (token: {})", token.display())),
    };
    let options = ServeOptions {
        config: args.config,
        listen: args.listen,
        simulated: args.simulated,
        paths,
        ready: Box::new(ready),
    };
    serve::run(options).map_err(|error| Failure::not_started(error.to_string()))
}
