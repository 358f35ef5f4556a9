//! The calls of one server: verbs in, orders out, events to the call they belong to.

use std::time::Duration;

use ifbus_adapters::adapter::Ticket;
use ifbus_call::call::{Effect, Input as CallInput, NewMember, OrderNumber, Stored};
use ifbus_call::{
    Accepted, Call, CallId, Done, End, Event, LegId, Nanos, NewCall, NotNow, Notice, Order, Outcome,
    RecordingId, Refused, Why,
};
use ifbus_supervision::World;
use rand::RngExt;

use super::{Act, Noted, Purpose, Server, at, report};
use crate::control::Acted;
use crate::problem::{Code, Problem};
use crate::router::{Journey, Returned};
use crate::store::Change;
use crate::view::{AttemptView, CallView};

/// A call, and what is known of it beyond the machine.
pub(super) struct Entry {
    pub(super) call: Call,
    pub(super) view: CallView,
    /// Orders that wait until what the call needs was written down.
    waiting: Vec<(OrderNumber, Order)>,
    /// It is being written.
    writing: bool,
    /// What was written.
    written: Stored,
    /// How the call goes on if nobody rang here.
    journey: Option<Box<Journey>>,
    /// Its legs, living or not, as they stand in [`Server::legs`].
    legs: Vec<LegId>,
    /// When its machine wants to be woken, as it stands in [`Server::due`].
    due: Option<Nanos>,
}

impl Entry {
    pub(super) fn new(call: Call, view: CallView, written: Stored) -> Self {
        Self {
            call,
            view,
            waiting: Vec::new(),
            writing: false,
            written,
            journey: None,
            legs: Vec::new(),
            due: None,
        }
    }
}

impl Server {
    // --- from the outside ---

    /// Takes a call, or sends it back to the router with the reason.
    pub(super) fn begin(&mut self, mut journey: Journey, world: &mut World<Self>) {
        let refusal = if !self.condition.takes_calls() {
            Some(self.condition.state().as_str())
        } else if self.draining().is_some() {
            Some("draining")
        } else if self.calls.len() >= self.spec.capacity as usize {
            Some("at_capacity")
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.shared.router.tell(Returned::untouched(journey, &self.spec.name, reason));
            return;
        }
        let now = world.now();
        let recording = journey
            .request
            .record
            .then(|| RecordingId::new(self.shared.clock.unix_ms(now), world.rng().random()));
        if let Some(recording) = recording {
            self.announce(recording, journey.call, now);
        }
        let legs = [LegId(world.rng().random()), LegId(world.rng().random())];
        let call = placed(&journey, legs, recording, Nanos::from_start(now));
        journey.attempts.push(AttemptView {
            server: self.spec.name.clone(),
            chosen: journey.chosen.clone(),
            at: self.shared.clock.at(now),
            ended: None,
        });
        let view = report::new_call(&journey, &self.spec.name);
        let answer = journey.answer.take();
        let id = journey.call;
        let first = journey.attempts.len() == 1;
        let mut entry = Entry::new(call, view, Stored::default());
        let text = format!("{} chosen: {}", self.spec.name, journey.chosen);
        entry.journey = Some(Box::new(journey));
        self.shared.store.note(Change::Call(Box::new(entry.view.clone())));
        self.enter(id, entry);
        self.tell(id, if first { "call.queued" } else { "call.retry" }, text, now);
        // Shown before it is answered: whoever hears of the call can look at it.
        self.show();
        if let (Some(answer), Some(view)) = (answer, self.shown(id)) {
            answer.give(Ok(view.as_ref().clone()));
        }
    }

    pub(super) fn act(&mut self, act: Act, world: &mut World<Self>) -> Result<Acted, Problem> {
        let Some(entry) = self.calls.get_mut(&act.call) else {
            return Err(self.not_here(act.call));
        };
        let needs_store = !matches!(act.verb, ifbus_call::Verb::Hangup | ifbus_call::Verb::Dtmf { .. });
        if needs_store && !self.shared.store.is_well() && report::is_of_several_steps(&act.verb) {
            let detail = "the verb has to be written down first, and the store cannot be written";
            return Err(Problem::new(Code::StoreUnavailable, detail).of_call(act.call));
        }
        let fresh = LegId(world.rng().random());
        let accepted = entry.call.verb(act.verb, fresh, at(world)).map_err(|why| refusal(act.call, &why))?;
        self.touch(act.call);
        self.pump_calls(world);
        self.show();
        let view = self.shown(act.call).ok_or_else(|| self.not_here(act.call))?;
        Ok(Acted { call: CallView::clone(&view), already_so: accepted == Accepted::AlreadySo })
    }

