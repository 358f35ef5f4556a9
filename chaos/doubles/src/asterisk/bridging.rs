//! Bridges: joining, leaving, what becomes of the one who is left behind.

use std::collections::BTreeSet;

use super::channels::{After, Bridge, Channel, Party, Place};
use super::happening::Happening;
use super::world::World;

/// Why a Bridge action fails after its channels were found.
pub(super) struct Unjoinable {
    /// `Channel1` or `Channel2`.
    pub(super) which: &'static str,
    /// Name of that channel.
    pub(super) name: String,
}

impl World {
    pub(super) fn partner(&self, id: &str) -> Option<String> {
        let bridge = self.bridges.get(self.channels.get(id)?.bridge.as_ref()?)?;
        if bridge.room.is_some() {
            return None;
        }
        bridge.members.iter().find(|member| *member != id).cloned()
    }

    fn open_bridge(&mut self, may_be_native: bool) -> String {
        let may_be_native = may_be_native && !self.suspended.contains("native_rtp");
        let (id, created) = (self.random.uuid(), self.now);
        let bridge =
            Bridge { id: id.clone(), members: vec![], created, native: false, may_be_native, room: None };
        let told = self.bridge_event("BridgeCreate", "BridgeCreated", &bridge);
        self.tell(told);
        self.bridges.insert(id.clone(), bridge);
        id
    }

    fn enter(&mut self, bridge: &str, id: &str) -> Happening {
        let bridge = self.bridges.get_mut(bridge).expect("a bridge is entered while it is open");
        bridge.members.push(id.to_owned());
        bridge.native = bridge.members.len() == 2 && bridge.may_be_native;
        let bridge = bridge.clone();
        self.link(&bridge.members);
        let channel = self.channels.get_mut(id).expect("only live channels enter");
        channel.bridge = Some(bridge.id.clone());
        // The technology changes after the second has entered, so the news still says simple_bridge.
        self.bridge_member(
            "BridgeEnter",
            "ChannelEnteredBridge",
            &Bridge { native: false, ..bridge },
            &self.channels[id],
        )
    }

    /// Those in one bridge take the oldest `Linkedid` among them.
    pub(super) fn link(&mut self, members: &[String]) {
        let linked = |id: &String| self.channels.get(id).map(|c| (c.linked_rank, c.linked.clone()));
        let Some((rank, oldest)) = members.iter().filter_map(linked).min() else { return };
        for id in members {
            if let Some(channel) = self.channels.get_mut(id) {
                (channel.linked_rank, channel.linked) = (rank, oldest.clone());
            }
        }
    }

    /// Takes a channel out of its bridge; `settled` when the bridge has had time to notice that it is
    /// no longer a pair.
    pub(super) fn leave(&mut self, id: &str, settled: bool) -> Option<Happening> {
        let channel = self.channels.get_mut(id)?;
        let bridge_id = channel.bridge.take()?;
        let bridge = self.bridges.get_mut(&bridge_id)?;
        bridge.members.retain(|member| member != id);
        let bridge_now = bridge.clone();
        if settled {
            bridge.native = false;
        }
        Some(self.bridge_member("BridgeLeave", "ChannelLeftBridge", &bridge_now, &self.channels[id]))
    }

    pub(super) fn close_bridge(&mut self, bridge: &str) -> Option<Happening> {
        let bridge = self.bridges.remove(bridge)?;
        Some(self.bridge_event("BridgeDestroy", "BridgeDestroyed", &bridge))
    }

