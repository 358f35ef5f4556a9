//! Conferences: made by their first member, gone with the last one.

use super::world::World;

/// One conference.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) id: String,
    /// Member number and leg. The numbers count across all rooms.
    pub(super) members: Vec<(u64, String)>,
}

impl World {
    /// The application `conference`: `room@profile`, with flags behind it.
    pub(super) fn enter_room(&mut self, uuid: &str, data: &str) {
        let name = data.split(['@', '+']).next().unwrap_or_default().to_ascii_lowercase();
        let muted = data.contains("+flags{mute}");
        if !self.rooms.contains_key(&name) {
            let id = self.random.uuid();
            self.rooms.insert(name.clone(), Room { id, members: vec![] });
            self.room_event("conference-create", &name, None);
        }
        self.members += 1;
        let member = self.members;
        let Some(leg) = self.leg_mut(uuid) else { return };
        leg.state = "CS_EXECUTE";
        leg.parked = false;
        leg.stay += 1;
        leg.room = Some(name.clone());
        leg.app = ("conference".into(), data.to_owned());
        leg.muted.0 |= muted;
        if let Some(room) = self.rooms.get_mut(&name) {
            room.members.push((member, uuid.to_owned()));
        }
        self.room_event("add-member", &name, Some((member, uuid)));
    }

    pub(super) fn leave_room(&mut self, uuid: &str) {
        let Some(name) = self.leg_mut(uuid).and_then(|leg| leg.room.take()) else { return };
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let member = room.members.iter().find(|(_, leg)| leg == uuid).map(|(number, _)| *number);
        room.members.retain(|(_, leg)| leg != uuid);
        let empty = room.members.is_empty();
        self.room_event("del-member", &name, member.map(|number| (number, uuid)));
        if empty {
            self.room_event("conference-destroy", &name, None);
            self.rooms.remove(&name);
        }
    }

    /// `conference <name> …`, as far as it was needed.
    pub(super) fn conference(&mut self, words: &[&str]) -> String {
        match words {
            ["json_list"] if self.rooms.is_empty() => "[]".into(),
            ["list", "count"] if self.rooms.is_empty() => "+OK No active conferences.\n".into(),
            [name, ..] if !self.rooms.contains_key(*name) => format!("-ERR Conference {name} not found\n"),
            [name, "count"] => self.rooms[*name].members.len().to_string(),
            [name, "hup", "all"] => {
                let members = self.rooms[*name].members.clone();
                for (_, uuid) in &members {
                    self.hang_up(uuid, "NORMAL_CLEARING", "send_bye");
                }
                format!("+OK hup {}\n", members.first().map_or(0, |(number, _)| *number))
            }
            _ => "-USAGE: conference\n".into(),
        }
    }
}
