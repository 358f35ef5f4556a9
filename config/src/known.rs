//! Certificates of servers that were trusted when they were first seen, for the next start.
//!
//! The file is JSON: server name to address to SHA-256, written whole at every change. No secret, but whoever could
//! write it could make us trust anybody: so it is a file for us alone like the others. Not here: the comparison.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ifbus_call::ServerName;

use crate::private::{self, BadPrivate};

/// The known fingerprints.
#[derive(Debug)]
pub struct Known {
    path: PathBuf,
    servers: BTreeMap<ServerName, BTreeMap<String, String>>,
}

impl Known {
    /// Reads what is kept at `path`; nothing if there is no such file.
    ///
    /// # Errors
    /// Others can read the file, it is not ours, or the system says no.
    pub fn open(path: &Path) -> Result<Self, BadPrivate> {
        let servers = match private::read(path)? {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| BadPrivate::NotOurs { path: path.to_owned(), why: error.to_string() })?,
        };
        Ok(Self { path: path.to_owned(), servers })
    }

    /// The fingerprint of a server at an address (`host:port`), as it was kept.
    #[must_use]
    pub fn of(&self, server: &ServerName, at: &str) -> Option<&str> {
        self.servers.get(server)?.get(at).map(String::as_str)
    }

    /// Keeps a fingerprint.
    ///
    /// # Errors
    /// The system says no; nothing is known then that was not before.
    pub fn keep(&mut self, server: &ServerName, at: &str, fingerprint: &str) -> Result<(), BadPrivate> {
        let mut servers = self.servers.clone();
        servers.entry(server.clone()).or_default().insert(at.to_owned(), fingerprint.to_owned());
        self.replace(servers)
    }

    /// Forgets a server: what it shows next is trusted as at first.
    ///
    /// # Errors
    /// The system says no; what was known stays.
    pub fn forget(&mut self, server: &ServerName) -> Result<(), BadPrivate> {
        let mut servers = self.servers.clone();
        if servers.remove(server).is_none() {
            return Ok(());
        }
        self.replace(servers)
    }

    fn replace(&mut self, servers: BTreeMap<ServerName, BTreeMap<String, String>>) -> Result<(), BadPrivate> {
        let text = serde_json::to_string_pretty(&servers).expect("maps of texts can be written as JSON");
        private::write(&self.path, &text)?;
        self.servers = servers;
        Ok(())
    }
}
