//! Conferences: the application ConfBridge, who is in which room, and how rooms begin and end.
//!
//! As recorded with a user profile that makes no announcements: a member alone hears nothing. Events of
//! the conference and of its bridge come from two threads of the real server, in any order.

use std::collections::BTreeSet;

use super::channels::{Bridge, Channel, Place, Room};
use super::happening::{CALL, Happening, Teller};
use super::world::World;

impl World {
    /// The room a channel is in.
    pub(super) fn room_of(&self, id: &str) -> Option<&Bridge> {
        let bridge = self.bridges.get(self.channels.get(id)?.bridge.as_ref()?)?;
        bridge.room.is_some().then_some(bridge)
    }

    /// The room of this name.
    pub(super) fn room_named(&self, name: &str) -> Option<&Bridge> {
        self.bridges.values().find(|bridge| bridge.room.as_ref().is_some_and(|room| room.name == name))
    }

    /// Whether a member was muted by `ConfbridgeMute`.
    pub(super) fn silenced(&self, bridge: &Bridge, id: &str) -> bool {
        bridge.room.as_ref().is_some_and(|room| room.muted.contains(id))
    }

    /// ConfBridge: into the room that the data names, which is made if need be.
    pub(super) fn enter_room(&mut self, id: &str, data: &str) {
        let name = data.split(',').next().unwrap_or_default();
        let existing = self.room_named(name).map(|bridge| bridge.id.clone());
        let mut conference = vec![];
        let bridge_id = existing.unwrap_or_else(|| {
            let (bridge, start) = self.open_room(name);
            conference.push(start);
            bridge
        });
        let bridge = self.bridges.get_mut(&bridge_id).expect("it was found or made above");
        bridge.members.push(id.to_owned());
        let bridge = bridge.clone();
        self.channels.get_mut(id).expect("only live channels run applications").bridge = Some(bridge_id);
        let channel = &self.channels[id];
        conference.push(self.conference_event("ConfbridgeJoin", &bridge, Some(channel)));
        let enter = self.bridge_member("BridgeEnter", "ChannelEnteredBridge", &bridge, channel);
        self.tell_at_once(vec![conference, vec![enter]]);
    }

    fn open_room(&mut self, name: &str) -> (String, Happening) {
        let (id, created) = (self.random.uuid(), self.now);
        let room = Room { name: name.to_owned(), muted: BTreeSet::new(), hidden: 0 };
        let (native, may_be_native) = (false, false);
        let mut bridge =
            Bridge { id: id.clone(), members: vec![], created, native, may_be_native, room: Some(room) };
        let told = self.bridge_event("BridgeCreate", "BridgeCreated", &bridge);
        self.tell(told);
        if let Some(room) = &mut bridge.room {
            room.hidden = 1;
        }
        let start = self.conference_event("ConfbridgeStart", &bridge, None);
        self.bridges.insert(id.clone(), bridge);
        (id, start)
    }

    /// Takes a channel out of its room: news of the conference and of the bridge. The last one closes it.
    fn quit_room(&mut self, id: &str) -> (Vec<Happening>, Vec<Happening>) {
        let Some(before) = self.room_of(id).cloned() else { return (vec![], vec![]) };
        let mut conference =
            vec![self.conference_event("ConfbridgeLeave", &before, Some(&self.channels[id]))];
        let bridge = self.bridges.get_mut(&before.id).expect("it was found above");
        bridge.members.retain(|member| member != id);
        let room = bridge.room.as_mut().expect("rooms stay rooms");
        room.muted.remove(id);
        let mut bridge = bridge.clone();
        if let Some(channel) = self.channels.get_mut(id) {
            channel.bridge = None;
        }
        let mut news =
            vec![self.bridge_member("BridgeLeave", "ChannelLeftBridge", &bridge, &self.channels[id])];
        if bridge.members.is_empty() {
            conference.push(self.conference_event("ConfbridgeEnd", &bridge, None));
            self.bridges.remove(&bridge.id);
            if let Some(room) = &mut bridge.room {
                room.hidden = 0;
            }
            news.push(self.bridge_event("BridgeDestroy", "BridgeDestroyed", &bridge));
        }
        (conference, news)
    }

    /// The member's channel ends.
    pub(super) fn end_in_room(&mut self, id: &str, cause: u16, status: Option<u16>) {
        let (conference, mut news) = self.quit_room(id);
        let in_dialplan = self.channels.get(id).is_some_and(|channel| channel.in_dialplan);
        news.extend(if in_dialplan {
            self.farewell_with(id, cause, status)
        } else {
            self.epitaph(id, cause, status)
        });
        self.tell_at_once(vec![conference, news]);
    }

    /// The member is sent elsewhere in the dialplan; the others stay.
    pub(super) fn redirect_from_room(&mut self, id: &str, place: Place) {
        let channel = self.channels.get_mut(id).expect("the caller looked it up");
        channel.place = place;
        (channel.in_dialplan, channel.after) = (true, super::channels::After::Continue);
        let (conference, mut news) = self.quit_room(id);
        news.extend(self.arrive(id, true));
        self.tell_at_once(vec![conference, news]);
    }

    /// The member is put out, and goes on at its next step.
    pub(super) fn kick(&mut self, id: &str) {
        let (conference, mut news) = self.quit_room(id);
        news.extend(self.news_of(|world| {
            let Some(channel) = world.channels.get_mut(id) else { return };
            if !channel.in_dialplan {
                return world.gone(id, 16, None);
            }
            channel.place.priority += 1;
            world.leave_app(id);
            world.run(id);
        }));
        self.tell_at_once(vec![conference, news]);
    }

    /// Mutes a member for the others, or takes that back.
    pub(super) fn silence(&mut self, id: &str, on: bool) {
        let Some(bridge) = self.room_of(id).map(|bridge| bridge.id.clone()) else { return };
        let Some(room) = self.bridges.get_mut(&bridge).and_then(|bridge| bridge.room.as_mut()) else {
            return;
        };
        if on {
            room.muted.insert(id.to_owned());
        } else {
            room.muted.remove(id);
        }
        let event = if on { "ConfbridgeMute" } else { "ConfbridgeUnmute" };
        let told = self.conference_event(event, &self.bridges[&bridge], Some(&self.channels[id]));
        self.tell(told);
    }

    fn conference_event(&self, event: &str, bridge: &Bridge, channel: Option<&Channel>) -> Happening {
        let name = bridge.room.as_ref().map_or("", |room| &room.name);
        let teller = Teller::new(self, CALL, event).line("Conference", name).bridge("", bridge);
        let Some(channel) = channel else { return teller.told() };
        let teller = teller.channel(channel).line("Admin", "No");
        teller.maybe("Muted", (event == "ConfbridgeJoin").then_some("No")).told()
    }
}
