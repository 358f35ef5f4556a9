//! A pretended Asterisk: enough of one to log in, answer questions and carry out orders, with the server's own words.
//!
//! Its channels can also be moved by a recorded session ([`Pretend::observe`]), so that questions are answered as the
//! recorded server would have done.

pub(crate) mod rooms;

use std::collections::{BTreeMap, VecDeque};

use self::rooms::Room;
use super::transcript::value;
use crate::asterisk::machine::{COMMANDS, STREAM, WATCH};

/// One channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) state: u8,
    pub(crate) bridge: Option<String>,
    /// The bridge is a room.
    pub(crate) room: bool,
    pub(crate) recorders: u32,
    pub(crate) exten: String,
    pub(crate) number: String,
    pub(crate) variables: BTreeMap<String, String>,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Pretend {
    pub(crate) channels: BTreeMap<String, Channel>,
    /// Whether call events go over ARI.
    pub(crate) ari: bool,
    /// Whether it carries out orders itself.
    pub(crate) acts: bool,
    /// Whether it says that it has booted, which a user without the right never hears.
    pub(crate) boots: bool,
    /// Actions that get no answer.
    pub(crate) deaf: Vec<&'static str>,
    /// Actions that are refused with these words.
    pub(crate) refuses: BTreeMap<&'static str, &'static str>,
    /// What it says, and where.
    pub(crate) out: VecDeque<(u8, Vec<u8>)>,
    pub(crate) boot: &'static str,
    pub(crate) greeting: &'static str,
    /// Every room there ever was, by its name without regard to case.
    pub(crate) rooms: BTreeMap<String, Room>,
    /// The dialplan has no rooms.
    pub(crate) roomless: bool,
    /// A channel stays on its way to a room until it is told to arrive.
    pub(crate) late_rooms: bool,
    pub(crate) on_its_way: Option<(String, String)>,
    /// Whether its recorders do what they say.
    pub(crate) records: bool,
    /// What a question for a variable is answered with, instead of its value.
    pub(crate) junk: Option<&'static str>,
    pub(crate) globals: BTreeMap<String, String>,
    /// Whether it refuses calls from outside; `None` if it knows no maintenance mode.
    pub(crate) maintenance: Option<bool>,
    /// Whether the context for a drain is there, and whether it is called.
    pub(crate) inbound: bool,
    pub(crate) called: bool,
    /// It tells its events to nobody but the right to act is there.
    pub(crate) mute: bool,
    bridges: u32,
}

type Fields<'a> = [(&'a str, &'a str)];

impl Pretend {
    pub(crate) fn new(ari: bool) -> Self {
        Self {
            channels: BTreeMap::new(),
            ari,
            acts: true,
            boots: true,
            deaf: Vec::new(),
            refuses: BTreeMap::new(),
            out: VecDeque::new(),
            boot: "08:03:18",
            greeting: "Asterisk Call Manager/11.0.0\r\n",
            rooms: BTreeMap::new(),
            roomless: false,
            late_rooms: false,
            on_its_way: None,
            records: true,
            junk: None,
            globals: BTreeMap::new(),
            maintenance: Some(false),
            inbound: false,
            called: false,
            mute: false,
            bridges: 0,
        }
    }

    pub(crate) fn greet(&mut self, slot: u8) {
        self.out.push_back((slot, self.greeting.as_bytes().to_vec()));
    }

    pub(crate) fn say(&mut self, slot: u8, fields: &Fields<'_>) {
        let text: String = fields.iter().map(|(key, value)| format!("{key}: {value}\r\n")).collect();
        self.out.push_back((slot, format!("{text}\r\n").into_bytes()));
    }

    fn success(&mut self, slot: u8, id: &str, more: &Fields<'_>) {
        self.say(slot, &[&[("Response", "Success"), ("ActionID", id)], more].concat());
    }

    fn error(&mut self, slot: u8, id: &str, text: &str) {
        self.say(slot, &[("Response", "Error"), ("ActionID", id), ("Message", text)]);
    }

