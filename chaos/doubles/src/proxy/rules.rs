//! What the operator of a proxy decided: whom it knows, whom it asks for a password, how long it waits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The configuration of a proxy.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where it listens; what it writes into `Via` and `Record-Route`.
    pub address: SocketAddr,
    /// `Server` of its own replies.
    pub server: String,
    /// Where numbers are reached that begin so; the longest beginning counts.
    pub routes: Vec<(String, SocketAddr)>,
    /// Where users are that have registered.
    pub registered: BTreeMap<String, SocketAddr>,
    /// Names and passwords, if callers are asked for them (407).
    pub users: Option<BTreeMap<String, String>>,
    /// Beginnings of users for whom it has no gateway (503).
    pub unserved: Vec<String>,
    /// New calls are refused with 503, but not from these addresses.
    pub drained: bool,
    /// Whose calls are let in although it is drained.
    pub trusted: Vec<SocketAddr>,
    /// How long it waits for a first reply: 5 s in the laboratory.
    pub fr_timer: Duration,
    /// How long it lets a phone ring: 60 s in the laboratory.
    pub fr_inv_timer: Duration,
    /// `Session-Expires` that it writes into answers, in seconds, asked for or not.
    pub session_expires: Option<u32>,
    /// A 180 leaves after the 200 that followed it, as two workers do it now and then.
    pub swaps: bool,
    /// What it says at once to an INVITE.
    pub trying: &'static str,
    /// A 503 of somebody behind it goes on as 500.
    pub hides_503: bool,
    /// Its answer to OPTIONS has no `Server`; every other word of its own has.
    pub nameless_keepalive: bool,
    /// The unix time of the machine's zero.
    pub wall: u64,
}

impl Rules {
    /// A proxy that knows nobody.
    #[must_use]
    pub fn new(address: SocketAddr, server: &str) -> Self {
        Self {
            address,
            server: server.to_owned(),
            routes: Vec::new(),
            registered: BTreeMap::new(),
            users: None,
            unserved: Vec::new(),
            drained: false,
            trusted: Vec::new(),
            fr_timer: Duration::from_secs(5),
            fr_inv_timer: Duration::from_secs(60),
            session_expires: None,
            swaps: false,
            trying: "trying -- your call is important to us",
            hides_503: true,
            nameless_keepalive: false,
            wall: 1_795_500_000,
        }
    }

    /// Where a user is.
    pub(super) fn route(&self, user: &str) -> Option<SocketAddr> {
        let known = self.routes.iter().filter(|(prefix, _)| user.starts_with(prefix.as_str()));
        let fixed = known.max_by_key(|(prefix, _)| prefix.len()).map(|(_, address)| *address);
        self.registered.get(user).copied().or(fixed)
    }
}
