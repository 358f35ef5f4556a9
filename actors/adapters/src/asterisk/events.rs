//! What the server reports, turned into facts.
//!
//! From ARI an event is the fact. From AMI it is a reason to ask (`Status`), because a caller can write AMI text: a
//! forged event costs one question and changes nothing, even if the forger knew the id. Frames that are not understood
//! are counted.

use ifbus_call::{By, Event, Interface, LegId};

use super::cause::End;
use super::flight::Timer;
use super::legs::{Bridge, Leg};
use super::machine::{Asterisk, Phase, Stream};
use super::names;
use crate::adapter::{DownReason, Output};
use crate::wire_format::ami::{Field, Message};
use crate::wire_format::ari;

/// The most that is kept of the stream while the list is on its way: ten seconds at a thousand events per second.
const EARLY_MAX: usize = 16 * 1024 * 1024;

/// Events that say nothing new about a leg.
const QUIET: [&[u8]; 41] = [
    b"BridgeCreate",
    b"BridgeDestroy",
    b"ChannelTalkingStart",
    b"ChannelTalkingStop",
    b"ConfbridgeEnd",
    b"ConfbridgeMute",
    b"ConfbridgeRecord",
    b"ConfbridgeStart",
    b"ConfbridgeStopRecord",
    b"ConfbridgeTalking",
    b"ConfbridgeUnmute",
    b"ContactStatus",
    b"ContactStatusDetail",
    b"DTMFBegin",
    b"DeviceStateChange",
    b"ExtensionStatus",
    b"HangupHandlerPush",
    b"HangupHandlerRun",
    // lines of a list that was asked for by an order which is over
    b"ListDialplan",
    b"LocalBridge",
    b"MiniVoiceMail",
    b"MixMonitorMute",
    b"MixMonitorStart",
    b"MixMonitorStop",
    b"MusicOnHoldStart",
    b"MusicOnHoldStop",
    b"NewAccountCode",
    b"NewCallerid",
    b"NewConnectedLine",
    b"NewExten",
    b"Newexten",
    b"OriginateResponse",
    b"PJSIPMaintenanceStatus",
    b"PeerStatus",
    b"PresenceStateChange",
    b"Rename",
    b"ShowDialPlanComplete",
    b"Status",
    b"StatusComplete",
    b"TestEvent",
    b"VarSet",
];

impl Asterisk {
    // ---- ARI -------------------------------------------------------------------------------------------------------

    pub(super) fn stream_message(&mut self, message: &[u8]) {
        match (self.life.stream, self.phase) {
            (Stream::Up, Phase::Ready) => {
                self.life.timers.disarm(Timer::Stream);
                self.stream_event(message);
            }
            (Stream::Filtering | Stream::Proving | Stream::Up, Phase::Rising) => self.early_message(message),
            _ => {}
        }
    }

    /// Kept for after the list; only the proof of the stream itself is looked for at once.
    fn early_message(&mut self, message: &[u8]) {
        if self.life.stream == Stream::Proving
            && ari::Event::parse(message).is_ok_and(|event| event.eventname == self.life.proof)
        {
            return self.stream_proven();
        }
        self.life.early_bytes += message.len();
        if self.life.early_bytes > EARLY_MAX {
            let reason = format!("more than {EARLY_MAX} bytes of events before the list");
            return self.down(Interface::Events, DownReason::Protocol(reason));
        }
        self.life.early.push(message.to_vec());
    }

    pub(super) fn stream_event(&mut self, message: &[u8]) {
        match ari::Event::parse(message) {
            Ok(event) => self.stream_fact(&event),
            Err(_) => self.count(1),
        }
    }

