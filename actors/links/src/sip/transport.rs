//! The endpoint of one server: its sockets, its one connection, and what is let through to the crate.
//!
//! One endpoint and transport layer for each server, everything sent there (sheet sip-3pcc, W1): a server that does not
//! read blocks its own calls and nobody else's. Connections are made by us, one at a time, within three seconds (W17), and
//! verified by the links' own TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use ifbus_adapters::Trust;
use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::sip::{SipEndpoint, SipTransport};
use rsipstack::sip::{HeadersExt, Method, Request, Response, SipMessage, Transport};
use rsipstack::transaction::endpoint::{
    EndpointBuilder, EndpointInner, EndpointInnerRef, MessageInspector, TransportEventInspector,
};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::{Endpoint, TransactionReceiver};
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::tls::TlsConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent, TransportLayer};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::socket::Guarded;
use super::text::Text;
use crate::link_error;
use crate::tls::{HANDSHAKE_WITHIN, Pins, Tls};

/// The header by which a reply that the crate made itself is known (W11); never on the wire.
pub(super) const LOCAL: &str = "x-ifbus-local";
/// A connection that is not there by then is not waited for.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Connections that a server may have open towards us: it needs one.
const CONNECTIONS_MAX: usize = 16;

/// The sockets of one server.
pub(super) struct Wires {
    pub(super) endpoint: EndpointInnerRef,
    pub(super) server: SipAddr,
    /// What far ends are told of us: `host:port`.
    pub(super) contact: String,
    pub(super) transport: &'static str,
    trust: Option<(Trust, String, u16)>,
    pins: Arc<dyn Pins>,
    listen: SocketAddr,
    connecting: tokio::sync::Mutex<()>,
    /// Our end of the connection that is used.
    connected: Arc<Mutex<Option<SipAddr>>>,
    pub(super) stop: CancellationToken,
}

/// What is heard that belongs to no transaction.
pub(super) struct Orphan {
    pub(super) response: Response,
}

impl Wires {
    /// Binds, and begins to receive. `orphans` is told of final replies to INVITE that no transaction waits for (W4).
    pub(super) async fn bind(
        settings: &SipEndpoint,
        pins: Arc<dyn Pins>,
        orphans: UnboundedSender<Orphan>,
        is_anchors: bool,
    ) -> Result<(Self, TransactionReceiver), LinkError> {
        let peers = resolve(&settings.host, settings.port).await?;
        let peer = *peers
            .iter()
            .find(|peer| peer.is_ipv4() == settings.listen.is_ipv4())
            .ok_or_else(|| LinkError::NoRoute(format!("{} has no address of our family", settings.host)))?;
        let allowed: Vec<IpAddr> = peers.iter().map(|peer| peer.ip().to_canonical()).collect();
        let stop = CancellationToken::new();
        let mut layer = TransportLayer::new(stop.clone());
        let (kind, word) = match settings.transport {
            SipTransport::Udp => (Transport::Udp, "UDP"),
            SipTransport::Tcp => (Transport::Tcp, "TCP"),
            SipTransport::Tls(_) => (Transport::Tls, "TLS"),
        };
        let server = SipAddr::new(kind, peer.into());
        layer.outbound = Some(server.clone());
        let whitelist = allowed.clone();
        layer.set_whitelist(move |ip: IpAddr| {
            let allowed = whitelist.contains(&ip.to_canonical());
            async move { allowed }
        });
        let connected = Arc::new(Mutex::new(None));
        let connected_too = Arc::clone(&connected);
        let gate = Gate { endpoint: OnceLock::new(), orphans, connected: connected_too, is_anchors };
        let gate = Arc::new(gate);
        let endpoint = EndpointBuilder::new()
            .with_user_agent("ifbus")
            .with_transport_layer(layer)
            .with_cancel_token(stop.clone())
            .with_inspector(Box::new(Marking))
            .with_transport_inspector(Box::new(Gated(Arc::clone(&gate))))
            .build();
        // set once, right here
        let _ = gate.endpoint.set(Arc::downgrade(&endpoint.inner));
        let bound = listen(settings, &endpoint, allowed, &stop).await?;
        let contact = match &settings.advertise {
            Some((host, port)) => format!("{}:{port}", crate::in_url(host)),
            None => {
                let ip = if bound.ip().is_unspecified() { own_address(peer).await? } else { bound.ip() };
                SocketAddr::new(ip, bound.port()).to_string()
            }
        };
        let trust = match &settings.transport {
            SipTransport::Tls(trust) => Some((trust.clone(), settings.host.clone(), settings.port)),
            _ => None,
        };
        let incoming =
            endpoint.incoming_transactions().map_err(|error| LinkError::Other(error.to_string()))?;
        let inner = Arc::clone(&endpoint.inner);
        tokio::spawn(async move { endpoint.serve().await });
        let wires = Self {
            endpoint: inner,
            server,
            contact,
            transport: word,
            trust,
            pins,
            listen: bound,
            connecting: tokio::sync::Mutex::new(()),
            connected,
            stop,
        };
        Ok((wires, incoming))
    }

