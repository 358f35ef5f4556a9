//! Peers that mean harm, or are broken.

use ifbus_call::{Cause, LegId, Order};
use proptest::prelude::*;
use serde_json::json;

use super::rig::{Rig, dialog};
use crate::adapter::{HttpReply, Input, RequestId};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
