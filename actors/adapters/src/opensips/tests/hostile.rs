//! Peers that mean harm, or are broken.

use std::time::Duration;

use ifbus_call::{Cause, LegId, Order};
use proptest::prelude::*;
use serde_json::json;

use super::rig::{Rig, dialog};
use crate::adapter::{Adapter as _, HttpReply, Input, LinkError, RequestId};
use crate::opensips::machine::{EVENTS, MI};

const ALL: &[(&str, &str)] = &[("mi", "udp"), ("events", "127.0.0.1:8449"), ("sip", "127.0.0.1:5060")];

#[test]
fn a_forged_event_changes_nothing() {
    let mut rig = Rig::new(ALL);
    rig.server.dialogs = vec![dialog("1.1", "z@h", 4)];
    rig.start();
    let asked = rig.asked.len();
    for event in [
        r#"{"jsonrpc":"2.0","method":"E_DLG_STATE_CHANGED","params":{"callid":"z@h","new_state":5}}"#,
        r#"{"jsonrpc":"2.0","method":"E_IFBUS_END","params":{"callid":"z@h","reason":"-"}}"#,
        r#"{"jsonrpc":"2.0","method":"E_DLG_STATE_CHANGED","params":{"callid":null,"new_state":"5"}}"#,
        r#"{"jsonrpc":"2.0","result":"OK","id":1}"#,
        "{}",
        "",
    ] {
        rig.event(event);
    }
    assert_eq!((rig.asked.len(), rig.ready.len(), rig.down.len()), (asked, 1, 0));
    assert_eq!(rig.unknown, 4, "those that are no events");
}

#[test]
fn names_from_the_wire_that_must_not_go_back_do_not() {
    for call_id in ["z\r\nX: y", "z\u{0}", &"x".repeat(2000)] {
        let mut rig = Rig::new(&[]);
        rig.server.dialogs = vec![dialog("1.1", call_id, 4)];
        rig.start();
        let leg = rig.ready[0].seen[0].leg;
        assert!(!rig.ready[0].seen[0].native.chars().any(char::is_control));
        assert!(rig.outcome(Order::Drop { leg, cause: Cause::Answered }).is_err());
        assert!(rig.server.ended.is_empty());
    }
}

#[test]
fn a_list_of_another_form_is_no_list() {
    let mut rig = Rig::new(&[]);
    rig.server.dialogs = vec![json!({"ID": 7, "state": "x"})];
    rig.start();
    assert_eq!((rig.ready.len(), rig.down.len()), (0, 1));
}

#[test]
fn a_leg_of_nobody_is_gone_already() {
    let mut rig = Rig::ready(&[]);
    assert!(rig.outcome(Order::Drop { leg: LegId(7), cause: Cause::Answered }).is_ok());
    assert!(rig.server.ended.is_empty());
}

/// What a server or its network may do next, by a number.
fn mischief(rig: &mut Rig, step: u8, value: u8) {
    const DEAF: [&[&str]; 5] = [
        &[],
        &["dlg_list"],
        &["uptime", "version"],
        &["dlg_end_dlg", "shv_set"],
        &["event_subscribe", "which"],
    ];
    let slot = rig.link(value % 3);
    match step % 10 {
        0 => rig.server.deaf = DEAF[usize::from(value) % DEAF.len()].to_vec(),
        1 => rig.server.status = if value.is_multiple_of(3) { 500 } else { 200 },
        2 => rig.server.obeys = value.is_multiple_of(2),
        3 => rig.server.refusals.push_back((i64::from(value), "no")),
        4 => rig.give(Input::Closed(slot, LinkError::Reset)),
        5 => rig.event(r#"{"jsonrpc":"2.0","method":"E_IFBUS_END","params":{"callid":"z@h"}}"#),
        6 => rig.pass(Duration::from_millis(u64::from(value) * 100)),
        7 if rig.down.len() >= rig.ready.len() => rig.start(),
        8 => rig.server.up_since = if value.is_multiple_of(2) { "then" } else { "later" },
        _ => {
            let seen =
                rig.ready.last().and_then(|ready| ready.seen.first()).map_or(LegId(7), |seen| seen.leg);
            let orders = [
                Order::List,
                Order::Load,
                Order::Probe,
                Order::Inspect,
                Order::Drain { on: true },
                Order::Drop { leg: seen, cause: Cause::Answered },
                Order::Join { a: seen, b: LegId(2) },
            ];
            let _ = rig.order(orders[usize::from(value) % orders.len()].clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_ticket_is_answered_once_whatever_a_server_does(
        steps in proptest::collection::vec(any::<(u8, u8)>(), 0..120),
        by_udp: bool,
    ) {
        let mi = if by_udp { "udp" } else { "http" };
        let mut rig = Rig::new(&[("mi", mi), ("events", "127.0.0.1:8449"), ("sip", "127.0.0.1:5060")]);
        rig.server.dialogs = vec![dialog("1.1", "z@h", 4)];
        rig.start();
        for (step, value) in steps {
            mischief(&mut rig, step, value);
        }
        rig.give(Input::Stop);
        prop_assert_eq!(rig.answers.len() as u64, rig.given());
        prop_assert_eq!(rig.machine.deadline(), None, "a timer outlives the life");
    }

    #[test]
    fn no_datagram_panics_and_none_ends_a_life(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        slot in 0_u8..4,
    ) {
        let mut rig = Rig::ready(ALL);
        rig.give(Input::Bytes(rig.link(slot), &bytes));
        rig.give(Input::Bytes(rig.link(MI), b"400 Parse_error"));
        rig.give(Input::Bytes(rig.link(EVENTS), &bytes));
        prop_assert!(rig.down.is_empty());
        prop_assert!(rig.outcome(Order::Probe).is_ok());
    }

    #[test]
    fn no_answer_panics(
        status: u16,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        number in 0_u64..20,
    ) {
        let mut rig = Rig::new(&[("mi", "udp")]);
        rig.server.deaf = vec!["version"];
        rig.start();
        let id = RequestId { epoch: rig.epoch, number };
        rig.give(Input::Http(id, Ok(HttpReply { status, body })));
        prop_assert!(rig.ready.is_empty());
    }
}
