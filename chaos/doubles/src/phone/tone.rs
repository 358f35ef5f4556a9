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

/// Makes a tone sample by sample, without a seam between packets.
#[derive(Clone, Debug)]
pub struct Player {
    step: f64,
    phase: f64,
}

impl Player {
    /// A player at the beginning of its first period.
    pub fn new(tone: Tone) -> Self {
        Player { step: std::f64::consts::TAU * f64::from(tone.hertz()) / f64::from(RATE), phase: 0.0 }
    }

    /// The next `samples` samples as PCMU bytes.
    pub fn pcmu(&mut self, samples: usize) -> Vec<u8> {
        (0..samples)
            .map(|_| {
                self.phase = (self.phase + self.step) % std::f64::consts::TAU;
                encode((self.phase.sin() * 8000.0) as i16)
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
    let samples: Vec<f64> = samples.iter().map(|sample| f64::from(*sample)).collect();
    if samples.len() < 800 {
        return BTreeSet::new();
    }
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

/// Amplitude of one frequency by the Goertzel algorithm, with a Hann window against leakage between
/// neighbouring slots.
fn amplitude(samples: &[f64], hertz: u32) -> f64 {
    let n = samples.len() as f64;
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(hertz) / f64::from(RATE)).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n).cos();
        let s0 = sample * window + coefficient * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    // A sine of amplitude A under a Hann window gives A * n / 4.
    power.max(0.0).sqrt() * 4.0 / n
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