    /// Takes one action.
    pub(crate) fn take(&mut self, slot: u8, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let (name, id) = (get("Action"), get("ActionID"));
        if self.deaf.iter().any(|deaf| *deaf == name) {
            return;
        }
        if let Some(words) = self.refuses.get(name.as_str()) {
            return self.error(slot, &id, words);
        }
        match name.as_str() {
            "Challenge" => self.success(slot, &id, &[("Challenge", "133931486")]),
            "Login" => {
                self.success(slot, &id, &[("Message", "Authentication accepted")]);
                if self.boots && get("Events").contains("system") && !self.mute {
                    self.say(slot, &[("Event", "FullyBooted"), ("Status", "Fully Booted")]);
                }
            }
            "Filter" | "Events" | "MuteAudio" | "PlayDTMF" => self.success(slot, &id, &[]),
            "Ping" => self.success(slot, &id, &[("Ping", "Pong")]),
            "CoreSettings" => {
                self.success(slot, &id, &[("AsteriskVersion", "22.10.1+dfsg"), ("CoreMaxCalls", "0")]);
            }
            "CoreStatus" => {
                let calls = self.channels.len().to_string();
                let boot = self.boot;
                let more = [
                    ("CoreStartupDate", "2026-11-24"),
                    ("CoreStartupTime", boot),
                    ("CoreCurrentCalls", &*calls),
                ];
                self.success(slot, &id, &more);
            }
            "Status" => self.status(slot, &id, &get("Channel")),
            "ListCommands" => {
                let mut names = vec![
                    "Bridge",
                    "CoreStatus",
                    "Filter",
                    "Getvar",
                    "Hangup",
                    "MuteAudio",
                    "Originate",
                    "PlayDTMF",
                    "Setvar",
                    "ShowDialPlan",
                    "StopMixMonitor",
                ];
                names.extend(self.maintenance.map(|_| "PJSIPSetMaintenance"));
                let more: Vec<_> = names.into_iter().map(|name| (name, "x  (Priv: call,all)")).collect();
                self.success(slot, &id, &more);
            }
            "ShowDialPlan" if get("Extension").is_empty() => {
                self.whole_dialplan(slot, &id, &get("Context"));
            }
            "ShowDialPlan" => self.dialplan(slot, &id, &get("Extension")),
            "PJSIPSetMaintenance" => self.maintain(slot, &id, action),
            "Getvar" => self.getvar(slot, &id, action),
            "Setvar" => self.setvar(slot, &id, action),
            "UserEvent" => {
                self.success(slot, &id, &[("Message", "Event Sent")]);
                self.say(
                    WATCH,
                    &[("Event", "UserEvent"), ("UserEvent", "IfbusMarker"), ("Marker", &get("Marker"))],
                );
            }
            _ if !self.acts => {}
            "Originate" => self.originate(slot, &id, action),
            "Bridge" => self.bridge(slot, &id, &get("Channel1"), &get("Channel2")),
            "Redirect" if get("ExtraChannel").is_empty() => self.redirect_one(slot, &id, action),
            "Redirect" => self.redirect(slot, &id, action),
            "MixMonitor" => self.mix_monitor(slot, &id, action),
            "StopMixMonitor" => self.stop_mix_monitor(slot, &id, action),
            "Hangup" => {
                if self.channels.contains_key(&get("Channel")) {
                    self.success(slot, &id, &[("Message", "Channel Hungup")]);
                    self.hang_up(&get("Channel"), 16, true);
                } else {
                    self.error(slot, &id, "No such channel");
                }
            }
            "Logoff" => {}
            other => panic!("the adapter sent {other}, which nobody told the pretended server"),
        }
    }

    // ---- questions -------------------------------------------------------------------------------------------------

    fn status(&mut self, slot: u8, id: &str, channel: &str) {
        if !channel.is_empty() && !self.channels.contains_key(channel) {
            return self.error(slot, id, "No such channel");
        }
        self.success(slot, id, &[("EventList", "start"), ("Message", "Channel status will follow")]);
        let mut count = 0;
        for (native, known) in self.channels.clone() {
            if !channel.is_empty() && channel != native {
                continue;
            }
            count += 1;
            let on_its_way = self.on_its_way.as_ref().is_some_and(|(way, _)| *way == native);
            let settled = known.bridge.is_none() && known.state == 6 && !on_its_way;
            let rooms = known.room || on_its_way;
            let data = known.exten.strip_prefix("conf-").unwrap_or("").to_owned() + ",x";
            let state = known.state.to_string();
            let variables: Vec<String> =
                known.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut fields = vec![
                ("Event", "Status"),
                ("Privilege", "Call"),
                ("Channel", &*known.name),
                ("ChannelState", &*state),
                ("CallerIDNum", &*known.number),
                ("Context", "ifbus"),
                ("Exten", &*known.exten),
                ("Priority", if settled || rooms { "2" } else { "1" }),
                ("Uniqueid", &*native),
                ("Linkedid", &*native),
                ("BridgeID", known.bridge.as_deref().unwrap_or("")),
                (
                    "Application",
                    match (settled, known.exten.as_str()) {
                        // as 16 says it before the channel is inside
                        _ if rooms => "ConfBridge",
                        (false, _) => "(null)",
                        (true, "hold") => "MusicOnHold",
                        (true, _) => "Wait",
                    },
                ),
                ("Data", if rooms { &*data } else { "150" }),
                ("Seconds", "7"),
            ];
            fields.extend(variables.iter().map(|line| ("Variable", line.as_str())));
            fields.push(("ActionID", id));
            self.say(slot, &fields);
        }
        let items = count.to_string();
        let end = [
            ("Event", "StatusComplete"),
            ("ActionID", id),
            ("EventList", "Complete"),
            ("ListItems", &*items),
        ];
        self.say(slot, &end);
    }

