//! Tones: which one a phone plays, how it is made, and how tones are recognised in PCMU audio.
//!
//! Every phone plays one steady sine; its frequency is a function of the number. Two numbers may share
//! a frequency (there are [`SLOTS`] of them); numbers in sequence never do.

use std::collections::BTreeSet;
use std::fmt;

/// Distinct phone frequencies: 600 Hz to 2320 Hz in steps of 40 Hz, clear of 400 (hold music of the
/// lab), 440 and 480 (ringback) and all DTMF pairs' harmonics that matter over 300 ms.
pub const SLOTS: u32 = 44;

/// Samples per second of PCMU.
pub const RATE: u32 = 8000;

/// Something a phone can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// The tone of the phones of one slot; make it with [`Tone::of`].
    Phone(u32),
    /// Hold music (a 400 Hz sine in the lab).
    HoldMusic,
    /// Ringback (440 + 480 Hz).
    Ringback,
}

impl Tone {
    /// The tone that the phone with this number plays. Numbers that differ only in their last digits by
    /// less than [`SLOTS`] never share a tone.
    pub fn of(number: &str) -> Tone {
        let slot =
            number.bytes().fold(0u32, |sum, byte| (sum * 10 + u32::from(byte.wrapping_sub(b'0'))) % SLOTS);
        Tone::Phone(slot)
    }

    /// Frequency in hertz; that of the first component for ringback.
    pub fn hertz(self) -> u32 {
        match self {
            Tone::Phone(slot) => 600 + 40 * (slot % SLOTS),
            Tone::HoldMusic => 400,
            Tone::Ringback => 440,
        }
    }

    /// The frequencies of all its components.
    fn parts(self) -> Vec<u32> {
        if self == Tone::Ringback { vec![440, 480] } else { vec![self.hertz()] }
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tone::Phone(_) => write!(f, "phone tone {} Hz", self.hertz()),
            Tone::HoldMusic => f.write_str("hold music"),
            Tone::Ringback => f.write_str("ringback"),
        }
    }
}

/// Makes tones sample by sample, all at once, without a seam between packets; by default none, which is silence.
#[derive(Clone, Debug, Default)]
pub struct Player {
    tones: BTreeSet<Tone>,
    /// Samples played. Every frequency is a whole number of hertz, so that it begins anew each second.
    played: u32,
}

impl Player {
    /// A player at the beginning of its first period.
    pub fn new(tone: Tone) -> Self {
        Player { tones: BTreeSet::from([tone]), played: 0 }
    }

    /// Plays these from now on. Those that were played before go on without a seam.
    pub fn change(&mut self, tones: BTreeSet<Tone>) {
        self.tones = tones;
    }

    /// The next `samples` samples as PCMU bytes. Up to 20 tones at once are loud enough to be recognised.
    pub fn pcmu(&mut self, samples: usize) -> Vec<u8> {
        let parts: Vec<f64> = self.tones.iter().flat_map(|tone| tone.parts()).map(f64::from).collect();
        let height = (32_000.0 / parts.len().max(1) as f64).min(8000.0);
        let step = std::f64::consts::TAU / f64::from(RATE);
        (0..samples)
            .map(|_| {
                self.played = (self.played + 1) % RATE;
                let at = step * f64::from(self.played);
                encode(parts.iter().map(|hertz| (at * hertz).sin() * height).sum::<f64>() as i16)
            })
            .collect()
    }
}

/// Which tones are present in PCMU audio. Needs 800 samples (100 ms) to say anything: less is silence.
pub fn recognise(pcmu: &[u8]) -> BTreeSet<Tone> {
    let samples: Vec<i16> = pcmu.iter().map(|byte| decode(*byte)).collect();
    recognise_samples(&samples)
}

/// The same of linear samples, [`RATE`] a second.
pub fn recognise_samples(samples: &[i16]) -> BTreeSet<Tone> {
    if samples.len() < 800 {
        return BTreeSet::new();
    }
    let samples = windowed(samples);
    let strong = |hertz: u32| amplitude(&samples, hertz) > 1500.0;
    let mut heard: BTreeSet<Tone> = (0..SLOTS).map(Tone::Phone).filter(|tone| strong(tone.hertz())).collect();
    let ringback = strong(440) && strong(480);
    if ringback {
        heard.insert(Tone::Ringback);
    } else if strong(400) {
        heard.insert(Tone::HoldMusic);
    }
    heard
}