    fn stream_fact(&mut self, event: &ari::Event<'_>) {
        let channel = event.channel.as_ref().or(event.peer.as_ref());
        let leg = channel.and_then(|channel| self.leg_of(&channel.id));
        match (event.kind.as_ref(), leg) {
            ("ApplicationReplaced", _) => self.stream_replaced(),
            ("ChannelUserevent", _) => self.marker_seen(&event.eventname),
            ("ChannelEnteredBridge", _) => self.stream_bridge(event),
            ("BridgeBlindTransfer" | "BridgeAttendedTransfer", _) => self.stream_transfer(event),
            (_, None) => {}
            ("ChannelDestroyed", Some(leg)) => {
                let number = |value: Option<i64>| value.and_then(|value| u16::try_from(value).ok());
                let cause = number(event.cause).unwrap_or(0);
                let end = End { cause, tech: number(event.tech_cause), text: event.cause_txt.to_string() };
                self.ended(leg, &end);
            }
            ("ChannelLeftBridge", Some(leg)) => {
                let bridge = event.bridge.as_ref().map(|bridge| names::digest(bridge.id.as_bytes()));
                if bridge == self.life.legs.bridge_of(leg) {
                    self.left(leg);
                }
            }
            (kind, Some(leg)) if self.life.legs.get(leg).is_none_or(|known| known.foreign.is_none()) => {
                self.stream_leg(kind, leg, event);
            }
            _ => {}
        }
    }

    /// What is told of legs of ours alone.
    fn stream_leg(&mut self, kind: &str, leg: LegId, event: &ari::Event<'_>) {
        let state = event.channel.as_ref().map_or("", |channel| channel.state.as_ref());
        match (kind, state, event.dialstatus.as_ref()) {
            ("ChannelCreated", ..) => self.made(leg),
            ("ChannelStateChange", "Ringing", _) | ("Dial", _, "RINGING") => self.rings(leg),
            ("ChannelStateChange", "Up", _) | ("Dial", _, "ANSWER") => self.answered(leg),
            ("Dial", _, "PROGRESS") => self.early_media(leg),
            ("Dial" | "ChannelStateChange", ..) => {}
            // heard for a moment before the filter is set, or where it may not be set
            ("ChannelVarset" | "ChannelDialplan" | "ChannelCallerId" | "ChannelConnectedLine", ..) => {}
            ("ChannelTalkingStarted" | "ChannelTalkingFinished" | "ChannelToneDetected", ..) => {}
            ("ChannelHangupRequest", ..) => {
                self.asked_to_end(leg, if event.soft { By::Server } else { By::Party });
            }
            ("ChannelDtmfReceived", ..) => self.digit(leg, event.digit.chars().next()),
            ("ChannelHold", ..) => self.out.push_back(Output::Event(Event::HeldByPhone(leg))),
            ("ChannelUnhold", ..) => self.out.push_back(Output::Event(Event::ResumedByPhone(leg))),
            _ => self.count(1),
        }
    }

    /// A foreign leg matters from the moment it sits in a talk with one of ours; in a conference it is a guest of
    /// whoever let it in.
    fn stream_bridge(&mut self, event: &ari::Event<'_>) {
        let (Some(bridge), Some(channel)) = (&event.bridge, &event.channel) else { return self.count(1) };
        let inside = || bridge.channels.iter().map(|id| id.0.as_ref());
        let instance = self.instance;
        let ours = |id: &str| names::ours(instance, id.as_bytes()).is_some();
        if !ours(&channel.id) && !inside().any(ours) {
            return;
        }
        let room = (bridge.creator == "ConfBridge").then(|| names::room_named(self.instance, &bridge.name));
        let place = Bridge { key: names::digest(bridge.id.as_bytes()), room };
        for id in inside().chain([channel.id.as_ref()]).filter(|id| place.room.is_none() || ours(id)) {
            if let Some(leg) = self.leg_or_guest(id) {
                self.entered(leg, &place);
            }
        }
    }

