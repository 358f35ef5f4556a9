//! Many calls held: memory and CPU of the orchestrator alone, what a call costs, what a restart costs, and that nothing
//! is left behind.
//!
//! The double is one process, the orchestrator another.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use ifbus_call::{InstanceId, Kind};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Status;
use serde_json::{Value, json};

use crate::figure::{Figure, say};
use crate::kinds::{Server, Which};
use crate::live::up;
use crate::meter;
use crate::orchestrator::{Orchestrator, THREADS, spec};
use crate::process::{Double, again};
use crate::traffic::{Load, hold, release, wait};

/// How long nothing happens but the probes.
const REST: Duration = Duration::from_secs(10);

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a transaction of SIP leaves behind is gone by then (RFC 3261, timers H, J and L: 32 s; twice, one after the other).
const TRANSACTIONS: Duration = Duration::from_secs(75);

/// A double and how it is reached.
enum Fleet {
    Asterisk(Double),
    Proxy(Server),
}

impl Fleet {
    /// What the process of the orchestrator is told.
    fn words(&self) -> String {
        match self {
            Self::Asterisk(double) => json!({ "ami": double.ports.0, "http": double.ports.1 }),
            Self::Proxy(server) => json!({ "which": server.which.word(), "told": server.told }),
        }
        .to_string()
    }

    fn legs(&mut self) -> u64 {
        match self {
            Self::Asterisk(double) => double.channels(),
            Self::Proxy(server) => server.legs(),
        }
    }
}

/// The server that is described by these words.
fn server(words: &str) -> ServerSpec {
    let words: Value = serde_json::from_str(words).expect("our own words");
    let port = |key: &str| words[key].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    match words["which"].as_str().and_then(Which::of) {
        Some(which) => which.spec(&words["told"]),
        None => spec("pbx1", "127.0.0.1", (port("ami"), port("http")), false),
    }
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![
        "double and orchestrator in processes of their own; orchestrator: its arbiter and its store's writer"
            .to_owned(),
    ];
    let mut figures = Vec::new();
    for calls in [1_000, 10_000].into_iter().filter(|_| Which::is_asterisk_wanted()) {
        let mut fleet = Fleet::Asterisk(Double::start());
        let Some(told) = measure(&mut fleet, calls, &mut notes) else { continue };
        let name = |what: &str| format!("{calls} calls: {what}");
        let resident = memory(&name("resident, held"), &told);
        let rest = Figure::new(name("CPU while held"), "ms per s", of(&told, "rest_ms"))
            .beside("idle, no calls", of(&told, "idle_ms"));
        let adopted = Figure::new(name("all adopted after a restart"), "ms", of(&told, "adopted_ms"));
        figures.extend([
            if calls == 10_000 { resident.at_most(100.0) } else { resident },
            if calls == 1_000 { rest } else { rest.at_most(5.0) },
            Figure::new(name("set up"), "us of CPU per call", of(&told, "setup_us")),
            Figure::new(name("torn down"), "us of CPU per call", of(&told, "teardown_us")),
            if calls == 1_000 { adopted.at_most(2_000.0) } else { adopted },
            Figure::new(name("CPU of that"), "ms", of(&told, "adopted_cpu_ms")),
        ]);
    }
    let proxy = Which::wanted().find(|which| which.is_proxy());
    for (calls, which) in [1_000, 10_000].into_iter().filter_map(|calls| Some((calls, proxy?))) {
        let mut fleet = Fleet::Proxy(Server::start(which).without_proxy());
        let Some(told) = measure(&mut fleet, calls, &mut notes) else { continue };
        let name = |what: &str| format!("{calls} calls of the SIP agent: {what}");
        let resident =
            memory(&name("resident, timers gone"), &told).beside("just joined", of(&told, "joined") / 1e6);
        let dialogs = 2.0 * calls as f64;
        let per_dialog = |key: &str| (of(&told, key) - of(&told, "empty")) / dialogs / 1e3;
        figures.extend([
            if calls == 10_000 { resident.at_most(100.0) } else { resident },
            // Two of them, and their call, in what ten thousand calls may have.
            Figure::new(name("per dialog, its half of a call with it"), "kB", per_dialog("held"))
                .beside("just joined", per_dialog("joined"))
                .at_most(5.0),
            Figure::new(name("CPU while held"), "ms per s", of(&told, "rest_ms"))
                .beside("idle, no calls", of(&told, "idle_ms"))
                .at_most(5.0),
            Figure::new(name("set up"), "us of CPU per call", of(&told, "setup_us")),
            Figure::new(name("torn down"), "us of CPU per call", of(&told, "teardown_us")),
            Figure::new(name("all adopted after a restart"), "ms", of(&told, "adopted_ms"))
                .beside("CPU of that", of(&told, "adopted_cpu_ms")),
        ]);
    }
    notes.push(
        "SIP agent: straight to the phones; the proxy, asked for its dialogs, knows none, so that every phone is asked more often \
         whether it lives"
            .to_owned(),
    );
    (notes, figures)
}

