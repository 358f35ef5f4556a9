//! Each order: what is sent, what proves it, what is answered when it fails.

use std::time::Duration;

use ifbus_call::order::{Direction, Done, Evidence, ParkReason};
use ifbus_call::{By, Cause, Event, LegId, Order, Refused, Why};

use super::rig::{A, B, C, Rig, dial, native};
use crate::asterisk::flight::ORDERS_MAX;
use crate::asterisk::machine::{COMMANDS, TONES, WATCH};

fn refused(outcome: ifbus_call::Outcome) -> Refused {
    outcome.expect_err("it should be refused")
}

fn park(held: LegId, other: LegId) -> Order {
    Order::Park { held, other, why: ParkReason::Hold }
}

#[test]
fn a_dial_is_done_when_the_server_has_made_the_leg() {
    for ari in [true, false] {
        let mut rig = Rig::ready(ari);
        rig.proven(dial(A, "sip:1001@phone.example:5070"));
        let heard = [Event::Started(A), Event::Ringing(A), Event::Answered(A)];
        assert_eq!(rig.events.iter().filter(|event| heard.contains(event)).count(), if ari { 3 } else { 2 });
        assert!(rig.events.contains(&Event::Answered(A)));
        let (slot, text) =
            rig.sent.iter().find(|(_, text)| text.starts_with("Action: Originate\r")).expect("it was sent");
        assert_eq!(*slot, COMMANDS);
        for line in [
            "Channel: PJSIP/trunk/sip:1001@phone.example:5070\r\n".to_owned(),
            format!("ChannelId: {}\r\n", native(A)),
            "CallerID: \"1002\" <1002>\r\n".to_owned(),
            "Timeout: 20000\r\n".to_owned(),
            "Async: true\r\n".to_owned(),
            "Variable: TIMEOUT(absolute)=140\r\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is not in {text}");
        }
        assert!(!text.contains("EarlyMedia") && !text.contains("Application"));
    }
}

#[test]
fn the_response_to_an_originate_is_not_its_result() {
    let mut rig = Rig::ready(true);
    rig.server.acts = false;
    let ticket = rig.give(dial(A, "1001"));
    let (_, id) = rig.last("Originate").expect("it was sent");
    rig.server.say(COMMANDS, &[("Response", "Success"), ("ActionID", &id), ("Message", "queued")]);
    rig.pump();
    assert!(!rig.answers.contains_key(&ticket) && rig.events.is_empty());
}

#[test]
fn a_failure_without_a_channel_is_unreachable_and_certain() {
    for ari in [true, false] {
        let mut rig = Rig::ready(ari);
        let answer = refused(rig.outcome(dial(A, "gone")));
        assert_eq!(
            (answer.why, answer.cause, answer.evidence),
            (Why::Refused, Cause::Unreachable, Evidence::NotDone)
        );
        assert!(rig.events.is_empty());
        assert!(answer.is_certain());
    }
}

#[test]
fn a_busy_leg_is_made_and_ends_whatever_comes_first() {
    for ari in [true, false] {
        let mut rig = Rig::ready(ari);
        rig.proven(dial(A, "busy"));
        rig.advance(Duration::from_secs(3));
        assert!(
            matches!(rig.end(A), Some(Event::Ended { cause: Cause::Busy, by: By::Party, .. })),
            "{:?}",
            rig.events
        );
        assert!(rig.events.contains(&Event::Started(A)));
    }
}

#[test]
fn a_form_of_address_without_a_template_sends_nothing() {
    let mut rig = Rig::ready(true);
    rig.machine.options.dial_uri = None;
    let sent = rig.sent.len();
    let answer = refused(rig.outcome(dial(A, "sip:a@b")));
    assert_eq!(answer, Refused::unsent(Why::NoTemplate));
    assert_eq!(rig.sent.len(), sent);
}

#[test]
fn an_id_is_never_used_twice() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    let answer = refused(rig.outcome(dial(A, "1002")));
    assert_eq!(answer.evidence, Evidence::NothingSent);
    assert_eq!(rig.count("Originate"), 1);
}

