//! Which orchestrator a command talks to: the one that was named, the one that runs here, or one that is started.

use std::future::Future;

use ifbus_config::{Paths, Secret, token};

use super::background;
use super::client::{Base, Client};
use super::errors::Failure;
use super::screen::Screen;

/// A command's view of the world: where it writes and whom it asks.
pub struct Session {
    /// The streams.
    pub screen: Screen,
    /// The orchestrator.
    pub client: Client,
}

/// The orchestrator named by `--on` or `IFBUS_URL`.
///
/// # Errors
/// It is not the address of one.
pub fn named(on: Option<&str>) -> Result<Option<Base>, Failure> {
    let from_env = std::env::var("IFBUS_URL").ok().filter(|url| !url.is_empty());
    on.map(str::to_owned).or(from_env).map(|url| Base::parse(&url)).transpose()
}

/// The folders of this installation.
///
/// # Errors
/// There is no place for them.
pub fn paths() -> Result<Paths, Failure> {
    Paths::of_process().map_err(|error| Failure::here(error.to_string()))
}

/// The token to show: `IFBUS_TOKEN`, else that of this installation, if an orchestrator ever ran here.
///
/// # Errors
/// The file can be read by others, or is no token.
pub fn token() -> Result<Option<Secret>, Failure> {
    if let Some(token) = std::env::var("IFBUS_TOKEN").ok().filter(|token| !token.is_empty()) {
        return Ok(Some(Secret::new(token)));
    }
    token::read(&paths()?.token()).map_err(|error| Failure::here(error.to_string()))
}

impl Session {
    /// Finds the orchestrator, or starts one in the background and says so. `secret` are the variables of our
    /// environment that it is not to inherit.
    ///
    /// # Errors
    /// None was named and none can be started.
    pub async fn open(screen: Screen, on: Option<&str>, secret: &[&str]) -> Result<Self, Failure> {
        if let Some(base) = named(on)? {
            return Ok(Self { screen, client: Client::new(base, token()?) });
        }
        let paths = paths()?;
        let running = match background::running(&paths).await {
            Some(running) => running,
            None => {
                let started =
                    screen.wait("starting an orchestrator", background::start(&paths, secret)).await?;
                if let Some(took) = started.took {
                    screen.note(&format!(
                        "orchestrator started in the background ({:.1} s, pid {}, http://{})",
                        took.as_secs_f64(),
                        started.running.pid,
                        started.running.address
                    ));
                }
                started.running
            }
        };
        Ok(Self { screen, client: Client::new(Base::of(running.address), token()?) })
    }
}

/// Waits for `work` unless Ctrl-C comes first.
///
/// # Errors
/// Ctrl-C; `last_words` names what goes on and what would end it.
pub async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
    last_words: impl FnOnce() -> String,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted(last_words())),
        done = work => done,
    }
}
