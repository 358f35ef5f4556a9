//! OpenSIPS: both generations, simulated and real, by HTTP with events and by datagrams without.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ifbus_adapters::Settings;
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::opensips::{Bind, OpenSipsServer, Options, Profile};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::attack;

use super::kamailio::{Both, LACKS, NOBODY};
use crate::site::{Site, Target, real};

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// The targets of the real server share its phones' addresses, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Phones of the doubles, each set at an address of its own.
static PHONES: AtomicU8 = AtomicU8::new(20);

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let target = |version: &str, place: &str, by_udp: bool, open| Target {
        name: format!("opensips {version} {place} {}", if by_udp { "udp" } else { "http" }),
        kind: Kind::OpenSips,
        real: place == "real",
        way: if by_udp { "udp and sip" } else { "http and sip" },
        open,
    };
    let mut targets = Vec::new();
    for (version, profile, by_udp) in
        [("4.0", Profile::V40, false), ("4.0", Profile::V40, true), ("3.6", Profile::V36, false)]
    {
        let double = move || simulated(profile, by_udp);
        targets.push(target(version, "double", by_udp, Box::new(double)));
    }
    for by_udp in [false, true] {
        targets.push(target("4", "real", by_udp, Box::new(move || installed(by_udp))));
    }
    targets
}

/// A double.
pub(super) fn simulated(profile: Profile, by_udp: bool) -> Result<Box<dyn Site>, String> {
    Ok(Box::new(Place::simulated(profile, by_udp)?))
}

/// The one that is installed.
pub(super) fn installed(by_udp: bool) -> Result<Box<dyn Site>, String> {
    let found = ["4", "4.0", "3.6"].into_iter().find_map(|version| real("IFBUS_REAL_OPENSIPS", version).ok());
    let ip = found.ok_or("no real server: IFBUS_REAL_OPENSIPS names none")?;
    Ok(Box::new(Place::real(ip, by_udp)?))
}

/// A server, its phones, and where we are.
struct Place {
    phones: Arc<Both>,
    double: Option<OpenSipsServer>,
    http: SocketAddr,
    mi: SocketAddr,
    sip: SocketAddr,
    /// Our own addresses: SIP, and where events arrive.
    listen: SocketAddr,
    events: SocketAddr,
    by_udp: bool,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Place {
    fn simulated(profile: Profile, by_udp: bool) -> Result<Self, String> {
        let last = PHONES.fetch_add(2, Ordering::Relaxed);
        let [at, callers] = [last, last + 1].map(|last| SocketAddr::from(([127, 0, 84, last], 5060)));
        let phones = Both::start(at, callers).map_err(|error| format!("no phones at {at}: {error}"))?;
        let options = Options::new(profile).with_phones(at, at);
        let double = OpenSipsServer::start(Bind::default(), options).expect("loopback has ports");
        let listen = free();
        double.with(|machine, _| machine.trust(listen));
        Ok(Self {
            phones: Arc::new(phones),
            http: double.http(),
            mi: double.mi(),
            sip: double.sip(),
            double: Some(double),
            listen,
            events: free(),
            by_udp,
            _turn: None,
        })
    }

    /// As the laboratory makes it: phones at the next address, a peer at the one after, ourselves after that.
    fn real(ip: Ipv4Addr, by_udp: bool) -> Result<Self, String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let next = |offset: u32, port: u16| SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), port));
        let at = next(1, 5060);
        // those who call by themselves are at the trunk's address, on another port than the hostile
        let phones = Both::start(at, next(2, 5070)).map_err(|error| format!("no phones at {at}: {error}"))?;
        Ok(Self {
            phones: Arc::new(phones),
            double: None,
            http: next(0, 8888),
            mi: next(0, 8889),
            sip: next(0, 5060),
            listen: next(3, 5070),
            events: next(3, 8449),
            by_udp,
            _turn: Some(turn),
        })
    }

    /// A caller from outside: whether he was let in.
    fn attack(&self, raw: &str, within: Duration) -> bool {
        match (&self.double, self.sip.ip()) {
            (Some(double), _) => double.hostile_call(raw),
            (None, std::net::IpAddr::V4(ip)) => {
                let from = SocketAddr::from((Ipv4Addr::from(u32::from(ip) + 2), 5060));
                attack(from, self.sip, raw, "1019", within).expect("the server answers the caller") < 300
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
        let management = if self.by_udp { self.mi } else { self.http };
        let set = [
            ("mi", if self.by_udp { "udp" } else { "http" }.to_owned()),
            ("events", if self.by_udp { "off".to_owned() } else { self.events.to_string() }),
            ("sip", self.sip.to_string()),
            // a proxy knows itself by the address it was called at
            ("domain", if self.double.is_some() { self.sip.to_string() } else { self.sip.ip().to_string() }),
            ("sip_listen", self.listen.to_string()),
        ];
        Settings {
            host: management.ip().to_string(),
            port: Some(management.port()),
            auth: [].into(),
            set: set.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    fn lets_in(&self) -> bool {
        self.attack("5551234", Duration::from_millis(100))
    }

    /// A number; or an event of his own making, from the server's own address.
    fn hostile_call(&self, raw: &str) {
        if raw.starts_with('{') {
            let socket = UdpSocket::bind((self.sip.ip(), 0)).expect("loopback has ports");
            // nobody listens where events are off
            let _ = socket.send_to(raw.as_bytes(), self.events);
        } else {
            self.attack(raw, Duration::from_millis(300));
        }
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        let event = |name: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"{name}","params":{{"callid":"{native}","reason":"-","new_state":5}}}}"#
            )
        };
        vec![
            event("E_DLG_STATE_CHANGED"),
            event("E_IFBUS_END"),
            format!("777\"}}}}{{\"method\":\"E_IFBUS_END\",\"params\":{{\"callid\":\"{native}\"}}}}"),
        ]
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        natives(self.http, instance)
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

fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    socket.expect("loopback has ports")
}

/// As somebody sees them who asks its management.
fn natives(http: SocketAddr, instance: InstanceId) -> Vec<String> {
    let body = r#"{"jsonrpc":"2.0","method":"dlg_list","params":{"index":0,"counter":5000},"id":1}"#;
    let ask = format!(
        "POST /mi HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(http).expect("its management answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    stream.write_all(ask.as_bytes()).expect("its management reads");
    let mut text = String::new();
    let mut bytes = [0; 65_536];
    while !is_whole(&text) {
        let count = stream.read(&mut bytes).expect("its management writes");
        assert!(count > 0, "its management says all: {text}");
        text += &String::from_utf8_lossy(&bytes[..count]);
    }
    let page: serde_json::Value = text
        .split_once("\r\n\r\n")
        .and_then(|(_, body)| serde_json::from_str(body).ok())
        .unwrap_or_else(|| panic!("JSON: {text}"));
    let prefix = format!("ib-{instance}-");
    let dialogs = page["result"]["Dialogs"].as_array().cloned().unwrap_or_default();
    let live = dialogs.iter().filter(|dialog| dialog["state"].as_u64() < Some(5));
    let ids: BTreeSet<&str> = live.filter_map(|dialog| dialog["callid"].as_str()).collect();
    ids.into_iter().filter(|id| id.starts_with(&prefix)).map(str::to_owned).collect()
}

/// Whether a reply has come to its end, as its head tells it.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.map_or(body.trim_end().ends_with('}'), |length| body.len() >= length)
}
