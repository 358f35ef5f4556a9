//! What a recorder heard, as tones over time, made into the bytes of a WAV file: 8 kHz, 16 bit, mono.
//!
//! When a file is complete and who may have it is each server's own affair.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::phone::Tone;
use crate::phone::tone::RATE;

/// What is heard from when on.
pub(crate) type Cuts = [(Duration, BTreeSet<Tone>)];

/// So many samples from the moment on at which the recorder began.
pub(crate) fn samples(cuts: &Cuts, began: Duration, count: usize) -> Vec<u8> {
    (0..count).flat_map(|at| sample(cuts, began, at).to_le_bytes()).collect()
}

fn sample(cuts: &Cuts, began: Duration, at: usize) -> i16 {
    let seconds = at as f64 / f64::from(RATE);
    let heard = cuts.iter().rev().find(|(since, _)| since.saturating_sub(began).as_secs_f64() <= seconds);
    let sine = |hertz: u32, height: f64| (std::f64::consts::TAU * f64::from(hertz) * seconds).sin() * height;
    let tones = heard.into_iter().flat_map(|(_, tones)| tones);
    let sum: f64 = tones
        .map(|tone| match tone {
            Tone::Phone(_) => sine(tone.hertz(), 8000.0),
            Tone::HoldMusic => sine(tone.hertz(), 6000.0),
            Tone::Ringback => sine(440, 7200.0) + sine(480, 7200.0),
        })
        .sum();
    sum.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

/// The head of a WAV file; its lengths are zero as long as it is written.
pub(crate) fn header(length: usize, complete: bool) -> Vec<u8> {
    let whole = if complete { length as u32 + 36 } else { 0 };
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(whole.to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend([1u16, 1].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend([RATE, RATE * 2].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend([2u16, 16].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(b"data");
    bytes.extend((length as u32).to_le_bytes());
    bytes
}
