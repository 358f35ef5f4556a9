//! How a peer proves who it is, before anything of ours is said to it.
//!
//! Values only. Not here: the proof itself; that is the links' (`links/src/tls.rs`).

use std::fmt;
use std::str::FromStr;

use ifbus_call::ServerName;

/// What is asked of a peer's certificate. With any of these the link is TLS.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trust {
    /// Signed by an authority in this PEM file, not expired, and made out to the host's name or address.
    Authority(String),
    /// Exactly this certificate, whatever its name and expiry.
    Pinned(Fingerprint),
    /// The first one that was ever seen of this server at this address; from then on exactly that one.
    FirstUse(ServerName),
}

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is the 64 hexadecimal digits of a SHA-256")]
pub struct BadFingerprint;

impl Fingerprint {
    /// As much of it as a person compares: `ab12cd34ef56ab12..`.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}..", &self.to_string()[..16])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    /// Digits of either case; colons between bytes, as openssl prints them, are taken.
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 || text.len() > 95 {
            return Err(BadFingerprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let half = |digit: u8| char::from(digit).to_digit(16).ok_or(BadFingerprint);
            let (high, low) = (half(pair[0])?, half(pair[1])?);
            *byte = u8::try_from(high << 4 | low).map_err(|_| BadFingerprint)?;
        }
        Ok(Self(bytes))
    }
}
