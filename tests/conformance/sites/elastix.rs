//! Elastix: the double of an Issabel with chan_sip, and real Asterisks set up as inside of one, behind a real pbxapi where
//! one is named, else behind the simulated web server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::elastix::{Before, Bind, Elastix, ElastixServer, WebOptions};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::{SipServer, attack};

use super::asterisk::{forgeries, ids, sip_of};
use crate::site::{Site, Target, real};

const VARIABLE: &str = "IFBUS_REAL_ELASTIX";
/// Where the recordings of each of them are, in the same order.
const FOLDERS: &str = "IFBUS_REAL_ELASTIX_FOLDERS";

/// The real web server with pbxapi beside each of them: `16=https://127.0.45.1:443`; it serves their recordings, too.
const PBXAPI: &str = "IFBUS_REAL_PBXAPI";

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let target = |name: &str, real, open| {
        // without a real pbxapi, what a real server proves is its Asterisk; the web server beside it is ours
        let is_ours = real && installed_web(name.split(' ').nth(1).unwrap_or_default()).is_none();
        let way = if is_ours { "ami, pbxapi simulated" } else { "ami and pbxapi" };
        Target { name: name.to_owned(), kind: Kind::Elastix, real, way, open }
    };
    let double = || Ok(Box::new(Simulated::start()) as Box<dyn Site>);
    let installed = |version: &'static str, tech: &'static str| {
        move || Ok(Box::new(Real::open(real(VARIABLE, version)?, version, tech)?) as Box<dyn Site>)
    };
    vec![
        target("elastix 16 double", false, Box::new(double)),
        target("elastix 22 real", true, Box::new(installed("22", "PJSIP"))),
        target("elastix 16 real", true, Box::new(installed("16", "PJSIP"))),
    ]
}

/// The double.
struct Simulated {
    server: Arc<ElastixServer>,
}

impl Simulated {
    fn start() -> Self {
        let (options, web) = Elastix::issabel(1);
        let server = ElastixServer::start(Bind::default(), options, web);
        Self { server: Arc::new(server.expect("loopback has ports")) }
    }
}

impl Site for Simulated {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.server) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(self.server.ami(), self.server.web().port(), false, "SIP");
        settings.set.insert("sip".to_owned(), self.server.sip().to_string());
        settings
    }

    fn lets_in(&self) -> bool {
        self.server.hostile_call("5551234")
    }

    fn hostile_call(&self, raw: &str) {
        self.server.hostile_call(raw);
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        forgeries(native)
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        natives(self.server.ami(), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.server.foreign_call(from, to);
    }
}

/// A real Asterisk: its phones are expected at the next address, the trunk's peer at the one after.
struct Real {
    ip: Ipv4Addr,
    tech: &'static str,
    phones: Arc<SipServer>,
    web: Web,
}

/// The web server beside it: a simulated one, or the port of a real one at its address.
enum Web {
    Simulated(Before),
    Installed { port: u16, tls: bool },
}

impl Real {
    fn open(ip: Ipv4Addr, version: &str, tech: &'static str) -> Result<Self, String> {
        let web = match installed_web(version) {
            Some(url) => Web::at(&url, ip)?,
            None => Web::before(ip, version, tech)?,
        };
        let at = sip_of(ip, 1);
        let phones = SipServer::start(&[at]).map_err(|error| format!("no phones at {at}: {error}"))?;
        Ok(Self { ip, tech, phones: Arc::new(phones), web })
    }

    /// A caller from outside: the status he hears.
    fn attack(&self, raw: &str, within: Duration) -> u16 {
        let status = attack(sip_of(self.ip, 2), sip_of(self.ip, 0), raw, "604", within);
        status.expect("the server answers the caller")
    }
}

impl Site for Real {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.phones) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let (port, tls) = match &self.web {
            Web::Simulated(web) => (web.at().port(), false),
            Web::Installed { port, tls } => (*port, *tls),
        };
        settings(SocketAddr::from((self.ip, 5038)), port, tls, self.tech)
    }

    fn lets_in(&self) -> bool {
        self.attack("5551234", Duration::from_millis(100)) < 300
    }

    fn hostile_call(&self, raw: &str) {
        self.attack(raw, Duration::from_millis(300));
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        forgeries(native)
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        natives(SocketAddr::from((self.ip, 5038)), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.call(from, to, sip_of(self.ip, 0));
    }
}

impl Web {
    fn before(ip: Ipv4Addr, version: &str, tech: &str) -> Result<Self, String> {
        let (at, ami) = (SocketAddr::from((ip, 0)), SocketAddr::from((ip, 5038)));
        let web = Before::start(at, ami, &folder(version)?, WebOptions::new(tech));
        web.map(Self::Simulated).map_err(|error| format!("no web server at {ip}: {error}"))
    }

    /// It has to be at the address of its Asterisk, as inside of an Issabel.
    fn at(url: &str, ip: Ipv4Addr) -> Result<Self, String> {
        let parts = url.split_once("://").and_then(|(scheme, rest)| {
            let at: SocketAddr = rest.trim_end_matches('/').parse().ok()?;
            (matches!(scheme, "http" | "https") && at.ip() == ip).then_some((at.port(), scheme == "https"))
        });
        let (port, tls) = parts.ok_or_else(|| format!("{PBXAPI}: {url} is no http(s)://{ip}:PORT"))?;
        Ok(Self::Installed { port, tls })
    }
}

/// Where the real pbxapi of this version is, if one is named.
fn installed_web(version: &str) -> Option<String> {
    let value = std::env::var(PBXAPI).unwrap_or_default();
    let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == version).map(|(_, url)| url.to_owned())
}

/// `22=/folder,16=/folder`
fn folder(version: &str) -> Result<PathBuf, String> {
    let value = std::env::var(FOLDERS).unwrap_or_default();
    let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| *name == version).map(|(_, folder)| PathBuf::from(folder));
    found.ok_or_else(|| format!("no recordings of {version}: {FOLDERS} does not name a folder"))
}

fn settings(ami: SocketAddr, web: u16, tls: bool, tech: &str) -> Settings {
    let set = [
        ("web_port", web.to_string()),
        ("web_tls", if tls { "pin" } else { "off" }.to_owned()),
        ("dial_uri", format!("{tech}/trunk/{{uri}}")),
    ];
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret"), ("api_secret", "admin-secret")];
    Settings {
        host: ami.ip().to_string(),
        port: Some(ami.port()),
        auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
        set: set.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// Legs of this instance have ten digits, a point, and 39 more.
fn natives(ami: SocketAddr, instance: InstanceId) -> Vec<String> {
    let prefix = format!("{:010}.", instance.0 % 10_000_000_000);
    ids(ami, |id| id.starts_with(&prefix) && id.len() == prefix.len() + 39)
}