#[test]
fn a_dialplan_without_our_context_refuses_the_dial() {
    let mut rig = Rig::ready(true);
    rig.server.refuses.insert("Originate", "Extension does not exist.");
    let answer = refused(rig.outcome(dial(A, "1001")));
    assert_eq!((answer.why, answer.evidence), (Why::Refused, Evidence::NotDone));
    assert_eq!(answer.said.expect("the server's words").text, "Extension does not exist.");
    rig.server.refuses.clear();
    rig.proven(dial(A, "1001"));
}

#[test]
fn an_unanswered_dial_is_looked_for_before_it_is_refused() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Originate"];
    let answer = refused(rig.outcome(dial(A, "1001")));
    assert_eq!((answer.why, answer.evidence), (Why::Unproven, Evidence::Unknown));
    assert!(rig.last("Status").is_some_and(|(slot, _)| slot == WATCH));

    // the originate worked, only its events were lost
    rig.server.acts = false;
    rig.server.deaf.clear();
    let ticket = rig.give(dial(B, "1001"));
    let channel = super::pretend::Channel { state: 5, exten: "wait".to_owned(), ..Default::default() };
    rig.server.channels.insert(native(B), channel);
    while !rig.answers.contains_key(&ticket) {
        rig.tick();
    }
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert!(rig.events.contains(&Event::Ringing(B)));
}

#[test]
fn joined_legs_are_not_joined_again_because_that_tears_them_apart() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        rig.proven(Order::Join { a: A, b: B });
        rig.proven(Order::Join { a: B, b: A });
        assert_eq!(rig.count("Bridge"), 1);
    }
}

#[test]
fn a_ringing_leg_is_neither_joined_nor_parked() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    rig.proven(dial(B, "ring"));
    for order in [Order::Join { a: A, b: B }, park(A, B), Order::Join { a: A, b: A }] {
        assert_eq!(refused(rig.outcome(order)).evidence, Evidence::NothingSent);
    }
    assert_eq!(rig.count("Bridge") + rig.count("Redirect"), 0);
}

#[test]
fn a_join_waits_until_both_legs_are_in_their_waiting_place() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    rig.proven(dial(B, "1001"));
    // the server still executes `Answer`: what it shows is the first step
    rig.server.channels.get_mut(&native(A)).expect("it exists").state = 0;
    let ticket = rig.give(Order::Join { a: A, b: B });
    assert_eq!(rig.count("Bridge"), 0);
    rig.server.channels.get_mut(&native(A)).expect("it exists").state = 6;
    while !rig.answers.contains_key(&ticket) {
        rig.tick();
    }
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert!(rig.now.since_start() < Duration::from_millis(100), "{:?}", rig.now);
}

#[test]
fn a_leg_that_never_reaches_its_place_is_not_joined() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    rig.proven(dial(B, "1001"));
    rig.server.channels.get_mut(&native(A)).expect("it exists").state = 0;
    let answer = refused(rig.outcome(Order::Join { a: A, b: B }));
    assert_eq!((answer.why, answer.evidence), (Why::Unproven, Evidence::NothingSent));
    assert_eq!(rig.count("Bridge"), 0);
}

#[test]
fn a_join_releases_the_former_partner() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        rig.proven(park(B, A));
        rig.proven(dial(C, "1003"));
        rig.proven(Order::Join { a: A, b: C });
        rig.proven(Order::Join { a: B, b: C });
        rig.advance(Duration::from_secs(2));
        assert!(
            matches!(rig.end(A), Some(Event::Ended { cause: Cause::Answered, by: By::Server, .. })),
            "{ari}"
        );
        assert!(rig.end(B).is_none() && rig.end(C).is_none());
    }
}

#[test]
fn parked_legs_are_moved_both_at_once_and_proven_apart() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        rig.proven(park(B, A));
        let parted = |leg| rig.events.contains(&Event::Parted(leg));
        assert!(parted(A) && parted(B));
        let (_, text) = rig.sent.iter().rfind(|(_, text)| text.contains("Redirect")).expect("it was sent");
        for line in [
            format!("Channel: {}\r\nContext: ifbus\r\nExten: hold\r\n", native(B)),
            format!("ExtraChannel: {}\r\nExtraContext: ifbus\r\nExtraExten: park\r\n", native(A)),
        ] {
            assert!(text.contains(&line), "{text}");
        }
        rig.proven(Order::Join { a: A, b: B });
        assert!(rig.end(A).is_none() && rig.end(B).is_none());
    }
}

