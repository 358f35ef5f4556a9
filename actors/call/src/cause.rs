//! Why a leg or a call ended, in one vocabulary for all kinds of server.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason of an end. The server's own words travel beside it, see [`Said`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The parties talked, then one of them or we hung up.
    Answered,
    /// The far end is busy (SIP 486, 600).
    Busy,
    /// It rang, or stayed silent, and nobody answered in time (SIP 480, 408).
    NoAnswer,
    /// The far end or its policy said no (SIP 603, 403, 488).
    Rejected,
    /// There is no such number, or no way to it (SIP 404, 410, 484; an unregistered phone).
    Unreachable,
    /// A server or trunk on the way has no room (SIP 503).
    Congestion,
    /// We were asked to hang up before it was answered.
    Canceled,
    /// The server failed: it died, lost the call, or did not do what it was told (SIP 500, 504).
    ServerFailure,
}

impl Cause {
    /// Every cause, for tables and metrics that must know them all in advance.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Busy,
        Self::NoAnswer,
        Self::Rejected,
        Self::Unreachable,
        Self::Congestion,
        Self::Canceled,
        Self::ServerFailure,
    ];

    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Congestion => "congestion",
            Self::Canceled => "canceled",
            Self::ServerFailure => "server-failure",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who brought an end about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The phone or whatever stands behind it.
    Party,
    /// We did, by an order of ours.
    Us,
    /// The server, by itself.
    Server,
    /// The server does not tell.
    Unknown,
}

/// What a server said, verbatim: a code of its protocol and a text. Hostile to terminals and pages until escaped.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    /// The code in its own numbering (Q.850 cause, SIP status), if there was one.
    pub code: Option<u16>,
    /// The text, cut at [`Said::TEXT_MAX`] bytes.
    pub text: String,
}

impl Said {
    /// The longest text kept: long enough for every message in the sheets, short enough for a log line.
    pub const TEXT_MAX: usize = 200;

    /// What was said, cut to length at a character boundary.
    #[must_use]
    pub fn new(code: Option<u16>, text: &str) -> Self {
        let mut end = text.len().min(Self::TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { code, text: text[..end].to_owned() }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) if self.text.is_empty() => write!(f, "{code}"),
            Some(code) => write!(f, "{code} {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
