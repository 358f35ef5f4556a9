//! The settings of a kind of server: what a key is, and the checks that every kind makes of its values.
//!
//! Which keys there are: `KEYS` of each kind. How a template becomes something to dial: [`crate::template`].

use std::collections::BTreeMap;

use ifbus_call::{Kind, ServerName};

use crate::template::{BadTemplate, Template};
use crate::trust::{Fingerprint, Trust};

/// The longest path a system takes.
const PATH_MAX: usize = 4096;

/// One setting of a kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in `--set NAME=VALUE` and in the configuration file.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What holds if it is not given; empty if there is no default.
    pub default: &'static str,
    /// Why it exists, and why the default is what it is.
    pub reason: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it is never shown again.
    pub secret: bool,
}

/// A setting that may be left out.
pub(crate) const fn key(
    name: &'static str,
    meaning: &'static str,
    default: &'static str,
    reason: &'static str,
) -> Key {
    Key { name, meaning, default, reason, required: false, secret: false }
}

impl Key {
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn hidden(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// Why settings are not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOptions {
    /// A required key is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// There is no such key.
    #[error("{kind} has no setting `{key}`")]
    UnknownKey {
        /// Of which kind of server.
        kind: Kind,
        /// Which key, cut and escaped.
        key: String,
    },
    /// A port that is none.
    #[error("`{key}` is a port from {least} to 65535, not `{given}`")]
    Port {
        /// Which key.
        key: &'static str,
        /// The least value it may have.
        least: u16,
        /// What was given.
        given: String,
    },
    /// A text with characters that would break a wire, or too long.
    #[error("`{0}` takes 1 to 100 printable characters without blanks")]
    Text(&'static str),
    /// Neither a name nor an address.
    #[error("`host` is a name or an address")]
    Host,
    /// A name with characters that no name needs and that would mean something to it, or to a terminal.
    #[error("`{0}` takes 1 to 80 letters, digits, and any of - _ . @")]
    Name(&'static str),
    /// A template that cannot work.
    #[error("`{key}`: {why}")]
    Template {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        why: BadTemplate,
    },
    /// No way to trust a certificate.
    #[error(
        "`tls` is off, pin (the first certificate seen), pin:SHA256 (64 hexadecimal digits) or ca:FILE \
         (an absolute path to PEM), not `{0}`"
    )]
    Tls(String),
    /// The same, for a web server beside the telephones' one.
    #[error(
        "`web_tls` is pin (the first certificate seen), pin:SHA256 (64 hexadecimal digits), ca:FILE \
         (an absolute path to PEM) or off, not `{0}`"
    )]
    WebTls(String),
    /// None of the ways to fetch a recording.
    #[error("`fetch` is off, socket, or an http:// address of a folder, not `{0}`")]
    Fetch(String),
    /// A sound that is none, or that never ends where it has to.
    #[error("`{0}` is a tone_stream://, local_stream:// or absolute path to a file, without blanks")]
    Sound(&'static str),
    /// A path with characters that would mean something to the server.
    #[error("`{0}` is an absolute path of letters, digits, and any of - _ . /")]
    Path(&'static str),
    /// No address of ours that a server could send to.
    #[error("`events` is an address and port of ours, such as 127.0.0.1:8449, or off, not `{0}`")]
    Events(String),
    /// Neither `host:port` nor `off`.
    #[error("`sip` is host:port or off, not `{0}`")]
    Sip(String),
}

/// Whether the links are TLS, and how the server proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Clear text.
    Off,
    /// The first certificate that is seen is trusted from then on.
    FirstUse,
    /// This certificate and no other.
    Pinned(Fingerprint),
    /// Signed by an authority of this file.
    Authority(String),
}

impl Tls {
    /// What is asked of the certificate of this server.
    #[must_use]
    pub fn trust(&self, server: &ServerName) -> Option<Trust> {
        match self {
            Self::Off => None,
            Self::FirstUse => Some(Trust::FirstUse(server.clone())),
            Self::Pinned(fingerprint) => Some(Trust::Pinned(*fingerprint)),
            Self::Authority(file) => Some(Trust::Authority(file.clone())),
        }
    }
}

