//! How a server is reached, as an operator wrote it: keys and values, not yet checked for a kind.

use std::collections::BTreeMap;

use ifbus_call::{InstanceId, Kind, ServerName};

use crate::adapter::{Adapter, Secret};
use crate::anchor::{Anchored, Media, Proxied};
use crate::asterisk::{self, Asterisk};
use crate::elastix::{self, Elastix};
use crate::flexisip::{self, Flexisip};
use crate::freeswitch::{self, FreeSwitch};
use crate::kamailio::{self, Kamailio};
use crate::key::{self, BadOptions, Key};
use crate::names::digest;
use crate::opensips::{self, OpenSips};
use crate::proxied::Sip;
use crate::random::Random;
use crate::yate::{self, Yate};

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

/// A server of the fleet, by which another one is helped.
#[derive(Clone, Copy, Debug)]
pub struct Helper<'a> {
    /// Its name.
    pub name: &'a ServerName,
    /// Its kind.
    pub kind: Kind,
    /// How it is reached.
    pub settings: &'a Settings,
}

/// Checks the settings of a server and says how its adapter is made. `anchor` is the server that its setting `anchor`
/// names.
///
/// # Errors
/// A key that the kind does not know, a value that is not of its form, or a required key that is missing.
pub fn check(
    kind: Kind,
    settings: &Settings,
    instance: InstanceId,
    server: &ServerName,
    anchor: Option<Helper<'_>>,
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
        Kind::Flexisip => {
            let mut options = flexisip::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let media = lend(Some(&mut options.sip), anchor, instance, server)?;
            let server = server.clone();
            let make = move |seed| Flexisip::new(options.clone(), instance, server.clone(), seed);
            Ok(proxied(make, media))
        }
        Kind::Kamailio => {
            let mut options = kamailio::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let media = lend(options.sip.as_mut(), anchor, instance, server)?;
            let server = server.clone();
            let make = move |seed| Kamailio::new(options.clone(), instance, server.clone(), seed);
            Ok(proxied(make, media))
        }
        Kind::OpenSips => {
            let mut options = opensips::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let media = lend(options.sip.as_mut(), anchor, instance, server)?;
            let server = server.clone();
            let make = move |seed| OpenSips::new(options.clone(), instance, server.clone(), seed);
            Ok(proxied(make, media))
        }
        Kind::Elastix => {
            let options = elastix::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| Box::new(Elastix::new(options.clone(), instance, server.clone(), seed))))
        }
        Kind::Yate => {
            let options = yate::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| Box::new(Yate::new(options.clone(), instance, server.clone(), seed))))
        }
        Kind::FreeSwitch => {
            let options = freeswitch::Options::new(&merged(settings)).map_err(|bad| setting(&bad))?;
            let server = server.clone();
            Ok(Box::new(move |seed| {
                Box::new(FreeSwitch::new(options.clone(), instance, server.clone(), seed))
            }))
        }
    }
}

/// The name of the server that lends its media to this one, if one is named.
#[must_use]
pub fn anchor_of(settings: &Settings) -> Option<&str> {
    settings.set.get("anchor").map(String::as_str)
}

/// Whether servers of a kind have media that they can lend.
const fn has_media(kind: Kind) -> bool {
    match kind {
        Kind::Asterisk | Kind::Elastix | Kind::FreeSwitch | Kind::Yate => true,
        Kind::Flexisip | Kind::Kamailio | Kind::OpenSips => false,
    }
}

/// Puts the anchor's SIP side into the settings, and says how its adapter is made: under an instance of its own, so that
/// its calls are foreign to everybody else who speaks to that server.
fn lend(
    sip: Option<&mut Sip>,
    anchor: Option<Helper<'_>>,
    instance: InstanceId,
    server: &ServerName,
) -> Result<Option<(ServerName, Make)>, BadSetting> {
    let (Some(sip), Some(anchor)) = (sip, anchor) else { return Ok(None) };
    let bad = |why: String| BadSetting { key: "set.anchor".to_owned(), why };
    if !has_media(anchor.kind) {
        return Err(bad(format!("{} has no media to lend", anchor.kind)));
    }
    let side = key::sip(&anchor.settings.set, &anchor.settings.host).map_err(|why| bad(why.to_string()))?;
    sip.anchor = Some(side.ok_or_else(|| bad(format!("{} has no SIP side (sip=off)", anchor.name)))?);
    let own = digest(format!("anchor {instance} {server}").as_bytes());
    let own = InstanceId(u64::try_from(own >> 64).expect("64 bits fit"));
    let make = check(anchor.kind, anchor.settings, own, anchor.name, None)?;
    Ok(Some((anchor.name.clone(), make)))
}

/// How the adapter of a server without media is made: with that of the one that lends it, if there is one.
fn proxied<P: Proxied + 'static>(
    make: impl Fn(u64) -> P + 'static,
    media: Option<(ServerName, Make)>,
) -> Make {
    match media {
        None => Box::new(move |seed| Box::new(make(seed))),
        Some((name, media)) => Box::new(move |seed| {
            let mut random = Random::new(seed);
            let mut seed = || u64::try_from(random.next() >> 64).expect("64 bits fit");
            let anchor = Media::new(name.clone(), media(seed()));
            Box::new(Anchored::new(Box::new(make(seed())), anchor, seed()))
        }),
    }
}

/// The management port of a server: what the operator said, or the kind's own default.
#[must_use]
pub fn port_of(kind: Kind, settings: &Settings) -> u16 {
    let is_tls = settings.set.get("tls").is_some_and(|tls| tls != "off");
    settings.port.unwrap_or(match kind {
        Kind::Kamailio if is_tls => 8443,
        Kind::Flexisip => 5060,
        Kind::Kamailio => 8080,
        Kind::OpenSips if settings.set.get("mi").is_some_and(|mi| mi == "udp") => 8889,
        Kind::OpenSips => 8888,
        Kind::Asterisk | Kind::Elastix if is_tls => 5039,
        Kind::Asterisk | Kind::Elastix => 5038,
        Kind::Yate => yate::options::PORT,
        Kind::FreeSwitch => 8021,
    })
}

/// The keys a kind takes, for help texts, completion and the schema.
#[must_use]
pub const fn keys(kind: Kind) -> &'static [Key] {
    match kind {
        Kind::Asterisk => asterisk::KEYS,
        Kind::Flexisip => flexisip::KEYS,
        Kind::Kamailio => kamailio::KEYS,
        Kind::OpenSips => opensips::KEYS,
        Kind::Elastix => elastix::KEYS,
        Kind::Yate => yate::KEYS,
        Kind::FreeSwitch => freeswitch::KEYS,
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
        BadOptions::WebTls(_) => "web_tls".to_owned(),
    };
    BadSetting { key, why: bad.to_string() }
}
