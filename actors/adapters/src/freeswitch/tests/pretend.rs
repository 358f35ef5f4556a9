//! A server that does what it is told at once, in the words of the sheet; what it is to do otherwise, a test says.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use crate::freeswitch::machine::{COMMANDS, EVENTS};

/// One leg of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Leg {
    pub(super) up: bool,
    pub(super) partner: Option<String>,
    pub(super) room: Option<String>,
    pub(super) parked: bool,
    pub(super) app: (String, String),
    pub(super) dialplan: &'static str,
    pub(super) dest: String,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) recording: Option<String>,
}

/// The server.
#[derive(Debug, Default)]
pub(super) struct Pretend {
    pub(super) legs: BTreeMap<String, Leg>,
    pub(super) out: VecDeque<(u8, Vec<u8>)>,
    pub(super) core: String,
    pub(super) rights: Option<&'static str>,
    pub(super) password: &'static str,
    /// Commands whose answer is another one than usual, by their first words.
    pub(super) says: BTreeMap<&'static str, &'static str>,
    /// Commands that are answered and not carried out.
    pub(super) idle: Vec<&'static str>,
    /// Commands that are not answered at all.
    pub(super) mute: Vec<&'static str>,
    /// Phones that refuse, with their cause.
    pub(super) refuse: Option<&'static str>,
    pub(super) paused: bool,
    /// What `system` gives.
    pub(super) file: Vec<u8>,
}

pub(super) fn event_frame(json: &str) -> Vec<u8> {
    format!("Content-Length: {}\nContent-Type: text/event-json\n\n{json}", json.len()).into_bytes()
}

fn response(body: &str) -> Vec<u8> {
    format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len()).into_bytes()
}

fn reply(text: &str) -> Vec<u8> {
    format!("Content-Type: command/reply\nReply-Text: {text}\n\n").into_bytes()
}

impl Pretend {
    pub(super) fn new() -> Self {
        Self { core: "core-1".into(), password: "ifbus-secret", ..Self::default() }
    }

    pub(super) fn greet(&mut self, slot: u8) {
        self.out.push_back((slot, b"Content-Type: auth/request\n\n".to_vec()));
    }

    /// An event about a leg.
    pub(super) fn tell(&mut self, name: &str, uuid: &str, more: &[(&str, &str)]) {
        let mut json = format!("{{\"Event-Name\":\"{name}\",\"Unique-ID\":\"{uuid}\"");
        let leg = self.legs.get(uuid).cloned().unwrap_or_default();
        for (key, value) in &leg.variables {
            let _ = write!(json, ",\"variable_{key}\":\"{value}\"");
        }
        for (key, value) in more {
            let _ = write!(json, ",\"{key}\":\"{value}\"");
        }
        json.push('}');
        self.out.push_back((EVENTS, event_frame(&json)));
    }

    pub(super) fn bridge(&mut self, name: &str, a: &str, b: &str) {
        self.tell(name, a, &[("Bridge-A-Unique-ID", a), ("Bridge-B-Unique-ID", b)]);
    }

