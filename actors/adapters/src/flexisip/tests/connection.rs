//! Lives of the links: how they begin, what they survive, how they end.

use std::time::Duration;

use ifbus_call::{Interface, Order, Why};

use super::rig::{A, ALL, Rig, dial};
use crate::adapter::{DownReason, Input, LinkError, LinkId};
use crate::sip::{SipCommand, SipEvent};

#[test]
fn it_is_ready_when_sip_answers_and_has_opened_its_port() {
    let rig = Rig::ready(ALL);
    assert!(matches!(
        rig.sip[..],
        [SipCommand::Open(_), SipCommand::Bind, SipCommand::Options { leg: None, .. }]
    ));
    let (link, listening) = &rig.listening[0];
    assert_eq!((link.slot, listening.at.port(), listening.most), (0, 8443, 4));
    assert_eq!(listening.peers, ["127.0.0.1"]);
    assert!(rig.warnings.is_empty(), "{:?}", rig.warnings);
    assert_eq!(rig.requests[0].path, "/api/ping");
    assert!(rig.requests[0].header.is_none(), "a question that everybody may ask shows no key");
}

#[test]
fn a_server_without_port_and_account_manager_is_enough() {
    let rig = Rig::ready(&[]);
    assert!(rig.listening.is_empty() && rig.requests.is_empty() && rig.warnings.is_empty());
}

#[test]
fn a_silent_server_is_silent_and_one_without_way_is_unreachable() {
    let mut rig = Rig::with(&[]);
    rig.sip_answers = false;
    rig.start();
    assert_eq!(rig.down[0].reason, DownReason::Silent(Duration::from_secs(3)));
    assert_eq!(rig.down[0].interface, Interface::Sip);

    let mut rig = Rig::ready(&[]);
    rig.input(Input::Sip(SipEvent::Closed(LinkError::Reset)));
    assert_eq!(rig.down[0].reason, DownReason::Lost(LinkError::Reset));
}

#[test]
fn what_is_a_help_only_warns_when_it_is_missing() {
    let mut rig = Rig::with(ALL);
    rig.api.insert("/api/ping", (302, ""));
    rig.start();
    assert_eq!((rig.ready.len(), rig.warnings[0].code), (1, "api_off"));
    rig.input(Input::Closed(rig.link(0), LinkError::Other("in use".to_owned())));
    assert_eq!(rig.warnings[1].code, "events_off");
    rig.advance(Duration::from_secs(11));
    assert_eq!((rig.listening.len(), rig.down.len()), (2, 0), "it is tried again");
}

#[test]
fn calls_are_offered_again_after_a_life_that_broke_off() {
    let mut rig = Rig::ready(&[]);
    rig.talk();
    let before = rig.sip.len();
    rig.input(Input::Stop);
    rig.start();
    assert_eq!(rig.ready.len(), 2);
    assert_eq!(rig.ready[0].boot, rig.ready[1].boot);
    assert_eq!(rig.ready[1].seen.len(), 2, "calls outlive the server");
    assert_eq!(rig.answer_offers(), 2, "{before}");
    assert_eq!(rig.answer_offers(), 0, "once is enough");
}

#[test]
fn calls_are_offered_again_when_the_pushing_connection_breaks_off_once_a_minute() {
    let mut rig = Rig::ready(ALL);
    rig.talk();
    for (slot, offers) in [(1, 2), (2, 0)] {
        rig.connect(slot);
        rig.input(Input::Closed(rig.link(slot), LinkError::Reset));
        rig.advance(Duration::from_secs(3));
        assert_eq!(rig.answer_offers(), offers, "connection {slot}");
    }
    rig.advance(Duration::from_secs(60));
    rig.sip.clear();
    rig.sip_answers = false;
    rig.connect(3);
    rig.input(Input::Closed(rig.link(3), LinkError::Closed));
    rig.advance(Duration::from_secs(3));
    assert_eq!(rig.answer_offers(), 0, "not while the server is away");
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::ready(ALL);
    let old = rig.link(0);
    rig.connect(1);
    rig.input(Input::Stop);
    assert!(rig.closed.contains(&old));
    rig.start();
    let (sent, from) = (rig.sent.len(), "127.0.0.1:4".parse().unwrap());
    let link = LinkId { slot: 9, ..old };
    rig.input(Input::Accepted { listener: old, link, from });
    rig.input(Input::Bytes(LinkId { slot: 1, ..old }, b"PRI"));
    rig.input(Input::Closed(old, LinkError::Closed));
    assert_eq!((rig.sent.len(), rig.warnings.len(), rig.down.len()), (sent, 0, 1));
}

#[test]
fn every_ticket_is_answered_when_a_life_ends() {
    let mut rig = Rig::ready(&[]);
    let dialled = rig.give(dial(A, "1001"));
    rig.input(Input::Stop);
    assert!(rig.answers[&dialled].is_err());
    let late = rig.give(Order::List);
    assert_eq!(rig.answers[&late].as_ref().unwrap_err().why, Why::NotReady);
}

#[test]
fn whoever_pushes_is_asked_for_a_sign_of_life() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.sent.clear();
    rig.advance(Duration::from_secs(61));
    assert_eq!(rig.sent.iter().filter(|(_, bytes)| bytes[3] == 6).count(), 3);
}
