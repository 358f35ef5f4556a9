//! Lives of the links: how they begin, what they survive, how they end.

use std::time::Duration;

use ifbus_call::{Interface, Order, Why};
use serde_json::{Value, json};

use super::rig::{Rig, dialog, error};
use crate::adapter::{DownReason, Input, LinkError, LinkId};
use crate::sip::{SipCommand, SipEvent};

fn reason(rig: &Rig) -> &DownReason {
    assert_eq!((rig.ready.len(), rig.down.len()), (0, 1));
    &rig.down[0].reason
}

#[test]
fn it_asks_who_it_is_before_anything_else_and_is_ready_with_the_list() {
    let mut rig = Rig::with(&[]);
    rig.dialogs = vec![dialog("x@y", 4), dialog("over@y", 5)];
    rig.start();
    let said: Vec<&str> = rig.said.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(said, ["core.version", "system.listMethods", "core.uptime", "dlg.list"]);
    let ready = &rig.ready[0];
    assert_eq!((ready.version.as_str(), ready.seen.len()), ("5.6.3 (x86_64/linux)", 1));
    assert!(rig.warnings.is_empty(), "{:?}", rig.warnings);
    assert!(matches!(rig.sip[..], [SipCommand::Open(_), SipCommand::Bind]), "{:?}", rig.sip);
}

#[test]
fn each_way_of_showing_who_we_are_goes_on_the_wire() {
    let shown = |more: &[(&str, &str)]| {
        let rig = Rig::ready(more);
        let request = &rig.requests[0];
        assert_eq!((request.method, request.port, request.path.as_str()), ("POST", 8080, "/rpc"));
        let secret = |secret: &crate::adapter::Secret| secret.expose().to_owned();
        (
            request.basic.as_ref().map(|(user, password)| (user.clone(), secret(password))),
            request.header.as_ref().map(|(name, value)| (name.clone(), secret(value))),
        )
    };
    let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
    assert_eq!(shown(&[]), (None, pair("Authorization", "Bearer labtoken")));
    assert_eq!(shown(&[("header", "X-Api-Token")]), (None, pair("X-Api-Token", "labtoken")));
    assert_eq!(shown(&[("user", "ifbus")]), (pair("ifbus", "labtoken"), None));
}

