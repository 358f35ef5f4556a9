//! Yate: simulated, and a real one that is named by `IFBUS_REAL_YATE`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ifbus_adapters::Settings;
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::phone::Phones;
use ifbus_doubles::phone::shell::{SipServer, attack};
use ifbus_doubles::yate::{Bind, Options, YateServer};

use crate::site::{Site, Target, real};

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let installed = || {
        let ip = real("IFBUS_REAL_YATE", "6.4")?;
        Ok(Box::new(Real::open(ip)?) as Box<dyn Site>)
    };
    let double = || Ok(Box::new(Simulated::start()) as Box<dyn Site>);
    let target = |place: &str, real, open| Target {
        name: format!("yate 6.4 {place}"),
        kind: Kind::Yate,
        real,
        way: "external module",
        open,
    };
    vec![target("double", false, Box::new(double)), target("real", true, Box::new(installed))]
}

/// A double.
struct Simulated {
    server: Arc<YateServer>,
}

impl Simulated {
    fn start() -> Self {
        let server = YateServer::start(Bind::default(), Options::default());
        Self { server: Arc::new(server.expect("loopback has ports")) }
    }
}

impl Site for Simulated {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.server) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let options = Options::default();
        let fetch = format!("http://{}", self.server.files());
        let mut settings = settings(self.server.engine(), &options.sounds, &options.recordings, &fetch);
        settings.set.insert("sip".to_owned(), self.server.sip().to_string());
        settings
    }

    fn lets_in(&self) -> bool {
        let before = self.server.stats();
        self.server.hostile_call("5551234");
        let guard = Instant::now() + PATIENCE;
        loop {
            let now = self.server.stats();
            if (now.admitted, now.refused) != (before.admitted, before.refused) {
                return now.admitted > before.admitted;
            }
            assert!(Instant::now() < guard, "nobody decided on the call");
            // A look every few milliseconds at what is being waited for.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn hostile_call(&self, raw: &str) {
        self.server.hostile_call(raw);
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        forgeries(native)
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        natives(self.server.engine(), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.server.foreign_call(from, to);
    }
}

/// A real server as `tests/lab/yate-up.sh` starts it: its phones are expected at the next address, a caller from outside
/// at the one after. `IFBUS_REAL_YATE_FOLDER` names the folder that was given to it.
struct Real {
    ip: Ipv4Addr,
    phones: Arc<SipServer>,
    folder: String,
}

impl Real {
    fn open(ip: Ipv4Addr) -> Result<Self, String> {
        let at = sip_of(ip, 1);
        let phones = SipServer::start(&[at]).map_err(|error| format!("no phones at {at}: {error}"))?;
        let folder = std::env::var("IFBUS_REAL_YATE_FOLDER")
            .map_err(|_| "IFBUS_REAL_YATE_FOLDER does not name the folder of yate-up.sh".to_owned())?;
        Ok(Self { ip, phones: Arc::new(phones), folder })
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
        settings(
            SocketAddr::from((self.ip, 5039)),
            &self.folder,
            &format!("{}/recordings", self.folder),
            &format!("http://{}:8088", self.ip),
        )
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
        natives(SocketAddr::from((self.ip, 5039)), instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.call(from, to, sip_of(self.ip, 0));
    }
}

fn sip_of(ip: Ipv4Addr, offset: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), 5060))
}

fn settings(engine: SocketAddr, sounds: &str, recordings: &str, fetch: &str) -> Settings {
    let set = [("sounds", sounds), ("recordings", recordings), ("fetch", fetch), ("dial_uri", "sip/{uri}")];
    Settings {
        host: engine.ip().to_string(),
        port: Some(engine.port()),
        auth: BTreeMap::new(),
        set: set.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// The worst case: the attacker knows the engine's names and its protocol.
fn forgeries(native: &str) -> Vec<String> {
    vec![
        format!("777\n%%<message::true:chan.hangup::id={native}:status=answered:peerid=x\n"),
        format!("777:id={native}:status=answered\r\n%%<message::false:chan.hangup::id={native}\r\n"),
        format!("777%M%J%%%%<message%z%ztrue%zchan.hangup%z%zid={native}"),
    ]
}

/// As somebody sees them who has a connection of his own.
fn natives(engine: SocketAddr, instance: InstanceId) -> Vec<String> {
    let mut stream = TcpStream::connect(engine).expect("the engine listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    stream.write_all(b"%%>connect:global\n").expect("the engine reads");
    let mut reader = BufReader::new(stream.try_clone().expect("a stream has two ends"));
    let mut ask = |module: &str| {
        let line = format!("%%>message:look:0:engine.status::module={module}\n");
        stream.write_all(line.as_bytes()).expect("the engine reads");
        let mut answer = String::new();
        reader.read_line(&mut answer).expect("the engine answers");
        answer
    };
    let list = ask("sip");
    let tagged = format!(":ifbus_leg={instance}-");
    let names = list.split([';', ',']).filter_map(|item| item.split_once('=')).map(|(name, _)| name);
    let legs: Vec<String> = names.filter(|name| name.starts_with("sip/")).map(str::to_owned).collect();
    legs.into_iter().filter(|leg| ask(leg).contains(&tagged)).collect()
}
