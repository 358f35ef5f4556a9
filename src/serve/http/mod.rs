//! The HTTP API: the fleet, as anybody with a token may see it and ask of it.
//!
//! Not here: a decision, a state. Reading goes to the board and the journal and never waits for an actor; asking goes
//! through `Control`, which answers once and in time. No CORS, no cookie, no page.
//!
//! Read [`routes`] first: every path with the right it needs. Then `gate`: what every request passes. `calls`,
//! `servers` and `events` are the resources, [`body`] their shapes.

pub mod body;
mod calls;
mod conferences;
mod config;
mod detect;
pub mod error;
mod events;
mod gate;
mod guard;
mod health;
mod hosts;
mod matrix;
mod metrics;
mod once;
pub mod openapi;
pub mod problems;
mod recordings;
mod request;
pub mod routes;
mod servers;
mod summary;
#[cfg(test)]
mod tests;
mod wait;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::KeepAlive;
use actix_web::{App, HttpServer, web};
use ifbus_fleet::store::Store;
use ifbus_fleet::{Code, Fleet, Problem, Reply};
use tokio::sync::{Semaphore, watch};

use crate::serve::metrics::Metrics;
use crate::serve::reload::{ReloadBody, Reloader};

pub use guard::Token;
use guard::Tokens;
use hosts::Hosts;

/// Threads that serve requests: they only look and ask, so a few carry thousands of clients.
const WORKERS: usize = 2;
/// The longest a client may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(15);
/// How long open requests may take to end when the orchestrator stops, in seconds.
const STOP_WITHIN_S: u64 = 3;
/// How many requests may wait for something to happen, so that they cannot eat the memory.
const WAITING_MAX: usize = 1_000;
/// A guard against a bug: actors answer long before this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the API needs to know.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// More values of the Host header that are taken.
    pub hosts: Vec<String>,
    /// Who may do what.
    pub tokens: Vec<Token>,
    /// How many connections are open at once.
    pub connections: usize,
    /// This life of the orchestrator, as the journal was given it.
    pub boot: String,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where keys of requests are written down.
    pub store: Store,
    /// The folder of recordings.
    pub recordings: PathBuf,
    /// Reads the configuration again.
    pub reload: Reload,
}

/// Reads the configuration again and says what changed.
pub type Reload = Arc<dyn Fn() -> Reply<ReloadBody> + Send + Sync>;

/// How the configuration is read again; without a file it is refused.
pub(super) fn reloading(reloader: Option<Arc<Reloader>>) -> Reload {
    Arc::new(move || {
        let reloader = reloader.clone();
        Box::pin(async move {
            match reloader {
                Some(reloader) => reloader.reload().await,
                None => {
                    Err(Problem::new(Code::BadConfiguration, "this orchestrator uses no configuration file"))
                }
            }
        })
    })
}

impl Options {
    /// What an operator should know about these options, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let listen = self.listen;
        (!listen.ip().is_loopback()).then(|| {
            format!("the API listens on {listen}, beyond this machine, in clear text: put TLS in front of it")
        })
    }
}

/// The API, listening. Requests are answered once [`Self::server`] is polled.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// To be awaited, or spawned; ends after [`Stop::stop`].
    pub server: Server,
    /// Ends it.
    pub stop: Stop,
}

/// Ends the API.
#[derive(Clone)]
pub struct Stop {
    stopping: watch::Sender<bool>,
    server: ServerHandle,
}

impl Stop {
    /// From now on nothing new is taken; streams get their last line. Returns when every request was answered, or
    /// after a few seconds.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        self.server.stop(true).await;
    }
}

/// What every handler sees.
pub(crate) struct Api {
    fleet: Fleet,
    ready: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
    tokens: Tokens,
    hosts: Hosts,
    boot: String,
    metrics: Arc<Metrics>,
    waiting: Semaphore,
    keys: once::Keys,
    recordings: PathBuf,
    up_since: jiff::Timestamp,
    reload: Reload,
}

/// Binds and builds the API. `ready` becomes true when the first adoption is done.
///
/// # Errors
/// The address cannot be bound.
pub fn server(fleet: Fleet, ready: watch::Receiver<bool>, options: Options) -> io::Result<Serving> {
    if let Some(warning) = options.warning() {
        tracing::warn!(event = "api_beyond_loopback", "{warning}");
    }
    let listener = TcpListener::bind(options.listen)?;
    let address = listener.local_addr()?;
    let stopping = watch::Sender::new(false);
    let api = web::Data::new(Api {
        fleet,
        ready,
        stopping: stopping.subscribe(),
        tokens: Tokens::new(options.tokens),
        hosts: Hosts::new(address, &options.hosts),
        boot: options.boot,
        metrics: options.metrics,
        waiting: Semaphore::new(WAITING_MAX),
        keys: once::Keys::new(options.store),
        recordings: options.recordings,
        up_since: jiff::Timestamp::now(),
        reload: options.reload,
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&api))
            .wrap(actix_web::middleware::from_fn(gate::pass))
            .configure(routes::add)
    })
    .workers(WORKERS)
    .max_connections((options.connections / WORKERS).max(1))
    .client_request_timeout(HEAD_WITHIN)
    .keep_alive(KeepAlive::Timeout(IDLE_MAX))
    .h1_allow_half_closed(false) // a listener that leaves is noticed at once, not with the next event
    .shutdown_timeout(STOP_WITHIN_S)
    .disable_signals()
    .listen(listener)?
    .run();
    let stop = Stop { stopping, server: server.handle() };
    Ok(Serving { address, server, stop })
}

impl Api {
    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// An answer of the fleet, or a problem if it does not come although it must.
    async fn answer<T>(&self, reply: Reply<T>, within: Duration) -> Result<T, Problem> {
        tokio::time::timeout(within, reply).await.unwrap_or_else(|_| {
            Err(Problem::new(
                Code::ServerTimeout,
                "no answer within the deadline; whether it took effect is not known",
            ))
        })
    }
}

/// Waits for a flag; for ever if its owner is gone without raising it.
async fn raised(mut flag: watch::Receiver<bool>) {
    if flag.wait_for(|up| *up).await.is_err() {
        std::future::pending::<()>().await;
    }
}
