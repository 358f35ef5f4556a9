//! What phones do and hear in a call: hang-up, keys, hold, calls and transfers of their own, and sound worked out from
//! who talks to whom.

use std::collections::BTreeSet;
use std::time::Duration;

use super::leg::{Leg, Stage};
use super::world::{TURN, Timer, World};
use crate::phone::{Act, Tone, plan::DIGIT};

/// How long the dialplan lets a phone ring.
const DIALPLAN_RINGS: u64 = 30;

impl World {
    pub(super) fn heard(&self, number: &str) -> BTreeSet<Tone> {
        let legs = self.legs.values().filter(|leg| leg.number == number && leg.up && leg.is_up());
        legs.filter(|leg| !leg.muted.1 && !leg.phone_holds).flat_map(|leg| self.sound(leg)).collect()
    }

    fn sound(&self, leg: &Leg) -> BTreeSet<Tone> {
        if let Some(sound) = &leg.playing {
            let ring = sound.contains("440") && sound.contains("480");
            return BTreeSet::from([if ring { Tone::Ringback } else { Tone::HoldMusic }]);
        }
        if let Some(room) = leg.room.as_ref().and_then(|room| self.rooms.get(room)) {
            let others = room.members.iter().filter(|(_, uuid)| *uuid != leg.uuid);
            return others.filter_map(|(_, uuid)| self.voice(self.legs.get(uuid)?)).collect();
        }
        match leg.partner.as_ref().and_then(|partner| self.legs.get(partner)) {
            Some(other) if other.phone_holds => BTreeSet::from([Tone::HoldMusic]),
            Some(other) => self.voice(other).into_iter().collect(),
            None => BTreeSet::new(),
        }
    }

    /// What the server hears of a leg's phone.
    fn voice(&self, leg: &Leg) -> Option<Tone> {
        (leg.up && !leg.phone_holds && !leg.muted.0).then(|| Tone::of(&leg.number))
    }

    /// What a recorder on this leg hears: what its phone says, and what is said to it.
    pub(super) fn overheard(&self, uuid: &str) -> BTreeSet<Tone> {
        let Some(leg) = self.legs.get(uuid) else { return BTreeSet::new() };
        let said = if leg.muted.1 { BTreeSet::new() } else { self.sound(leg) };
        said.into_iter().chain(self.voice(leg)).collect()
    }

    // ---- what phones do ------------------------------------------------------------------------------------------------

    pub(super) fn phone_does(&mut self, uuid: &str, act: &Act) {
        let Some(leg) = self.legs.get(uuid).filter(|_| !self.sip_dead) else { return };
        match (act, leg.up, leg.is_up()) {
            (Act::HangUp, true, true) => self.hang_up(uuid, "NORMAL_CLEARING", "recv_bye"),
            (Act::HangUp, true, false) => self.hang_up(uuid, "ORIGINATOR_CANCEL", "recv_cancel"),
            (Act::HangUp, false, _) => self.phone_refuses(uuid, 486),
            (Act::Press(digits), true, true) => self.press(uuid, &digits.clone()),
            (Act::Hold, true, true) => self.phone_holds(uuid, true),
            (Act::Resume, true, true) => self.phone_holds(uuid, false),
            _ => {}
        }
    }

    fn phone_holds(&mut self, uuid: &str, holds: bool) {
        let Some(leg) = self.leg_mut(uuid).filter(|leg| leg.phone_holds != holds) else { return };
        leg.phone_holds = holds;
        self.tell_of(if holds { "CHANNEL_HOLD" } else { "CHANNEL_UNHOLD" }, uuid);
    }

