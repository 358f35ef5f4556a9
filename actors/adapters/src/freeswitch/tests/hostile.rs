//! What a server, or whoever stands in its place, may say: nothing of it panics, changes what was not meant, or leaves a
//! ticket without its one answer.

use std::time::Duration;

use ifbus_call::order::ParkReason;
use ifbus_call::{Cause, Event, Order};
use proptest::prelude::*;

use super::pretend::event_frame;
use super::rig::{A, B, Rig, dial, native};
use crate::adapter::{DownReason, Input, LinkError};
use crate::freeswitch::machine::{COMMANDS, EVENTS};

fn feed(rig: &mut Rig, json: &str) {
    rig.feed(EVENTS, &event_frame(json));
}

#[test]
fn events_that_are_none_change_nothing() {
    let mut rig = Rig::joined();
    let a = native(A);
    for json in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{".into(),
        "{}".into(),
        "{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\"}".into(),
        "{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\",\"Unique-ID\":\"\"}".into(),
        format!("{{\"Event-Name\":\"NOBODY_KNOWS\",\"Unique-ID\":\"{a}\"}}"),
        format!("{{\"Event-Name\":\"CHANNEL_BRIDGE\",\"Bridge-A-Unique-ID\":\"{a}\"}}"),
        format!("{{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\",\"Unique-ID\":\"{}\"}}", a.to_uppercase()),
        format!(
            "{{\"Event-Name\":\"CHANNEL_BRIDGE\",\"Bridge-A-Unique-ID\":\"{a}\",\"Bridge-B-Unique-ID\":\"{a}\"}}"
        ),
        "{\"Event-Name\":\"CUSTOM\",\"Event-Subclass\":\"x::y\"}".into(),
        "{\"Event-Name\":\"BACKGROUND_JOB\",\"Job-UUID\":\"x\",\"_body\":\"-ERR X\"}".into(),
    ] {
        feed(&mut rig, &json);
    }
    assert_eq!(rig.events, [], "{:?}", rig.events);
    assert!(rig.down.is_empty());
    assert!(rig.unknown >= 8, "{}", rig.unknown);
}

#[test]
fn a_name_that_holds_an_event_is_a_name() {
    let mut rig = Rig::joined();
    let inside = format!(
        "x\\\",\\\"Event-Name\\\":\\\"CHANNEL_HANGUP_COMPLETE\\\"}}\\n\\nContent-Length: 9\\n\\n{{\\\"Unique-ID\\\":\\\"{}\\\"}}",
        native(A)
    );
    feed(
        &mut rig,
        &format!(
            "{{\"Event-Name\":\"CHANNEL_CREATE\",\"Unique-ID\":\"foreign\",\"Caller-Caller-ID-Number\":\"{inside}\",\
             \"variable_sip_h_X-ifbus_owner\":\"123456789abcdef0\"}}"
        ),
    );
    assert_eq!(rig.events, []);
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
}

#[test]
fn a_leg_of_another_instance_is_not_ours() {
    let mut rig = Rig::ready();
    let uuid = "77777777-0000-0000-0000-000000000001";
    for owner in ["00000000000000ff", "123456789ABCDEF0", ""] {
        feed(
            &mut rig,
            &format!(
                "{{\"Event-Name\":\"CHANNEL_ANSWER\",\"Unique-ID\":\"{uuid}\",\"variable_ifbus_owner\":\"{owner}\"}}"
            ),
        );
    }
    assert_eq!(rig.events, []);
}

#[test]
fn a_framing_error_ends_the_life() {
    for bytes in [
        &b"garbage\n\n"[..],
        b"Content-Length: -1\nContent-Type: text/event-json\n\n",
        b"Content-Length: 99999999999\nContent-Type: text/event-json\n\n",
        b"Content-Length: 5\nContent-Length: 6\nContent-Type: text/event-json\n\n",
    ] {
        for slot in [COMMANDS, EVENTS] {
            let mut rig = Rig::joined();
            let ticket = rig.give_muted(Order::List);
            rig.feed(slot, bytes);
            assert!(matches!(rig.down[0].reason, DownReason::Protocol(_)), "{:?}", rig.down);
            assert!(rig.answers.contains_key(&ticket));
        }
    }
}

