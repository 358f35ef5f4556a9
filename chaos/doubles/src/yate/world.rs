//! Channels, what they are connected to, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::line::Params;
use super::options::Options;
use super::recording::Recorder;
use crate::double::Link;
use crate::phone::{Plan, Tone};
use crate::random::Random;

/// How far a leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Incoming,
    Outgoing,
    Ringing,
    Answered,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
        }
    }
}

/// What a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A phone of this number.
    Phone(String),
    /// Nothing.
    Dumb,
    /// The ringing tone, or another.
    Tone(bool),
    /// A file that is played.
    Wave(Sound),
    /// A place in a room.
    Conf { room: String, muted: bool },
}

/// A file that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    Silence,
    Music,
}

/// One channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) what: What,
    pub(super) status: Status,
    pub(super) outgoing: bool,
    pub(super) peer: Option<String>,
    pub(super) last_peer: String,
    pub(super) target: String,
    pub(super) caller: String,
    pub(super) called: String,
    /// What stands in every message about it.
    pub(super) tags: BTreeMap<String, String>,
    pub(super) since: Duration,
    /// What is laid over its ear.
    pub(super) over: Option<Sound>,
    pub(super) timeout: Option<Duration>,
    pub(super) last_digit: Option<Duration>,
    pub(super) holds: bool,
    /// The last SIP status heard from its phone.
    pub(super) sip: Option<u16>,
    /// The engine asks a client before it ends.
    pub(super) asked: bool,
}

/// What is due at a moment.
#[derive(Clone, Debug)]
pub(super) enum Timer {
    /// An event goes out.
    Event(String, Params),
    /// An answer goes out.
    Reply(Link, String),
    Rings(String),
    Early(String),
    Answers(String),
    Refuses(String, u16),
    Act(String, crate::phone::Act),
    Digit(String, char),
    /// A placeholder's or leg's ringing limit.
    MaxCall(String),
    /// A leg was placed on a file that is not there.
    NoFile(String),
    Timeout(String, Duration),
    /// A question to a client was not answered.
    Unanswered(u64),
}

/// A room of a conference.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    pub(super) lonely: bool,
    pub(super) maxusers: usize,
    pub(super) members: Vec<String>,
}

/// What a phone saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    pub(super) rings: u32,
    pub(super) digits: String,
    pub(super) caller: Option<String>,
    pub(super) transferred: Option<u16>,
}

/// A question to clients: what happens with its answer.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// A leg has lost its partner.
    Disconnected { channel: String, reason: String, params: Params },
    /// A call from outside is to be routed.
    Preroute { channel: String },
}

/// A question that goes out.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) params: Params,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) options: Options,
    pub(super) random: Random,
    pub(super) now: Duration,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) timers: BTreeMap<(Duration, u64), Timer>,
    ticket: u64,
    pub(super) plans: BTreeMap<String, Plan>,
    pub(super) witnesses: BTreeMap<String, Witness>,
    /// Who is asked about which messages, and under which condition; kept by the sessions.
    pub(super) asks_disconnected: Vec<Option<(String, String)>>,
    pub(super) asks_preroute: bool,
    pub(super) questions: BTreeMap<u64, Question>,
    pub(super) asking: Vec<Asking>,
    pub(super) recorders: BTreeMap<String, Recorder>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) dials: u64,
    pub(super) refused: u64,
    pub(super) admitted: u64,
    pub(super) boots: u64,
    pub(super) sip_dead: bool,
}

impl World {
    pub(super) fn new(options: Options, now: Duration) -> Self {
        Self {
            random: Random::new(options.seed),
            options,
            now,
            channels: BTreeMap::new(),
            rooms: BTreeMap::new(),
            counts: BTreeMap::new(),
            timers: BTreeMap::new(),
            ticket: 0,
            plans: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            asks_disconnected: Vec::new(),
            asks_preroute: false,
            questions: BTreeMap::new(),
            asking: Vec::new(),
            recorders: BTreeMap::new(),
            files: BTreeMap::new(),
            dials: 0,
            refused: 0,
            admitted: 0,
            boots: 0,
            sip_dead: false,
        }
    }

