//! `kill -9` of an orchestrator whose calls are dialogs of its own, placed through a proxy: it is a party of each, so what
//! it does not take up again nobody ends.
//!
//! The twin of `killed.rs`, where the server itself has the calls.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ifbus_doubles::kamailio::{Bind, KamailioServer, Options, Profile};
use ifbus_doubles::phone::Plan;
use ifbus_doubles::phone::shell::SipServer;

use crate::rig::{Rig, phones_of};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("kill_9_cuts_none_of_100_calls_through_a_proxy", On::OneDouble, double),
    ("kill_9_cuts_none_of_100_calls_through_a_real_proxy", On::OneDouble, real),
];

const CALLS: usize = 100;
/// A proxy gives a phone that loses datagrams five seconds.
const AT_ONCE: usize = 10;
/// A phone that answers while nobody is there.
const SOON: Duration = Duration::from_millis(1500);

/// A proxy, and how to look at it past ifbus.
struct Proxy {
    rpc: SocketAddr,
    sip: SocketAddr,
    events: u16,
    double: Option<KamailioServer>,
}

fn double(_: &Target) -> Result<(), Skipped> {
    // an address of this process: another run on this machine has its own
    let [.., high, low] = std::process::id().to_be_bytes();
    let at = SocketAddr::from(([127, 98, high, low | 1], 5060));
    let phones = SipServer::start(&[at]).expect("loopback has ports");
    let options = Options::new(Profile::V56).with_phones(at, at);
    let server = KamailioServer::start(Bind::default(), options).expect("loopback has ports");
    let (rpc, sip, events) = (server.rpc(), server.sip(), server.events().port());
    a_hundred_calls(&Proxy { rpc, sip, events, double: Some(server) }, phones);
    Ok(())
}

fn real(_: &Target) -> Result<(), Skipped> {
    let named = std::env::var("IFBUS_REAL_KAMAILIO").unwrap_or_default();
    let address = named.split(',').find_map(|pair| pair.split_once('=')?.1.parse::<Ipv4Addr>().ok());
    let ip = address.ok_or_else(|| Skipped("IFBUS_REAL_KAMAILIO names no real server".to_owned()))?;
    let at = phones_of(ip);
    let phones = SipServer::start(&[at]).map_err(|error| Skipped(format!("no phones at {at}: {error}")))?;
    let (rpc, sip) = (SocketAddr::from((ip, 8080)), SocketAddr::from((ip, 5060)));
    a_hundred_calls(&Proxy { rpc, sip, events: 8448, double: None }, phones);
    Ok(())
}

fn a_hundred_calls(proxy: &Proxy, phones: SipServer) {
    let rig = Rig::with_phones(proxy.rpc, Arc::new(phones));
    rig.ifbus(&proxy.add_words()).ends(0);
    let before = proxy.dialogs();
    let mut ids = BTreeSet::new();
    while ids.len() < CALLS - 1 {
        let more = AT_ONCE.min(CALLS - 1 - ids.len());
        ids.extend((0..more).map(|_| rig.place("1001", "1002")));
        rig.until("all talk", |rig| rig.calls("in-progress") == ids);
    }
    let held = rig.talk("1007", "1008");
    ids.insert(held.clone());
    rig.plan("1004", Plan::rings());
    rig.plan("1006", Plan::answers(SOON));
    let ringing = [rig.place("1003", "1004"), rig.place("1005", "1006")];
    for id in &ringing {
        rig.until("it rings", |rig| rig.stage(id, "b").as_deref() == Some("ringing"));
    }
    let talking = |rig: &Rig| ["1001", "1002", "1007", "1008"].map(|number| rig.phones().live(number));
    let rings = |rig: &Rig| (1001..=1008).map(|n| rig.phones().rings(&n.to_string())).collect::<Vec<_>>();
    let all_talk = [CALLS - 1, CALLS - 1, 1, 1];
    let rang = rings(&rig);
    assert_eq!(talking(&rig), all_talk);

    rig.kill_9();
    rig.until("one answers nobody", |rig| rig.phones().live("1006") == 1);
    rig.hear_each_other("1007", "1008");
    assert_eq!(talking(&rig), all_talk, "none was cut by the death");
    rig.start_again();
    assert_eq!(rig.calls("in-progress"), ids, "under their old ids");
    assert!(ids.iter().all(|id| rig.told(id, "call.adopted")), "each is told");
    // Nobody waits for those answers any more: one is taken back, the late one acknowledged and ended.
    for number in ["1003", "1004", "1005", "1006"] {
        rig.is_free(number);
    }
    for id in &ringing {
        rig.until("it is over", |rig| {
            rig.api().get(&format!("/v1/calls/{id}")).json()["ended_at"].is_string()
        });
    }
    assert_eq!(talking(&rig), all_talk, "none was cut");
    assert_eq!(rings(&rig), rang, "nobody rang again");

    rig.ifbus(&format!("hold sip call_id={held}")).ends(0);
    rig.until("the other hears nothing", |rig| !rig.hears("1008", "1007") && !rig.hears("1007", "1008"));
    rig.ifbus(&format!("resume sip call_id={held}")).ends(0);
    rig.hear_each_other("1007", "1008");
    rig.ifbus("hangup sip --all --yes").ends(0);
    rig.until("all are over", |rig| ids.is_subset(&rig.calls("completed")));
    for number in ["1001", "1002", "1007", "1008"] {
        rig.is_free(number);
    }
    rig.until("the server has no dialog of them", |_| proxy.dialogs() <= before);
}

impl Proxy {
    fn add_words(&self) -> String {
        let Self { rpc, sip, events, .. } = self;
        let (host, port) = (rpc.ip(), rpc.port());
        // a port of ours that nobody has
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let listen = free.expect("loopback has ports");
        format!(
            "add sip pbx1 kamailio --host {host} --port {port} --auth secret=labtoken \
             --auth sip_user=lab --auth sip_secret=labpass \
             --set sip_listen={listen} --set sip={sip} --set events_port={events} --set capacity=1000 --set cps=1000"
        )
    }

    /// The dialogs that it lists, but for those that are over and still shown.
    fn dialogs(&self) -> usize {
        match &self.double {
            Some(double) => double.read(|machine| machine.live()),
            None => listed(self.rpc),
        }
    }
}

/// The same of a real one, as whoever may ask JSON-RPC sees it.
fn listed(rpc: SocketAddr) -> usize {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(rpc).expect("JSON-RPC answers");
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
    let states = text.split("\"state\":").skip(1);
    states.filter(|state| !state.trim_start().starts_with('5')).count()
}