/// Under a Hann window, against leakage between neighbouring slots.
fn windowed(samples: &[i16]) -> Vec<f64> {
    let step = std::f64::consts::TAU / samples.len() as f64;
    let window = |(i, sample): (usize, &i16)| f64::from(*sample) * (0.5 - 0.5 * (step * i as f64).cos());
    samples.iter().enumerate().map(window).collect()
}

/// Amplitude of one frequency by the Goertzel algorithm.
fn amplitude(windowed: &[f64], hertz: u32) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(hertz) / f64::from(RATE)).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in windowed {
        (s2, s1) = (s1, sample + coefficient * s1 - s2);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    // A sine of amplitude A under a Hann window gives A * n / 4.
    power.max(0.0).sqrt() * 4.0 / windowed.len() as f64
}

/// One sample in µ-law (ITU-T G.711).
pub fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32635) + BIAS;
    let exponent = (31 - magnitude.leading_zeros() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// One sample from µ-law (ITU-T G.711).
pub fn decode(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = i32::from((byte >> 4) & 7);
    let magnitude = ((i32::from(byte & 0x0f) << 3) + 0x84) << exponent;
    let value = magnitude - 0x84;
    (if byte & 0x80 != 0 { -value } else { value }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(tones: &[u32], samples: usize) -> Vec<u8> {
        (0..samples)
            .map(|i| {
                let at = |hz: &u32| {
                    (std::f64::consts::TAU * f64::from(*hz) * i as f64 / f64::from(RATE)).sin() * 6000.0
                };
                encode(tones.iter().map(at).sum::<f64>() as i16)
            })
            .collect()
    }

    #[test]
    fn every_phone_tone_is_heard_alone_and_not_as_its_neighbour() {
        for slot in 0..SLOTS {
            let audio = Player::new(Tone::Phone(slot)).pcmu(2400);
            assert_eq!(recognise(&audio), BTreeSet::from([Tone::Phone(slot)]));
        }
    }

    #[test]
    fn mixed_tones_are_told_apart() {
        assert_eq!(recognise(&mix(&[400], 2400)), BTreeSet::from([Tone::HoldMusic]));
        assert_eq!(recognise(&mix(&[440, 480], 2400)), BTreeSet::from([Tone::Ringback]));
        let three = [Tone::of("1001"), Tone::of("1002"), Tone::of("1003")];
        let audio = mix(&three.map(Tone::hertz), 2400);
        assert_eq!(recognise(&audio), BTreeSet::from(three));
        assert_eq!(recognise(&[0xff; 2400]), BTreeSet::new());
        assert_eq!(recognise(&mix(&[440], 100)), BTreeSet::new(), "too short to tell");
    }

    #[test]
    fn a_player_is_heard_as_all_its_tones_and_changes_without_a_click() {
        let mut player = Player::default();
        assert_eq!(recognise(&player.pcmu(2400)), BTreeSet::new());
        let mut all: BTreeSet<Tone> = (0..18).map(Tone::Phone).collect();
        all.insert(Tone::Ringback);
        player.change(all.clone());
        assert_eq!(recognise(&player.pcmu(2400)), all);
        player.change(BTreeSet::from([Tone::Phone(7)]));
        let before = player.pcmu(160);
        player.change(BTreeSet::from([Tone::Phone(7), Tone::HoldMusic]));
        player.pcmu(160);
        player.change(BTreeSet::from([Tone::Phone(7)]));
        let whole = [before, Player::pcmu(&mut player, 2240)].concat();
        assert_eq!(recognise(&whole), BTreeSet::from([Tone::Phone(7)]));
    }

    #[test]
    fn numbers_in_sequence_have_distinct_tones() {
        let tones: BTreeSet<Tone> = (1000..1000 + SLOTS).map(|n| Tone::of(&n.to_string())).collect();
        assert_eq!(tones.len(), SLOTS as usize);
    }

    #[test]
    fn mu_law_keeps_every_code_word() {
        for byte in 0..=255u8 {
            let again = encode(decode(byte));
            assert!(again == byte || decode(byte) == 0, "{byte} became {again}");
        }
    }
}
