//! The names of things: calls, recordings, conferences, legs, servers, this instance.
//!
//! Every id is a type, and none is made here out of thin air: time and randomness are handed in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Crockford's base 32: no I, L, O, U, so that an id read aloud comes back the same.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// A call id is `c_` and 26 characters.
    #[error("a call id is `c_` and 26 characters of 0-9 and A-Z without I, L, O, U")]
    Call,
    /// A recording id is `rec_` and 26 characters.
    #[error("a recording id is `rec_` and 26 characters of 0-9 and A-Z without I, L, O, U")]
    Recording,
    /// A conference id is 1 to 32 letters, digits, `-` and `_`, beginning with a letter or digit.
    #[error("a conference id is 1 to 32 letters, digits, `-`, `_` and begins with a letter or digit")]
    Conference,
    /// A leg id is 32 hexadecimal digits.
    #[error("a leg id is 32 hexadecimal digits")]
    Leg,
    /// An instance id is 16 hexadecimal digits.
    #[error("an instance id is 16 hexadecimal digits")]
    Instance,
    /// A server name is 1 to 40 characters of letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
    #[error(
        "a server name is 1 to 40 characters of letters, digits, `-`, `_`, `.` and begins with a letter or digit"
    )]
    Server,
}

/// A call: `c_` and 26 characters, ordered by the time of birth (48 bits of milliseconds, 80 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CallId(u128);

impl CallId {
    /// The id of a call born `unix_ms` milliseconds after 1970, told apart by the low 80 bits of `random`.
    #[must_use]
    pub fn new(unix_ms: u64, random: u128) -> Self {
        Self((u128::from(unix_ms & 0xFFFF_FFFF_FFFF) << 80) | (random & ((1 << 80) - 1)))
    }

    /// Milliseconds after 1970 at which the call was born.
    #[must_use]
    pub fn born_unix_ms(self) -> u64 {
        u64::try_from(self.0 >> 80).expect("48 bits fit")
    }

    /// The last six characters: what tables on a terminal show, because the first ones repeat.
    #[must_use]
    pub fn ending(self) -> String {
        let text = self.to_string();
        text[text.len() - 6..].to_owned()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c_{}", base32(self.0))
    }
}

impl FromStr for CallId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix("c_").and_then(from_base32).map(Self).ok_or(BadId::Call)
    }
}

/// A recording: `rec_` and 26 characters, ordered by the time of birth like [`CallId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecordingId(u128);

impl RecordingId {
    /// The id of a recording born `unix_ms` milliseconds after 1970, told apart by the low 80 bits of `random`.
    #[must_use]
    pub fn new(unix_ms: u64, random: u128) -> Self {
        Self(CallId::new(unix_ms, random).0)
    }

    /// The last six characters, see [`CallId::ending`].
    #[must_use]
    pub fn ending(self) -> String {
        let text = self.to_string();
        text[text.len() - 6..].to_owned()
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rec_{}", base32(self.0))
    }
}

impl FromStr for RecordingId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix("rec_").and_then(from_base32).map(Self).ok_or(BadId::Recording)
    }
}

/// The name of a conference, chosen by its user, in lower case: some servers do not tell `Sales` from `sales`. It becomes part of a server's room name and of a dialplan extension,
/// so it holds nothing that means something there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ConferenceId(Box<str>);

impl ConferenceId {
    /// The longest name: with `conf-` and an instance id before it, it fits into the 80 bytes of an Asterisk extension.
    pub const LENGTH_MAX: usize = 32;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ConferenceId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let well_formed = text.len() <= Self::LENGTH_MAX
            && text.bytes().all(allowed)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if well_formed { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(BadId::Conference) }
    }
}

/// A leg: 128 random bits, chosen before the server hears of it and never shown in SIP.
///
/// Unpredictable on purpose: whoever forges an event has to guess it (sheet asterisk, section 11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LegId(pub u128);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for LegId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        hexadecimal(text, 32).map(Self).ok_or(BadId::Leg)
    }
}

/// This installation of ifbus: persisted, part of every tag, so that the calls of a second one are foreign to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InstanceId(pub u64);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for InstanceId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let value = hexadecimal(text, 16).ok_or(BadId::Instance)?;
        Ok(Self(u64::try_from(value).expect("16 digits fit")))
    }
}

/// The name an operator gave a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServerName(Box<str>);

impl ServerName {
    /// The longest name, so that every table keeps its columns.
    pub const LENGTH_MAX: usize = 40;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let well_formed = text.len() <= Self::LENGTH_MAX
            && text.bytes().all(allowed)
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if well_formed { Ok(Self(text.into())) } else { Err(BadId::Server) }
    }
}

/// One life of our state-bearing links to a server, counted from 1; nothing older is believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One life of the server itself, in its own words (Asterisk: the start time); another text, another life.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Boot(pub String);

fn base32(mut value: u128) -> String {
    let mut text = [b'0'; 26];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(value & 31) as usize];
        value >>= 5;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

fn from_base32(text: &str) -> Option<u128> {
    if text.len() != 26 || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = ALPHABET.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        Some((value << 5) | digit as u128)
    })
}

fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if well_formed { u128::from_str_radix(text, 16).ok() } else { None }
}

macro_rules! text_form {
    ($($id:ty),*) => {$(
        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
        impl TryFrom<String> for $id {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

text_form!(CallId, RecordingId, ConferenceId, LegId, InstanceId, ServerName);