    /// A phone has pressed its own transfer key, and the server has begun to do it.
    fn stream_transfer(&mut self, event: &ari::Event<'_>) {
        if event.result != "Success" {
            return;
        }
        let of = |channel: &Option<ari::Channel<'_>>| channel.as_ref().map(|channel| channel.id.to_string());
        let (transferee, target) = (of(&event.transferee), of(&event.transfer_target));
        match (transferee, target) {
            (Some(transferee), None) => {
                if let Some(leg) = names::ours(self.instance, transferee.as_bytes()) {
                    self.sent_away(leg, &event.exten);
                }
            }
            (Some(transferee), Some(target)) => {
                let number = |channel: &Option<ari::Channel<'_>>| {
                    channel
                        .as_ref()
                        .map(|channel| channel.caller.number.chars().take(120).collect::<String>())
                };
                let said = [number(&event.transfer_target), number(&event.transferee)];
                self.put_together([&transferee, &target], said);
            }
            (None, _) => {}
        }
    }

    /// Both ends of an attended transfer are legs of calls; each of ours has the other one as its guest.
    fn put_together(&mut self, [transferee, target]: [&str; 2], said: [Option<String>; 2]) {
        let ours = |name: &str| names::ours(self.instance, name.as_bytes());
        let pair = [(ours(transferee), target), (ours(target), transferee)];
        for ((leg, other), said) in pair.into_iter().zip(said) {
            if let Some(leg) = leg.filter(|leg| self.life.legs.get(*leg).is_some())
                && let Some(guest) = self.leg_or_guest(other)
            {
                let to = self.party_of(guest).or(said);
                self.moved_by_phone(leg, Some(guest), to);
            }
        }
    }

    // ---- AMI -------------------------------------------------------------------------------------------------------

    pub(super) fn watch_event(&mut self, message: &Message<'_>) {
        match message.get(Field::Event).unwrap_or_default() {
            b"FullyBooted" => {
                self.life.told_booted = true;
                self.booted();
            }
            // believed when the connection closes after it
            b"Shutdown" => self.life.farewell = Some(self.now),
            // calls survive a reload, and nothing of ours lives in the dialplan's memory
            b"Reload" => {}
            b"UserEvent" => self.marker_seen(message.only("Marker").unwrap_or_default()),
            _ if self.by_stream() => {}
            name => self.hint(name, message),
        }
    }

    /// Something was said about a leg: ask. Only what cannot be asked for is taken as it is.
    fn hint(&mut self, name: &[u8], message: &Message<'_>) {
        if matches!(name, b"BlindTransfer" | b"AttendedTransfer") {
            return self.transfer_hint(message);
        }
        let about = message.get(Field::Uniqueid).or(message.get(Field::DestUniqueid));
        let Some(native) = about else {
            // an event about a channel that does not name it is the head of one that was cut in two
            return if message.get(Field::Channel).is_some() {
                self.forged(message)
            } else {
                self.unnamed(name)
            };
        };
        let leg = std::str::from_utf8(native).ok().and_then(|native| self.leg_of(native));
        let Some(leg) = leg else { return self.guest_hint(name, native, message) };
        match name {
            b"Hangup" => {
                let cause = message.number(Field::Cause).unwrap_or(0);
                let text = message.only("Cause-txt").unwrap_or_default().to_owned();
                self.rumored(leg, End { cause, tech: message.number(Field::TechCause), text });
            }
            b"HangupRequest" => self.asked_to_end(leg, By::Party),
            b"SoftHangupRequest" => self.asked_to_end(leg, By::Server),
            b"DTMFEnd" if message.only("Direction") == Some("Received") => {
                self.digit(leg, message.only("Digit").and_then(|digit| digit.chars().next()));
            }
            b"Hold" => self.out.push_back(Output::Event(Event::HeldByPhone(leg))),
            b"Unhold" => self.out.push_back(Output::Event(Event::ResumedByPhone(leg))),
            b"DialState" if message.get(Field::DialStatus) == Some(b"PROGRESS") => self.early_hint(leg),
            b"Newchannel" | b"Newstate" | b"DialBegin" | b"DialState" | b"DialEnd" | b"BridgeEnter"
            | b"BridgeLeave" | b"ConfbridgeJoin" | b"ConfbridgeLeave" => {
                self.suspect(leg);
            }
            name if QUIET.contains(&name) => {}
            _ => self.count(1),
        }
    }

    /// A phone has pressed its transfer key, or somebody says so: where is the one that it sends?
    fn transfer_hint(&mut self, message: &Message<'_>) {
        let sent = message.only("TransfereeUniqueid");
        let leg = sent.and_then(|native| names::ours(self.instance, native.as_bytes()));
        if let Some(leg) = leg.filter(|leg| self.life.legs.get(*leg).is_some()) {
            self.doubt(leg);
        }
    }

    /// A leg of ours that we do not know yet is looked for, within reason: a forger may invent names.
    pub(super) fn suspect(&mut self, leg: LegId) {
        const ASKED_MAX: usize = 2000;
        if self.life.asked.len().max(self.life.doubts.len()) >= ASKED_MAX {
            return;
        }
        if self.phase == Phase::Ready {
            self.life.legs.insert(leg, Leg::new(None));
        }
        self.doubt(leg);
    }

    fn early_hint(&mut self, leg: LegId) {
        if self.life.legs.get(leg).is_some_and(|known| known.made) {
            self.early_media(leg);
        }
    }

    /// A foreign leg that enters a bridge of ours; bridge ids are as unknown to a caller as ours.
    fn guest_hint(&mut self, name: &[u8], native: &[u8], message: &Message<'_>) {
        match (name, message.get(Field::BridgeUniqueid)) {
            (b"BridgeEnter", Some(bridge)) if self.is_talk(names::digest(bridge)) => {
                let native = String::from_utf8_lossy(native).into_owned();
                if let Some(leg) = self.leg_or_guest(&native) {
                    self.entered(leg, &Bridge { key: names::digest(bridge), room: None });
                }
            }
            _ => self.unnamed(name),
        }
    }

    fn is_talk(&self, bridge: u128) -> bool {
        !self.life.legs.members(bridge).is_empty() && self.life.legs.room(bridge).is_none()
    }

    fn unnamed(&mut self, name: &[u8]) {
        const KNOWN: [&[u8]; 16] = [
            b"Newchannel",
            b"Newstate",
            b"DialBegin",
            b"DialState",
            b"DialEnd",
            b"BridgeEnter",
            b"BridgeLeave",
            b"Hangup",
            b"HangupRequest",
            b"SoftHangupRequest",
            b"DTMFEnd",
            b"Hold",
            b"Unhold",
            b"BridgeMerge",
            b"ConfbridgeJoin",
            b"ConfbridgeLeave",
        ];
        self.count(u64::from(!KNOWN.contains(&name) && !QUIET.contains(&name)));
    }

    // ---- both ------------------------------------------------------------------------------------------------------

    fn digit(&mut self, leg: LegId, digit: Option<char>) {
        if let Some(digit) = digit.filter(|digit| matches!(digit, '0'..='9' | 'A'..='D' | '*' | '#')) {
            self.out.push_back(Output::Event(Event::Digit(leg, digit)));
        }
    }

    /// The leg behind a channel id: ours by its form, a foreign one if it is known already.
    fn leg_of(&self, native: &str) -> Option<LegId> {
        names::ours(self.instance, native.as_bytes()).or_else(|| {
            let leg = names::foreign(&self.server, self.life.boot.as_ref()?, native.as_bytes());
            self.life.legs.get(leg).map(|_| leg)
        })
    }

    fn leg_or_guest(&mut self, native: &str) -> Option<LegId> {
        if let Some(leg) = names::ours(self.instance, native.as_bytes()) {
            self.made(leg);
            return Some(leg);
        }
        let leg = names::foreign(&self.server, self.life.boot.as_ref()?, native.as_bytes());
        self.life.legs.insert(leg, Leg::new(Some(native.to_owned()))).made = true;
        Some(leg)
    }
}
