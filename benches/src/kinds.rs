//! Servers of the other kinds, each in a process of its own: what the fleet is told of them, and how they end.
//!
//! The one Asterisk of the older benches: `process.rs`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ifbus_adapters::Settings;
use ifbus_adapters::adapter::Secret;
use ifbus_call::Kind;
use ifbus_doubles::double::Double;
use ifbus_doubles::freeswitch::{self, FreeSwitchServer};
use ifbus_doubles::kamailio::{self, KamailioServer};
use ifbus_doubles::opensips::{self, OpenSipsServer};
use ifbus_doubles::socket;
use ifbus_doubles::yate::{self, YateServer};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;
use serde_json::{Value, json};

use crate::figure::{Figure, say};
use crate::process::again;
use crate::quiet;

/// A kind, and the way it is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Event socket.
    FreeSwitch,
    /// External module.
    Yate,
    /// JSON-RPC over HTTP, `evapi`, SIP.
    Kamailio,
    /// MI over HTTP, events in datagrams, SIP.
    OpenSips,
    /// MI in datagrams, SIP.
    OpenSipsByUdp,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FreeSwitch, Self::Yate, Self::Kamailio, Self::OpenSips, Self::OpenSipsByUdp];

    /// Its word on the command line of a double.
    pub const fn word(self) -> &'static str {
        match self {
            Self::FreeSwitch => "freeswitch",
            Self::Yate => "yate",
            Self::Kamailio => "kamailio",
            Self::OpenSips => "opensips",
            Self::OpenSipsByUdp => "opensips-udp",
        }
    }

    /// How it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FreeSwitch => "FreeSWITCH",
            Self::Yate => "Yate",
            Self::Kamailio => "Kamailio",
            Self::OpenSips => "OpenSIPS",
            Self::OpenSipsByUdp => "OpenSIPS, MI by datagrams",
        }
    }

    /// The kind of its server.
    pub const fn kind(self) -> Kind {
        match self {
            Self::FreeSwitch => Kind::FreeSwitch,
            Self::Yate => Kind::Yate,
            Self::Kamailio => Kind::Kamailio,
            Self::OpenSips | Self::OpenSipsByUdp => Kind::OpenSips,
        }
    }

    /// Whether calls are made by our own SIP agent.
    pub const fn is_proxy(self) -> bool {
        matches!(self, Self::Kamailio | Self::OpenSips | Self::OpenSipsByUdp)
    }

    /// Those that are to be measured: all, or the ones that are named on the command line beside their bench.
    pub fn wanted() -> impl Iterator<Item = Self> {
        let named: Vec<Self> = std::env::args().filter_map(|word| Self::of(&word)).collect();
        Self::ALL.into_iter().filter(move |which| named.is_empty() || named.contains(which))
    }

    /// Whether Asterisk is.
    pub fn is_asterisk_wanted() -> bool {
        !std::env::args().any(|word| Self::of(&word).is_some())
    }

    /// The one of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|which| which.word() == word)
    }

    /// How a server is reached, as its double has told it.
    pub fn spec(self, told: &Value) -> ServerSpec {
        let pairs = |key: &str| {
            let pairs = told[key].as_object().into_iter().flatten();
            pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        };
        let port = told["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        ServerSpec {
            name: "pbx1".parse().expect("a server name"),
            kind: self.kind(),
            settings: Settings {
                host: "127.0.0.1".to_owned(),
                port,
                auth: pairs("auth").map(|(key, value)| (key, Secret::new(value))).collect(),
                set: pairs("set").collect(),
            },
            capacity: 50_000,
            cps: 100_000.0,
            tags: Default::default(),
            origin: Origin::Cli,
        }
    }
}

/// A running double, seen from outside.
pub struct Server {
    /// Which.
    pub which: Which,
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it told at its start.
    pub told: Value,
}

impl Server {
    /// Starts one.
    pub fn start(which: Which) -> Self {
        let mut child = again(&["double", which.word()]);
        let ask = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut server = Self { which, child, ask, answers, told: Value::Null };
        server.told = server.line();
        server
    }

    /// What the fleet is told of it.
    pub fn spec(&self) -> ServerSpec {
        self.which.spec(&self.told)
    }

    /// The phones themselves in place of the proxy: its double looks at every dialog for every message, which is too slow
    /// for thousands.
    pub fn without_proxy(mut self) -> Self {
        self.told["set"]["sip"] = self.told["phones"].clone();
        self
    }

