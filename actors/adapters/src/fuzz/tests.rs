//! The entry points under a seeded driver: short by default, as long as `IFBUS_FUZZ_RUNS` says.

use proptest::prelude::*;

use super::*;
use crate::asterisk::tests::transcript::{ALL, Block, blocks};

fn runs(short: u64) -> u64 {
    std::env::var("IFBUS_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// SplitMix64, so that a failing run is repeated by its number.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| self.next() as u8).collect()
    }

    /// A recorded message with a few bytes changed, left out or doubled.
    fn bent(&mut self, from: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = from[self.next() as usize % from.len()].clone();
        for _ in 0..self.next() % 6 {
            if bytes.is_empty() {
                break;
            }
            let place = self.next() as usize % bytes.len();
            match self.next() % 4 {
                0 => bytes[place] = self.next() as u8,
                1 => drop(bytes.remove(place)),
                2 => bytes
                    .insert(place, *b"\r\n: \0\"{}"[..].get(self.next() as usize % 8).expect("one of eight")),
                _ => bytes.truncate(place),
            }
        }
        bytes
    }
}

fn drive(short: u64, mut target: impl FnMut(&mut Seeded)) {
    for run in 0..runs(short) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&mut Seeded(run))));
        assert!(result.is_ok(), "run {run} broke a promise");
    }
}

fn recorded(stream: bool) -> Vec<Vec<u8>> {
    let of = |block| match block {
        Block::Server(bytes) if !stream => Some(bytes),
        Block::Stream(json) if stream => Some(json.into_bytes()),
        _ => None,
    };
    ALL.iter().flat_map(|(_, text)| blocks(text)).filter_map(of).collect()
}

#[test]
fn manager_bytes_of_any_kind_are_survived() {
    let from = recorded(false);
    drive(20_000, |seeded| {
        ami(&seeded.bytes(200));
        ami(&seeded.bent(&from));
    });
}

#[test]
fn event_socket_bytes_of_any_kind_are_survived() {
    let from: Vec<Vec<u8>> = include_str!("../freeswitch/transcripts/golden-call.jsonl")
        .lines()
        .flat_map(|json| {
            let head = format!("Content-Length: {}\nContent-Type: text/event-json\n\n", json.len());
            // bare JSON as well: the members are bent, not the frame around them
            [[&b"\x10"[..], head.as_bytes(), json.as_bytes()].concat(), [b"\x10", json.as_bytes()].concat()]
        })
        .filter(|bytes| bytes.len() < 4000)
        .collect();
    assert!(from.len() > 4);
    drive(2_000, |seeded| {
        esl(&seeded.bytes(200));
        esl(&seeded.bent(&from));
    });
}

#[test]
fn stream_messages_of_any_kind_are_survived() {
    let from = recorded(true);
    drive(20_000, |seeded| {
        ari(&seeded.bytes(200));
        ari(&seeded.bent(&from));
    });
}

#[test]
fn netstrings_of_any_kind_are_survived() {
    let from = vec![b"\x055:hello,0:,12:{\"event\":1},,".to_vec()];
    drive(20_000, |seeded| {
        netstring(&seeded.bytes(200));
        netstring(&seeded.bent(&from));
    });
}

#[test]
fn json_rpc_answers_of_any_kind_are_survived() {
    let from = vec![
        b"\x00{\"jsonrpc\":\"2.0\",\"result\":[{\"h_entry\":1,\"state\":4}],\"id\":77}".to_vec(),
        b"\x7f{\"jsonrpc\":\"2.0\",\"error\":{\"code\":404,\"message\":\"Dialog not found\"},\"id\":77}"
            .to_vec(),
    ];
    drive(20_000, |seeded| {
        jsonrpc(&seeded.bytes(200));
        jsonrpc(&seeded.bent(&from));
    });
}

#[test]
fn pushed_bytes_of_any_kind_are_survived() {
    use crate::wire_format::http2::tests::{DEVICE, beginning, request};
    let both =
        [beginning(), request(1, "POST", "/api/statistics/calls", b"{}"), request(3, "PATCH", DEVICE, b"{}")];
    let from = vec![both.concat(), both[..2].concat()];
    drive(20_000, |seeded| {
        http2(&seeded.bytes(200));
        http2(&seeded.bent(&from));
        http2(&[&[seeded.next() as u8], &beginning()[..], &seeded.bytes(300)].concat());
    });
}

