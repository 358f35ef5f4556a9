//! What has to survive us: one SQLite file, one writer thread, changes written in batches.
//!
//! Written before the wire hears of it: the goal of a verb of several steps, a recording, a SIP dialog of ours, the key of
//! a request that is to be done once. Written soon after: calls, so that one
//! that ends while we are dead is still closed. Not written: who is on which leg; the servers' own lists say so.
//!
//! WAL with `synchronous = NORMAL` survives `kill -9` without an fsync for each commit (design section 5).

mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ifbus_adapters::sip::Dialog;
use ifbus_call::call::Stored;
use ifbus_call::{CallId, ConferenceId, InstanceId, LegId, ServerName};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use crate::conference::Room;
use crate::view::{CallView, RecordingView};

/// Changes written in one transaction at most.
const BATCH_MAX: usize = 512;
/// Changes that may wait; beyond it what must be written first is refused, and notes are dropped.
const WAITING_MAX: usize = 20_000;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or read.
    #[error("the store {path} cannot be used: {source}")]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file was written by a newer ifbus.
    #[error(
        "the store {path} has schema {found}, this ifbus knows {known}: use a newer ifbus or another data folder"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A row is not readable.
    #[error("the store {path} holds a damaged row: {what}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which row.
        what: String,
    },
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A call that lives.
    Call(Box<CallView>),
    /// A call that is over.
    Ended(CallId),
    /// What a call needs to be adopted as it was: a goal of several steps, a recording.
    Stored(CallId, Stored),
    /// A recording, as it is now.
    Recording(Box<RecordingView>),
    /// A conference.
    Conference(Room),
    /// A conference that is over.
    NoConference(ConferenceId),
    /// Since when a server takes no new calls; nothing when it takes them again.
    Drain(ServerName, Option<Timestamp>),
    /// What is written down of a SIP leg of a server.
    Dialog(ServerName, Box<Dialog>),
    /// A SIP leg that is over.
    NoDialog(LegId),
    /// A server that was added, as text of the surface that added it.
    Server(ServerName, String),
    /// A server that was removed.
    NoServer(ServerName),
    /// What a request with a key was answered first, as text of the surface that answered it.
    Answered(Key, String),
    /// Nothing was begun for a request with a key: the key is free again.
    NoKey(Key),
}

/// A key that a client gave to a request, so that it is done once; everybody has keys of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Whose it is: the name of a token.
    pub owner: String,
    /// Its own words.
    pub key: String,
}

/// A request with a key, about to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key.
    pub key: Key,
    /// What is asked for, in a form that is the same for the same request.
    pub request: String,
    /// The id that its call gets if it is the first.
    pub call: CallId,
    /// Now, in milliseconds of Unix time.
    pub now_ms: i64,
    /// Keys are forgotten after so many milliseconds.
    pub kept_ms: i64,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing was; now it is on the disk.
    First,
    /// It was used before.
    Before {
        /// What was asked for then.
        request: String,
        /// The id its call got, or would have got.
        call: CallId,
        /// What was answered; absent if we died, or lost sight of it, before that.
        answer: Option<String>,
    },
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Calls that were not over.
    pub calls: Vec<CallView>,
    /// What they need to be adopted as they were.
    pub stored: BTreeMap<CallId, Stored>,
    /// Recordings, those that are stored as files among them.
    pub recordings: Vec<RecordingView>,
    /// Conferences.
    pub conferences: Vec<Room>,
    /// Servers that take no new calls, and since when.
    pub drains: BTreeMap<ServerName, Timestamp>,
    /// SIP legs that were not over, by server.
    pub dialogs: BTreeMap<ServerName, Vec<Dialog>>,
    /// Servers that were added, as they were written.
    pub servers: Vec<(ServerName, String)>,
}

/// What is told when a change was written, or could not be.
pub type Written = Box<dyn FnOnce(bool) + Send>;
/// What is told, on the writer's thread, of a key; `None` if it cannot be written down.
pub type Told = Box<dyn FnOnce(Option<Claimed>) + Send>;
/// What is told, on the writer's thread, how long a batch took to write.
pub type Timed = Box<dyn Fn(Duration) + Send>;

/// The store, as actors hold it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: Option<Writer>,
}

#[derive(Clone, Debug)]
struct Writer {
    changes: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    failing: Arc<AtomicBool>,
}

enum Job {
    Write(Change, Option<Written>),
    Claim(Box<Claim>, Option<Claimed>, Told),
    Stop,
}