    fn not_here(&self, call: CallId) -> Problem {
        match self.shown(call) {
            Some(view) if view.status.is_terminal() => {
                Problem::new(Code::WrongState, format!("the call is over ({})", view.status.as_str()))
                    .of_call(call)
            }
            _ => Problem::new(Code::UnknownCall, format!("no call has the id {call}")).of_call(call),
        }
    }

    // --- from the server ---

    pub(super) fn event(&mut self, event: Event, now: Nanos) {
        let concerned = self.concerned(&event);
        if concerned.is_empty() {
            tracing::debug!(server = %self.spec.name, ?event, "an event of a leg that no call has");
        }
        for call in concerned {
            self.input(call, CallInput::Event(event.clone()), now);
        }
    }

    /// The call of the leg; and the one that a phone's own transfer has made the leg a guest of.
    fn concerned(&self, event: &Event) -> Vec<CallId> {
        let mut calls: Vec<CallId> = self.legs.get(&event.leg()).copied().into_iter().collect();
        match event {
            Event::Ended { leg, .. } | Event::Vanished(leg) => {
                let with = |entry: &&Entry| entry.call.guest() == Some(*leg);
                calls.extend(self.calls.values().filter(with).map(|entry| entry.call.id()));
            }
            _ => {}
        }
        calls.dedup();
        calls
    }

