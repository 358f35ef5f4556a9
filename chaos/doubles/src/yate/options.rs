//! How a double is set up. The defaults are those of the laboratory server (`tests/lab/yate-up.sh`).

use std::collections::BTreeSet;

/// Everything chosen before a double starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The version it tells.
    pub version: &'static str,
    /// Seed of all randomness.
    pub seed: u64,
    /// Wall clock at time zero, in seconds since 1970; the engine's life is named by it.
    pub wall: u64,
    /// Numbers that its routing leads to a phone.
    pub phones: BTreeSet<String>,
    /// The folder of its two sounds, as it knows it.
    pub sounds: String,
    /// Whether they are there.
    pub has_sounds: bool,
    /// The folder of recordings, as it knows it: the only one it can write to.
    pub recordings: String,
    /// The most channels of SIP, if there is a limit.
    pub maxchans: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: "6.4.1",
            seed: 1,
            wall: 1_795_500_000,
            phones: (1001..=1008).map(|number| number.to_string()).collect(),
            sounds: "/var/lib/yate/ifbus".to_owned(),
            has_sounds: true,
            recordings: "/var/spool/yate/ifbus".to_owned(),
            maxchans: None,
        }
    }
}

impl Options {
    /// Adds a phone to the server's routing.
    #[must_use]
    pub fn with_phone(mut self, number: &str) -> Self {
        self.phones.insert(number.to_owned());
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