    /// Where a bare loop begins: the management port of a server that makes calls, the SIP port of one that does not.
    pub fn bare(&self) -> SocketAddr {
        self.told["bare"].as_str().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// Legs on it now.
    pub fn legs(&mut self) -> u64 {
        if let Some(ask) = &mut self.ask {
            ask.write_all(b"stats\n").expect("the double listens");
        }
        self.line()["legs"].as_u64().expect("the double counts")
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the double speaks");
        serde_json::from_str(&line).expect("the double speaks JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when nobody asks any more.
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}

/// Measures one kind; if that fails, on a machine that is too busy for its double, the others are measured all the same.
pub fn guarded(
    which: Which,
    notes: &mut Vec<String>,
    work: impl FnOnce(&mut Vec<String>) -> Vec<Figure>,
) -> Vec<Figure> {
    let measured = catch_unwind(AssertUnwindSafe(|| {
        let mut notes = Vec::new();
        let figures = work(&mut notes);
        (notes, figures)
    }));
    match measured {
        Ok((more, figures)) => {
            notes.extend(more);
            figures
        }
        Err(_) => {
            notes.push(format!("not measured: {}, for the reason above", which.name()));
            Vec::new()
        }
    }
}

/// The other side: a double until nobody asks any more.
pub fn double(which: Which) {
    let started = match which {
        Which::FreeSwitch => freeswitch(),
        Which::Yate => yate(),
        Which::Kamailio => kamailio(),
        Which::OpenSips => opensips(false),
        Which::OpenSipsByUdp => opensips(true),
    };
    let (told, legs) = started.expect("loopback has ports");
    say(&told.to_string());
    for _ in io::stdin().lines() {
        say(&json!({ "legs": legs() }).to_string());
    }
}

/// What is told of a double, and how its legs are counted.
type Started = io::Result<(Value, Box<dyn Fn() -> usize>)>;

fn freeswitch() -> Started {
    let mut options = freeswitch::Options::default().with_phones(2000..=9999);
    (options.sessions_max, options.per_second) = (100_000, 100_000);
    let server = FreeSwitchServer::start(freeswitch::Bind::default(), options)?;
    let told = json!({
        "port": server.socket().port(), "bare": server.socket(), "auth": { "secret": "ifbus-secret" },
        "set": { "dial_uri": "sofia/lab/{uri}", "sip": "off" },
    });
    Ok((told, Box::new(move || server.stats().legs)))
}

fn yate() -> Started {
    let mut options = yate::Options::default();
    options.phones.extend((2000..=9999).map(|number| number.to_string()));
    let server = YateServer::start(yate::Bind::default(), options)?;
    let told = json!({
        "port": server.engine().port(), "bare": server.engine(), "auth": {}, "set": { "sip": "off" },
    });
    Ok((told, Box::new(move || server.stats().legs)))
}

fn kamailio() -> Started {
    let (phones, calls) = quiet::phones()?;
    let mut options = kamailio::Options::new(kamailio::Profile::V61);
    options.routes = routes(phones);
    let server = KamailioServer::start(kamailio::Bind::default(), options)?;
    let told = json!({
        "port": server.rpc().port(), "bare": server.sip(), "phones": phones, "auth": { "secret": "labtoken" },
        "set": {
            "events_port": server.events().port().to_string(), "sip": server.sip().to_string(),
            "sip_listen": free_udp()?.to_string(),
        },
    });
    Ok((told, legs(server, calls, kamailio::Kamailio::live)))
}

fn opensips(by_udp: bool) -> Started {
    let (phones, calls) = quiet::phones()?;
    let mut options = opensips::Options::new(opensips::Profile::V40);
    options.routes = routes(phones);
    let server = OpenSipsServer::start(opensips::Bind::default(), options)?;
    let mut set = json!({
        "sip": server.sip().to_string(), "domain": server.sip().to_string(), "sip_listen": free_udp()?.to_string(),
        "mi": if by_udp { "udp" } else { "http" },
    });
    if !by_udp {
        set["events"] = free_udp()?.to_string().into();
    }
    let port = if by_udp { server.mi() } else { server.http() }.port();
    let told = json!({ "port": port, "bare": server.sip(), "auth": {}, "set": set });
    Ok((told, legs(server, calls, opensips::OpenSips::live)))
}

/// Dialogs of a proxy, or those of the phones where it is not asked.
fn legs<D: Double>(
    server: socket::Server<D>,
    phones: Arc<AtomicUsize>,
    live: fn(&D) -> usize,
) -> Box<dyn Fn() -> usize> {
    Box::new(move || server.read(live).max(phones.load(Ordering::Relaxed)))
}

/// Every number is a phone.
fn routes(phones: SocketAddr) -> Vec<(String, SocketAddr)> {
    (2..=9).map(|digit: u8| (digit.to_string(), phones)).collect()
}

/// A port of ours that nobody has just now; it must be the same when we come back to it.
fn free_udp() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// How long a bare loop waits for anything at all.
pub const PATIENCE: Duration = Duration::from_secs(30);
