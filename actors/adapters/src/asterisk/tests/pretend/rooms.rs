//! Rooms, recorders and the ways to refuse calls, with the words and the oddities of the real servers.

use std::collections::BTreeMap;

use super::Pretend;
use crate::asterisk::tests::transcript::value;

/// A room of `ConfBridge`: its bridge, and the name the first one in it gave it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    pub(crate) bridge: String,
    pub(crate) name: String,
}

/// The handle that every recorder of this server gets: real ones use memory again as well.
pub(crate) const HANDLE: &str = "0x7f3640002ac0";

impl Pretend {
    /// Moves one channel that is alone, or in a room.
    pub(crate) fn redirect_one(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let native = get("Channel");
        if !self.channels.contains_key(&native) {
            return self.error(slot, id, &format!("Channel does not exist: {native}"));
        }
        self.success(slot, id, &[("Message", "Redirect successful")]);
        let partners = self.leave(&native);
        let was = self.channels.get_mut(&native).expect("it exists");
        let roomed = std::mem::take(&mut was.room);
        was.exten = get("Exten");
        assert!(roomed || partners.is_empty(), "one leg of a talk was redirected");
        match get("Exten").strip_prefix("conf-") {
            Some(_) if self.roomless => self.hang_up(&native, 16, true),
            Some(name) if self.late_rooms => self.on_its_way = Some((native, name.to_owned())),
            Some(name) => self.takes_in(&native, name),
            None => {}
        }
    }

    /// The channel that was on its way is inside.
    pub(crate) fn arrives(&mut self) {
        let (native, name) = self.on_its_way.take().expect("somebody is on the way");
        self.takes_in(&native, &name);
    }

    /// Rooms are found without regard to case.
    pub(crate) fn takes_in(&mut self, native: &str, name: &str) {
        self.bridges += 1;
        let new = Room { bridge: format!("bridge-{}", self.bridges), name: name.to_owned() };
        let room = self.rooms.entry(name.to_lowercase()).or_insert(new).clone();
        let channel = self.channels.get_mut(native).expect("it exists");
        (channel.bridge, channel.room) = (Some(room.bridge.clone()), true);
        channel.exten = format!("conf-{name}");
        self.fact("ChannelEnteredBridge", "BridgeEnter", native);
        if !self.ari {
            self.event("ConfbridgeJoin", native, &[("Conference", &room.name)]);
        }
    }

    /// What ARI says about the origin of a bridge.
    pub(crate) fn origin(&self, bridge: &str) -> String {
        match self.rooms.values().find(|room| room.bridge == bridge) {
            Some(room) => format!(",\"creator\":\"ConfBridge\",\"name\":\"{}\"", room.name),
            None => ",\"creator\":\"\",\"name\":\"\"".to_owned(),
        }
    }

    // ---- variables and recorders -----------------------------------------------------------------------------------

    pub(crate) fn getvar(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let (native, name) = (get("Channel"), get("Variable"));
        let Some(channel) = self.channels.get(&native) else {
            return self.error(slot, id, "No such channel");
        };
        if let Some(junk) = self.junk {
            let text = format!("Response: Success\r\nActionID: {id}\r\nVariable: {name}\r\n{junk}\r\n");
            return self.out.push_back((slot, text.into_bytes()));
        }
        let value = channel.variables.get(&name).cloned().unwrap_or_default();
        self.success(slot, id, &[("Variable", &name), ("Value", &value)]);
    }

    pub(crate) fn setvar(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let native = get("Channel");
        let variables: &mut BTreeMap<String, String> = match self.channels.get_mut(&native) {
            Some(channel) => &mut channel.variables,
            None if native.is_empty() => &mut self.globals,
            None => return self.error(slot, id, "No such channel"),
        };
        variables.insert(get("Variable"), get("Value"));
        self.success(slot, id, &[("Message", "Variable Set")]);
    }

    pub(crate) fn mix_monitor(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let Some(channel) = self.channels.get_mut(&get("Channel")) else {
            return self.error(slot, id, "No such channel");
        };
        if self.records {
            let variable = get("Options").trim_start_matches("i(").trim_end_matches(')').to_owned();
            channel.variables.insert(variable, HANDLE.to_owned());
            channel.recorders += 1;
        }
        self.success(slot, id, &[("MixMonitorID", HANDLE)]);
    }

    pub(crate) fn stop_mix_monitor(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let Some(channel) = self.channels.get_mut(&get("Channel")) else {
            return self.error(slot, id, "No such channel");
        };
        if channel.recorders == 0 || get("MixMonitorID") != HANDLE {
            return self.error(slot, id, "Could not stop monitoring channel");
        }
        channel.recorders -= 1;
        self.success(slot, id, &[]);
    }

    // ---- calls from outside ----------------------------------------------------------------------------------------

    pub(crate) fn maintain(&mut self, slot: u8, id: &str, action: &[u8]) {
        let state = value(action, "State").unwrap_or_default();
        if self.maintenance.is_none() {
            let words = "Invalid/unknown command: PJSIPSetMaintenance. Use Action: ListCommands to show \
                         available commands.";
            return self.error(slot, id, words);
        }
        self.maintenance = Some(state == "on");
        self.success(slot, id, &[("Message", "Maintenance mode set for all endpoints")]);
    }

    /// The dialplan beside the waiting places: with the context for a drain, and with somebody who calls it.
    pub(crate) fn whole_dialplan(&mut self, slot: u8, id: &str, context: &str) {
        let mut lines = Vec::new();
        if self.inbound {
            lines.push(("ifbus-inbound", "GotoIf", "$[\"${IFBUS_DRAIN}\"=\"yes\"]?drained"));
        }
        lines.push(("from-trunk", "Dial", "PJSIP/1001"));
        lines.extend(self.called.then_some(("from-trunk", "Gosub", "ifbus-inbound,s,1")));
        lines.retain(|(of, ..)| context.is_empty() || *of == context);
        if lines.is_empty() {
            return self.error(slot, id, &format!("Did not find context {context}"));
        }
        self.success(slot, id, &[("EventList", "start")]);
        for (of, application, data) in lines {
            let line = [
                ("Event", "ListDialplan"),
                ("ActionID", id),
                ("Context", of),
                ("Application", application),
                ("AppData", data),
            ];
            self.say(slot, &line);
        }
        self.say(slot, &[("Event", "ShowDialPlanComplete"), ("ActionID", id), ("EventList", "Complete")]);
    }
}
