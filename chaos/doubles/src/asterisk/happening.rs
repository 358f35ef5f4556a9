//! What happened, encoded once for AMI and once for ARI. Who is told is decided by the sessions.

use std::sync::Arc;

use super::channels::{Bridge, Channel};
use super::world::World;

/// One event on the AMI side.
#[derive(Clone, Debug)]
pub(super) struct AmiEvent {
    /// Permission classes that may see it.
    pub(super) classes: &'static [&'static str],
    pub(super) text: Arc<str>,
}

/// One event on the ARI side, without the application's name and the closing brace.
#[derive(Clone, Debug)]
pub(super) struct AriEvent {
    pub(super) kind: &'static str,
    pub(super) body: Arc<str>,
}

/// One happening in both languages; either may have no word for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Happening {
    pub(super) ami: Option<AmiEvent>,
    pub(super) ari: Option<AriEvent>,
}

/// A JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

pub(super) const CALL: &[&str] = &["call"];
pub(super) const DIALPLAN: &[&str] = &["dialplan"];
pub(super) const DTMF: &[&str] = &["dtmf"];
pub(super) const SECURITY: &[&str] = &["security"];
pub(super) const SYSTEM: &[&str] = &["system"];
pub(super) const REPORTING: &[&str] = &["reporting"];

/// Stands for the application's name in a body that carries it in another place than the last.
pub(super) const NAME_HERE: &str = "\u{0}";

/// Builds one happening.
pub(super) struct Teller<'a> {
    world: &'a World,
    classes: &'static [&'static str],
    ami: String,
    ari: Option<(&'static str, String)>,
}

impl<'a> Teller<'a> {
    /// Begins an AMI event.
    pub(super) fn new(world: &'a World, classes: &'static [&'static str], event: &str) -> Self {
        let ami = format!(
            "Event: {event}\r\nPrivilege: {},all\r\nTimestamp: {}\r\nSystemName: lab\r\n",
            classes.join(","),
            world.clock.stamp(world.now)
        );
        Teller { world, classes, ami, ari: None }
    }

    /// Begins an event that carries no time.
    pub(super) fn bare(world: &'a World, classes: &'static [&'static str], event: &str) -> Self {
        let ami = format!("Event: {event}\r\nPrivilege: {},all\r\n", classes.join(","));
        Teller { world, classes, ami, ari: None }
    }

    pub(super) fn line(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.ami.push_str(&format!("{key}: {value}\r\n"));
        self
    }

    pub(super) fn maybe(self, key: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.line(key, value),
            None => self,
        }
    }

    pub(super) fn channel(mut self, channel: &Channel) -> Self {
        channel.headers("", &mut self.ami);
        self
    }

    /// A channel under a prefix of its keys.
    pub(super) fn party(mut self, prefix: &str, channel: &Channel) -> Self {
        channel.headers(prefix, &mut self.ami);
        self
    }

    pub(super) fn dest(self, channel: &Channel) -> Self {
        self.party("Dest", channel)
    }

    pub(super) fn bridge(mut self, prefix: &str, bridge: &Bridge) -> Self {
        bridge.headers(prefix, &mut self.ami);
        self
    }

    /// Says the same in ARI: `before` stands in front of `"type"`, as the real server puts causes of
    /// hang-up requests and variables.
    pub(super) fn ari(mut self, before: &str, kind: &'static str, after: &str) -> Self {
        let time = self.world.clock.iso(self.world.now);
        self.ari = Some((kind, format!("{{{before}\"type\":\"{kind}\",\"timestamp\":\"{time}\"{after}")));
        self
    }

    /// The ARI object of a channel under a key.
    pub(super) fn ari_channel(self, before: &str, kind: &'static str, more: &str, channel: &Channel) -> Self {
        let object = channel.ari(&self.world.clock, self.world.profile.tech_cause);
        self.ari(before, kind, &format!("{more},\"channel\":{object}"))
    }

    pub(super) fn told(mut self) -> Happening {
        self.ami.push_str("\r\n");
        Happening {
            ami: Some(AmiEvent { classes: self.classes, text: self.ami.into() }),
            ari: self.ari.map(|(kind, body)| AriEvent { kind, body: body.into() }),
        }
    }
}

/// The happenings of channels and bridges.
impl World {
    pub(super) fn newchannel(&self, channel: &Channel) -> Happening {
        Teller::new(self, CALL, "Newchannel")
            .channel(channel)
            .ari_channel("", "ChannelCreated", "", channel)
            .told()
    }

