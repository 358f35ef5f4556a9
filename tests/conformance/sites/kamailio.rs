//! Kamailio: the double in both versions, and a real one.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter::Secret};
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::double::Reachable as _;
use ifbus_doubles::kamailio::{Bind, KamailioServer, Options, Profile};
use ifbus_doubles::phone::shell::{SipServer, attack};
use ifbus_doubles::phone::{Phones, Plan, Tone};

use crate::site::{Site, Target, real};

/// The targets of a real server share its phones' addresses, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Cells that this kind cannot pass, by the beginnings of their names, and why.
pub(super) const LACKS: &[(&str, &str)] = &[
    ("mute", "needs a media anchor"),
    ("conference", "needs a media anchor"),
    ("record", "needs a media anchor"),
    ("fetch-recording", "needs a media anchor"),
    ("dtmf from a phone", "tones flow between the phones; needs a media anchor"),
];

/// A name that has no route, so that somebody had to register it, and a number behind the trunk, where it has no phone.
pub(super) const NOBODY: (&str, &str) = ("nobody", "+4930123456");

/// Every target of this kind.
pub fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for (version, profile) in [("5.6", Profile::V56), ("6.1", Profile::V61)] {
        let target = |place: &str, real, open| Target {
            name: format!("kamailio {version} {place}"),
            kind: Kind::Kamailio,
            real,
            way: "json-rpc, evapi and sip",
            open,
        };
        let double = move || Ok(Box::new(Simulated::start(profile)) as Box<dyn Site>);
        targets.push(target("double", false, Box::new(double)));
        let installed = move || {
            let ip = real("IFBUS_REAL_KAMAILIO", version)?;
            Ok(Box::new(Real::open(ip)?) as Box<dyn Site>)
        };
        targets.push(target("real", true, Box::new(installed)));
    }
    targets
}

/// A double.
pub(super) fn simulated(profile: Profile) -> Box<dyn Site> {
    Box::new(Simulated::start(profile))
}

/// The one of this version that is installed.
pub(super) fn installed(version: &str) -> Result<Box<dyn Site>, String> {
    Ok(Box::new(Real::open(real("IFBUS_REAL_KAMAILIO", version)?)?))
}

/// A double, with phones on real sockets.
struct Simulated {
    server: KamailioServer,
    phones: Arc<Both>,
    listen: SocketAddr,
}

impl Simulated {
    fn start(profile: Profile) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let last = NEXT.fetch_add(1, Ordering::Relaxed);
        let at = SocketAddr::from(([127, 0, 81, last], 5060));
        let callers = SocketAddr::from(([127, 0, 82, last], 5060));
        let phones = Arc::new(Both::start(at, callers).expect("loopback has ports"));
        let mut options = Options::new(profile).with_phones(at, at);
        let listen = listen();
        options.trusted.push(listen);
        let server = KamailioServer::start(Bind::default(), options).expect("loopback has ports");
        Self { server, phones, listen }
    }
}

impl Site for Simulated {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.phones) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        let mut settings = settings("127.0.0.1", self.server.rpc().port(), self.listen);
        settings.set.insert("events_port".to_owned(), self.server.events().port().to_string());
        settings.set.insert("sip".to_owned(), self.server.sip().to_string());
        settings
    }

    fn lets_in(&self) -> bool {
        self.server.with(|machine, now| machine.hostile_call("5551234", now))
    }

    fn hostile_call(&self, raw: &str) {
        self.server.with(|machine, now| machine.hostile_call(raw, now));
    }

    fn forgeries(&self, native: &str) -> Vec<String> {
        forgeries(native)
    }

    fn natives(&self, instance: InstanceId) -> Vec<String> {
        let prefix = format!("ib-{instance}-");
        let calls = self.server.read(|machine| machine.dialogs());
        calls.into_iter().map(|(call_id, _)| call_id).filter(|call_id| call_id.starts_with(&prefix)).collect()
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.callers.call(from, to, self.server.sip());
    }

    fn foreign_name(&self, phone: &str) -> String {
        phone.to_owned()
    }

    fn has_music(&self) -> bool {
        false
    }

    fn keeps_ringing(&self) -> bool {
        false
    }

    fn nobody(&self) -> (&'static str, &'static str) {
        NOBODY
    }

    fn lacks(&self) -> &'static [(&'static str, &'static str)] {
        LACKS
    }
}

/// A real server: its phones are expected at the next address, the trunk's peer at the one after.
struct Real {
    ip: Ipv4Addr,
    phones: Arc<Both>,
    listen: SocketAddr,
    _turn: MutexGuard<'static, ()>,
}

impl Real {
    fn open(ip: Ipv4Addr) -> Result<Self, String> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sip_of(ip, 1);
        // those who call by themselves are at the trunk's address, on another port than the hostile
        let callers = SocketAddr::from((Ipv4Addr::from(u32::from(ip) + 2), 5070));
        let phones = Both::start(at, callers).map_err(|error| format!("no phones at {at}: {error}"))?;
        Ok(Self { ip, phones: Arc::new(phones), listen: listen(), _turn: turn })
    }

    /// A caller from outside: the status he hears.
    fn attack(&self, raw: &str, within: Duration) -> u16 {
        let status = attack(sip_of(self.ip, 2), sip_of(self.ip, 0), raw, "1019", within);
        status.expect("the server answers the caller")
    }
}

