//! Secrets given at `add`, kept for the next start in one file for us alone.
//!
//! The file is JSON: server name to key to value. Every change writes it anew, whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ifbus_call::ServerName;

use crate::private::{self, BadPrivate};
use crate::secrets::Secret;

/// The keys and secrets of one server.
pub type Secrets = BTreeMap<String, Secret>;

/// The kept secrets of all servers.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    servers: BTreeMap<ServerName, Secrets>,
}

impl Kept {
    /// Reads what is kept at `path`; nothing if there is no such file.
    ///
    /// # Errors
    /// Others can read the file, it is not ours, or the system says no.
    pub fn open(path: &Path) -> Result<Self, BadPrivate> {
        let servers = match private::read(path)? {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(&text).map_err(|error| BadPrivate::NotOurs {
                path: path.to_owned(),
                why: format!("line {}, column {}", error.line(), error.column()), // the text may hold a value
            })?,
        };
        Ok(Self { path: path.to_owned(), servers })
    }

    /// The secrets of a server, if there are any.
    #[must_use]
    pub fn of(&self, server: &ServerName) -> Option<&Secrets> {
        self.servers.get(server)
    }

    /// Keeps the secrets of a server, in place of those it had.
    ///
    /// # Errors
    /// The system says no; what was kept before stays.
    pub fn keep(&mut self, server: ServerName, secrets: Secrets) -> Result<(), BadPrivate> {
        let mut servers = self.servers.clone();
        servers.insert(server, secrets);
        self.replace(servers)
    }

    /// Forgets the secrets of a server.
    ///
    /// # Errors
    /// The system says no; what was kept before stays.
    pub fn forget(&mut self, server: &ServerName) -> Result<(), BadPrivate> {
        let mut servers = self.servers.clone();
        if servers.remove(server).is_none() {
            return Ok(());
        }
        self.replace(servers)
    }

    fn replace(&mut self, servers: BTreeMap<ServerName, Secrets>) -> Result<(), BadPrivate> {
        let text = serde_json::to_string_pretty(&servers).expect("maps of texts can be written as JSON");
        private::write(&self.path, &text)?;
        self.servers = servers;
        Ok(())
    }
}