    /// Everything but phones, plans and files is gone; names begin anew.
    pub(super) fn reboot(&mut self) {
        for name in self.recorders.keys().cloned().collect::<Vec<_>>() {
            self.end_recorder(&name);
        }
        self.channels.clear();
        self.rooms.clear();
        self.counts.clear();
        self.timers.clear();
        self.questions.clear();
        self.asking.clear();
        self.asks_disconnected.clear();
        self.asks_preroute = false;
        self.boots += 1;
    }

    /// The name of this life of the engine.
    pub(super) fn runid(&self) -> u64 {
        self.options.wall + self.boots
    }

    pub(super) fn after(&mut self, wait: Duration, timer: Timer) {
        self.ticket += 1;
        self.timers.insert((self.now + wait, self.ticket), timer);
    }

    /// A few milliseconds, as the engine's workers take them.
    pub(super) fn moment(&mut self) -> Duration {
        Duration::from_micros(self.random.below(3000) as u64)
    }

    // ---- making ----------------------------------------------------------------------------------------------------

    pub(super) fn make(&mut self, driver: &'static str, what: What, outgoing: bool) -> String {
        let count = self.counts.entry(driver).or_default();
        *count += 1;
        let id = format!("{driver}/{count}");
        let channel = Channel {
            what,
            status: if outgoing { Status::Outgoing } else { Status::Incoming },
            outgoing,
            peer: None,
            last_peer: String::new(),
            target: String::new(),
            caller: String::new(),
            called: String::new(),
            tags: BTreeMap::new(),
            since: self.now,
            over: None,
            timeout: None,
            last_digit: None,
            holds: false,
            sip: None,
            asked: false,
        };
        self.channels.insert(id.clone(), channel);
        id
    }

    /// A leg to a phone; rings it.
    pub(super) fn call(&mut self, number: &str, caller: &str, target: &str) -> String {
        let id = self.make("sip", What::Phone(number.to_owned()), true);
        if let Some(channel) = self.channels.get_mut(&id) {
            (channel.caller, channel.called) = (caller.to_owned(), number.to_owned());
            channel.target = target.to_owned();
        }
        if self.sip_dead {
            self.after(Duration::from_millis(7500), Timer::Refuses(id.clone(), 408));
            return id;
        }
        let plan = self.plans.get(number).cloned().unwrap_or_default();
        let witness = self.witnesses.entry(number.to_owned()).or_default();
        witness.rings += 1;
        witness.caller = Some(caller.to_owned());
        self.follow(&id, &plan);
        id
    }

    // ---- connecting ------------------------------------------------------------------------------------------------

    /// Connects two channels; whoever was connected to either loses it.
    pub(super) fn connect(&mut self, a: &str, b: &str, reason: &str) {
        let mut lost = Vec::new();
        for id in [a, b] {
            let other = if id == a { b } else { a };
            if let Some(old) =
                self.channels.get(id).and_then(|channel| channel.peer.clone()).filter(|old| old != other)
            {
                lost.push(old);
            }
        }
        for (id, peer) in [(a, b), (b, a)] {
            if let Some(channel) = self.channels.get_mut(id) {
                if let Some(old) = channel.peer.take() {
                    channel.last_peer = old;
                }
                channel.peer = Some(peer.to_owned());
            }
        }
        for id in lost {
            self.left_alone(&id, reason, &[]);
        }
        for id in [a, b] {
            let mut params = self.about(id);
            if !reason.is_empty() {
                params.push(("reason".to_owned(), reason.to_owned()));
            }
            self.event("chan.connected", params);
        }
    }

