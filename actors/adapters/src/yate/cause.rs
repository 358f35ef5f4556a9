//! What the end of a leg means (sheet yate, section 6): our own hand first, then the last SIP status, then the engine's
//! words.
//!
//! Not here: when a leg is over; that is decided by the event that says so.

use ifbus_call::{By, Cause, Said};

/// What is known at the end of a leg.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct End {
    /// The last SIP status: of a leg that was answered 200, of one that rang 180.
    pub(super) sip: Option<u16>,
    /// The reason in words.
    pub(super) reason: String,
    /// The last state of the leg, or the reason of a local drop.
    pub(super) status: String,
    /// It was still connected to its peer: it has ended by itself, and was not left alone.
    pub(super) by_itself: bool,
}

impl End {
    /// The server's words, with the SIP status where there is one.
    pub(super) fn said(&self) -> Said {
        let text = if self.reason.is_empty() { &self.status } else { &self.reason };
        Said::new(self.sip, text)
    }
}

/// How far the leg had come when it ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    pub(super) up: bool,
    pub(super) rang: bool,
    /// An order of ours asked for the end.
    pub(super) dropped: bool,
    /// Our own ringing time was over.
    pub(super) timed_out: bool,
    /// It was sent to a party that has not answered; and how that party ended, if it was told.
    pub(super) away: bool,
    pub(super) guest_ended: Option<u16>,
}

/// Why a leg ended.
pub(super) fn cause(past: Past, end: &End) -> Cause {
    if past.up {
        let guest = past.guest_ended.filter(|_| past.away && !past.dropped && !end.by_itself);
        return guest.and_then(|code| of_status(code, true)).unwrap_or(Cause::Answered);
    }
    if past.timed_out {
        return Cause::NoAnswer;
    }
    if past.dropped {
        return Cause::Canceled;
    }
    end.sip.and_then(|code| of_status(code, past.rang)).unwrap_or_else(|| of_words(past, end))
}

/// Who brought it about.
pub(super) const fn by(past: Past, end: &End) -> By {
    if past.dropped || past.timed_out {
        By::Us
    } else if end.by_itself {
        By::Party
    } else {
        By::Server
    }
}

fn of_status(code: u16, rang: bool) -> Option<Cause> {
    Some(match code {
        486 | 600 => Cause::Busy,
        480 | 487 => Cause::NoAnswer,
        // the engine's own timer for a dead address reads like a 408 of the peer
        408 if rang => Cause::NoAnswer,
        408 => Cause::Unreachable,
        401 | 403 | 406 | 407 | 415 | 488 | 603 | 606 => Cause::Rejected,
        300..=399 | 404 | 410 | 484 | 502 | 604 => Cause::Unreachable,
        503 => Cause::Congestion,
        500..=599 => Cause::ServerFailure,
        400..=699 => Cause::Rejected,
        // the last provisional or the 200 of a leg that was dropped here
        _ => return None,
    })
}

fn of_words(past: Past, end: &End) -> Cause {
    match end.status.as_str() {
        "noanswer" if past.rang => Cause::NoAnswer,
        "noanswer" | "postdialdelay" => Cause::Unreachable,
        "busy" => Cause::Busy,
        "outgoing" => Cause::Unreachable,
        _ => Cause::ServerFailure,
    }
}

/// The status of a SIP phrase: all that is said of a party that a phone has sent a leg to.
pub(super) fn of_phrase(phrase: &str) -> Option<u16> {
    Some(match phrase {
        "Busy Here" | "Busy Everywhere" => 486,
        "Temporarily Unavailable" => 480,
        "Request Timeout" => 408,
        "Decline" => 603,
        "Forbidden" => 403,
        "Not Found" => 404,
        "Service Unavailable" => 503,
        _ => return None,
    })
}

/// What a refused `call.execute` means; without a word it is for others to find out.
pub(super) fn of_error(error: &str) -> Option<Cause> {
    match error {
        "" => None,
        "notransport" | "offline" | "noroute" | "unallocated" | "incomplete" | "noconn" => {
            Some(Cause::Unreachable)
        }
        "busy" => Some(Cause::Busy),
        "forbidden" | "rejected" | "unacceptable" | "noauth" => Some(Cause::Rejected),
        "congestion" | "noresource" => Some(Cause::Congestion),
        "noanswer" => Some(Cause::NoAnswer),
        _ => Some(Cause::ServerFailure),
    }
}

/// What the far end is told: a word of the engine, which becomes its SIP phrase.
pub(super) const fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Answered => "hangup",
        Cause::Canceled => "cancelled",
        Cause::Busy => "busy",
        Cause::NoAnswer => "noanswer",
        Cause::Rejected => "rejected",
        Cause::Unreachable => "noroute",
        Cause::Congestion => "congestion",
        Cause::ServerFailure => "failure",
    }
}
