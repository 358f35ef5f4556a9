//! Whole sessions recorded between this adapter and real servers, replayed byte for byte, in one piece and in many.
//!
//! The ids of actions are ours and random: the recorded ones are replaced by those the machine sends now, in their
//! order.

use std::collections::VecDeque;
use std::time::Duration;

use ifbus_call::order::{Dial, Direction, Done, Inbound, ParkReason, Role};
use ifbus_call::{
    By, CallId, Cause, ConferenceId, Epoch, Event, LegId, Nanos, Order, Outcome, Tag, Wait, Why,
};
use proptest::prelude::*;

use super::rig::{INSTANCE, options};
use super::transcript::value;
use crate::adapter::{Adapter, HttpReply, Input, LinkError, LinkId, Output, RequestId, Ticket};
use crate::asterisk::Asterisk;
use crate::wire_format::wav;

const SESSIONS: [(&str, &str); 4] = [
    ("22 ari", include_str!("../transcripts/session-22-ari.txt")),
    ("16 ari", include_str!("../transcripts/session-16-ari.txt")),
    ("22 alone", include_str!("../transcripts/session-22-alone.txt")),
    ("16 alone", include_str!("../transcripts/session-16-alone.txt")),
];

/// Conferences, a recording, a drain.
const ROOMS: [(&str, &str); 4] = [
    ("22 ari", include_str!("../transcripts/rooms-22-ari.txt")),
    ("16 ari", include_str!("../transcripts/rooms-16-ari.txt")),
    ("22 alone", include_str!("../transcripts/rooms-22-alone.txt")),
    ("16 alone", include_str!("../transcripts/rooms-16-alone.txt")),
];

struct Player {
    machine: Asterisk,
    now: Nanos,
    outputs: Vec<Output>,
    /// Actions that were sent and have no recorded counterpart yet: link, name, id.
    sent: VecDeque<(u8, String, String)>,
    markers: VecDeque<String>,
    /// Recorded names and ours.
    names: Vec<(String, String)>,
}

const EPOCH: Epoch = Epoch(1);

fn link(slot: &str) -> LinkId {
    LinkId { epoch: EPOCH, slot: slot.parse().expect("a slot") }
}

fn order(words: &[&str]) -> Order {
    let leg = |place: usize| words[place].parse::<LegId>().expect("a leg");
    let recording = |place: usize| words[place].parse().expect("a recording");
    let segment = |place: usize| words[place].parse().expect("a number");
    match words[0] {
        "dial" => {
            let address = |text: &str| text.parse().expect("an address");
            let tag = Tag {
                call: CallId::new(1, leg(1).0),
                role: Role::A,
                party: address(words[2]),
                from: address("1001"),
                to: address(words[2]),
            };
            let wait = if words[3] == "ringback" { Wait::Ringback } else { Wait::Silence };
            let within = Duration::from_secs(words[4].parse().expect("seconds"));
            Order::Dial(Dial { leg: leg(1), tag, caller: address("1002"), toward: None, wait, within })
        }
        "join" => Order::Join { a: leg(1), b: leg(2) },
        "park" => Order::Park { held: leg(1), other: leg(2), why: ParkReason::Consult },
        "drop" => Order::Drop { leg: leg(1), cause: Cause::Answered },
        "dtmf" => Order::Dtmf { leg: leg(1), digits: words[2].parse().expect("digits") },
        "mute" => Order::Mute { leg: leg(1), direction: Direction::In, on: true },
        "enter" => Order::Enter { leg: leg(1), conference: words[2].parse().expect("a conference") },
        "leave" => Order::Leave { leg: leg(1) },
        "record" => Order::Record { leg: leg(1), recording: recording(2), segment: segment(3) },
        "stop" => Order::StopRecord { leg: leg(1), recording: recording(2), segment: segment(3) },
        "fetch" => Order::Fetch { recording: recording(1), segment: segment(2) },
        "drain" => Order::Drain { on: words[1] == "on" },
        "list" => Order::List,
        "load" => Order::Load,
        other => panic!("unknown order {other}"),
    }
}

