//! Many calls held: memory and CPU of the orchestrator alone, what a call costs, what a restart costs, and that nothing
//! is left behind.
//!
//! The double is one process, the orchestrator another.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use ifbus_call::InstanceId;
use ifbus_fleet::view::Status;
use serde_json::{Value, json};

use crate::figure::{Figure, say};
use crate::live::up;
use crate::meter;
use crate::orchestrator::{Orchestrator, THREADS, spec};
use crate::process::{Double, again};
use crate::traffic::{Load, hold, release, wait};

/// How long nothing happens but the probes.
const REST: Duration = Duration::from_secs(10);

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![
        "double and orchestrator in processes of their own; orchestrator: its arbiter and its store's writer"
            .to_owned(),
    ];
    let mut figures = Vec::new();
    for calls in [1_000_u64, 10_000] {
        let mut double = Double::start();
        let (ami, http) = double.ports;
        let words = ["held".to_owned(), calls.to_string(), ami.to_string(), http.to_string()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut child = again(&words);
        let mut text = String::new();
        let told = child.stdout.take().map(|told| BufReader::new(told).read_line(&mut text));
        let left = double.channels();
        let asked = Instant::now();
        while told.as_ref().is_some_and(Result::is_ok) && double.channels() > 0 && asked.elapsed() < PATIENCE
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(child.stdin.take());
        let ended = child.wait().is_ok_and(|status| status.success());
        if !ended {
            notes.push(format!("not measured: {calls} calls, the orchestrator did not end well"));
            continue;
        }
        let told: Value = serde_json::from_str(text.trim()).unwrap_or_default();
        assert_eq!(double.channels(), 0, "legs are left on the server");
        let of = |key: &str| told[key].as_f64().unwrap_or(0.0);
        let name = |what: &str| format!("{calls} calls: {what}");
        let megabytes =
            Figure::new(name("resident, held"), "MB", of("held") / 1e6).beside("before", of("empty") / 1e6);
        let rest = Figure::new(name("CPU while held"), "ms per s", of("rest_ms"))
            .beside("idle, no calls", of("idle_ms"));
        figures.extend([
            if calls == 10_000 { megabytes.at_most(100.0) } else { megabytes },
            if calls == 1_000 { rest } else { rest.at_most(5.0) },
            Figure::new(name("set up"), "us of CPU per call", of("setup_us")),
            Figure::new(name("torn down"), "us of CPU per call", of("teardown_us")),
        ]);
        let adopted = Figure::new(name("all adopted after a restart"), "ms", of("adopted_ms"));
        figures.push(if calls == 1_000 { adopted.at_most(2_000.0) } else { adopted });
        figures.push(Figure::new(name("CPU of that"), "ms", of("adopted_cpu_ms")));
        notes.push(format!(
            "{calls} calls: {} kB per call; when the last call was shown as over {left} channels were left on the double, in the end 0; 0 calls counted, 0 alive (asserted)",
            (of("held") - of("empty")) / of("calls") / 1e3
        ));
    }
    (notes, figures)
}

/// The process of the orchestrator.
pub fn held(words: &[String]) {
    let number = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let calls = usize::try_from(number(0)).unwrap_or(0);
    let port = |place| u16::try_from(number(place)).unwrap_or(0);
    let servers = vec![spec("pbx1", "127.0.0.1", (port(1), port(2)), false)];
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
    let load = Load { calls, at_once: 100, pause: Duration::ZERO, phones: (2000, 8000) };
    let ids = wait(hold(&orchestrator.fleet, load));
    let setup = cpu() - began;
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
        "calls": calls, "empty": empty, "held": held, "idle_ms": idle, "rest_ms": resting, "setup_us": per_call(setup),
        "teardown_us": per_call(teardown), "adopted_ms": adopted.as_secs_f64() * 1e3,
        "adopted_cpu_ms": adopted_cpu.as_secs_f64() * 1e3,
    })
    .to_string());
    // Whatever is left on the server is still ours to end: we stay until nobody asks any more.
    let _ = std::io::stdin().lines().count();
    orchestrator.kill();
}
