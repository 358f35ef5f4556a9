//! A phone's own transfer by REFER: blind, or attended from one call of the phone into another.
//!
//! As recorded while two legs were joined by the action Bridge. The transferee of a blind transfer leaves
//! its context and runs the dialplan of the transferer's endpoint; when that is over it goes on where it
//! stood before. After an attended transfer it is in the other call's bridge and stays where it stands.
//! Not here: transfers out of rooms and waiting places, which the real server refuses.

use super::channels::{After, Bridge, Channel, Place};
use super::happening::{CALL, Happening, Teller, json};
use super::world::World;

impl World {
    /// The phone's answered legs, oldest first.
    fn answered_legs(&self, number: &str) -> Vec<String> {
        let mut legs: Vec<&Channel> =
            self.channels.values().filter(|c| c.number == number && c.phone_up).collect();
        // The name ends in a serial number.
        legs.sort_by_key(|leg| leg.name.rsplit('-').next().map(str::to_owned));
        legs.into_iter().map(|leg| leg.id.clone()).collect()
    }

    /// REFER in the first answered call of the phone.
    pub(super) fn transfer(&mut self, number: &str, exten: &str) {
        let Some(id) = self.answered_legs(number).first().cloned() else { return };
        let endpoint = &self.channels[&id].endpoint;
        let context = self.endpoints.get(endpoint).map_or("default", |e| e.context.as_str()).to_owned();
        let place = Place { context, exten: exten.to_owned(), priority: 1 };
        if !self.dialplan.exists(&place.context, &place.exten, 1) {
            // Refused before anything is touched.
            return self.referred(number, 404);
        }
        let Some(transferee) = self.partner(&id) else {
            let told = self.blind_event(&id, None, &place);
            self.tell(told);
            return self.referred(number, 400);
        };
        self.referred(number, 202);
        self.unhold(&id);
        self.send_away(&id, &transferee, place);
        // Whoever is dialled decides; anything else that the transferee came to is an answer.
        match self.channels.get(&transferee) {
            Some(channel) if channel.app == "Dial" => {}
            Some(_) => self.transfer_done(&transferee, true),
            None => self.transfer_failed(number),
        }
    }

    fn send_away(&mut self, id: &str, transferee: &str, place: Place) {
        let blind = self.blind_event(id, Some(transferee), &place);
        for (leg, other) in [(transferee, id), (id, transferee)] {
            let name = self.channels[other].name.clone();
            let told = self.varset(&self.channels[leg], "BLINDTRANSFER", &name);
            self.tell(told);
        }
        [id, transferee].into_iter().for_each(|leg| self.forget_peer(leg));
        let bridge = self.channels[id].bridge.clone();
        let number = self.channels[id].number.clone();
        let channel = self.channels.get_mut(transferee).expect("partners are live");
        let stood = std::mem::replace(&mut channel.place, place);
        channel.back = (channel.in_dialplan && channel.after == After::Continue).then_some(stood);
        (channel.in_dialplan, channel.after) = (true, After::Continue);
        channel.transferer = Some(number);
        let mut away: Vec<Happening> = self.leave(transferee, true).into_iter().collect();
        let mut left: Vec<Happening> = self.leave(id, true).into_iter().collect();
        let close = bridge.and_then(|bridge| self.close_bridge(&bridge));
        away.extend(self.arrive(transferee, true));
        left.extend(self.released(id));
        self.tell_at_once(vec![away, left, close.into_iter().collect(), vec![blind]]);
        self.run_all(vec![id.to_owned()]);
    }

    /// What the transferee was sent to has answered, or refused: the transferer's phone is told.
    pub(super) fn transfer_done(&mut self, transferee: &str, answered: bool) {
        let number = self.channels.get_mut(transferee).and_then(|channel| channel.transferer.take());
        match number {
            Some(number) if answered => self.referred(&number, 200),
            Some(number) => self.transfer_failed(&number),
            None => {}
        }
    }

    /// The phone is told, and never gets a BYE for the call that it still believes in (seen).
    fn transfer_failed(&mut self, number: &str) {
        self.referred(number, 503);
        self.witness(number).stuck += 1;
    }

    fn referred(&mut self, number: &str, status: u16) {
        self.witness(number).transferred = Some(status);
    }

    /// A transfer takes the call off hold, whether it was held or not.
    fn unhold(&mut self, id: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        let held = std::mem::take(&mut channel.phone_holds);
        let told = self.hold_event(&self.channels[id], false);
        self.tell(told);
        if let Some(partner) = self.partner(id).filter(|_| held) {
            let told = self.music(&self.channels[&partner], false);
            self.tell(told);
        }
    }

    /// REFER with Replaces: the partner in the phone's first call takes its place in the second.
    pub(super) fn transfer_attended(&mut self, number: &str) {
        let legs = self.answered_legs(number);
        let [first, second, ..] = &legs[..] else { return };
        let (Some(transferee), Some(target)) = (self.partner(first), self.partner(second)) else {
            return self.referred(number, 400);
        };
        [first, second].into_iter().for_each(|id| self.unhold(id));
        let attended = self.attended_event([first, second, &transferee, &target]);
        [first, second, &transferee].into_iter().for_each(|id| self.forget_peer(id));
        let bridge = self.channels[first].bridge.clone();
        let (away, replaced) = self.swap(&transferee, second);
        let mut left: Vec<Happening> = self.leave(first, true).into_iter().collect();
        left.extend(self.released(first));
        let close = bridge.and_then(|bridge| self.close_bridge(&bridge));
        self.tell_at_once(vec![away, replaced, left, close.into_iter().collect(), vec![attended]]);
        self.run_all(vec![first.clone()]);
        self.connect_lines(&transferee, &target);
        self.referred(number, 200);
    }

