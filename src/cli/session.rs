//! Which orchestrator a command talks to: the one that was named, the one that runs here, or one that is started.

use std::future::Future;
use std::path::Path;

use ifbus_config::{Paths, Secret, nearest, orchestrators, token};

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

/// An orchestrator that was named, with the token that is shown to it.
pub struct Named {
    /// Where it is.
    pub base: Base,
    token: Option<Secret>,
}

/// The orchestrator named by `--on` or `IFBUS_URL`: an address, or a name of the file of orchestrators.
///
/// # Errors
/// It is neither, or its token cannot be had.
pub fn named(on: Option<&str>) -> Result<Option<Named>, Failure> {
    let from_env = std::env::var("IFBUS_URL").ok().filter(|url| !url.is_empty());
    let Some(text) = on.map(str::to_owned).or(from_env) else { return Ok(None) };
    let is_name =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_name {
        return Ok(Some(Named { base: Base::parse(&text)?, token: token()? }));
    }
    let path = paths()?.orchestrators();
    let known = orchestrators::load(&path).map_err(|error| Failure::here(error.to_string()))?;
    let Some(found) = known.get(&text) else {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let near = nearest(&text, names.iter().copied()).map(|near| format!("did you mean {near}?   "));
        let failure = Failure::unknown_orchestrator(format!("no orchestrator is called `{text}`"));
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(failure.with(format!(
            "{}named in {}: {names}",
            near.unwrap_or_default(),
            path.display()
        )));
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let own = found.token(folder, &|name| std::env::var(name).ok());
    let own = own.map_err(|error| Failure::here(format!("{}: {text}.token: {error}", path.display())))?;
    let own = match from_environment() {
        Some(token) => Some(token),
        None => own,
    };
    Ok(Some(Named { base: Base::parse(&found.url)?, token: own.map_or_else(token, |own| Ok(Some(own)))? }))
}

/// A client of the orchestrator that was named, or of the one that runs here. None is started.
///
/// # Errors
/// As [`named`].
pub async fn existing(on: Option<&str>) -> Result<Option<Client>, Failure> {
    if let Some(Named { base, token }) = named(on)? {
        return Ok(Some(Client::new(base, token)));
    }
    match background::running(&paths()?).await {
        Some(running) => Ok(Some(Client::new(Base::of(running.address), token()?))),
        None => Ok(None),
    }
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
    if let Some(token) = from_environment() {
        return Ok(Some(token));
    }
    token::read(&paths()?.token()).map_err(|error| Failure::here(error.to_string()))
}

fn from_environment() -> Option<Secret> {
    std::env::var("IFBUS_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new)
}

impl Session {
    /// Finds the orchestrator, or starts one in the background and says so. `secret` are the variables of our
    /// environment that it is not to inherit.
    ///
    /// # Errors
    /// None was named and none can be started.
    pub async fn open(screen: Screen, on: Option<&str>, secret: &[&str]) -> Result<Self, Failure> {
        if let Some(Named { base, token }) = named(on)? {
            return Ok(Self { screen, client: Client::new(base, token) });
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