    pub(super) fn end(&mut self, uuid: &str, cause: &str, more: &[(&str, &str)]) {
        let Some(leg) = self.legs.get(uuid).cloned() else { return };
        let all: Vec<(&str, &str)> =
            [("Hangup-Cause", cause)].into_iter().chain(more.iter().copied()).collect();
        self.tell("CHANNEL_HANGUP_COMPLETE", uuid, &all);
        self.legs.remove(uuid);
        if let Some(partner) = leg.partner {
            self.bridge("CHANNEL_UNBRIDGE", &partner, uuid);
            if let Some(other) = self.legs.get_mut(&partner) {
                other.partner = None;
            }
            let stays = self
                .legs
                .get(&partner)
                .is_some_and(|other| other.variables.contains_key("park_after_bridge"));
            if stays {
                self.park(&partner);
            } else {
                self.end(&partner, "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "send_bye")]);
            }
        }
    }

    pub(super) fn park(&mut self, uuid: &str) {
        if let Some(leg) = self.legs.get_mut(uuid) {
            leg.parked = true;
            leg.room = None;
            leg.app = ("park".into(), String::new());
            self.tell("CHANNEL_PARK", uuid, &[]);
        }
    }

    /// Takes one command.
    pub(super) fn take(&mut self, slot: u8, text: &str) {
        let (line, rest) = text.split_once('\n').expect("a command ends with a blank line");
        if self.mute.iter().any(|words| line.starts_with(words)) {
            return;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let said = self.says.iter().find(|(words, _)| line.starts_with(**words)).map(|(_, said)| *said);
        match (words.as_slice(), said) {
            (["bgapi", ..], None) => {
                let job = rest.trim().trim_start_matches("Job-UUID: ").to_owned();
                self.out.push_back((slot, reply(&format!("+OK Job-UUID: {job}\nJob-UUID: {job}"))));
                self.job(&words[1..], &job);
            }
            (["api", ..], None) => {
                let body = self.api(&words[1..]);
                self.out.push_back((slot, response(&body)));
            }
            (["api", ..], Some("-ERR permission denied")) => {
                self.out.push_back((slot, reply("-ERR permission denied")));
            }
            (["api", ..], Some(said)) => self.out.push_back((slot, response(said))),
            (_, Some(said)) => self.out.push_back((slot, reply(said))),
            (["auth", given], None) if *given == self.password => {
                self.out.push_back((slot, reply("+OK accepted")));
            }
            (["userauth", _], None) => {
                let rights =
                    self.rights.map(|rights| format!("\nAllowed-Events: all\nAllowed-API: {rights}"));
                self.out.push_back((slot, reply(&format!("+OK accepted{}", rights.unwrap_or_default()))));
            }
            (["auth", _], None) => self.out.push_back((slot, reply("-ERR invalid"))),
            (["event", ..], None) => self.out.push_back((slot, reply("+OK event listener enabled json"))),
            _ => {}
        }
    }

    fn job(&mut self, words: &[&str], job: &str) {
        let body = match words {
            ["echo", word] => (*word).to_owned(),
            ["originate", dial, _] => match self.originate(dial) {
                Some(body) => body,
                None => return,
            },
            _ => "-ERR no".to_owned(),
        };
        self.job_ends(job, &body);
    }

    pub(super) fn job_ends(&mut self, job: &str, body: &str) {
        let json =
            format!("{{\"Event-Name\":\"BACKGROUND_JOB\",\"Job-UUID\":\"{job}\",\"_body\":\"{body}\\n\"}}");
        self.out.push_back((EVENTS, event_frame(&json)));
    }

    fn originate(&mut self, dial: &str) -> Option<String> {
        if self.idle.contains(&"originate") {
            return None;
        }
        let (inside, destination) = dial.trim_start_matches('{').split_once('}')?;
        let pairs = inside.split(',').filter_map(|pair| pair.split_once('='));
        let variables: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
        let uuid = variables.get("origination_uuid")?.clone();
        if let Some(cause) = self.refuse.filter(|cause| cause.starts_with('-')) {
            return Some(format!("-ERR {}", &cause[1..]));
        }
        let dest = destination.rsplit('/').next()?.to_owned();
        self.legs.insert(uuid.clone(), Leg { variables, dest, ..Leg::default() });
        self.tell("CHANNEL_CREATE", &uuid, &[]);
        self.tell("CHANNEL_PROGRESS", &uuid, &[]);
        if let Some(cause) = self.refuse {
            let said = [
                ("variable_sip_hangup_disposition", "recv_refuse"),
                ("variable_sip_term_status", "486"),
                ("variable_sip_network_ip", "192.0.2.1"),
            ];
            self.end(&uuid, cause, &said);
            return Some(format!("-ERR {cause}"));
        }
        if let Some(leg) = self.legs.get_mut(&uuid) {
            leg.up = true;
        }
        self.tell("CHANNEL_ANSWER", &uuid, &[]);
        self.park(&uuid);
        Some(format!("+OK {uuid}"))
    }

    fn api(&mut self, words: &[&str]) -> String {
        let idle = self.idle.iter().any(|word| words[0] == *word);
        let exists = words.get(1).is_some_and(|uuid| self.legs.contains_key(*uuid));
        match words {
            ["json", _] => "{\"response\":{\"version\":\"1.10.12 git abc\",\"sessions\":{\"count\":{\"total\":9,\"active\":2,\
                            \"limit\":1000}}}}"
                .into(),
            ["global_getvar", "core_uuid"] => self.core.clone(),
            ["global_getvar", _] => "/rec".into(),
            ["echo", word] => (*word).into(),
            ["module_exists", _] => "true".into(),
            ["show", "channels", "count", ..] => "{\"row_count\":0,\"rows\":[]}".into(),
            ["show", ..] => self.list(),
            ["uuid_dump", uuid, "json"] => self.dump(uuid).unwrap_or_else(|| "-ERR No such channel!\n".into()),
            ["fsctl", "pause_check", "inbound"] => self.paused.to_string(),
            ["fsctl", word, "inbound"] => {
                self.paused = *word == "pause";
                "+OK\n".into()
            }
            ["sched_hangup" | "sched_del", ..] => "+OK\n".into(),
            ["system", ..] => self.system(words),
            _ if !exists => "-ERR No such channel!\n".into(),
            _ if idle => "+OK\n".into(),
            _ => self.on_leg(words),
        }
    }

    fn on_leg(&mut self, words: &[&str]) -> String {
        match words {
            ["uuid_bridge", a, b] => {
                self.joins(a, b);
                return format!("+OK {b}\n");
            }
            ["uuid_transfer", uuid, "-both", "park", "inline"] => {
                let partner = self.legs.get_mut(*uuid).and_then(|leg| leg.partner.take());
                if let Some(partner) = partner {
                    self.bridge("CHANNEL_UNBRIDGE", uuid, &partner);
                    if let Some(leg) = self.legs.get_mut(&partner) {
                        leg.partner = None;
                    }
                    self.park(&partner);
                }
                self.park(uuid);
            }
            ["uuid_transfer", uuid, "park", "inline"] => {
                self.member(uuid, "del-member");
                self.park(uuid);
            }
            ["uuid_transfer", uuid, place, "inline"] => {
                let room = place.trim_start_matches("conference:").to_owned();
                if let Some(leg) = self.legs.get_mut(*uuid) {
                    leg.room = room.split('@').next().map(str::to_owned);
                    leg.app = ("conference".into(), room);
                    leg.parked = false;
                }
                self.member(uuid, "add-member");
            }
            ["uuid_kill", uuid, cause] => {
                self.end(uuid, cause, &[("variable_sip_hangup_disposition", "send_bye")]);
            }
            ["uuid_getvar", uuid, name] => {
                return self.legs[*uuid].variables.get(*name).cloned().unwrap_or_else(|| "_undef_".into());
            }
            ["uuid_setvar", uuid, name, value @ ..] => {
                if let Some(leg) = self.legs.get_mut(*uuid) {
                    match value {
                        [value] => drop(leg.variables.insert((*name).to_owned(), (*value).to_owned())),
                        _ => drop(leg.variables.remove(*name)),
                    }
                }
            }
            ["uuid_record", uuid, what, path] => {
                let begins = *what == "start";
                if let Some(leg) = self.legs.get_mut(*uuid) {
                    leg.recording = begins.then(|| (*path).to_owned());
                }
                let name = if begins { "RECORD_START" } else { "RECORD_STOP" };
                self.tell(name, uuid, &[("Record-File-Path", path)]);
            }
            ["uuid_buglist", uuid] => {
                let target = self.legs[*uuid].recording.clone().unwrap_or_default();
                return format!("<media-bugs>\n<target>{target}</target>\n</media-bugs>\n");
            }
            ["uuid_broadcast", uuid, sound, _] => {
                if let Some(leg) = self.legs.get_mut(*uuid) {
                    leg.app = ("playback".into(), (*sound).to_owned());
                }
            }
            _ => {}
        }
        "+OK\n".into()
    }

    fn member(&mut self, uuid: &str, action: &str) {
        let room = self.legs.get(uuid).and_then(|leg| leg.room.clone()).unwrap_or_default();
        let more = [
            ("Event-Subclass", "conference::maintenance"),
            ("Action", action),
            ("Conference-Name", room.as_str()),
        ];
        self.tell("CUSTOM", uuid, &more);
    }

    fn joins(&mut self, a: &str, b: &str) {
        for (leg, other) in [(a, b), (b, a)] {
            let before = self.legs.get_mut(leg).and_then(|leg| leg.partner.take());
            if let Some(before) = before.filter(|before| before != other) {
                self.bridge("CHANNEL_UNBRIDGE", leg, &before);
                let stays = self.legs.get_mut(&before).is_some_and(|known| {
                    known.partner = None;
                    known.variables.contains_key("park_after_bridge")
                });
                if stays {
                    self.park(&before);
                } else {
                    self.end(&before, "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "send_bye")]);
                }
            }
            if let Some(known) = self.legs.get_mut(leg) {
                known.partner = Some(other.to_owned());
                known.parked = false;
                known.app = ("uuid_bridge".into(), other.to_owned());
            }
        }
        self.bridge("CHANNEL_BRIDGE", a, b);
    }

    fn list(&self) -> String {
        if self.legs.is_empty() {
            return "{\"row_count\": 0}".into();
        }
        let rows: Vec<String> =
            self.legs.keys().map(|uuid| format!("{{\"uuid\":\"{uuid}\",\"dest\":\"x\"}}")).collect();
        format!("{{\"row_count\":{},\"rows\":[{}]}}", rows.len(), rows.join(","))
    }

    fn dump(&self, uuid: &str) -> Option<String> {
        let leg = self.legs.get(uuid)?;
        let state = if leg.partner.is_some() { "CS_SOFT_EXECUTE" } else { "CS_EXECUTE" };
        let answer = if leg.up { "answered" } else { "ringing" };
        let mut json = format!(
            "{{\"Event-Name\":\"CHANNEL_DATA\",\"Unique-ID\":\"{uuid}\",\"Channel-Name\":\"sofia/lab/{0}@h\",\
             \"Channel-State\":\"{state}\",\"Answer-State\":\"{answer}\",\"Channel-Call-State\":\"RINGING\",\
             \"Call-Direction\":\"outbound\",\"Caller-Destination-Number\":\"{0}\",\
             \"Event-Date-Timestamp\":\"5000000\",\"Caller-Channel-Created-Time\":\"2000000\"",
            leg.dest
        );
        if !leg.dialplan.is_empty() {
            let _ = write!(json, ",\"Caller-Dialplan\":\"{}\"", leg.dialplan);
        }
        let (app, data) = &leg.app;
        let partner = leg.partner.clone().unwrap_or_default();
        let shown =
            [("current_application", app), ("current_application_data", data), ("bridge_uuid", &partner)];
        for (key, value) in
            shown.into_iter().chain(leg.variables.iter().map(|(key, value)| (key.as_str(), value)))
        {
            let _ = write!(json, ",\"variable_{key}\":\"{value}\"");
        }
        json.push('}');
        Some(json)
    }

    fn system(&self, words: &[&str]) -> String {
        let number = |word: &str| word.trim_start_matches('+').parse::<usize>().expect("a number");
        let (from, length) = (number(words[3]), number(words[8]));
        let slice: Vec<u8> = self.file.iter().copied().skip(from - 1).take(length).collect();
        if slice.is_empty() { "-ERR no reply\n".into() } else { encoded(&slice) }
    }
}

/// Base64, written for the tests alone.
fn encoded(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut value = [0; 3];
        value[..three.len()].copy_from_slice(three);
        let value = u32::from_be_bytes([0, value[0], value[1], value[2]]);
        for place in 0..4 {
            let digit = DIGITS[(value >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// The commands that were sent, without the connection's own.
pub(super) fn commands(sent: &[(u8, String)]) -> Vec<&str> {
    sent.iter().filter(|(slot, _)| *slot == COMMANDS).filter_map(|(_, text)| text.lines().next()).collect()
}

impl Pretend {
    /// A leg ends because its phone has sent its partner elsewhere.
    pub(super) fn end_moved(&mut self, uuid: &str) {
        let partner = self.legs.get_mut(uuid).and_then(|leg| leg.partner.take());
        if let Some(partner) = partner {
            if let Some(leg) = self.legs.get_mut(&partner) {
                leg.partner = None;
                leg.app = ("bridge".into(), "user/1003".into());
                leg.dialplan = "XML";
                leg.dest = "1003".into();
            }
            self.bridge("CHANNEL_UNBRIDGE", uuid, &partner);
        }
        let more = [
            ("variable_sip_hangup_disposition", "send_bye"),
            ("variable_endpoint_disposition", "BLIND_TRANSFER"),
        ];
        self.end(uuid, "NORMAL_CLEARING", &more);
    }
}
