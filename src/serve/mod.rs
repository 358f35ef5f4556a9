//! The orchestrator: what is started in which order, and its surfaces.
//!
//! Not here: a decision. Surfaces look at the board and the journal, and ask through `Control`.
//!
//! Order: configuration, secrets and store (all that can be refused is refused before anything listens), actors, API,
//! the proof that it runs. It ends in the opposite order, and no call ends with it.

pub mod detect;
pub mod http;
mod keep;
pub mod log;
pub mod matrix;
pub mod metrics;
mod open;
mod pins;
pub mod reload;
mod simulated;
pub mod specs;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ifbus_config::{BadConfig, Paths};
use ifbus_fleet::store::StoreError;
use ifbus_fleet::view::ServerState;
use ifbus_fleet::{Fleet, Meter};
use ifbus_supervision::{Exit, Kernel};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use open::Started;

/// How long the first look at the servers may hold up the word that we are ready.
const ADOPTION_WITHIN: Duration = Duration::from_secs(2);

/// How often the record of deaths is looked at: they are rare, and the figure is scraped every few seconds.
const LOOK_AT_DEATHS_EVERY: Duration = Duration::from_secs(2);

/// How an orchestrator is to run.
pub struct ServeOptions {
    /// Its files.
    pub paths: Paths,
    /// The configuration file; the one in the paths, if there is one, when nothing is said.
    pub config: Option<PathBuf>,
    /// Where to listen, instead of what the configuration says.
    pub listen: Option<SocketAddr>,
    /// Simulated servers instead of a configuration, and nothing is kept: for the demo and for rehearsals.
    pub simulated: bool,
    /// Told once that it listens, and where.
    pub ready: Box<dyn FnOnce(SocketAddr) + Send>,
}

/// Why an orchestrator did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration file is not right.
    #[error("{0}")]
    Config(#[from] BadConfig),
    /// A secret cannot be had.
    #[error("{0}")]
    Secret(#[from] specs::NoSecret),
    /// A file of ours cannot be used.
    #[error("{0}")]
    File(#[from] ifbus_config::private::BadPrivate),
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A server that was added before cannot be used any more.
    #[error("the server {0} that was added before cannot be read: {1}; do: ifbus remove sip {0}")]
    Added(ifbus_call::ServerName, String),
    /// The settings of a server are refused by its kind.
    #[error("the server {0}: {1}")]
    Setting(ifbus_call::ServerName, ifbus_adapters::BadSetting),
    /// Two names for one server.
    #[error("{0} and {1} are the same server: one host and port has one name")]
    Twice(ifbus_call::ServerName, ifbus_call::ServerName),
    /// Another one runs with the same folders.
    #[error("an orchestrator runs here already{0}; nothing was started")]
    Running(String),
    /// The address is taken.
    #[error("{at} is in use by another program; nothing was started")]
    InUse {
        /// Which.
        at: SocketAddr,
    },
    /// The system says no.
    #[error("{what}: {source}")]
    System {
        /// To what.
        what: &'static str,
        /// Its words.
        source: io::Error,
    },
    /// The actors did not come up.
    #[error("the actors did not start: {0}")]
    Actors(String),
}

/// Runs until it is told to end by SIGTERM or SIGINT.
///
/// # Errors
/// It could not start; nothing listens and nothing was changed.
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    actix_rt::System::new().block_on(orchestrate(options))
}

async fn orchestrate(options: ServeOptions) -> Result<(), ServeError> {
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    let board = Arc::default();
    let metrics = metrics::Metrics::new(Arc::clone(&board), env!("CARGO_PKG_VERSION"));
    let opened = open::open(&options, &metrics, board)?;
    let listen = options.listen.unwrap_or(opened.config.listen);
    let counts: Arc<dyn Meter> = metrics.clone();
    let boot = opened.boot.clone();
    let (connections, hosts) = (opened.config.limits.connections, opened.config.hosts.clone());
    let (tokens, store) = (opened.tokens.clone(), opened.store.clone());
    let Started { fleet, kernel, keepers, reloader } = opened.start(counts).await?;
    let reload = http::reloading(reloader.map(Arc::new));
    let (stopping, stop) = watch::channel(false);
    let ready = watch_adoption(fleet.clone());
    let deaths = actix_rt::spawn(count_deaths(kernel.clone(), Arc::clone(&metrics)));
    let feed = actix_rt::spawn(metrics::feed::run(Arc::clone(&metrics), fleet.clone(), stop));
    let api = http::Options {
        listen,
        hosts,
        tokens,
        connections,
        boot,
        metrics: Arc::clone(&metrics),
        store,
        recordings: options.paths.recordings(),
        reload: Arc::clone(&reload),
    };
    let serving = http::server(fleet, ready.clone(), api).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::InUse { at: listen },
        _ => ServeError::System { what: "listening", source },
    })?;
    actix_rt::spawn(serving.server);
    let running = format!("{{\"pid\":{},\"address\":\"{}\"}}\n", std::process::id(), serving.address);
    ifbus_config::private::write(&options.paths.running(), &running)?;
    // Whoever waits for us wants to place a call next: servers that answer at all have done so by then.
    let mut adopted = ready;
    let _ = tokio::time::timeout(ADOPTION_WITHIN, adopted.wait_for(|done| *done)).await;
    (options.ready)(serving.address);
    tracing::info!(event = "started", address = %serving.address, "listening");

    // Whoever runs it at a terminal ends it by closing that.
    let of_terminal = io::stdin().is_terminal();
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match of_terminal {
                true => break,
                false => log_reload(reload().await),
            },
        }
    }
    tracing::info!(event = "stopping", "stopping; calls go on at their servers");
    // The file may be gone with its folder.
    let _ = std::fs::remove_file(options.paths.running());
    serving.stop.stop().await;
    kernel.stop().await;
    stopping.send_replace(true);
    deaths.abort();
    // The feed ends by itself; a panic in it was told of when it happened.
    let _ = feed.await;
    drop(keepers);
    Ok(())
}

