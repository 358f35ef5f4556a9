//! Simulated servers on loopback, for the demo and for rehearsals, one of each kind: phones 1001 to 1008 answer, 1009 is
//! busy.
//!
//! The proxies have no phones of their own; theirs are in [`SipServer`], which all three reach.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::Kind;
use ifbus_doubles::asterisk::{self, AsteriskServer};
use ifbus_doubles::elastix::{self, Elastix, ElastixServer};
use ifbus_doubles::flexisip::{self, FlexisipServer};
use ifbus_doubles::freeswitch::{self, FreeSwitchServer};
use ifbus_doubles::kamailio::{self, KamailioServer};
use ifbus_doubles::opensips::{self, OpenSipsServer};
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Plan};
use ifbus_doubles::yate::{self, YateServer};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;

use super::ServeError;

/// The servers; gone when this is dropped.
pub(super) struct Simulated {
    specs: Vec<ServerSpec>,
    /// What runs as long as it is held.
    _running: Vec<Box<dyn Any + Send>>,
}

impl Simulated {
    /// Starts them on free ports.
    pub(super) fn start() -> Result<Self, ServeError> {
        let mut fleet = Self { specs: Vec::new(), _running: Vec::new() };
        fleet.fill().map_err(|source| ServeError::System { what: "a simulated server", source })?;
        Ok(fleet)
    }

    /// How they are reached.
    pub(super) fn servers(&self) -> Vec<ServerSpec> {
        self.specs.clone()
    }

    fn fill(&mut self) -> io::Result<()> {
        self.asterisk("pbx1")?;
        self.freeswitch("pbx2")?;
        self.elastix("pbx3")?;
        self.yate("pbx4")?;
        let phones = SipServer::start(&[phones_address()])?;
        furnish(&phones);
        let at = phones.addresses()[0];
        self._running.push(Box::new(phones));
        self.kamailio("proxy1", at)?;
        self.opensips("proxy2", at)?;
        self.flexisip("proxy3", at)
    }

    fn asterisk(&mut self, name: &str) -> io::Result<()> {
        let options = asterisk::Options::new(asterisk::Profile::V22).with_phones(1009..=1009);
        let server = AsteriskServer::start(asterisk::Bind::default(), options)?;
        let set = [("ari_port", server.http().port().to_string()), ("sip", server.sip().to_string())];
        self.enter_with_phones(name, Kind::Asterisk, settings(server.ami(), MANAGER, &set), server);
        Ok(())
    }

    fn freeswitch(&mut self, name: &str) -> io::Result<()> {
        let options = freeswitch::Options::default().with_phones(1009..=1009);
        let server = FreeSwitchServer::start(freeswitch::Bind::default(), options)?;
        let set = [
            ("dial_uri", "sofia/lab/{uri}".to_owned()),
            ("fetch", "socket".to_owned()),
            ("sip", server.sip().to_string()),
        ];
        let settings = settings(server.socket(), &[("secret", "ifbus-secret")], &set);
        self.enter_with_phones(name, Kind::FreeSwitch, settings, server);
        Ok(())
    }

    fn elastix(&mut self, name: &str) -> io::Result<()> {
        let (options, web) = Elastix::issabel(1);
        let server = ElastixServer::start(elastix::Bind::default(), options.with_phones(1009..=1009), web)?;
        let auth = [MANAGER, &[("api_secret", "admin-secret")]].concat();
        let set = [
            ("web_port", server.web().port().to_string()),
            ("web_tls", "off".to_owned()),
            ("sip", server.sip().to_string()),
        ];
        self.enter_with_phones(name, Kind::Elastix, settings(server.ami(), &auth, &set), server);
        Ok(())
    }

    fn yate(&mut self, name: &str) -> io::Result<()> {
        let options = yate::Options::default().with_phone("1009");
        let server = YateServer::start(yate::Bind::default(), options)?;
        let set = [("fetch", format!("http://{}", server.files())), ("sip", server.sip().to_string())];
        self.enter_with_phones(name, Kind::Yate, settings(server.engine(), &[], &set), server);
        Ok(())
    }

