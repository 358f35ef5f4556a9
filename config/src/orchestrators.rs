//! Orchestrators by name, for whoever has several: `--on NAME` instead of an address. A file of the client's side.
//!
//! Not here: whether an address may be talked to (the command line takes this machine only, other ones through a
//! tunnel).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::complaint::without_value;
use crate::secrets::{BadSecret, Reference, Secret};

/// One orchestrator.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orchestrator {
    /// Where it is: `http://127.0.0.1:7071`.
    pub url: String,
    /// Where its token is, as `env:NAME` or `file:PATH`; the token of this installation if nothing is said.
    pub token: Option<Reference>,
}

/// Why the file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrchestrators {
    /// It cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is not of its form.
    #[error("{}: {why}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong; values are not repeated.
        why: String,
    },
    /// A token stands in it.
    #[error("{}: {name}.token is written env:NAME or file:PATH, never the token itself", path.display())]
    Literal {
        /// Which file.
        path: PathBuf,
        /// Whose.
        name: String,
    },
}

/// Reads the file; one that is not there names nobody.
///
/// # Errors
/// It cannot be read, or something in it is wrong.
pub fn load(path: &Path) -> Result<BTreeMap<String, Orchestrator>, BadOrchestrators> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(BadOrchestrators::Unreadable { path: path.to_owned(), why: error.to_string() });
        }
    };
    let named: BTreeMap<String, Orchestrator> = toml::from_str(&text).map_err(|error| {
        BadOrchestrators::Wrong { path: path.to_owned(), why: without_value(error.message()) }
    })?;
    match named.iter().find(|(_, one)| matches!(one.token, Some(Reference::Literal(_)))) {
        Some((name, _)) => Err(BadOrchestrators::Literal { path: path.to_owned(), name: name.clone() }),
        None => Ok(named),
    }
}

impl Orchestrator {
    /// Its token, if it has one of its own. `base` is the folder of the file.
    ///
    /// # Errors
    /// It is not where the reference says.
    pub fn token(
        &self,
        base: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret>, BadSecret> {
        self.token.as_ref().map(|reference| reference.resolve(base, env)).transpose()
    }
}
