//! WAV, as Asterisk writes it and as recordings are handed on: a header of 44 bytes, then samples of 16 bits, 8000 Hz, one channel.

//! WAV, as far as the servers write it: a header of 44 bytes, then samples of 16 bits, 8000 Hz, one channel.
//!
//! The writer sets both lengths when it closes the file, so the header tells whether it is whole (sheet asterisk,
//! section 8; FreeSWITCH sets them as it goes). Samples are not looked at.

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

/// The header of a file of so many samples; `None` if they are more than a header can say.
#[must_use]
pub fn header(samples: u64) -> Option<[u8; HEADER]> {
    let data = u32::try_from(samples.checked_mul(2)?).ok()?;
    let riff = data.checked_add(HEADER as u32 - 8)?;
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&riff.to_le_bytes());
    header[8..40].copy_from_slice(&FORMAT);
    header[40..].copy_from_slice(&data.to_le_bytes());
    Some(header)
}

/// A file on its way to us: nothing is handed on before its header was checked.
#[derive(Debug)]
pub enum Download {
    /// The header is not complete: what there is of it.
    Header(Vec<u8>),
    /// The file is not whole; the rest of this try means nothing.
    Unfinished,
    /// So many bytes are still to come.
    Giving(u64),
}

impl Default for Download {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDownload {
    /// It says that it is larger than is allowed.
    #[error("the file is larger than 512 MB")]
    TooLarge,
    /// Another kind of file.
    #[error("not a WAV file of 16 bits, 8000 Hz, one channel")]
    OtherFormat,
    /// More came than its header says.
    #[error("the file is longer than its header says")]
    TooLong,
}

/// The largest file taken: nine hours of sound.
pub const FILE_MAX: usize = 512 * 1024 * 1024;

impl Download {
    /// Takes a part of the file; `Some` is to be handed on.
    ///
    /// # Errors
    ///
    /// If it is not a file that is taken.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, BadDownload> {
        let given = match self {
            Self::Unfinished => return Ok(None),
            Self::Giving(_) => bytes.to_vec(),
            Self::Header(header) => {
                header.extend_from_slice(bytes);
                let Some(whole) = header.first_chunk::<HEADER>() else { return Ok(None) };
                match length(whole) {
                    Ok(length) if length > FILE_MAX as u64 => return Err(BadDownload::TooLarge),
                    Ok(length) => {
                        let given = std::mem::take(header);
                        *self = Self::Giving(length);
                        given
                    }
                    Err(BadWav::Unfinished) => {
                        *self = Self::Unfinished;
                        return Ok(None);
                    }
                    Err(BadWav::OtherFormat) => return Err(BadDownload::OtherFormat),
                }
            }
        };
        let Self::Giving(rest) = self else { return Ok(None) };
        *rest = rest.checked_sub(given.len() as u64).ok_or(BadDownload::TooLong)?;
        Ok((!given.is_empty()).then_some(given))
    }
}

#[cfg(test)]
mod tests;
