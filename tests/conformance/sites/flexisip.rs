//! Flexisip: the double in both versions, and a real one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::double::Reachable as _;
use ifbus_doubles::flexisip::{Bind, FlexisipServer, Options, Profile, push_as};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::attack;
use ifbus_doubles::tls::{Days, Identity};

use super::kamailio::{Both, NOBODY};
use crate::site::{Site, Target, real};

/// The targets of a real server share its phones' addresses, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Cells that this kind cannot pass, by the beginnings of their names, and why.
const LACKS: &[(&str, &str)] = &[
    ("mute", "needs a media anchor"),
    ("conference", "needs a media anchor"),
    ("record", "needs a media anchor"),
    ("fetch-recording", "needs a media anchor"),
    ("dtmf from a phone", "tones flow between the phones; needs a media anchor"),
];

/// Before a name that is to be ended by a push.
const PUSH: &str = "push:";

/// What a real one shows.
const KEY: &str = "LABKEY123";

/// What it promises instead, by the beginnings of the cells' names, in words of its answers.
const INSTEAD: &[(&str, &str)] = &[
    ("list: foreign", "calls of others that began before ifbus did are not shown"),
    ("hangup of a foreign", "Flexisip cannot end calls of others"),
    ("drain", "no switch that refuses new calls while it runs"),
];

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let target =
        |name: String, real, open| Target { name, kind: Kind::Flexisip, real, way: "sip and pushes", open };
    let mut targets = Vec::new();
    for (version, profile) in [("2.3", Profile::V23), ("2.7", Profile::V27)] {
        let double = move || simulated(profile);
        targets.push(target(format!("flexisip {version} double"), false, Box::new(double)));
    }
    targets.push(target("flexisip real".to_owned(), true, Box::new(installed)));
    targets
}

/// A double.
pub(super) fn simulated(profile: Profile) -> Result<Box<dyn Site>, String> {
    Ok(Box::new(Place::simulated(profile)?))
}

/// The one that is installed.
pub(super) fn installed() -> Result<Box<dyn Site>, String> {
    let found = ["2.3.3", "2.3", "2.7"].into_iter().find_map(|name| real("IFBUS_REAL_FLEXISIP", name).ok());
    let ip = found.ok_or("no real server: IFBUS_REAL_FLEXISIP names none")?;
    Ok(Box::new(Place::real(ip)?))
}

/// A server, its phones, and where we are.
struct Place {
    phones: Arc<Both>,
    double: Option<FlexisipServer>,
    sip: SocketAddr,
    settings: Settings,
    /// Where pushes are expected, and what they show.
    pushes: SocketAddr,
    key: String,
    /// The certificate that pushes of a real one need.
    _files: Option<tempfile::TempDir>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Place {
    fn simulated(profile: Profile) -> Result<Self, String> {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let last = NEXT.fetch_add(2, Ordering::Relaxed);
        let [at, callers] = [last, last + 1].map(|last| SocketAddr::from(([127, 0, 89, last], 5060)));
        let phones = Both::start(at, callers).map_err(|error| format!("no phones at {at}: {error}"))?;
        let pushes = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let pushes = pushes.expect("loopback has ports");
        let mut options = Options::new(profile).with_phones(at);
        options.events = Some(pushes);
        options.accounts[0].address = "ifbus@127.0.0.1".to_owned();
        let (key, api_key) = (options.events_key.clone(), options.api_key.clone());
        let double = FlexisipServer::start(Bind::default(), options).expect("loopback has ports");
        let ours = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let ours = ours.expect("loopback has ports");
        let sip = double.sip();
        let mut settings = settings(sip, ours, pushes, &key);
        let port = double.api().port().to_string();
        let set = [("domain", "127.0.0.1"), ("api", "127.0.0.1"), ("api_tls", "off"), ("api_port", &port)];
        settings.set.extend(set.map(|(key, value)| (key.to_owned(), value.to_owned())));
        settings.auth.insert("apikey".to_owned(), Secret::new(api_key));
        // one of them knows us by our address, the other one has an account for us
        if profile == Profile::V27 {
            let account = [("sip_user", "ifbus"), ("sip_secret", "labpass")];
            settings.auth.extend(account.map(|(key, value)| (key.to_owned(), Secret::new(value))));
        }
        Ok(Self {
            phones: Arc::new(phones),
            double: Some(double),
            sip,
            settings,
            pushes,
            key,
            _files: None,
            _turn: None,
        })
    }

    /// Phones at the next address, a peer at the one after, pushes to the fifth, ourselves at the tenth.
    fn real(ip: Ipv4Addr) -> Result<Self, String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let next = |offset: u32, port: u16| SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), port));
        let at = next(1, 5060);
        let phones = Both::start(at, next(2, 5070)).map_err(|error| format!("no phones at {at}: {error}"))?;
        let mut settings = settings(next(0, 5060), next(9, 5070), next(4, 8443), KEY);
        settings.set.insert("domain".to_owned(), "lab.test".to_owned());
        // it binds its pushes to no address, and from there they go out on loopback
        settings.set.insert("events_from".to_owned(), "127.0.0.1".to_owned());
        let folder = tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?;
        let (certificate, key) = Identity::self_signed(&["ifbus"], Days::default()).pem();
        for (name, setting, text) in [("c.pem", "events_cert", certificate), ("k.pem", "events_key", key)] {
            let file = folder.path().join(name);
            std::fs::write(&file, text).map_err(|error| format!("no certificate: {error}"))?;
            settings.set.insert(setting.to_owned(), file.display().to_string());
        }
        Ok(Self {
            phones: Arc::new(phones),
            double: None,
            sip: next(0, 5060),
            settings,
            pushes: next(4, 8443),
            key: KEY.to_owned(),
            _files: Some(folder),
            _turn: Some(turn),
        })
    }

    /// A caller from outside: whether he was let in.
    fn attack(&self, raw: &str, within: Duration) -> bool {
        match (&self.double, self.sip.ip()) {
            (Some(double), _) => double.with(|machine, now| machine.hostile_call(raw, now)),
            (None, std::net::IpAddr::V4(ip)) => {
                let from = SocketAddr::from((Ipv4Addr::from(u32::from(ip) + 2), 5060));
                attack(from, self.sip, raw, "1009", within).expect("the server answers the caller") < 300
            }
            (None, _) => unreachable!("the laboratory has addresses of four bytes"),
        }
    }
}