/// Refuses a key that the kind does not have.
pub(crate) fn known(kind: Kind, keys: &[Key], given: &BTreeMap<String, String>) -> Result<(), BadOptions> {
    match given.keys().find(|name| keys.iter().all(|key| key.name != name.as_str())) {
        Some(unknown) => Err(BadOptions::UnknownKey { kind, key: shown(unknown, 60) }),
        None => Ok(()),
    }
}

/// Name or address of the server.
pub(crate) fn host(given: &BTreeMap<String, String>) -> Result<String, BadOptions> {
    let host = required(given, "host")?;
    if host.bytes().all(is_of_host) { Ok(host) } else { Err(BadOptions::Host) }
}

/// Whether a host is this machine, where clear text is read by nobody else.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(crate) fn required(given: &BTreeMap<String, String>, key: &'static str) -> Result<String, BadOptions> {
    if given.contains_key(key) { text(given, key, "") } else { Err(BadOptions::Missing(key)) }
}

pub(crate) fn text(
    given: &BTreeMap<String, String>,
    key: &'static str,
    default: &str,
) -> Result<String, BadOptions> {
    let Some(value) = given.get(key) else { return Ok(default.to_owned()) };
    let printable = value.bytes().all(|byte| byte > 0x20 && byte != 0x7f);
    if printable && (1..=100).contains(&value.len()) { Ok(value.clone()) } else { Err(BadOptions::Text(key)) }
}

pub(crate) fn name(
    given: &BTreeMap<String, String>,
    key: &'static str,
    default: &str,
) -> Result<String, BadOptions> {
    let Some(value) = given.get(key) else { return Ok(default.to_owned()) };
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    let is_name = (1..=80).contains(&value.len()) && value.bytes().all(sound);
    if is_name { Ok(value.clone()) } else { Err(BadOptions::Name(key)) }
}

pub(crate) fn port(
    given: &BTreeMap<String, String>,
    key: &'static str,
    default: u16,
    least: u16,
) -> Result<u16, BadOptions> {
    let Some(value) = given.get(key) else { return Ok(default) };
    let port = value.parse::<u16>().ok().filter(|port| *port >= least);
    port.ok_or_else(|| BadOptions::Port { key, least, given: shown(value, 20) })
}

/// The beginning of a value, so that an error can be printed whatever it holds.
pub(crate) fn shown(value: &str, most: usize) -> String {
    value.chars().take(most).flat_map(char::escape_debug).collect()
}

pub(crate) fn template(
    given: &BTreeMap<String, String>,
    key: &'static str,
    default: Option<&str>,
    technologies: &'static [&'static str],
) -> Result<Option<Template>, BadOptions> {
    let text = given.get(key).map(String::as_str).or(default);
    let checked = text.map(|text| Template::new(text, technologies)).transpose();
    checked.map_err(|why| BadOptions::Template { key, why })
}

/// A name, an IPv4 or an IPv6 address.
pub(crate) const fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_')
}

pub(crate) fn sip(given: &BTreeMap<String, String>, host: &str) -> Result<Option<(String, u16)>, BadOptions> {
    let Some(value) = given.get("sip") else { return Ok(Some((host.to_owned(), 5060))) };
    if value == "off" {
        return Ok(None);
    }
    let bad = || BadOptions::Sip(shown(value, 60));
    let (name, port) = value.rsplit_once(':').ok_or_else(bad)?;
    let name = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name);
    let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad)?;
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_of_host) {
        return Err(bad());
    }
    Ok(Some((name.to_owned(), port)))
}

/// The file itself is looked at when a link is opened.
pub(crate) fn tls(given: &BTreeMap<String, String>, key: &str, default: Tls) -> Result<Tls, BadOptions> {
    let Some(value) = given.get(key) else { return Ok(default) };
    let bad = || BadOptions::Tls(shown(value, 80));
    let is_path =
        |file: &str| file.starts_with('/') && file.len() <= PATH_MAX && !file.chars().any(char::is_control);
    match (value.as_str(), value.split_once(':')) {
        ("off", _) => Ok(Tls::Off),
        ("pin", _) => Ok(Tls::FirstUse),
        (_, Some(("pin", digits))) => digits.parse().map(Tls::Pinned).map_err(|_| bad()),
        (_, Some(("ca", file))) if is_path(file) => Ok(Tls::Authority(file.to_owned())),
        _ => Err(bad()),
    }
}