    /// Leaves the application or the bridge a channel is in, on its way to another bridge. The partner
    /// that is left behind is handed back.
    fn yank(&mut self, id: &str) -> (Vec<Happening>, Option<(String, String)>) {
        let left = self.partner(id).zip(self.channels[id].bridge.clone());
        if let Some(left) = left {
            [id, left.0.as_str()].into_iter().for_each(|id| self.forget_peer(id));
            let told = self.leave(id, true);
            return (told.into_iter().collect(), Some(left));
        }
        if let Some(bridge) = self.channels[id].bridge.clone() {
            let leave = self.leave(id, true);
            let close = self.close_bridge(&bridge);
            return ([leave, close].into_iter().flatten().collect(), None);
        }
        let channel = self.channels.get_mut(id).expect("the caller looked it up");
        channel.idle = ("", "");
        let music = self.leave_app_quietly(id);
        let channel = self.channels.get_mut(id).expect("the caller looked it up");
        if channel.after == After::Continue {
            channel.place.priority += 1;
        }
        channel.created = self.now;
        (music.into_iter().collect(), None)
    }

    /// The action Bridge. Every former partner is released.
    pub(super) fn join(&mut self, a: &str, b: &str) -> Result<(), Unjoinable> {
        let together =
            self.channels[a].bridge.is_some() && self.channels[a].bridge == self.channels[b].bridge;
        let unjoinable =
            |world: &World, which, id: &str| Unjoinable { which, name: world.channels[id].name.clone() };
        let (first, second) = (unjoinable(self, "Channel1", a), unjoinable(self, "Channel2", b));
        let bridge = self.open_bridge(![a, b].iter().any(|id| self.needs_the_core(id)));
        // A member of a room stays there; who was to be joined to it has been torn out of its place (seen).
        if self.room_of(a).is_some() {
            let close = self.close_bridge(&bridge);
            close.into_iter().for_each(|told| self.tell(told));
            return Err(first);
        }
        let (news, left_by_a) = self.yank(a);
        let enter = self.enter(&bridge, a);
        news.into_iter().chain([enter]).for_each(|told| self.tell(told));
        if together || self.room_of(b).is_some() {
            self.tear(a, left_by_a, &bridge);
            return Err(second);
        }
        let (news, left_by_b) = self.yank(b);
        news.into_iter().for_each(|told| self.tell(told));
        let enter = self.enter(&bridge, b);
        for id in [a, b] {
            self.channel_mut(id).fence += 1;
        }
        let (mut threads, left) = self.aftermath([left_by_a, left_by_b]);
        threads.push(vec![enter]);
        self.tell_at_once(threads);
        self.run_all(left);
        self.connect_lines(a, b);
        Ok(())
    }

    /// A pair that is already together is joined again: both come out of it (sheet section 6).
    fn tear(&mut self, a: &str, left: Option<(String, String)>, fresh: &str) {
        let (mut threads, mut released) = self.aftermath([left, None]);
        let leave = self.leave(a, true);
        let close = self.close_bridge(fresh);
        let news = self.released(a);
        threads.push([leave, close].into_iter().flatten().chain(news).collect());
        released.push(a.to_owned());
        self.tell_at_once(threads);
        self.run_all(released);
    }

    /// What becomes of partners that were left behind, as threads of news; and who may have to run on.
    fn aftermath(&mut self, left: [Option<(String, String)>; 2]) -> (Vec<Vec<Happening>>, Vec<String>) {
        let (mut threads, mut ids) = (vec![], vec![]);
        for (partner, bridge) in left.into_iter().flatten() {
            if let Some(told) = self.leave(&partner, true) {
                self.tell(told);
            }
            threads.push(self.close_bridge(&bridge).into_iter().collect());
            threads.push(self.released(&partner));
            ids.push(partner);
        }
        (threads, ids)
    }

    /// Runs those on that were released and did not end.
    pub(super) fn run_all(&mut self, ids: Vec<String>) {
        for id in ids {
            if self.channels.get(&id).is_some_and(|c| c.bridge.is_none() && c.app.is_empty() && c.in_dialplan)
            {
                self.run(&id);
            }
        }
    }

