//! From what happened to what is shown: views and events of calls, in the words of every surface.

use std::time::Duration;

use ifbus_call::call::{Leg, Recording, VerbKind};
use ifbus_call::order::Direction;
use ifbus_call::{Call, End, Notice, Said, ServerName, Stage, Verb};
use jiff::Timestamp;

use super::Shared;
use crate::journal::Fact;
use crate::router::Journey;
use crate::store::Change;
use crate::view::{AttemptView, CallView, EndView, LegView, Status};

/// A call that was just placed.
pub(super) fn new_call(journey: &Journey, server: &ServerName) -> CallView {
    let request = &journey.request;
    CallView {
        server: Some(server.clone()),
        attempts: journey.attempts.clone(),
        seq: journey.seq,
        ..CallView::new(journey.call, request.from.clone(), request.to.clone(), journey.created)
    }
}

/// A call that was found on a server and is not remembered.
pub(super) fn adopted_call(call: &Call, server: &ServerName, now: Timestamp) -> CallView {
    let born = i64::try_from(call.id().born_unix_ms()).unwrap_or(i64::MAX);
    let created_at = Timestamp::from_millisecond(born).unwrap_or(now);
    CallView {
        server: Some(server.clone()),
        attempts: vec![AttemptView {
            server: server.clone(),
            chosen: "found there after a restart".to_owned(),
            at: created_at,
            ended: None,
        }],
        ..CallView::new(call.id(), call.from().clone(), call.to().clone(), created_at)
    }
}

/// Brings the view in step with the machine.
pub(super) fn refresh(view: &mut CallView, call: &Call) {
    use ifbus_call::call::Phase;
    view.status = match call.phase() {
        Phase::Queued => Status::Queued,
        Phase::Ringing => Status::Ringing,
        Phase::InProgress => Status::InProgress,
        Phase::Ending => view.status,
    };
    view.held = call.is_held();
    view.conference = call.conference().cloned();
    view.moved_to = call.is_moved().then(|| call.moved_to().unwrap_or_default().to_owned());
    view.recording = call.recording().map(Recording::id);
    view.verb =
        call.verb_under_way().filter(|verb| *verb != VerbKind::Originate).map(|verb| word(verb).to_owned());
    view.legs = call.legs().iter().map(leg).collect();
}

fn leg(leg: &Leg) -> LegView {
    let muted =
        [Direction::In, Direction::Out].into_iter().filter(|direction| leg.is_muted(*direction)).collect();
    LegView {
        role: leg.role(),
        party: leg.party().clone(),
        stage: stage(leg.stage()).to_owned(),
        muted,
        in_conference: leg.is_in_conference(),
    }
}

/// The word for how far a leg is.
pub(super) const fn stage(stage: Option<Stage>) -> &'static str {
    match stage {
        None => "planned",
        Some(Stage::Dialing) => "dialing",
        Some(Stage::Ringing) => "ringing",
        Some(Stage::Up) => "up",
    }
}

/// The word for a verb in views and events.
const fn word(verb: VerbKind) -> &'static str {
    match verb {
        VerbKind::Originate => "originate",
        VerbKind::Hold => "hold",
        VerbKind::Resume => "resume",
        VerbKind::BlindTransfer => "blind_transfer",
        VerbKind::AttendedTransfer => "attended_transfer",
        VerbKind::CompleteTransfer => "transfer_complete",
        VerbKind::CancelTransfer => "transfer_cancel",
        VerbKind::Dtmf => "dtmf",
        VerbKind::Mute => "mute",
        VerbKind::Enter => "enter",
        VerbKind::Kick => "kick",
        VerbKind::Record => "record",
        VerbKind::StopRecord => "stop_record",
        VerbKind::Hangup => "hangup",
    }
}

/// Whether the verb's goal has to be written down before the wire hears of it.
pub(super) const fn is_of_several_steps(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Transfer { .. }
            | Verb::CompleteTransfer
            | Verb::CancelTransfer
            | Verb::Enter { .. }
            | Verb::Record { .. }
    )
}

