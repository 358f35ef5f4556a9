//! The one place where a certificate is believed or not.
//!
//! That the peer holds the key of its certificate is proven in every case; only what is asked of the certificate itself
//! differs with the operator's choice.

use std::sync::{Arc, Mutex, PoisonError};

use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::{Fingerprint, Trust};
use ifbus_call::ServerName;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{self, CertificateDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Pins, fingerprint, not_after};
use crate::network::{Certificate, Trusted};

/// What is asked of the certificates of one place.
#[derive(Debug)]
pub(super) struct Verifier {
    asked: Asked,
    name: pki_types::ServerName<'static>,
    /// `host:port`.
    at: String,
    provider: Arc<CryptoProvider>,
    verified: Mutex<Option<Certificate>>,
}

#[derive(Debug)]
enum Asked {
    Authority(Arc<WebPkiServerVerifier>, String),
    Pinned(Fingerprint),
    FirstUse(ServerName, Arc<dyn Pins>),
}

impl Verifier {
    pub(super) fn new(
        trust: &Trust,
        name: pki_types::ServerName<'static>,
        at: String,
        pins: Arc<dyn Pins>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, LinkError> {
        let asked = match trust {
            Trust::Pinned(fingerprint) => Asked::Pinned(*fingerprint),
            Trust::FirstUse(server) => Asked::FirstUse(server.clone(), pins),
            Trust::Authority(file) => {
                let roots = Arc::new(authorities(file)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                let verifier = verifier.map_err(|error| LinkError::Tls(format!("{file}: {error}")))?;
                Asked::Authority(verifier, file.clone())
            }
        };
        Ok(Self { asked, name, at, provider, verified: Mutex::default() })
    }

    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn verify(
        &self,
        shown: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Trusted, String> {
        let seen = fingerprint(shown);
        match &self.asked {
            Asked::Pinned(expected) if *expected == seen => Ok(Trusted::Pinned),
            Asked::Pinned(expected) => Err(format!(
                "certificate is not the pinned one: expected {}, got {}",
                expected.short(),
                seen.short()
            )),
            Asked::FirstUse(server, pins) => {
                pins.settle(server, &self.at, seen).map(|()| Trusted::AtFirstUse)
            }
            Asked::Authority(verifier, file) => verifier
                .verify_server_cert(shown, above, &self.name, &[], now)
                .map(|_| Trusted::Authority)
                .map_err(|error| self.words(&error, file)),
        }
    }

    fn words(&self, error: &Error, file: &str) -> String {
        let name = self.name.to_str();
        let Error::InvalidCertificate(why) = error else { return format!("certificate refused: {error}") };
        match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "certificate expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "certificate is not valid yet".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("certificate is not made out to {name}")
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!(
                    "certificate is not signed by an authority of {file}; if it is signed by itself: tls=pin"
                )
            }
            // `openssl req -x509` makes authorities of servers; the verifier below us calls it so in no other way
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "certificate is an authority's own and not a server's; it signed itself: tls=pin".to_owned()
            }
            other => format!("certificate refused: {other}; if it is signed by itself: tls=pin"),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _name: &pki_types::ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trusted = self.verify(shown, above, now).map_err(Error::General)?;
        let certificate = Certificate {
            at: self.at.clone(),
            sha256: fingerprint(shown),
            not_after: not_after(shown),
            trusted,
        };
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The authorities of a PEM file, read anew for each connection so that a renewed file counts.
fn authorities(file: &str) -> Result<RootCertStore, LinkError> {
    let unusable = |why: String| LinkError::Tls(format!("the authorities in {file} cannot be used: {why}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(roots) }
}
