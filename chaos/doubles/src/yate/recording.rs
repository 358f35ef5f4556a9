//! Recordings of a leg: two files, made of the tones that were to be heard, closed when they end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::World;
use crate::phone::Tone;
use crate::phone::tone::{RATE, encode};

/// For how long it said this and heard that.
type Part = (Duration, BTreeSet<Tone>, BTreeSet<Tone>);

/// What is being written about a leg.
#[derive(Debug)]
pub(super) struct Recorder {
    says: String,
    hears: String,
    since: Duration,
    parts: Vec<Part>,
}

impl World {
    /// Begins two files; in a folder that cannot be written to nothing is made, and nobody is told.
    pub(super) fn begin_recorder(&mut self, leg: &str, says: &str, hears: &str) {
        self.end_recorder(leg);
        let name = |path: &str| {
            let path = path.strip_prefix("wave/record/")?.strip_prefix(self.options.recordings.as_str())?;
            path.strip_prefix('/').map(str::to_owned)
        };
        let (Some(says), Some(hears)) = (name(says), name(hears)) else { return };
        for file in [&says, &hears] {
            self.files.insert(file.clone(), header(u32::MAX));
        }
        let recorder = Recorder { says, hears, since: self.now, parts: Vec::new() };
        self.recorders.insert(leg.to_owned(), recorder);
    }

    /// Notes what was to be heard until now; before anything changes.
    pub(super) fn account(&mut self) {
        let now = self.now;
        for leg in self.recorders.keys().cloned().collect::<Vec<_>>() {
            let (says, hears) = (self.says(&leg), self.hears(&leg));
            if let Some(recorder) = self.recorders.get_mut(&leg) {
                let passed = now.saturating_sub(recorder.since);
                recorder.since = now;
                match recorder.parts.last_mut() {
                    Some((time, s, h)) if *s == says && *h == hears => *time += passed,
                    _ => recorder.parts.push((passed, says, hears)),
                }
            }
        }
    }

    pub(super) fn end_recorder(&mut self, leg: &str) {
        let Some(recorder) = self.recorders.remove(leg) else { return };
        let file = |of: fn(&Part) -> &BTreeSet<Tone>| {
            let mut samples = Vec::new();
            for part in &recorder.parts {
                let count = part.0.as_millis() as u32 * RATE / 1000;
                samples.extend((0..count).map(|at| encode(sample(of(part), at))));
            }
            let mut bytes = header(u32::try_from(samples.len()).unwrap_or(0));
            bytes.extend(samples);
            bytes
        };
        let (says, hears) = (file(|part| &part.1), file(|part| &part.2));
        self.files.insert(recorder.says, says);
        self.files.insert(recorder.hears, hears);
    }
}

fn sample(tones: &BTreeSet<Tone>, at: u32) -> i16 {
    let one = |tone: &Tone| {
        let turns = f64::from(tone.hertz()) * f64::from(at) / f64::from(RATE);
        (turns * std::f64::consts::TAU).sin() * 6000.0
    };
    tones.iter().map(one).sum::<f64>().clamp(-32000.0, 32000.0) as i16
}

/// The header of an AU file in µ-law.
fn header(length: u32) -> Vec<u8> {
    let numbers = [32, length, 1, RATE, 1].map(u32::to_be_bytes).concat();
    [&b".snd"[..], &numbers, &[0; 8]].concat()
}
