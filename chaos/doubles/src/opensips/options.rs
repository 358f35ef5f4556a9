//! What an operator configured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::profile::Profile;

/// The configuration of an OpenSIPS.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version.
    pub profile: Profile,
    /// Where randomness begins.
    pub seed: u64,
    /// The unix time of the machine's zero.
    pub wall: u64,
    /// User and password of Basic authentication, where its version has it; everybody is let in without.
    pub login: Option<(String, String)>,
    /// `post_buf_size` of its HTTP: 1024 bytes where nothing is configured.
    pub post_max: usize,
    /// Beginnings of numbers, and where they are.
    pub routes: Vec<(String, SocketAddr)>,
    /// Names and passwords of digest, if callers are asked for them.
    pub users: Option<BTreeMap<String, String>>,
    /// The shared variable of a drain, if its script has one.
    pub switch: Option<String>,
    /// Events that its script raises.
    pub raises: Vec<&'static str>,
    /// How often the heartbeat comes; never if absent.
    pub heartbeat: Option<Duration>,
    /// `fr_timeout`.
    pub fr_timer: Duration,
    /// Addresses whose calls a drain lets through.
    pub trusted: Vec<SocketAddr>,
}

impl Options {
    /// What `ifbus setup opensips` prints.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            seed: 1,
            wall: 1_795_500_000,
            login: None,
            post_max: 65_536,
            routes: Vec::new(),
            users: None,
            switch: Some("ifbus_drain".to_owned()),
            raises: vec!["E_IFBUS_END", "E_IFBUS_HEARTBEAT"],
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
