//! Each fault does what it says, and only while it is in force.

use crate::double::{Double as _, Extensions as _, Mortal as _};
use std::time::Duration;

use super::lab::{Lab, events, originate};
use crate::asterisk::{Door, Input, Options, Output};
use crate::faults::Faults;

fn lab() -> Lab {
    Lab::new(Options::default())
}

fn set(lab: &mut Lab, change: impl FnOnce(&mut Faults)) {
    let mut faults = Faults::default();
    change(&mut faults);
    lab.machine.set_faults(faults, lab.now);
    lab.collect();
}

#[test]
fn a_frozen_server_does_nothing_and_then_goes_on() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    set(&mut lab, |f| f.freeze = true);
    assert_eq!(lab.act(link, &originate("1001", "a")), vec![]);
    let late = lab.open(Door::Ami);
    lab.pass(5_000);
    assert_eq!((lab.machine.rings("1001"), lab.text(late).as_str()), (0, ""));
    set(&mut lab, |_| ());
    assert_eq!(lab.heard(link)[0].get("Message"), "Originate successfully queued");
    assert!(!lab.text(late).is_empty());
    lab.pass(200);
    assert_eq!(lab.machine.live("1001"), 1);
}

#[test]
fn behind_a_black_hole_the_server_goes_on_unheard() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.act(link, &originate("1001", "a"));
    set(&mut lab, |f| f.black_hole = true);
    lab.pass(500);
    assert_eq!(lab.machine.live("1001"), 1, "the phone answered meanwhile");
    assert_eq!(lab.act(link, "Action: Ping"), vec![]);
    set(&mut lab, |_| ());
    let said = lab.heard(link);
    assert!(events(&said).contains(&"OriginateResponse"));
    assert_eq!(said.last().unwrap().get("Ping"), "Pong");
}

#[test]
fn a_kill_resets_every_connection_and_refuses_new_ones() {
    let mut lab = lab();
    let (ami, http) = (lab.login("ifbus", "on"), lab.open(Door::Http));
    lab.pair(ami);
    lab.machine.kill(lab.now);
    lab.collect();
    assert_eq!(lab.ended.values().filter(|end| matches!(end, Output::Reset(_))).count(), 2);
    let refused = lab.open(Door::Ami);
    assert_eq!(lab.ended.get(&refused), Some(&Output::Reset(refused)));
    assert_eq!((lab.machine.stats().channels, lab.machine.stats().links), (0, 0));
    lab.machine.restart(lab.now);
    lab.login("ifbus", "on");
    assert!(lab.ended.contains_key(&http));
}

#[test]
fn slow_bytes_come_one_by_one() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    set(&mut lab, |f| f.slow = Some(Duration::from_millis(2)));
    lab.act(link, "Action: Ping");
    for sent in 1..20 {
        lab.pass(2);
        assert_eq!(lab.inbox[&link].len(), sent);
    }
    lab.pass(1_000);
    assert_eq!(lab.heard(link)[0].get("Ping"), "Pong");
}

#[test]
fn replies_are_lost_doubled_late_or_misaddressed() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    set(&mut lab, |f| f.lose_replies = 1.0);
    assert_eq!(lab.act(link, "Action: Ping"), vec![]);
    set(&mut lab, |f| f.duplicate_replies = 1.0);
    assert_eq!(lab.act(link, "Action: Ping").len(), 2);
    set(&mut lab, |f| f.wrong_ids = 1.0);
    let said = lab.act(link, "Action: Ping\nActionID: mine");
    assert!(said[0].get("ActionID").starts_with("stray-"));
    set(&mut lab, |f| f.late = Some(Duration::from_millis(700)));
    assert_eq!(lab.act(link, "Action: Ping"), vec![]);
    lab.pass(700);
    assert_eq!(lab.heard(link).len(), 1);
    set(&mut lab, |f| f.lose_replies = 0.5);
    let answered: usize = (0..200).map(|_| lab.act(link, "Action: Ping").len()).sum();
    assert!((60..140).contains(&answered), "{answered} of 200");
}

#[test]
fn events_are_doubled() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    set(&mut lab, |f| f.double_events = 1.0);
    lab.act(link, &originate("1001", "a"));
    lab.pass(200);
    let said = lab.heard(link);
    assert_eq!(events(&said).iter().filter(|e| **e == "OriginateResponse").count(), 2);
}

#[test]
fn the_next_message_is_cut_and_the_connection_closed() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    set(&mut lab, |f| f.cut_next = true);
    lab.send(link, "Action: Ping\r\n\r\n");
    let text = lab.text(link);
    assert!(!text.is_empty() && !text.ends_with("\r\n\r\n"), "{text}");
    assert!(lab.ended.contains_key(&link));
    lab.login("ifbus", "off");
}

#[test]
fn garbage_goes_to_every_connection_and_differs_by_seed() {
    let garbage = |seed| {
        let mut lab = Lab::new(Options::default().with_seed(seed));
        let link = lab.login("ifbus", "off");
        lab.machine.garbage(lab.now);
        lab.collect();
        lab.raw(link)
    };
    assert!(garbage(1).len() >= 20);
    assert_eq!(garbage(1), garbage(1));
    assert_ne!(garbage(1), garbage(2));
}

#[test]
fn new_connections_are_refused_while_old_ones_live() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    set(&mut lab, |f| f.refuse = true);
    let refused = lab.open(Door::Ami);
    assert!(lab.ended.contains_key(&refused));
    assert_eq!(lab.act(link, "Action: Ping")[0].get("Ping"), "Pong");
}

#[test]
fn a_reader_that_stalls_is_dropped() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.handle(Input::Stalled(link), lab.now);
    lab.collect();
    assert_eq!(lab.ended.get(&link), Some(&Output::Reset(link)));
    assert_eq!(lab.machine.stats().sessions, 0);
}

#[test]
fn with_its_sip_dead_the_server_answers_and_no_phone_is_reached() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    set(&mut lab, |f| f.sip_dead = true);
    lab.act(link, &originate("1003", "c"));
    lab.pass(5_000);
    assert_eq!(lab.machine.rings("1003"), 0);
    assert_eq!(lab.act(link, "Action: Ping")[0].get("Ping"), "Pong");
    assert_eq!(lab.machine.live("1001"), 1, "calls that are up stay up");
}
