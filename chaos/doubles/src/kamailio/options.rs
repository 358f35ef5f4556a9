//! What an operator configured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::profile::Profile;

/// The configuration of a Kamailio.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version.
    pub profile: Profile,
    /// Where randomness begins.
    pub seed: u64,
    /// The unix time of the machine's zero.
    pub wall: u64,
    /// Who may ask JSON-RPC: the whole value of a header; everybody if absent.
    pub login: Option<(String, String)>,
    /// Beginnings of numbers, and where they are.
    pub routes: Vec<(String, SocketAddr)>,
    /// Names and passwords of digest, if callers are asked for them.
    pub users: Option<BTreeMap<String, String>>,
    /// Module `sst` writes this `Session-Expires` into answers, in seconds.
    pub session_expires: Option<u32>,
    /// A 180 may leave after its 200.
    pub swaps: bool,
    /// The table `ifbus` with the switch is there.
    pub table: bool,
    /// How often the heartbeat comes; never if absent.
    pub heartbeat: Option<Duration>,
    /// `fr_timer`.
    pub fr_timer: Duration,
    /// Addresses whose calls a drain lets through.
    pub trusted: Vec<SocketAddr>,
}

impl Options {
    /// What `ifbus setup kamailio` prints, with the secret `labtoken`.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            seed: 1,
            wall: 1_795_500_000,
            login: Some(("Authorization".to_owned(), "Bearer labtoken".to_owned())),
            routes: Vec::new(),
            users: None,
            session_expires: None,
            swaps: false,
            table: true,
            heartbeat: Some(Duration::from_secs(5)),
            fr_timer: Duration::from_secs(5),
            trusted: Vec::new(),
        }
    }

    /// The same, with the phones and the trunk of a laboratory.
    #[must_use]
    pub fn with_phones(mut self, phones: SocketAddr, trunk: SocketAddr) -> Self {
        self.routes.extend([("10".to_owned(), phones), ("+".to_owned(), trunk), ("6".to_owned(), phones)]);
        self
    }
}
