//! The recorded sessions, replayed: what the real server said, and what we make of it.
//!
//! The recordings were made with other ids; orders are given where the recording has the action, and the ids are put
//! in place. Questions of ours that nobody recorded are answered from what the recorded events say so far.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::{Done, ParkReason};
use ifbus_call::{By, Cause, Event, LegId, Order, Outcome};

use super::pretend::Channel;
use super::rig::{Rig, dial, native};
use super::transcript::{Block, blocks, named, value};
use crate::adapter::{DownReason, LinkError};
use crate::asterisk::machine::{COMMANDS, STREAM, WATCH};

/// What came of one part of a recording.
#[derive(Debug, Default)]
struct Part {
    events: Vec<Event>,
    outcomes: Vec<Outcome>,
}

/// A recording that is being replayed, over AMI alone.
struct Replay {
    rig: Rig,
    legs: BTreeMap<String, LegId>,
    ids: BTreeMap<String, (u8, String)>,
}

impl Replay {
    fn new() -> Self {
        let mut rig = Rig::ready(false);
        rig.server.acts = false;
        Self { rig, legs: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// Replays a file; the parts are those between its titles.
    fn parts(file: &str) -> Vec<(String, Part)> {
        let mut replay = Self::new();
        let mut parts: Vec<(String, Part)> = Vec::new();
        for block in blocks(named(file)) {
            match block {
                Block::Title(title) => {
                    replay.close(&mut parts);
                    parts.push((title, Part::default()));
                }
                Block::Client(action) => replay.client(&action),
                Block::Server(message) => replay.server(&message),
                Block::Stream(_) => {}
            }
        }
        replay.close(&mut parts);
        parts
    }

    fn close(&mut self, parts: &mut [(String, Part)]) {
        self.rig.advance(Duration::from_secs(3));
        if let Some((_, part)) = parts.last_mut() {
            part.events = std::mem::take(&mut self.rig.events);
            part.outcomes = std::mem::take(&mut self.rig.answers).into_values().collect();
        }
    }

    fn leg(&mut self, name: &str) -> LegId {
        let next = LegId(0x1000 + self.legs.len() as u128);
        *self.legs.entry(name.to_owned()).or_insert(next)
    }

    fn client(&mut self, action: &[u8]) {
        let get = |key: &str| value(action, key).unwrap_or_default();
        let name = get("Action");
        let known = |replay: &Self, key: &str| replay.legs.get(&get(key)).copied();
        let order = match name.as_str() {
            "Originate" if !get("ChannelId").is_empty() => {
                let leg = self.leg(&get("ChannelId"));
                Some(dial(leg, "1001"))
            }
            "Bridge" => {
                known(self, "Channel1").zip(known(self, "Channel2")).map(|(a, b)| Order::Join { a, b })
            }
            "Redirect" => known(self, "Channel")
                .zip(known(self, "ExtraChannel"))
                .filter(|_| get("Exten") == "hold")
                .map(|(held, other)| Order::Park { held, other, why: ParkReason::Hold }),
            "Hangup" => known(self, "Channel").map(|leg| Order::Drop { leg, cause: Cause::Answered }),
            _ => None,
        };
        if let Some(order) = order {
            let sent = self.rig.count(&name);
            self.rig.give(order);
            if self.rig.count(&name) > sent {
                let ours = self.rig.last(&name).expect("it was just sent");
                self.ids.insert(get("ActionID"), ours);
            }
        }
    }

    fn server(&mut self, message: &[u8]) {
        let text = String::from_utf8_lossy(message).into_owned();
        let line = |line: &str| match line.split_once(": ") {
            Some(("ActionID", id)) => self.ids.get(id).map(|(_, ours)| format!("ActionID: {ours}")),
            Some((key, name)) => self.legs.get(name).map(|leg| format!("{key}: {}", native(*leg))),
            None => None,
        };
        let lines: Vec<String> =
            text.split("\r\n").map(|text| line(text).unwrap_or_else(|| text.to_owned())).collect();
        let message = lines.join("\r\n").into_bytes();
        self.rig.server.observe(&message);
        let slot = value(text.as_bytes(), "ActionID")
            .and_then(|id| self.ids.get(&id))
            .map_or(WATCH, |(slot, _)| *slot);
        self.rig.feed(slot, &message);
    }
}

fn part<'a>(parts: &'a [(String, Part)], title: &str) -> &'a Part {
    let found = parts.iter().find(|(known, _)| known.contains(title));
    &found.unwrap_or_else(|| panic!("no part {title}")).1
}

/// How the legs of a part ended.
fn ends(part: &Part) -> Vec<(Cause, By)> {
    let end = |event: &Event| match event {
        Event::Ended { cause, by, .. } => Some((*cause, *by)),
        Event::Vanished(leg) => panic!("{leg} vanished"),
        _ => None,
    };
    part.events.iter().filter_map(end).collect()
}

