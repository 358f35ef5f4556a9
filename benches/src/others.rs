//! The same originate by libraries of other languages, on the same doubles. Needs `benches/run`, which gets the
//! libraries; one that is not there is left out, with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ifbus_call::InstanceId;
use ifbus_fleet::ServerSpec;
use serde_json::Value;

use crate::figure::Figure;
use crate::kinds::{Server, Which};
use crate::live::up;
use crate::meter;
use crate::orchestrator::{Orchestrator, THREADS, spec};
use crate::process::Double;
use crate::traffic::{Load, through, wait};

const ROUNDS: usize = 3;
const ORIGINATES: usize = 400;

/// A library of another language, and a script that uses it.
struct Library {
    name: &'static str,
    program: PathBuf,
    script: &'static str,
}

impl Library {
    fn python(name: &'static str, script: &'static str) -> Self {
        Self { name, program: root().join("../target/bench-python/bin/python"), script }
    }

    fn node(name: &'static str, script: &'static str) -> Self {
        Self { name, program: "node".into(), script }
    }

    /// CPU time per originate, and events of each, on the server at this port; or why not.
    fn originate(&self, port: u16) -> Result<(f64, f64), String> {
        let mut command = Command::new(&self.program);
        command.arg(root().join(self.script)).args([port.to_string(), ORIGINATES.to_string()]);
        command.env("NODE_PATH", root().join("../target/bench-node/node_modules"));
        let output = command.output().map_err(|error| format!("no {}: {error}", self.program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said =
                said.lines().map(str::trim).rfind(|line| line.contains("Error")).unwrap_or("it failed");
            return Err(said.to_owned());
        }
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let number = |key: &str| told[key].as_f64().ok_or_else(|| format!("no {key}"));
        Ok((number("us")?, number("events")?))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![
        format!("{ORIGINATES} originates at 100 a second; {ROUNDS} rounds, median"),
        "ours does more: both legs of a call, joined, with the call's own machine, board, journal and store"
            .to_owned(),
    ];
    let mut figures = Vec::new();
    {
        let double = Double::start();
        // AMI alone, as the library does it: ours at its most expensive.
        let server = spec("pbx1", "127.0.0.1", (double.ports.0, 0), false);
        let libraries = [Library::python("panoramisk", "panoramisk_originate.py")];
        figures.extend(beside("AMI alone", server, double.ports.0, &libraries, &mut notes));
    }
    let server = Server::start(Which::FreeSwitch);
    let libraries = [
        Library::python("greenswitch", "greenswitch_originate.py"),
        Library::node("modesl", "modesl_originate.js"),
    ];
    figures.extend(beside("ESL", server.spec(), server.bare().port(), &libraries, &mut notes));
    (notes, figures)
}

/// Ours beside those libraries that are there; nothing if none is.
fn beside(
    what: &str,
    server: ServerSpec,
    port: u16,
    libraries: &[Library],
    notes: &mut Vec<String>,
) -> Option<Figure> {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let store = folder.path().join("ifbus.db");
    let orchestrator = Orchestrator::start(InstanceId(0xbe), vec![server], store, 1);
    up(&orchestrator);
    let pause = Duration::from_millis(20);
    let load = Load { calls: ORIGINATES / 2, at_once: usize::MAX, pause, phones: (2000, 8000) };
    let mut ours = Vec::new();
    let mut theirs = vec![Ok(Vec::new()); libraries.len()];
    for _ in 0..ROUNDS {
        let began = meter::named(&THREADS);
        assert_eq!(wait(through(&orchestrator.fleet, load)), 0, "calls failed on a double");
        ours.push((meter::named(&THREADS) - began).as_nanos() as f64 / 1e3 / ORIGINATES as f64);
        for (library, theirs) in libraries.iter().zip(&mut theirs) {
            let Ok(rounds) = theirs else { continue };
            match library.originate(port) {
                Ok(round) => rounds.push(round),
                Err(why) => *theirs = Err(why),
            }
        }
    }
    orchestrator.kill();
    let name = format!("originate, live, {what}");
    let mut figure = Figure::new(name, "us of CPU per originate", meter::median(&ours));
    for (library, theirs) in libraries.iter().zip(theirs) {
        match theirs {
            Ok(rounds) => {
                let [us, events] = [0, 1].map(|which| {
                    let values = rounds.iter().map(|round| if which == 0 { round.0 } else { round.1 });
                    meter::median(&values.collect::<Vec<_>>())
                });
                notes.push(format!("{} is told {events:.1} events of each, as it counts them", library.name));
                figure = figure.beside(library.name, us);
            }
            Err(why) => notes.push(format!("skipped: {}: {why}", library.name)),
        }
    }
    (!figure.beside.is_empty()).then_some(figure)
}
