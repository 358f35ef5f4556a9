//! FreeSWITCH: simulated and real.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::freeswitch::{Bind, FreeSwitchServer, Options};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::{SipServer, attack};

use crate::site::{Site, Target, real};

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let target = |place: &str, real, open| Target {
        name: format!("freeswitch 1 {place}"),
        kind: Kind::FreeSwitch,
        real,
        way: "event socket",
        open,
    };
    let double = || Ok(Box::new(Simulated::start()) as Box<dyn Site>);
    let installed = || {
        let ip = real("IFBUS_REAL_FREESWITCH", "1")?;
        Ok(Box::new(Real::open(ip)?) as Box<dyn Site>)
    };
    vec![target("double", false, Box::new(double)), target("real", true, Box::new(installed))]
}

/// A double.
struct Simulated {
    server: Arc<FreeSwitchServer>,
}

impl Simulated {
    fn start() -> Self {
        let server = FreeSwitchServer::start(Bind::default(), Options::default());
        Self { server: Arc::new(server.expect("loopback has ports")) }
    }
}

impl Site for Simulated {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.server) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(self.server.socket());
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
        natives(self.server.socket(), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.server.foreign_call(from, to);
    }
}

/// A real server: its phones are expected at the next address, callers from outside at the one after.
struct Real {
    ip: Ipv4Addr,
    phones: Arc<SipServer>,
}

impl Real {
    fn open(ip: Ipv4Addr) -> Result<Self, String> {
        let at = sip_of(ip, 1);
        let phones = SipServer::start(&[at]).map_err(|error| format!("no phones at {at}: {error}"))?;
        Ok(Self { ip, phones: Arc::new(phones) })
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
        let mut settings = settings(SocketAddr::from((self.ip, 8021)));
        settings.set.insert("music".to_owned(), "tone_stream://%(1000,0,400)".to_owned());
        settings
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
        natives(SocketAddr::from((self.ip, 8021)), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.call(from, to, sip_of(self.ip, 0));
    }
}

fn sip_of(ip: Ipv4Addr, offset: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), 5060))
}

fn settings(socket: SocketAddr) -> Settings {
    let set = [("dial_uri", "sofia/lab/{uri}"), ("fetch", "socket")];
    Settings {
        host: socket.ip().to_string(),
        port: Some(socket.port()),
        auth: [("secret".to_owned(), Secret::new("ifbus-secret"))].into(),
        set: set.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// The worst case: the attacker knows the ids, which never appear in SIP.
fn forgeries(native: &str) -> Vec<String> {
    vec![
        format!("777\",\"Unique-ID\":\"{native}\",\"x\":\""),
        format!("777\nUnique-ID: {native}\nX: y"),
        format!(
            "777\n\nContent-Length: 90\nContent-Type: text/event-json\n\n\
             {{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\",\"Unique-ID\":\"{native}\",\"Hangup-Cause\":\"X\"}}"
        ),
    ]
}

/// As somebody with the password of the event socket sees them: the legs with our variable. The list is late by up to 0.3 s,
/// the number of legs is not.
fn natives(socket: SocketAddr, instance: InstanceId) -> Vec<String> {
    let began = Instant::now();
    let mut ours = loop {
        let told = ask(socket, &["json {\"command\":\"status\",\"data\":\"\"}", "show channels as json"]);
        let rows = told[1].split_once("\"rows\":").map_or("", |(_, rows)| rows);
        let uuids: Vec<String> = rows
            .split("\"uuid\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect();
        if told[0].contains(&format!("\"active\":{},", uuids.len())) {
            break uuids;
        }
        assert!(began.elapsed() < PATIENCE, "{told:?}");
    };
    let questions: Vec<String> = ours.iter().map(|uuid| format!("uuid_getvar {uuid} ifbus_owner")).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    let mut owners = ask(socket, &questions).into_iter();
    ours.retain(|_| owners.next().is_some_and(|owner| owner.trim() == instance.to_string()));
    ours
}

/// The bodies of the answers.
fn ask(socket: SocketAddr, commands: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(socket).expect("the event socket answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    let lines: String = commands.iter().map(|command| format!("api {command}\n\n")).collect();
    let all = format!("auth ifbus-secret\n\n{lines}exit\n\n");
    stream.write_all(all.as_bytes()).expect("the event socket reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the event socket says goodbye");
    let parts = text.split("Content-Type: api/response\nContent-Length: ").skip(1);
    let body = |part: &str| {
        let (length, rest) = part.split_once("\n\n")?;
        rest.get(..length.trim().parse().ok()?).map(str::to_owned)
    };
    parts.filter_map(body).collect()
}
