//! What phones do and hear in a call: hang-up, keys, hold, and sound worked out from the bridges.

use std::collections::BTreeSet;

use super::channels::{After, Channel, Party, Place, State};
use super::happening::Happening;
use super::world::{Timer, World};
use crate::phone::{Act, Tone, plan::DIGIT};

impl World {
    /// Ids of the channels whose far end is this phone.
    pub(super) fn legs_of(&self, number: &str) -> Vec<String> {
        self.channels.values().filter(|c| c.number == number).map(|c| c.id.clone()).collect()
    }

    pub(super) fn heard(&self, number: &str) -> BTreeSet<Tone> {
        let legs = self.channels.values().filter(|c| c.number == number && c.phone_up && c.is_up());
        legs.flat_map(|leg| self.heard_by(leg)).collect()
    }

    /// What the phone of an answered leg hears.
    pub(super) fn heard_by(&self, leg: &Channel) -> BTreeSet<Tone> {
        if leg.muted_out || leg.phone_holds { BTreeSet::new() } else { self.sound(leg) }
    }

    fn sound(&self, leg: &Channel) -> BTreeSet<Tone> {
        if leg.music {
            return BTreeSet::from([Tone::HoldMusic]);
        }
        if leg.ringback && leg.bridge.is_none() {
            return BTreeSet::from([Tone::Ringback]);
        }
        if let Some(room) = self.room_of(&leg.id) {
            let others = room.members.iter().filter(|id| **id != leg.id && !self.silenced(room, id));
            return others.filter_map(|id| self.channels.get(id)).flat_map(|leg| self.voice(leg)).collect();
        }
        let Some(other) = self.partner(&leg.id).and_then(|id| self.channels.get(&id)) else {
            return BTreeSet::new();
        };
        match other {
            other if other.phone_holds => BTreeSet::from([Tone::HoldMusic]),
            other => self.voice(other),
        }
    }

    /// What the server hears of a leg's phone.
    fn voice(&self, leg: &Channel) -> BTreeSet<Tone> {
        if !leg.phone_up || leg.phone_holds || leg.muted_in {
            return BTreeSet::new();
        }
        leg.line.map_or_else(|| BTreeSet::from([Tone::of(&leg.number)]), |line| self.outside.voice(line))
    }

    /// What a recorder on this leg hears: what its phone says, and what is said to it.
    pub(super) fn overheard(&self, leg: &Channel) -> BTreeSet<Tone> {
        let said = if leg.muted_out || !leg.is_up() { BTreeSet::new() } else { self.sound(leg) };
        said.into_iter().chain(self.voice(leg)).collect()
    }

    pub(super) fn phone_acts(&mut self, id: &str, act: &Act) {
        if self.sip_dead || !self.channels.get(id).is_some_and(|c| c.phone_up) {
            return;
        }
        match act {
            Act::HangUp => self.bye(id),
            Act::Press(digits) => self.press(id, digits),
            Act::Hold => self.phone_hold(id, true),
            Act::Resume => self.phone_hold(id, false),
        }
    }

    /// BYE without Reason.
    fn bye(&mut self, id: &str) {
        // In a bridge made by Dial or ConfBridge it is the other version that names a cause (seen).
        let by_app = self.dialed_pair(id) || self.room_of(id).is_some();
        let cause = (self.profile.bye_request_cause != by_app).then_some(16);
        let told = self.hangup_request(&self.channels[id], false, cause, None);
        self.tell(told);
        let channel = &self.channels[id];
        let plain = self.profile.plain_bye_cause;
        match (channel.bridge.is_some(), channel.in_dialplan) {
            (true, _) => self.dissolve(id, 16, None),
            (false, true) => self.end_in_dialplan(id, plain),
            (false, false) => self.gone(id, plain, None),
        }
    }

    /// Whether a channel came into its bridge by Dial, on either side of it.
    fn dialed_pair(&self, id: &str) -> bool {
        self.channels.get(id).is_some_and(|channel| {
            channel.after == After::Dialed || channel.after == After::End && channel.dialed_by.is_some()
        })
    }