    /// First digit now, the rest one by one.
    fn press(&mut self, uuid: &str, digits: &str) {
        let mut rest = digits.chars();
        let Some(digit) = rest.next() else { return };
        let event = self.event("DTMF");
        let Some(leg) = self.legs.get(uuid) else { return };
        let event = self.about(event, leg, false).with("DTMF-Digit", digit).with("DTMF-Duration", 2000);
        let partner = leg.partner.clone();
        self.tell(event.with("DTMF-Source", "RTP"));
        if let Some(number) = partner.and_then(|partner| Some(self.legs.get(&partner)?.number.clone())) {
            self.witness(&number).digits.push(digit);
        }
        if !rest.as_str().is_empty() {
            let rest = Act::Press(rest.as_str().to_owned());
            self.after(DIGIT.0 + DIGIT.1, Timer::PhoneActs(uuid.to_owned(), rest));
        }
    }

    /// `uuid_send_dtmf`: no event. Everything behind a duration is swallowed (sheet section 3).
    pub(super) fn send_dtmf(&mut self, uuid: &str, digits: &str) -> String {
        let Some(number) = self.legs.get(uuid).map(|leg| leg.number.clone()) else {
            return "-ERR Cannot locate session!\n".into();
        };
        let heard = digits.split('@').next().unwrap_or_default();
        if !heard.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'D' | b'a'..=b'd' | b'*' | b'#')) {
            return "-ERR Operation failed\n".into();
        }
        self.witness(&number).digits.push_str(heard);
        format!("+OK {uuid} sent DTMF {digits}.\n")
    }

    /// `uuid_recv_dtmf`: as if the phone had pressed them.
    pub(super) fn receive_dtmf(&mut self, uuid: &str, digits: &str) -> String {
        if !self.legs.contains_key(uuid) {
            return "-ERR Cannot locate session!\n".into();
        }
        self.press(uuid, digits);
        format!("+OK {uuid} received DTMF {digits}.\n")
    }

    // ---- calls of their own ----------------------------------------------------------------------------------------------

    /// A phone calls: an extension that parks, or another phone. Nobody is let in during a pause.
    pub(super) fn inbound(&mut self, number: &str, caller: &str, to: &str) -> Option<String> {
        if self.paused.0 || !self.has_room() {
            self.refused += 1;
            return None;
        }
        let uuid = self.random.uuid();
        let mut leg = self.new_leg(uuid.clone(), number, true);
        leg.caller = caller.to_owned();
        leg.dest = to.to_owned();
        leg.dialplan = "XML";
        leg.up = true;
        leg.stage = Stage::Ringing;
        leg.state = "CS_EXECUTE";
        leg.plan.acts.clear();
        self.legs.insert(uuid.clone(), leg);
        self.tell_of("CHANNEL_CREATE", &uuid);
        self.dialplan(&uuid, to);
        Some(uuid)
    }

    /// The dialplan of the laboratory: 604 waits, a known number is rung, anything else leads nowhere.
    fn dialplan(&mut self, uuid: &str, to: &str) {
        let known = self.options.phones.contains(to) || self.plans.contains_key(to);
        if to == "604" {
            self.answer_inbound(uuid);
            self.park(uuid, "CS_EXECUTE");
        } else if known && self.has_room() {
            let callee = self.random.uuid();
            let mut leg = self.new_leg(callee.clone(), to, false);
            leg.caller = self.legs.get(uuid).map(|leg| leg.caller.clone()).unwrap_or_default();
            leg.dialed_by = Some(uuid.to_owned());
            if let Some(caller) = self.leg_mut(uuid) {
                caller.dials = Some(callee);
                caller.state = "CS_EXECUTE";
                caller.app = ("bridge".into(), format!("user/{to}"));
            }
            self.call(leg, DIALPLAN_RINGS);
        } else {
            self.hang_up(uuid, "NO_ROUTE_DESTINATION", "send_refuse");
        }
    }

    fn answer_inbound(&mut self, uuid: &str) {
        let now = self.now;
        if let Some(leg) = self.leg_mut(uuid).filter(|leg| !leg.is_up()) {
            leg.stage = Stage::Up;
            leg.answered = Some(now);
            leg.disposition = "ANSWER";
            self.tell_of("CHANNEL_ANSWER", uuid);
        }
    }

    /// Whom the dialplan rang has answered: the two talk.
    pub(super) fn callee_answered(&mut self, caller: &str, callee: &str) {
        self.answer_inbound(caller);
        for (uuid, other, state) in
            [(caller, callee, "CS_SOFT_EXECUTE"), (callee, caller, "CS_EXCHANGE_MEDIA")]
        {
            let Some(leg) = self.leg_mut(uuid) else { return };
            leg.partner = Some(other.to_owned());
            leg.state = state;
            leg.dials = None;
            leg.dialed_by = None;
        }
        if let Some(event) = self.bridge_event("CHANNEL_BRIDGE", caller, callee) {
            self.tell(event);
        }
        let phone = self.leg_mut(caller).and_then(|leg| leg.sent_by.take());
        self.referred(phone, 200);
    }

    /// Whom the dialplan rang did not answer: the caller ends with that reason.
    pub(super) fn callee_failed(&mut self, caller: &str, callee: &str, cause: &str) {
        let Some(leg) = self.leg_mut(caller).filter(|leg| leg.dials.as_deref() == Some(callee)) else {
            return;
        };
        leg.dials = None;
        let phone = leg.sent_by.take();
        self.hang_up(caller, cause, "send_bye");
        self.referred(phone, 503);
    }

    // ---- transfers -----------------------------------------------------------------------------------------------------

    fn answered_legs(&self, number: &str) -> Vec<String> {
        let up = |uuid: &String| self.legs.get(uuid).is_some_and(|leg| leg.up && leg.is_up());
        self.legs_of(number).into_iter().filter(up).collect()
    }

    fn referred(&mut self, phone: Option<String>, status: u16) {
        if let Some(phone) = phone {
            self.witness(&phone).transferred = Some(status);
        }
    }

    /// REFER in the first answered call of the phone: accepted, and carried out a turn later.
    pub(super) fn refer(&mut self, number: &str, to: &str) {
        if self.answered_legs(number).is_empty() {
            return;
        }
        self.referred(Some(number.to_owned()), 202);
        self.after(TURN, Timer::Refers(number.to_owned(), to.to_owned()));
    }

    /// The one that referred ends; its partner runs the dialplan in its own context (sheet section 3).
    pub(super) fn refers(&mut self, number: &str, to: &str) {
        let Some(uuid) = self.answered_legs(number).first().cloned() else { return };
        let Some(partner) = self.legs[&uuid].partner.clone() else {
            return self.referred(Some(number.to_owned()), 400);
        };
        if let Some(leg) = self.leg_mut(&uuid) {
            leg.disposition = "BLIND_TRANSFER";
        }
        if self.random.chance(0.5) {
            self.part_talk(&uuid);
            self.hang_up(&uuid, "NORMAL_CLEARING", "send_bye");
        } else {
            if let Some(leg) = self.leg_mut(&partner) {
                leg.partner = None;
            }
            let event = self.bridge_event("CHANNEL_UNBRIDGE", &uuid, &partner);
            if let Some(leg) = self.leg_mut(&uuid) {
                leg.partner = None;
            }
            self.hang_up(&uuid, "NORMAL_CLEARING", "send_bye");
            self.events.extend(event);
        }
        if let Some(leg) = self.leg_mut(&partner) {
            leg.dialplan = "XML";
            leg.dest = to.to_owned();
            leg.state = "CS_ROUTING";
            leg.sent_by = Some(number.to_owned());
        }
        self.dialplan(&partner, to);
    }

    /// REFER with Replaces: the partners of the phone's first two calls are joined, its own legs end.
    pub(super) fn refer_replaces(&mut self, number: &str) {
        let legs = self.answered_legs(number);
        let [first, second, ..] = &legs[..] else { return };
        let partner = |uuid: &String| self.legs[uuid].partner.clone();
        let (Some(one), Some(other)) = (partner(first), partner(second)) else {
            return self.referred(Some(number.to_owned()), 400);
        };
        if let Some(leg) = self.leg_mut(second) {
            leg.disposition = "ATTENDED_TRANSFER";
        }
        self.after(Duration::ZERO, Timer::Bridge(one, other));
        self.referred(Some(number.to_owned()), 200);
    }
}