impl Player {
    fn new(ari: bool, seed: u64) -> Self {
        let more: &[(&str, &str)] = if ari { &[] } else { &[("ari_port", "0")] };
        let machine = Asterisk::new(options(more), INSTANCE, "pbx".parse().expect("a name"), seed);
        Self {
            machine,
            now: Nanos::ZERO,
            outputs: Vec::new(),
            sent: VecDeque::new(),
            markers: VecDeque::new(),
            names: Vec::new(),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        while let Some(output) = self.machine.poll() {
            match &output {
                Output::Send(link, bytes) if bytes.starts_with(b"Action: ") => {
                    let get = |key| value(bytes, key).unwrap_or_default();
                    self.sent.push_back((link.slot, get("Action"), get("ActionID")));
                }
                Output::Http(_, request) => {
                    let marker = request
                        .path
                        .strip_prefix("/ari/events/user/")
                        .and_then(|rest| rest.split('?').next());
                    self.markers.extend(marker.map(str::to_owned));
                }
                _ => {}
            }
            self.outputs.push(output);
        }
    }

    fn renamed(&self, text: &str) -> Vec<u8> {
        let mut text = text.to_owned();
        for (recorded, ours) in &self.names {
            text = text.replace(recorded, ours);
        }
        text.replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'").into_bytes()
    }

    fn line(&mut self, line: &str, cut: &mut impl FnMut(usize) -> Vec<usize>) {
        let (at, rest) = line.split_once(' ').expect("a moment and what happened");
        self.now = Nanos::from_start(Duration::from_nanos(at.parse().expect("nanoseconds")));
        let words: Vec<&str> = rest.split(' ').collect();
        match words[0] {
            "start" => self.input(Input::Start(EPOCH)),
            "opened" => self.input(Input::Opened(link(words[1]))),
            "closed" => self.input(Input::Closed(link(words[1]), LinkError::Closed)),
            "tick" => self.input(Input::Tick),
            "order" => {
                self.input(Input::Order(Ticket(words[1].parse().expect("a ticket")), order(&words[2..])))
            }
            "http" => {
                let id = RequestId { epoch: EPOCH, number: words[1].parse().expect("a number") };
                let status = words[2].parse().expect("a status");
                self.input(Input::Http(id, Ok(HttpReply { status, body: Vec::new() })));
            }
            "part" => {
                let id = RequestId { epoch: EPOCH, number: words[1].parse().expect("a number") };
                let body: Vec<u8> = (0..words[2].len() / 2)
                    .map(|at| u8::from_str_radix(&words[2][2 * at..2 * at + 2], 16).expect("hex"))
                    .collect();
                let mut places = cut(body.len());
                places.extend([0, body.len()]);
                places.sort_unstable();
                for pair in places.windows(2).filter(|pair| pair[0] < pair[1]) {
                    self.input(Input::HttpPart(id, &body[pair[0]..pair[1]]));
                }
            }
            "sent" => {
                let slot: u8 = words[1].parse().expect("a slot");
                let place = self.sent.iter().position(|(on, name, _)| *on == slot && name == words[2]);
                let ours = place.and_then(|place| self.sent.remove(place));
                let (_, _, id) =
                    ours.unwrap_or_else(|| panic!("{} was recorded and is not sent now", words[2]));
                self.names.push((words[3].to_owned(), id));
            }
            "marker" => {
                let ours = self.markers.pop_front().expect("an event of ours was recorded");
                self.names.push((words[1].to_owned(), ours));
            }
            "bytes" => {
                let bytes = self.renamed(rest.splitn(3, ' ').nth(2).expect("bytes"));
                let link = link(words[1]);
                // a message of the stream is whole, a byte stream may come in any pieces
                let mut places = if link.slot == 2 { Vec::new() } else { cut(bytes.len()) };
                places.extend([0, bytes.len()]);
                places.sort_unstable();
                for pair in places.windows(2).filter(|pair| pair[0] < pair[1]) {
                    self.input(Input::Bytes(link, &bytes[pair[0]..pair[1]]));
                }
            }
            other => panic!("unknown line {other}"),
        }
    }

    fn play(name: &str, text: &str, mut cut: impl FnMut(usize) -> Vec<usize>) -> Self {
        let mut player = Self::new(name.ends_with("ari"), 99);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            player.line(line, &mut cut);
        }
        player
    }