fn of(told: &Value, key: &str) -> f64 {
    told[key].as_f64().unwrap_or(0.0)
}

fn memory(name: &str, told: &Value) -> Figure {
    Figure::new(name, "MB", of(told, "held") / 1e6).beside("before", of(told, "empty") / 1e6)
}

/// What the process of an orchestrator tells that holds so many calls.
fn measure(fleet: &mut Fleet, calls: u64, notes: &mut Vec<String>) -> Option<Value> {
    let words = ["held".to_owned(), calls.to_string(), fleet.words()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = again(&words);
    let mut text = String::new();
    let told = child.stdout.take().map(|told| BufReader::new(told).read_line(&mut text));
    let left = fleet.legs();
    let asked = Instant::now();
    while told.as_ref().is_some_and(Result::is_ok) && fleet.legs() > 0 && asked.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(child.stdin.take());
    if !child.wait().is_ok_and(|status| status.success()) {
        notes.push(format!("not measured: {calls} calls, the orchestrator did not end well"));
        return None;
    }
    let told: Value = serde_json::from_str(text.trim()).unwrap_or_default();
    assert_eq!(fleet.legs(), 0, "legs are left on the server");
    notes.push(format!(
        "{calls} calls: {} kB per call; when the last call was shown as over {left} legs were left on the double, in the end 0; \
         0 calls counted, 0 alive (asserted)",
        (of(&told, "held") - of(&told, "empty")) / of(&told, "calls") / 1e3
    ));
    Some(told)
}

/// The process of the orchestrator.
pub fn held(words: &[String]) {
    let calls = words.first().and_then(|word| word.parse().ok()).unwrap_or(0);
    let server = server(words.get(1).expect("it is told which server"));
    // A SIP agent is at rest when nothing of a transaction is left, 64 s after the last answer.
    let settles =
        if matches!(server.kind, Kind::Kamailio | Kind::OpenSips) { TRANSACTIONS } else { Duration::ZERO };
    let servers = vec![server];
    let folder = tempfile::tempdir().expect("a folder for a while");
    let store = folder.path().join("ifbus.db");
    let start = |seed| Orchestrator::start(InstanceId(0xbe1d), servers.clone(), store.clone(), seed);
    let cpu = || meter::named(&THREADS);
    let rest = || {
        let began = cpu();
        wait(async { tokio::time::sleep(REST).await });
        (cpu() - began).as_secs_f64() * 1e3 / REST.as_secs_f64()
    };

    let orchestrator = start(1);
    up(&orchestrator);
    let idle = rest();
    let empty = meter::resident();
    let began = cpu();
    let at_once = if settles.is_zero() { 100 } else { 16 };
    let load = Load { calls, at_once, pause: Duration::ZERO, phones: (2000, 8000) };
    let ids = wait(hold(&orchestrator.fleet, load));
    let setup = cpu() - began;
    let joined = meter::resident();
    wait(async { tokio::time::sleep(settles).await });
    let resting = rest();
    let held = meter::resident();
    orchestrator.kill();

    let (before, began) = (cpu(), Instant::now());
    let orchestrator = start(2);
    let fleet = orchestrator.fleet.clone();
    let talking = |fleet: &ifbus_fleet::Fleet| {
        fleet.board.calls().iter().filter(|call| call.status == Status::InProgress).count()
    };
    wait(async {
        while fleet.board.servers().iter().map(|server| server.calls as usize).sum::<usize>() < calls {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let (adopted, adopted_cpu) = (began.elapsed(), cpu().saturating_sub(before));
    assert_eq!(talking(&fleet), calls, "every call is found again");
    let began = cpu();
    wait(release(&fleet, &ids, 100));
    let teardown = cpu() - began;
    let alive = fleet.board.calls().iter().filter(|call| !call.status.is_terminal()).count();
    assert_eq!(alive, 0, "calls are still alive");
    wait(async {
        // The counter of the server is shown after the last event of its last call.
        while fleet.board.servers().iter().any(|server| server.calls > 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let per_call = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
    say(&json!({
        "calls": calls, "empty": empty, "joined": joined, "held": held, "idle_ms": idle, "rest_ms": resting, "setup_us": per_call(setup),
        "teardown_us": per_call(teardown), "adopted_ms": adopted.as_secs_f64() * 1e3,
        "adopted_cpu_ms": adopted_cpu.as_secs_f64() * 1e3,
    })
    .to_string());
    // Whatever is left on the server is still ours to end: we stay until nobody asks any more.
    let _ = std::io::stdin().lines().count();
    orchestrator.kill();
}
