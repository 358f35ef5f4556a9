//! Channels and bridges as values, and how they look in AMI headers and ARI objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::happening::json;
use crate::phone::Plan;
use crate::phone::line::Line;

/// `ChannelState` of Asterisk, those that occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Down = 0,
    Ring = 4,
    Ringing = 5,
    Up = 6,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Down => "Down",
            State::Ring => "Ring",
            State::Ringing => "Ringing",
            State::Up => "Up",
        }
    }
}

/// A name and a number, either of which may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) number: Option<String>,
    pub(super) name: Option<String>,
}

impl Party {
    /// From `"Name" <number>`, `<number>` or a bare number.
    pub(super) fn parse(text: &str) -> Self {
        let known = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        match text.split_once('<') {
            Some((name, rest)) => Party {
                number: known(rest.trim_end().trim_end_matches('>')),
                name: known(name.trim().trim_matches('"')),
            },
            None => Party { number: known(text), name: None },
        }
    }
}

/// A place in the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) context: String,
    pub(super) exten: String,
    pub(super) priority: u32,
}

/// What answers an Originate.
#[derive(Clone, Debug)]
pub(super) struct Originate {
    pub(super) action_id: Option<String>,
    /// The `Channel:` as it was asked for.
    pub(super) asked: String,
    pub(super) landing: Landing,
    pub(super) caller: Option<Party>,
}

/// Where an originated leg goes when it is answered.
#[derive(Clone, Debug)]
pub(super) enum Landing {
    Place(Place),
    App(String, String),
}

/// What happens to a channel when the bridge it is in lets it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Goes on in the dialplan where it stands.
    Continue,
    /// Its Dial made the bridge: its dialplan ends with it.
    Dialed,
    /// Ends: it was dialled and has no dialplan of its own.
    End,
}

/// One call leg.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) endpoint: String,
    /// Number of the phone at the far end.
    pub(super) number: String,
    pub(super) dialed: String,
    /// Id of the oldest channel this one has been in touch with, and its age rank.
    pub(super) linked: String,
    pub(super) linked_rank: u64,
    pub(super) state: State,
    pub(super) caller: Party,
    pub(super) connected: Party,
    pub(super) place: Place,
    /// Where the `Return`s of its `Gosub`s lead.
    pub(super) returns: Vec<Place>,
    /// Where it goes on when the dialplan that a transfer sent it to has come to the end of a call.
    pub(super) back: Option<Place>,
    /// Number of the phone that waits to hear how its transfer of this channel went.
    pub(super) transferer: Option<String>,
    pub(super) app: String,
    pub(super) data: String,
    /// Application shown when none runs: that of the dialling, until the first bridge.
    pub(super) idle: (&'static str, &'static str),
    pub(super) bridge: Option<String>,
    pub(super) after: After,
    /// Runs the dialplan (and says SoftHangupRequest when it ends there).
    pub(super) in_dialplan: bool,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) created: Duration,
    pub(super) answered: Option<Duration>,
    pub(super) originate: Option<Originate>,
    /// The channel whose Dial made this one.
    pub(super) dialed_by: Option<String>,
    /// Its far end is in the real world.
    pub(super) line: Option<Line>,
    /// Identifier of the SIP dialog, empty until the INVITE went out.
    pub(super) protocol: String,
    pub(super) plan: Plan,
    /// The phone has answered (it may be `Up` for other reasons).
    pub(super) phone_up: bool,
    pub(super) phone_holds: bool,
    pub(super) music: bool,
    pub(super) ringback: bool,
    pub(super) muted_in: bool,
    pub(super) muted_out: bool,
    /// Counts stays in an application, so that a timer of an earlier stay is recognised.
    pub(super) stay: u64,
    /// Counts what was said of `TIMEOUT(absolute)`, so that a timer of an earlier word is recognised.
    pub(super) fence: u64,
}

impl Channel {
    /// The fifteen headers of a channel snapshot, each with a prefix (`Dest`, or nothing).
    pub(super) fn headers(&self, prefix: &str, out: &mut String) {
        fn known(value: &Option<String>) -> &str {
            value.as_deref().unwrap_or("<unknown>")
        }
        let mut line = |key: &str, value: &str| {
            write!(out, "{prefix}{key}: {value}\r\n").expect("writing to a string cannot fail");
        };
        line("Channel", &self.name);
        line("ChannelState", &(self.state as u8).to_string());
        line("ChannelStateDesc", self.state.name());
        // The number is printed as it came: this is how a caller forges events (sheet section 11).
        line("CallerIDNum", known(&self.caller.number));
        line("CallerIDName", &escaped(known(&self.caller.name)));
        line("ConnectedLineNum", known(&self.connected.number));
        line("ConnectedLineName", &escaped(known(&self.connected.name)));
        line("Language", "en");
        line("AccountCode", "");
        line("Context", &self.place.context);
        line("Exten", &self.place.exten);
        line("Priority", &self.place.priority.to_string());
        line("Uniqueid", &self.id);
        line("Linkedid", &self.linked);
    }

