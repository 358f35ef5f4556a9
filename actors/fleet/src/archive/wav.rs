//! Parts of a recording become one WAV file. Pure but for the readers and writers it is given.

use std::io::{Read, Seek, Write};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

/// The one format of recordings, for all kinds of server: what a telephone line carries.
pub(super) const FORMAT: WavSpec =
    WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: SampleFormat::Int };

/// Why parts cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadWav {
    /// A part is no WAV file, is cut off, or the disk fails.
    #[error("part {0}: {1}")]
    Part(usize, hound::Error),
    /// A part has another format.
    #[error("part {0} is not 16 bits, 8000 Hz, one channel")]
    Format(usize),
    /// The file cannot be written.
    #[error("{0}")]
    Out(hound::Error),
}

/// Writes the samples of all parts into one file. Says how many there were.
pub(super) fn join<R: Read, W: Write + Seek>(
    parts: impl IntoIterator<Item = R>,
    out: W,
) -> Result<u32, BadWav> {
    let mut writer = WavWriter::new(out, FORMAT).map_err(BadWav::Out)?;
    for (number, part) in parts.into_iter().enumerate() {
        let mut reader = WavReader::new(part).map_err(|error| BadWav::Part(number, error))?;
        if reader.spec() != FORMAT {
            return Err(BadWav::Format(number));
        }
        for sample in reader.samples::<i16>() {
            let sample = sample.map_err(|error| BadWav::Part(number, error))?;
            writer.write_sample(sample).map_err(BadWav::Out)?;
        }
    }
    let samples = writer.duration();
    writer.finalize().map_err(BadWav::Out)?;
    Ok(samples)
}