#[test]
fn legs_that_are_alone_may_be_parked_a_third_partys_may_not() {
    let mut rig = Rig::joined(true);
    rig.proven(dial(C, "1003"));
    assert_eq!(refused(rig.outcome(park(B, C))).evidence, Evidence::NothingSent);
    rig.proven(park(B, A));
    rig.proven(park(A, C));
}

#[test]
fn a_drop_is_proven_by_the_end_and_ends_the_partner() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
        rig.advance(Duration::from_secs(2));
        assert!(
            matches!(rig.end(A), Some(Event::Ended { by: By::Us, cause: Cause::Answered, .. })),
            "{:?}",
            rig.events
        );
        assert!(matches!(rig.end(B), Some(Event::Ended { by: By::Server, .. })), "{:?}", rig.events);
    }
}

#[test]
fn gone_already_is_a_success() {
    let mut rig = Rig::ready(true);
    rig.proven(Order::Drop { leg: A, cause: Cause::Canceled });
    assert_eq!(rig.count("Hangup"), 1, "an originate may have come late: it is asked for all the same");
}

#[test]
fn a_leg_that_ended_unseen_vanishes_when_it_is_dropped() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    rig.server.channels.clear();
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    assert_eq!(rig.end(A), Some(&Event::Vanished(A)));
}

#[test]
fn a_ringing_leg_that_is_dropped_was_canceled() {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "ring"));
    rig.proven(Order::Drop { leg: A, cause: Cause::Canceled });
    assert!(matches!(rig.end(A), Some(Event::Ended { cause: Cause::Canceled, by: By::Us, .. })));
}

#[test]
fn orders_on_one_leg_are_carried_out_in_their_order() {
    let mut rig = Rig::ready(true);
    rig.server.acts = false;
    let dialed = rig.give(dial(A, "1001"));
    let dropped = rig.give(Order::Drop { leg: A, cause: Cause::Canceled });
    assert_eq!(rig.count("Hangup"), 0, "there is nothing to hang up yet");
    rig.server.acts = true;
    let (_, text) = rig
        .sent
        .iter()
        .rfind(|(_, text)| text.starts_with("Action: Originate\r"))
        .cloned()
        .expect("it was sent");
    rig.server.take(COMMANDS, text.as_bytes());
    rig.pump();
    assert_eq!(rig.answers[&dialed], Ok(Done::Proven));
    assert_eq!(rig.answers[&dropped], Ok(Done::Proven));
    assert!(rig.end(A).is_some());
}

#[test]
fn an_order_that_the_server_does_not_answer_is_answered_from_the_truth() {
    let mut rig = Rig::joined(true);
    rig.server.deaf = vec!["Redirect"];
    let answer = refused(rig.outcome(park(B, A)));
    assert_eq!((answer.why, answer.evidence), (Why::Unproven, Evidence::Unknown));

    // it was done, only the answer was lost
    let ticket = rig.give(park(B, A));
    for leg in [A, B] {
        rig.server.channels.get_mut(&native(leg)).expect("it exists").bridge = None;
    }
    while !rig.answers.contains_key(&ticket) {
        rig.tick();
    }
    assert!(rig.events.contains(&Event::Parted(A)));
}

#[test]
fn an_error_without_our_id_leaves_the_order_to_its_deadline() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Originate"];
    let ticket = rig.give(dial(A, "1001"));
    rig.feed(COMMANDS, b"Response: Error\r\nMessage: Failed to parse message: line too long\r\n\r\n");
    assert_eq!(rig.unknown, 1);
    while !rig.answers.contains_key(&ticket) {
        rig.tick();
    }
    assert_eq!(rig.now.since_start(), Duration::from_secs(25));
}

#[test]
fn late_double_and_foreign_answers_are_ignored() {
    let mut rig = Rig::joined(true);
    let (slot, id) = rig.last("Bridge").expect("it was sent");
    let events = rig.events.len();
    for response in ["Success", "Error"] {
        rig.server.say(slot, &[("Response", response), ("ActionID", &id)]);
        rig.server.say(slot, &[("Response", response), ("ActionID", "ffffffffffffffffffffffffffffffff")]);
    }
    rig.pump();
    assert_eq!(rig.events.len(), events);
    // an answer counts only on the connection of its question
    rig.server.deaf = vec!["MuteAudio"];
    let ticket = rig.give(Order::Mute { leg: A, direction: Direction::In, on: true });
    let (_, id) = rig.last("MuteAudio").expect("it was sent");
    rig.server.say(WATCH, &[("Response", "Success"), ("ActionID", &id)]);
    rig.pump();
    assert!(!rig.answers.contains_key(&ticket));
}