    /// A channel has lost its peer: somebody may want to keep it; else it ends.
    pub(super) fn left_alone(&mut self, id: &str, reason: &str, more: &[(String, String)]) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        if let Some(old) = channel.peer.take() {
            channel.last_peer = old;
        }
        let mut params = more.to_vec();
        params.extend(self.about(id));
        if !reason.is_empty() {
            params.push(("reason".to_owned(), reason.to_owned()));
        }
        let wanted = |filter: &Option<(String, String)>| {
            filter.as_ref().is_none_or(|(key, value)| params.iter().any(|(k, v)| k == key && v == value))
        };
        if id.starts_with("sip/") && self.asks_disconnected.iter().any(wanted) {
            if let Some(channel) = self.channels.get_mut(id) {
                channel.asked = true;
            }
            let question = Question::Disconnected {
                channel: id.to_owned(),
                reason: reason.to_owned(),
                params: params.clone(),
            };
            return self.ask("chan.disconnected", params, question);
        }
        self.event("chan.disconnected", params);
        self.end(id, reason, None, false);
    }

    pub(super) fn ask(&mut self, name: &'static str, params: Params, question: Question) {
        self.ticket += 1;
        let number = self.ticket;
        self.questions.insert(number, question);
        self.asking.push(Asking { number, name, params });
    }

    /// What became of a question.
    pub(super) fn decided(&mut self, number: u64, processed: bool, value: &str, params: &Params) {
        match self.questions.remove(&number) {
            Some(Question::Disconnected { channel, reason, params }) => {
                self.event("chan.disconnected", params);
                let alone = self.channels.get_mut(&channel).is_some_and(|channel| {
                    channel.asked = false;
                    channel.peer.is_none()
                });
                if !processed || alone {
                    self.end(&channel, &reason, None, false);
                }
            }
            Some(Question::Preroute { channel }) => {
                if processed && value == "-" {
                    self.refused += 1;
                    let _ = params;
                    self.end(&channel, "draining", None, false);
                } else {
                    self.admitted += 1;
                    self.route(&channel);
                }
            }
            None => {}
        }
    }

    // ---- ending ----------------------------------------------------------------------------------------------------

    /// A channel ends. `by_itself`: its phone did it, and it is still connected; else it was dropped or left alone.
    pub(super) fn end(&mut self, id: &str, reason: &str, status: Option<&str>, by_itself: bool) {
        let Some(channel) = self.channels.get(id) else { return };
        let mut params = self.about(id);
        if !by_itself {
            params.retain(|(key, _)| key != "peerid");
        }
        // of a leg that has talked, or was in a room, only a refusal is told (seen)
        let waited = |peer: &str| ["dumb/", "tone/", "wave/"].iter().any(|driver| peer.starts_with(driver));
        let only_waited = channel.peer.as_deref().is_some_and(waited)
            && (channel.last_peer.is_empty() || waited(&channel.last_peer));
        let told = channel.sip.filter(|code| channel.peer.is_some() && (*code >= 300 || only_waited));
        if let Some(code) = told {
            params.push(("cause_sip".to_owned(), code.to_string()));
            params.push(("reason_sip".to_owned(), phrase(code).to_owned()));
        }
        if let Some(status) = status {
            params.retain(|(key, _)| key != "status");
            params.push(("status".to_owned(), status.to_owned()));
        }
        let text = match (told, reason) {
            (Some(code @ 300..), _) => phrase(code),
            (_, "busy") => "Busy Here",
            (_, "noanswer") => "Temporarily Unavailable",
            (_, reason) => reason,
        };
        if !text.is_empty() {
            params.push(("reason".to_owned(), text.to_owned()));
        }
        self.end_recorder(id);
        let more: Vec<(String, String)> = params
            .iter()
            .filter(|(key, _)| by_itself && matches!(key.as_str(), "cause_sip" | "reason_sip"))
            .cloned()
            .collect();
        let Some(channel) = self.channels.remove(id) else { return };
        self.event("chan.hangup", params);
        if let What::Conf { room, .. } = &channel.what {
            self.leave_room(id, room);
        }
        let keyword = match told {
            Some(code @ 300..) if by_itself => keyword(code),
            _ => reason,
        };
        if let Some(peer) =
            channel.peer.filter(|peer| self.channels.get(peer).is_some_and(|p| p.peer.as_deref() == Some(id)))
        {
            self.left_alone(&peer, keyword, &more);
        }
    }

    fn leave_room(&mut self, id: &str, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.members.retain(|member| member != id);
        let rest = room.members.clone();
        let lonely = room.lonely;
        if rest.is_empty() {
            self.rooms.remove(name);
        } else if rest.len() == 1 && !lonely {
            self.end(&rest[0], "hangup", None, false);
        }
    }

    /// Puts a channel of a room beside a leg.
    pub(super) fn enter_room(
        &mut self,
        leg: &str,
        name: &str,
        lonely: bool,
        maxusers: usize,
    ) -> Option<(String, bool)> {
        let new = !self.rooms.contains_key(name);
        let room = self.rooms.entry(name.to_owned()).or_insert_with(|| Room {
            lonely,
            maxusers,
            members: Vec::new(),
        });
        if room.members.len() >= room.maxusers {
            return None;
        }
        let what = What::Conf { room: name.to_owned(), muted: false };
        let id = self.make("conf", what, true);
        if let Some(room) = self.rooms.get_mut(name) {
            room.members.push(id.clone());
        }
        let _ = leg;
        Some((id, new))
    }

    // ---- telling ---------------------------------------------------------------------------------------------------

    /// What stands in every message about a channel.
    pub(super) fn about(&self, id: &str) -> Params {
        let Some(channel) = self.channels.get(id) else { return vec![("id".to_owned(), id.to_owned())] };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut params: Params =
            channel.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        params.push(pair("id", id));
        params.push(pair("module", id.split('/').next().unwrap_or_default()));
        params.push(pair("status", channel.status.as_str()));
        if id.starts_with("sip/") {
            params.push(pair("address", "127.0.0.2:5060"));
        }
        params.push(pair("targetid", &channel.target));
        params.push(pair("billid", &format!("{}-1", self.runid())));
        if let Some(peer) = &channel.peer {
            params.push(pair("peerid", peer));
        }
        if !channel.last_peer.is_empty() {
            params.push(pair("lastpeerid", &channel.last_peer));
        }
        params.push(pair("answered", if channel.status == Status::Answered { "true" } else { "false" }));
        params.push(pair("direction", if channel.outgoing { "outgoing" } else { "incoming" }));
        params
    }

    /// An event, some moments later: the order of events is not the order of what they tell (sheet, section 4).
    pub(super) fn event(&mut self, name: &str, params: Params) {
        let moment = self.moment();
        self.after(moment, Timer::Event(name.to_owned(), params));
    }

    pub(super) fn started(&mut self, id: &str) {
        let mut params = self.about(id);
        if let Some(channel) = self.channels.get(id) {
            params.push(("caller".to_owned(), channel.caller.clone()));
            params.push(("called".to_owned(), channel.called.clone()));
        }
        self.event("chan.startup", params);
    }

    // ---- hearing ---------------------------------------------------------------------------------------------------

    /// What reaches the ear of a channel.
    pub(super) fn hears(&self, id: &str) -> BTreeSet<Tone> {
        let Some(channel) = self.channels.get(id) else { return BTreeSet::new() };
        match (channel.over, &channel.peer) {
            (Some(sound), _) => of_sound(sound),
            (None, Some(peer)) => self.says(peer),
            (None, None) => BTreeSet::new(),
        }
    }

    /// What comes out of a channel.
    pub(super) fn says(&self, id: &str) -> BTreeSet<Tone> {
        let Some(channel) = self.channels.get(id) else { return BTreeSet::new() };
        match &channel.what {
            What::Phone(number) if channel.status == Status::Answered && !channel.holds => {
                BTreeSet::from([Tone::of(number)])
            }
            What::Phone(_) | What::Dumb | What::Tone(false) => BTreeSet::new(),
            What::Tone(true) => BTreeSet::from([Tone::Ringback]),
            What::Wave(sound) => of_sound(*sound),
            What::Conf { room, .. } => {
                let members = self.rooms.get(room).into_iter().flat_map(|room| &room.members);
                let others = members.filter(|member| *member != id).filter_map(|member| {
                    let channel = self.channels.get(member)?;
                    let open = !matches!(channel.what, What::Conf { muted: true, .. });
                    channel.peer.as_ref().filter(|_| open)
                });
                others.flat_map(|peer| self.says(peer)).collect()
            }
        }
    }
}

fn of_sound(sound: Sound) -> BTreeSet<Tone> {
    match sound {
        Sound::Silence => BTreeSet::new(),
        Sound::Music => BTreeSet::from([Tone::HoldMusic]),
    }
}

/// The SIP phrase of a status.
pub(super) const fn phrase(code: u16) -> &'static str {
    match code {
        180 => "Ringing",
        200 => "OK",
        404 => "Not Found",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Failure",
    }
}

/// The engine's word for a status (sheet yate, section 6).
const fn keyword(code: u16) -> &'static str {
    match code {
        486 | 600 => "busy",
        480 | 487 => "noanswer",
        408 | 503 => "noconn",
        403 | 603 => "forbidden",
        404 | 604 | 410 => "noroute",
        _ => "failure",
    }
}
