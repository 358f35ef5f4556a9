//! The same originate by a library of another language, on the same double. Needs `benches/run`, which gets the library.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ifbus_call::InstanceId;
use serde_json::Value;

use crate::figure::Figure;
use crate::live::up;
use crate::meter;
use crate::orchestrator::{Orchestrator, THREADS, spec};
use crate::process::Double;
use crate::traffic::{Load, through, wait};

const ROUNDS: usize = 3;
const ORIGINATES: usize = 400;

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("../target/bench-python/bin/python");
    if !python.exists() {
        return (
            vec!["skipped: no panoramisk in target/bench-python; benches/run gets it".to_owned()],
            Vec::new(),
        );
    }
    let double = Double::start();
    let folder = tempfile::tempdir().expect("a folder for a while");
    // AMI alone, as the library does it.
    let servers = vec![spec("pbx1", "127.0.0.1", (double.ports.0, 0), false)];
    let orchestrator = Orchestrator::start(InstanceId(0xbe), servers, folder.path().join("ifbus.db"), 1);
    up(&orchestrator);
    let (mut ours, mut theirs, mut events) = (Vec::new(), Vec::new(), 0.0);
    let pause = Duration::from_millis(20);
    let load = Load { calls: ORIGINATES / 2, at_once: usize::MAX, pause, phones: (2000, 8000) };
    for _ in 0..ROUNDS {
        let began = meter::named(&THREADS);
        assert_eq!(wait(through(&orchestrator.fleet, load)), 0, "calls failed on a double");
        ours.push((meter::named(&THREADS) - began).as_nanos() as f64 / 1e3 / ORIGINATES as f64);
        let script = root.join("panoramisk_originate.py");
        let words = [double.ports.0.to_string(), ORIGINATES.to_string()];
        let output = Command::new(&python).arg(script).args(words).output();
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            return (vec!["skipped: panoramisk did not run".to_owned()], Vec::new());
        };
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        theirs.push(told["us"].as_f64().unwrap_or(0.0));
        events = told["events"].as_f64().unwrap_or(0.0);
    }
    orchestrator.kill();
    let notes = vec![
        format!("{ORIGINATES} originates at 100 a second, {events:.1} events each as the library sees them; {ROUNDS} rounds, median"),
        "ours does more: both legs of a call, joined, with the call's own machine, board, journal and store; by AMI alone, which is \
         ours at its most expensive"
            .to_owned(),
    ];
    let figure = Figure::new("originate, live, AMI alone", "us of CPU per originate", meter::median(&ours))
        .beside("panoramisk", meter::median(&theirs));
    (notes, vec![figure])
}