fn listen_to(kind: SignalKind) -> Result<tokio::signal::unix::Signal, ServeError> {
    signal(kind).map_err(|source| ServeError::System { what: "listening to signals", source })
}

/// Tells how a reload went that nobody waits for.
fn log_reload(done: Result<reload::ReloadBody, ifbus_fleet::Problem>) {
    match done {
        Ok(reload::ReloadBody { added, changed, removed, kept, at_restart, .. }) => {
            tracing::info!(
                event = "reloaded",
                ?added,
                ?changed,
                ?removed,
                ?at_restart,
                "the configuration was read again"
            );
            for reload::KeptBody { server, why } in kept {
                tracing::warn!(event = "reload_kept", %server, "{why}");
            }
        }
        Err(problem) => tracing::error!(event = "reload_refused", "{problem}"),
    }
}

/// Counts the deaths of actors; an ordered stop is none.
async fn count_deaths(kernel: Kernel, metrics: Arc<metrics::Metrics>) {
    let mut counted = Duration::ZERO;
    loop {
        actix_rt::time::sleep(LOOK_AT_DEATHS_EVERY).await;
        let deaths = kernel.deaths();
        for death in deaths.iter().filter(|death| death.at > counted && death.exit != Exit::Stopped) {
            metrics.actor_restarted(role_of(&death.actor), death.exit.reason());
        }
        counted = deaths.last().map_or(counted, |last| last.at);
    }
}

/// What an actor is, by its path.
fn role_of(path: &str) -> &'static str {
    match path.split('/').collect::<Vec<_>>()[..] {
        [_] => "office",
        [_, "router"] => "router",
        [_, "conferences"] => "conferences",
        [_, _] => "server",
        [_, _, _] => "connection",
        _ => "other",
    }
}

/// Becomes true when every server of the start was looked at once: its calls are adopted, or it cannot be reached.
fn watch_adoption(fleet: Fleet) -> watch::Receiver<bool> {
    let (done, ready) = watch::channel(false);
    actix_rt::spawn(async move {
        let mut reader = fleet.journal.reader(Some(0));
        let connecting =
            || fleet.board.servers().iter().any(|server| server.state == ServerState::Connecting);
        while connecting() {
            // An event tells of a change; the look in between is for a server that has nothing to tell.
            let _ = tokio::time::timeout(Duration::from_millis(200), reader.next()).await;
        }
        done.send_replace(true);
    });
    ready
}