    /// The phone that called takes its call back: CANCEL.
    pub(super) fn phone_cancels(&mut self, id: &str) {
        let told = self.hangup_request(&self.channels[id], false, Some(127), Some(487));
        self.tell(told);
        self.cancel_dialed(id, 127);
        for told in self.farewell_with(id, 127, Some(487)) {
            self.tell(told);
        }
    }

    /// The caller of a Dial is gone before the callee answered.
    pub(super) fn cancel_dialed(&mut self, caller: &str, cause: u16) {
        let callee = self.channels.values().find(|c| c.dialed_by.as_deref() == Some(caller) && !c.is_up());
        if let Some(callee) = callee.map(|c| c.id.clone()) {
            let told = self.dial("DialEnd", &self.channels[&callee], Some("CANCEL"));
            self.tell(told);
            self.gone(&callee, cause, None);
        }
    }

    /// First digit now, the rest one by one. A native bridge passes digits on unseen (sheet section 6).
    fn press(&mut self, id: &str, digits: &str) {
        let mut rest = digits.chars();
        let Some(digit) = rest.next() else { return };
        let channel = &self.channels[id];
        let native = channel.bridge.as_ref().and_then(|b| self.bridges.get(b)).is_some_and(|b| b.native);
        for listener in self.listeners(id) {
            self.send_digit(&listener, digit);
        }
        if !native {
            self.digit_begins(id, digit);
            self.after(DIGIT.0, Timer::DigitEnds(id.to_owned(), digit));
        }
        if !rest.as_str().is_empty() {
            self.after(DIGIT.0 + DIGIT.1, Timer::PhoneActs(id.to_owned(), Act::Press(rest.as_str().into())));
        }
    }

    /// The leg that pressed and those that the digit is passed on to.
    fn digit_legs(&self, id: &str) -> Vec<(&Channel, &'static str)> {
        let sent = self.listeners(id).into_iter().map(|id| (id, "Sent"));
        let legs = [(id.to_owned(), "Received")].into_iter().chain(sent);
        legs.filter_map(|(id, direction)| Some((self.channels.get(&id)?, direction))).collect()
    }

    /// Those who are in a bridge with this leg.
    fn listeners(&self, id: &str) -> Vec<String> {
        let bridge = self.channels.get(id).and_then(|c| self.bridges.get(c.bridge.as_ref()?));
        let members = bridge.map(|bridge| bridge.members.as_slice()).unwrap_or_default();
        members.iter().filter(|member| *member != id).cloned().collect()
    }

    fn digit_begins(&mut self, id: &str, digit: char) {
        let legs = self.digit_legs(id);
        let passed_on = legs.len() > 1;
        let news: Vec<_> =
            legs.into_iter().map(|(leg, direction)| self.dtmf_begin(leg, digit, direction)).collect();
        news.into_iter().for_each(|told| self.tell(told));
        if passed_on && self.profile.figures {
            let told = self.test_digit(digit);
            self.tell(told);
        }
    }

    pub(super) fn digit_ends(&mut self, id: &str, digit: char) {
        let millis = DIGIT.0.as_millis();
        let legs = self.digit_legs(id);
        let news: Vec<_> =
            legs.into_iter().map(|(leg, direction)| self.dtmf_end(leg, digit, millis, direction)).collect();
        news.into_iter().for_each(|told| self.tell(told));
    }

    fn phone_hold(&mut self, id: &str, holds: bool) {
        let Some(channel) = self.channels.get_mut(id).filter(|c| c.phone_holds != holds) else { return };
        channel.phone_holds = holds;
        let told = self.hold_event(&self.channels[id], holds);
        self.tell(told);
        if let Some(partner) = self.partner(id) {
            let told = self.music(&self.channels[&partner], holds);
            self.tell(told);
        }
    }

