//! Everything ifbus can hear from a server, in our words.
//!
//! Events are facts about legs. They may come late, twice, or not at all; whoever takes them must be idempotent.

use serde::{Deserialize, Serialize};

use crate::cause::{By, Cause, Said};
use crate::id::{ConferenceId, LegId};
use crate::order::Direction;

/// What a server reported.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The server has made the leg.
    Started(LegId),
    /// Its phone rings.
    Ringing(LegId),
    /// Its phone, or a gateway, sends sound before the answer.
    EarlyMedia(LegId),
    /// It was answered.
    Answered(LegId),
    /// The two talk.
    Joined(LegId, LegId),
    /// The leg talks to nobody.
    Parted(LegId),
    /// The leg is in a conference.
    Entered(LegId, ConferenceId),
    /// The leg is in no conference any more.
    Left(LegId),
    /// The phone itself put its partner on hold.
    HeldByPhone(LegId),
    /// The phone took that back.
    ResumedByPhone(LegId),
    /// The phone pressed a key.
    Digit(LegId, char),
    /// A direction of the leg was silenced or opened.
    Muted(LegId, Direction, bool),
    /// A phone's own transfer sent its partner elsewhere. Told before the end of the leg whose phone did it; told again
    /// when more is known.
    MovedByPhone {
        /// The leg of ours that was moved.
        leg: LegId,
        /// Whom it talks to now: a leg of the server's, or of another call of ours; absent while nobody has answered.
        guest: Option<LegId>,
        /// Where it was sent, in the server's words: a number as a rule; absent where the server does not say.
        to: Option<String>,
    },
    /// The leg is over.
    Ended {
        /// Which leg.
        leg: LegId,
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: By,
        /// What the server said.
        said: Said,
    },
    /// The server no longer knows the leg, and its end was not seen.
    Vanished(LegId),
}

impl Event {
    /// The leg it is about (the first of two for `Joined`).
    #[must_use]
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Started(leg)
            | Self::Ringing(leg)
            | Self::EarlyMedia(leg)
            | Self::Answered(leg)
            | Self::Joined(leg, _)
            | Self::Parted(leg)
            | Self::Entered(leg, _)
            | Self::Left(leg)
            | Self::HeldByPhone(leg)
            | Self::ResumedByPhone(leg)
            | Self::Digit(leg, _)
            | Self::Muted(leg, _, _)
            | Self::MovedByPhone { leg, .. }
            | Self::Ended { leg, .. }
            | Self::Vanished(leg) => *leg,
        }
    }
}
