//! Lines: calls that a server double places in the real world. What it orders, and what the far ends do.
//!
//! Pure values between a machine that knows only channels and a SIP user agent ([`super::sip`]) that carries its calls out.
//! Not here: who joins the two ([`crate::gateway`]).

use std::collections::BTreeSet;

use super::Tone;

/// One call to the outside; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub u64);

/// What is to be done. An order about a line that is over means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Call this SIP URI, whose host is an address; the line is silent at first.
    Call {
        /// The new line.
        line: Line,
        /// Whom.
        uri: String,
        /// The number shown to the far end.
        caller: Option<String>,
    },
    /// The far end hears these from now on.
    Play(Line, BTreeSet<Tone>),
    /// The far end is sent this digit.
    Press(Line, char),
    /// BYE, or CANCEL.
    End(Line),
    /// Nobody knows of the line any more, and nobody says so: the server is dead.
    Vanish(Line),
}

/// What a far end does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarEnd {
    /// 180.
    Ringing,
    /// 183.
    Progress,
    /// 200. It comes once, and before everything below but the refusal.
    Answered,
    /// The final status of a call that was not answered; 408 if there was none. Nothing comes after it.
    Refused(u16),
    /// It says these from now on; nothing at first.
    Voice(BTreeSet<Tone>),
    /// It pressed this digit.
    Digit(char),
    /// It takes no audio any more, or does again.
    Holds(bool),
    /// The answered call is over. Nothing comes after it.
    HungUp,
}