    fn events(&self) -> Vec<&Event> {
        let mut events = Vec::new();
        for output in &self.outputs {
            if let Output::Event(event) = output {
                events.push(event);
            }
        }
        events
    }

    /// Chunks follow the pieces of the body; their bytes do not.
    fn but_chunks(&self) -> Vec<&Output> {
        self.outputs.iter().filter(|output| !matches!(output, Output::Chunk(..))).collect()
    }

    fn chunks(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for output in &self.outputs {
            if let Output::Chunk(_, chunk) = output {
                bytes.extend_from_slice(chunk);
            }
        }
        bytes
    }

    fn answers(&self) -> Vec<&Outcome> {
        let mut answers = Vec::new();
        for output in &self.outputs {
            if let Output::Answer(_, outcome) = output {
                answers.push(outcome);
            }
        }
        answers
    }
}

fn dialed(text: &str) -> Vec<LegId> {
    let leg = |line: &str| line.split(' ').skip_while(|word| *word != "dial").nth(1)?.parse().ok();
    text.lines().filter_map(leg).collect()
}

#[test]
fn every_order_of_a_recorded_session_is_proven_again() {
    for (name, text) in SESSIONS {
        let player = Player::play(name, text, |_| Vec::new());
        let answers = player.answers();
        let given = text.lines().filter(|line| line.split(' ').nth(1) == Some("order")).count();
        assert_eq!(answers.len(), given, "{name}");
        let proven = answers.iter().filter(|outcome| ***outcome == Ok(Done::Proven)).count();
        let told = |wanted: fn(&Done) -> bool| {
            answers.iter().filter(|outcome| outcome.as_ref().is_ok_and(wanted)).count()
        };
        assert_eq!(told(|done| matches!(done, Done::Listed(seen) if seen.len() >= 2)), 1, "{name}");
        assert_eq!(told(|done| matches!(done, Done::Loaded(_))), 1, "{name}");
        let refused = answers.last().expect("there are some").as_ref().expect_err("an unregistered phone");
        assert_eq!(refused.cause, Cause::Unreachable, "{name}");
        assert_eq!(proven, given - 3, "{name}");
    }
}

#[test]
fn conferences_recordings_and_drain_of_a_recorded_session_are_proven_again() {
    for (name, text) in ROOMS {
        let player = Player::play(name, text, |_| Vec::new());
        let legs: Vec<LegId> = dialed(text);
        let given: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once(" order ")?.1.split_once(' '))
            .map(|(_, order)| order)
            .collect();
        let answers = player.answers();
        assert_eq!(answers.len(), given.len(), "{name}");
        for (order, answer) in given.iter().zip(&answers) {
            let ari = name.ends_with("ari");
            let refusal = |why: Why, code: Option<u16>| {
                let refused = answer.as_ref().expect_err(order);
                assert_eq!((refused.why, refused.said.as_ref().and_then(|said| said.code)), (why, code));
            };
            match order.split(' ').next().expect("a word") {
                "list" => assert!(matches!(answer, Ok(Done::Listed(_)))),
                "drain" if *order == "drain on" => assert_eq!(**answer, Ok(Done::Drained(Inbound::Closed))),
                "drain" => assert_eq!(**answer, Ok(Done::Drained(Inbound::Open { need: None }))),
                "fetch" if !ari => refusal(Why::Prerequisite, None),
                "fetch" if order.ends_with(" 1") => refusal(Why::Refused, Some(404)),
                _ => assert_eq!(**answer, Ok(Done::Proven), "{name}: {order}"),
            }
        }
        let wav = player.chunks();
        let length = wav.first_chunk().map(wav::length);
        let whole = if name.ends_with("ari") { Some(Ok(wav.len() as u64)) } else { None };
        assert_eq!(length, whole, "{name}");
        let Some(Ok(Done::Listed(seen))) =
            answers.iter().find(|answer| matches!(answer, Ok(Done::Listed(_))))
        else {
            panic!("it was listed")
        };
        let room: ConferenceId = "room".parse().expect("a conference");
        for seen in seen.iter().filter(|seen| seen.leg == legs[0] || seen.leg == legs[1]) {
            assert_eq!((seen.conference.as_ref(), &seen.partners[..]), (Some(&room), &[][..]), "{name}");
        }
    }
}

