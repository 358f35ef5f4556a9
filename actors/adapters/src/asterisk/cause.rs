//! What Asterisk's numbers mean (sheet, section 7): SIP status first where there is one, else the Q.850 cause.
//!
//! Not here: when a leg is over; that is decided by the event that says so.

use ifbus_call::{By, Cause, Said};

/// What is known at the end of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Q.850 cause.
    pub(super) cause: u16,
    /// SIP status; Asterisk 16 does not tell it.
    pub(super) tech: Option<u16>,
    /// The cause in the server's words.
    pub(super) text: String,
}

impl End {
    /// The server's words, with the SIP status where there is one.
    pub(super) fn said(&self) -> Said {
        Said::new(Some(self.tech.filter(|code| *code != 0).unwrap_or(self.cause)), &self.text)
    }
}

/// How far the leg had come when it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    pub(super) up: bool,
    pub(super) rang: bool,
    /// An order of ours asked for the end.
    pub(super) dropped: bool,
    /// Who asked first, if the server told.
    pub(super) by: Option<By>,
    /// It was sent to a party that has not answered.
    pub(super) away: bool,
}

/// Why a leg ended.
pub(super) fn cause(past: Past, end: &End) -> Cause {
    // the operator's dialplan ends it with the reason of the party it was sent to
    if past.up && past.away && !past.dropped && past.by != Some(By::Party) && end.cause != 16 {
        return of_q850(end.cause, true);
    }
    if past.up {
        return Cause::Answered;
    }
    if past.dropped {
        return Cause::Canceled;
    }
    end.tech.and_then(|code| of_status(code, past.rang)).unwrap_or_else(|| of_q850(end.cause, past.rang))
}

/// Who brought it about.
pub(super) fn by(past: Past) -> By {
    match (past.dropped, past.by) {
        (true, None | Some(By::Server)) => By::Us,
        (_, Some(by)) => by,
        (false, None) => By::Unknown,
    }
}

fn of_status(code: u16, rang: bool) -> Option<Cause> {
    Some(match code {
        486 | 600 => Cause::Busy,
        480 => Cause::NoAnswer,
        // the server's own timer after 32 s of silence reads like a 408 of the peer
        408 => of_q850(18, rang),
        300..=399 | 401 | 403 | 407 | 488 | 603 | 606 => Cause::Rejected,
        404 | 410 | 484 | 502 | 604 => Cause::Unreachable,
        503 => Cause::Congestion,
        482 | 500 | 504 => Cause::ServerFailure,
        _ => return None,
    })
}

fn of_q850(cause: u16, rang: bool) -> Cause {
    match cause {
        17 => Cause::Busy,
        // 0: the ring timeout of Asterisk 16, and of nothing else before the answer (section 13)
        0 | 19 => Cause::NoAnswer,
        18 if rang => Cause::NoAnswer,
        1 | 2 | 3 | 18 | 20 | 22 | 27 | 28 => Cause::Unreachable,
        16 | 21 | 23 | 55 | 57 | 58 | 65 | 79 | 88 => Cause::Rejected,
        34 | 42 | 44 => Cause::Congestion,
        _ => Cause::ServerFailure,
    }
}
