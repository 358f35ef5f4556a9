//! From what the server says to facts, and what a lost leg means for the goal.

use crate::call::{
    By, Call, Cause, DROPS_MAX, Ending, Event, Goal, Leg, LegId, Moved, Nanos, Notice, Order, OrderNumber,
    Outcome, PAUSE, Said, Seen, Stage, VerbKind,
};
use crate::order::{Evidence, ParkReason, Refused, Why};

impl Call {
    // --- events ---

    pub(super) fn event(&mut self, event: Event, now: Nanos) {
        if self.is_of_the_guest(&event) {
            return;
        }
        let id = event.leg();
        if self.leg(id).is_none() {
            return; // of another call, or of a leg whose end is known: late and doubled events end here
        }
        match event {
            Event::Started(_) => self.reached(id, Stage::Dialing, now),
            Event::Ringing(_) => self.reached(id, Stage::Ringing, now),
            Event::EarlyMedia(_) => self.may_have_rung = true,
            Event::Answered(_) => self.reached(id, Stage::Up, now),
            Event::Joined(a, b) => {
                self.reached(a, Stage::Up, now);
                self.reached(b, Stage::Up, now);
                self.are_now_joined(a, b, now);
            }
            Event::Parted(_) => self.is_now_apart(id, now),
            Event::Entered(_, conference) => self.is_now_inside(id, Some(conference), now),
            Event::Left(_) => self.is_now_inside(id, None, now),
            Event::HeldByPhone(_) | Event::ResumedByPhone(_) => {
                let on = matches!(event, Event::HeldByPhone(_));
                self.about(id, |role| Notice::PhoneHold { role, on });
            }
            Event::Digit(_, digit) => self.about(id, |role| Notice::Digit { role, digit }),
            Event::Muted(_, direction, on) => {
                let Some(leg) = self.leg_mut(id) else { return };
                if std::mem::replace(&mut leg.muted[direction as usize], on) != on {
                    self.about(id, |role| Notice::Muted { role, direction, on });
                }
            }
            Event::MovedByPhone { leg, guest, to } => self.moved_by_phone(leg, guest, to, now),
            Event::Ended { cause, by, said, .. } => self.leg_gone(id, cause, by, said),
            Event::Vanished(_) => self.vanished(id),
        }
    }

    pub(super) fn about(&mut self, id: LegId, notice: impl FnOnce(super::Role) -> Notice) {
        if let Some(role) = self.leg(id).map(|leg| leg.role) {
            self.notice(notice(role));
        }
    }

    /// A leg never goes back to an earlier stage: a late event of one changes nothing.
    fn reached(&mut self, id: LegId, stage: Stage, now: Nanos) {
        let Some(leg) = self.leg_mut(id) else { return };
        leg.unsure = false;
        if leg.stage >= Some(stage) {
            return;
        }
        leg.stage = Some(stage);
        leg.changed = now;
        match stage {
            Stage::Dialing => {}
            Stage::Ringing => {
                self.may_have_rung = true;
                self.about(id, |role| Notice::Ringing { role });
            }
            Stage::Up => {
                leg.answer_by = None;
                self.may_have_rung = true;
                self.about(id, |role| Notice::LegAnswered { role });
            }
        }
    }

    fn are_now_joined(&mut self, a: LegId, b: LegId, now: Nanos) {
        if self.leg(a).is_none() || self.leg(b).is_none() {
            return; // with somebody who is no party of this call: told as a move
        }
        for leg in &mut self.legs {
            if leg.id == a || leg.id == b {
                leg.moved = None;
            }
            let partner = match leg.id {
                id if id == a => Some(b),
                id if id == b => Some(a),
                _ if leg.partner == Some(a) || leg.partner == Some(b) => None,
                _ => continue,
            };
            leg.partner = partner;
            leg.changed = now;
            if partner.is_some() {
                (leg.hears_music, leg.apart) = (false, false);
                leg.conference = None;
            }
        }
    }

    pub(super) fn is_now_apart(&mut self, id: LegId, now: Nanos) {
        if let Some(leg) = self.leg_mut(id) {
            leg.partner = None;
            leg.changed = now;
        }
    }

