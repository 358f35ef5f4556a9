//! Files that nobody else may read: tokens, secrets.
//!
//! Written whole or not at all: a temporary file beside the target, then a rename. A file that others can read is not
//! believed, because whoever can read it may have taken what is in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest private file that is read: far above what a fleet's secrets need, far below what hurts.
const BYTES_MAX: u64 = 4 << 20;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPrivate {
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read or write it.
    #[error("{} can be read by others (mode {mode:o}); do: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is too large or not what we write.
    #[error("{} is not a file of ours: {why}", path.display())]
    NotOurs {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl BadPrivate {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Reads a private file; `None` if there is none.
///
/// # Errors
/// It can be read by others, is too large, or the system says no.
pub fn read(path: &Path) -> Result<Option<String>, BadPrivate> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BadPrivate::io(path, error)),
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BadPrivate::Exposed { path: path.to_owned(), mode });
    }
    if metadata.len() > BYTES_MAX {
        let why = format!("it has {} bytes", metadata.len());
        return Err(BadPrivate::NotOurs { path: path.to_owned(), why });
    }
    fs::read_to_string(path).map(Some).map_err(|error| BadPrivate::io(path, error))
}

/// Replaces a private file by `text`, with mode 0600, whole or not at all. Makes its folder if there is none.
///
/// # Errors
/// The system says no; the old file is as it was.
pub fn write(path: &Path, text: &str) -> Result<(), BadPrivate> {
    let beside = temporary(path, text)?;
    fs::rename(&beside, path).map_err(|error| {
        let _ = fs::remove_file(&beside); // the error that counts is the first one
        BadPrivate::io(path, error)
    })
}

/// Makes a private file unless there is one already; says whether it was made. Of several at once exactly one makes it.
///
/// # Errors
/// The system says no.
pub fn make(path: &Path, text: &str) -> Result<bool, BadPrivate> {
    let beside = temporary(path, text)?;
    let made = fs::hard_link(&beside, path);
    let _ = fs::remove_file(&beside); // a leftover is harmless and unreadable to others
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(BadPrivate::io(path, error)),
    }
}

/// Makes a folder, and those above it, for us alone; one that exists is left as it is.
///
/// # Errors
/// The system says no.
pub fn folder(path: &Path) -> Result<(), BadPrivate> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| BadPrivate::io(path, error))
}

/// A new file beside `path` that holds `text` and is safely on disk.
fn temporary(path: &Path, text: &str) -> Result<PathBuf, BadPrivate> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder(parent)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{:016x}", crate::token::random_u64()));
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    match written {
        Ok(()) => Ok(beside),
        Err(error) => {
            let _ = fs::remove_file(&beside); // the error that counts is the first one
            Err(BadPrivate::io(path, error))
        }
    }
}
