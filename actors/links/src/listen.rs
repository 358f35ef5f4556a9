//! A port of ours and those who are connected to it.
//!
//! Two properties of a connection are for a peer that posts small requests and believes in a connection until it hears
//! otherwise (sheet flexisip, section 9): what was read is acknowledged at once, or each request waits 40 ms for it; and
//! our death resets it. Not here: what is said on it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ifbus_adapters::adapter::{Identity, LinkError, LinkId, Listening};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::network::Listener;
use crate::outbox::{Mail, Outbox, outbox};
use crate::stream::read;
use crate::{Report, Sink, link_error};

/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long a peer may take nothing of what is sent to him.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How much may wait to be sent to one peer: our answers are a few bytes each.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// After the system refused a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// An open or opening port; dropped, it is closed, and all that is connected to it.
pub(crate) struct Port {
    peers: Peers,
    task: AbortHandle,
}

/// Those who are connected, from their first byte on.
type Peers = Rc<RefCell<BTreeMap<LinkId, Peer>>>;

struct Peer {
    outbox: Outbox,
    task: AbortHandle,
}

impl Port {
    pub(crate) fn open(id: LinkId, listening: Listening, sink: Sink) -> Self {
        let peers = Peers::default();
        let known = Rc::clone(&peers);
        let task = spawn_local(async move {
            let why = listen(id, listening, &known, &sink).await;
            sink(Report::Closed(id, why));
        });
        Self { peers, task: task.abort_handle() }
    }
}

impl Listener for Port {
    fn send(&self, link: LinkId, bytes: Vec<u8>) {
        if let Some(peer) = self.peers.borrow().get(&link) {
            peer.outbox.put(bytes);
        }
    }

    fn close(&self, link: LinkId) {
        if let Some(peer) = self.peers.borrow_mut().remove(&link) {
            peer.task.abort();
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
        self.peers.borrow().values().for_each(|peer| peer.task.abort());
    }
}

/// Accepts until that is not possible any more, and says why.
async fn listen(id: LinkId, listening: Listening, peers: &Peers, sink: &Sink) -> LinkError {
    let tls = match listening.tls.as_ref().map(acceptor).transpose() {
        Ok(tls) => tls,
        Err(why) => return why,
    };
    let allowed = match addresses(&listening.peers).await {
        Ok(allowed) => allowed,
        Err(why) => return why,
    };
    let listener = match TcpListener::bind(listening.at).await {
        Ok(listener) => listener,
        Err(error) => return LinkError::Other(format!("{}: {error}", listening.at)),
    };
    sink(Report::Opened(id));
    let mut slots = Slots::new(listening.slots);
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, at = %listening.at, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // also for those who are not let in: a reset says at once what silence would say in a minute
        if let Err(error) = stream.set_zero_linger().and_then(|()| stream.set_nodelay(true)) {
            tracing::debug!(%error, %from, "a connection was gone at once");
            continue;
        }
        let may = allowed.contains(&from.ip().to_canonical());
        if !may || peers.borrow().len() >= listening.most {
            tracing::warn!(%from, at = %listening.at, may, "a connection was refused");
            continue;
        }
        let Some(slot) = slots.next(|slot| peers.borrow().contains_key(&LinkId { slot, ..id })) else {
            continue;
        };
        let link = LinkId { slot, ..id };
        let (outbox, mail) = outbox(WAITING_BYTES_MAX);
        let (known, tls, sink) = (Rc::clone(peers), tls.clone(), Rc::clone(sink));
        let task = spawn_local(async move {
            let told = serve(id, link, from, Prompt(stream), tls, mail, &sink).await;
            known.borrow_mut().remove(&link);
            match told {
                Served::Told(why) => sink(Report::Closed(link, why)),
                Served::Untold(why) => tracing::warn!(%from, %why, "a connection came to nothing"),
            }
        });
        peers.borrow_mut().insert(link, Peer { outbox, task: task.abort_handle() });
    }
}

/// How a connection ended: whether it was reported before.
enum Served {
    Told(LinkError),
    Untold(LinkError),
}

async fn serve(
    listener: LinkId,
    link: LinkId,
    from: SocketAddr,
    stream: Prompt,
    tls: Option<TlsAcceptor>,
    mail: Mail,
    sink: &Sink,
) -> Served {
    let Some(tls) = tls else {
        sink(Report::Accepted(listener, link, from));
        return Served::Told(carry(link, stream, mail, sink).await);
    };
    match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            sink(Report::Accepted(listener, link, from));
            Served::Told(carry(link, stream, mail, sink).await)
        }
        Ok(Ok(_)) => Served::Untold(LinkError::Tls("no h2 was agreed on".to_owned())),
        Ok(Err(error)) => Served::Untold(link_error(&error)),
        Err(_) => Served::Untold(LinkError::TimedOut),
    }
}

async fn carry(link: LinkId, stream: impl AsyncRead + AsyncWrite, mail: Mail, sink: &Sink) -> LinkError {
    let (reading, writing) = tokio::io::split(stream);
    tokio::select! {
        biased;
        why = read(link, reading, sink) => why,
        why = write(writing, mail) => why,
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut mail: Mail) -> LinkError {
    loop {
        let bytes = mail.next().await;
        if mail.is_over_limit() {
            return LinkError::Limit("bytes waiting to be sent");
        }
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        match timeout(WRITE_WITHIN, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return link_error(&error),
            Err(_) => return LinkError::TimedOut,
        }
    }
}

/// All addresses behind these names.
async fn addresses(names: &[String]) -> Result<Vec<IpAddr>, LinkError> {
    let mut found = Vec::new();
    for name in names {
        let behind = lookup_host((name.as_str(), 0)).await;
        let behind = behind.map_err(|error| LinkError::NoRoute(format!("{name}: {error}")))?;
        found.extend(behind.map(|address| address.ip().to_canonical()));
    }
    Ok(found)
}

fn acceptor(identity: &Identity) -> Result<TlsAcceptor, LinkError> {
    let bad = |file: &str, why: &dyn std::fmt::Display| LinkError::Tls(format!("{file}: {why}"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&identity.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(&identity.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| bad(&identity.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&identity.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| bad(&identity.certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Slots in turn.
struct Slots {
    all: RangeInclusive<u8>,
    next: u8,
}

impl Slots {
    fn new(all: RangeInclusive<u8>) -> Self {
        let next = *all.start();
        Self { all, next }
    }

    fn next(&mut self, is_taken: impl Fn(u8) -> bool) -> Option<u8> {
        for _ in self.all.clone() {
            let slot = self.next;
            self.next = if slot >= *self.all.end() { *self.all.start() } else { slot + 1 };
            if !is_taken(slot) {
                return Some(slot);
            }
        }
        None
    }
}

/// A stream that acknowledges what it has read at once. The system forgets that wish, so it is said again each time.
struct Prompt(TcpStream);

impl Prompt {
    #[cfg(target_os = "linux")]
    fn acknowledge(&self) {
        // without it everything works, only later
        let _ = self.0.set_quickack(true);
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge(&self) {}
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(context, buffer);
        if polled.is_ready() {
            self.acknowledge();
        }
        polled
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