    // --- outcomes ---

    pub(super) fn outcome(&mut self, number: OrderNumber, outcome: Outcome, now: Nanos) {
        if outcome.as_ref().is_err_and(Refused::is_of_the_link) {
            self.connected = false; // nothing more is ordered until the server's list was read
        }
        if let Some(underway) = self.order.take_if(|order| order.number == number) {
            self.shaped(underway.order, outcome, now);
        } else if self.recording.as_ref().is_some_and(|recording| recording.awaits(number)) {
            self.recording_outcome(outcome, now);
        } else if let Some(leg) = self.legs.iter_mut().find(|leg| leg.dropping == Some(number)) {
            leg.dropping = None;
            match outcome {
                Ok(_) => {
                    let id = leg.id;
                    self.leg_gone(id, Cause::Canceled, By::Us, Said::default());
                }
                Err(refused) if refused.is_of_the_link() => {}
                Err(_) => {
                    leg.drops += 1;
                    leg.drop_after = (leg.drops < DROPS_MAX).then(|| now + PAUSE);
                }
            }
        }
    }

    fn shaped(&mut self, order: Order, outcome: Outcome, now: Nanos) {
        match (order, outcome) {
            (Order::Dial(dial), Ok(_)) => self.reached(dial.leg, Stage::Dialing, now),
            (Order::Dial(dial), Err(refused)) => self.dial_failed(dial.leg, refused),
            (Order::Join { a, b }, Ok(_)) => {
                if self.is_up(a) && self.is_up(b) {
                    self.are_now_joined(a, b, now);
                }
            }
            (Order::Join { .. }, Err(refused)) => self.join_failed(&refused, now),
            (Order::Park { held, other, why }, Ok(_)) => {
                self.is_now_apart(held, now);
                self.is_now_apart(other, now);
                for leg in self.legs.iter_mut().filter(|leg| leg.id == held || leg.id == other) {
                    leg.moved = None;
                    leg.hears_music = leg.id == held;
                    leg.apart = true;
                    leg.consults = leg.id == other && why == ParkReason::Consult;
                }
            }
            (Order::Park { .. }, Err(refused)) => self.park_failed(&refused, now),
            (Order::Enter { leg, conference }, Ok(_)) => self.is_now_inside(leg, Some(conference), now),
            (Order::Leave { leg }, Ok(_)) => self.is_now_inside(leg, None, now),
            (Order::Enter { .. } | Order::Leave { .. }, Err(refused)) => self.join_failed(&refused, now),
            (Order::Dtmf { .. }, outcome) => self.small_verb_done(VerbKind::Dtmf, outcome),
            (Order::Mute { leg, direction, on }, outcome) => {
                if outcome.is_ok() {
                    self.event(Event::Muted(leg, direction, on), now);
                }
                self.small_verb_done(VerbKind::Mute, outcome);
            }
            (
                Order::Drop { .. }
                | Order::Record { .. }
                | Order::StopRecord { .. }
                | Order::Fetch { .. }
                | Order::Drain { .. }
                | Order::List
                | Order::Load
                | Order::Probe
                | Order::ProbeSip
                | Order::Inspect,
                _,
            ) => {}
        }
    }

    /// Digits and mute change no goal: they are done or failed, and that is all.
    fn small_verb_done(&mut self, verb: VerbKind, outcome: Outcome) {
        if self.verb == Some(verb) {
            self.verb = None;
        }
        match outcome {
            Ok(_) if verb == VerbKind::Dtmf => self.notice(Notice::DtmfSent),
            Ok(_) => {}
            Err(refused) => self.verb_failed(verb, &refused),
        }
    }

    fn dial_failed(&mut self, id: LegId, refused: Refused) {
        let said = refused.said.clone().unwrap_or_else(|| Said::new(None, &refused.why.to_string()));
        match (refused.evidence, refused.why) {
            (Evidence::NothingSent | Evidence::NotDone, _) => {
                self.leg_gone(id, refused.cause, By::Server, said)
            }
            (Evidence::Unknown, Why::LinkLost) => {
                if let Some(leg) = self.leg_mut(id) {
                    leg.unsure = true; // the server's list will tell
                }
            }
            (Evidence::Unknown, _) => {
                // It may exist, so it may ring: it is told to end, and the call cannot go elsewhere.
                self.may_have_rung = true;
                self.lost_part(id, refused.cause, By::Server, said);
            }
        }
    }