    pub(super) fn input(&mut self, call: CallId, input: CallInput, now: Nanos) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.call.handle(input, now);
            self.touch(call);
        }
    }

    pub(super) fn answered(&mut self, ticket: Ticket, outcome: Outcome, world: &mut World<Self>) {
        let now = at(world);
        let open = self.tickets.remove(&ticket);
        if let Some(open) = &open {
            let took = now.since(open.given);
            self.shared.meter.order_done(&self.spec.name, self.spec.kind, &open.order, &outcome, took);
        }
        match open.map(|open| open.purpose) {
            Some(Purpose::Call(call, number)) => self.input(call, CallInput::Outcome(number, outcome), now),
            Some(Purpose::Probe) => self.probed(outcome, now),
            Some(Purpose::ProbeSip) => self.sip_probed(outcome, now),
            Some(Purpose::Reconcile(asked)) => {
                if let Ok(Done::Listed(seen)) = outcome {
                    self.reconcile(seen, asked, false, world);
                }
            }
            Some(Purpose::Load) => {
                if let Ok(Done::Loaded(load)) = outcome {
                    self.load = load;
                }
            }
            Some(Purpose::Inspect(began, answer)) => self.inspected(outcome, began, answer, now),
            Some(Purpose::Fetch(recording, segment)) => self.fetched(recording, segment, outcome, now),
            Some(Purpose::Foreign(ending)) => self.foreign_ended(outcome, *ending, world),
            Some(Purpose::Drain(answer)) => self.drained(outcome, answer),
            Some(Purpose::Orphan) | None => {}
        }
    }

    pub(super) fn calls_due(&mut self, now: Nanos) {
        let due: Vec<CallId> =
            self.due.iter().take_while(|(due, _)| *due <= now).map(|(_, call)| *call).collect();
        for call in due {
            self.input(call, CallInput::Tick, now);
        }
    }

    // --- what calls want ---

    /// Takes a call in.
    pub(super) fn enter(&mut self, id: CallId, entry: Entry) {
        self.calls.insert(id, entry);
        self.touch(id);
    }

    /// From now on what happens to this leg happens to this call.
    pub(super) fn belongs(&mut self, leg: LegId, id: CallId) {
        if let Some(entry) = self.calls.get_mut(&id)
            && self.legs.insert(leg, id) != Some(id)
        {
            entry.legs.push(leg);
        }
    }

    /// The call may want something, and is not shown as it is now.
    fn touch(&mut self, id: CallId) {
        self.wanting.insert(id);
        self.stale.insert(id);
    }

    /// Takes what the calls want. Says whether there was anything.
    pub(super) fn pump_calls(&mut self, world: &mut World<Self>) -> bool {
        let mut any = false;
        for id in std::mem::take(&mut self.wanting) {
            while let Some(effect) = self.calls.get_mut(&id).and_then(|entry| entry.call.poll()) {
                any = true;
                match effect {
                    Effect::Order(number, order) => self.wanted(id, number, order, world),
                    Effect::Notice(notice) => self.noticed(id, notice, world.now()),
                    Effect::Finished(end) => self.finished(id, end, world.now()),
                }
            }
            self.keep_time(id);
        }
        any
    }

    /// Puts the call's deadline right: whatever moves a machine touches the call, so this sees every change.
    fn keep_time(&mut self, id: CallId) {
        let Some(entry) = self.calls.get_mut(&id) else { return };
        let due = entry.call.deadline();
        if due != entry.due {
            if let Some(old) = std::mem::replace(&mut entry.due, due) {
                self.due.remove(&(old, id));
            }
            self.due.extend(due.map(|due| (due, id)));
        }
    }

    /// An order of a call. What the call needs to be adopted as it is, is written down before the wire hears of it.
    fn wanted(&mut self, id: CallId, number: OrderNumber, order: Order, world: &World<Self>) {
        if let Order::Dial(dial) = &order {
            self.belongs(dial.leg, id);
        }
        let now = at(world);
        let Some(entry) = self.calls.get_mut(&id) else { return };
        let needed = entry.call.to_store();
        // Ending a leg never waits for a disk.
        if matches!(order, Order::Drop { .. }) {
            return self.give(order, Purpose::Call(id, number), now);
        }
        if entry.writing || (needed != entry.written && needed != Stored::default()) {
            entry.waiting.push((number, order));
            self.write_down(id, world);
            return;
        }
        if needed != entry.written {
            // Nothing needs to be written down any more: the wire does not wait for the note.
            entry.written = Stored::default();
            self.shared.store.note(Change::Stored(id, Stored::default()));
        }
        self.give(order, Purpose::Call(id, number), now);
    }

    /// Writes down what the call needs now, one write at a time.
    fn write_down(&mut self, id: CallId, world: &World<Self>) {
        let Some(entry) = self.calls.get_mut(&id).filter(|entry| !entry.writing) else { return };
        entry.writing = true;
        entry.written = entry.call.to_store();
        let needed = entry.written.clone();
        if let Some(recording) = &needed.recording {
            let segments = recording.segments();
            self.change_recording(recording.id(), |view| view.segments = segments);
        }
        let me = world.me().clone();
        let told = move |well| me.tell(Noted { call: id, well });
        self.shared.store.write(Change::Stored(id, needed), Box::new(told));
    }

    /// It was written down, or could not be.
    pub(super) fn noted(&mut self, noted: Noted, world: &World<Self>) {
        let Noted { call: id, well } = noted;
        let now = at(world);
        let Some(entry) = self.calls.get_mut(&id) else { return };
        entry.writing = false;
        if !well {
            entry.written = Stored::default();
        } else if entry.call.to_store() != entry.written {
            // The call went on meanwhile: what waits is about what it needs now.
            return self.write_down(id, world);
        }
        for (number, order) in std::mem::take(&mut entry.waiting) {
            if well {
                self.give(order, Purpose::Call(id, number), now);
            } else {
                let refused = Refused::unsent(Why::Refused);
                self.input(id, CallInput::Outcome(number, Err(refused)), now);
            }
        }
    }

    fn noticed(&mut self, id: CallId, notice: Notice, now: Duration) {
        let Some(entry) = self.calls.get_mut(&id) else { return };
        let time = self.shared.clock.at(now);
        let first_talk = notice == Notice::Answered;
        let (kind, text, role) = report::notice(&mut entry.view, &entry.call, &notice, time);
        report::refresh(&mut entry.view, &entry.call);
        if matches!(notice, Notice::Muted { .. }) && !entry.writing {
            // No server lists what it silences: without this note nobody could open it after a death of ours.
            entry.written = entry.call.to_store();
            self.shared.store.note(Change::Stored(id, entry.written.clone()));
        }
        if let Notice::RecordingStopped { recording, segments } = notice {
            self.recording_over(recording, segments, now);
        }
        let Some(entry) = self.calls.get_mut(&id) else { return };
        if first_talk {
            self.shared.store.note(Change::Call(Box::new(entry.view.clone())));
        }
        if let Some(fact) = self.fact(id, kind, text, now) {
            let cause = report::cause_of(&notice);
            self.publish(id, crate::journal::Fact { role, cause, ..fact });
        }
    }

    fn finished(&mut self, id: CallId, end: End, now: Duration) {
        let Some(mut entry) = self.calls.remove(&id) else { return };
        for leg in &entry.legs {
            if self.legs.get(leg) == Some(&id) {
                self.legs.remove(leg);
            }
        }
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        let ended = report::end(&end);
        if let Some(attempt) = entry.view.attempts.last_mut() {
            attempt.ended = Some(ended.clone());
        }
        match entry.journey.take() {
            Some(mut journey) if end.nobody_rang && journey.may_go_on(end.cause) && !self.stopping => {
                journey.attempts.clone_from(&entry.view.attempts);
                journey.seq = entry.view.seq;
                self.shared.router.tell(Returned::failed(*journey, ended));
            }
            _ => report::close(&self.shared, entry.view, ended, now),
        }
    }

    /// A leg of ours that no call has: it is ended.
    pub(super) fn end_orphan(&mut self, leg: LegId, now: Nanos) {
        tracing::warn!(server = %self.spec.name, %leg, "a leg of ours belongs to no call and is ended");
        self.give(Order::Drop { leg, cause: ifbus_call::Cause::ServerFailure }, Purpose::Orphan, now);
    }

    // --- what is shown ---

    /// An event of a call, numbered within it.
    pub(super) fn fact(
        &mut self,
        id: CallId,
        kind: &str,
        text: String,
        now: Duration,
    ) -> Option<crate::journal::Fact> {
        let entry = self.calls.get_mut(&id)?;
        entry.view.seq += 1;
        self.stale.insert(id);
        let mut fact = report::fact_of(&entry.view, kind, text, self.shared.clock.at(now));
        fact.epoch = Some(self.epoch.0);
        Some(fact)
    }

    pub(super) fn tell(&mut self, id: CallId, kind: &str, text: String, now: Duration) {
        if let Some(fact) = self.fact(id, kind, text, now) {
            self.publish(id, fact);
        }
    }

    /// The board first: whoever hears of it finds the call as it is by then.
    fn publish(&mut self, id: CallId, fact: crate::journal::Fact) {
        if let Some(entry) = self.calls.get_mut(&id) {
            self.stale.remove(&id);
            report::refresh(&mut entry.view, &entry.call);
            self.shared.board.show_call(entry.view.clone());
        }
        self.shared.journal.append(fact);
    }

    /// Shows what changed.
    pub(super) fn show(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            if let Some(entry) = self.calls.get_mut(&id) {
                report::refresh(&mut entry.view, &entry.call);
                self.shared.board.show_call(entry.view.clone());
            }
        }
        let view = self.view();
        if !self.memory.is_struck()
            && self.shared.board.server(&self.spec.name).is_none_or(|shown| *shown != view)
        {
            self.shared.board.show_server(view);
        }
    }
}

/// The machine of a call that was asked for.
fn placed(journey: &Journey, legs: [LegId; 2], record: Option<RecordingId>, now: Nanos) -> Call {
    let request = &journey.request;
    let (id, caller, within) = (journey.call, request.caller_id.clone(), request.timeout);
    match &request.conference {
        Some(conference) => {
            let (party, conference) = (request.from.clone(), conference.clone());
            Call::invite(NewMember { id, party, conference, caller, within, leg: legs[0], record }, now)
        }
        None => {
            let (from, to) = (request.from.clone(), request.to.clone());
            Call::place(NewCall { id, from, to, caller, within, legs, record }, now)
        }
    }
}

fn refusal(call: CallId, why: &NotNow) -> Problem {
    let code = match why {
        NotNow::WrongState { .. } | NotNow::NoParty(_) => Code::WrongState,
        NotNow::Busy(_) => Code::VerbUnderWay,
        NotNow::Disconnected => Code::ServerDown,
    };
    Problem::new(code, why.to_string()).of_call(call).suggest(format!("ifbus show call {}", call.ending()))
}
