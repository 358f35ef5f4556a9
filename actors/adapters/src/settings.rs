//! How a server is reached, as an operator wrote it: keys and values, not yet checked for a kind.

use std::collections::BTreeMap;

use ifbus_call::{InstanceId, Kind, ServerName};

use crate::adapter::{Adapter, Secret};
use crate::asterisk::{self, Asterisk};
use crate::kamailio::{self, Kamailio};
use crate::key::{BadOptions, Key};
use crate::opensips::{self, OpenSips};

/// Host, port, and the `--auth` and `--set` pairs of one server. Each kind checks its own keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Name or address.
    pub host: String,
    /// The management port; the kind's own default if nothing is said.
    pub port: Option<u16>,
    /// Who we are there.
    pub auth: BTreeMap<String, Secret>,
    /// Everything else.
    pub set: BTreeMap<String, String>,
}

/// A setting that a kind does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct BadSetting {
    /// Which key, as written: `auth.secret`, `set.ari_port`.
    pub key: String,
    /// What was expected. Never the value of a secret.
    pub why: String,
}

/// Makes the adapter of one server, as often as its actor is born; the number seeds its randomness.
pub type Make = Box<dyn Fn(u64) -> Box<dyn Adapter>>;

/// Checks the settings of a server and says how its adapter is made.
///
/// # Errors
/// A key that the kind does not know, a value that is not of its form, or a required key that is missing.
pub fn check(
    kind: Kind,
    settings: &Settings,
    instance: InstanceId,
    server: &ServerName,
) -> Result<Make, BadSetting> {
    // What stands in `set` is kept and shown like everything else.
    if let Some(secret) = keys(kind).iter().find(|key| key.secret && settings.set.contains_key(key.name)) {
        let why = "a secret belongs to auth, not to set".to_owned();
        return Err(BadSetting { key: format!("set.{}", secret.name), why });
    }
    match kind {
        Kind::Asterisk => {
            let options = asterisk::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| Box::new(Asterisk::new(options.clone(), instance, server.clone(), seed))))
        }
        Kind::Kamailio => {
            let options = kamailio::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| Box::new(Kamailio::new(options.clone(), instance, server.clone(), seed))))
        }
        Kind::OpenSips => {
            let options = opensips::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| Box::new(OpenSips::new(options.clone(), instance, server.clone(), seed))))
        }
    }
}

/// The management port of a server: what the operator said, or the kind's own default.
#[must_use]
pub fn port_of(kind: Kind, settings: &Settings) -> u16 {
    let is_tls = settings.set.get("tls").is_some_and(|tls| tls != "off");
    settings.port.unwrap_or(match kind {
        Kind::Asterisk if is_tls => 5039,
        Kind::Asterisk => 5038,
        Kind::Kamailio if is_tls => 8443,
        Kind::Kamailio => 8080,
        Kind::OpenSips if settings.set.get("mi").is_some_and(|mi| mi == "udp") => 8889,
        Kind::OpenSips => 8888,
    })
}

/// The keys a kind takes, for help texts, completion and the schema.
#[must_use]
pub const fn keys(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Asterisk => asterisk::KEYS,
        Kind::Kamailio => kamailio::KEYS,
        Kind::OpenSips => opensips::KEYS,
    }
}

/// All pairs of a server in one map. Other names for the same thing are taken on every kind.
fn merged(settings: &Settings) -> BTreeMap<String, String> {
    let mut given = settings.set.clone();
    given.insert("host".to_owned(), settings.host.clone());
    if let Some(port) = settings.port {
        given.insert("port".to_owned(), port.to_string());
    }
    for (key, secret) in &settings.auth {
        let key = match key.as_str() {
            "apikey" | "password" | "token" => "secret",
            "username" => "user",
            other => other,
        };
        given.insert(key.to_owned(), secret.expose().to_owned());
    }
    given
}

fn setting(bad: &BadOptions) -> BadSetting {
    let key = match bad {
        BadOptions::Missing(key) | BadOptions::Text(key) | BadOptions::Name(key) => (*key).to_owned(),
        BadOptions::Sound(key) | BadOptions::Path(key) => (*key).to_owned(),
        BadOptions::Fetch(_) => "fetch".to_owned(),
        BadOptions::Events(_) => "events".to_owned(),
        BadOptions::Port { key, .. } | BadOptions::Template { key, .. } => (*key).to_owned(),
        BadOptions::UnknownKey { key, .. } => key.clone(),
        BadOptions::Host => "host".to_owned(),
        BadOptions::Sip(_) => "sip".to_owned(),
        BadOptions::Tls(_) => "tls".to_owned(),
    };
    BadSetting { key, why: bad.to_string() }
}