    /// Makes the connection, if it needs one and has none.
    pub(super) async fn connect(&self) -> Result<(), LinkError> {
        if self.transport == "UDP" {
            return Ok(());
        }
        let _one = self.connecting.lock().await;
        if locked(&self.connected).is_some() {
            return Ok(());
        }
        let peer = self.server.get_socketaddr().map_err(|error| LinkError::Other(error.to_string()))?;
        let stream = match timeout(CONNECT_WITHIN, self.open(peer)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(link_error(&error)),
            Err(_) => return Err(LinkError::TimedOut),
        };
        stream.set_nodelay(true).map_err(|error| link_error(&error))?;
        let local = stream.local_addr().map_err(|error| link_error(&error))?;
        let child = Some(self.stop.child_token());
        let other = |error: rsipstack::Error| LinkError::Other(error.to_string());
        let connection: SipConnection = match &self.trust {
            None => {
                let local = SipAddr::new(Transport::Tcp, local.into());
                TcpConnection::from_stream(stream, local, child).map_err(other)?.into()
            }
            Some((trust, host, port)) => {
                let tls = Tls::new(trust, host, *port, Arc::clone(&self.pins))?;
                let handshake = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream);
                let stream = match timeout(HANDSHAKE_WITHIN, handshake).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return Err(link_error(&error)),
                    Err(_) => return Err(LinkError::Tls("the peer does not answer in TLS".to_owned())),
                };
                let made = TlsConnection::from_client_stream(stream, self.server.clone(), child).await;
                made.map_err(other)?.into()
            }
        };
        *locked(&self.connected) = Some(connection.get_addr().clone());
        self.endpoint.transport_layer.add_connection(connection);
        Ok(())
    }

    /// Under TLS from the port that far ends know, because nothing listens there: the server finds the connection by it.
    async fn open(&self, peer: SocketAddr) -> std::io::Result<TcpStream> {
        if self.trust.is_some() {
            let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            if socket.bind(self.listen).is_ok()
                && let Ok(stream) = socket.connect(peer).await
            {
                return Ok(stream);
            }
        }
        TcpStream::connect(peer).await
    }

    /// Sends a message outside of any transaction.
    pub(super) async fn send(&self, message: Request) {
        if self.connect().await.is_err() {
            return;
        }
        if let Ok((connection, to)) = self.endpoint.transport_layer.lookup(&self.server, None).await
            && let Err(error) = connection.send(SipMessage::Request(message), Some(&to)).await
        {
            tracing::debug!(%error, "a SIP message was not sent");
        }
    }
}

/// Binds the socket that far ends know, and takes connections there.
async fn listen(
    settings: &SipEndpoint,
    endpoint: &Endpoint,
    allowed: Vec<IpAddr>,
    stop: &CancellationToken,
) -> Result<SocketAddr, LinkError> {
    let layer = &endpoint.inner.transport_layer;
    match settings.transport {
        SipTransport::Udp => {
            let socket = patiently(|| UdpSocket::bind(settings.listen)).await?;
            let bound = socket.local_addr().map_err(|error| link_error(&error))?;
            let socket = Arc::new(Guarded::new(socket, allowed));
            let made = UdpConnection::from_socket(socket, None, Some(stop.child_token())).await;
            layer.add_transport(made.map_err(|error| LinkError::Other(error.to_string()))?.into());
            Ok(bound)
        }
        SipTransport::Tcp => {
            let socket = patiently(|| TcpListener::bind(settings.listen)).await?;
            let bound = socket.local_addr().map_err(|error| link_error(&error))?;
            let (inner, stop) = (Arc::clone(&endpoint.inner), stop.clone());
            tokio::spawn(async move {
                let accepting = accept(&socket, bound, &inner, &allowed, &stop);
                stop.run_until_cancelled(accepting).await;
            });
            Ok(bound)
        }
        // what the server has to say comes on the connection we made
        SipTransport::Tls(_) => Ok(settings.listen),
    }
}

