//! The orchestrator on real sockets, beside a loop that reads the same events of the same server at the same time and
//! throws them away; and our SIP agent, beside a caller that has its texts ready.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ifbus_adapters::wire_format::ari;
use ifbus_call::InstanceId;
use ifbus_fleet::ServerSpec;

use crate::figure::Figure;
use crate::kinds::{Server, Which, guarded};
use crate::orchestrator::{Orchestrator, THREADS, spec, state};
use crate::process::Double;
use crate::traffic::{Load, through, wait};
use crate::{bare, meter};

const ROUNDS: usize = 5;
/// `ifbus` and `ifbus-secret`, as HTTP wants them.
const BASIC: &str = "aWZidXM6aWZidXMtc2VjcmV0";

/// A thread that reads and does nothing else.
struct Reader {
    stream: TcpStream,
    reads: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(name: &str, stream: TcpStream) -> io::Result<Self> {
        let reads = Arc::new(AtomicU64::new(0));
        let (mut socket, counted) = (stream.try_clone()?, Arc::clone(&reads));
        let read = move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(1..) = socket.read(&mut buffer) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(read)?;
        Ok(Self { stream, reads, thread })
    }

    fn stop(self) {
        // Closed already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.join();
    }
}

/// Everything ifbus listens to, without ifbus: the manager's results of originates, and the filtered stream.
fn asterisk(name: &str, ports: (u16, u16)) -> io::Result<Vec<Reader>> {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut ami = TcpStream::connect(at(ports.0))?;
    ami.write_all(
        b"Action: Login\r\nUsername: ifbus\r\nSecret: ifbus-secret\r\nEvents: call\r\n\r\n\
          Action: Filter\r\nOperation: Add\r\nFilter: Event: OriginateResponse\r\n\r\n",
    )?;
    let mut stream = TcpStream::connect(at(ports.1))?;
    let upgrade = format!(
        "GET /ari/events?app={name}&subscribeAll=true HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {BASIC}\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes())?;
    expect(&mut stream, "101")?;
    let filter = ari::filter();
    let mut http = TcpStream::connect(at(ports.1))?;
    let head = format!(
        "PUT /ari/applications/{name}/eventFilter HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {BASIC}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        filter.len()
    );
    http.write_all(&[head.as_bytes(), &filter].concat())?;
    expect(&mut http, "200")?;
    Ok(vec![Reader::start(name, ami)?, Reader::start(name, stream)?])
}

/// What ifbus asks FreeSWITCH for (`freeswitch/login.rs` of the adapters).
const EVENTS: &str = "event json CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_BRIDGE \
                      CHANNEL_UNBRIDGE CHANNEL_PARK CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE \
                      CHANNEL_DESTROY DTMF RECORD_START RECORD_STOP BACKGROUND_JOB HEARTBEAT SHUTDOWN \
                      CUSTOM conference::maintenance";

/// What it watches at Yate (`yate/login.rs`).
const WATCHED: [&str; 9] = [
    "chan.startup",
    "call.progress",
    "call.ringing",
    "call.answered",
    "chan.connected",
    "chan.disconnected",
    "chan.hangup",
    "chan.dtmf",
    "call.update",
];

/// The same of a server of another kind: one stream.
fn stream(name: &str, server: &Server) -> io::Result<Vec<Reader>> {
    let mut stream = TcpStream::connect(server.bare())?;
    let hello = match server.which {
        Which::FreeSwitch => format!("auth ifbus-secret\n\n{EVENTS}\n\n"),
        _ => {
            let watched = WATCHED.iter().map(|name| format!("%%>watch:{name}\n"));
            format!("%%>connect:global\n{}", watched.collect::<String>())
        }
    };
    stream.write_all(hello.as_bytes())?;
    Ok(vec![Reader::start(name, stream)?])
}

fn expect(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = vec![0; 4096];
    let length = stream.read(&mut head)?;
    stream.set_read_timeout(None)?;
    let text = String::from_utf8_lossy(&head[..length]);
    if text.split(' ').nth(1) == Some(status) { Ok(()) } else { Err(io::Error::other(text.into_owned())) }
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = Vec::new();
    let mut figures = Vec::new();
    if Which::is_asterisk_wanted() {
        let double = Double::start();
        let sides = [asterisk("bare-one", double.ports), asterisk("bare-two", double.ports)];
        let sides = sides.map(|side| side.expect("the double takes a reader"));
        let server = spec("pbx1", "127.0.0.1", double.ports, false);
        figures.extend(compare("", server, sides, &mut notes));
    }
    for which in Which::wanted().filter(|which| !which.is_proxy()) {
        let server = Server::start(which);
        let sides = [stream("bare-one", &server), stream("bare-two", &server)];
        let sides = sides.map(|side| side.expect("the double takes a reader"));
        figures.extend(compare(&format!("{}, ", which.name()), server.spec(), sides, &mut notes));
    }
    notes.push(format!(
        "double in a process of its own; orchestrator: its arbiter and its store's writer; {ROUNDS} rounds, median; goal: 1.25 x bare + \
         30 us"
    ));
    for which in Which::wanted().filter(|which| which.is_proxy()) {
        figures.extend(guarded(which, &mut notes, |notes| agent(which, notes)));
    }
    (notes, figures)
}

/// The orchestrator beside two loops that read what it reads.
fn compare(name: &str, server: ServerSpec, sides: [Vec<Reader>; 2], notes: &mut Vec<String>) -> Vec<Figure> {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let orchestrator = Orchestrator::start(InstanceId(0xbe), vec![server], folder.path().join("ifbus.db"), 1);
    up(&orchestrator);
    let mut figures = Vec::new();
    for rate in [50, 200] {
        let load = Load {
            calls: 4 * rate,
            at_once: usize::MAX,
            pause: Duration::from_micros(1_000_000 / rate as u64),
            phones: (2000, 8000),
        };
        let (mut ours, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
        let reads = |side: &[Reader]| side.iter().map(|r| r.reads.load(Ordering::Relaxed)).sum::<u64>();
        let before = reads(&sides[0]);
        for _ in 0..ROUNDS {
            let look = || [meter::named(&THREADS), meter::named(&["bare-one"]), meter::named(&["bare-two"])];
            let began = look();
            let failed = wait(through(&orchestrator.fleet, load));
            assert_eq!(failed, 0, "calls failed on a double");
            let ended = look();
            for (side, place) in [&mut ours, &mut one, &mut two].into_iter().zip(0..) {
                // Two originates per call.
                side.push((ended[place] - began[place]).as_nanos() as f64 / 1e3 / (2 * load.calls) as f64);
            }
        }
        let events = (reads(&sides[0]) - before) as f64 / (ROUNDS * 2 * load.calls) as f64;
        let [ours, one, two] = [ours, one, two].map(|side| meter::median(&side));
        notes.push(format!(
            "{name}{rate} two-leg calls a second: the bare loop was woken {events:.1} times per originate; ours is {:.2} x the bare \
             loop; its share per wake-up {:.1} us",
            ours / one,
            one / events
        ));
        figures.push(
            Figure::new(format!("live, {name}{rate} calls/s, per originate"), "us of CPU", ours)
                .beside("bare read and discard", one)
                .beside("noise: a second bare loop", two)
                .at_most(1.25 * one + 30.0),
        );
    }
    for reader in sides.into_iter().flatten() {
        reader.stop();
    }
    orchestrator.kill();
    figures
}

/// Calls of our SIP agent through a proxy, beside a bare caller's; with what the proxy's management costs.
fn agent(which: Which, notes: &mut Vec<String>) -> Vec<Figure> {
    let server = Server::start(which);
    let folder = tempfile::tempdir().expect("a folder for a while");
    let store = folder.path().join("ifbus.db");
    let orchestrator = Orchestrator::start(InstanceId(0xbe), vec![server.spec()], store, 1);
    up(&orchestrator);
    let mut run = 0;
    let mut figures = Vec::new();
    for at_once in [4, 16] {
        let load = Load { calls: 10 * at_once, at_once, pause: Duration::ZERO, phones: (2000, 8000) };
        let per_call = |time: Duration| time.as_nanos() as f64 / 1e3 / load.calls as f64;
        let mut disk = 0.0;
        let mut ours = || {
            let (began, wrote) = (meter::named(&THREADS), meter::named(&["store"]));
            assert_eq!(wait(through(&orchestrator.fleet, load)), 0, "calls failed on a double");
            disk = per_call(meter::named(&["store"]) - wrote);
            per_call(meter::named(&THREADS) - began)
        };
        let mut bare = || {
            run += 1;
            let mut wire = bare::connect(&server, &format!("live{run}")).expect("a socket");
            let began = meter::thread();
            assert_eq!(bare::through(wire.as_mut(), load).expect("the proxy answers"), 0, "calls failed");
            per_call(meter::thread() - began)
        };
        let [ours, bare] = meter::rounds(ROUNDS, [&mut ours, &mut bare]);
        notes.push(format!("SIP agent, {}, {at_once} at once: of it the disk {disk:.0} us", which.name()));
        figures.push(
            Figure::new(
                format!("live, SIP agent and {}, {at_once} at once, per two-leg call", which.name()),
                "us of CPU",
                ours,
            )
            .beside("bare caller, texts only", bare)
            .at_most(1_000.0),
        );
    }
    orchestrator.kill();
    figures
}

/// Waits until the server is connected.
pub fn up(orchestrator: &Orchestrator) {
    wait(async {
        for _ in 0..6_000 {
            if state(&orchestrator.fleet, "pbx1") == ifbus_fleet::view::ServerState::Up {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the server is not connected");
    });
}
