//! What an operator tells about an OpenSIPS, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ifbus_call::Kind;

use crate::adapter::Secret;
use crate::key::{
    BadOptions, Key, Tls, host, is_loopback, key, known, name, port, required, shown, text, tls,
};
use crate::proxied::{self, Sip};

/// Every setting of an OpenSIPS.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key(
        "mi",
        "how its management is spoken to: http or udp",
        "http",
        "one page holds five times as many calls",
    ),
    key("port", "port of its management", "8888, with mi=udp 8889", "what `ifbus setup opensips` prints"),
    key("path", "path of JSON-RPC over HTTP", "/mi", "as its module mi_http installs itself"),
    key(
        "user",
        "user for Basic authentication",
        "",
        "its HTTP has it from 4.0 on, a proxy before it in any version",
    ),
    key("secret", "password for Basic authentication", "", "none: whoever reaches the port is let in")
        .hidden(),
    key(
        "tls",
        "how HTTP proves who it is: off, pin, pin:SHA256 or ca:FILE",
        "off",
        "as OpenSIPS installs itself; off this machine clear text is warned of",
    ),
    key(
        "events",
        "our own address and port where it sends its events, or off",
        "off: the server is asked again and again instead",
        "it sends to us, so it must be an address that it reaches; one port for each server",
    ),
    key(
        "drain",
        "shared variable that its script asks whether it drains",
        "ifbus_drain",
        "what `ifbus setup opensips` prints",
    ),
    proxied::SIP,
    proxied::TRANSPORT,
    proxied::LISTEN,
    proxied::ADVERTISE,
    proxied::USER,
    proxied::SECRET,
    proxied::DOMAIN,
    proxied::ANCHOR,
    proxied::ANCHOR_LISTEN,
];

/// The settings of one OpenSIPS, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address.
    pub host: String,
    /// Port of its management.
    pub port: u16,
    /// How that is spoken to.
    pub mi: Mi,
    /// Where it sends events, if it does.
    pub events: Option<SocketAddr>,
    /// The shared variable that its script asks whether it drains.
    pub drain: String,
    /// Where calls are placed, if they are.
    pub sip: Option<Sip>,
}

/// A way to its management interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mi {
    /// Modules `httpd` and `mi_http`.
    Http {
        /// The path.
        path: String,
        /// User and password.
        basic: Option<(String, Secret)>,
        /// Whether it is TLS, and what is asked of its certificate.
        tls: Tls,
    },
    /// Module `mi_datagram`, which believes whoever reaches it.
    Udp,
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        known(Kind::OpenSips, KEYS, given)?;
        let host = host(given)?;
        let mi = mi(given)?;
        let standard = if mi == Mi::Udp { 8889 } else { 8888 };
        Ok(Self {
            port: port(given, "port", standard, 1)?,
            mi,
            events: events(given)?,
            drain: name(given, "drain", "ifbus_drain")?,
            sip: Sip::new(given, &host)?,
            host,
        })
    }

    /// Whether what is said to the management can be read by others on the way.
    #[must_use]
    pub fn is_in_the_open(&self) -> bool {
        !is_loopback(&self.host) && matches!(self.mi, Mi::Udp | Mi::Http { tls: Tls::Off, .. })
    }
}

fn mi(given: &BTreeMap<String, String>) -> Result<Mi, BadOptions> {
    let of_http = ["path", "user", "secret", "tls"];
    match given.get("mi").map_or("http", String::as_str) {
        "http" => {
            Ok(Mi::Http { path: path(given)?, basic: basic(given)?, tls: tls(given, "tls", Tls::Off)? })
        }
        "udp" => match of_http.into_iter().find(|key| given.contains_key(*key)) {
            Some(key) => {
                Err(BadOptions::UnknownKey { kind: Kind::OpenSips, key: format!("{key} (with mi=udp)") })
            }
            None => Ok(Mi::Udp),
        },
        _ => Err(BadOptions::Text("mi")),
    }
}

fn path(given: &BTreeMap<String, String>) -> Result<String, BadOptions> {
    let path = text(given, "path", "/mi")?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    if path.starts_with('/') && path.bytes().all(sound) { Ok(path) } else { Err(BadOptions::Text("path")) }
}

fn basic(given: &BTreeMap<String, String>) -> Result<Option<(String, Secret)>, BadOptions> {
    match (given.contains_key("user"), given.contains_key("secret")) {
        (false, false) => Ok(None),
        (false, true) => Err(BadOptions::Missing("user")),
        (true, _) => Ok(Some((name(given, "user", "")?, Secret::new(required(given, "secret")?)))),
    }
}

/// It is told to the server as it is written here, so it cannot be "every address" or "any port".
fn events(given: &BTreeMap<String, String>) -> Result<Option<SocketAddr>, BadOptions> {
    let Some(value) = given.get("events").filter(|value| *value != "off") else { return Ok(None) };
    let sound = |at: &SocketAddr| at.port() > 0 && !at.ip().is_unspecified() && !at.ip().is_multicast();
    value.parse().ok().filter(sound).map(Some).ok_or_else(|| BadOptions::Events(shown(value, 60)))
}
