//! TLS as a client: the peer is verified in the handshake, and nothing of ours is said before it is over.
//!
//! Not here: which trust an operator chose (`ifbus_adapters::trust`), where fingerprints are kept ([`Pins`] is told).
//! Every connection is verified anew: sessions are not resumed, and nothing is sent early.

#[cfg(test)]
mod tests;
mod validity;
mod verifier;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::{Fingerprint, Trust};
use ifbus_call::ServerName;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{self, CertificateDer};
use rustls::{ClientConfig, InvalidMessage};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::network::Certificate;
use verifier::Verifier;

pub use validity::not_after;

/// How long a handshake may take. Less than an adapter gives a login, so that whoever waits for clear text is told as that.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);

/// The fingerprints of servers whose certificate was trusted when it was first seen.
pub trait Pins: std::fmt::Debug + Send + Sync {
    /// Compares a certificate with the one that is known of this server at this address (`host:port`), or keeps it if
    /// none is known.
    ///
    /// # Errors
    /// Another one is known, or this one cannot be kept: in words that say so.
    fn settle(&self, server: &ServerName, at: &str, seen: Fingerprint) -> Result<(), String>;
}

/// Fingerprints that are forgotten with the program.
#[derive(Debug, Default)]
pub struct Fleeting {
    known: Mutex<BTreeMap<(ServerName, String), Fingerprint>>,
}

impl Pins for Fleeting {
    fn settle(&self, server: &ServerName, at: &str, seen: Fingerprint) -> Result<(), String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match *known.entry((server.clone(), at.to_owned())).or_insert(seen) {
            expected if expected == seen => Ok(()),
            expected => Err(changed(expected, seen)),
        }
    }
}

/// The words for a peer that shows another certificate than before.
#[must_use]
pub fn changed(expected: Fingerprint, seen: Fingerprint) -> String {
    format!("certificate changed: expected {}, got {}", expected.short(), seen.short())
}

/// Everything that one TLS connection, or a pool of them to one place, needs.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    verifier: Arc<Verifier>,
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: pki_types::ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(trust: &Trust, host: &str, port: u16, pins: Arc<dyn Pins>) -> Result<Self, LinkError> {
        let provider = Arc::new(ring::default_provider());
        let name = pki_types::ServerName::try_from(host.to_owned()).map_err(|_| {
            LinkError::Tls(format!("{host} is no name that a certificate can be made out to"))
        })?;
        let at = format!("{}:{port}", crate::in_url(host));
        let verifier = Arc::new(Verifier::new(trust, name.clone(), at, pins, Arc::clone(&provider))?);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| LinkError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        // A resumed session would show no certificate.
        config.resumption = Resumption::disabled();
        config.enable_sni = host.parse::<IpAddr>().is_err();
        Ok(Self { verifier, config: Arc::new(config), name })
    }

    /// The certificate that was verified last.
    pub(crate) fn certificate(&self) -> Option<Certificate> {
        self.verifier.certificate()
    }
}

/// TLS to whoever is there, whose certificate is believed and forgotten: for a look at what a stranger is. Nothing that
/// is secret may be said on it.
///
/// # Errors
/// No TLS is spoken there, or `host` is no name that a certificate can be made out to.
pub async fn to_a_stranger(
    host: &str,
    stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let port = stream.peer_addr()?.port();
    let nobody: ServerName = "stranger".parse().expect("it is a name");
    let tls = Tls::new(&Trust::FirstUse(nobody), host, port, Arc::new(Fleeting::default()))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    TlsConnector::from(tls.config).connect(tls.name, stream).await
}

/// The SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let mut bytes = [0; 32];
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().expect("it is a suite of TLS 1.3");
    bytes.copy_from_slice(suite.common.hash_provider.hash(certificate).as_ref());
    Fingerprint(bytes)
}

/// What an error of a socket means if TLS caused it.
pub(crate) fn error_of(error: &io::Error) -> Option<LinkError> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(LinkError::Tls(match error {
        // our own verifier's words
        rustls::Error::General(why) => why.clone(),
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::MessageTooLarge,
        ) => "the peer does not speak TLS: clear text came, so tls=off or another port".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("the peer refused TLS: {alert:?}"),
        other => format!("TLS failed: {other}"),
    }))
}
