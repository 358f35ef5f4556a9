//! The kinds of server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of server ifbus speaks to. Only kinds with a working adapter are listed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Asterisk 16 and newer, by AMI and ARI.
    Asterisk,
    /// Flexisip 2.3 and newer, by SIP, its pushes and its account manager.
    Flexisip,
    /// Kamailio 5.6 and newer, by JSON-RPC, evapi and SIP.
    Kamailio,
    /// OpenSIPS 3.4 and newer, by its management interface and SIP.
    OpenSips,
    /// Elastix 2 to 4 and Issabel, by AMI and pbxapi.
    Elastix,
    /// Yate 6.4, by its external module protocol.
    Yate,
    /// FreeSWITCH 1.10 and newer, by its event socket.
    FreeSwitch,
}

/// A kind nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no kind of server is called `{0}`; known: {known}", known = Kind::names())]
pub struct UnknownKind(pub String);

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Asterisk,
        Self::FreeSwitch,
        Self::Kamailio,
        Self::OpenSips,
        Self::Elastix,
        Self::Yate,
        Self::Flexisip,
    ];

    /// The word used on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asterisk => "asterisk",
            Self::Flexisip => "flexisip",
            Self::Kamailio => "kamailio",
            Self::OpenSips => "opensips",
            Self::Elastix => "elastix",
            Self::Yate => "yate",
            Self::FreeSwitch => "freeswitch",
        }
    }

    /// Every word, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}