    pub(super) fn newstate(&self, channel: &Channel) -> Happening {
        Teller::new(self, CALL, "Newstate")
            .channel(channel)
            .ari_channel("", "ChannelStateChange", "", channel)
            .told()
    }

    /// DialBegin (no status), DialState or DialEnd.
    pub(super) fn dial(&self, event: &str, channel: &Channel, status: Option<&str>) -> Happening {
        let caller = channel.dialed_by.as_ref().and_then(|id| self.channels.get(id));
        let mut teller = Teller::new(self, CALL, event);
        if let Some(caller) = caller {
            teller = teller.channel(caller);
        }
        let object = |c: &Channel| c.ari(&self.clock, self.profile.tech_cause);
        let caller_object = caller.map(|c| format!(",\"caller\":{}", object(c))).unwrap_or_default();
        let after = format!(
            ",\"dialstatus\":\"{}\",\"forward\":\"\",\"dialstring\":{}{caller_object},\"peer\":{}",
            status.unwrap_or_default(),
            json(if caller.is_some() && status.is_some() { "" } else { &channel.dialed }),
            object(channel)
        );
        teller = teller.dest(channel).ari("", "Dial", &after);
        let dialstring = (event == "DialBegin").then_some(&channel.dialed);
        teller.maybe("DialString", dialstring).maybe("DialStatus", status).told()
    }

    pub(super) fn bridge_event(&self, event: &str, kind: &'static str, bridge: &Bridge) -> Happening {
        let object = bridge.ari(&self.clock);
        Teller::new(self, CALL, event)
            .bridge("", bridge)
            .ari("", kind, &format!(",\"bridge\":{object}"))
            .told()
    }

    pub(super) fn bridge_member(
        &self,
        event: &str,
        kind: &'static str,
        bridge: &Bridge,
        channel: &Channel,
    ) -> Happening {
        let object = bridge.ari(&self.clock);
        Teller::new(self, CALL, event)
            .bridge("", bridge)
            .channel(channel)
            .ari_channel("", kind, &format!(",\"bridge\":{object}"), channel)
            .told()
    }

    fn tech(&self, status: Option<u16>) -> Option<u16> {
        status.filter(|_| self.profile.tech_cause)
    }

    /// HangupRequest (the far end) or SoftHangupRequest (the server or us).
    pub(super) fn hangup_request(
        &self,
        channel: &Channel,
        soft: bool,
        cause: Option<u16>,
        status: Option<u16>,
    ) -> Happening {
        let event = if soft { "SoftHangupRequest" } else { "HangupRequest" };
        let mut before = String::new();
        if let Some(cause) = cause {
            before.push_str(&format!("\"cause\":{cause},"));
        }
        if let Some(status) = self.tech(status) {
            before.push_str(&format!("\"tech_cause\":{status},"));
        }
        if soft {
            before.push_str("\"soft\":true,");
        }
        Teller::new(self, CALL, event)
            .channel(channel)
            .maybe("Cause", cause)
            .maybe("TechCause", self.tech(status))
            .ari_channel(&before, "ChannelHangupRequest", "", channel)
            .told()
    }

    pub(super) fn hangup_event(&self, channel: &Channel, cause: u16, status: Option<u16>) -> Happening {
        let text = super::profile::cause_text(cause);
        let mut more = format!(",\"cause\":{cause},\"cause_txt\":\"{text}\"");
        if let Some(status) = self.tech(status) {
            more.push_str(&format!(",\"tech_cause\":{status}"));
        }
        Teller::new(self, CALL, "Hangup")
            .channel(channel)
            .line("Cause", cause)
            .line("Cause-txt", text)
            .maybe("TechCause", self.tech(status))
            .ari_channel("", "ChannelDestroyed", &more, channel)
            .told()
    }

    pub(super) fn music(&self, channel: &Channel, starts: bool) -> Happening {
        let event = if starts { "MusicOnHoldStart" } else { "MusicOnHoldStop" };
        Teller::new(self, CALL, event).channel(channel).maybe("Class", starts.then_some("default")).told()
    }

    pub(super) fn hold_event(&self, channel: &Channel, holds: bool) -> Happening {
        let teller = Teller::new(self, CALL, if holds { "Hold" } else { "Unhold" }).channel(channel);
        if holds {
            let teller = teller.line("MusicClass", "default");
            teller.ari_channel("", "ChannelHold", ",\"musicclass\":\"default\"", channel).told()
        } else {
            teller.ari_channel("", "ChannelUnhold", "", channel).told()
        }
    }