    /// The channel as an ARI object.
    pub(super) fn ari(&self, clock: &super::world::Clock, protocol_id: bool) -> String {
        let party = |party: &Party| {
            let text = |value: &Option<String>| json(value.as_deref().unwrap_or_default());
            format!("{{\"name\":{},\"number\":{}}}", text(&party.name), text(&party.number))
        };
        let protocol =
            if protocol_id { format!("\"protocol_id\":{},", json(&self.protocol)) } else { String::new() };
        format!(
            "{{\"id\":{},\"name\":{},\"state\":\"{}\",{protocol}\"caller\":{},\"connected\":{},\
             \"accountcode\":\"\",\"dialplan\":{{\"context\":{},\"exten\":{},\"priority\":{},\"app_name\":{},\
             \"app_data\":{}}},\"creationtime\":\"{}\",\"language\":\"en\"}}",
            json(&self.id),
            json(&self.name),
            self.state.name(),
            party(&self.caller),
            party(&self.connected),
            json(&self.place.context),
            json(&self.place.exten),
            self.place.priority,
            json(&self.app),
            json(&self.data),
            clock.iso(self.created),
        )
    }

    /// Waiting somewhere with nobody to talk to, or in a bridge: answered and alive.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Up
    }
}

/// Names are C-escaped, numbers are not (sheet section 2, rule 4).
fn escaped(name: &str) -> String {
    name.chars()
        .flat_map(|c| match c {
            '\\' => vec!['\\', '\\'],
            '"' => vec!['\\', '"'],
            '\n' => vec!['\\', 'n'],
            '\r' => vec!['\\', 'r'],
            '\t' => vec!['\\', 't'],
            other => vec![other],
        })
        .collect()
}

/// One bridge.
#[derive(Clone, Debug)]
pub(super) struct Bridge {
    pub(super) id: String,
    /// Channels in the order they came.
    pub(super) members: Vec<String>,
    pub(super) created: Duration,
    /// Two plain SIP legs are passed on without the core seeing the audio.
    pub(super) native: bool,
    /// `native_rtp` was allowed when the bridge was made.
    pub(super) may_be_native: bool,
    /// It is a conference.
    pub(super) room: Option<Room>,
}

/// What makes a bridge a conference.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) name: String,
    /// Members muted by `ConfbridgeMute`.
    pub(super) muted: BTreeSet<String>,
    /// Channels that are counted but never shown: the announcer, while anybody is in the room.
    pub(super) hidden: usize,
}

const CREATOR: &str = "ConfBridge";

impl Bridge {
    fn class(&self) -> &'static str {
        if self.room.is_some() { "base" } else { "basic" }
    }

    pub(super) fn technology(&self) -> &'static str {
        match self.room {
            Some(_) => "softmix",
            None if self.native => "native_rtp",
            None => "simple_bridge",
        }
    }

    pub(super) fn headers(&self, prefix: &str, out: &mut String) {
        let room = self.room.as_ref();
        let count = self.members.len() + room.map_or(0, |room| room.hidden);
        let mut line = |key: &str, value: &str| {
            write!(out, "{prefix}Bridge{key}: {value}\r\n").expect("writing to a string cannot fail");
        };
        line("Uniqueid", &self.id);
        line("Type", self.class());
        line("Technology", self.technology());
        line("Creator", room.map_or("<unknown>", |_| CREATOR));
        line("Name", room.map_or("<unknown>", |room| &room.name));
        line("NumChannels", &count.to_string());
        line("VideoSourceMode", "none");
    }

    pub(super) fn ari(&self, clock: &super::world::Clock) -> String {
        let members: Vec<String> = self.members.iter().map(|id| json(id)).collect();
        format!(
            "{{\"id\":\"{}\",\"technology\":\"{}\",\"bridge_type\":\"mixing\",\"bridge_class\":\"{}\",\
             \"creator\":\"{}\",\"name\":{},\"channels\":[{}],\"creationtime\":\"{}\",\"video_mode\":\"none\"}}",
            self.id,
            self.technology(),
            self.class(),
            self.room.as_ref().map_or("", |_| CREATOR),
            json(self.room.as_ref().map_or("", |room| &room.name)),
            members.join(","),
            clock.iso(self.created),
        )
    }
}