    /// Each side learns whom it talks to.
    pub(super) fn connect_lines(&mut self, a: &str, b: &str) {
        for (me, other) in [(b, a), (a, b)] {
            let Some(other) = self.channels.get(other) else { continue };
            let (name, protocol, caller) = (other.name.clone(), other.protocol.clone(), other.caller.clone());
            self.peer_variables(me, &name, &protocol);
            if caller.number.is_some() {
                self.learn_partner(me, caller);
            }
        }
    }

    fn peer_variables(&mut self, id: &str, name: &str, protocol: &str) {
        for (variable, value) in [("BRIDGEPEER", name), ("BRIDGEPVTCALLID", protocol)] {
            let Some(channel) = self.channels.get_mut(id) else { return };
            channel.variables.insert(variable.to_owned(), value.to_owned());
            let told = self.varset(&self.channels[id], variable, value);
            self.tell(told);
        }
    }

    /// NewConnectedLine, if it is news.
    pub(super) fn learn_partner(&mut self, id: &str, partner: Party) {
        if let Some(channel) = self.channels.get_mut(id).filter(|channel| channel.connected != partner) {
            channel.connected = partner;
            let told = self.connected_line(&self.channels[id]);
            self.tell(told);
        }
    }

    /// A bridge with a ringing channel: succeeds late, and ends the Originate (sheet section 6).
    pub(super) fn late_bridge(&mut self, a: &str, b: &str) {
        if !self.channels.contains_key(a) || !self.channels.contains_key(b) {
            return;
        }
        let mut responses = vec![];
        for id in [a, b] {
            let order = self.channels.get_mut(id).and_then(|c| c.originate.take());
            responses.extend(order.map(|order| vec![self.originate_response(&order, id, None, 0)]));
        }
        // Both were found and are not together: the join cannot fail.
        let _ = self.join(a, b);
        self.tell_at_once(responses);
    }

    /// The callee of a Dial answered: both sides into one bridge, callee first.
    pub(super) fn join_dialed(&mut self, callee: &str, caller: &str) {
        // The options t and T of Dial need the audio in the core.
        let options = self.channels[caller].data.split(',').nth(2).unwrap_or_default();
        let plain = !options.contains(['t', 'T']);
        let bridge = self.open_bridge(plain);
        for id in [callee, caller] {
            let enter = self.enter(&bridge, id);
            self.tell(enter);
        }
        self.connect_lines(callee, caller);
    }

    /// A channel ends that is in a bridge: it leaves first, its partner is released.
    pub(super) fn dissolve(&mut self, id: &str, cause: u16, status: Option<u16>) {
        if self.room_of(id).is_some() {
            return self.end_in_room(id, cause, status);
        }
        let partner = self.partner(id);
        let bridge = self.channels[id].bridge.clone();
        [Some(id), partner.as_deref()].into_iter().flatten().for_each(|id| self.forget_peer(id));
        let mut news: Vec<Happening> = self.leave(id, false).into_iter().collect();
        news.extend(partner.as_ref().and_then(|partner| self.leave(partner, false)));
        news.into_iter().for_each(|told| self.tell(told));
        let close = bridge.and_then(|bridge| self.close_bridge(&bridge));
        let dials = |channel: &Channel| channel.after == After::Dialed && channel.in_dialplan;
        let dialed = self.channels.get(id).is_some_and(dials);
        let gone =
            if dialed { self.farewell_with(id, cause, status) } else { self.epitaph(id, cause, status) };
        let released = partner.as_ref().map(|partner| self.released(partner)).unwrap_or_default();
        self.tell_at_once(vec![close.into_iter().collect(), gone, released]);
        self.run_all(partner.into_iter().collect());
    }

