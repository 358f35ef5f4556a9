//! What ifbus costs, each figure beside its limit in the same run. `benches/run` is the command.
//!
//! Every figure is CPU time, a count, virtual time, or a ratio within one run; nothing is asserted about time. What was
//! measured on which machine: `docs/benchmarks.md`.
//!
//! Read on: `meter.rs`, `figure.rs`, then one bench per file.

mod bare;
mod death;
mod dispatch;
mod figure;
mod fill;
mod formats;
mod held;
#[path = "../../tests/sim/host.rs"]
mod host;
mod kinds;
mod live;
mod meter;
mod orchestrator;
mod originate;
mod others;
mod parse;
mod plot;
mod process;
mod quiet;
mod record;
mod replay;
mod replay_kinds;
mod traffic;
mod virtual_fleet;

use std::path::PathBuf;

use figure::{Figure, say};

/// A bench: what is to be known about it, and its figures.
type Bench = fn() -> (Vec<String>, Vec<Figure>);

/// All of them, in the order of `docs/benchmarks.md`.
const BENCHES: [(&str, Bench); 8] = [
    ("parse", parse::run),
    ("replay", replay::run),
    ("dispatch", dispatch::run),
    ("death", death::run),
    ("live", live::run),
    ("originate", originate::run),
    ("held", held::run),
    ("others", others::run),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.first().map(String::as_str) {
        // This program again, as one process of a bench.
        Some("double") => match words.get(1).and_then(|word| kinds::Which::of(word)) {
            Some(which) => kinds::double(which),
            None => process::double(),
        },
        Some("held") if words.len() > 1 && words[1].parse::<u64>().is_ok() => held::held(&words[1..]),
        _ => benches(&words),
    }
}

fn benches(wanted: &[String]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("figures");
    // Beside benches, kinds may be named.
    let wanted: Vec<&String> = wanted.iter().filter(|word| kinds::Which::of(word).is_none()).collect();
    for (name, bench) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            let (notes, figures) = bench();
            figure::keep(&folder, name, &notes, &figures, !kinds::Which::is_asterisk_wanted());
        }
    }
    plot::draw(&folder, &BENCHES.map(|(name, _)| name));
    say("");
}
