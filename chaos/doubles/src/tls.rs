//! TLS before a double: a port that speaks TLS outside and clear text inside, and certificates made on the spot.
//!
//! Not here: what a double does. Whatever is said in clear text to this port is answered as a TLS server answers it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::digest::base64;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How long a client may take for its handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    der: Vec<u8>,
    key: Vec<u8>,
}

/// Which days a certificate is valid on, as year, month and day.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// The first.
    pub from: (i32, u8, u8),
    /// The last.
    pub until: (i32, u8, u8),
}

impl Default for Days {
    /// Longer than any test.
    fn default() -> Self {
        Self { from: (2020, 1, 1), until: (2100, 1, 1) }
    }
}

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    own: Identity,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// No key can be made.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut asked = CertificateParams::default();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = asked.self_signed(&key).expect("a key signs its own certificate");
        let own = Identity { der: signed.der().to_vec(), key: key.serialize_der() };
        Self { pem: signed.pem(), own, issuer: Issuer::new(asked, key) }
    }

    /// Its certificate, as an operator keeps it in a file.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate, shown as a server's: what `openssl req -x509` makes of a server.
    #[must_use]
    pub fn own(&self) -> Identity {
        self.own.clone()
    }

    /// Signs a certificate for these names and addresses.
    ///
    /// # Panics
    /// A name is none.
    #[must_use]
    pub fn sign(&self, names: &[&str], days: Days) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params(names, days).signed_by(&key, &self.issuer).expect("a name is a name");
        Identity { der: signed.der().to_vec(), key: key.serialize_der() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// One that signs itself, as an operator makes it in a minute.
    ///
    /// # Panics
    /// A name is none.
    #[must_use]
    pub fn self_signed(names: &[&str], days: Days) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params(names, days).self_signed(&key).expect("a name is a name");
        Self { der: signed.der().to_vec(), key: key.serialize_der() }
    }

    /// The certificate as it goes over the wire.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Certificate and key, as an operator keeps them in two files.
    #[must_use]
    pub fn pem(&self) -> (String, String) {
        let pem = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(der))
        };
        (pem("CERTIFICATE", &self.der), pem("PRIVATE KEY", &self.key))
    }

    fn config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let chain = vec![CertificateDer::from(self.der.clone())];
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.expect("the key is the certificate's own"))
    }
}

fn params(names: &[&str], days: Days) -> CertificateParams {
    let mut asked = CertificateParams::default();
    asked.subject_alt_names = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName((*name).try_into().expect("a name is a name")),
        })
        .collect();
    let date = |(year, month, day)| date_time_ymd(year, month, day);
    (asked.not_before, asked.not_after) = (date(days.from), date(days.until));
    asked
}

/// A TLS port on loopback before a port in clear text. Dropping it closes it.
#[derive(Debug)]
pub struct Front {
    at: SocketAddr,
    shown: Arc<Mutex<Arc<ServerConfig>>>,
    refused: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Opens a port that shows this identity.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn before(inside: SocketAddr, identity: &Identity) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        let shown = Arc::new(Mutex::new(identity.config()));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = Arc::clone(&shown);
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let thread = std::thread::Builder::new().name("tls-front".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    _ = accept(listener, inside, &config, &count) => {}
                }
            });
        })?;
        Ok(Self { at, shown, refused, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// How many connections ended before their handshake did.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Shows another identity to whoever connects from now on.
    pub fn show(&self, identity: &Identity) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = identity.config();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    inside: SocketAddr,
    shown: &Mutex<Arc<ServerConfig>>,
    refused: &Arc<AtomicUsize>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&shown.lock().unwrap_or_else(PoisonError::into_inner));
        let refused = Arc::clone(refused);
        // What breaks a connection later is seen by its client; there is nobody else to tell.
        tokio::spawn(async move { serve(stream, inside, config, &refused).await });
    }
}

async fn serve(
    outside: TcpStream,
    inside: SocketAddr,
    config: Arc<ServerConfig>,
    refused: &AtomicUsize,
) -> io::Result<()> {
    outside.set_nodelay(true)?;
    let handshake = TlsAcceptor::from(config).accept(outside);
    let Ok(Ok(mut outside)) = tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await else {
        refused.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    };
    let mut inside = TcpStream::connect(inside).await?;
    inside.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
