//! A server whose AMI does not take us: pbxapi alone, what it can do, and that the answer says so.

use std::time::Duration;

use ifbus_call::order::{Direction, Done, Evidence};
use ifbus_call::{By, Cause, Digits, Event, Order, RecordingId, Role, Stage, Verdict, Why};

use super::rig::{A, B, Rig, Shown, dial, json, page};
use crate::adapter::{DownReason, HttpReply, Input, LinkError};

const FIRST: &str = "1795341300.0";
const SECOND: &str = "1795341302.3";

/// The channel the server makes for the first party: its variables are those of the request.
fn first(rig: &mut Rig, state: u8) {
    let asked = rig.asked("originate").last().expect("it was asked for").path.clone();
    let variables =
        asked.split("variable=").nth(1).expect("it has variables").replace("%3D", "=").replace("%7C", "|");
    let pairs = variables.replace("%2B", "+").replace("%2C", ",");
    let pairs = pairs.split(',').filter_map(|pair| pair.trim_start_matches('_').split_once('='));
    let variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let shown = Shown {
        name: "PJSIP/1001-00000000".to_owned(),
        linked: FIRST.to_owned(),
        state,
        variables,
        ..Shown::default()
    };
    rig.web.channels.insert(FIRST.to_owned(), shown);
}

fn second(rig: &mut Rig, state: u8) {
    let mut shown = rig.web.channels[FIRST].clone();
    shown.name = "SIP/1002-00000001".to_owned();
    shown.state = state;
    shown.variables.remove("IFBUS_LEG");
    rig.web.channels.insert(SECOND.to_owned(), shown);
}

fn bridged(rig: &mut Rig) {
    for channel in rig.web.channels.values_mut() {
        (channel.state, channel.bridge) = (6, "b72a6520".to_owned());
    }
}

/// A call by pbxapi alone.
fn talking() -> Rig {
    let mut rig = Rig::narrow();
    let ticket = rig.give(dial(A, Role::A, "1001", None));
    first(&mut rig, 5);
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert_eq!(rig.events, [Event::Started(A), Event::Ringing(A)]);
    rig.web.channels.get_mut(FIRST).expect("it rings").state = 6;
    rig.reply(json(r#"{"status":"ok", "message":"Originate successfully queued"}"#));
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.events.last(), Some(&Event::Answered(A)));
    let ticket = rig.give(dial(B, Role::B, "1002", Some(A)));
    second(&mut rig, 5);
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    bridged(&mut rig);
    rig.proven(Order::Join { a: A, b: B });
    rig
}

#[test]
fn the_answer_says_that_it_is_a_narrow_life() {
    for closed in [LinkError::Refused, LinkError::TimedOut, LinkError::Reset] {
        let mut rig = Rig::with(&[]);
        rig.ami = Some(closed);
        rig.start();
        assert_eq!((rig.ready.len(), rig.down.len()), (1, 0));
        assert_eq!(
            (rig.ready[0].version.as_str(), rig.codes()),
            ("unknown, by pbxapi alone", vec!["ami_closed"])
        );
    }
}

#[test]
fn a_user_that_may_not_log_in_from_here_is_a_closed_ami_too() {
    let mut rig = Rig::with(&[]);
    rig.server.refuses.insert("Login", "Authentication failed");
    rig.start();
    assert_eq!((rig.ready.len(), rig.codes()), (1, vec!["ami_closed"]));
    assert!(rig.warnings[0].text.contains("Authentication failed"));
}

#[test]
fn a_call_is_one_originate_and_its_legs_are_found_in_the_list() {
    let mut rig = talking();
    assert_eq!(rig.asked("originate").len(), 1);
    let path = &rig.asked("originate")[0].path;
    for part in ["channel=PJSIP%2F1001", "extension=1002", "context=from-internal", "timeout=20000"] {
        assert!(path.contains(part), "{path}");
    }
    assert!(rig.events.iter().any(|event| matches!(event, Event::Joined(A, B) | Event::Joined(B, A))));
    let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("{:?}", rig.answers) };
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|leg| leg.tag.is_some() && leg.stage == Stage::Up && leg.partners.len() == 1));
    let Ok(Done::Loaded(load)) = rig.outcome(Order::Load) else { panic!("{:?}", rig.answers) };
    assert_eq!(load.legs, Some(2));
}

