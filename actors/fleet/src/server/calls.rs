//! The calls of one server: verbs in, orders out, events to the call they belong to.

use std::time::Duration;

use ifbus_adapters::adapter::Ticket;
use ifbus_call::call::{Effect, Input as CallInput, OrderNumber};
use ifbus_call::{
    Accepted, Call, CallId, Done, End, Event, Goal, LegId, Nanos, NewCall, NotNow, Notice, Order, Outcome,
    Refused, Why,
};
use ifbus_supervision::World;
use rand::RngExt;

use super::{Act, GoalWritten, Purpose, Server, at, report};
use crate::control::Acted;
use crate::problem::{Code, Problem};
use crate::router::{Journey, Returned};
use crate::store::Change;
use crate::view::{AttemptView, CallView};

/// A call, and what is known of it beyond the machine.
pub(super) struct Entry {
    pub(super) call: Call,
    pub(super) view: CallView,
    /// Orders that wait until the goal was written down.
    waiting: Vec<(OrderNumber, Order)>,
    /// The goal that is being written.
    writing: bool,
    /// The goal that was written.
    written: Option<Goal>,
    /// How the call goes on if nobody rang here.
    journey: Option<Box<Journey>>,
}

impl Entry {
    pub(super) fn new(call: Call, view: CallView, written: Option<Goal>) -> Self {
        Self { call, view, waiting: Vec::new(), writing: false, written, journey: None }
    }
}

impl Server {
    // --- from the outside ---

    /// Takes a call, or sends it back to the router with the reason.
    pub(super) fn begin(&mut self, mut journey: Journey, world: &mut World<Self>) {
        let refusal = if !self.condition.takes_calls() {
            Some(self.condition.state().as_str())
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
        let legs = [LegId(world.rng().random()), LegId(world.rng().random())];
        let new = NewCall {
            id: journey.call,
            from: journey.request.from.clone(),
            to: journey.request.to.clone(),
            caller: journey.request.caller_id.clone(),
            within: journey.request.timeout,
            legs,
        };
        journey.attempts.push(AttemptView {
            server: self.spec.name.clone(),
            chosen: journey.chosen.clone(),
            at: self.shared.clock.at(now),
            ended: None,
        });
        let view = report::new_call(&journey, &self.spec.name);
        let call = Call::place(new, Nanos::from_start(now));
        let answer = journey.answer.take();
        let id = journey.call;
        let first = journey.attempts.len() == 1;
        let mut entry = Entry::new(call, view, None);
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
        let Some(call) = self.legs.get(&event.leg()) else {
            tracing::debug!(server = %self.spec.name, ?event, "an event of a leg that no call has");
            return;
        };
        self.input(*call, CallInput::Event(event), now);
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
            Some(Purpose::Orphan) | None => {}
        }
    }

    pub(super) fn calls_due(&mut self, now: Nanos) {
        let due: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(_, e)| e.call.deadline().is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
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
        }
        any
    }

    /// An order of a call. If the call's goal is of several steps it is written down before the wire hears of it.
    fn wanted(&mut self, id: CallId, number: OrderNumber, order: Order, world: &mut World<Self>) {
        if let Order::Dial(dial) = &order {
            self.legs.insert(dial.leg, id);
        }
        let now = at(world);
        let Some(entry) = self.calls.get_mut(&id) else { return };
        let goal = entry.call.goal().clone();
        let several_steps = matches!(goal, Goal::Blind { .. } | Goal::Consult { .. } | Goal::Complete { .. });
        let to_write = if several_steps { Some(goal) } else { None };
        if to_write == entry.written && !entry.writing {
            self.give(order, Purpose::Call(id, number), now);
            return;
        }
        if to_write.is_none() {
            // Nothing of several steps is under way any more: the wire does not wait for the note.
            entry.written = None;
            self.shared.store.note(Change::Goal(id, None));
            self.give(order, Purpose::Call(id, number), now);
            return;
        }
        entry.waiting.push((number, order));
        if !entry.writing {
            entry.writing = true;
            entry.written = to_write.clone();
            let me = world.me().clone();
            let told = move |well| me.tell(GoalWritten { call: id, well });
            self.shared.store.write(Change::Goal(id, to_write), Box::new(told));
        }
    }

    pub(super) fn goal_written(&mut self, id: CallId, well: bool, now: Nanos) {
        let Some(entry) = self.calls.get_mut(&id) else { return };
        entry.writing = false;
        let waiting = std::mem::take(&mut entry.waiting);
        if !well {
            entry.written = None;
        }
        for (number, order) in waiting {
            // Ending a leg never waits for a disk.
            if well || matches!(order, Order::Drop { .. }) {
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
        self.legs.retain(|_, call| *call != id);
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

fn refusal(call: CallId, why: &NotNow) -> Problem {
    let code = match why {
        NotNow::WrongState { .. } | NotNow::NoParty(_) => Code::WrongState,
        NotNow::Busy(_) => Code::VerbUnderWay,
        NotNow::Disconnected => Code::ServerDown,
    };
    Problem::new(code, why.to_string()).of_call(call).suggest(format!("ifbus show call {}", call.ending()))
}