/// The event of a notice: its type, its sentence, and the party it is about. Times of the call are kept.
pub(super) fn notice(
    view: &mut CallView,
    call: &Call,
    notice: &Notice,
    now: Timestamp,
) -> (&'static str, String, Option<String>) {
    let party = |role| {
        let leg = call.legs().iter().find(|leg| leg.role() == role);
        leg.map_or_else(|| role.letter().to_string(), |leg| leg.party().to_string())
    };
    let of = |role: ifbus_call::Role| Some(role.letter().to_string());
    match notice {
        Notice::Ringing { role } => {
            view.ringing_at.get_or_insert(now);
            ("call.ringing", format!("{} rings", party(*role)), of(*role))
        }
        Notice::LegAnswered { role } => {
            ("call.leg_answered", format!("{} answered", party(*role)), of(*role))
        }
        Notice::Answered => {
            view.answered_at.get_or_insert(now);
            let took = seconds(view.created_at, now);
            let text = match call.conference() {
                Some(conference) => format!("{} is in {conference}, after {took:.1} s", view.from),
                None => format!("{} and {} talk, after {took:.1} s", view.from, view.to),
            };
            ("call.answered", text, None)
        }
        Notice::Held => ("call.held", "on hold".to_owned(), None),
        Notice::Resumed => ("call.resumed", "talking again".to_owned(), None),
        Notice::TransferStarted { to } => ("transfer.started", format!("{to} is being called"), None),
        Notice::Consulting => ("transfer.consulting", "the target is being asked".to_owned(), None),
        Notice::Transferred => ("transfer.completed", "the target took over".to_owned(), None),
        Notice::TransferCanceled => ("transfer.canceled", "taken back, as before".to_owned(), None),
        Notice::TransferFailed { cause, said } => {
            ("transfer.failed", format!("the target did not take over: {cause}{}", in_brackets(said)), None)
        }
        Notice::ConferenceEntered { conference } => {
            ("conference.joined", format!("in the conference {conference}"), None)
        }
        Notice::ConferenceLeft { role } => {
            ("conference.left", format!("{} left the conference", party(*role)), of(*role))
        }
        Notice::RecordingStarted { recording } => {
            ("recording.started", format!("being recorded as {recording}"), None)
        }
        Notice::RecordingStopped { recording, segments } => {
            ("recording.stopped", format!("{recording} is over, {segments} parts"), None)
        }
        Notice::DtmfSent => ("call.dtmf_sent", "digits played".to_owned(), None),
        Notice::Digit { role, digit } => {
            ("call.digit", format!("{} pressed {digit}", party(*role)), of(*role))
        }
        Notice::Muted { role, on, .. } => {
            let kind = if *on { "call.muted" } else { "call.unmuted" };
            (kind, format!("{} {}", party(*role), if *on { "muted" } else { "unmuted" }), of(*role))
        }
        Notice::PhoneHold { role, on } => {
            let kind = if *on { "call.phone_held" } else { "call.phone_resumed" };
            let what = if *on { "put its partner on hold" } else { "took its partner back" };
            (kind, format!("{} {what}", party(*role)), of(*role))
        }
        Notice::MovedByPhone { role, to } => {
            let to = to.as_ref().filter(|to| !to.is_empty());
            let to = to.map_or_else(|| "elsewhere".to_owned(), |to| format!("to {to}"));
            let text = format!("{} was moved by its partner's phone {to}", party(*role));
            ("call.moved_by_phone", text, of(*role))
        }
        Notice::VerbFailed { verb, why } => {
            ("call.verb_failed", format!("{} failed: {why}", verb.as_str()), None)
        }
    }
}

/// The cause an event carries.
pub(super) fn cause_of(notice: &Notice) -> Option<EndView> {
    match notice {
        Notice::TransferFailed { cause, said } => {
            Some(EndView { class: *cause, by: ifbus_call::By::Party, role: None, server_said: said.clone() })
        }
        _ => None,
    }
}

/// The end of a call, as shown.
pub(super) fn end(end: &End) -> EndView {
    EndView { class: end.cause, by: end.by, role: end.role, server_said: end.said.clone() }
}

/// An event of a call.
pub(super) fn fact_of(view: &CallView, kind: &str, text: String, time: Timestamp) -> Fact {
    let mut fact = Fact::new(kind, time, text);
    fact.call_seq = Some(view.seq);
    fact.call = Some(view.id);
    fact.server.clone_from(&view.server);
    fact.from = Some(view.from.clone());
    fact.to = Some(view.to.clone());
    fact
}

/// Shows a call for the last time: exactly once in its life.
pub(crate) fn close(shared: &Shared, mut view: CallView, ended: EndView, now: Duration) {
    let time = shared.clock.at(now);
    view.status = Status::of_end(ended.class);
    view.legs.clear();
    view.held = false;
    view.moved_to = None;
    view.recording = None;
    view.verb = None;
    view.ended_at = Some(time);
    view.duration_s = view.answered_at.map(|answered| seconds(answered, time));
    view.seq += 1;
    let text = sentence(&view, &ended);
    view.cause = Some(ended.clone());
    let mut fact = fact_of(&view, "call.ended", text, time);
    fact.cause = Some(ended.clone());
    fact.role = ended.role.map(|role| role.letter().to_string());
    shared.store.note(Change::Ended(view.id));
    shared.board.show_call(view);
    shared.journal.append(fact);
}

fn sentence(view: &CallView, ended: &EndView) -> String {
    let status = view.status.as_str();
    let length = view.duration_s.map(|seconds| format!(", {seconds:.0} s")).unwrap_or_default();
    let who = match (ended.by, ended.role) {
        (ifbus_call::By::Us, _) => ", by us".to_owned(),
        (ifbus_call::By::Party, Some(role)) if view.answered_at.is_some() => {
            format!(", {} hung up", role.letter())
        }
        _ => String::new(),
    };
    let cause = if status == ended.class.as_str() || view.status == Status::Completed {
        String::new()
    } else {
        format!(", {}", ended.class)
    };
    format!("{status}{cause}{length}{who}{}", in_brackets(&ended.server_said))
}

fn in_brackets(said: &Said) -> String {
    let text = said.to_string();
    if text.is_empty() { text } else { format!(" ({text})") }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millisecond() - from.as_millisecond()).max(0) as f64 / 1000.0
}
