//! What an operator configured.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::profile::Profile;

/// The configuration of a Flexisip, and of the account manager beside it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version.
    pub profile: Profile,
    /// Where randomness begins.
    pub seed: u64,
    /// The unix time of the machine's zero.
    pub wall: u64,
    /// Beginnings of numbers, and where they are.
    pub routes: Vec<(String, SocketAddr)>,
    /// Names and passwords of digest; nobody is asked if absent (`trusted-hosts`).
    pub users: Option<BTreeMap<String, String>>,
    /// `flexiapi-host` and `-port`; nothing is pushed if absent.
    pub events: Option<SocketAddr>,
    /// `flexiapi-api-key`.
    pub events_key: String,
    /// Name of the space: another `Host` is not found.
    pub space: String,
    /// The administrator's API key.
    pub api_key: String,
    /// Accounts.
    pub accounts: Vec<Account>,
}

/// An account of the manager.
#[derive(Clone, Debug)]
pub struct Account {
    /// `user@domain`.
    pub address: String,
    /// It may call.
    pub activated: bool,
    /// Names of its devices; as if there were none while Redis is away.
    pub devices: Vec<String>,
}

impl Options {
    /// What `ifbus setup flexisip` prints, with the keys of a laboratory.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            seed: 1,
            wall: 1_795_500_000,
            routes: Vec::new(),
            users: None,
            events: None,
            events_key: "LABKEY123".to_owned(),
            space: "127.0.0.1".to_owned(),
            api_key: "0123456789012345678901234567890123456789".to_owned(),
            accounts: vec![Account {
                address: "ifbus@lab.test".to_owned(),
                activated: true,
                devices: Vec::new(),
            }],
        }
    }

    /// The same, with the phones of a laboratory.
    #[must_use]
    pub fn with_phones(mut self, phones: SocketAddr) -> Self {
        self.routes.extend([("10".to_owned(), phones), ("6".to_owned(), phones)]);
        self
    }
}