/// Binds as soon as the address is free: the reader of an endpoint that was just closed may still hold it.
async fn patiently<T, F: Future<Output = std::io::Result<T>>>(bind: impl Fn() -> F) -> Result<T, LinkError> {
    let mut tries = 0;
    loop {
        match bind().await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < 50 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bound => return bound.map_err(|error| link_error(&error)),
        }
    }
}

async fn accept(
    socket: &TcpListener,
    bound: SocketAddr,
    inner: &EndpointInnerRef,
    allowed: &[IpAddr],
    stop: &CancellationToken,
) {
    loop {
        let Ok((stream, from)) = socket.accept().await else {
            // out of descriptors: whoever waits is served when some are free again
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let welcome = allowed.contains(&from.ip().to_canonical())
            && inner.transport_layer.connections_count() < CONNECTIONS_MAX;
        if welcome && stream.set_nodelay(true).is_ok() {
            let local = SipAddr::new(Transport::Tcp, bound.into());
            if let Ok(connection) = TcpConnection::from_stream(stream, local, Some(stop.child_token())) {
                inner.transport_layer.add_connection(connection.into());
            }
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, LinkError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(lookup_host((host, port)).await.map_err(|error| link_error(&error))?.collect())
}

/// The address from which this host would speak to `peer`.
async fn own_address(peer: SocketAddr) -> Result<IpAddr, LinkError> {
    let any = if peer.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| link_error(&error))?;
    socket.connect(peer).await.map_err(|error| link_error(&error))?;
    Ok(socket.local_addr().map_err(|error| link_error(&error))?.ip())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is let through to transactions.
struct Gate {
    endpoint: OnceLock<Weak<EndpointInner>>,
    orphans: UnboundedSender<Orphan>,
    connected: Arc<Mutex<Option<SipAddr>>>,
    /// Calls are let through.
    is_anchors: bool,
}

struct Gated(Arc<Gate>);

impl Gate {
    fn is_known(&self, response: &Response) -> bool {
        let Some(endpoint) = self.endpoint.get().and_then(Weak::upgrade) else { return true };
        // one without a readable key is nobody's
        TransactionKey::from_response(response, TransactionRole::Client).is_ok_and(|key| {
            endpoint.transactions.get(&key).is_some() || endpoint.finished_transactions.get(&key).is_some()
        })
    }

    fn orphan(&self, response: &Response) {
        let invite = response.cseq_header().ok().and_then(|cseq| cseq.method().ok()) == Some(Method::Invite);
        if invite && response.status_code.code() >= 200 {
            // whoever listens may have ended with the endpoint
            let _ = self.orphans.send(Orphan { response: response.clone() });
        }
    }
}

#[async_trait]
impl TransportEventInspector for Gated {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        match &event {
            TransportEvent::Incoming(SipMessage::Response(response), _, _) if !self.0.is_known(response) => {
                self.0.orphan(response);
                None
            }
            // nobody calls us: what would begin a dialog, and a CANCEL of one, is not answered (W3)
            TransportEvent::Incoming(SipMessage::Request(request), _, _)
                if is_uninvited(request) && !(self.0.is_anchors && request.method == Method::Invite) =>
            {
                None
            }
            TransportEvent::Closed(connection) => {
                let mut connected = locked(&self.0.connected);
                if connected.as_ref() == Some(connection.get_addr()) {
                    *connected = None;
                }
                drop(connected);
                Some(event)
            }
            _ => Some(event),
        }
    }
}

fn is_uninvited(request: &Request) -> bool {
    match request.method {
        Method::Options | Method::Ack => false,
        Method::Cancel => true,
        _ => Text::of(request).first("to").and_then(super::text::tag).is_none(),
    }
}

/// Marks what the crate says itself.
struct Marking;

impl MessageInspector for Marking {
    fn before_send(&self, message: SipMessage, _to: Option<&SipAddr>) -> SipMessage {
        message
    }

    fn after_received(&self, mut message: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        if let SipMessage::Response(response) = &mut message {
            response.headers.retain(|header| !header.name().eq_ignore_ascii_case(LOCAL));
            if from.is_none() {
                response.headers.push(rsipstack::sip::Header::Other(LOCAL.into(), "1".into()));
            }
        }
        message
    }
}
