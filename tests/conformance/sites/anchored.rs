//! A proxy whose calls borrow the media of an Asterisk: every cell that the proxy alone lacks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::asterisk::{Bind, Options, Profile};
use ifbus_doubles::gateway::Studio;
use ifbus_doubles::phone::Phones;

use crate::site::{Site, Target, real};

/// Every proxy with an anchor: the doubles, and real ones where an anchor is named beside them.
pub fn targets() -> Vec<Target> {
    use ifbus_doubles::{flexisip, kamailio, opensips};
    let (v40, v36) = (opensips::Profile::V40, opensips::Profile::V36);
    vec![
        double(Kind::Kamailio, "5.6", JSON_RPC, || Ok(super::kamailio::simulated(kamailio::Profile::V56))),
        installed(Kind::Kamailio, "5.6", JSON_RPC, || super::kamailio::installed("5.6")),
        double(Kind::OpenSips, "3.6", HTTP, move || super::opensips::simulated(v36, false)),
        double(Kind::OpenSips, "4.0", HTTP, move || super::opensips::simulated(v40, false)),
        double(Kind::OpenSips, "4.0", UDP, move || super::opensips::simulated(v40, true)),
        installed(Kind::OpenSips, "4", HTTP, || super::opensips::installed(false)),
        installed(Kind::OpenSips, "4", UDP, || super::opensips::installed(true)),
        double(Kind::Flexisip, "2.3", PUSHES, || super::flexisip::simulated(flexisip::Profile::V23)),
        double(Kind::Flexisip, "2.7", PUSHES, || super::flexisip::simulated(flexisip::Profile::V27)),
        installed(Kind::Flexisip, "2", PUSHES, super::flexisip::installed),
    ]
}

/// A way of speaking to a proxy: what tells it from others of its kind, and its words in what was proven.
type Way = (&'static str, &'static str);

const JSON_RPC: Way = ("", "json-rpc, evapi and sip, media of an asterisk");
const HTTP: Way = (" http", "http and sip, media of an asterisk");
const UDP: Way = (" udp", "udp and sip, media of an asterisk");
const PUSHES: Way = ("", "sip and pushes, media of an asterisk");

type Opened = Result<Box<dyn Site>, String>;

fn double(kind: Kind, version: &str, way: Way, open: impl Fn() -> Opened + Send + Sync + 'static) -> Target {
    target(kind, &format!("{version} double"), false, way, move || {
        Ok(Box::new(Anchored { proxy: open()?, anchor: Anchor::simulated(), listen: free() })
            as Box<dyn Site>)
    })
}

fn installed(
    kind: Kind,
    version: &str,
    way: Way,
    open: impl Fn() -> Opened + Send + Sync + 'static,
) -> Target {
    target(kind, &format!("{version} real"), true, way, move || {
        let anchor = Anchor::Real(real("IFBUS_REAL_ANCHOR", "22")?);
        Ok(Box::new(Anchored { proxy: open()?, anchor, listen: free() }) as Box<dyn Site>)
    })
}

fn target(
    kind: Kind,
    place: &str,
    real: bool,
    way: Way,
    open: impl Fn() -> Opened + Send + Sync + 'static,
) -> Target {
    let name = format!("{kind} {place}{} anchored", way.0);
    Target { name, kind, real, way: way.1, open: Box::new(open) }
}

/// The proxy and the server whose media it borrows.
struct Anchored {
    proxy: Box<dyn Site>,
    anchor: Anchor,
    /// Where the anchor calls us, also after a kill.
    listen: SocketAddr,
}

/// The server with media.
enum Anchor {
    Simulated(Studio),
    Real(Ipv4Addr),
}

impl Anchor {
    fn simulated() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 83, NEXT.fetch_add(1, Ordering::Relaxed)));
        let studio = Studio::bind(Bind { ip, ..Bind::default() }, Options::new(Profile::V22));
        Self::Simulated(studio.expect("loopback has ports"))
    }

    fn settings(&self) -> Settings {
        let (ami, http, sip) = match self {
            Self::Simulated(studio) => {
                (studio.asterisk().ami(), studio.asterisk().http().port(), studio.sip())
            }
            Self::Real(ip) => (SocketAddr::from((*ip, 5038)), 8088, SocketAddr::from((*ip, 5060))),
        };
        let set = [
            ("ari_port", http.to_string()),
            ("dial_uri", "PJSIP/trunk/{uri}".to_owned()),
            ("sip", sip.to_string()),
        ];
        let auth = [("user", "ifbus"), ("secret", "ifbus-secret")];
        Settings {
            host: ami.ip().to_string(),
            port: Some(ami.port()),
            auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
            set: set.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }
}

fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    socket.local_addr().expect("it is bound")
}

impl Site for Anchored {
    fn phones(&self) -> Arc<dyn Phones> {
        self.proxy.phones()
    }

    fn settings(&self) -> Settings {
        let mut settings = self.proxy.settings();
        settings.set.insert("anchor_listen".to_owned(), self.listen.to_string());
        settings
    }

    fn anchor(&self) -> Option<(Kind, Settings)> {
        Some((Kind::Asterisk, self.anchor.settings()))
    }

    fn lets_in(&self) -> bool {
        self.proxy.lets_in()
    }

    fn hostile_call(&self, raw: &str) {
        self.proxy.hostile_call(raw);
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        self.proxy.forgeries(native)
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        self.proxy.natives(instance)
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.proxy.foreign_call(from, to);
    }

    fn nobody(&self) -> (&'static str, &'static str) {
        self.proxy.nobody()
    }

    fn foreign_name(&self, phone: &str) -> String {
        self.proxy.foreign_name(phone)
    }

    fn instead(&self, cell: &str) -> Option<&'static str> {
        self.proxy.instead(cell)
    }

    fn keeps_ringing(&self) -> bool {
        false
    }
}