fn outcomes_of_one_leg(file: &str, expected: &[(&str, Cause, By)]) {
    let parts = Replay::parts(file);
    for (title, cause, by) in expected {
        let part = part(&parts, title);
        assert_eq!(ends(part), [(*cause, *by)], "{file}, {title}: {part:?}");
        assert_eq!(part.outcomes[0], Ok(Done::Proven), "{file}, {title}");
    }
    let refused = part(&parts, "unregistered").outcomes[0].clone().expect_err("there was no channel");
    assert_eq!(refused.cause, Cause::Unreachable, "{file}");
    assert!(refused.is_certain());
}

#[test]
fn every_recorded_outcome_of_a_leg_has_its_cause() {
    outcomes_of_one_leg(
        "03-leg-a-outcomes",
        &[
            ("SIP busy:", Cause::Busy, By::Party),
            ("SIP reject", Cause::Rejected, By::Party),
            ("SIP unavail", Cause::NoAnswer, By::Party),
            ("SIP cong", Cause::Congestion, By::Party),
            ("SIP busy600", Cause::Busy, By::Party),
            ("no answer (Timeout 2000 while ringing)", Cause::NoAnswer, By::Unknown),
            ("no reply at all", Cause::NoAnswer, By::Unknown),
            ("cancel while ringing", Cause::Canceled, By::Us),
            ("answer then immediate BYE", Cause::Answered, By::Party),
        ],
    );
    outcomes_of_one_leg(
        "v16-03-leg-a-outcomes",
        &[
            ("SIP busy:", Cause::Busy, By::Party),
            ("SIP reject", Cause::Rejected, By::Party),
            ("SIP busy600", Cause::Busy, By::Party),
            ("no answer (Timeout 2000 while ringing)", Cause::NoAnswer, By::Unknown),
            ("answer then immediate BYE", Cause::Answered, By::Party),
        ],
    );
}

#[test]
fn early_media_is_told_and_is_no_answer() {
    let parts = Replay::parts("03-leg-a-outcomes");
    let early = part(&parts, "early media 183");
    let place = |wanted: fn(&Event) -> bool| early.events.iter().position(wanted);
    let told = place(|event| matches!(event, Event::EarlyMedia(_))).expect("183 was sent");
    let answered = place(|event| matches!(event, Event::Answered(_)));
    assert!(answered.is_none_or(|answered| told < answered), "{:?}", early.events);
}

/// What happened to which leg, by its letter.
fn told(part: &Part, legs: &BTreeMap<LegId, char>) -> Vec<String> {
    let name = |leg: &LegId| legs.get(leg).map_or('?', |letter| *letter);
    let pair = |a: &LegId, b: &LegId| {
        let mut pair = [name(a), name(b)];
        pair.sort_unstable();
        pair.iter().collect::<String>()
    };
    let mut told: Vec<String> = part
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Answered(leg) => Some(format!("answered {}", name(leg))),
            Event::Joined(a, b) => Some(format!("joined {}", pair(a, b))),
            Event::Ended { leg, cause, by, .. } => Some(format!("ended {} {cause} {by:?}", name(leg))),
            Event::Vanished(leg) => Some(format!("vanished {}", name(leg))),
            _ => None,
        })
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn the_recommended_model_reads_as_it_was_meant_on_both_versions() {
    for file in ["20-recommended-model", "v16-20-recommended-model"] {
        let parts = Replay::parts(file);
        let letters: BTreeMap<LegId, char> =
            ('a'..='z').enumerate().map(|(n, letter)| (LegId(0x1000 + n as u128), letter)).collect();
        let expect = |title: &str, wanted: &[&str]| {
            let part = part(&parts, title);
            assert_eq!(told(part, &letters), wanted, "{file}, {title}: {:?}", part.events);
            assert!(
                part.outcomes.iter().all(|outcome| *outcome == Ok(Done::Proven)),
                "{file}, {title}: {part:?}"
            );
        };
        expect("leg A", &["answered a"]);
        expect("leg B", &["answered b"]);
        expect("join", &["joined ab"]);
        expect("hold B", &[]);
        expect("resume", &["joined ab"]);
        expect("B hangs up: A follows by itself", &["ended a answered Server", "ended b answered Party"]);
    }
}

#[test]
fn hold_and_resume_of_the_first_session_are_proven() {
    let parts = Replay::parts("07-two-legs-and-bridge");
    for title in
        ["originate A", "originate B", "Bridge by unique ids", "Hold: Redirect both", "Resume: Bridge again"]
    {
        let part = part(&parts, title);
        assert_eq!(part.outcomes, [Ok(Done::Proven)], "{title}: {part:?}");
    }
    let parted = &part(&parts, "Hold: Redirect both").events;
    assert_eq!(parted.iter().filter(|event| matches!(event, Event::Parted(_))).count(), 2, "{parted:?}");
}

