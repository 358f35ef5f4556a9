//! WAV, as far as Asterisk writes it: a header of 44 bytes, then samples of 16 bits, 8000 Hz, one channel.
//!
//! The writer sets both lengths when it closes the file, so the header tells whether it is whole (sheet asterisk,
//! section 8). Samples are not looked at.

/// How many bytes the header has.
pub const HEADER: usize = 44;

/// Why a file cannot be taken, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWav {
    /// Its lengths are not set: somebody still writes it, or died while writing.
    #[error("the file is still being written")]
    Unfinished,
    /// Something else.
    #[error("not a WAV file of 16 bits, 8000 Hz, one channel")]
    OtherFormat,
}

/// What stands between the two lengths: `WAVE`, a format block of 16 bytes, linear samples, one channel, 8000 Hz, 16,000
/// bytes in a second, 2 in a sample, 16 bits, `data`.
const FORMAT: [u8; 32] = *b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data";

/// The bytes of the whole file, header included, as its header has them.
///
/// # Errors
///
/// If the lengths do not agree, or it is another kind of file.
pub fn length(header: &[u8; HEADER]) -> Result<u64, BadWav> {
    let number = |at: usize| u64::from(u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte])));
    if !header.starts_with(b"RIFF") || header[8..40] != FORMAT {
        return Err(BadWav::OtherFormat);
    }
    let (riff, data) = (number(4), number(40));
    if riff == data + HEADER as u64 - 8 { Ok(riff + 8) } else { Err(BadWav::Unfinished) }
}

#[cfg(test)]
mod tests;
