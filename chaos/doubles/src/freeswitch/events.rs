//! What happened, and how it is written: JSON, or lines with escapes, as the connection wants it.
//!
//! Names and their order are those of the recordings; values that mean nothing to a client are left out.

use std::fmt::Write as _;
use std::time::Duration;

use super::leg::{Leg, Stage};
use super::world::World;

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) subclass: Option<&'static str>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// A JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

impl Event {
    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// One object, without blanks.
    pub(super) fn json(&self) -> String {
        let mut text = String::from("{");
        for (name, value) in &self.headers {
            let _ = write!(text, "{}:{},", json(name), json(value));
        }
        if let Some(body) = &self.body {
            let _ = write!(text, "\"Content-Length\":\"{}\",\"_body\":{},", body.len(), json(body));
        }
        text.pop();
        text.push('}');
        text
    }

    /// Lines with escapes; the body, if there is one, with a length of its own and as it is.
    pub(super) fn plain(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.headers {
            let _ = writeln!(text, "{name}: {}", escaped(value));
        }
        if let Some(body) = &self.body {
            let _ = write!(text, "Content-Length: {}\n\n{body}", body.len());
        } else {
            text.push('\n');
        }
        text
    }
}

/// Blanks, percent signs and everything that is not printable or means something in a line.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b',' | b'/' | b'@' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

impl World {
    /// Microseconds since 1970; the server's clock has steps of 20 ms.
    pub(super) fn stamp(&self, at: Duration) -> u128 {
        u128::from(self.options.wall) * 1_000_000 + at.as_micros() / 20_000 * 20_000
    }

    /// An event with what every event has.
    pub(super) fn event(&mut self, name: &'static str) -> Event {
        self.sequence += 1;
        let mut event = Event { name, subclass: None, headers: vec![], body: None }
            .with("Event-Name", name)
            .with("Core-UUID", &self.core)
            .with("FreeSWITCH-Hostname", "vm")
            .with("FreeSWITCH-Switchname", "lab")
            .with("FreeSWITCH-IPv4", "127.0.0.1")
            .with("Event-Date-Timestamp", self.stamp(self.now))
            .with("Event-Sequence", self.sequence);
        event.headers.shrink_to_fit();
        event
    }