#[test]
fn whoever_hung_up_is_told() {
    let parts = Replay::parts("06-hangup-sides");
    assert_eq!(ends(part(&parts, "A hangs up while B rings")), [(Cause::Answered, By::Party)]);
    assert_eq!(ends(part(&parts, "B hangs up after answer")), [(Cause::Answered, By::Unknown)]);
    assert_eq!(ends(part(&parts, "API hangup of A, Cause 21")), [(Cause::Answered, By::Us)]);
    // a hangup by a pattern is never ours, and the server does not tell who it was
    assert_eq!(ends(part(&parts, "API hangup with regex")), [(Cause::Answered, By::Unknown)]);
}

#[test]
fn a_leg_in_a_dialplan_of_somebody_else_ends_with_its_own_cause() {
    let parts = Replay::parts("04-leg-b-outcomes");
    for (title, part) in &parts {
        assert_eq!(ends(part).len(), 1, "{title}: {part:?}");
        assert_eq!(part.outcomes, [Ok(Done::Proven)], "{title}");
    }
}

#[test]
fn a_canceled_consultation_joins_the_old_pair_again() {
    let mut replay = Replay::new();
    // the recording begins in the middle: A and B talk
    for name in ["d2-a", "d2-b"] {
        let leg = replay.leg(name);
        let channel =
            Channel { state: 6, exten: "wait".into(), bridge: Some("x".into()), ..Default::default() };
        replay.rig.server.channels.insert(native(leg), channel);
    }
    let (a, b) = (replay.leg("d2-a"), replay.leg("d2-b"));
    replay.rig.outcome(Order::List).expect("a list");
    let mut part = Part::default();
    for block in blocks(named("21-dtmf-and-cancel")) {
        match block {
            Block::Client(action) => replay.client(&action),
            Block::Server(message) => replay.server(&message),
            Block::Title(title) if title.starts_with("attended") => replay.rig.events.clear(),
            _ => {}
        }
    }
    part.events = replay.rig.events.clone();
    let joined =
        |event: &&Event| matches!(event, Event::Joined(x, y) if [*x, *y] == [a, b] || [*x, *y] == [b, a]);
    assert!(part.events.iter().any(|event| joined(&event)), "{part:?}");
    let answers: Vec<&Outcome> = replay.rig.answers.values().skip(1).collect();
    assert!(answers.iter().all(|outcome| **outcome == Ok(Done::Proven)), "{answers:?}");
}

#[test]
fn a_recorded_shutdown_ends_the_calls_and_then_the_life() {
    let mut rig = Rig::new(false);
    rig.server.acts = false;
    let (a, b) = (LegId(0xa), LegId(0xb));
    for leg in [a, b] {
        let channel = Channel { state: 6, exten: "wait".into(), ..Default::default() };
        rig.server.channels.insert(native(leg), channel);
    }
    rig.start();
    for block in blocks(named("19-ari-subscribe-all-and-shutdown")) {
        if let Block::Server(message) = block {
            let text =
                String::from_utf8_lossy(&message).replace("sa-a", &native(a)).replace("sa-b", &native(b));
            rig.server.observe(text.as_bytes());
            rig.feed(WATCH, text.as_bytes());
        }
    }
    assert!(rig.end(b).is_some());
    rig.close(WATCH, LinkError::Closed);
    assert_eq!(rig.down[0].reason, DownReason::ShuttingDown);
}

#[test]
fn the_recorded_stream_tells_the_whole_call() {
    let mut rig = Rig::ready(true);
    let (a, b) = (LegId(0xa), LegId(0xb));
    for block in blocks(named("19-ari-subscribe-all-and-shutdown")) {
        if let Block::Stream(json) = block {
            let json = json.replace("\"sa-a\"", &format!("\"{}\"", native(a)));
            rig.feed(STREAM, json.replace("\"sa-b\"", &format!("\"{}\"", native(b))).as_bytes());
        }
    }
    let of = |leg: LegId| -> Vec<&Event> {
        let about = |event: &&Event| event.leg() == leg && !matches!(event, Event::Ended { .. });
        rig.events.iter().filter(about).collect()
    };
    assert_eq!(of(b), [&Event::Started(b), &Event::Ringing(b), &Event::Answered(b), &Event::Parted(b)]);
    assert!(of(a).contains(&&Event::Joined(a, b)));
    assert!(rig.end(a).is_some() && rig.end(b).is_some());
    assert_eq!(rig.unknown, 0);
}

#[test]
fn the_recorded_logins_are_understood() {
    for file in ["01-connect-login", "v16-01-connect-login"] {
        let mut rig = Rig::ready(true);
        for block in blocks(named(file)) {
            if let Block::Server(message) = block.clone()
                && !message.starts_with(b"Asterisk Call Manager")
            {
                rig.feed(COMMANDS, &message);
            }
        }
        assert!(
            rig.events.is_empty() && rig.warnings.is_empty() && rig.down.is_empty(),
            "{file}: {:?}",
            rig.down
        );
    }
}