impl Site for Real {
    fn phones(&self) -> Arc<dyn Phones> {
        Arc::clone(&self.phones) as Arc<dyn Phones>
    }

    fn settings(&self) -> Settings {
        settings(&self.ip.to_string(), 8080, self.listen)
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

    /// As somebody sees them who may ask JSON-RPC.
    fn natives(&self, instance: InstanceId) -> Vec<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect((self.ip, 8080)).expect("JSON-RPC answers");
        let body = "{\"jsonrpc\":\"2.0\",\"method\":\"dlg.list\",\"id\":1}";
        let head = format!("Host: x\r\nAuthorization: Bearer labtoken\r\nContent-Length: {}", body.len());
        write!(stream, "POST /rpc HTTP/1.1\r\n{head}\r\n\r\n{body}").expect("it reads");
        // it does not close the connection: the end is when nothing comes any more
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a deadline can be set");
        let (mut text, mut piece) = (Vec::new(), [0; 65_536]);
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            text.extend_from_slice(&piece[..length]);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let prefix = format!("ib-{instance}-");
        // those that are over are still listed for some seconds, in state 5
        let live = |rest: &&str| {
            let state = rest.split("\"state\":").nth(1).unwrap_or_default();
            !state.trim_start().starts_with('5')
        };
        let ids = text.split("\"call-id\":").skip(1).filter(live).filter_map(|rest| rest.split('"').nth(1));
        ids.filter(|id| id.starts_with(&prefix)).map(str::to_owned).collect()
    }

    fn foreign_call(&self, from: &str, to: &str) {
        self.phones.callers.call(from, to, sip_of(self.ip, 0));
    }

    fn foreign_name(&self, phone: &str) -> String {
        phone.to_owned()
    }

    fn has_music(&self) -> bool {
        false
    }

    fn keeps_ringing(&self) -> bool {
        false
    }

    fn nobody(&self) -> (&'static str, &'static str) {
        NOBODY
    }

    fn lacks(&self) -> &'static [(&'static str, &'static str)] {
        LACKS
    }
}

/// Phones that are called, and phones that call: a proxy keeps the Call-ID, and nobody can be both its ends.
pub(super) struct Both {
    called: SipServer,
    pub(super) callers: SipServer,
}

impl Both {
    pub(super) fn start(called: SocketAddr, callers: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { called: SipServer::start(&[called])?, callers: SipServer::start(&[callers])? })
    }

    /// Call-IDs of the calls that those who are called have answered.
    pub(super) fn call_ids(&self) -> Vec<String> {
        self.called.call_ids()
    }

    fn each(&self) -> [&SipServer; 2] {
        [&self.called, &self.callers]
    }
}

impl Phones for Both {
    fn plan(&self, number: &str, plan: Plan) {
        self.called.plan(number, plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.each().into_iter().flat_map(|phones| phones.heard(number)).collect()
    }

    fn rings(&self, number: &str) -> u32 {
        self.called.rings(number)
    }

    fn digits(&self, number: &str) -> String {
        self.called.digits(number)
    }

    fn live(&self, number: &str) -> usize {
        self.each().into_iter().map(|phones| phones.live(number)).sum()
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.called.caller_seen(number)
    }

    fn silence(&self, on: bool) {
        self.each().into_iter().for_each(|phones| phones.silence(on));
    }

    fn hang_up(&self, number: &str) {
        self.each().into_iter().for_each(|phones| phones.hang_up(number));
    }

    fn press(&self, number: &str, digits: &str) {
        self.called.press(number, digits);
    }

    fn hold(&self, number: &str) {
        self.called.hold(number);
    }

    fn resume(&self, number: &str) {
        self.called.resume(number);
    }

    fn transfer(&self, number: &str, to: &str) {
        self.called.transfer(number, to);
    }

    /// Of a phone that has called somebody by itself, that call is the second one.
    fn transfer_attended(&self, number: &str) {
        match self.callers.consulted(number) {
            Some(to) => self.called.transfer_as(number, &to),
            None => self.called.transfer_attended(number),
        }
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.called.transferred(number)
    }
}

/// A port of ours that nobody has.
fn listen() -> SocketAddr {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    socket.local_addr().expect("it is bound")
}

fn sip_of(ip: Ipv4Addr, offset: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(ip) + offset), 5060))
}

fn settings(host: &str, port: u16, listen: SocketAddr) -> Settings {
    let auth = [("secret", "labtoken"), ("sip_user", "lab"), ("sip_secret", "labpass")];
    Settings {
        host: host.to_owned(),
        port: Some(port),
        auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
        set: [("sip_listen".to_owned(), listen.to_string())].into(),
    }
}

/// The worst case: the attacker knows the Call-IDs. What he writes becomes JSON of `evapi` as text.
fn forgeries(native: &str) -> Vec<String> {
    vec![
        format!("777\",\"event\":\"ended\",\"call_id\":\"{native}"),
        format!("777\"}},52:{{\"event\":\"ended\",\"call_id\":\"{native}\"}},"),
        format!("777\r\nCall-ID: {native}\r\nX: y"),
    ]
}