    /// The description of a leg, with all its variables or without.
    pub(super) fn about(&self, mut event: Event, leg: &Leg, variables: bool) -> Event {
        let time = |at: Option<Duration>| at.map_or(0, |at| self.stamp(at));
        event = event
            .with("Channel-State", leg.state)
            .with("Channel-Call-State", leg.call_state())
            .with("Channel-Name", &leg.name)
            .with("Unique-ID", &leg.uuid)
            .with("Call-Direction", if leg.inbound { "inbound" } else { "outbound" })
            .with("Channel-HIT-Dialplan", !leg.app.0.is_empty())
            .with("Channel-Call-UUID", &leg.uuid)
            .with("Answer-State", leg.answer_state());
        if !leg.dialplan.is_empty() {
            event = event.with("Caller-Dialplan", leg.dialplan);
        }
        event = event
            .with("Caller-Caller-ID-Name", &leg.caller)
            .with("Caller-Caller-ID-Number", &leg.caller)
            .with("Caller-Destination-Number", &leg.dest)
            .with("Caller-Unique-ID", &leg.uuid)
            .with("Caller-Context", "default")
            .with("Caller-Channel-Name", &leg.name)
            .with("Caller-Channel-Created-Time", self.stamp(leg.created))
            .with("Caller-Channel-Answered-Time", time(leg.answered))
            .with("Caller-Channel-Progress-Time", time(leg.rang));
        let other = leg.partner.as_ref().or(leg.dialed_by.as_ref());
        if let Some(other) = other.and_then(|uuid| self.legs.get(uuid)) {
            event = event
                .with("Other-Leg-Direction", if other.inbound { "inbound" } else { "outbound" })
                .with("Other-Leg-Destination-Number", &other.dest)
                .with("Other-Leg-Unique-ID", &other.uuid);
        }
        if !variables {
            return event;
        }
        let direction = if leg.inbound { "inbound" } else { "outbound" };
        event = event.with("variable_direction", direction).with("variable_uuid", &leg.uuid);
        for (name, value) in &leg.variables {
            event = event.with(&format!("variable_{name}"), value);
        }
        if leg.stage != Stage::Dialing || leg.refused.is_some() || leg.inbound {
            event =
                event.with("variable_sip_network_ip", "127.0.0.1").with("variable_sip_network_port", 5060);
        }
        if !leg.disposition.is_empty() {
            event = event.with("variable_endpoint_disposition", leg.disposition);
        }
        let partner = leg.partner.as_deref().unwrap_or_default();
        let shown = [
            ("current_application", leg.app.0.as_str()),
            ("current_application_data", leg.app.1.as_str()),
            ("bridge_uuid", partner),
            ("signal_bond", partner),
        ];
        for (name, value) in shown.into_iter().filter(|(_, value)| !value.is_empty()) {
            event = event.with(&format!("variable_{name}"), value);
        }
        event
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// An event about a leg, with all its variables.
    pub(super) fn leg_event(&mut self, name: &'static str, uuid: &str) -> Option<Event> {
        let event = self.event(name);
        Some(self.about(event, self.legs.get(uuid)?, true))
    }

    pub(super) fn tell_of(&mut self, name: &'static str, uuid: &str) {
        if let Some(event) = self.leg_event(name, uuid) {
            self.tell(event);
        }
    }

    /// CHANNEL_BRIDGE or CHANNEL_UNBRIDGE, about the first of the two.
    pub(super) fn bridge_event(&mut self, name: &'static str, a: &str, b: &str) -> Option<Event> {
        let event = self.event(name).with("Bridge-A-Unique-ID", a).with("Bridge-B-Unique-ID", b);
        Some(self.about(event, self.legs.get(a)?, true))
    }

    /// The end of a job. It is told to everybody who hears of jobs.
    pub(super) fn job_done(&mut self, job: &str, body: &str) {
        let mut event = self.event("BACKGROUND_JOB").with("Job-UUID", job);
        event.body = Some(body.to_owned());
        self.tell(event);
    }

    pub(super) fn heartbeat(&mut self) {
        let uptime = (self.now.saturating_sub(self.booted)).as_millis();
        let (legs, ever) = (self.legs.len(), self.sessions_ever);
        let event = self
            .event("HEARTBEAT")
            .with("Event-Info", "System Ready")
            .with("FreeSWITCH-Version", self.options.profile.version)
            .with("Uptime-msec", uptime)
            .with("Session-Count", legs)
            .with("Max-Sessions", self.options.sessions_max)
            .with("Session-Per-Sec", self.options.per_second)
            .with("Session-Since-Startup", ever)
            .with("Idle-CPU", "90.000000");
        self.tell(event);
    }

    pub(super) fn say_shutdown(&mut self) {
        let event = self.event("SHUTDOWN").with("Event-Info", "System Shutting Down");
        self.tell(event);
    }

    /// An event of a conference; about a member, if there is one.
    pub(super) fn room_event(&mut self, action: &str, room: &str, member: Option<(u64, &str)>) {
        let (id, size) =
            self.rooms.get(room).map_or((String::new(), 0), |room| (room.id.clone(), room.members.len()));
        let mut event = self
            .event("CUSTOM")
            .with("Event-Subclass", "conference::maintenance")
            .with("Conference-Name", room)
            .with("Conference-Size", size)
            .with("Conference-Profile-Name", "default")
            .with("Conference-Unique-ID", id);
        event.subclass = Some("conference::maintenance");
        if let Some((number, leg)) = member.and_then(|(number, uuid)| Some((number, self.legs.get(uuid)?))) {
            event = self.about(event, leg, false).with("Member-ID", number).with("Member-Type", "member");
        }
        self.tell(event.with("Action", action));
    }
}
