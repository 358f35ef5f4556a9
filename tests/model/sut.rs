//! The machine under test, beside the model of its server, with the adapter's promises between them: every order is
//! answered exactly once, events of one leg stay in order, a broken link loses what was on its way.

use std::time::Duration;

use ifbus_call::call::{Effect, Input, NewMember, OrderNumber, Stored};
use ifbus_call::order::Direction;
use ifbus_call::{
    By, Call, CallId, Cause, Done, End, Event, Evidence, LegId, Mode, Nanos, NewCall, Notice, Order,
    RecordingId, Refused, Role, Verb, Why,
};

use crate::reference::Server;
use crate::transitions::{Act, Ask, Step};

pub struct Pair {
    pub call: Call,
    pub server: Server,
    pub open: Vec<(OrderNumber, Order)>,
    pub notices: Vec<Notice>,
    pub ends: Vec<End>,
    /// How often each target was asked for by a transfer.
    pub transfers: u32,
    pub linked: bool,
    pub effects_after_end: u32,
    /// Something unfair happened: an event was lost, a proof was lost, or a server was restarted.
    pub unfair: bool,
    /// Recordings asked for.
    pub recordings: u32,
    /// The server said no to one of their orders.
    pub refused_a_recording: bool,
    booted: u32,
    now: Nanos,
    next_leg: u128,
}

impl Pair {
    pub fn new() -> Self {
        let now = Nanos::ZERO + Duration::from_secs(1);
        let new = NewCall {
            id: CallId::new(1_700_000_000_000, 7),
            from: "1001".parse().expect("an address"),
            to: "1002".parse().expect("an address"),
            caller: None,
            within: Duration::from_secs(30),
            legs: [LegId(1), LegId(2)],
            record: None,
        };
        Self::of(Call::place(new, now), now)
    }

    /// A party that is called into a conference, and recorded there.
    pub fn member() -> Self {
        let now = Nanos::ZERO + Duration::from_secs(1);
        let new = NewMember {
            id: CallId::new(1_700_000_000_000, 7),
            party: "1001".parse().expect("an address"),
            conference: "room".parse().expect("a conference"),
            caller: None,
            within: Duration::from_secs(30),
            leg: LegId(1),
            record: Some(RecordingId::new(1, 1)),
        };
        let mut pair = Self::of(Call::invite(new, now), now);
        pair.recordings = 1;
        pair
    }

    fn of(call: Call, now: Nanos) -> Self {
        let mut pair = Self {
            call,
            server: Server::default(),
            open: vec![],
            notices: vec![],
            ends: vec![],
            transfers: 0,
            linked: true,
            effects_after_end: 0,
            unfair: false,
            recordings: 0,
            refused_a_recording: false,
            booted: 0,
            now,
            next_leg: 3,
        };
        pair.take_effects();
        pair
    }

