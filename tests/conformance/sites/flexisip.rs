//! Flexisip: the double in both versions, and a real one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::double::Reachable as _;
use ifbus_doubles::flexisip::{Bind, FlexisipServer, Options, Profile};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::attack;
use ifbus_doubles::tls::{Days, Identity};

use super::kamailio::{Both, NOBODY};
use crate::site::{Site, Target, real};

/// The targets of a real server share its phones' addresses, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Cells that this kind cannot pass, by the beginnings of their names, and why.
const LACKS: &[(&str, &str)] = &[
    ("connect", "it tells its version nowhere in SIP"),
    ("health", "it has no management that could be probed, SIP is all there is"),
    ("mute", "needs a media anchor"),
    ("conference", "needs a media anchor"),
    ("record", "needs a media anchor"),
    ("fetch-recording", "needs a media anchor"),
    ("dtmf from a phone", "tones flow between the phones; needs a media anchor"),
    ("moved by a phone", "a phone's own REFER is not followed"),
    ("drain", "it has no switch while it runs"),
    ("list: foreign", "nothing is replayed after a restart of ours"),
    ("hangup of a foreign", "no Flexisip can"),
    ("forged hangup", "it lists no calls, so there are no names to look up past us"),
    ("address without a template", "every form of address has a target"),
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
        let key = options.events_key.clone();
        let double = FlexisipServer::start(Bind::default(), options).expect("loopback has ports");
        let ours = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let ours = ours.expect("loopback has ports");
        let sip = double.sip();
        let mut settings = settings(sip, ours, pushes, &key);
        settings.set.insert("domain".to_owned(), "127.0.0.1".to_owned());
        let double = Some(double);
        Ok(Self { phones: Arc::new(phones), double, sip, settings, _files: None, _turn: None })
    }

    /// Phones at the next address, a peer at the one after, pushes to the fifth, ourselves at the tenth.
    fn real(ip: Ipv4Addr) -> Result<Self, String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let next = |offset: u32, port: u16| SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), port));
        let at = next(1, 5060);
        let phones = Both::start(at, next(2, 5070)).map_err(|error| format!("no phones at {at}: {error}"))?;
        let mut settings = settings(next(0, 5060), next(9, 5070), next(4, 8443), "LABKEY123");
        settings.set.insert("domain".to_owned(), "lab.test".to_owned());
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

    fn hostile_call(&self, raw: &str) {
        self.attack(raw, Duration::from_millis(300));
    }

    /// Whoever ends a leg by a push has to have the key; a number becomes a part of JSON.
    fn forgeries(&self, native: &str) -> Vec<String> {
        vec![format!("777\",\"callId\":\"{native}"), format!("777\r\nCall-ID: {native}\r\nX: y")]
    }

    /// It lists no calls, to nobody.
    fn natives(&self, _: InstanceId) -> Vec<String> {
        Vec::new()
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