    /// Sends channels elsewhere in the dialplan: one, or two that leave together.
    pub(super) fn redirect(&mut self, moves: Vec<(String, Place)>) {
        let (from_rooms, moves): (Vec<_>, Vec<_>) =
            moves.into_iter().partition(|(id, _)| self.room_of(id).is_some());
        from_rooms.into_iter().for_each(|(id, place)| self.redirect_from_room(&id, place));
        let bridges: BTreeSet<String> =
            moves.iter().filter_map(|(id, _)| self.channels[id].bridge.clone()).collect();
        let mut alone = vec![];
        for (id, place) in &moves {
            alone.extend(self.partner(id).filter(|p| moves.iter().all(|(other, _)| other != p)));
            if !self.aim(id, place) {
                return;
            }
        }
        let mut leavers: Vec<String> = moves.into_iter().map(|(id, _)| id).collect();
        if self.random.chance(0.5) {
            leavers.reverse();
        }
        let joined: Vec<bool> = leavers.iter().map(|id| self.channels[id].bridge.is_some()).collect();
        let leaves: Vec<Happening> = leavers.iter().filter_map(|id| self.leave(id, false)).collect();
        leaves.into_iter().for_each(|told| self.tell(told));
        let mut threads: Vec<Vec<Happening>> =
            leavers.iter().zip(joined).map(|(id, joined)| self.arrive(id, joined)).collect();
        for partner in &alone {
            let told = self.leave(partner, false);
            threads.push(told.into_iter().chain(self.released(partner)).collect());
        }
        let closes: Vec<Happening> = bridges.iter().filter_map(|bridge| self.close_bridge(bridge)).collect();
        if alone.is_empty() {
            threads.push(closes);
            self.tell_at_once(threads);
        } else {
            self.tell_at_once(threads);
            closes.into_iter().for_each(|told| self.tell(told));
        }
        self.run_all(alone);
    }

    /// Gives a channel another place; false when that is nowhere and the channel has ended.
    fn aim(&mut self, id: &str, place: &Place) -> bool {
        self.forget_peer(id);
        let exists = self.dialplan.exists(&place.context, &place.exten, place.priority);
        let waits = self.channels.get(id).is_some_and(|channel| channel.bridge.is_none());
        if waits && !exists {
            self.redirected_nowhere(id, place.clone());
            return false;
        }
        if waits {
            // The music stops where it played (seen).
            self.leave_music(id);
        }
        let channel = self.channels.get_mut(id).expect("the caller looked it up");
        channel.place = place.clone();
        channel.back = None;
        (channel.in_dialplan, channel.after) = (true, After::Continue);
        true
    }

    /// The variables that named the partner are emptied.
    pub(super) fn forget_peer(&mut self, id: &str) {
        if self.channels.get(id).is_some_and(|channel| channel.bridge.is_some()) {
            self.peer_variables(id, "", "");
        }
    }

    /// Runs a redirected channel and hands the news back.
    pub(super) fn arrive(&mut self, id: &str, was_joined: bool) -> Vec<Happening> {
        self.news_of(|world| {
            let spoilt = world.channels.get_mut(id).and_then(|channel| channel.originate.take());
            if let Some(order) = spoilt {
                let told = world.originate_response(&order, id, None, 0);
                world.tell(told);
            }
            if world.channels[id].is_up() || !was_joined {
                world.leave_app(id);
                world.run(id);
            } else {
                world.redirected_while_ringing(id);
            }
        })
    }

    /// What some work would tell, not yet told.
    pub(super) fn news_of(&mut self, work: impl FnOnce(&mut Self)) -> Vec<Happening> {
        let (ami, ari) = (std::mem::take(&mut self.ami), std::mem::take(&mut self.ari));
        work(self);
        let ami = std::mem::replace(&mut self.ami, ami).into_iter();
        let ari = std::mem::replace(&mut self.ari, ari).into_iter();
        ami.map(|event| Happening { ami: Some(event), ari: None })
            .chain(ari.map(|event| Happening { ami: None, ari: Some(event) }))
            .collect()
    }

    /// Out of a bridge: marked as answered, and dropped (sheet section 6).
    fn redirected_while_ringing(&mut self, id: &str) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.state = super::channels::State::Up;
        let told = self.newstate(&self.channels[id]);
        self.tell(told);
        self.end_in_dialplan(id, 16);
    }
}