impl Job {
    fn apply(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Write(change, _) => schema::apply(transaction, change),
            Self::Claim(claim, claimed, _) => {
                *claimed = Some(schema::claim(transaction, claim)?);
                Ok(())
            }
            Self::Stop => Ok(()),
        }
    }

    /// Tells whoever waits how it went.
    fn tell(self, well: bool) {
        match self {
            Self::Write(_, Some(written)) => written(well),
            Self::Claim(_, claimed, told) => told(claimed.filter(|_| well)),
            Self::Write(_, None) | Self::Stop => {}
        }
    }
}

/// The writer thread; ends when this is dropped, after what waits was written.
#[derive(Debug)]
pub struct WriterThread {
    changes: Sender<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// A store that keeps nothing and is always well: for simulations and the demo.
    #[must_use]
    pub const fn forgetful() -> Self {
        Self { writer: None }
    }

    /// Opens or makes the file, reads what is there, starts the writer. `fresh` becomes the id of a new installation;
    /// `timed` is told of every batch.
    ///
    /// # Errors
    /// The file cannot be used, or is of a newer ifbus.
    pub fn open(
        path: &Path,
        fresh: InstanceId,
        timed: Timed,
    ) -> Result<(Self, WriterThread, InstanceId, Remembered), StoreError> {
        let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(sqlite)?;
        schema::prepare(&connection, path)?;
        let instance = schema::instance(&connection, fresh).map_err(sqlite)?;
        let remembered = schema::read(&connection, path)?;
        let (changes, jobs) = mpsc::channel();
        let writer = Writer { changes: changes.clone(), waiting: Arc::default(), failing: Arc::default() };
        let (waiting, failing) = (Arc::clone(&writer.waiting), Arc::clone(&writer.failing));
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write(connection, &jobs, &waiting, &failing, &timed))
            .expect("a thread can be started at the start");
        Ok((
            Self { writer: Some(writer) },
            WriterThread { changes, thread: Some(thread) },
            instance,
            remembered,
        ))
    }

    /// Whether what must be written first would be written now.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| {
            !writer.failing.load(Ordering::Relaxed) && writer.waiting.load(Ordering::Relaxed) < WAITING_MAX
        })
    }

    /// Writes soon. Dropped, with a warning, when too much waits: nothing depends on it but the record.
    pub fn note(&self, change: Change) {
        if self.is_well() {
            self.send(change, None);
        } else if self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.waiting.load(Ordering::Relaxed) < WAITING_MAX)
        {
            // A failing disk is tried with notes, so that it is seen to be well again.
            self.send(change, None);
        } else {
            tracing::warn!("the store is overloaded, a note was dropped");
        }
    }

    /// Writes now; `written` is told, on the writer's thread, when it is on the disk.
    pub fn write(&self, change: Change, written: Written) {
        if self.writer.is_none() {
            written(true);
        } else if self.is_well() {
            self.send(change, Some(written));
        } else {
            written(false);
        }
    }

    /// Writes a key down, unless it was used before; of many with the same key one is the first. A store that keeps
    /// nothing takes everybody for the first.
    pub fn claim(&self, claim: Claim, told: Told) {
        if self.writer.is_none() {
            told(Some(Claimed::First));
        } else if self.is_well() {
            self.hand_over(Job::Claim(Box::new(claim), None, told));
        } else {
            told(None);
        }
    }

    fn send(&self, change: Change, written: Option<Written>) {
        self.hand_over(Job::Write(change, written));
    }

    fn hand_over(&self, job: Job) {
        let Some(writer) = &self.writer else { return };
        writer.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(mpsc::SendError(job)) = writer.changes.send(job) {
            job.tell(false);
        }
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        // The thread may have ended; then there is nothing to stop.
        let _ = self.changes.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(
    mut connection: Connection,
    jobs: &Receiver<Job>,
    waiting: &AtomicUsize,
    failing: &AtomicBool,
    timed: &Timed,
) {
    let mut stopping = false;
    while !stopping {
        let Ok(first) = jobs.recv() else { return };
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Stop => stopping = true,
                job => batch.push(job),
            }
            next = if batch.len() < BATCH_MAX { jobs.try_recv().ok() } else { None };
        }
        let began = Instant::now();
        let result = connection.transaction().and_then(|transaction| {
            batch.iter_mut().try_for_each(|job| job.apply(&transaction))?;
            transaction.commit()
        });
        timed(began.elapsed());
        let well = result.is_ok();
        if let Err(error) = &result
            && !failing.load(Ordering::Relaxed)
        {
            tracing::error!(%error, "the store cannot be written");
        }
        failing.store(!well, Ordering::Relaxed);
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        batch.into_iter().for_each(|job| job.tell(well));
    }
}
