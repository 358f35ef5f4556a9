//! The trunk that leads outside, seen from the machine.

use crate::double::{Extensions as _, Mortal as _};
use std::collections::BTreeSet;

use super::lab::{Lab, events, originate};
use crate::asterisk::{Link, Options};
use crate::phone::Tone;
use crate::phone::line::{FarEnd, Line, Order};

const ADDRESS: &str = "trunk/sip:ifbus-1@192.0.2.7:5070";

fn lab() -> (Lab, Link) {
    let mut lab = Lab::new(Options { outside: true, ..Options::default() });
    let link = lab.login("ifbus", "on");
    (lab, link)
}

fn orders(lab: &mut Lab) -> Vec<Order> {
    std::iter::from_fn(|| lab.machine.line_order()).collect()
}

fn news(lab: &mut Lab, line: Line, news: FarEnd) {
    lab.machine.far_end(line, news, lab.now);
    lab.collect();
}

/// Calls outside; the channel is `id`.
fn called(lab: &mut Lab, link: Link, id: &str) -> Line {
    lab.act(link, &originate(ADDRESS, id));
    let orders = orders(lab);
    let [Order::Call { line, uri, caller: None }] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!(uri, "sip:ifbus-1@192.0.2.7:5070");
    *line
}

fn answered(lab: &mut Lab, link: Link, id: &str) -> Line {
    let line = called(lab, link, id);
    news(lab, line, FarEnd::Ringing);
    news(lab, line, FarEnd::Answered);
    assert!(events(&lab.heard(link)).contains(&"OriginateResponse"));
    line
}

fn phone(number: &str) -> BTreeSet<Tone> {
    BTreeSet::from([Tone::of(number)])
}

#[test]
fn it_is_closed_unless_it_was_opened_and_closed_to_names() {
    let mut closed = Lab::new(Options::default());
    let link = closed.login("ifbus", "on");
    closed.leg(link, ADDRESS, "a");
    assert_eq!((orders(&mut closed), closed.machine.live("ifbus-1")), (vec![], 1));
    let (mut lab, link) = lab();
    lab.leg(link, "trunk/sip:1001@far.example", "a");
    lab.leg(link, "1001", "b");
    assert_eq!((orders(&mut lab), lab.machine.live("1001")), (vec![], 2));
}

#[test]
fn a_channel_goes_by_what_its_far_end_does() {
    let (mut lab, link) = lab();
    let line = called(&mut lab, link, "a");
    lab.pass(5000);
    assert_eq!(lab.machine.live("ifbus-1"), 0, "nobody but the far end answers");
    news(&mut lab, line, FarEnd::Refused(486));
    let said = lab.heard(link);
    let hangup = said.iter().find(|m| m.get("Event") == "Hangup").unwrap();
    assert_eq!(hangup.get("Cause"), "17");
    assert_eq!(orders(&mut lab), [Order::End(line)], "which means nothing to a line that is over");
    let line = answered(&mut lab, link, "a");
    orders(&mut lab);
    news(&mut lab, line, FarEnd::HungUp);
    assert_eq!(lab.machine.stats().channels, 0);
    news(&mut lab, line, FarEnd::Digit('1'));
    assert_eq!(orders(&mut lab), [Order::End(line)]);
}

#[test]
fn voices_are_sets_and_what_is_heard_is_told_once() {
    let (mut lab, link) = lab();
    let line = answered(&mut lab, link, "a");
    lab.leg(link, "1002", "b");
    lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
    assert_eq!(orders(&mut lab), [Order::Play(line, phone("1002"))]);
    assert_eq!(lab.machine.heard("1002"), BTreeSet::new());
    let voice: BTreeSet<Tone> = [Tone::of("2001"), Tone::HoldMusic].into();
    news(&mut lab, line, FarEnd::Voice(voice.clone()));
    assert_eq!(lab.machine.heard("1002"), voice);
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: all\nState: on");
    assert_eq!(lab.machine.heard("1002"), BTreeSet::new());
    assert_eq!(orders(&mut lab), [Order::Play(line, BTreeSet::new())]);
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: all\nState: off");
    assert_eq!(orders(&mut lab), [Order::Play(line, phone("1002"))]);
    news(&mut lab, line, FarEnd::Holds(true));
    assert_eq!(orders(&mut lab), [Order::Play(line, BTreeSet::new())]);
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::HoldMusic]));
}

#[test]
fn digits_for_the_far_end_are_orders_and_its_own_are_pressed() {
    let (mut lab, link) = lab();
    let line = answered(&mut lab, link, "a");
    lab.act(link, "Action: PlayDTMF\nChannel: a\nDigit: 5");
    assert_eq!(orders(&mut lab), [Order::Press(line, '5')]);
    lab.pass(200);
    lab.leg(link, "1002", "b");
    lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
    orders(&mut lab);
    news(&mut lab, line, FarEnd::Digit('9'));
    assert_eq!(lab.machine.digits("1002"), "9");
}

#[test]
fn a_dead_server_says_no_goodbye() {
    let (mut lab, link) = lab();
    let line = answered(&mut lab, link, "a");
    assert!(!lab.machine.is_deaf());
    lab.machine.kill(lab.now);
    assert!(lab.machine.is_deaf());
    assert_eq!(orders(&mut lab), [Order::Vanish(line)]);
    news(&mut lab, line, FarEnd::HungUp);
    lab.machine.restart(lab.now);
    assert_eq!(orders(&mut lab), []);
}
