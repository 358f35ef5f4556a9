//! What a real 5.6.3 said, given to the machine again.

use ifbus_call::Stage;
use proptest::prelude::*;
use serde_json::Value;

use super::rig::Rig;
use crate::adapter::Input;
use crate::wire_format::jsonrpc::{self, Failure};
use crate::wire_format::netstring;

const EVENTS: [&str; 2] = [
    include_str!("../transcripts/evapi-events-3pcc.txt"),
    include_str!("../transcripts/evapi-events-causes.txt"),
];

/// The events of a recording, as they were on the wire.
fn wire(text: &str) -> Vec<u8> {
    let events = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, json)| json);
    events.flat_map(|json| netstring::encode(json.as_bytes())).collect()
}

#[test]
fn every_recorded_event_is_understood() {
    for text in EVENTS {
        let mut rig = Rig::ready(&[]);
        rig.input(Input::Bytes(rig.link(), &wire(text)));
        assert_eq!((rig.unknown, rig.down.len(), rig.warnings.len()), (0, 0, 0));
    }
}

#[test]
fn the_recorded_list_is_read() {
    let mut rig = Rig::ready(&[]);
    let text = include_str!("../transcripts/dlg-list-3pcc.json");
    let recorded: Value = serde_json::from_str(text).expect("it is JSON");
    rig.dialogs = recorded["result"].as_array().expect("a list").clone();
    let seen = rig.listed();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.stage == Stage::Up && seen.native.ends_with("@127.0.30.10")));
    let parties: Vec<&str> = seen.iter().map(|seen| seen.party.as_str()).collect();
    assert!(parties.contains(&"ifbus to bs1") && parties.contains(&"ifbus to bs2"), "{parties:?}");
}

#[test]
fn the_recorded_answers_are_read() {
    let text = include_str!("../transcripts/http-jsonrpc-shapes.txt").replace("\r\n", "\n");
    let (mut results, mut errors, mut denied) = (0, 0, 0);
    for reply in text.split("<<< reply\n").skip(1) {
        let Some(status) = reply.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) else { continue };
        let status: u16 = status.parse().expect("a status");
        let body = reply.split("\n\n").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
        match jsonrpc::reply::<Value>(status, body.as_bytes(), 1) {
            Ok(_) => results += 1,
            Err(Failure::Error { code, .. }) => {
                assert_eq!(code, i64::from(status), "the status is the code");
                errors += 1;
            }
            Err(Failure::Denied(401)) => denied += 1,
            Err(_) => {}
        }
    }
    assert!(results >= 2 && errors >= 5 && denied >= 1, "{results} {errors} {denied}");
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same(cuts in proptest::collection::vec(1..900_usize, 1..40)) {
        let bytes = wire(EVENTS[1]);
        let told = |pieces: Vec<&[u8]>| {
            let mut rig = Rig::ready(&[]);
            for piece in pieces {
                rig.input(Input::Bytes(rig.link(), piece));
            }
            (rig.said, rig.unknown, rig.events)
        };
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(told(vec![&bytes]), told(pieces));
    }
}
