//! The table of dialogs.

use std::time::Duration;

/// How long a dialog that is over stays in the table (seen: some seconds).
pub(super) const LINGERS: Duration = Duration::from_secs(5);

/// How far a dialog has come; the numbers are those of Kamailio and OpenSIPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Invited.
    Unconfirmed = 1,
    /// It rings.
    Early = 2,
    /// Answered, without ACK.
    Answered = 3,
    /// Up.
    Confirmed = 4,
    /// Over.
    Ended = 5,
}

/// One dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Its place in the table, and its number there: `did` in the route.
    pub key: (u32, u32),
    /// Call-ID.
    pub call_id: String,
    /// From.
    pub from_uri: String,
    /// Tag of the caller.
    pub from_tag: String,
    /// To.
    pub to_uri: String,
    /// Tag of the callee; absent before one is known.
    pub to_tag: Option<String>,
    /// Request-URI of the INVITE.
    pub ruri: String,
    /// How far it has come.
    pub state: State,
    /// Contact and last CSeq of the caller.
    pub caller: (String, u32),
    /// The same of the callee.
    pub callee: (String, u32),
    /// When it began, was answered, ended.
    pub began: Duration,
    /// When it was answered.
    pub started: Option<Duration>,
    /// When it ended.
    pub ended: Option<Duration>,
}

impl Dialog {
    /// Whether it is not over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state < State::Ended
    }
}
