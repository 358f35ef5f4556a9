//! From goal and facts to the next order.

use crate::call::{
    By, Call, Cause, DROPS_MAX, Effect, End, Ending, Goal, JOINS_MAX, Leg, LegId, Nanos, Notice, ORDER_GUARD,
    Order, OrderNumber, PAUSE, RING_GUARD, Said, Stage, Underway, VerbKind,
};
use crate::order::{Dial, ParkReason, Refused, Wait};

impl Call {
    /// Sets a new goal, and the verb that wanted it.
    pub(super) fn aim(&mut self, goal: Goal, verb: Option<VerbKind>) {
        self.goal = goal;
        self.verb = verb;
        self.wanted = true;
        self.joins_failed = 0;
        self.join_after = None;
    }

    /// Decides the end; the first decision stands.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some(ending);
        }
        self.aim(Goal::End, None);
    }

    /// Takes note of a goal that is reached, ends legs that have no part in it, gives the next order.
    pub(super) fn settle(&mut self, now: Nanos) {
        if self.finished {
            return;
        }
        self.follow_phone();
        self.take_note();
        let wanted = self.goal.legs();
        self.legs.retain(|leg| leg.stage.is_some() || wanted.contains(&leg.id));
        if self.connected {
            self.drop_strays(now);
            if self.order.is_none()
                && self.wanted
                && let Some(order) = self.next_order()
            {
                self.give(order, now);
            }
        }
        self.settle_recording(now);
        self.finish_if_over();
    }

    // --- goals that are reached ---

    fn take_note(&mut self) {
        match self.goal {
            Goal::Talk { a, b } if self.are_joined(a, b) => {
                self.wanted = false;
                self.joins_failed = 0;
                self.talk_reached();
            }
            Goal::Hold { held, other } if self.are_parked(held, other) => {
                self.wanted = false;
                if self.verb == Some(VerbKind::Hold) {
                    self.verb = None;
                    self.notice(Notice::Held);
                } else {
                    self.note_cancel();
                }
            }
            Goal::Blind { stays, target, .. } if self.are_joined(stays, target) => {
                self.transferred(stays, target);
            }
            Goal::Complete { waits, target, .. } if self.are_joined(waits, target) => {
                self.transferred(waits, target);
            }
            Goal::Consult { asks, target, .. } if self.are_joined(asks, target) => {
                self.wanted = false;
                if self.verb == Some(VerbKind::AttendedTransfer) {
                    self.verb = None;
                    self.notice(Notice::Consulting);
                }
            }
            Goal::Meet { .. } => self.note_meeting(),
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Blind { .. } => {}
            Goal::Consult { .. } | Goal::Complete { .. } | Goal::End => {}
            Goal::Moved { .. } => self.wanted = false,
        }
    }

    fn talk_reached(&mut self) {
        match self.verb {
            Some(VerbKind::Originate) => {
                self.verb = None;
                self.talked = true;
                self.notice(Notice::Answered);
            }
            Some(VerbKind::Resume) => {
                self.verb = None;
                self.notice(Notice::Resumed);
            }
            _ => self.note_cancel(),
        }
    }

    fn note_cancel(&mut self) {
        if self.verb == Some(VerbKind::CancelTransfer) {
            self.verb = None;
            self.notice(Notice::TransferCanceled);
        }
    }

    fn transferred(&mut self, stays: LegId, target: LegId) {
        self.aim(Goal::Talk { a: stays, b: target }, None);
        self.wanted = false;
        self.notice(Notice::Transferred);
    }

    fn are_parked(&self, held: LegId, other: LegId) -> bool {
        let apart =
            |id| self.leg(id).is_some_and(|leg| leg.stage == Some(Stage::Up) && leg.partner.is_none());
        apart(held) && apart(other) && self.leg(held).is_some_and(|leg| leg.hears_music)
    }

    // --- the next order ---

    fn next_order(&self) -> Option<Order> {
        match self.goal {
            Goal::Talk { a, b } => self.toward_talk(a, b),
            Goal::Hold { held, other } => {
                let possible = self.is_up(held) && self.is_up(other) && !self.are_parked(held, other);
                possible.then_some(Order::Park { held, other, why: ParkReason::Hold })
            }
            Goal::Blind { stays, target, .. } => match self.leg(target)?.stage {
                None => Some(self.dial(target, Some(stays))),
                Some(Stage::Up) => self.join(stays, target),
                Some(Stage::Dialing | Stage::Ringing) => None,
            },
            Goal::Consult { asks, waits, target } => self.toward_consult(asks, waits, target),
            Goal::Complete { waits, target, .. } => self.join(waits, target),
            Goal::Meet { a, b, .. } => self.toward_meeting(a, b),
            Goal::Moved { .. } | Goal::End => None,
        }
    }

    fn toward_talk(&self, a: LegId, b: LegId) -> Option<Order> {
        match (self.leg(a)?.stage, self.leg(b)?.stage) {
            (None, _) => Some(self.dial(a, None)),
            (Some(Stage::Up), None) => Some(self.dial(b, Some(a))),
            (Some(Stage::Up), Some(Stage::Up)) if self.strays_are_answered() => self.join(a, b),
            _ => None,
        }
    }

    fn toward_consult(&self, asks: LegId, waits: LegId, target: LegId) -> Option<Order> {
        let together = self.are_joined(asks, waits);
        let placed = self.leg(waits)?.hears_music && self.leg(asks)?.consults;
        match self.leg(target)?.stage {
            // Joining `asks` to the target would release a partner: apart first, whatever else.
            _ if together || !placed => {
                Some(Order::Park { held: waits, other: asks, why: ParkReason::Consult })
            }
            None => Some(self.dial(target, Some(asks))),
            Some(Stage::Up) => self.join(asks, target),
            Some(Stage::Dialing | Stage::Ringing) => None,
        }
    }

    /// A leg that still rings is ended before the old pair is joined again, so that it cannot answer into nothing.
    fn strays_are_answered(&self) -> bool {
        let wanted = self.goal.legs();
        self.legs.iter().all(|leg| wanted.contains(&leg.id) || leg.stage == Some(Stage::Up))
    }

    fn join(&self, a: LegId, b: LegId) -> Option<Order> {
        let possible = self.is_up(a) && self.is_up(b) && !self.are_joined(a, b);
        let meets = [a, b].into_iter().find(|id| self.leg(*id).is_some_and(|leg| leg.conference.is_some()));
        possible.then(|| meets.map_or(Order::Join { a, b }, |leg| Order::Leave { leg }))
    }

    pub(super) fn dial(&self, id: LegId, toward: Option<LegId>) -> Order {
        let leg = self.leg(id).expect("only legs of this call are dialled");
        let other = toward.and_then(|toward| self.leg(toward)).map_or(&self.to, |leg| &leg.party);
        Order::Dial(Dial {
            leg: id,
            tag: self.tag(leg),
            caller: self.caller.clone().unwrap_or_else(|| other.clone()),
            toward,
            wait: self.waiting_sound(toward),
            within: self.within,
        })
    }

    /// Whoever is rung first hears that the other phone rings.
    const fn waiting_sound(&self, toward: Option<LegId>) -> Wait {
        match self.goal {
            Goal::Talk { .. } if toward.is_none() => Wait::Ringback,
            _ => Wait::Silence,
        }
    }

    /// Gives the one order that shapes the call.
    pub(super) fn give(&mut self, order: Order, now: Nanos) {
        let number = self.number();
        let mut by = now + ORDER_GUARD;
        if let Order::Dial(dial) = &order {
            by = by + dial.within;
            let within = dial.within;
            if let Some(leg) = self.leg_mut(dial.leg) {
                leg.stage = Some(Stage::Dialing);
                leg.changed = now;
                leg.answer_by = Some(now + within + RING_GUARD);
            }
        }
        self.effects.push_back(Effect::Order(number, order.clone()));
        self.order = Some(Underway { number, order, by });
    }

    pub(super) fn number(&mut self) -> OrderNumber {
        self.orders_given += 1;
        OrderNumber(self.orders_given)
    }

    // --- legs without a part ---

    fn drop_strays(&mut self, now: Nanos) {
        let wanted = self.goal.legs();
        let joined = matches!(self.goal, Goal::Talk { a, b } if self.are_joined(a, b));
        // A partner of one of the two is released by their join; ending it before would tear the other one down.
        let released_by_join = |leg: &Leg| {
            matches!(self.goal, Goal::Talk { .. })
                && !joined
                && leg.stage == Some(Stage::Up)
                && leg.partner.is_some_and(|partner| wanted.contains(&partner))
        };
        let strays: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| !wanted.contains(&leg.id) && !released_by_join(leg))
            .map(|leg| leg.id)
            .collect();
        for id in strays {
            self.drop_leg(id, now);
        }
    }

    fn drop_leg(&mut self, id: LegId, now: Nanos) {
        // A leg that is being made might appear after "no such leg"; its order is answered first.
        let being_made = self.is_being_made(id);
        let cause = self.ending.as_ref().map_or(Cause::Answered, |ending| ending.cause);
        let number = OrderNumber(self.orders_given + 1);
        let Some(leg) = self.leg_mut(id) else { return };
        let not_now = being_made || leg.unsure || leg.dropping.is_some() || leg.drops >= DROPS_MAX;
        if not_now || leg.drop_after.is_some_and(|after| after > now) {
            return;
        }
        leg.dropping = Some(number);
        leg.drop_after = None;
        leg.answer_by = None;
        self.orders_given += 1;
        self.effects.push_back(Effect::Order(number, Order::Drop { leg: id, cause }));
    }

    pub(super) fn is_being_made(&self, id: LegId) -> bool {
        matches!(&self.order, Some(Underway { order: Order::Dial(dial), .. }) if dial.leg == id)
    }

    // --- the end ---

    fn finish_if_over(&mut self) {
        let over = self.goal == Goal::End && self.legs.iter().all(|leg| leg.drops >= DROPS_MAX);
        let Some(ending) = self.ending.take_if(|_| over) else { return };
        self.finished = true;
        self.order = None;
        self.close_recording();
        self.effects.push_back(Effect::Finished(End {
            cause: ending.cause,
            by: ending.by,
            role: ending.role,
            said: ending.said,
            nobody_rang: !self.may_have_rung && self.legs.is_empty(),
            unconfirmed: self.legs.iter().map(|leg| leg.id).collect(),
        }));
        self.legs.clear();
    }

    /// The server is gone for good: the call is over, its legs are unconfirmed.
    pub(super) fn abandoned(&mut self) {
        self.connected = false;
        self.order = None;
        self.legs.retain(|leg| leg.stage.is_some());
        for leg in &mut self.legs {
            leg.drops = DROPS_MAX;
        }
        let said = Said::new(None, "the server was removed");
        self.end(Ending { cause: Cause::ServerFailure, by: By::Us, role: None, said });
    }

    // --- what goes wrong ---

    /// A join, or a step toward it, was refused. Where there is something to go back to, it is gone back to.
    pub(super) fn join_failed(&mut self, refused: &Refused, now: Nanos) {
        if refused.is_of_the_link() {
            return; // the server's list will tell
        }
        self.joins_failed += 1;
        match self.goal {
            Goal::Talk { a, b } if self.verb == Some(VerbKind::Resume) => {
                self.aim(self.goal_before_resume(a, b), None);
                self.verb_failed(VerbKind::Resume, refused);
            }
            Goal::Blind { .. } | Goal::Consult { .. } => {
                self.transfer_failed(refused.cause, refused.said.clone().unwrap_or_default());
            }
            Goal::Complete { asks, waits, target } => {
                self.aim(Goal::Consult { asks, waits, target }, None);
                self.verb_failed(VerbKind::CompleteTransfer, refused);
            }
            Goal::Meet { .. } if self.verb.is_some() => self.meeting_failed(refused),
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Meet { .. } if self.joins_failed >= JOINS_MAX => {
                let said = Said::new(None, &refused.to_string());
                self.end(Ending { cause: Cause::ServerFailure, by: By::Server, role: None, said });
            }
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Meet { .. } => {
                self.wanted = false;
                self.join_after = Some(now + PAUSE);
            }
            Goal::Moved { .. } | Goal::End => {}
        }
    }

    /// Where the two were before they were to talk again: on hold, or in a conference.
    fn goal_before_resume(&self, a: LegId, b: LegId) -> Goal {
        let inside = [a, b].into_iter().find_map(|id| self.leg(id)?.conference.clone());
        match inside {
            Some(conference) => Goal::Meet { conference, a, b: Some(b) },
            None => Goal::Hold { held: b, other: a },
        }
    }

    /// A park was refused: the two talk on.
    pub(super) fn park_failed(&mut self, refused: &Refused, now: Nanos) {
        if refused.is_of_the_link() {
            return;
        }
        match self.goal {
            Goal::Hold { held, other } => {
                let verb = self.verb;
                self.aim(Goal::Talk { a: other, b: held }, None);
                if let Some(verb) = verb {
                    self.verb_failed(verb, refused);
                }
            }
            Goal::Consult { .. } => {
                self.transfer_failed(refused.cause, refused.said.clone().unwrap_or_default());
            }
            Goal::Meet { .. } => self.join_failed(refused, now),
            Goal::Talk { .. } | Goal::Blind { .. } | Goal::Complete { .. } => {}
            Goal::Moved { .. } | Goal::End => {}
        }
    }

    /// The transfer comes to nothing: the old pair is wanted again, the target loses its part.
    pub(super) fn transfer_failed(&mut self, cause: Cause, said: Said) {
        match self.goal {
            Goal::Blind { stays, leaves, was_held, .. } => {
                self.aim(Goal::of_pair(stays, leaves, was_held), None);
            }
            Goal::Consult { asks, waits, .. } | Goal::Complete { asks, waits, .. } => {
                self.aim(Goal::Talk { a: asks, b: waits }, None);
            }
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Meet { .. } => return,
            Goal::Moved { .. } | Goal::End => return,
        }
        self.notice(Notice::TransferFailed { cause, said });
    }

    pub(super) fn verb_failed(&mut self, verb: VerbKind, refused: &Refused) {
        self.notice(Notice::VerbFailed { verb, why: refused.to_string() });
    }
}
