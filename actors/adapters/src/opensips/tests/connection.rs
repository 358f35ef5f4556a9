//! Logins, and ends of lives.

use std::time::Duration;

use ifbus_call::{Epoch, Order, Why};

use super::rig::Rig;
use crate::adapter::{Adapter as _, DownReason, Input, LinkError, Ticket};
use crate::opensips::machine::MI;
use crate::sip::SipCommand;

#[test]
fn both_ways_and_both_generations_become_ready() {
    for (mi, version, which) in [
        ("http", "OpenSIPS (4.0.1 (x86_64/linux))", None),
        ("http", "OpenSIPS (3.6.8 (x86_64/linux))", Some(vec!["dlg_list", "uptime", "which", "version"])),
        ("udp", "OpenSIPS (4.1.0-dev (x86_64/linux))", None),
    ] {
        let mut rig = Rig::new(&[("mi", mi)]);
        rig.server.version = version;
        if let Some(which) = which {
            rig.server.which = which;
        }
        rig.start();
        let ready = rig.ready.first().unwrap_or_else(|| panic!("{mi} {version}: {:?}", rig.down));
        assert_eq!(format!("OpenSIPS ({})", ready.version), version);
        assert_eq!(rig.warned("no_dialog"), 0);
    }
}

#[test]
fn who_is_not_let_in_asks_once() {
    let mut rig = Rig::new(&[]);
    rig.server.status = 401;
    rig.start();
    assert!(matches!(rig.down[0].reason, DownReason::LoginRefused(_)), "{:?}", rig.down);
    assert_eq!(rig.asked.len(), 1);
}

#[test]
fn something_else_is_told_apart() {
    for (status, version) in [(200, "Kamailio (5.6.3)"), (404, "x"), (500, "x")] {
        let mut rig = Rig::new(&[]);
        (rig.server.status, rig.server.version) = (status, version);
        rig.start();
        assert!(matches!(rig.down[0].reason, DownReason::NotTheKind(_)), "{:?}", rig.down);
    }
}

#[test]
fn a_deaf_server_is_silent_after_two_questions() {
    for mi in ["http", "udp"] {
        let mut rig = Rig::new(&[("mi", mi)]);
        rig.server.deaf = vec!["version"];
        rig.start();
        rig.pass(Duration::from_secs(10));
        assert!(matches!(rig.down[0].reason, DownReason::Silent(_)), "{mi} {:?}", rig.down);
        assert_eq!(rig.count("version"), 2, "a read is asked again once");
        assert_eq!(rig.machine.deadline(), None);
    }
}

#[test]
fn without_a_dialog_module_calls_of_ours_are_all_there_is() {
    let mut rig = Rig::new(&[]);
    rig.server.which = vec!["core:uptime"];
    rig.start();
    assert_eq!((rig.ready.len(), rig.warned("no_dialog")), (1, 1));
    assert_eq!(rig.count("dlg_list"), 0);
}

#[test]
fn a_server_that_began_anew_ends_the_life_and_nothing_else() {
    for (set, wait) in [(&[][..], 6), (&[("events", "127.0.0.1:8449")][..], 40)] {
        let mut rig = Rig::ready(set);
        rig.server.up_since = "later";
        rig.server.subscriptions.clear();
        rig.pass(Duration::from_secs(wait));
        let Some(DownReason::Lost(LinkError::Other(why))) = rig.down.first().map(|down| &down.reason) else {
            panic!("it is noticed: {:?}", rig.down)
        };
        assert!(why.contains("restarted"));
        rig.start();
        assert_eq!(rig.ready[0].boot, rig.ready[1].boot, "calls outlive it");
    }
}

#[test]
fn every_ticket_is_answered_when_a_life_ends() {
    let mut rig = Rig::ready(&[("mi", "udp")]);
    rig.server.deaf = vec!["uptime", "dlg_list", "get_statistics", "shv_get"];
    let orders = [Order::List, Order::Load, Order::Probe, Order::Inspect, Order::Drain { on: true }];
    let tickets = orders.map(|order| rig.order(order));
    rig.give(Input::Closed(rig.link(MI), LinkError::Reset));
    assert!(matches!(rig.down[0].reason, DownReason::Lost(LinkError::Reset)));
    assert!(tickets.iter().all(|ticket| rig.answers.contains_key(ticket)), "{:?}", rig.answers);
    let late = rig.order(Order::List);
    assert_eq!(rig.answers[&late].as_ref().expect_err("it is over").why, Why::NotReady);
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::ready(&[("mi", "udp")]);
    let old = rig.link(MI);
    rig.start();
    let (asked, downs) = (rig.asked.len(), rig.down.len());
    rig.give(Input::Closed(old, LinkError::Reset));
    rig.give(Input::Bytes(old, br#"{"jsonrpc":"2.0","result":{"Up since":"x"},"id":3}"#));
    rig.give(Input::Start(Epoch(1)));
    assert_eq!((rig.asked.len(), rig.down.len(), rig.unknown), (asked, downs, 0));
}

#[test]
fn the_agent_opens_once_and_outlives_the_links() {
    let mut rig = Rig::ready(&[("sip", "127.0.0.1:5060"), ("mi", "udp")]);
    let opens = |rig: &Rig| rig.sip.iter().filter(|c| matches!(c, SipCommand::Open(_))).count();
    assert_eq!(opens(&rig), 1);
    rig.give(Input::Closed(rig.link(MI), LinkError::Reset));
    rig.start();
    assert_eq!((opens(&rig), rig.ready.len()), (1, 2));
    assert!(!rig.sip.contains(&SipCommand::Close));
    rig.give(Input::Stop);
    assert!(rig.sip.contains(&SipCommand::Close));
}

#[test]
fn a_ticket_of_ours_beside_those_of_the_driver_reaches_the_inspection() {
    let mut rig = Rig::ready(&[("sip", "127.0.0.1:5060")]);
    rig.give(Input::Order(Ticket(9), Order::Inspect));
    assert!(rig.sip.iter().any(|c| matches!(c, SipCommand::Options { leg: None, .. })));
    rig.pass(Duration::from_secs(15));
    assert!(rig.answers.contains_key(&9));
}
