//! What differs between servers that have an Asterisk inside: how a leg is named, where recorders write, who gives the
//! files out, and what an operator is told to run.
//!
//! Values only; the machine is the same. Read next: [`super::files`].

use ifbus_call::{InstanceId, LegId};

use super::names;

/// A server with an Asterisk inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The kind's word, as `ifbus setup` takes it.
    pub word: &'static str,
    /// How a leg of ours is named.
    pub ids: Ids,
    /// Where recorders write, seen from the folder `monitor` of the server; ends with `/`.
    pub folder: &'static str,
    /// What the operator has to provide for a file to be fetched.
    pub files: &'static str,
    /// Which part of the setup that is.
    pub files_setup: &'static str,
    /// The event stream is missed where it is not there. Otherwise AMI alone is how this kind is.
    pub misses_ari: bool,
    /// Its telephones may be on chan_sip, which ends what nobody has answered with cause 16.
    pub has_chan_sip: bool,
}

/// How a leg of ours is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// `ib-<instance>-<leg>`, hexadecimal.
    Words,
    /// `<digits>.<digits>`, as Asterisk itself names channels: ten digits of the instance, 39 of the leg. A column of 32
    /// characters keeps the ten and 21 of the leg, which still tells legs apart (sheet elastix, section 5).
    Digits,
}

/// Asterisk as it is.
pub const ASTERISK: Dialect = Dialect {
    word: "asterisk",
    ids: Ids::Words,
    // ARI serves the folder beside `monitor`
    folder: "../recording/",
    files: "recordings are fetched over ARI: http.conf and ari.conf of `ifbus setup asterisk`",
    files_setup: "ifbus setup asterisk --only ari",
    misses_ari: true,
    has_chan_sip: false,
};

/// Elastix 2 to 4 and Issabel: Asterisk with chan_sip or PJSIP, no ARI, a web server beside it.
pub const ISSABEL: Dialect = Dialect {
    word: "elastix",
    ids: Ids::Digits,
    folder: "ifbus/",
    files: "recordings are fetched from the web server: ifbus-recordings.conf of `ifbus setup elastix`",
    files_setup: "ifbus setup elastix --only recordings",
    misses_ari: false,
    has_chan_sip: true,
};

impl Ids {
    /// The channel id of a leg of ours.
    #[must_use]
    pub fn native(self, instance: InstanceId, leg: LegId) -> String {
        match self {
            Self::Words => names::Native(instance, leg).to_string(),
            Self::Digits => names::digits(instance, leg),
        }
    }
}
