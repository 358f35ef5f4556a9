//! What a phone will do with the next call to its number. Pure values; who carries them out is the SIP
//! phone ([`crate::phone`]) or a server double.

use std::time::Duration;

/// One phone's behaviour for calls that reach it from now on. Times before the answer count from the
/// INVITE, times of acts from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When 180 Ringing is sent; `None` for never.
    pub ringing: Option<Duration>,
    /// When 183 Session Progress with early media is sent; `None` for never.
    pub early: Option<Duration>,
    /// How the invitation is decided.
    pub decision: Decision,
    /// What the phone does after its answer.
    pub acts: Vec<(Duration, Act)>,
}

/// How a phone decides on an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// 200 OK after this time.
    Answer(Duration),
    /// This final SIP status after this time.
    Refuse(u16, Duration),
    /// Rings until the caller gives up.
    Ring,
    /// Never says anything, not even 100 Trying.
    Silent,
}

/// Something a phone does in a call of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// BYE.
    HangUp,
    /// Presses these digits, one after the other.
    Press(String),
    /// re-INVITE `sendonly`.
    Hold,
    /// re-INVITE `sendrecv`.
    Resume,
}

/// How long one pressed digit lasts, and how long the silence after it.
pub const DIGIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(60));

const SOON: Duration = Duration::from_millis(20);

impl Default for Plan {
    /// Rings at once and answers after 100 ms.
    fn default() -> Self {
        Plan::answers(Duration::from_millis(100))
    }
}

impl Plan {
    /// Rings, and answers this long after the invitation.
    pub fn answers(after: Duration) -> Self {
        Plan { ringing: Some(SOON.min(after)), early: None, decision: Decision::Answer(after), acts: vec![] }
    }

    /// Rings for ever.
    pub fn rings() -> Self {
        Plan { ringing: Some(SOON), early: None, decision: Decision::Ring, acts: vec![] }
    }

    /// Says nothing at all.
    pub fn silent() -> Self {
        Plan { ringing: None, early: None, decision: Decision::Silent, acts: vec![] }
    }

    /// Refuses at once, without ringing, with this SIP status.
    pub fn refuses(status: u16) -> Self {
        Plan { ringing: None, early: None, decision: Decision::Refuse(status, SOON), acts: vec![] }
    }

    /// 486 Busy Here.
    pub fn busy() -> Self {
        Plan::refuses(486)
    }

    /// 603 Decline, after a short ringing.
    pub fn declines() -> Self {
        let decision = Decision::Refuse(603, 4 * SOON);
        Plan { ringing: Some(SOON), early: None, decision, acts: vec![] }
    }

    /// 404 Not Found.
    pub fn not_found() -> Self {
        Plan::refuses(404)
    }

    /// 480 Temporarily Unavailable.
    pub fn unavailable() -> Self {
        Plan::refuses(480)
    }

    /// 503 Service Unavailable.
    pub fn congested() -> Self {
        Plan::refuses(503)
    }

    /// 183 with early media in place of ringing, this long after the invitation.
    pub fn with_early_media(mut self, after: Duration) -> Self {
        self.ringing = None;
        self.early = Some(after);
        self
    }

    /// Then hangs up, this long after the answer.
    pub fn then_hangs_up(self, after: Duration) -> Self {
        self.then(after, Act::HangUp)
    }

    /// Then presses digits, beginning this long after the answer.
    pub fn then_presses(self, after: Duration, digits: &str) -> Self {
        self.then(after, Act::Press(digits.to_owned()))
    }

    /// Then puts the call on hold, this long after the answer.
    pub fn then_holds(self, after: Duration) -> Self {
        self.then(after, Act::Hold)
    }

    /// Then takes the call back, this long after the answer.
    pub fn then_resumes(self, after: Duration) -> Self {
        self.then(after, Act::Resume)
    }

    fn then(mut self, after: Duration, act: Act) -> Self {
        self.acts.push((after, act));
        self
    }
}
