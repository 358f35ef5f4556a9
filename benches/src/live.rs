//! The orchestrator on real sockets, beside a loop that reads the same events of the same server at the same time and
//! throws them away.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ifbus_adapters::wire_format::ari;
use ifbus_call::InstanceId;

use crate::figure::Figure;
use crate::meter;
use crate::orchestrator::{Orchestrator, THREADS, spec, state};
use crate::process::Double;
use crate::traffic::{Load, through, wait};

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
fn readers(name: &str, ports: (u16, u16)) -> io::Result<[Reader; 2]> {
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
    Ok([Reader::start(name, ami)?, Reader::start(name, stream)?])
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
    let double = Double::start();
    let folder = tempfile::tempdir().expect("a folder for a while");
    let servers = vec![spec("pbx1", "127.0.0.1", double.ports, false)];
    let orchestrator = Orchestrator::start(InstanceId(0xbe), servers, folder.path().join("ifbus.db"), 1);
    up(&orchestrator);
    let sides = [readers("bare-one", double.ports), readers("bare-two", double.ports)];
    let sides = sides.map(|side| side.expect("the double takes a reader"));
    let mut notes = Vec::new();
    let mut figures = Vec::new();
    for rate in [50, 200] {
        let load = Load {
            calls: 4 * rate,
            at_once: usize::MAX,
            pause: Duration::from_micros(1_000_000 / rate as u64),
            phones: (2000, 8000),
        };
        let (mut ours, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
        let reads = |side: &[Reader; 2]| side.iter().map(|r| r.reads.load(Ordering::Relaxed)).sum::<u64>();
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
            "{rate} two-leg calls a second: the bare loop was woken {events:.1} times per originate; ours is {:.2} x the bare loop; \
             its share per wake-up {:.1} us",
            ours / one,
            one / events
        ));
        figures.push(
            Figure::new(format!("live, {rate} calls/s, per originate"), "us of CPU", ours)
                .beside("bare read and discard", one)
                .beside("noise: a second bare loop", two)
                .at_most(1.25 * one + 30.0),
        );
    }
    notes.push(format!(
        "double in a process of its own; orchestrator: its arbiter and its store's writer; {ROUNDS} rounds, median; goal: 1.25 x bare + \
         30 us"
    ));
    for reader in sides.into_iter().flatten() {
        reader.stop();
    }
    orchestrator.kill();
    (notes, figures)
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