impl Site for Place {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.phones) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn lets_in(&self) -> bool {
        self.attack("5551234", Duration::from_millis(100))
    }

    /// A number; or pushes of his own making, with the right key and without.
    fn hostile_call(&self, raw: &str) {
        let Some(native) = raw.strip_prefix(PUSH) else {
            self.attack(raw, Duration::from_millis(300));
            return;
        };
        let calls = "/api/statistics/calls";
        let began = format!(
            r#"{{"id":"{native}","sip_call_id":"{native}","from":"1@x","to":"2@x","devices":{{}},"ended_at":null}}"#
        );
        for key in ["not the key", &self.key] {
            for (method, path, body) in [
                ("POST", calls.to_owned(), began.as_str()),
                ("PATCH", format!("{calls}/{native}"), r#"{"ended_at":"2026-11-24T12:00:00Z"}"#),
            ] {
                // a real one speaks TLS there, and he does not
                let _ = push_as(key, self.pushes, method, &path, body);
            }
        }
    }

    /// A number becomes a part of JSON; whoever ends a leg by a push has to have the key, and this one has it.
    fn forgeries(&self, native: &str) -> Vec<String> {
        vec![
            format!("777\",\"callId\":\"{native}"),
            format!("777\r\nCall-ID: {native}\r\nX: y"),
            format!("{PUSH}{native}"),
        ]
    }

    /// It lists no calls, to nobody; whoever reads along knows them all the same.
    fn natives(&self, instance: InstanceId) -> Vec<String> {
        let prefix = format!("ib-{instance}-");
        self.phones.call_ids().into_iter().filter(|id| id.starts_with(&prefix)).collect()
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.callers.call(from, to, self.sip);
    }

    fn foreign_name(&self, phone: &str) -> String {
        phone.to_owned()
    }

    fn has_music(&self) -> bool {
        false
    }

    fn nobody(&self) -> (&'static str, &'static str) {
        NOBODY
    }

    fn instead(&self, cell: &str) -> Option<&'static str> {
        INSTEAD.iter().find(|(name, _)| cell.starts_with(name)).map(|(_, words)| *words)
    }

    fn keeps_ringing(&self) -> bool {
        false
    }

    fn lacks(&self) -> &'static [(&'static str, &'static str)] {
        LACKS
    }
}

fn settings(server: SocketAddr, listen: SocketAddr, events: SocketAddr, key: &str) -> Settings {
    Settings {
        host: server.ip().to_string(),
        port: Some(server.port()),
        auth: [("events_secret".to_owned(), Secret::new(key))].into(),
        set: [("sip_listen".to_owned(), listen.to_string()), ("events".to_owned(), events.to_string())]
            .into(),
    }
}
