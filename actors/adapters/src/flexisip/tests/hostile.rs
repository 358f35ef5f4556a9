//! Whoever pushes what he should not: nothing changes, and nothing grows.

use super::rig::{ALL, Rig};
use crate::adapter::LinkId;

const CALLS: &str = "/api/statistics/calls";

#[test]
fn another_key_is_answered_and_not_believed() {
    for key in ["", "LABKEY12", "LABKEY1234", "labkey123"] {
        let mut rig = Rig::ready(ALL);
        rig.connect(1);
        rig.sent.clear();
        rig.push_as(1, key, "POST", CALLS, r#"{"id":"x","from":"a@l","to":"b@l"}"#);
        assert!(rig.listed().is_empty(), "{key}");
        assert_eq!((rig.sent.len(), rig.warnings[0].code), (1, "events_stranger"));
    }
}

#[test]
fn a_peer_that_speaks_something_else_is_closed() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    let link = rig.link(1);
    rig.input(crate::adapter::Input::Bytes(link, b"GET / HTTP/1.1\r\n\r\n"));
    assert!(rig.closed.contains(&link));
    rig.input(crate::adapter::Input::Bytes(link, b"more"));
    assert_eq!((rig.unknown, rig.down.len()), (1, 0));
}

#[test]
fn names_with_control_characters_are_never_shown_raw() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.push(1, "POST", CALLS, r#"{"id":"x","from":"\u001b[31ma\r\n@l","to":"b@l"}"#);
    assert!(!rig.listed()[0].party.chars().any(char::is_control));
}

#[test]
fn ten_thousand_calls_are_remembered_and_no_more() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    for number in 0..10_050 {
        rig.push(1, "POST", CALLS, &format!(r#"{{"id":"{number}","from":"a@l","to":"b@l"}}"#));
        rig.sent.clear();
    }
    assert_eq!(rig.listed().len(), 10_000);
    let long = format!(r#"{{"id":"{}","from":"a@l","to":"b@l"}}"#, "x".repeat(400));
    rig.push(1, "POST", CALLS, &long);
    assert_eq!((rig.listed().len(), rig.unknown), (10_000, 1));
}

#[test]
fn a_link_that_is_none_of_the_port_is_not_heard() {
    let mut rig = Rig::ready(ALL);
    let (listener, from) = (rig.link(5), "127.0.0.1:1".parse().unwrap());
    for slot in [0, 120] {
        let link = LinkId { slot, ..listener };
        let port = rig.link(0);
        rig.input(crate::adapter::Input::Accepted { listener, link, from });
        rig.input(crate::adapter::Input::Accepted { listener: port, link, from });
    }
    assert!(rig.sent.is_empty());
}