    pub(super) fn dtmf_begin(&self, channel: &Channel, digit: char, direction: &str) -> Happening {
        let teller = Teller::new(self, DTMF, "DTMFBegin").channel(channel);
        teller.line("Digit", digit).line("Direction", direction).told()
    }

    pub(super) fn dtmf_end(
        &self,
        channel: &Channel,
        digit: char,
        millis: u128,
        direction: &str,
    ) -> Happening {
        let teller = Teller::new(self, DTMF, "DTMFEnd")
            .channel(channel)
            .line("Digit", digit)
            .line("DurationMs", millis)
            .line("Direction", direction);
        if direction != "Received" {
            return teller.told();
        }
        let more = format!(",\"digit\":\"{digit}\",\"duration_ms\":{millis}");
        teller.ari_channel("", "ChannelDtmfReceived", &more, channel).told()
    }

    pub(super) fn connected_line(&self, channel: &Channel) -> Happening {
        Teller::new(self, CALL, "NewConnectedLine")
            .channel(channel)
            .ari_channel("", "ChannelConnectedLine", "", channel)
            .told()
    }

    pub(super) fn newexten(&self, channel: &Channel) -> Happening {
        let more =
            format!(",\"dialplan_app\":{},\"dialplan_app_data\":{}", json(&channel.app), json(&channel.data));
        Teller::new(self, DIALPLAN, "Newexten")
            .channel(channel)
            .line("Extension", &channel.place.exten)
            .line("Application", &channel.app)
            .line("AppData", &channel.data)
            .ari_channel("", "ChannelDialplan", &more, channel)
            .told()
    }

    pub(super) fn varset(&self, channel: &Channel, variable: &str, value: &str) -> Happening {
        let before = format!("\"variable\":{},\"value\":{},", json(variable), json(value));
        Teller::new(self, DIALPLAN, "VarSet")
            .channel(channel)
            .line("Variable", variable)
            .line("Value", value)
            .ari_channel(&before, "ChannelVarset", "", channel)
            .told()
    }

    /// A `TestEvent`, as builds with the test framework send it.
    pub(super) fn test_event(
        &self,
        state: &str,
        source: (&str, &str, u32),
        more: &[(&str, &str)],
    ) -> Happening {
        let (file, function, line) = source;
        let mut teller = Teller::new(self, REPORTING, "TestEvent")
            .line("Type", "StateChange")
            .line("State", state)
            .line("AppFile", file)
            .line("AppFunction", function)
            .line("AppLine", line);
        for (key, value) in more {
            teller = teller.line(key, value);
        }
        teller.told()
    }

    /// The one about a digit has an empty line too many (seen).
    pub(super) fn test_digit(&self, digit: char) -> Happening {
        let digit = digit.to_string();
        let source = ("res_rtp_asterisk.c", "ast_rtp_dtmf_begin", 4460);
        let more = [("Digit", digit.as_str()), ("Payload", "101"), ("Rate", "8000")];
        let mut told = self.test_event("DTMF_BEGIN", source, &more);
        if let Some(event) = &mut told.ami {
            event.text = format!("{}\r\n", event.text).into();
        }
        told
    }

    pub(super) fn caller_id(&self, channel: &Channel) -> Happening {
        let more =
            ",\"caller_presentation\":0,\"caller_presentation_txt\":\"Presentation Allowed, Not Screened\"";
        Teller::new(self, CALL, "NewCallerid")
            .channel(channel)
            .line("CID-CallingPres", "0 (Presentation Allowed, Not Screened)")
            .ari_channel("", "ChannelCallerId", more, channel)
            .told()
    }

    pub(super) fn device_state(&self, endpoint: &str, state: &str) -> Happening {
        let (time, tech) = (self.clock.iso(self.now), self.style.tech);
        let body = format!(
            "{{\"type\":\"DeviceStateChanged\",\"application\":{NAME_HERE},\"timestamp\":\"{time}\",\
             \"device_state\":{{\"name\":\"{tech}/{endpoint}\",\"state\":\"{state}\"}}"
        );
        let told = Teller::new(self, CALL, "DeviceStateChange")
            .line("Device", format!("{tech}/{endpoint}"))
            .line("State", state)
            .told();
        Happening { ari: Some(AriEvent { kind: "DeviceStateChanged", body: body.into() }), ..told }
    }
}
