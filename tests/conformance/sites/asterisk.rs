//! Asterisk: both versions, simulated and real, with ARI and by AMI alone.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::asterisk::{AsteriskServer, Bind, Options, Profile};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::{SipServer, attack};

use crate::site::{Site, Target, real};

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// The targets of a real server share its phones' addresses, so they take turns.
static TURNS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for (turn, version, profile) in [(0, "22", Profile::V22), (1, "16", Profile::V16)] {
        for ami_alone in [false, true] {
            let (word, way) = if ami_alone { ("ami", "ami") } else { ("ari", "ami and ari") };
            let target = |place: &str, real, open| Target {
                name: format!("asterisk {version} {place} {word}"),
                kind: Kind::Asterisk,
                real,
                way,
                open,
            };
            let double = move || Ok(Box::new(Simulated::start(profile, ami_alone)) as Box<dyn Site>);
            targets.push(target("double", false, Box::new(double)));
            let installed = move || {
                let ip = real("IFBUS_REAL_ASTERISK", version)?;
                Ok(Box::new(Real::open(ip, turn, ami_alone)?) as Box<dyn Site>)
            };
            targets.push(target("real", true, Box::new(installed)));
        }
    }
    targets
}

/// A double.
struct Simulated {
    server: Arc<AsteriskServer>,
    ami_alone: bool,
}

impl Simulated {
    fn start(profile: Profile, ami_alone: bool) -> Self {
        let server = AsteriskServer::start(Bind::default(), Options::new(profile));
        Self { server: Arc::new(server.expect("loopback has ports")), ami_alone }
    }
}

impl Site for Simulated {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.server) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(self.server.ami(), self.server.http().port(), self.ami_alone);
        settings.set.insert("sip".to_owned(), "off".to_owned());
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

    fn keeps_recordings(&self) -> Option<&'static str> {
        self.ami_alone.then_some("ari")
    }
}

/// A real server: its phones are expected at the next address, the trunk's peer at the one after.
struct Real {
    ip: Ipv4Addr,
    phones: Arc<SipServer>,
    ami_alone: bool,
    _turn: MutexGuard<'static, ()>,
}

impl Real {
    fn open(ip: Ipv4Addr, turn: usize, ami_alone: bool) -> Result<Self, String> {
        let turn = TURNS[turn].lock().unwrap_or_else(PoisonError::into_inner);
        let at = sip_of(ip, 1);
        let phones = SipServer::start(&[at]).map_err(|error| format!("no phones at {at}: {error}"))?;
        Ok(Self { ip, phones: Arc::new(phones), ami_alone, _turn: turn })
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
        settings(SocketAddr::from((self.ip, 5038)), 8088, self.ami_alone)
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

    fn keeps_recordings(&self) -> Option<&'static str> {
        self.ami_alone.then_some("ari")
    }
}

pub(super) fn sip_of(ip: Ipv4Addr, offset: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), 5060))
}

fn settings(ami: SocketAddr, http: u16, ami_alone: bool) -> Settings {
    let http = if ami_alone { 0 } else { http };
    let set = [("ari_port", http.to_string()), ("dial_uri", "PJSIP/trunk/{uri}".to_owned())];
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret")];
    Settings {
        host: ami.ip().to_string(),
        port: Some(ami.port()),
        auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
        set: set.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// The worst case: the attacker knows the ids, which never appear in SIP.
pub(super) fn forgeries(native: &str) -> Vec<String> {
    vec![
        format!("777\r\nUniqueid: {native}\r\nX: y"),
        format!(
            "777\r\n\r\nEvent: Hangup\r\nChannel: PJSIP/1001-00000001\r\nUniqueid: {native}\r\nLinkedid: {native}\r\n\
             Cause: 16\r\nCause-txt: x\r\n\r\nEvent: X"
        ),
    ]
}

/// As somebody with a manager account sees them.
fn natives(ami: SocketAddr, instance: InstanceId) -> Vec<String> {
    let prefix = format!("ib-{instance}-");
    // Whole ids only: a forged line cuts what it stands in.
    ids(ami, |id| id.starts_with(&prefix) && id.len() == prefix.len() + 32)
}

/// The ids of channels that are of this form.
pub(super) fn ids(ami: SocketAddr, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let mut stream = TcpStream::connect(ami).expect("the manager interface answers");
    let ask = "Action: Login\r\nUsername: ifbus\r\nSecret: ifbus-secret\r\nEvents: off\r\n\r\n\
               Action: CoreShowChannels\r\n\r\nAction: Logoff\r\n\r\n";
    stream.write_all(ask.as_bytes()).expect("the manager interface reads");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the manager interface says goodbye");
    let lines = text.lines().filter_map(|line| line.strip_prefix("Uniqueid: "));
    let ids: BTreeSet<&str> = lines.filter(|id| is_ours(id)).collect();
    ids.into_iter().map(str::to_owned).collect()
}