#[test]
fn a_leg_is_hung_up_and_its_end_is_seen() {
    let mut rig = talking();
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    assert!(rig.asked("hangup")[0].path.contains("channel=1795341300.0&cause=16"));
    let end = rig.events.iter().find(|event| matches!(event, Event::Ended { leg: A, .. })).expect("its end");
    assert!(matches!(end, Event::Ended { cause: Cause::Answered, by: By::Us, .. }), "{end:?}");
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
}

#[test]
fn a_drop_before_the_leg_is_seen_waits_for_it() {
    let mut rig = Rig::narrow();
    rig.give(dial(A, Role::A, "1001", None));
    let ticket = rig.give(Order::Drop { leg: A, cause: Cause::Canceled });
    assert!(!rig.answers.contains_key(&ticket), "it may ring any moment");
    first(&mut rig, 5);
    rig.advance(Duration::from_secs(2));
    assert!(rig.web.channels.is_empty());
    rig.reply(json(r#"{"status":"error", "message":"Originate failed"}"#));
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
}

#[test]
fn an_originate_that_fails_says_nothing_but_that_it_failed() {
    let mut rig = Rig::narrow();
    let ticket = rig.give(dial(A, Role::A, "1001", None));
    rig.reply(json(r#"{"status":"error", "message":"Originate failed"}"#));
    let refused = rig.answers[&ticket].clone().expect_err("it failed");
    assert_eq!(
        (refused.why, refused.cause, refused.evidence),
        (Why::Refused, Cause::Unreachable, Evidence::NotDone)
    );
    let ticket = rig.give(dial(A, Role::A, "1001", None));
    rig.reply(Err(LinkError::TimedOut));
    let refused = rig.answers[&ticket].clone().expect_err("nobody knows");
    assert_eq!(refused.evidence, Evidence::Unknown);
}

#[test]
fn everything_else_is_refused_with_what_is_missing() {
    let mut rig = talking();
    let recording = RecordingId::new(1, 7);
    let digits: Digits = "1".parse().expect("a digit");
    let why = ifbus_call::order::ParkReason::Hold;
    for order in [
        Order::Park { held: A, other: B, why },
        Order::Dtmf { leg: A, digits },
        Order::Mute { leg: A, direction: Direction::In, on: true },
        Order::Enter { leg: A, conference: "sales".parse().expect("a name") },
        Order::Leave { leg: A },
        Order::Record { leg: A, recording, segment: 0 },
        Order::StopRecord { leg: A, recording, segment: 0 },
        Order::Drain { on: true },
        dial(ifbus_call::LegId(9), Role::C, "1002", None),
    ] {
        let shown = format!("{order:?}");
        let refused = rig.refused(order);
        assert_eq!(refused.why, Why::Prerequisite, "{shown}");
        assert!(refused.to_string().contains("ifbus setup elastix --only manager"), "{refused}");
    }
    let Ok(Done::Inspected(findings)) = rig.outcome(Order::Inspect) else { panic!("{:?}", rig.answers) };
    assert!(findings.iter().any(|line| line.area == "management" && line.verdict == Verdict::Fail));
    assert!(matches!(rig.outcome(Order::Probe), Ok(Done::Probed(lines)) if lines[0].answered.is_ok()));
}

#[test]
fn a_life_that_begins_finds_its_legs_again() {
    let mut rig = talking();
    rig.input(Input::Stop);
    rig.start();
    let seen = &rig.ready.last().expect("ready again").seen;
    assert!(seen.iter().any(|leg| leg.leg == A && leg.tag.is_some()), "{seen:?}");
}

#[test]
fn a_channel_of_somebody_else_is_listed_and_has_no_tag() {
    let mut rig = Rig::narrow();
    for name in ["SIP/200-00000000", "/.*/", "SIP/2\\u000d\\u000aX-00000001"] {
        let shown = Shown { name: name.to_owned(), state: 6, ..Shown::default() };
        rig.web.channels.insert(format!("1795341300.{}", name.len()), shown);
    }
    let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("{:?}", rig.answers) };
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|leg| leg.tag.is_none()));
    assert!(rig.web.asked.iter().all(|ask| !ask.path.contains("%0D") && !ask.path.contains("%0A")));
}

#[test]
fn the_life_ends_as_soon_as_ami_takes_us() {
    let mut rig = talking();
    rig.ami = None;
    rig.advance(Duration::from_secs(61));
    assert_eq!(rig.down.len(), 1);
    assert!(rig.down[0].to_string().contains("AMI takes us again"), "{:?}", rig.down);
    rig.start();
    assert_eq!(rig.ready.last().expect("ready").version, "22.10.1+dfsg");
}

#[test]
fn the_life_ends_when_pbxapi_does_and_every_order_is_answered() {
    for end in [
        page(500),
        json(r#"{"status":"error","reason":"Could not connect to AMI"}"#),
        Err(LinkError::Refused),
    ] {
        let mut rig = Rig::narrow();
        let ticket = rig.give(dial(A, Role::A, "1001", None));
        rig.web.instead.insert("status", [end].into());
        rig.advance(Duration::from_secs(6));
        assert_eq!(rig.down.len(), 1);
        assert_eq!(rig.answers[&ticket].clone().expect_err("it is over").why, Why::LinkLost);
    }
}

#[test]
fn an_asterisk_that_is_down_is_no_reason_for_a_narrow_life() {
    let mut rig = Rig::with(&[]);
    rig.ami = Some(LinkError::Refused);
    let down = r#"{"status":"error","reason":"Could not connect to AMI"}"#;
    rig.web.instead.insert("status", [json(down)].into());
    rig.start();
    assert!(rig.ready.is_empty());
    assert_eq!(rig.down[0].reason, DownReason::Unreachable(LinkError::Refused));
}

#[test]
fn whoever_stands_between_does_not_make_us_go_another_way() {
    let mut rig = Rig::with(&[("tls", "pin")]);
    rig.ami = Some(LinkError::Tls("certificate changed".to_owned()));
    rig.start();
    assert!(rig.ready.is_empty() && rig.asked("status").is_empty());
    assert_eq!(rig.down.len(), 1);
}

#[test]
fn a_3cx_is_refused_by_its_name() {
    let portal = || {
        let body = b"<!doctype html><html><head><title>3CX Phone System Management Console</title>".to_vec();
        Ok(HttpReply { status: 200, body })
    };
    for more in [&[][..], &[("api_secret", "-")]] {
        let mut rig = Rig::with(more);
        rig.ami = Some(LinkError::Refused);
        rig.web.instead.insert("/", (0..4).map(|_| portal()).collect());
        rig.start();
        assert!(rig.ready.is_empty());
        assert!(
            matches!(&rig.down[0].reason, DownReason::NotTheKind(why) if why.contains("3CX") && why.contains("Elastix 5"))
        );
    }
}

#[test]
fn at_most_four_calls_are_placed_at_once() {
    let mut rig = Rig::narrow();
    for leg in 1..=4 {
        rig.give(dial(ifbus_call::LegId(leg), Role::A, "1001", None));
    }
    let refused = rig.refused(dial(ifbus_call::LegId(5), Role::A, "1001", None));
    assert_eq!((refused.why, rig.asked("originate").len()), (Why::Overloaded, 4));
    rig.reply(json(r#"{"status":"error", "message":"Originate failed"}"#));
    rig.give(dial(ifbus_call::LegId(6), Role::A, "1001", None));
    assert_eq!(rig.asked("originate").len(), 5);
}

#[test]
fn telephones_are_dialled_as_pbxapi_says_also_after_ami_was_tried_again() {
    let mut rig = Rig::narrow();
    for _ in 0..2 {
        rig.give(dial(A, Role::A, "1001", None));
        let asked = rig.asked("originate").last().expect("it was asked for").path.clone();
        assert!(asked.contains("channel=PJSIP%2F1001&"), "{asked}");
        rig.reply(json(r#"{"status":"error", "message":"Originate failed"}"#));
        rig.advance(Duration::from_secs(61));
    }
}

#[test]
fn nobody_is_dialled_before_pbxapi_has_told_how_or_has_failed_to() {
    let mut rig = Rig::with(&[]);
    rig.ami = Some(LinkError::Refused);
    rig.web.deaf = Some("extensions");
    rig.start();
    assert!(rig.ready.is_empty());
    rig.web.deaf = None;
    rig.reply(page(500));
    assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
}
