//! Secrets by reference: `env:NAME` and `file:PATH` in a file that may be shown around.
//!
//! Not here: what is kept of secrets given at `add` (see [`crate::kept`]).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest file taken as a secret: a certificate chain fits, a wrong path to a log does not.
const FILE_MAX: u64 = 64 << 10;

/// A secret: shown as `***` by every formatter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of sight.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: to be handed to a wire or a private file and to nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Reference {
    /// The environment variable of this name.
    Env(String),
    /// The content of this file, without the line end at its end; relative to the configuration file.
    File(PathBuf),
    /// The value itself. Refused in a file, except for user names.
    Literal(Secret),
}

/// Why a secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// The variable is not set, or empty, or not UTF-8.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("{}: {why}", path.display())]
    NoFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
}

impl From<String> for Reference {
    fn from(text: String) -> Self {
        match text.split_once(':') {
            Some(("env", name)) => Self::Env(name.to_owned()),
            Some(("file", path)) => Self::File(PathBuf::from(path)),
            _ => Self::Literal(Secret::new(text)),
        }
    }
}

impl FromStr for Reference {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text.to_owned()))
    }
}

impl Reference {
    /// The value. `base` is the folder relative paths start from; `env` looks a variable up.
    ///
    /// # Errors
    /// The variable or file is not there, or empty. No error holds a value.
    pub fn resolve(&self, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, BadSecret> {
        let value = match self {
            Self::Env(name) => env(name).ok_or_else(|| BadSecret::NoVariable(name.clone()))?,
            Self::File(path) => read(&base.join(path))?,
            Self::Literal(secret) => secret.expose().to_owned(),
        };
        if value.is_empty() { Err(BadSecret::Empty(format!("{self:?}"))) } else { Ok(Secret(value)) }
    }
}

/// Looks a variable up in the environment of this process.
#[must_use]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<String, BadSecret> {
    let no_file = |why: String| BadSecret::NoFile { path: path.to_owned(), why };
    let metadata = fs::metadata(path).map_err(|error| no_file(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > FILE_MAX {
        return Err(no_file("not a file of at most 64 KiB".to_owned()));
    }
    // `InvalidData` would be said of bytes that are no UTF-8; the bytes themselves are not part of it.
    let text = fs::read_to_string(path).map_err(|error| no_file(error.to_string()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(_) => f.write_str("***"),
        }
    }
}