    /// A channel leaves its bridge and takes the place of another one, which ends.
    fn swap(&mut self, newcomer: &str, old: &str) -> (Vec<Happening>, Vec<Happening>) {
        let mut away: Vec<Happening> = self.leave(newcomer, false).into_iter().collect();
        let bridge_id = self.channels[old].bridge.clone().unwrap_or_default();
        let place = self.bridges.get(&bridge_id).and_then(|b| b.members.iter().position(|m| m == old));
        let mut replaced: Vec<Happening> = self.leave(old, false).into_iter().collect();
        if let Some(bridge) = self.bridges.get_mut(&bridge_id) {
            bridge.members.insert(place.unwrap_or_default(), newcomer.to_owned());
            let bridge = bridge.clone();
            self.channels.get_mut(newcomer).expect("the caller looked it up").bridge = Some(bridge_id);
            let channel = &self.channels[newcomer];
            away.push(self.swap_event(&bridge, channel, old));
            self.link(&bridge.members);
        }
        replaced.push(self.hangup_request(&self.channels[old], true, Some(1), None));
        replaced.extend(match self.channels[old].after {
            After::Dialed => self.farewell(old, 16),
            _ => self.epitaph(old, 16, None),
        });
        (away, replaced)
    }

    fn swap_event(&self, bridge: &Bridge, channel: &Channel, old: &str) -> Happening {
        let object = bridge.ari(&self.clock);
        Teller::new(self, CALL, "BridgeEnter")
            .bridge("", bridge)
            .channel(channel)
            .line("SwapUniqueid", old)
            .ari_channel("", "ChannelEnteredBridge", &format!(",\"bridge\":{object}"), channel)
            .told()
    }

    fn object(&self, id: &str) -> String {
        self.channels[id].ari(&self.clock, self.profile.tech_cause)
    }

    fn bridge_of(&self, id: &str) -> Option<&Bridge> {
        self.bridges.get(self.channels.get(id)?.bridge.as_ref()?)
    }

    /// BlindTransfer; without a transferee it was impossible.
    fn blind_event(&self, id: &str, transferee: Option<&str>, place: &Place) -> Happening {
        let result = if transferee.is_some() { "Success" } else { "Invalid" };
        let mut ari = format!(
            ",\"channel\":{},\"exten\":{},\"context\":{},\"result\":\"{result}\",\"is_external\":true",
            self.object(id),
            json(&place.exten),
            json(&place.context),
        );
        let mut teller = Teller::new(self, CALL, "BlindTransfer").line("Result", result);
        teller = teller.party("Transferer", &self.channels[id]);
        if let (Some(transferee), Some(bridge)) = (transferee, self.bridge_of(id)) {
            teller = teller.party("Transferee", &self.channels[transferee]).bridge("", bridge);
            let (object, bridge) = (self.object(transferee), bridge.ari(&self.clock));
            ari.push_str(&format!(",\"transferee\":{object},\"bridge\":{bridge}"));
        }
        let teller = teller.line("IsExternal", "Yes").line("Context", &place.context);
        teller.line("Extension", &place.exten).ari("", "BridgeBlindTransfer", &ari).told()
    }

    /// AttendedTransfer, of legs that are still where they were.
    fn attended_event(&self, legs: [&str; 4]) -> Happening {
        let [first, second, transferee, target] = legs.map(|id| &self.channels[id]);
        let mut teller = Teller::new(self, CALL, "AttendedTransfer").line("Result", "Success");
        let mut bridges = String::new();
        let ours = [("Orig", "first", first), ("Second", "second", second)];
        for (prefix, key, leg) in ours {
            teller = teller.party(&format!("{prefix}Transferer"), leg);
            if let Some(bridge) = self.bridge_of(&leg.id) {
                teller = teller.bridge(prefix, bridge);
                let object = bridge.ari(&self.clock);
                bridges.push_str(&format!(",\"transferer_{key}_leg_bridge\":{object}"));
            }
        }
        let destination = second.bridge.as_deref().unwrap_or_default();
        let ari = format!(
            ",\"transferer_first_leg\":{},\"transferer_second_leg\":{},\"result\":\"Success\",\
             \"is_external\":false,\"transferee\":{},\"transfer_target\":{}{bridges},\
             \"destination_type\":\"bridge\",\"destination_bridge\":\"{destination}\"",
            self.object(&first.id),
            self.object(&second.id),
            self.object(&transferee.id),
            self.object(&target.id),
        );
        teller
            .party("Transferee", transferee)
            .party("TransferTarget", target)
            .line("IsExternal", "No")
            .line("DestType", "Bridge")
            .line("DestBridgeUniqueid", destination)
            .ari("", "BridgeAttendedTransfer", &ari)
            .told()
    }
}
