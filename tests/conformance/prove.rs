//! What a whole run proved, written down: `IFBUS_BLESS=1` rewrites `proven.json`, from which `ifbus matrix` tells it.
//!
//! Only what was seen in this run is written; a server that failed, was absent, or was asked only in part keeps the line
//! it had. Never edited by hand.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// One server on which every cell passed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proven {
    pub kind: String,
    /// `real` or `simulated`.
    pub server: String,
    /// In the server's own words.
    pub version: String,
    /// How it was spoken to.
    pub way: String,
    /// The day of the run.
    pub on: String,
    pub cells: Vec<String>,
}

/// Writes the runs that passed, if that is wanted.
pub fn write(passed: Vec<Proven>) {
    if std::env::var_os("IFBUS_BLESS").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/proven.json");
    let text = std::fs::read_to_string(&path).expect("the file of what was proven is there");
    let mut proven: Vec<Proven> = serde_json::from_str(&text).expect("it is as it was written");
    for run in passed {
        proven.retain(|old| key(old) != key(&run));
        proven.push(run);
    }
    proven.sort_by(|a, b| {
        (&a.kind, &a.server, &a.way, &a.version).cmp(&(&b.kind, &b.server, &b.way, &b.version))
    });
    let text = serde_json::to_string_pretty(&proven).expect("texts are JSON");
    std::fs::write(&path, text + "\n").expect("the file can be written");
}

/// A newer run of the same release takes the place of the older one.
fn key(run: &Proven) -> (&str, &str, &str, &str) {
    (&run.kind, &run.server, &run.way, release(&run.version))
}

/// Its first number; with the second one where the first is small: 22 of 22.10.1, 2.3 of 2.3.3.
fn release(version: &str) -> &str {
    let dots: Vec<usize> = version.match_indices('.').map(|(at, _)| at).collect();
    match dots[..] {
        [1, second, ..] => &version[..second],
        [first, ..] if first > 1 => &version[..first],
        _ => version,
    }
}