    // --- the server's list ---

    pub(super) fn listed(&mut self, seen: &[Seen], asked: Nanos, rebooted: bool, now: Nanos) {
        self.connected = true;
        self.wanted = true;
        self.recording_unsure();
        let touched = |leg: &&Leg| leg.stage.is_some() && leg.changed <= asked;
        let touched: Vec<LegId> = self.legs.iter().filter(touched).map(|leg| leg.id).collect();
        let touched = touched.into_iter().filter(|id| !self.is_being_made(*id));
        let in_list = |id: &LegId| !rebooted && seen.iter().any(|seen| seen.leg == *id);
        let (found, gone): (Vec<LegId>, Vec<LegId>) = touched.partition(in_list);
        // What lives is looked at first: it tells whether what is gone was released by a join of ours.
        for seen in seen.iter().filter(|seen| found.contains(&seen.leg)) {
            self.as_seen(seen, now);
        }
        self.moved_as_seen(seen, &found, now);
        for id in gone {
            if rebooted {
                self.may_have_rung = true;
                let said = Said::new(None, "the server was started anew");
                self.leg_gone(id, Cause::ServerFailure, By::Server, said);
            } else {
                self.vanished(id);
            }
        }
        for seen in seen.iter().filter(|_| !rebooted) {
            if let (None, Some(tag)) = (self.leg(seen.leg), &seen.tag) {
                // A leg of this call that was taken for gone: it has no part in the goal and is ended.
                let mut leg = Leg::planned(seen.leg, tag.role, tag.party.clone(), now);
                leg.stage = Some(seen.stage);
                self.legs.push(leg);
            }
        }
    }

    pub(super) fn as_seen(&mut self, seen: &Seen, now: Nanos) {
        self.reached(seen.leg, seen.stage, now);
        if let Some(leg) = self.leg_mut(seen.leg) {
            leg.unsure = false;
            leg.partner = seen.partners.first().copied();
            leg.moved =
                seen.moved.clone().map(|to| Moved { guest: seen.partners.first().copied(), to: Some(to) });
            leg.apart = leg.partner.is_none();
            leg.conference.clone_from(&seen.conference);
            leg.hears_music = seen.hears_music && leg.partner.is_none();
        }
    }

    fn vanished(&mut self, id: LegId) {
        let never_was = self.leg(id).is_some_and(|leg| leg.unsure);
        let cause = if self.talked && !never_was { Cause::Answered } else { Cause::ServerFailure };
        let said = if never_was { "the order was lost" } else { "ended while the connection was down" };
        self.leg_gone(id, cause, By::Unknown, Said::new(None, said));
    }

    // --- legs that are gone ---

    fn leg_gone(&mut self, id: LegId, cause: Cause, by: By, said: Said) {
        if self.leg(id).is_none() {
            return;
        }
        self.lost_part(id, cause, by, said);
        if self.goal != Goal::End && self.leg(id).is_some_and(Leg::is_in_conference) {
            self.about(id, |role| Notice::ConferenceLeft { role });
        }
        self.legs.retain(|leg| leg.id != id);
        self.recording_leg_gone(id);
        for leg in &mut self.legs {
            leg.partner = leg.partner.filter(|partner| *partner != id);
        }
    }