    fn dialplan(&mut self, slot: u8, id: &str, exten: &str) {
        let steps: &[&str] = match exten {
            "wait" => &["Answer", "Wait", "Hangup"],
            "ringback" => &["Answer", "Playtones", "Wait", "Hangup"],
            "_co[n]f-." if !self.roomless => &["Answer", "Set", "Set", "Set", "ConfBridge", "Hangup"],
            _ => return self.error(slot, id, "Did not find extension hold@ifbus"),
        };
        self.success(slot, id, &[("EventList", "start")]);
        for step in steps {
            self.say(slot, &[("Event", "ListDialplan"), ("ActionID", id), ("Application", step)]);
        }
        self.say(slot, &[("Event", "ShowDialPlanComplete"), ("ActionID", id), ("EventList", "Complete")]);
    }

    // ---- orders ----------------------------------------------------------------------------------------------------

    fn originate(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let (native, target) = (get("ChannelId"), get("Channel"));
        self.success(slot, id, &[("Message", "Originate successfully queued")]);
        if !(target.starts_with("PJSIP/") || target.starts_with("SIP/"))
            || target.contains("gone")
            || self.channels.contains_key(&native)
        {
            return self.originated(id, &native, "Failure", "0");
        }
        let text = String::from_utf8_lossy(action).into_owned();
        let variables = text
            .split("\r\n")
            .filter_map(|line| line.strip_prefix("Variable: __")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let name = format!("{target}-{:08x}", self.channels.len());
        let exten = get("Exten");
        let channel = Channel { name, exten, variables: variables.collect(), ..Channel::default() };
        self.channels.insert(native.clone(), channel);
        self.fact("ChannelCreated", "Newchannel", &native);
        if target.contains("busy") {
            self.hang_up(&native, 17, false);
            return self.originated(id, &native, "Failure", "0");
        }
        self.state(&native, 5);
        if !target.contains("ring") {
            self.state(&native, 6);
            self.originated(id, &native, "Success", "4");
        }
    }

    fn originated(&mut self, id: &str, native: &str, response: &str, reason: &str) {
        if self.mute {
            return;
        }
        let fields = [
            ("Event", "OriginateResponse"),
            ("ActionID", id),
            ("Response", response),
            ("Reason", reason),
            ("Uniqueid", native),
        ];
        self.say(COMMANDS, &fields);
    }

    fn bridge(&mut self, slot: u8, id: &str, a: &str, b: &str) {
        for (place, native) in [("Channel1", a), ("Channel2", b)] {
            if !self.channels.contains_key(native) {
                return self.error(slot, id, &format!("{place} does not exist: {native}"));
            }
        }
        let of = |native: &str| self.channels[native].bridge.clone();
        assert!(of(a).is_none() || of(a) != of(b), "the adapter bridged a pair that is bridged");
        assert!(self.channels[a].state == 6 && self.channels[b].state == 6, "a ringing leg was bridged");
        self.success(slot, id, &[("Message", "Channels have been bridged")]);
        self.bridges += 1;
        let bridge = format!("bridge-{}", self.bridges);
        for native in [a, b] {
            let released = self.leave(native);
            self.channels.get_mut(native).expect("it exists").bridge = Some(bridge.clone());
            self.fact("ChannelEnteredBridge", "BridgeEnter", native);
            for partner in released {
                self.hang_up(&partner, 16, true);
            }
        }
    }

    fn redirect(&mut self, slot: u8, id: &str, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        for key in ["Channel", "ExtraChannel"] {
            if !self.channels.contains_key(&get(key)) {
                return self.error(slot, id, &format!("{key} does not exist: {}", get(key)));
            }
        }
        self.success(slot, id, &[("Message", "Dual Redirect successful")]);
        for (channel, exten) in [("Channel", "Exten"), ("ExtraChannel", "ExtraExten")] {
            self.leave(&get(channel));
            self.channels.get_mut(&get(channel)).expect("it exists").exten = get(exten);
        }
    }

    // ---- facts -----------------------------------------------------------------------------------------------------

    pub(crate) fn state(&mut self, native: &str, state: u8) {
        self.channels.get_mut(native).expect("it exists").state = state;
        self.fact("ChannelStateChange", "Newstate", native);
    }

    /// Takes a channel out of its bridge; who was with it is alone now.
    fn leave(&mut self, native: &str) -> Vec<String> {
        let Some(bridge) = self.channels.get(native).and_then(|channel| channel.bridge.clone()) else {
            return Vec::new();
        };
        self.fact("ChannelLeftBridge", "BridgeLeave", native);
        self.channels.get_mut(native).expect("it exists").bridge = None;
        let alone = self.channels.iter().filter(|(_, channel)| channel.bridge.as_ref() == Some(&bridge));
        alone.map(|(native, _)| native.clone()).collect()
    }

    pub(crate) fn hang_up(&mut self, native: &str, cause: u8, soft: bool) {
        let roomed = self.channels.get(native).is_some_and(|channel| channel.room);
        let partners = self.leave(native);
        let cause = cause.to_string();
        if self.ari {
            let soft = if soft { ",\"soft\":true" } else { "" };
            self.json(&format!(
                "{{\"type\":\"ChannelHangupRequest\",\"cause\":{cause}{soft},\"channel\":{{\"id\":\"{native}\"}}}}"
            ));
            self.json(&format!(
                "{{\"type\":\"ChannelDestroyed\",\"cause\":{cause},\"cause_txt\":\"x\",\
                 \"channel\":{{\"id\":\"{native}\",\"state\":\"Up\"}}}}"
            ));
        } else {
            let request = if soft { "SoftHangupRequest" } else { "HangupRequest" };
            self.event(request, native, &[("Cause", &cause)]);
            self.event("Hangup", native, &[("Cause", &cause), ("Cause-txt", "x")]);
        }
        self.channels.remove(native);
        for partner in partners.into_iter().filter(|_| !roomed) {
            self.hang_up(&partner, 16, true);
        }
    }

    /// Tells what a channel is like now, under the names ARI and AMI have for the occasion.
    fn fact(&mut self, ari: &str, ami: &str, native: &str) {
        let channel = self.channels[native].clone();
        let state = match channel.state {
            5 => "Ringing",
            6 => "Up",
            _ => "Down",
        };
        if self.ari {
            let bridge = channel.bridge.clone().map_or_else(String::new, |bridge| {
                let inside = self.channels.iter().filter(|(_, other)| other.bridge.as_ref() == Some(&bridge));
                let ids: Vec<String> = inside.map(|(id, _)| format!("\"{id}\"")).collect();
                let origin = self.origin(&bridge);
                format!(",\"bridge\":{{\"id\":\"{bridge}\"{origin},\"channels\":[{}]}}", ids.join(","))
            });
            self.json(&format!(
                "{{\"type\":\"{ari}\",\"channel\":{{\"id\":\"{native}\",\"state\":\"{state}\"}}{bridge}}}"
            ));
        } else {
            let bridge = channel.bridge.unwrap_or_default();
            self.event(ami, native, &[("BridgeUniqueid", &bridge)]);
        }
    }

    fn event(&mut self, name: &str, native: &str, more: &Fields<'_>) {
        let Some(channel) = self.channels.get(native).cloned() else { return };
        let state = channel.state.to_string();
        let head = [
            ("Event", name),
            ("Privilege", "call,all"),
            ("Channel", &*channel.name),
            ("ChannelState", &*state),
            ("CallerIDNum", &*channel.number),
            ("Uniqueid", native),
            ("Linkedid", native),
        ];
        self.say(WATCH, &[&head[..], more].concat());
    }

    pub(crate) fn json(&mut self, text: &str) {
        self.out.push_back((STREAM, text.as_bytes().to_vec()));
    }

    // ---- recorded sessions -----------------------------------------------------------------------------------------

    /// Does to its channels what a recorded event says was done to the real ones.
    pub(crate) fn observe(&mut self, message: &[u8]) {
        let get = |key: &str| value(message, key).unwrap_or_default();
        let (event, native) = (get("Event"), get("Uniqueid"));
        if native.is_empty() {
            return;
        }
        if event == "Hangup" {
            self.channels.remove(&native);
            return;
        }
        let channel = match event.as_str() {
            "Newchannel" => self.channels.entry(native).or_default(),
            _ => match self.channels.get_mut(&native) {
                Some(channel) => channel,
                None => return,
            },
        };
        channel.name = get("Channel");
        channel.exten = get("Exten");
        channel.number = get("CallerIDNum");
        channel.state = get("ChannelState").parse().unwrap_or(channel.state);
        match event.as_str() {
            "BridgeEnter" => channel.bridge = Some(get("BridgeUniqueid")),
            "BridgeLeave" => channel.bridge = None,
            _ => {}
        }
    }
}