#[test]
fn a_flood_before_the_list_is_bounded() {
    let mut rig = Rig::new();
    rig.server.mute = vec!["api show"];
    rig.start();
    rig.advance(Duration::from_secs(1));
    let json = format!("{{\"Event-Name\":\"HEARTBEAT\",\"x\":\"{}\"}}", "y".repeat(1024 * 1024));
    let frame = event_frame(&json);
    for _ in 0..70 {
        rig.feed(EVENTS, &frame);
    }
    assert!(matches!(rig.down[0].reason, DownReason::Protocol(_)));
}

/// Answers that an order may get.
fn words() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "+OK\n",
        "+OK Success\n",
        "-ERR No such channel!\n",
        "-ERR Invalid uuid\n",
        "-ERR Operation failed\n",
        "-USAGE: x\n",
        "-ERR permission denied",
        "_undef_",
        "on",
        "true",
        "{\"row_count\": 0}",
        "{\"rows\":[{\"uuid\":\"a0000000-0000-0000-0000-00000000000a\"}]}",
        "{\"Event-Name\":\"CHANNEL_DATA\",\"Unique-ID\":\"a0000000-0000-0000-0000-00000000000a\"}",
        "",
    ])
}

fn orders() -> impl Strategy<Value = usize> {
    0_usize..12
}

fn order(number: usize) -> Order {
    let recording = ifbus_call::RecordingId::new(0, 0);
    match number {
        0 => Order::Join { a: A, b: B },
        1 => Order::Park { held: A, other: B, why: ParkReason::Consult },
        2 => Order::Drop { leg: A, cause: Cause::Answered },
        3 => Order::Enter { leg: A, conference: "room".parse().expect("a conference") },
        4 => Order::Leave { leg: A },
        5 => Order::Record { leg: A, recording, segment: 0 },
        6 => Order::StopRecord { leg: A, recording, segment: 0 },
        7 => Order::Drain { on: true },
        8 => Order::Fetch { recording, segment: 0 },
        9 => Order::List,
        10 => Order::Inspect,
        _ => Order::Probe,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_ticket_is_answered_once_whatever_is_said(
        said in words(),
        given in prop::collection::vec(orders(), 1..6),
        garbage in prop::collection::vec(any::<u8>(), 0..60),
        closes in any::<bool>(),
    ) {
        let mut rig = Rig::with(&[("fetch", "socket")]).up();
        for leg in [A, B] {
            rig.proven(dial(leg, "1001"));
        }
        for command in ["api uuid_", "api show", "api fsctl", "api system", "api json"] {
            rig.server.says.insert(command, said);
        }
        let tickets: Vec<u64> = given.into_iter().map(|number| rig.give(order(number))).collect();
        rig.advance(Duration::from_secs(1));
        rig.feed(EVENTS, &garbage);
        if closes && rig.down.is_empty() {
            rig.close(COMMANDS, LinkError::Reset);
        }
        for _ in 0..50 {
            rig.tick();
        }
        if rig.down.is_empty() {
            rig.input(Input::Stop);
        }
        for ticket in tickets {
            prop_assert!(rig.answers.contains_key(&ticket), "ticket {}", ticket);
        }
    }

    #[test]
    fn a_split_changes_nothing(cut in 0_usize..2000, second in 0_usize..2000) {
        let a = native(A);
        let mut bytes = Vec::new();
        for json in [
            format!("{{\"Event-Name\":\"DTMF\",\"Unique-ID\":\"{a}\",\"DTMF-Digit\":\"5\"}}"),
            format!("{{\"Event-Name\":\"CHANNEL_HOLD\",\"Unique-ID\":\"{a}\"}}"),
            format!("{{\"Event-Name\":\"CHANNEL_HANGUP_COMPLETE\",\"Unique-ID\":\"{a}\",\
                     \"Hangup-Cause\":\"NORMAL_CLEARING\",\"variable_sip_hangup_disposition\":\"recv_bye\"}}"),
        ] {
            bytes.extend(event_frame(&json));
        }
        let told = |pieces: &[&[u8]]| -> Vec<Event> {
            let mut rig = Rig::joined();
            for piece in pieces {
                rig.feed(EVENTS, piece);
            }
            rig.events
        };
        let (cut, second) = (cut.min(bytes.len()), second.min(bytes.len()));
        let (first, last) = (cut.min(second), cut.max(second));
        let whole = told(&[&bytes]);
        prop_assert_eq!(whole.len(), 4);
        prop_assert_eq!(whole, told(&[&bytes[..first], &bytes[first..last], &bytes[last..]]));
    }
}