#[test]
fn datagrams_of_any_kind_are_survived() {
    let from = vec![Question { id: 0x5eed_5eed_5eed_5eed_5eed_5eed_5eed_5eed }.datagram("h", 5060)];
    drive(20_000, |seeded| {
        sip_options(&seeded.bytes(200));
        sip_options(&seeded.bent(&from));
    });
}

#[test]
fn settings_of_any_kind_are_survived() {
    let from: Vec<Vec<u8>> = [
        "tls=pin:abababababababababababababababababababababababababababababababab",
        "tls=ca:/etc/ifbus/ca.pem",
        "dial_e164=PJSIP/{n}@trunk",
        "sip=[2001:db8::1]:5070",
        "port=5038",
    ]
    .iter()
    .flat_map(|text| {
        let (name, value) = text.split_once('=').expect("a pair");
        let which = crate::asterisk::KEYS.iter().position(|key| key.name == name).expect("a key");
        [[&[u8::try_from(which).expect("few keys")], value.as_bytes()].concat()]
    })
    .collect();
    drive(20_000, |seeded| {
        settings(&seeded.bytes(200));
        settings(&seeded.bent(&from));
    });
}

#[test]
fn every_ticket_is_answered_once_whatever_the_server_does() {
    drive(20_000, |seeded| asterisk_session(&seeded.bytes(600)));
}

#[test]
fn every_ticket_is_answered_once_whatever_a_kamailio_does() {
    drive(20_000, |seeded| kamailio_session(&seeded.bytes(300)));
}

#[test]
fn the_sessions_of_a_kamailio_reach_what_they_are_to_test() {
    let (mut ready, mut done, mut refused, mut down) = (0, 0, 0, 0);
    for seed in 0..1000 {
        let reached = kamailio::run(&Seeded(seed).bytes(300));
        ready += reached.ready;
        done += reached.done;
        refused += reached.refused;
        down += reached.down;
    }
    assert!(ready > 500 && done > 500 && refused > 500 && down > 500, "{ready} {done} {refused} {down}");
}

#[test]
fn the_sessions_reach_what_they_are_to_test() {
    let (mut ready, mut proven, mut refused, mut events) = (0, 0, 0, 0);
    let (mut entered, mut chunks) = (0, 0);
    for seed in 0..1000 {
        let reached = session::run(&Seeded(seed).bytes(600));
        ready += reached.ready;
        proven += reached.proven;
        refused += reached.refused;
        events += reached.events;
        entered += reached.entered;
        chunks += reached.chunks;
    }
    assert!(
        ready > 500 && proven > 500 && refused > 500 && events > 2000,
        "{ready} {proven} {refused} {events}"
    );
    assert!(entered > 50 && chunks > 50, "{entered} {chunks}");
}

#[test]
fn lines_of_an_engine_of_any_kind_are_survived() {
    let from: Vec<Vec<u8>> = crate::yate::tests::replay::lines()
        .into_iter()
        .map(|line| format!("{line}\n").into_bytes())
        .collect();
    drive(5_000, |seeded| {
        extmodule(&seeded.bytes(200));
        extmodule(&seeded.bent(&from));
    });
}

#[test]
fn every_ticket_is_answered_once_whatever_the_engine_does() {
    drive(3_000, |seeded| yate_session(&seeded.bytes(600)));
}

#[test]
fn the_sessions_of_an_engine_reach_what_they_are_to_test() {
    let (mut ready, mut proven, mut refused, mut events) = (0, 0, 0, 0);
    for seed in 0..1000 {
        let reached = yate::run(&Seeded(seed).bytes(600));
        ready += reached.ready;
        proven += reached.proven;
        refused += reached.refused;
        events += reached.events;
    }
    assert!(
        ready > 500 && proven > 500 && refused > 500 && events > 1000,
        "{ready} {proven} {refused} {events}"
    );
}

proptest! {
    #[test]
    fn every_ticket_is_answered_once_under_random_closes(data in proptest::collection::vec(any::<u8>(), 0..800)) {
        asterisk_session(&data);
    }
}
