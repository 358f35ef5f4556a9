//! The archive of an orchestrator: a folder, one file a recording, readable by its owner alone, and a thread that
//! writes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use ifbus_call::RecordingId;
use sha2::{Digest, Sha256};

use super::{Archive, Done, Kept, Part, wav};

/// A folder of recordings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Files {
    jobs: Sender<Job>,
}

enum Job {
    Begin(Part),
    Append(Part, Vec<u8>),
    Finish(RecordingId, Vec<u16>, Done),
    Stop,
}

/// The writing thread; ends when this is dropped, after what waits was written.
#[derive(Debug)]
pub struct ArchiveThread {
    jobs: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Opens the folder, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path) -> io::Result<(Self, ArchiveThread)> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let (sender, jobs) = mpsc::channel();
        let writer = Writer { folder: folder.to_owned(), open: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("archive".into()).spawn(move || writer.run(&jobs))?;
        Ok((Self { jobs: sender.clone() }, ArchiveThread { jobs: sender, thread: Some(thread) }))
    }

    /// The file of a recording in `folder`, there or not.
    #[must_use]
    pub fn path(folder: &Path, recording: RecordingId) -> PathBuf {
        folder.join(format!("{recording}.wav"))
    }

    /// The thread may have ended with the orchestrator; then nobody waits any more.
    fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }
}

impl Archive for Files {
    fn begin(&self, part: Part) {
        self.send(Job::Begin(part));
    }

    fn append(&self, part: Part, bytes: Vec<u8>) {
        self.send(Job::Append(part, bytes));
    }

    fn finish(&self, recording: RecordingId, segments: Vec<u16>, done: Done) {
        self.send(Job::Finish(recording, segments, done));
    }
}

impl Drop for ArchiveThread {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    folder: PathBuf,
    /// Parts that are being written; one that failed tells so at the end.
    open: BTreeMap<Part, io::Result<File>>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Begin(part) => {
                    let file = private(&self.part(part));
                    self.open.insert(part, file);
                }
                Job::Append(part, bytes) => self.append(part, &bytes),
                Job::Finish(recording, segments, done) => done(self.finish(recording, &segments)),
                Job::Stop => return,
            }
        }
    }

    fn part(&self, part: Part) -> PathBuf {
        self.folder.join(format!("{}.part{}", part.recording, part.segment))
    }

    fn append(&mut self, part: Part, bytes: &[u8]) {
        if let Some(open) = self.open.get_mut(&part)
            && let Ok(file) = open
            && let Err(why) = file.write_all(bytes)
        {
            *open = Err(why);
        }
    }

    fn finish(&mut self, recording: RecordingId, segments: &[u16]) -> Result<Kept, String> {
        let parts: Vec<Part> = segments.iter().map(|segment| Part { recording, segment: *segment }).collect();
        let kept = self.join(recording, &parts).map_err(|why| why.to_string());
        self.open.retain(|part, _| part.recording != recording);
        for part in parts {
            // A part that never began has no file.
            let _ = fs::remove_file(self.part(part));
        }
        kept
    }

    /// Written beside its place and moved there: a file under a recording's name is always whole.
    fn join(&mut self, recording: RecordingId, parts: &[Part]) -> io::Result<Kept> {
        for part in parts {
            if let Some(Err(why)) = self.open.remove(part) {
                return Err(why);
            }
        }
        let files: io::Result<Vec<_>> =
            parts.iter().map(|part| Ok(BufReader::new(File::open(self.part(*part))?))).collect();
        let path = Files::path(&self.folder, recording);
        let unfinished = path.with_extension("new");
        let joined = wav::join(files?, BufWriter::new(private(&unfinished)?));
        let samples = joined.map_err(|why| {
            let _ = fs::remove_file(&unfinished);
            io::Error::other(why.to_string())
        })?;
        let (bytes, sha256) = digest(File::open(&unfinished)?)?;
        fs::rename(&unfinished, &path)?;
        Ok(Kept { bytes, seconds: f64::from(samples) / f64::from(wav::FORMAT.sample_rate), sha256 })
    }
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The length and the SHA-256 of what is read.
pub(super) fn digest(mut from: impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
