//! The AMI actions on conferences. They take channel names only, no ids, and answer an empty list with
//! an error (sheet sections 2 and 5). What a room is, is in [`super::rooms`].

use super::ami::{Message, Text};
use super::channels::Bridge;
use super::world::World;

const NO_CHANNEL: &str = "No Channel by that name found in Conference.";

/// The room that is asked for.
fn named<'a>(world: &'a World, request: &Message) -> Result<&'a Bridge, &'static str> {
    let name = request.text("Conference").ok_or("No Conference name provided.")?;
    if !world.bridges.values().any(|bridge| bridge.room.is_some()) {
        return Err("No active conferences.");
    }
    world.room_named(name).ok_or("No Conference by that name found.")
}

/// The members that are meant: by name, or all.
fn meant(world: &World, room: &Bridge, channel: Option<&str>) -> Result<Vec<String>, &'static str> {
    match channel {
        Some("all") => Ok(room.members.clone()),
        Some(name) => {
            let id = world.names.get(name).filter(|id| room.members.contains(id)).ok_or(NO_CHANNEL)?;
            Ok(vec![id.clone()])
        }
        None => Err(NO_CHANNEL),
    }
}

pub(super) fn rooms(world: &World, request: &Message) -> String {
    let rooms = || world.bridges.values().filter_map(|bridge| Some((bridge, bridge.room.as_ref()?)));
    if rooms().next().is_none() {
        return Text::error(request, "No active conferences.");
    }
    let mut text = Text::list(request, "Confbridge conferences will follow");
    for (bridge, room) in rooms() {
        text.line("Event", "ConfbridgeListRooms");
        text.id(request);
        text.line("Conference", &room.name);
        text.line("Parties", bridge.members.len());
        text.line("Marked", 0);
        text.line("Locked", "No");
        text.line("Muted", "No");
        text.gap();
    }
    text.close(request, "ConfbridgeListRoomsComplete", rooms().count());
    text.end()
}

pub(super) fn members(world: &World, request: &Message) -> String {
    let bridge = match named(world, request) {
        Ok(bridge) => bridge,
        Err(message) => return Text::error(request, message),
    };
    let mut text = Text::list(request, "Confbridge user list will follow");
    for channel in bridge.members.iter().filter_map(|id| world.channels.get(id)) {
        let up = world.now.saturating_sub(channel.answered.unwrap_or(world.now)).as_secs();
        text.line("Event", "ConfbridgeList");
        text.id(request);
        text.line("Conference", request.text("Conference").unwrap_or_default());
        for key in ["Admin", "MarkedUser", "WaitMarked", "EndMarked"] {
            text.line(key, "No");
        }
        if world.profile.end_marked_any {
            text.line("EndMarkedAny", "No");
        }
        text.line("Waiting", "No");
        text.line("Muted", if world.silenced(bridge, &channel.id) { "Yes" } else { "No" });
        text.line("Talking", "No");
        text.line("AnsweredTime", up);
        channel.headers("", &mut text.0);
        text.gap();
    }
    text.close(request, "ConfbridgeListComplete", bridge.members.len());
    text.end()
}

pub(super) fn kick(world: &mut World, request: &Message) -> String {
    let channel = request.text("Channel");
    let members = match named(world, request).and_then(|room| meant(world, room, channel)) {
        Ok(members) => members,
        Err(message) => return Text::error(request, message),
    };
    members.iter().for_each(|id| world.kick(id));
    let all = channel == Some("all");
    Text::done(request, if all { "All participants kicked" } else { "User kicked" })
}

pub(super) fn mute(world: &mut World, request: &Message, on: bool) -> String {
    let Some(channel) = request.text("Channel") else {
        return Text::error(request, "No channel name provided.");
    };
    let members = match named(world, request).and_then(|room| meant(world, room, Some(channel))) {
        Ok(members) => members,
        Err(message) => return Text::error(request, message),
    };
    members.iter().for_each(|id| world.silence(id, on));
    Text::done(request, if on { "User muted" } else { "User unmuted" })
}
