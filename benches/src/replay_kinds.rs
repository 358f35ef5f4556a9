//! The other kinds: their fleets are recorded on sockets, because a SIP stack speaks there and nowhere else.
//!
//! How a record is told again: `replay.rs`.

use std::time::{Duration, Instant};

use ifbus_adapters::wire_format::netstring;
use ifbus_fleet::ServerSpec;
use memchr::memmem;

use crate::figure::Figure;
use crate::fill::fill;
use crate::kinds::{Server, Which, guarded};
use crate::live::up;
use crate::orchestrator::Orchestrator;
use crate::record::{Record, Recorder};
use crate::replay::{Count, Replay, Share, replay};
use crate::traffic::{Load, hold, release, wait};
use crate::virtual_fleet::INSTANCE;

/// Calls that are measured.
const CALLS: usize = 500;
/// Calls that talk all the while, of two legs each.
const HELD: usize = 1_000;
/// The same through a proxy: its double looks at every dialog for every message.
const HELD_BY_PROXY: usize = 200;
/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![format!(
        "the other kinds: {CALLS} calls over a double on sockets, {HELD} more held, {HELD_BY_PROXY} through a proxy, recorded and told again in the same way; events of \
         FreeSWITCH filled up to what was recorded of a real one"
    )];
    let mut figures = Vec::new();
    for which in Which::wanted() {
        figures.extend(guarded(which, &mut notes, |notes| {
            let (spec, mut record, begin) = record(which);
            if which == Which::FreeSwitch {
                fill(&mut record);
            }
            let seen = replay(&spec, &record, begin, count(which));
            notes.push(note(which, &seen));
            figures_of(which, &seen)
        }));
    }
    (notes, figures)
}

fn figures_of(which: Which, seen: &Replay) -> Vec<Figure> {
    let name = which.name();
    let per_call = (seen.total() - seen.rest.nanos) / CALLS as f64 / 1e3;
    let whole = seen.whole / CALLS as f64 / 1e3;
    let originates = 2.0 * CALLS as f64;
    let rate = |what: &str, share: &Share| {
        Figure::new(format!("{what} to leg state changed, {name}"), "per core-second", share.rate())
    };
    match which {
        Which::FreeSwitch => vec![
            rate("events", &seen.stream).at_least(250_000.0),
            Figure::new(
                format!(
                    "events of an originate to leg state, {name}, {:.0} kB",
                    seen.stream.bytes as f64 / originates / 1e3
                ),
                "us of CPU",
                seen.stream.nanos / originates / 1e3,
            )
            .beside("with answers, and orders with what they become", per_call / 2.0)
            .beside("with timers and lists", whole / 2.0)
            .at_most(20.0),
        ],
        Which::Yate => vec![
            rate("lines", &seen.stream),
            Figure::new(format!("adapter per originate, {name}"), "us of CPU", per_call / 2.0)
                .beside("with timers and lists", whole / 2.0),
        ],
        Which::Kamailio | Which::OpenSips => vec![
            rate("events", &seen.stream),
            rate("SIP events", &seen.sip),
            Figure::new(format!("adapter per two-leg call, {name}"), "us of CPU", per_call)
                .beside("with timers and lists", whole),
        ],
        Which::OpenSipsByUdp => vec![
            Figure::new(format!("adapter per two-leg call, {name}"), "us of CPU", per_call)
                .beside("with timers and lists", whole),
        ],
    }
}

fn note(which: Which, seen: &Replay) -> String {
    let calls = CALLS as f64;
    let part = |name: &str, share: &Share| {
        let (count, us) = (share.messages.max(share.inputs) as f64 / calls, share.nanos / calls / 1e3);
        format!("{count:.1} {name} ({us:.1} us)")
    };
    format!(
        "{}, per call: {}, {}, {}, {}, {}; {:.1} kB of streams and answers; whole rounds by the thread's clock {:.1} us",
        which.name(),
        part("messages of the stream", &seen.stream),
        part("answers", &seen.management),
        part("SIP events", &seen.sip),
        part("orders with what they become", &seen.orders),
        part("timers, lists and the rest", &seen.rest),
        (seen.stream.bytes + seen.management.bytes) as f64 / calls / 1e3,
        seen.whole / calls / 1e3
    )
}

/// What a whole fleet told its one adapter, and where the measured part begins.
fn record(which: Which) -> (ServerSpec, Record, usize) {
    let mut server = Server::start(which);
    let folder = tempfile::tempdir().expect("a folder for a while");
    let recorder = Recorder::default();
    let heard = recorder.clone();
    let (spec, store) = (server.spec(), folder.path().join("ifbus.db"));
    let orchestrator =
        Orchestrator::start_heard(INSTANCE, vec![spec.clone()], store, 7, move || Some(heard.wrap()));
    up(&orchestrator);
    let load = |calls| Load { calls, at_once: 16, pause: Duration::ZERO, phones: (2000, 8000) };
    let held = if which.is_proxy() { HELD_BY_PROXY } else { HELD };
    wait(hold(&orchestrator.fleet, load(held)));
    let begin = recorder.len();
    let calls = wait(hold(&orchestrator.fleet, load(CALLS)));
    wait(release(&orchestrator.fleet, &calls, 16));
    let asked = Instant::now();
    while server.legs() > 2 * held as u64 && asked.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    let end = recorder.len();
    orchestrator.kill();
    let mut record = recorder.take();
    record.inputs.truncate(end);
    (spec, record, begin)
}

fn count(which: Which) -> Count {
    match which {
        Which::FreeSwitch => |bytes| {
            let events = memmem::find_iter(bytes, b"Content-Type: text/event-json").count();
            let others = memmem::find_iter(bytes, b"Content-Type: command/reply").count();
            (events, others + memmem::find_iter(bytes, b"Content-Type: api/response").count())
        },
        Which::Yate => |bytes| (memchr::memchr_iter(b'\n', bytes).count(), 0),
        Which::Kamailio => |bytes| {
            let (mut decoder, mut events) = (netstring::Decoder::default(), 0);
            decoder.push(bytes);
            while let Some(Ok(_)) = decoder.next() {
                events += 1;
            }
            (events, 0)
        },
        Which::OpenSips | Which::OpenSipsByUdp => |bytes| {
            let is_event = memmem::find(bytes, b"\"method\"").is_some();
            (usize::from(is_event), usize::from(!is_event))
        },
    }
}
