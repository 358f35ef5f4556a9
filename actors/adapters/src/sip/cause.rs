//! What a reply to an invitation means (sheet sip-3pcc, section 4): a Q.850 reason first, then the number.
//!
//! Not here: when a leg is over; that is decided by the event that says so.

use ifbus_call::{Cause, Said};

use super::event::Reply;

/// What is known of an invitation when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// It rang, or sounded.
    pub rang: bool,
    /// An order of ours asked for its end.
    pub dropped: bool,
    /// It was answered, and that was told.
    pub answered: bool,
    /// It rang for as long as it may.
    pub timed_out: bool,
}

/// Why an invitation failed.
#[must_use]
pub fn of_reply(reply: &Reply, past: Past) -> Cause {
    if past.dropped {
        return Cause::Canceled;
    }
    if past.timed_out {
        return Cause::NoAnswer;
    }
    let by_reason = reply.reason.as_ref().and_then(|(cause, _)| of_q850(*cause));
    by_reason.unwrap_or_else(|| of_code(reply, past.rang))
}

fn of_code(reply: &Reply, rang: bool) -> Cause {
    match reply.code {
        486 | 600 => Cause::Busy,
        480 => Cause::NoAnswer,
        408 if rang => Cause::NoAnswer,
        // nobody said a word, not even the server
        408 | 503 if reply.local => Cause::ServerFailure,
        300..=399 | 404 | 408 | 410 | 484 | 502 | 604 => Cause::Unreachable,
        503 => Cause::Congestion,
        // Kamailio makes it of a 503 of the network
        500 if reply.text.eq_ignore_ascii_case("service unavailable") => Cause::Congestion,
        487 if rang => Cause::NoAnswer,
        403 | 488 | 601..=699 => Cause::Rejected,
        // 401 and 407 come here only when our name and password were not taken
        _ => Cause::ServerFailure,
    }
}

fn of_q850(cause: u16) -> Option<Cause> {
    Some(match cause {
        17 => Cause::Busy,
        18 | 19 => Cause::NoAnswer,
        21 => Cause::Rejected,
        34 | 38 | 42 => Cause::Congestion,
        1 | 3 | 20 | 27 => Cause::Unreachable,
        _ => return None,
    })
}

/// What was said, for people: the number and its words.
#[must_use]
pub fn said(reply: &Reply) -> Said {
    Said::new(Some(reply.code), &reply.text)
}