#[test]
fn a_mute_is_told_and_proven_by_its_answer() {
    let mut rig = Rig::joined(true);
    rig.proven(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.events.contains(&Event::Muted(A, Direction::In, true)));
    let answer = refused(rig.outcome(Order::Mute { leg: C, direction: Direction::Out, on: false }));
    assert_eq!(answer, Refused::unsent(Why::NoSuchLeg));
}

#[test]
fn digits_are_paced_on_a_connection_of_their_own() {
    let mut rig = Rig::joined(true);
    let before = rig.now;
    rig.proven(Order::Dtmf { leg: A, digits: "12#".parse().expect("digits") });
    let digits: Vec<&String> =
        rig.sent.iter().filter(|(_, text)| text.contains("PlayDTMF")).map(|(_, text)| text).collect();
    assert_eq!(digits.len(), 3);
    assert!(digits[2].contains("Digit: #\r\nDuration: 100\r\n"), "{}", digits[2]);
    assert!(rig.sent.iter().all(|(slot, text)| !text.contains("PlayDTMF") || *slot == TONES));
    assert_eq!(rig.now.since(before), Duration::from_millis(320), "two pauses from digit to digit");
}

#[test]
fn the_limit_of_orders_holds_and_drops_get_through_it() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["CoreStatus", "Hangup"];
    for _ in 0..ORDERS_MAX {
        rig.give(Order::Load);
    }
    let over = rig.give(Order::Load);
    assert_eq!(rig.answers[&over], Err(Refused::unsent(Why::Overloaded)));
    let dropped = rig.give(Order::Drop { leg: A, cause: Cause::Answered });
    assert!(!rig.answers.contains_key(&dropped));
    assert_eq!(rig.count("Hangup"), 1);
    while rig.answers.len() < ORDERS_MAX + 2 {
        assert!(rig.tick(), "every order has a deadline");
    }
}

#[test]
fn load_is_the_servers_own_count() {
    let mut rig = Rig::joined(true);
    let Ok(Done::Loaded(load)) = rig.outcome(Order::Load) else { panic!("a load") };
    assert_eq!((load.legs, load.legs_max, load.legs_ever), (Some(2), None, None));
}

#[test]
fn answers_find_their_orders_in_any_order() {
    let mut rig = Rig::joined(true);
    rig.server.deaf = vec!["MuteAudio"];
    let mut asked = Vec::new();
    for leg in [A, B] {
        let ticket = rig.give(Order::Mute { leg, direction: Direction::In, on: true });
        asked.push((ticket, rig.last("MuteAudio").expect("it was sent").1));
    }
    for (ticket, id) in asked.into_iter().rev() {
        rig.server.say(COMMANDS, &[("Response", "Success"), ("ActionID", &id)]);
        rig.pump();
        assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    }
}

#[test]
fn an_end_that_is_heard_after_the_failure_is_told_at_once() {
    let mut rig = Rig::ready(false);
    rig.server.acts = false;
    let ticket = rig.give(dial(A, "1001"));
    let (_, id) = rig.last("Originate").expect("it was sent");
    let failure =
        [("Event", "OriginateResponse"), ("ActionID", &*id), ("Response", "Failure"), ("Reason", "0")];
    rig.server.say(COMMANDS, &failure);
    let native = native(A);
    let end = [("Event", "Hangup"), ("Channel", "x"), ("Uniqueid", &*native), ("Cause", "17")];
    rig.server.say(WATCH, &end);
    rig.pump();
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert!(matches!(rig.end(A), Some(Event::Ended { cause: Cause::Busy, .. })));
}

#[test]
fn the_result_of_an_originate_is_subscribed_to() {
    let rig = Rig::ready(true);
    let login = rig.sent.iter().find(|(slot, text)| *slot == COMMANDS && text.starts_with("Action: Login"));
    assert!(login.is_some_and(|(_, text)| text.contains("Events: call\r\n")));
}
