//! Metrics derived from what everybody can see: events wake, views tell.
//!
//! A call is looked at whenever an event is about it, and compared with what was counted of it before; so a missed or
//! repeated event makes no figure wrong. Delays are taken between the moments at which a view first showed something,
//! which is exact as long as the feed keeps up with the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ifbus_call::{CallId, Cause, Role};
use ifbus_fleet::view::{AttemptView, CallView, LegView};
use ifbus_fleet::{EventView, Fleet, Read};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time;

use super::{Metrics, OfCause, OfKind, ServerCause, ServerKind, ServerKindCause, ServerType};

/// Causes, as labels.
pub(super) const CAUSES: [&str; 8] = [
    Cause::ALL[0].as_str(),
    Cause::ALL[1].as_str(),
    Cause::ALL[2].as_str(),
    Cause::ALL[3].as_str(),
    Cause::ALL[4].as_str(),
    Cause::ALL[5].as_str(),
    Cause::ALL[6].as_str(),
    Cause::ALL[7].as_str(),
];
/// Types of events, as labels; one that is not here is counted as `other`.
pub const TYPES: [&str; 29] = [
    "call.queued",
    "call.retry",
    "call.ringing",
    "call.leg_answered",
    "call.answered",
    "call.held",
    "call.resumed",
    "call.dtmf_sent",
    "call.digit",
    "call.muted",
    "call.unmuted",
    "call.phone_held",
    "call.phone_resumed",
    "call.verb_failed",
    "call.adopted",
    "call.ended",
    "transfer.started",
    "transfer.consulting",
    "transfer.completed",
    "transfer.canceled",
    "transfer.failed",
    "server.added",
    "server.changed",
    "server.removed",
    "server.up",
    "server.suspect",
    "server.down",
    "server.warning",
    "other",
];
/// How often living calls are looked at without an event.
const LOOK: Duration = Duration::from_secs(5);
/// How many ended calls are remembered as counted: more than the board shows.
const COUNTED_MAX: usize = 2 * ifbus_fleet::board::ENDED_MAX;

/// Counts until `stop` becomes true or its sender is gone.
pub async fn run(metrics: Arc<Metrics>, fleet: Fleet, mut stop: watch::Receiver<bool>) {
    let mut reader = fleet.journal.reader(Some(0));
    let mut feed = Feed::new(metrics, fleet, Timestamp::now());
    let mut look = time::interval(LOOK);
    look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            read = reader.next() => match read {
                Some(Read::Event(event)) => feed.event(&event),
                Some(Read::Gap { .. }) => feed.look_again(),
                None => return,
            },
            _ = look.tick() => feed.look_again(),
        }
    }
}

/// What was counted of each call.
pub(super) struct Feed {
    metrics: Arc<Metrics>,
    fleet: Fleet,
    /// Calls born before this are adopted ones: their attempts were counted in the life before this one.
    born_after: Timestamp,
    counted: BTreeMap<CallId, Counted>,
}

#[derive(Default)]
struct Counted {
    attempts: usize,
    attempt_ends: usize,
    over: bool,
    /// When the first party of the current attempt answered: leg B is dialed then.
    dialed: Option<Timestamp>,
    rang: bool,
    answered: bool,
}

impl Feed {
    pub(super) fn new(metrics: Arc<Metrics>, fleet: Fleet, born_after: Timestamp) -> Self {
        Self { metrics, fleet, born_after, counted: BTreeMap::new() }
    }

    /// Takes one event.
    pub(super) fn event(&mut self, event: &EventView) {
        let fact = &event.fact;
        if let Some(server) = &fact.server {
            let r#type = super::one_of(&TYPES, &fact.kind);
            self.metrics.events.get(&ServerType { server: server.to_string(), r#type }).inc();
        }
        if let Some(call) = fact.call.and_then(|id| self.fleet.board.call(id)) {
            self.look_at(&call, fact.time);
        }
        if self.counted.len() > COUNTED_MAX {
            let board = &self.fleet.board;
            self.counted.retain(|id, counted| !counted.over || board.call(*id).is_some());
        }
    }

    /// Looks at every call.
    pub(super) fn look_again(&mut self) {
        let now = Timestamp::now();
        for call in self.fleet.board.calls() {
            self.look_at(&call, now);
        }
    }

    fn look_at(&mut self, call: &CallView, now: Timestamp) {
        let is_adopted = call.created_at < self.born_after;
        let counted = self.counted.entry(call.id).or_insert_with(|| Counted {
            attempts: if is_adopted { call.attempts.len() } else { 0 },
            // What happened before we looked was counted, or timed, in another life.
            rang: is_adopted,
            answered: is_adopted,
            ..Counted::default()
        });
        if counted.over {
            return;
        }
        let labels = |attempt: &AttemptView| {
            let kind = self.fleet.board.server(&attempt.server)?.kind.as_str();
            Some(ServerKind { server: attempt.server.to_string(), kind })
        };
        if counted.attempts == 0
            && let Some(of) = call.attempts.first().and_then(labels)
        {
            self.metrics.calls.get_or_create(&OfKind { kind: of.kind }).inc();
        }
        for attempt in call.attempts.iter().skip(counted.attempts) {
            *counted = Counted {
                attempts: counted.attempts + 1,
                attempt_ends: counted.attempt_ends,
                ..Counted::default()
            };
            if let Some(of) = labels(attempt) {
                self.metrics.attempts.get(&of).inc();
                self.metrics.lately.begun(&of.server, attempt.at);
            }
        }
        for (index, attempt) in call.attempts.iter().enumerate().skip(counted.attempt_ends) {
            let Some(end) = &attempt.ended else { break };
            counted.attempt_ends += 1;
            let Some(ServerKind { server, kind }) = labels(attempt) else { continue };
            let cause = end.class.as_str();
            if index + 1 < call.attempts.len() {
                self.metrics.retries.get(&ServerCause { server: server.clone(), cause }).inc();
            }
            self.metrics.lately.ended(&server, end.class == Cause::Answered, now);
            self.metrics.attempt_ends.get(&ServerKindCause { server, kind, cause }).inc();
        }
        let of = call.attempts.last().and_then(labels);
        if let Some(of) = &of {
            time_attempt(&self.metrics, counted, call, of, now);
        }
        if call.status.is_terminal() {
            counted.over = true;
            if let Some(end) = &call.cause {
                self.metrics.call_ends.get_or_create(&OfCause { cause: end.class.as_str() }).inc();
            }
            if let (Some(of), Some(_), Some(seconds)) = (of, call.answered_at, call.duration_s) {
                self.metrics.call_duration.get(&of).observe(seconds);
            }
        }
    }
}

fn time_attempt(metrics: &Metrics, counted: &mut Counted, call: &CallView, of: &ServerKind, now: Timestamp) {
    let stage = |role| call.legs.iter().find(|leg: &&LegView| leg.role == role).map(|leg| leg.stage.as_str());
    if counted.dialed.is_none() && stage(Role::A) == Some("up") {
        counted.dialed = Some(now);
    }
    let Some(dialed) = counted.dialed else { return };
    let seconds = now.duration_since(dialed).as_secs_f64().max(0.0);
    let answered = stage(Role::B) == Some("up");
    if !counted.rang && (answered || stage(Role::B) == Some("ringing")) {
        counted.rang = true;
        metrics.post_dial_delay.get(of).observe(seconds);
        metrics.lately.rang(&of.server, seconds, now);
    }
    if !counted.answered && answered {
        counted.answered = true;
        metrics.answer_delay.get(of).observe(seconds);
    }
}