#[test]
fn a_recorded_conference_tells_the_same_story_on_every_version_and_way() {
    for (name, text) in ROOMS {
        let player = Player::play(name, text, |_| Vec::new());
        let legs: Vec<LegId> = dialed(text);
        let room = |name: &str| name.parse().expect("a conference");
        let moves: Vec<&Event> = player
            .events()
            .into_iter()
            .filter(|event| matches!(event, Event::Entered(..) | Event::Left(_) | Event::Joined(..)))
            // whether one who was thrown out is told of twice depends on the way
            .filter(|event| **event != Event::Left(legs[2]))
            .collect();
        let story = [
            Event::Entered(legs[0], room("room")),
            Event::Entered(legs[1], room("room")),
            Event::Left(legs[0]),
            Event::Entered(legs[0], room("second")),
            Event::Left(legs[0]),
            Event::Left(legs[1]),
            Event::Joined(legs[0], legs[1]),
            Event::Entered(legs[2], room("third")),
        ];
        assert_eq!(moves, story.iter().collect::<Vec<_>>(), "{name}");
        let ended = |of: usize| {
            let ends = |event: &&&Event| matches!(event, Event::Ended { leg, .. } if *leg == legs[of]);
            player.events().iter().filter(ends).count()
        };
        assert_eq!((ended(0), ended(1), ended(2)), (1, 1, 1), "{name}");
    }
}

#[test]
fn a_recorded_session_tells_the_same_story_on_every_version_and_way() {
    for (name, text) in SESSIONS {
        let player = Player::play(name, text, |_| Vec::new());
        let legs = dialed(text);
        let events = player.events();
        let joined = |x: usize, y: usize| {
            let pair = [legs[x], legs[y]];
            let is = |event: &&&Event| matches!(event, Event::Joined(a, b) if pair == [*a, *b] || pair == [*b, *a]);
            events.iter().filter(is).count()
        };
        assert_eq!((joined(0, 1), joined(0, 2), joined(1, 2)), (1, 1, 1), "{name}: {events:?}");
        let end = |of: usize| {
            let ends = |event: &&&Event| matches!(event, Event::Ended { leg, .. } | Event::Vanished(leg) if *leg == legs[of]);
            let found: Vec<&&Event> = events.iter().filter(ends).collect();
            assert_eq!(found.len(), 1, "{name}, leg {of}");
            match found[0] {
                Event::Ended { cause, by, .. } => (*cause, *by),
                other => panic!("{name}: {other:?}"),
            }
        };
        assert_eq!(end(0), (Cause::Answered, By::Server), "{name}: released");
        assert_eq!(end(1), (Cause::Answered, By::Us), "{name}: dropped");
        assert_eq!(end(2), (Cause::Answered, By::Server), "{name}: its partner was dropped");
        assert_eq!(end(3), (Cause::Busy, By::Party), "{name}");
        assert!(events.contains(&&Event::Muted(legs[0], Direction::In, true)), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_of_a_recorded_session_gives_the_same_outputs(
        which in 0..SESSIONS.len() + ROOMS.len(),
        step in 1_usize..40,
        seed in any::<u64>(),
    ) {
        let (name, text) = SESSIONS.into_iter().chain(ROOMS).nth(which).expect("it is one of them");
        let whole = Player::play(name, text, |_| Vec::new());
        let mut state = seed;
        let split = Player::play(name, text, |length| {
            let mut places = Vec::new();
            let mut place = 0;
            while place < length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                place += 1 + (state >> 33) as usize % (step * step);
                places.push(place.min(length));
            }
            places
        });
        prop_assert_eq!(whole.chunks(), split.chunks());
        prop_assert_eq!(whole.but_chunks(), split.but_chunks());
    }
}
