//! `ifbus record fetch`: the file of a recording comes here, whole and checked, or not at all.
//!
//! It is written beside its name and takes the name when its digest is the one that the orchestrator told. What is not
//! finished is removed, also after Ctrl-C; what is there already is never written over unasked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use ifbus_fleet::view::{RecordingStatus, RecordingView};
use sha2::{Digest, Sha256};

use super::Which;
use crate::cli::background;
use crate::cli::errors::Failure;
use crate::cli::render::clean;
use crate::cli::session::{Session, unless_interrupted};

/// The orchestrator reads its own disk: silence this long means that it is gone.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// Which recording, and where its file goes.
#[derive(Debug)]
pub struct Fetch {
    /// Which.
    pub which: Which,
    /// The file; its id with `.wav` in this folder if nothing is said.
    pub out: Option<PathBuf>,
    /// Write over what is there.
    pub force: bool,
}

impl Fetch {
    /// Brings it here.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let fetching = async {
            let recording = self.which.find(session).await?;
            let out = self.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.wav", recording.id)));
            self.is_free(&out)?;
            let digest = self.write(session, &recording, &out).await?;
            Ok((recording, out, digest))
        };
        let last_words = || "interrupted; nothing was written".to_owned();
        let work = unless_interrupted(fetching, last_words);
        let (recording, out, digest) = session.screen.wait("fetching", work).await?;
        let (bytes, seconds) = (recording.bytes.unwrap_or(0), recording.seconds.unwrap_or(0.0));
        let out = clean(&out.display().to_string());
        super::say(session, &recording, &format!("{out}  {seconds:.1} s, {bytes} bytes, sha256 {digest}"))?;
        if seconds == 0.0 {
            session.screen.note("nobody was heard: the file has no sound");
        }
        Ok(())
    }

    fn is_free(&self, out: &Path) -> Result<(), Failure> {
        if self.force || fs::symlink_metadata(out).is_err() {
            return Ok(());
        }
        Err(taken(out))
    }

    /// Writes the file; gives its digest.
    async fn write(
        &self,
        session: &Session,
        recording: &RecordingView,
        out: &Path,
    ) -> Result<String, Failure> {
        let mut response = session.client.file(&format!("/v1/recordings/{}/file", recording.id)).await?;
        if recording.status != RecordingStatus::Stored {
            // It was stored between two looks; its digest is not known here.
            return Err(Failure::not_done("the recording was stored just now; ask again"));
        }
        let mut partial = Partial::create(out)?;
        let mut digest = Sha256::new();
        loop {
            let piece = tokio::time::timeout(SILENT_MAX, response.next()).await;
            let piece =
                piece.map_err(|_| Failure::not_done("the orchestrator fell silent; nothing was written"))?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|error| Failure::not_done(format!("the file broke off: {error}")))?;
            digest.update(&piece);
            partial.file.write_all(&piece).map_err(|error| wrong(&partial.path, &error))?;
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let told = recording.sha256.as_deref().unwrap_or_default();
        if digest != told {
            let text =
                format!("the file is not the one that was told of: sha256 {digest}, not {}", clean(told));
            return Err(Failure::not_done(text).with("nothing was written"));
        }
        partial.take_name(out, self.force)?;
        Ok(digest)
    }
}

fn taken(out: &Path) -> Failure {
    let failure =
        Failure::here(format!("{} is there already; nothing was written", clean(&out.display().to_string())));
    failure.with("another name: out=FILE      over it: --force")
}

fn wrong(path: &Path, error: &io::Error) -> Failure {
    Failure::here(format!("{}: {error}", clean(&path.display().to_string())))
}

/// A file that is not whole yet; gone with this, unless it took its name.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    /// Beside `out`, readable by its owner alone: people talk in it.
    fn create(out: &Path) -> Result<Self, Failure> {
        let mut name = out.as_os_str().to_owned();
        name.push(format!(".{}.part", &background::random()?[..8]));
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| wrong(&path, &error))?;
        Ok(Self { path, file })
    }

    fn take_name(&mut self, out: &Path, over: bool) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| wrong(&self.path, &error))?;
        if over {
            return fs::rename(&self.path, out).map_err(|error| wrong(out, &error));
        }
        // A second name fails if somebody took it meanwhile; a rename would not.
        match fs::hard_link(&self.path, out) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(out)),
            // A file system without second names.
            Err(_) if fs::symlink_metadata(out).is_err() => {
                fs::rename(&self.path, out).map_err(|error| wrong(out, &error))
            }
            Err(_) => Err(taken(out)),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // it may have been renamed
    }
}
