//! Peers that break rules: they are survived, counted, and change nothing.

use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Cause, Order};
use proptest::prelude::*;
use serde_json::json;

use super::rig::{Rig, dialog};
use crate::adapter::{Adapter, Input};
use crate::kamailio::rpc::Method;

#[test]
fn a_stream_of_something_else_is_closed_and_life_goes_on() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"999999999:", b"2:ab;", b"\0\0\0\0"] {
        let mut rig = Rig::ready(&[]);
        rig.input(Input::Bytes(rig.link(), bytes));
        assert_eq!((rig.closed, rig.down.len()), (1, 0), "{}", bytes.escape_ascii());
        assert_eq!(rig.warnings[0].code, "events_off");
    }
}

#[test]
fn events_that_are_not_understood_are_counted() {
    let mut rig = Rig::ready(&[]);
    for json in ["", "null", "[]", "{}", r#"{"event":7}"#, r#"{"event":""}"#, "\u{1}"] {
        rig.tell(json);
    }
    assert_eq!((rig.unknown, rig.down.len()), (7, 0));
    rig.tell(r#"{"event":"ended"}"#);
    rig.tell(r#"{"event":"something new","call_id":"x"}"#);
    assert_eq!(rig.unknown, 7);
}

#[test]
fn a_forged_event_changes_nothing() {
    let mut rig = Rig::ready(&[]);
    rig.dialogs = vec![dialog("x@y", 4)];
    let before = rig.listed();
    for event in ["ended", "failed", "answered", "invite", "gw_down"] {
        rig.tell(&json!({"event": event, "call_id": "x@y", "ifbus": "c", "code": 486}).to_string());
    }
    assert_eq!(rig.listed(), before);
    assert!(rig.events.is_empty());
}

#[test]
fn what_a_caller_wrote_never_reaches_the_wire_unfit_nor_the_screen_raw() {
    let mut rig = Rig::ready(&[]);
    let mut bad = dialog("x\r\nX-Evil: 1", 4);
    bad["from_uri"] = json!("sip:\u{1b}[31mred@h");
    bad["to_uri"] = json!(format!("sip:{}@h", "y".repeat(10_000)));
    rig.dialogs = vec![bad];
    let seen = rig.listed();
    assert!(!seen[0].native.chars().chain(seen[0].party.chars()).any(char::is_control), "{seen:?}");
    assert!(seen[0].party.len() < 300);
    let refused = rig.outcome(Order::Drop { leg: seen[0].leg, cause: Cause::Answered }).expect_err("unfit");
    assert!(refused.is_certain());
    assert_eq!(rig.count("dlg.dlg_list"), 0);
}

#[test]
fn odd_lists_are_survived() {
    for odd in [
        json!([{}]),
        json!([{"call-id": "x", "state": 255}]),
        json!([{"call-id": "x", "state": 4, "caller": {"tag": null}}, {"call-id": "x", "state": 4}]),
        json!([]),
    ] {
        let mut rig = Rig::ready(&[]);
        rig.instead.insert("dlg.list", (200, json!({ "result": odd })));
        assert!(matches!(rig.outcome(Order::List), Ok(Done::Listed(_))));
    }
    for odd in [json!("x"), json!({}), json!([{"state": -1}]), json!([{"state": 1e99}])] {
        let mut rig = Rig::ready(&[]);
        rig.instead.insert("dlg.list", (200, json!({ "result": odd })));
        assert!(rig.outcome(Order::List).is_err());
    }
}

#[test]
fn nothing_that_kills_the_server_or_waits_in_it_is_ever_said() {
    for method in Method::ALL.map(Method::name) {
        assert!(!method.contains("ctx") && !method.contains("block") && !method.contains("kill"), "{method}");
        assert!(!["dlg.end_dlg", "dlg.dump_file", "tm.clean", "dlg.bridge_dlg"].contains(&method));
    }
}

#[test]
fn an_order_is_answered_by_its_deadline_although_no_request_ever_is() {
    let mut rig = Rig::ready(&[("events_port", "0")]);
    rig.dialogs = vec![dialog("x@y", 4)];
    let leg = rig.listed()[0].leg;
    rig.mute = true;
    let orders = [
        Order::List,
        Order::Load,
        Order::Probe,
        Order::Drain { on: true },
        Order::Inspect,
        Order::Drop { leg, cause: Cause::Answered },
    ];
    let tickets = orders.map(|order| rig.give(order));
    rig.advance(Duration::from_secs(40));
    for ticket in tickets {
        assert!(rig.answers.contains_key(&ticket), "{ticket}");
    }
}

proptest! {
    #[test]
    fn no_bytes_of_the_stream_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut rig = Rig::ready(&[]);
        rig.input(Input::Bytes(rig.link(), &bytes));
        prop_assert!(rig.machine.poll().is_none());
    }
}
