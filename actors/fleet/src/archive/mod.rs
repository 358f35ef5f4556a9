//! Where recordings are kept: parts come in as bytes from the servers, one WAV file comes out.
//!
//! Not here: when a recording begins and ends (`ifbus_call`), how its parts are fetched (`server`). The server's own
//! copy is left alone: what an operator's server holds is the operator's.

mod files;
mod memory;
#[cfg(test)]
mod tests;
mod wav;

use ifbus_call::RecordingId;

pub use files::{ArchiveThread, Files};
pub use memory::InMemory;

/// The parts of a recording, and what becomes of them.
pub trait Archive: Send + Sync {
    /// A part comes from its beginning; what came of it before is forgotten.
    fn begin(&self, part: Part);

    /// More of a part, in order.
    fn append(&self, part: Part, bytes: Vec<u8>);

    /// These parts are whole: they become one file, in this order. `done` is told of it, on any thread.
    fn finish(&self, recording: RecordingId, segments: Vec<u16>, done: Done);
}

/// One part of a recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Part {
    /// Which recording.
    pub recording: RecordingId,
    /// Which part, counted from 0.
    pub segment: u16,
}

/// What is told when a recording is kept, or cannot be, in words.
pub type Done = Box<dyn FnOnce(Result<Kept, String>) + Send>;

/// A recording that is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    /// The size of the file.
    pub bytes: u64,
    /// Its playing time.
    pub seconds: f64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}