    /// A call that a phone places by itself, as a call of somebody else's (`foreign`).
    pub(super) fn inbound(&mut self, endpoint: &str, caller: Party, number: &str, exten: &str) -> String {
        let id = self.next_id();
        if self.maintenance.contains(endpoint) {
            self.refused += 1;
            return id;
        }
        let mut channel = self.new_channel(id.clone(), endpoint, number.to_owned(), "");
        channel.state = State::Ring;
        channel.caller = caller;
        channel.place = Place { exten: exten.to_owned(), ..channel.place };
        (channel.in_dialplan, channel.after) = (true, After::Continue);
        channel.plan.acts.clear();
        channel.protocol = self.random.uuid();
        self.begin(channel);
        self.processed += 1;
        self.run(&id);
        id
    }

    /// The application Dial.
    pub(super) fn dial_from(&mut self, caller: &str, data: &str) {
        let dialed = data.split(',').next().unwrap_or_default();
        let dialed = dialed.split_once('/').map_or(dialed, |(_, dialed)| dialed);
        let seconds = data.split(',').nth(1).and_then(|s| s.parse().ok()).unwrap_or(30);
        let (endpoint, number) = super::dial::resource(dialed);
        if !self.may_call(&endpoint) {
            if !self.channels[caller].in_dialplan {
                return self.gone(caller, 3, Some(404));
            }
            let news = self.dial_was_in_vain(caller, 3, Some(404));
            return news.into_iter().for_each(|told| self.tell(told));
        }
        let id = self.next_id();
        let mut channel = self.new_channel(id.clone(), &endpoint, number, dialed);
        channel.dialed_by = Some(caller.to_owned());
        channel.linked = self.channels[caller].linked.clone();
        channel.linked_rank = self.channels[caller].linked_rank;
        let connected = self.channels[caller].caller.clone();
        self.begin(channel);
        let exten = self.channels[caller].place.exten.clone();
        if let Some(channel) = self.channels.get_mut(&id) {
            // Who has no number of its own goes by the extension that dials it.
            channel.caller.number.get_or_insert_with(|| exten.clone());
            channel.place.exten = exten;
        }
        self.occupy(&id, ("AppDial", "(Outgoing Line)"));
        self.learn_partner(&id, connected);
        self.invite(&id);
        let callee = self.channels[&id].caller.clone();
        self.learn_partner(caller, callee);
        self.after(std::time::Duration::from_secs(seconds), Timer::DialTimeout(id));
    }

    pub(super) fn dialed_leg_answered(&mut self, callee: &str) {
        let Some(caller) = self.channels.get(callee).and_then(|c| c.dialed_by.clone()) else { return };
        if let Some(channel) = self.channels.get_mut(callee) {
            channel.place.exten.clear();
        }
        let Some(channel) = self.channels.get_mut(&caller) else { return self.gone(callee, 16, None) };
        channel.after = After::Dialed;
        if channel.state != State::Up {
            (channel.state, channel.answered, channel.phone_up) = (State::Up, Some(self.now), true);
            let told = self.newstate(&self.channels[&caller]);
            self.tell(told);
        }
        self.join_dialed(callee, &caller);
        self.transfer_done(&caller, true);
    }

    pub(super) fn dialed_leg_failed(&mut self, callee: &str, cause: u16, status: Option<u16>) {
        let caller = self.channels.get(callee).and_then(|c| c.dialed_by.clone());
        let mut threads = vec![self.epitaph(callee, cause, status)];
        let caller = caller.filter(|id| self.channels.contains_key(id));
        caller.iter().for_each(|id| self.transfer_done(id, false));
        if let Some(id) = caller.as_ref().filter(|id| !self.channels[*id].in_dialplan) {
            threads.push(self.epitaph(id, cause, status));
        } else if let Some(id) = caller {
            threads.push(self.dial_was_in_vain(&id, cause, status));
        }
        self.tell_at_once(threads);
    }

    /// The caller goes on to the step after its Dial, which is a Hangup.
    fn dial_was_in_vain(&mut self, caller: &str, cause: u16, status: Option<u16>) -> Vec<Happening> {
        let Some(channel) = self.channels.get_mut(caller) else { return vec![] };
        channel.place.priority += 1;
        (channel.app, channel.data) = ("Hangup".into(), String::new());
        let step = self.newexten(&self.channels[caller]);
        let news = self.farewell_with(caller, cause, status);
        [step].into_iter().chain(news).collect()
    }
}
