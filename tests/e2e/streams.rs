//! The event stream over links that are slow or break: nothing is lost without a word.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ifbus_doubles::phone::Plan;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::Api;
use crate::process;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_19_events_read_slowly_tell_their_gap_and_others_lose_nothing", On::OneDouble, slow),
    ("point_20_events_over_a_link_that_breaks_are_the_truth", On::OneDouble, broken),
];

/// More than all buffers between an orchestrator and a reader that does not read.
const MANY: u64 = 15_000;

/// Calls that are over at once, until it is enough.
fn storm(api: &Api, enough: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<()>> {
    let one = || {
        let (api, enough) = (api.clone(), Arc::clone(enough));
        std::thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                api.post("/v1/calls", &json!({ "from": "1001", "to": "1002" }));
            }
        })
    };
    (0..4).map(|_| one()).collect()
}

/// A rig whose first phone is busy: a call is three events.
fn busy(more: &str) -> Rig {
    let rig = Rig::simple();
    rig.plan("1001", Plan::busy());
    rig.configure(more);
    rig.add();
    rig
}

fn slow(_: &Target) -> Result<(), Skipped> {
    let rig = busy("[limits]\nevents = 1000\n");
    let mut command = rig.command();
    command.args(["events", "--json"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut listening = command.spawn().expect("the binary can be started");
    let mut lines = BufReader::new(listening.stdout.take().expect("it is piped"));

    let newest = Arc::new(AtomicU64::new(0));
    let (seen, api) = (Arc::clone(&newest), rig.api());
    let boot = rig.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
    let mut quick = api.events("", Some(&format!("{boot}-0")));
    let quick = std::thread::spawn(move || {
        let mut next = 1;
        while next <= MANY {
            let event: Value = serde_json::from_str(&quick.next("data:")).expect("an event is JSON");
            assert_eq!(event["seq"], next, "the quick reader loses nothing");
            seen.store(next, Ordering::Relaxed);
            next += 1;
        }
    });
    // The slow one takes a line a second as long as the storm lasts: what matters is that it cannot keep up.
    let enough = Arc::new(AtomicBool::new(false));
    let storm = storm(&rig.api(), &enough);
    let first = line(&mut lines);
    rig.until("many events happened", |_| newest.load(Ordering::Relaxed) >= MANY);
    enough.store(true, Ordering::Relaxed);
    storm.into_iter().for_each(|thread| thread.join().expect("it places calls"));
    quick.join().expect("the quick reader got everything");

    let (mut next, mut missed) = (first["seq"].as_u64().expect("a number") + 1, 0);
    while next <= MANY {
        let told = line(&mut lines);
        if told["type"] == "stream.gap" {
            assert_eq!(told["from"], next, "a gap begins where the last event ended: {told}");
            let count = told["count"].as_u64().expect("a count");
            assert_eq!(told["to"], next + count - 1, "and is as long as it says: {told}");
            assert!(told["text"].as_str().is_some_and(|text| text.contains(&count.to_string())), "{told}");
            missed += count;
            next += count;
        } else {
            assert_eq!(told["seq"], next, "events and gaps together are the truth");
            next += 1;
        }
    }
    assert!(missed > 0, "it was slow enough");
    process::signal(listening.id(), Signal::INT);
    drop(lines);
    listening.wait().expect("it is ours");
    Ok(())
}

fn line(lines: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).expect("it can be read");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// Lets so many bytes of each answer through, one number a connection, then cuts it; everything after the last number.
fn cutting(listener: TcpListener, to: SocketAddr, limits: Vec<usize>) {
    std::thread::spawn(move || {
        let mut limits = limits.into_iter();
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { return };
            let limit = limits.next().unwrap_or(usize::MAX);
            let (mut up, mut down) =
                (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut up, &mut down); // until one of them has had enough
            });
            std::thread::spawn(move || pass(server, client, limit));
        }
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream, limit: usize) {
    let (mut left, mut bytes) = (limit, [0; 4096]);
    while left > 0 {
        // In small pieces, so that every place between two bytes is a place between two reads.
        let most = left.min(37);
        match from.read(&mut bytes[..most]) {
            Ok(read @ 1..) if to.write_all(&bytes[..read]).is_ok() => left -= read,
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn broken(_: &Target) -> Result<(), Skipped> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let at = listener.local_addr().expect("it listens");
    let rig = busy(&format!("hosts = [\"{at}\"]\n"));
    // The first one lives long enough to be answered; then cuts within the head, within events, between them.
    let limits = std::iter::once(900).chain((1..60).map(|n| n * 61 % 2_900 + n)).collect();
    cutting(listener, rig.api().address, limits);
    let mut command = rig.command();
    command.args(["events", "--json", "--on", &format!("http://{at}")]).stdin(Stdio::null());
    let mut listening =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(listening.stdout.take().expect("it is piped"));
    let enough = Arc::new(AtomicBool::new(false));
    let (api, told) = (rig.api(), Arc::clone(&enough));
    let calling = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            api.post("/v1/calls", &json!({ "from": "1001", "to": "1002" }));
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
    let first = line(&mut lines);
    let next = first["seq"].as_u64().expect("a number") + 1;
    let mut of_calls: BTreeMap<String, u64> = BTreeMap::new();
    for expected in next..next + 600 {
        let event = line(&mut lines);
        assert_eq!(event["seq"], expected, "nothing is lost, doubled or out of order: {event}");
        if let (Some(call), Some(number)) = (event["call"].as_str(), event["call_seq"].as_u64())
            && let Some(before) = of_calls.insert(call.to_owned(), number)
        {
            assert_eq!(number, before + 1, "{event}");
        }
    }
    enough.store(true, Ordering::Relaxed);
    calling.join().expect("it places calls");
    process::signal(listening.id(), Signal::INT);
    drop(lines);
    listening.wait().expect("it is ours");
    Ok(())
}