    /// What it means for the goal that this leg takes no part any more.
    fn lost_part(&mut self, id: LegId, cause: Cause, by: By, said: Said) {
        if self.goes_on_moved(id) {
            return;
        }
        match self.goal {
            Goal::Talk { a, b } if id == a || id == b => self.party_lost(id, cause, by, said),
            Goal::Hold { held, other } if id == held || id == other => self.party_lost(id, cause, by, said),
            Goal::Blind { target, .. } | Goal::Consult { target, .. } if id == target => {
                self.transfer_failed(cause, said);
            }
            // Released by the join that is under way: what was wanted.
            Goal::Blind { leaves, stays, target, .. } if id == leaves && self.is_joining(stays, target) => {}
            Goal::Complete { asks, waits, target } if id == asks && self.is_joining(waits, target) => {}
            Goal::Blind { leaves, stays, .. } if id == leaves || id == stays => {
                self.party_lost(id, cause, by, said)
            }
            // The one on hold gave up: the other two go on.
            Goal::Consult { asks, waits, target } | Goal::Complete { asks, waits, target } if id == waits => {
                self.aim(Goal::Talk { a: asks, b: target }, None);
                self.notice(Notice::TransferFailed { cause: Cause::Answered, said });
            }
            Goal::Complete { target, .. } if id == target => self.transfer_failed(cause, said),
            Goal::Consult { asks, .. } | Goal::Complete { asks, .. } if id == asks => {
                self.party_lost(id, cause, by, said);
            }
            Goal::Meet { ref conference, a, b } if id == a || Some(id) == b => {
                let conference = conference.clone();
                self.member_lost(conference, if id == a { b } else { Some(a) }, id, (cause, by, said));
            }
            Goal::Moved { leg, .. } if id == leg => self.party_lost(id, cause, by, said),
            Goal::End => self.blame(id, by, said),
            Goal::Talk { .. } | Goal::Hold { .. } | Goal::Blind { .. } => {}
            Goal::Consult { .. } | Goal::Complete { .. } | Goal::Meet { .. } | Goal::Moved { .. } => {}
        }
    }

    /// The server released one party before it told that the other had hung up: the one that hung up is the reason.
    fn blame(&mut self, id: LegId, by: By, said: Said) {
        let role = self.leg(id).map(|leg| leg.role);
        if let Some(ending) = &mut self.ending
            && by == By::Party
            && ending.by == By::Server
            && ending.cause == Cause::Answered
        {
            (ending.by, ending.role, ending.said) = (by, role, said);
        }
    }

    fn is_joining(&self, a: LegId, b: LegId) -> bool {
        let under_way = self.order.as_ref().is_some_and(|underway| underway.order == Order::Join { a, b });
        under_way || self.are_joined(a, b)
    }

    pub(super) fn party_lost(&mut self, id: LegId, cause: Cause, by: By, said: Said) {
        // one that was sent to a party who did not answer ends for that party's reason
        let talked = self.talked && !matches!(self.goal, Goal::Moved { guest: None, .. });
        let cause = if talked && cause != Cause::ServerFailure { Cause::Answered } else { cause };
        let role = self.leg(id).map(|leg| leg.role);
        self.end(Ending { cause, by, role, said });
    }

    // --- time ---

    pub(super) fn tick(&mut self, now: Nanos) {
        if let Some(late) = self.order.take_if(|order| order.by <= now) {
            let refused = Refused {
                why: Why::Unproven,
                cause: Cause::ServerFailure,
                evidence: Evidence::Unknown,
                said: None,
            };
            self.shaped(late.order, Err(refused), now);
        }
        let overdue: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| leg.answer_by.is_some_and(|by| by <= now))
            .map(|leg| leg.id)
            .collect();
        for id in overdue {
            self.not_answered(id);
        }
        if self.join_after.take_if(|after| *after <= now).is_some() {
            self.wanted = true;
        }
        self.recording_tick(now);
        for leg in &mut self.legs {
            leg.drop_after = leg.drop_after.filter(|after| *after > now);
        }
    }

    fn not_answered(&mut self, id: LegId) {
        let unreachable_server = !self.connected;
        let Some(leg) = self.leg_mut(id) else { return };
        leg.answer_by = None;
        let (cause, by) = if leg.unsure {
            leg.drops = DROPS_MAX; // no evidence came in time: closed without it, asked about when the server is back
            (Cause::ServerFailure, By::Server)
        } else {
            (Cause::NoAnswer, By::Us)
        };
        if unreachable_server && leg.stage < Some(Stage::Up) {
            leg.drops = DROPS_MAX;
            self.may_have_rung = true;
        }
        self.lost_part(id, cause, by, Said::default());
    }
}
