//! What an operator tells about a Kamailio, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation.

use std::collections::BTreeMap;

use ifbus_call::Kind;

use crate::adapter::Secret;
use crate::key::{BadOptions, Key, Tls, host, is_loopback, key, known, name, port, required, text, tls};
use crate::proxied::{self, Sip};

/// Every setting of a Kamailio.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key("port", "port of HTTP with JSON-RPC", "8080, with TLS 8443", "what `ifbus setup kamailio` prints"),
    key("path", "path of JSON-RPC", "/rpc", "what `ifbus setup kamailio` prints"),
    key("user", "user for Basic authentication", "", "given, the secret is shown as its password"),
    key("secret", "what is shown to JSON-RPC", "", "none: the server believes our address").hidden(),
    key(
        "header",
        "header that carries the secret, such as X-Api-Token",
        "Authorization: Bearer",
        "the server's configuration decides; any name is possible there",
    ),
    key(
        "tls",
        "how JSON-RPC proves who it is: off, pin, pin:SHA256 or ca:FILE",
        "off",
        "as Kamailio installs itself; off this machine clear text is warned of",
    ),
    key(
        "events_port",
        "port of evapi; 0 = ask again and again instead",
        "8448",
        "what `ifbus setup kamailio` prints",
    ),
    key("table", "htable with the key `drain`", "ifbus", "what `ifbus setup kamailio` prints"),
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

/// The settings of one Kamailio, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address.
    pub host: String,
    /// Port of JSON-RPC.
    pub port: u16,
    /// Its path.
    pub path: String,
    /// Whether JSON-RPC is TLS, and what is asked of its certificate.
    pub tls: Tls,
    /// How we show who we are.
    pub login: Login,
    /// Port of evapi, if there is one.
    pub events: Option<u16>,
    /// The htable that the configuration asks whether it drains.
    pub table: String,
    /// Where calls are placed, if they are.
    pub sip: Option<Sip>,
}

/// How we show who we are to JSON-RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Not at all: our address is enough.
    None,
    /// User and password.
    Basic(String, Secret),
    /// A header with this value.
    Header(String, Secret),
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        known(Kind::Kamailio, KEYS, given)?;
        let host = host(given)?;
        let tls = tls(given, "tls", Tls::Off)?;
        let rpc_port = if tls == Tls::Off { 8080 } else { 8443 };
        let events = port(given, "events_port", 8448, 0)?;
        Ok(Self {
            port: port(given, "port", rpc_port, 1)?,
            path: path(given)?,
            tls,
            login: login(given)?,
            events: (events > 0).then_some(events),
            table: name(given, "table", "ifbus")?,
            sip: Sip::new(given, &host)?,
            host,
        })
    }

    /// Whether the server is on this machine, where clear text is read by nobody else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

fn path(given: &BTreeMap<String, String>) -> Result<String, BadOptions> {
    let path = text(given, "path", "/rpc")?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    if path.starts_with('/') && path.bytes().all(sound) { Ok(path) } else { Err(BadOptions::Text("path")) }
}

fn login(given: &BTreeMap<String, String>) -> Result<Login, BadOptions> {
    let secret = given.contains_key("secret").then(|| required(given, "secret")).transpose()?;
    let user = given.contains_key("user").then(|| name(given, "user", "")).transpose()?;
    let header = given.contains_key("header").then(|| text(given, "header", "")).transpose()?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match (secret, user, header) {
        (None, None, None) => Ok(Login::None),
        (None, ..) => Err(BadOptions::Missing("secret")),
        (Some(_), Some(_), Some(_)) => Err(BadOptions::Text("header")),
        (Some(secret), Some(user), None) => Ok(Login::Basic(user, Secret::new(secret))),
        (Some(secret), None, Some(header)) if header.bytes().all(token) => {
            Ok(Login::Header(header, Secret::new(secret)))
        }
        (Some(_), None, Some(_)) => Err(BadOptions::Text("header")),
        (Some(secret), None, None) => {
            Ok(Login::Header("Authorization".to_owned(), Secret::new(format!("Bearer {secret}"))))
        }
    }
}
