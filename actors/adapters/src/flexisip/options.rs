//! What an operator tells about a Flexisip, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ifbus_call::Kind;

use crate::adapter::{Identity, Secret};
use crate::key::{BadOptions, Key, Tls, host, is_loopback, is_of_host, key, known, port, required, tls};
use crate::proxied::{self, Sip};

/// The longest token: one of OpenID Connect carries claims.
const TOKEN_MAX: usize = 4096;
/// The longest path a system takes.
const PATH_MAX: usize = 4096;

/// Every setting of a Flexisip.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the proxy", "", "there is nothing to guess").required(),
    key("port", "port of its SIP side", "5060", "as Flexisip installs itself"),
    proxied::TRANSPORT,
    proxied::LISTEN,
    proxied::ADVERTISE,
    proxied::USER,
    proxied::SECRET,
    proxied::DOMAIN,
    proxied::ANCHOR,
    proxied::ANCHOR_LISTEN,
    key(
        "events",
        "our own address and port for its pushes, or off",
        "off",
        "without it calls of others are not seen",
    ),
    key("events_secret", "the key it shows there", "", "`flexiapi-api-key` of its configuration").hidden(),
    key(
        "events_cert",
        "PEM file of our certificate there",
        "",
        "it speaks TLS; without one a front has to do that",
    ),
    key("events_key", "PEM file of its private key", "", "belongs to events_cert"),
    key(
        "events_from",
        "who may push beside the host, a name or address",
        "",
        "a front, or another address of its",
    ),
    key(
        "api",
        "host of the account manager, or off",
        "off",
        "a Flexisip works without one; the name selects the space",
    ),
    key("api_port", "its port", "443", "as it installs itself"),
    key(
        "api_tls",
        "how it proves who it is: off, pin, pin:SHA256 or ca:FILE",
        "pin",
        "an API key is worth as much as a password",
    ),
    key(
        "secret",
        "API key, or a token of OpenID Connect",
        "",
        "only an API key of an administrator sees accounts",
    )
    .hidden(),
];

/// The settings of one Flexisip, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address of the proxy.
    pub host: String,
    /// Where and as whom calls are placed.
    pub sip: Sip,
    /// Where its pushes are received, if they are.
    pub events: Option<Events>,
    /// Its account manager, if there is one.
    pub api: Option<Api>,
}

/// A port of ours for pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// Our own address and port.
    pub at: SocketAddr,
    /// What whoever pushes must show.
    pub secret: Secret,
    /// Our certificate; none where a front does TLS.
    pub identity: Option<Identity>,
    /// Who may connect.
    pub peers: Vec<String>,
}

/// An account manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Name of the space.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is TLS, and what is asked of its certificate.
    pub tls: Tls,
    /// How we show who we are.
    pub login: Option<Login>,
}

/// How we show who we are to an account manager (sheet, section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// An API key: good for everything.
    Key(Secret),
    /// A token of OpenID Connect: good for that account alone.
    Token(Secret),
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        known(Kind::Flexisip, KEYS, given)?;
        let host = host(given)?;
        let sip_port = port(given, "port", 5060, 1)?;
        let mut of_sip = given.clone();
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        of_sip.insert("sip".to_owned(), format!("{bracketed}:{sip_port}"));
        let sip = Sip::new(&of_sip, &host)?.ok_or(BadOptions::Missing("host"))?;
        Ok(Self { sip, events: events(given, &host)?, api: api(given)?, host })
    }
}

fn events(given: &BTreeMap<String, String>, host: &str) -> Result<Option<Events>, BadOptions> {
    let Some(at) = given.get("events").filter(|at| *at != "off") else { return Ok(None) };
    let at: SocketAddr = at.parse().map_err(|_| BadOptions::Text("events"))?;
    let secret = Secret::new(required(given, "events_secret")?);
    let identity = match (path(given, "events_cert")?, path(given, "events_key")?) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, Some(_)) => return Err(BadOptions::Missing("events_cert")),
        (Some(_), None) => return Err(BadOptions::Missing("events_key")),
    };
    let mut peers = vec![host.to_owned()];
    if let Some(from) = given.get("events_from") {
        let sound = (1..=100).contains(&from.len()) && from.bytes().all(is_of_host);
        peers.push(sound.then(|| from.clone()).ok_or(BadOptions::Text("events_from"))?);
    }
    // a key that goes over a network in clear text is nobody's key
    if identity.is_none() && !at.ip().is_loopback() {
        return Err(BadOptions::Missing("events_cert"));
    }
    Ok(Some(Events { at, secret, identity, peers }))
}

fn path(given: &BTreeMap<String, String>, key: &'static str) -> Result<Option<String>, BadOptions> {
    let Some(path) = given.get(key) else { return Ok(None) };
    let sound = path.starts_with('/') && path.len() <= PATH_MAX && !path.chars().any(char::is_control);
    if sound { Ok(Some(path.clone())) } else { Err(BadOptions::Text(key)) }
}

fn api(given: &BTreeMap<String, String>) -> Result<Option<Api>, BadOptions> {
    let Some(host) = given.get("api").filter(|host| *host != "off") else { return Ok(None) };
    if !(1..=100).contains(&host.len()) || !host.bytes().all(is_of_host) {
        return Err(BadOptions::Text("api"));
    }
    let tls = tls(given, "api_tls", Tls::FirstUse)?;
    let standard = if tls == Tls::Off { 80 } else { 443 };
    let login = given.get("secret").map(|secret| login(secret)).transpose()?;
    if tls == Tls::Off && login.is_some() && !is_loopback(host) {
        return Err(BadOptions::Tls("off beside a secret, off this machine".to_owned()));
    }
    Ok(Some(Api { host: host.clone(), port: port(given, "api_port", standard, 1)?, tls, login }))
}

/// A token has three parts, a key has one.
fn login(secret: &str) -> Result<Login, BadOptions> {
    let printable = secret.bytes().all(|byte| byte > 0x20 && byte < 0x7f);
    if !printable || !(1..=TOKEN_MAX).contains(&secret.len()) {
        return Err(BadOptions::Text("secret"));
    }
    let kept = Secret::new(secret);
    Ok(if secret.split('.').count() == 3 { Login::Token(kept) } else { Login::Key(kept) })
}