    pub fn in_progress() -> Self {
        let mut pair = Self::new();
        pair.heal();
        assert!(
            pair.notices.contains(&Notice::Answered),
            "the plain call did not come up: {:?}",
            pair.notices
        );
        pair
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Carry(n) => self.carry(*n),
            Step::Refuse(n) => self.refuse(*n),
            Step::CarryUnproven(n) => self.carry_unproven(*n),
            Step::Deliver(n) => self.deliver(*n, true),
            Step::Double(n) => self.deliver(*n, false),
            Step::Lose(n) => self.lose(*n),
            Step::Phone(n, act) => self.phone(*n, *act),
            Step::Verb(ask) => self.ask(*ask),
            Step::LinkDown(which) => self.link_down(*which),
            Step::LinkUp => self.link_up(),
            Step::Reconcile => self.reconcile(),
            Step::Reboot => self.reboot(),
            Step::Wait(seconds) => self.wait(*seconds),
        }
    }

    /// Everything works from now on, and goes on until nothing is left to do.
    pub fn heal(&mut self) {
        self.link_up();
        for round in 0..400 {
            self.reconcile_if(round % 20 == 19);
            if let Some(leg) = self.server.legs.iter().find(|(_, leg)| leg.stage < ifbus_call::Stage::Up) {
                let id = *leg.0;
                self.server.answer(id);
            }
            while !self.server.events.is_empty() {
                self.deliver(0, true);
            }
            if !self.open.is_empty() {
                self.carry(0);
            } else if round % 20 == 0 {
                self.wait(3);
            }
        }
    }

    pub fn hang_up(&mut self) {
        self.ask(Ask::Hangup);
        self.heal();
    }

    /// ifbus is killed: what it knew is gone, the open orders took effect or not, then the list is read.
    pub fn killed_and_adopted(&mut self, stored: bool) {
        self.ends.clear();
        if self.call.is_finished() {
            *self = Self::in_progress();
        }
        // A recording is always written down before the server hears of it.
        let stored = Stored { goal: stored.then(|| self.call.goal().clone()), ..self.call.to_store() };
        self.open.clear();
        self.server.events.clear();
        self.linked = true;
        self.booted = self.server.reboots;
        let fresh = self.fresh();
        match Call::adopt(self.call.id(), &self.server.list(), stored, fresh, self.now) {
            Some(call) => self.call = call,
            None => *self = Self::in_progress(),
        }
        self.take_effects();
    }

    // --- the server's side ---

    fn carry(&mut self, n: usize) {
        let Some((number, order)) = self.take_open(n) else { return };
        match self.server.carry(&order) {
            Ok(()) => self.outcome(number, Ok(Done::Proven)),
            Err(_) => self.outcome(number, Err(refused(Why::NoSuchLeg, Evidence::NotDone))),
        }
    }

    fn refuse(&mut self, n: usize) {
        // A leg that is there can always be ended by a fair server.
        if let Some((number, order)) = self.take_open(n) {
            let why = if matches!(order, Order::Drop { .. }) { Why::Unproven } else { Why::Refused };
            self.refused_a_recording |= matches!(order, Order::Record { .. } | Order::StopRecord { .. });
            self.outcome(number, Err(refused(why, Evidence::NotDone)));
        }
    }

    fn carry_unproven(&mut self, n: usize) {
        let Some((number, order)) = self.take_open(n) else { return };
        let _ = self.server.carry(&order);
        self.unfair = true;
        self.outcome(number, Err(refused(Why::Unproven, Evidence::Unknown)));
    }

    /// Events of one leg stay in order, and a join is of both; an end is told after the transfer that came before it.
    fn chosen_event(&self, n: usize) -> Option<usize> {
        let events = &self.server.events;
        let mut chosen = n % events.len().max(1);
        events.get(chosen)?;
        let about = |event: &Event| match *event {
            Event::Joined(a, b) => [a, b],
            ref event => [event.leg(); 2],
        };
        let before = |first: &Event, event: &Event| {
            let told_first = matches!((first, event), (Event::MovedByPhone { .. }, Event::Ended { .. }));
            told_first || about(first).iter().any(|leg| about(event).contains(leg))
        };
        while let Some(first) = events[..chosen].iter().position(|first| before(first, &events[chosen])) {
            chosen = first;
        }
        Some(chosen)
    }

    fn deliver(&mut self, n: usize, take: bool) {
        let Some(index) = self.chosen_event(n).filter(|_| self.linked) else { return };
        let event = if take { self.server.events.remove(index) } else { self.server.events[index].clone() };
        self.input(Input::Event(event));
    }

    fn lose(&mut self, n: usize) {
        if let Some(index) = self.chosen_event(n) {
            self.server.events.remove(index);
            self.unfair = true;
        }
    }

    fn phone(&mut self, n: usize, act: Act) {
        let legs: Vec<LegId> = self.server.legs.keys().copied().collect();
        let target = n == usize::MAX;
        let chosen =
            if target { legs.iter().copied().find(|leg| self.is_target(*leg)) } else { legs.get(n).copied() };
        let Some(leg) = chosen else { return };
        let up = self.server.legs[&leg].stage == ifbus_call::Stage::Up;
        match act {
            Act::Ring if !up => self.server.ring(leg),
            Act::Answer => self.server.answer(leg),
            Act::Busy if !up => self.server.end(leg, Cause::Busy, By::Party),
            Act::HangUp if up => self.server.end(leg, Cause::Answered, By::Party),
            Act::TransferBlind => self.server.transfer_by_phone(leg, None),
            Act::TransferAttended => {
                let guest = self.fresh();
                self.server.transfer_by_phone(leg, Some(guest));
            }
            Act::GuestAnswers => {
                let guest = self.fresh();
                self.server.guest_answers(leg, guest);
            }
            Act::GuestLeaves => self.server.guest_leaves(leg),
            Act::Ring | Act::Busy | Act::HangUp => {}
        }
    }

    /// The target of a transfer that is not completed.
    fn is_target(&self, leg: LegId) -> bool {
        use ifbus_call::Goal;
        match *self.call.goal() {
            Goal::Blind { target, stays, .. } => {
                leg == target && self.server.legs[&target].partner != Some(stays)
            }
            Goal::Consult { target, .. } => leg == target,
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Complete { .. } | Goal::Meet { .. } => false,
            Goal::Moved { .. } | Goal::End => false,
        }
    }

    fn link_down(&mut self, which: u8) {
        if !self.linked {
            return;
        }
        self.linked = false;
        for (index, (number, order)) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if which >> (index % 8) & 1 == 1 {
                let _ = self.server.carry(&order);
            }
            self.outcome(number, Err(refused(Why::LinkLost, Evidence::Unknown)));
        }
        self.server.events.clear();
        self.input(Input::Disconnected);
    }

    fn link_up(&mut self) {
        if !self.linked {
            self.linked = true;
            self.server.events.clear();
            self.read_list();
        }
    }

    fn reconcile(&mut self) {
        self.reconcile_if(true);
    }

    fn reconcile_if(&mut self, due: bool) {
        if due && self.linked {
            // Events already on their way are older than the list.
            while !self.server.events.is_empty() {
                self.deliver(0, true);
            }
            self.read_list();
        }
    }

    fn read_list(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        let rebooted = self.server.reboots != self.booted;
        self.booted = self.server.reboots;
        self.input(Input::Listed { seen: self.server.list(), asked: self.now, rebooted });
    }

    fn reboot(&mut self) {
        self.link_down(0);
        self.server.reboot();
        self.unfair = true;
    }

    // --- our side ---

    fn wait(&mut self, seconds: u64) {
        // An adapter answers within seconds.
        while self.linked && !self.open.is_empty() {
            self.carry(0);
        }
        self.now = self.now + Duration::from_secs(seconds);
        if self.call.deadline().is_some_and(|at| at <= self.now) {
            self.input(Input::Tick);
        }
    }

    fn ask(&mut self, ask: Ask) {
        let address = |text: &str| text.parse().expect("an address");
        let fresh = self.fresh();
        let verb = match ask {
            Ask::Hangup => Verb::Hangup,
            Ask::Hold => Verb::Hold { role: None },
            Ask::Resume => Verb::Resume,
            Ask::Blind => Verb::Transfer { to: address("1003"), mode: Mode::Blind, role: None },
            Ask::Attended => Verb::Transfer { to: address("1003"), mode: Mode::Attended, role: None },
            Ask::Complete => Verb::CompleteTransfer,
            Ask::Cancel => Verb::CancelTransfer,
            Ask::Dtmf => Verb::Dtmf { digits: "1".parse().expect("digits"), role: None },
            Ask::Enter => Verb::Enter { conference: "room".parse().expect("a conference") },
            Ask::Record => Verb::Record { recording: RecordingId::new(1, fresh.0) },
            Ask::Kick => Verb::Kick { role: Some(Role::B) },
            Ask::StopRecord => Verb::StopRecord,
            Ask::Mute => Verb::Mute { role: Some(Role::A), direction: Direction::In, on: true },
        };
        if self.call.is_finished() {
            return;
        }
        let before = format!("{:?}", self.call);
        match self.call.verb(verb, fresh, self.now) {
            Ok(_) => {
                self.transfers += u32::from(matches!(ask, Ask::Blind | Ask::Attended));
                self.recordings += u32::from(matches!(ask, Ask::Record));
            }
            Err(_) => assert_eq!(before, format!("{:?}", self.call), "a refused verb changed the call"),
        }
        self.take_effects();
    }

    fn outcome(&mut self, number: OrderNumber, outcome: ifbus_call::Outcome) {
        self.input(Input::Outcome(number, outcome));
    }

    fn input(&mut self, input: Input) {
        self.call.handle(input, self.now);
        self.take_effects();
    }

    fn take_effects(&mut self) {
        while let Some(effect) = self.call.poll() {
            self.effects_after_end += u32::from(!self.ends.is_empty());
            match effect {
                Effect::Order(number, order) => {
                    assert!(self.linked, "an order was given without a link: {order:?}");
                    self.open.push((number, order));
                }
                Effect::Notice(notice) => self.notices.push(notice),
                Effect::Finished(end) => self.ends.push(end),
            }
        }
    }

    fn take_open(&mut self, n: usize) -> Option<(OrderNumber, Order)> {
        if self.open.is_empty() || !self.linked {
            return None;
        }
        // `usize::MAX`: never a drop, so that only what shapes the call is refused.
        let index = if n == usize::MAX {
            self.open.iter().position(|(_, order)| !matches!(order, Order::Drop { .. }))?
        } else {
            n % self.open.len()
        };
        Some(self.open.remove(index))
    }

    fn fresh(&mut self) -> LegId {
        self.next_leg += 1;
        LegId(self.next_leg)
    }
}

fn refused(why: Why, evidence: Evidence) -> Refused {
    Refused { why, cause: Cause::ServerFailure, evidence, said: None }
}
