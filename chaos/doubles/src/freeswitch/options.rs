//! How a double is set up: version, passwords, phones, seed. The defaults are those of the laboratory server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

/// What differs between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The version as `version short` tells it.
    pub version: &'static str,
    /// What follows it in `status`.
    pub build: &'static str,
}

impl Profile {
    /// The version that was recorded.
    pub const V1_11: Profile =
        Profile { version: "1.11.3-dev", build: "git cc93a68 2026-08-21 14:10:14Z 64bit" };
}

/// A directory user with rights of its own.
#[derive(Clone)]
pub struct User {
    /// `esl-password`
    pub password: String,
    /// `esl-allowed-events`
    pub events: Vec<String>,
    /// `esl-allowed-api`
    pub api: Vec<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("events", &self.events).field("api", &self.api).finish_non_exhaustive()
    }
}

/// Everything chosen before a double starts.
#[derive(Clone)]
pub struct Options {
    /// Version to imitate.
    pub profile: Profile,
    /// Seed of all randomness.
    pub seed: u64,
    /// Wall clock at time zero, in seconds since 1970.
    pub wall: u64,
    /// Password of the event socket.
    pub password: String,
    /// Directory users by `name@domain`.
    pub users: BTreeMap<String, User>,
    /// Phones that are registered.
    pub phones: BTreeSet<String>,
    /// Modules that are loaded.
    pub modules: BTreeSet<String>,
    /// Whether `system` works.
    pub system: bool,
    /// The client's address is not in the access list.
    pub refused: bool,
    /// Folder of recordings.
    pub recordings: String,
    /// `max-sessions`
    pub sessions_max: usize,
    /// `sessions-per-second`; one less is let in (sheet section 4).
    pub per_second: usize,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("profile", &self.profile)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let ops = User {
            password: "ops-secret".into(),
            events: words("HEARTBEAT BACKGROUND_JOB CHANNEL_ANSWER CHANNEL_HANGUP_COMPLETE"),
            api: words("status show originate uuid_kill bgapi"),
        };
        let ifbus = User {
            password: "ifbus-secret".into(),
            events: words("all"),
            api: words(
                "bgapi originate uuid_bridge uuid_transfer uuid_kill uuid_broadcast uuid_audio uuid_send_dtmf \
                 uuid_record uuid_buglist uuid_getvar uuid_setvar uuid_dump sched_hangup sched_del show fsctl json \
                 global_getvar echo module_exists system",
            ),
        };
        let modules = "mod_commands mod_dptools mod_sofia mod_conference mod_sndfile mod_tone_stream \
                       mod_local_stream mod_event_socket mod_dialplan_xml";
        Options {
            profile: Profile::V1_11,
            seed: 1,
            wall: 1_795_500_000,
            password: "ifbus-secret".into(),
            users: BTreeMap::from([("ops@lab".into(), ops), ("ifbus@lab".into(), ifbus)]),
            phones: BTreeSet::new(),
            modules: words(modules).into_iter().collect(),
            system: true,
            refused: false,
            recordings: "/var/lib/freeswitch/recordings".into(),
            sessions_max: 5000,
            per_second: 300,
        }
        .with_phones(1001..=1008)
    }
}

impl Options {
    /// Adds registered phones.
    #[must_use]
    pub fn with_phones(mut self, numbers: RangeInclusive<u32>) -> Self {
        self.phones.extend(numbers.map(|number| number.to_string()));
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