#[test]
fn who_is_not_let_in_is_told_so() {
    for (instead, expected) in [
        ((401, json!("denied\n")), DownReason::LoginRefused("http status 401".to_owned())),
        (
            (404, json!("no such path\n")),
            DownReason::NotTheKind("http status 404 without json-rpc".to_owned()),
        ),
        ((200, json!({"result": "opensips (3.2)"})), DownReason::NotTheKind("opensips (3.2)".to_owned())),
        (error(500, "Method Not Found"), DownReason::NotTheKind("500 Method Not Found".to_owned())),
    ] {
        let mut rig = Rig::with(&[]);
        rig.instead.insert("core.version", instead);
        rig.start();
        assert_eq!(reason(&rig), &expected);
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable_and_one_that_is_silent_is_silent() {
    for (error, expected) in [
        (LinkError::Refused, DownReason::Unreachable(LinkError::Refused)),
        (LinkError::TimedOut, DownReason::Silent(Duration::from_secs(2))),
    ] {
        let mut rig = Rig::with(&[]);
        rig.dead = Some(error);
        rig.start();
        assert_eq!(reason(&rig), &expected);
    }
}

#[test]
fn without_events_it_is_ready_says_so_and_asks_again_and_again() {
    let mut rig = Rig::with(&[]);
    rig.no_events = true;
    rig.start();
    assert_eq!(rig.ready.len(), 1);
    assert_eq!(rig.warnings[0].code, "events_off");
    let before = rig.count("core.uptime");
    rig.advance(Duration::from_secs(6));
    assert_eq!(rig.count("core.uptime"), before + 1);
    rig.no_events = false;
    rig.advance(Duration::from_secs(10));
    assert_eq!(rig.opened, 2, "events are opened again");
    assert!(rig.down.is_empty());
}

#[test]
fn events_that_are_not_wanted_are_not_opened() {
    let mut rig = Rig::ready(&[("events_port", "0")]);
    rig.advance(Duration::from_secs(30));
    assert_eq!((rig.opened, rig.warnings.len()), (0, 1));
    assert!(rig.count("core.uptime") >= 6);
}

#[test]
fn a_stream_without_heartbeat_is_closed_and_opened_again_later() {
    let mut rig = Rig::ready(&[]);
    rig.tell(r#"{"event":"heartbeat","boot":"1"}"#);
    rig.advance(Duration::from_secs(14));
    assert_eq!(rig.closed, 0);
    rig.advance(Duration::from_secs(2));
    assert_eq!((rig.closed, rig.opened), (1, 1));
    assert_eq!(rig.warnings[0].code, "events_off");
    rig.advance(Duration::from_secs(11));
    assert_eq!((rig.opened, rig.down.len()), (2, 0));
}

#[test]
fn another_life_of_the_server_ends_ours() {
    let mut rig = Rig::ready(&[]);
    rig.tell(r#"{"event":"heartbeat","boot":"1"}"#);
    rig.tell(r#"{"event":"heartbeat","boot":"1"}"#);
    assert!(rig.down.is_empty());
    rig.tell(r#"{"event":"heartbeat","boot":"2"}"#);
    assert_eq!(rig.down[0].interface, Interface::Management);

    let mut rig = Rig::ready(&[]);
    rig.up_since = "Sun Nov 22 10:00:00 2026";
    let ticket = rig.give(Order::Probe);
    assert_eq!(rig.down.len(), 1);
    assert!(rig.answers[&ticket].is_err());
    rig.start();
    assert_eq!(rig.ready[0].boot, rig.ready[1].boot, "calls outlive it");
}

#[test]
fn events_that_break_off_are_followed_by_a_question() {
    let mut rig = Rig::ready(&[]);
    rig.dead = Some(LinkError::Refused);
    rig.input(Input::Closed(rig.link(), LinkError::Reset));
    assert_eq!(rig.down[0].reason, DownReason::Lost(LinkError::Refused), "it is gone altogether");

    let mut rig = Rig::ready(&[]);
    rig.input(Input::Closed(rig.link(), LinkError::Closed));
    assert!(rig.down.is_empty(), "the ninth client is closed at once, and lives");
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::ready(&[]);
    let old = rig.link();
    rig.input(Input::Stop);
    rig.start();
    rig.input(Input::Bytes(old, b"garbage"));
    rig.input(Input::Closed(old, LinkError::Closed));
    rig.input(Input::Closed(LinkId { slot: 3, ..rig.link() }, LinkError::Closed));
    assert_eq!((rig.down.len(), rig.warnings.len()), (1, 0));
}

#[test]
fn every_ticket_is_answered_when_a_life_ends() {
    let mut rig = Rig::ready(&[]);
    rig.mute = true;
    let tickets: Vec<u64> =
        [Order::List, Order::Load, Order::Probe, Order::Inspect, Order::Drain { on: true }]
            .map(|order| rig.give(order))
            .into();
    rig.input(Input::Stop);
    for ticket in tickets {
        assert!(rig.answers.contains_key(&ticket), "{ticket}");
    }
    let late = rig.give(Order::List);
    assert_eq!(rig.answers[&late].as_ref().map_err(|refused| refused.why), Err(Why::NotReady));
}

#[test]
fn at_most_two_questions_are_with_the_server_and_a_probe_waits_for_no_list() {
    let mut rig = Rig::ready(&[]);
    rig.mute = true;
    for _ in 0..5 {
        rig.give(Order::List);
    }
    assert_eq!(rig.held.len(), 2);
    rig.give(Order::Probe);
    rig.release();
    let (_, asked): &(_, Value) = rig.held.back().expect("one more");
    assert_eq!(asked["method"], "core.uptime");
    assert_eq!(rig.held.len(), 2);
}

#[test]
fn an_endpoint_that_cannot_be_made_is_told() {
    let mut rig = Rig::ready(&[]);
    rig.input(Input::Sip(SipEvent::Closed(LinkError::Other("address in use".to_owned()))));
    assert_eq!(rig.down[0].interface, Interface::Sip);
}
