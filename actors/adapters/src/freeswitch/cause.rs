//! What FreeSWITCH's words for an end mean (sheet, section 3): SIP status first where the far end gave one, else the
//! server's own cause.
//!
//! Not here: when a leg is over; that is decided by the event that says so.

use ifbus_call::{By, Cause, Said};

use crate::wire_format::esl::Event;

/// What is known at the end of a leg.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct End {
    /// The server's word: `NORMAL_CLEARING`.
    pub(super) cause: String,
    /// The SIP status it ended with.
    status: Option<u16>,
    /// The words beside that status.
    phrase: String,
    /// Who said the last SIP word: `send_bye`, `recv_refuse`.
    disposition: String,
    /// Somebody answered at all, so the status is his and not the server's own.
    answered_by: bool,
    /// It ended because its phone sent its partner elsewhere.
    pub(super) moved: bool,
    /// Where to, if the server says.
    pub(super) moved_to: Option<String>,
}

impl End {
    /// Reads the event of an end.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let text = |name: &str| event.get(name).unwrap_or_default().to_owned();
        let disposition = event.get("variable_endpoint_disposition").unwrap_or_default();
        Self {
            cause: event
                .get("Hangup-Cause")
                .or(event.get("variable_hangup_cause"))
                .unwrap_or_default()
                .to_owned(),
            status: event.number("variable_sip_term_status"),
            phrase: text("variable_sip_invite_failure_phrase"),
            disposition: text("variable_sip_hangup_disposition"),
            answered_by: event.get("variable_sip_network_ip").is_some(),
            moved: matches!(disposition, "BLIND_TRANSFER" | "ATTENDED_TRANSFER"),
            moved_to: event.get("variable_sip_refer_to").map(user_of),
        }
    }

    /// An end of which only the server's word is known.
    pub(super) fn word(cause: &str) -> Self {
        Self { cause: cause.to_owned(), ..Self::default() }
    }

    /// The server's words, with the SIP status where there is one.
    pub(super) fn said(&self) -> Said {
        let text = if self.phrase.is_empty() {
            self.cause.clone()
        } else {
            format!("{} {}", self.cause, self.phrase)
        };
        Said::new(self.status.filter(|status| *status >= 300), &text)
    }
}

/// The user part of a URI in angle brackets.
fn user_of(uri: &str) -> String {
    let rest = uri.split_once("sip:").or_else(|| uri.split_once("sips:")).map_or(uri, |(_, rest)| rest);
    rest.split(['@', '>', ';', '?']).next().unwrap_or_default().chars().take(120).collect()
}

/// How far the leg had come when it ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    pub(super) up: bool,
    pub(super) rang: bool,
    /// An order of ours asked for the end.
    pub(super) dropped: bool,
    /// It was sent to a party that has not answered.
    pub(super) away: bool,
}

/// Why a leg ended.
pub(super) fn cause(past: Past, end: &End) -> Cause {
    // the server gives it the reason of the party it was sent to
    if past.up && past.away && !past.dropped && end.cause != "NORMAL_CLEARING" {
        return of_word(&end.cause, true, end.answered_by);
    }
    if past.up {
        let died = matches!(end.cause.as_str(), "SYSTEM_SHUTDOWN" | "CRASH");
        return if died { Cause::ServerFailure } else { Cause::Answered };
    }
    if past.dropped {
        return Cause::Canceled;
    }
    let status = end.status.filter(|_| end.answered_by);
    status.and_then(|status| of_status(status, past.rang)).unwrap_or_else(|| {
        // a word of the server that stands for a status of nobody: a port that is closed, a name that is none
        of_word(&end.cause, past.rang, end.status.is_none())
    })
}

/// Who brought it about.
pub(super) fn by(past: Past, end: &End) -> By {
    match end.disposition.as_str() {
        said if said.starts_with("recv_") => By::Party,
        _ if past.dropped => By::Us,
        said if said.starts_with("send_") => By::Server,
        _ if end.cause.is_empty() => By::Unknown,
        _ => By::Server,
    }
}

fn of_status(status: u16, rang: bool) -> Option<Cause> {
    Some(match status {
        486 | 600 => Cause::Busy,
        480 => Cause::NoAnswer,
        408 if rang => Cause::NoAnswer,
        300..=399 | 401..=403 | 407 | 488 | 603 | 606..=608 => Cause::Rejected,
        404 | 408 | 410 | 484 | 485 | 502 | 604 => Cause::Unreachable,
        487 => Cause::Canceled,
        503 => Cause::Congestion,
        482 | 483 | 500 | 504 => Cause::ServerFailure,
        _ => return None,
    })
}

/// `peer` tells whether somebody else than the server may have said so.
pub(super) fn of_word(word: &str, rang: bool, peer: bool) -> Cause {
    match word {
        "NORMAL_CLEARING" | "BLIND_TRANSFER" | "ATTENDED_TRANSFER" => Cause::Answered,
        "USER_BUSY" | "BUSY_EVERYWHERE" => Cause::Busy,
        "NO_ANSWER" | "ALLOTTED_TIMEOUT" | "PROGRESS_TIMEOUT" | "NO_PICKUP" => Cause::NoAnswer,
        "NO_USER_RESPONSE" | "RECOVERY_ON_TIMER_EXPIRE" if rang => Cause::NoAnswer,
        "CALL_REJECTED"
        | "DECLINE"
        | "REJECT_ALL"
        | "UNWANTED"
        | "INCOMING_CALL_BARRED"
        | "OUTGOING_CALL_BARRED"
        | "INCOMPATIBLE_DESTINATION" => Cause::Rejected,
        "UNALLOCATED_NUMBER"
        | "NO_ROUTE_DESTINATION"
        | "INVALID_NUMBER_FORMAT"
        | "NUMBER_CHANGED"
        | "NO_USER_RESPONSE"
        | "RECOVERY_ON_TIMER_EXPIRE"
        | "SUBSCRIBER_ABSENT"
        | "USER_NOT_REGISTERED"
        | "GATEWAY_DOWN"
        | "NETWORK_OUT_OF_ORDER" => Cause::Unreachable,
        "NORMAL_TEMPORARY_FAILURE" if !peer => Cause::Unreachable,
        "NORMAL_TEMPORARY_FAILURE"
        | "NORMAL_CIRCUIT_CONGESTION"
        | "SWITCH_CONGESTION"
        | "REQUESTED_CHAN_UNAVAIL"
        | "DESTINATION_OUT_OF_ORDER" => Cause::Congestion,
        "ORIGINATOR_CANCEL" | "LOSE_RACE" | "PICKED_OFF" => Cause::Canceled,
        _ => Cause::ServerFailure,
    }
}

/// What the far end is told; an unknown word would silently become a normal end (sheet, section 3).
pub(super) const fn word(cause: Cause, up: bool) -> &'static str {
    match cause {
        Cause::Answered | Cause::Canceled if up => "NORMAL_CLEARING",
        Cause::Answered | Cause::Canceled => "ORIGINATOR_CANCEL",
        Cause::Busy => "USER_BUSY",
        Cause::NoAnswer => "NO_ANSWER",
        Cause::Rejected => "CALL_REJECTED",
        Cause::Unreachable => "UNALLOCATED_NUMBER",
        Cause::Congestion => "NORMAL_CIRCUIT_CONGESTION",
        Cause::ServerFailure => "NORMAL_TEMPORARY_FAILURE",
    }
}
