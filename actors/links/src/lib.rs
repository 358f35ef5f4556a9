//! What moves the bytes between ifbus and the servers.
//!
//! Not here: what the bytes mean, when a link is opened again. A link is opened once, reports what comes, and ends.
//!
//! Read [`network`] first: all that the fleet knows of this crate. Then [`Sockets`], the real thing.

mod http;
mod listen;
pub mod network;
mod outbox;
pub mod simulated;
mod sip;
mod stream;
#[cfg(test)]
mod tests;
pub mod tls;
mod udp;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use ifbus_adapters::Trust;
use ifbus_adapters::adapter::{Endpoint, HttpRequest, LinkError, LinkId, Listening, RequestId};
use tokio::task::{AbortHandle, spawn_local};

pub use network::{Certificate, Link, Listener, Network, Pending, Report, Sink, SipLeg, Trusted};

use outbox::{Outbox, outbox};
use tls::{Fleeting, Pins, Tls};

/// How long a connection may take to come up. A host that is switched off answers nothing at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How much is read at once: a busy server's events of several milliseconds (docs/benchmarks.md).
const READ_BYTES: usize = 64 * 1024;
/// How much may wait to be sent before the peer counts as not reading.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Real sockets on the thread they are used from, which must run an actix system or a tokio `LocalSet`.
#[derive(Debug)]
pub struct Sockets {
    http: http::Clients,
    pins: Arc<dyn Pins>,
}

impl Default for Sockets {
    /// Certificates trusted at first use are forgotten with it.
    fn default() -> Self {
        Self::new(Arc::new(Fleeting::default()))
    }
}

impl Sockets {
    /// Sockets that ask `pins` about certificates trusted at first use.
    #[must_use]
    pub fn new(pins: Arc<dyn Pins>) -> Self {
        Self { http: http::Clients::default(), pins }
    }
}

impl Network for Sockets {
    fn open(&self, id: LinkId, endpoint: Endpoint, sink: Sink) -> Box<dyn Link> {
        let (outbox, mail) = outbox(WAITING_BYTES_MAX);
        let (clients, pins) = (self.http.clone(), Arc::clone(&self.pins));
        let task = spawn_local(async move {
            let secured = |trust: &Option<Trust>, host: &str, port| {
                trust.as_ref().map(|trust| Tls::new(trust, host, port, pins)).transpose()
            };
            let why = match endpoint {
                Endpoint::Tcp { host, port, tls, quickack } => match secured(&tls, &host, port) {
                    Ok(tls) => stream::run(id, (&host, port), (tls, quickack), mail, &sink).await,
                    Err(why) => why,
                },
                Endpoint::Udp { host, port } => udp::run(id, &host, port, mail, &sink).await,
                Endpoint::Listen { at, from } => udp::listen(id, at, &from, &sink).await,
                Endpoint::WebSocket { host, port, path, basic, message_max, tls } => {
                    match secured(&tls, &host, port) {
                        Ok(tls) => {
                            let (host, path, basic) = (&*host, &*path, basic.as_ref());
                            let to = websocket::To { host, port, path, basic, message_max, tls };
                            websocket::run(id, &clients, to, mail, &sink).await
                        }
                        Err(why) => why,
                    }
                }
            };
            sink(Report::Closed(id, why));
        });
        Box::new(Open { outbox, task: task.abort_handle() })
    }

    fn listen(&self, link: LinkId, listening: Listening, sink: Sink) -> Box<dyn Listener> {
        Box::new(listen::Port::open(link, listening, sink))
    }

    fn request(&self, id: RequestId, http: HttpRequest, sink: Sink) -> Box<dyn Pending> {
        let (clients, pins) = (self.http.clone(), Arc::clone(&self.pins));
        let task = spawn_local(async move {
            let reply = match clients.of(http.tls.as_ref(), &http.host, http.port, pins) {
                Ok(client) => client.ask(http, |bytes| sink(Report::HttpPart(id, bytes))).await,
                Err(why) => Err(why),
            };
            sink(Report::Http(id, reply));
        });
        Box::new(UnderWay { task: task.abort_handle() })
    }

    fn sip(&self, sink: Sink) -> Box<dyn SipLeg> {
        sip::real(Arc::clone(&self.pins), sink)
    }
}

/// A link; dropped, it is closed.
struct Open {
    outbox: Outbox,
    task: AbortHandle,
}

impl Link for Open {
    fn send(&self, bytes: Vec<u8>) {
        self.outbox.put(bytes);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request; dropped, it is given up.
struct UnderWay {
    task: AbortHandle,
}

impl Pending for UnderWay {}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error of the system in our words.
fn link_error(error: &std::io::Error) -> LinkError {
    use std::io::ErrorKind;
    if let Some(tls) = tls::error_of(error) {
        return tls;
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => LinkError::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => LinkError::Reset,
        ErrorKind::TimedOut => LinkError::TimedOut,
        ErrorKind::UnexpectedEof => LinkError::Closed,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => LinkError::NoRoute(error.to_string()),
        _ => LinkError::Other(error.to_string()),
    }
}

/// A host as part of a URL: an IPv6 address goes into brackets.
fn in_url(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}
