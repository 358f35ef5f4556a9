//! AU, as far as Yate writes it: a header of 32 bytes, then samples of 8000 Hz in one channel, in G.711 or linear.
//!
//! The writer sets the length when it closes the file, so the header tells whether it is whole (sheet yate, sections
//! 5.10 and 14).

/// The least a header has; the rest up to its own length is a comment.
pub const HEADER: usize = 24;

/// The longest header taken.
const OFFSET_MAX: u32 = 4096;

/// Why a file cannot be taken, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAu {
    /// Its length is not set: somebody still writes it, or died while writing.
    #[error("the file is still being written")]
    Unfinished,
    /// Something else.
    #[error("not an AU file of 8000 Hz, one channel")]
    OtherFormat,
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// µ-law, a byte each.
    MuLaw,
    /// A-law, a byte each.
    ALaw,
    /// 16 bits, the upper byte first.
    Linear,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Au {
    /// Where the samples begin.
    pub offset: usize,
    /// How many bytes of them there are.
    pub length: u64,
    /// How they are written.
    pub coding: Coding,
}

impl Au {
    /// Reads the first bytes of a file.
    ///
    /// # Errors
    ///
    /// If its length is not set, or it is another kind of file.
    pub fn parse(header: &[u8; HEADER]) -> Result<Self, BadAu> {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        let (offset, length, coding, rate, channels) =
            (number(4), number(8), number(12), number(16), number(20));
        let coding = match coding {
            1 => Coding::MuLaw,
            3 => Coding::Linear,
            27 => Coding::ALaw,
            _ => return Err(BadAu::OtherFormat),
        };
        let fits = header.starts_with(b".snd")
            && (HEADER as u32..=OFFSET_MAX).contains(&offset)
            && rate == 8000
            && channels == 1;
        match (fits, length) {
            (false, _) => Err(BadAu::OtherFormat),
            (true, u32::MAX) => Err(BadAu::Unfinished),
            (true, length) => Ok(Self { offset: offset as usize, length: u64::from(length), coding }),
        }
    }

    /// How many samples there are.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        match self.coding {
            Coding::MuLaw | Coding::ALaw => self.length,
            Coding::Linear => self.length / 2,
        }
    }
}

impl Coding {
    /// Takes the samples out of the front of `bytes`, as far as they are whole.
    #[must_use]
    pub fn samples(self, bytes: &[u8]) -> Vec<i16> {
        match self {
            Self::MuLaw => bytes.iter().map(|byte| mu_law(*byte)).collect(),
            Self::ALaw => bytes.iter().map(|byte| a_law(*byte)).collect(),
            Self::Linear => bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_be_bytes(*pair)).collect(),
        }
    }

    /// Bytes of a sample.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::MuLaw | Self::ALaw => 1,
            Self::Linear => 2,
        }
    }
}

/// ITU-T G.711, µ-law.
fn mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i16::from(byte & 0x0f) << 3) + 0x84) << ((byte >> 4) & 7)) - 0x84;
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

/// ITU-T G.711, A-law.
fn a_law(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = ((byte >> 4) & 7, i16::from(byte & 0x0f) << 4);
    let magnitude = match exponent {
        0 => mantissa + 8,
        exponent => (mantissa + 0x108) << (exponent - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
