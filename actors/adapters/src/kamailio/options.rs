//! What an operator tells about a Kamailio, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ifbus_call::Kind;

use crate::adapter::Secret;
use crate::key::{
    BadOptions, Key, Tls, host, is_loopback, is_of_host, key, known, name, port, required, sip, text, tls,
};

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
    key(
        "sip",
        "where calls are placed: host:port, or off",
        "the host, port 5060",
        "without it calls are listed and ended, none is made",
    ),
    key("sip_transport", "how SIP travels: udp or tcp", "udp", "every proxy has it"),
    key(
        "sip_listen",
        "our own address and port for SIP",
        "127.0.0.1:0 for a server on this machine, else required",
        "phones come back to it after a restart of ours, so it must stay the same",
    ),
    key("sip_advertise", "what phones are told of it instead, host:port", "", "behind NAT it is another one"),
    key("sip_user", "user for SIP digest authentication", "", "the usual other way is to trust our address"),
    key("sip_secret", "its password", "", "never a default password").hidden(),
    key("domain", "host part of addresses that have none", "the host", "the proxy's own domain"),
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

/// Where and as whom calls are placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Name or address of the proxy.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// One connection instead of datagrams.
    pub tcp: bool,
    /// Our own address and port.
    pub listen: SocketAddr,
    /// What phones are told instead.
    pub advertise: Option<(String, u16)>,
    /// User and password for digest authentication.
    pub user: Option<(String, Secret)>,
    /// Host part of addresses that have none.
    pub domain: String,
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
            sip: sip_side(given, &host)?,
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

fn sip_side(given: &BTreeMap<String, String>, server: &str) -> Result<Option<Sip>, BadOptions> {
    let Some((host, port)) = sip(given, server)? else { return Ok(None) };
    let tcp = match given.get("sip_transport").map_or("udp", String::as_str) {
        "udp" => false,
        "tcp" => true,
        _ => return Err(BadOptions::Text("sip_transport")),
    };
    let user = given.contains_key("sip_user").then(|| name(given, "sip_user", "")).transpose()?;
    let user = match user {
        Some(user) => Some((user, Secret::new(required(given, "sip_secret")?))),
        None => None,
    };
    let domain = text(given, "domain", server)?;
    if !domain.bytes().all(is_of_host) {
        return Err(BadOptions::Text("domain"));
    }
    Ok(Some(Sip {
        listen: listen(given, &host)?,
        host,
        port,
        tcp,
        advertise: advertise(given)?,
        user,
        domain,
    }))
}

/// On this machine every port will do; elsewhere nobody can guess which of our addresses phones reach.
fn listen(given: &BTreeMap<String, String>, host: &str) -> Result<SocketAddr, BadOptions> {
    match given.get("sip_listen") {
        Some(value) => value.parse().map_err(|_| BadOptions::Text("sip_listen")),
        None if host == "localhost"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()) =>
        {
            Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
        }
        None => Err(BadOptions::Missing("sip_listen")),
    }
}

fn advertise(given: &BTreeMap<String, String>) -> Result<Option<(String, u16)>, BadOptions> {
    let Some(value) = given.get("sip_advertise") else { return Ok(None) };
    let bad = BadOptions::Text("sip_advertise");
    let Some((host, port)) = value.rsplit_once(':') else { return Err(bad) };
    match port.parse::<u16>() {
        Ok(port @ 1..) if !host.is_empty() && host.len() <= 100 && host.bytes().all(is_of_host) => {
            Ok(Some((host.to_owned(), port)))
        }
        _ => Err(bad),
    }
}
