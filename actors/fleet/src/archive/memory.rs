//! An archive without a disk: for simulations and the demo. Everything happens at once, on the caller's thread.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ifbus_call::RecordingId;

use super::{Archive, Done, Kept, Part, files::digest, wav};

/// Parts and whole recordings, in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    parts: Mutex<BTreeMap<Part, Vec<u8>>>,
    whole: Mutex<BTreeMap<RecordingId, Vec<u8>>>,
}

impl InMemory {
    /// The file of a recording that was finished.
    #[must_use]
    pub fn file(&self, recording: RecordingId) -> Option<Vec<u8>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).get(&recording).cloned()
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<Part, Vec<u8>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive for InMemory {
    fn begin(&self, part: Part) {
        self.parts().insert(part, Vec::new());
    }

    fn append(&self, part: Part, bytes: Vec<u8>) {
        self.parts().entry(part).or_default().extend(bytes);
    }

    fn finish(&self, recording: RecordingId, segments: Vec<u16>, done: Done) {
        let parts: Vec<Vec<u8>> = {
            let mut all = self.parts();
            let taken = segments.iter().map(|segment| all.remove(&Part { recording, segment: *segment }));
            taken.map(Option::unwrap_or_default).collect()
        };
        let mut file = Cursor::new(Vec::new());
        let joined = wav::join(parts.iter().map(Vec::as_slice), &mut file);
        done(joined.map_err(|why| why.to_string()).map(|samples| {
            let file = file.into_inner();
            let (bytes, sha256) = digest(file.as_slice()).expect("memory can be read");
            self.whole.lock().unwrap_or_else(PoisonError::into_inner).insert(recording, file);
            Kept { bytes, seconds: f64::from(samples) / f64::from(wav::FORMAT.sample_rate), sha256 }
        }));
    }
}