    fn kamailio(&mut self, name: &str, phones: SocketAddr) -> io::Result<()> {
        let listen = free_udp()?;
        let mut options = kamailio::Options::new(kamailio::Profile::V61).with_phones(phones, phones);
        options.trusted.push(listen);
        let server = KamailioServer::start(kamailio::Bind::default(), options)?;
        let set = [
            ("events_port", server.events().port().to_string()),
            ("sip", server.sip().to_string()),
            ("sip_listen", listen.to_string()),
        ];
        let auth = [("secret", "labtoken"), ("sip_user", "lab"), ("sip_secret", "labpass")];
        self.enter(name, Kind::Kamailio, settings(server.rpc(), &auth, &set), server);
        Ok(())
    }

    fn opensips(&mut self, name: &str, phones: SocketAddr) -> io::Result<()> {
        let (listen, events) = (free_udp()?, free_udp()?);
        let mut options = opensips::Options::new(opensips::Profile::V40).with_phones(phones, phones);
        options.trusted.push(listen);
        let server = OpenSipsServer::start(opensips::Bind::default(), options)?;
        let set = [
            ("mi", "http".to_owned()),
            ("events", events.to_string()),
            ("sip", server.sip().to_string()),
            // a proxy knows itself by the address it was called at
            ("domain", server.sip().to_string()),
            ("sip_listen", listen.to_string()),
        ];
        self.enter(name, Kind::OpenSips, settings(server.http(), &[], &set), server);
        Ok(())
    }

    fn flexisip(&mut self, name: &str, phones: SocketAddr) -> io::Result<()> {
        let events = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut options = flexisip::Options::new(flexisip::Profile::V27).with_phones(phones);
        options.events = Some(events);
        let auth = [("events_secret", options.events_key.clone()), ("secret", options.api_key.clone())];
        let auth = auth.each_ref().map(|(key, value)| (*key, value.as_str()));
        let server = FlexisipServer::start(flexisip::Bind::default(), options)?;
        let set = [
            ("sip_listen", free_udp()?.to_string()),
            ("events", events.to_string()),
            ("domain", "127.0.0.1".to_owned()),
            ("api", "127.0.0.1".to_owned()),
            ("api_tls", "off".to_owned()),
            ("api_port", server.api().port().to_string()),
        ];
        self.enter(name, Kind::Flexisip, settings(server.sip(), &auth, &set), server);
        Ok(())
    }

    fn enter_with_phones(
        &mut self,
        name: &str,
        kind: Kind,
        settings: Settings,
        server: impl Phones + 'static,
    ) {
        furnish(&server);
        self.enter(name, kind, settings, server);
    }

    fn enter(&mut self, name: &str, kind: Kind, settings: Settings, server: impl Send + 'static) {
        self._running.push(Box::new(server));
        self.specs.push(ServerSpec {
            name: name.parse().expect("our own names are names"),
            kind,
            settings,
            capacity: ServerSpec::CAPACITY,
            cps: ServerSpec::CPS,
            tags: BTreeMap::new(),
            origin: Origin::Config,
        });
    }
}

/// Slow enough to be watched, fast enough not to be waited for.
fn furnish(phones: &impl Phones) {
    for number in 1001..=1008 {
        phones.plan(&number.to_string(), Plan::answers(Duration::from_millis(400)));
    }
    phones.plan("1009", Plan::busy());
}

/// Their media takes ports in turn from a fixed range, so each process has a loopback address of its own: the number of a
/// process has 22 bits, and these addresses begin at 127.64.
fn phones_address() -> SocketAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 64 | (high & 0x3f), middle, low], 0))
}

/// A port of ours that nobody has just now; it must be the same when we come back to it.
fn free_udp() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Who we are to a manager interface.
const MANAGER: &[(&str, &str)] = &[("user", "ifbus"), ("secret", "ifbus-secret")];

fn settings(at: SocketAddr, auth: &[(&str, &str)], set: &[(&str, String)]) -> Settings {
    let secret = |(key, value): &(&str, &str)| ((*key).to_owned(), adapter::Secret::new(*value));
    Settings {
        host: at.ip().to_string(),
        port: Some(at.port()),
        auth: auth.iter().map(secret).collect(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
    }
}
