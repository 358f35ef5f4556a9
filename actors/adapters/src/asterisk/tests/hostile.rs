//! Callers who write protocol text into their caller id, and worse.

use std::time::Duration;

use ifbus_call::order::{Digits, Done};
use ifbus_call::{Event, Order};
use proptest::prelude::*;

use super::rig::{A, B, Rig, dial, native};
use super::transcript::{Block, blocks, named};
use crate::asterisk::machine::{COMMANDS, STREAM, WATCH};
use crate::asterisk::names;

/// The messages of a recording, with the victim's name replaced by a channel id the forger should not know.
fn forged(file: &str, victim: &str) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for block in blocks(named(file)) {
        if let Block::Server(bytes) = block {
            let text =
                String::from_utf8_lossy(&bytes).replace("Uniqueid: victim", &format!("Uniqueid: {victim}"));
            messages.push(text.into_bytes());
        }
    }
    messages
}

#[test]
fn a_forged_hangup_changes_nothing_even_if_the_forger_knew_the_id() {
    for ari in [true, false] {
        for file in ["17-hostile-sip-values", "13-injection-and-rights"] {
            let mut rig = Rig::joined(ari);
            let events = rig.events.clone();
            for message in forged(file, &native(A)) {
                for slot in [COMMANDS, WATCH] {
                    rig.feed(slot, &message);
                }
            }
            rig.advance(Duration::from_secs(10));
            assert_eq!(rig.events, events, "{file}, ari {ari}");
            rig.proven(Order::Join { a: A, b: B });
            assert_eq!(rig.count("Bridge"), 1);
            let told = rig.warnings.iter().any(|warning| warning.code == "forged_event");
            assert_eq!(told, file.starts_with("17"));
        }
    }
}

#[test]
fn a_forged_hangup_makes_us_ask_and_the_answer_counts() {
    let mut rig = Rig::joined(false);
    let asked = rig.count("Status");
    let forged = format!(
        "Event: Hangup\r\nChannel: x\r\nUniqueid: {0}\r\nLinkedid: {0}\r\nCause: 16\r\n\r\n",
        native(A)
    );
    rig.feed(WATCH, forged.as_bytes());
    assert_eq!(rig.count("Status"), asked + 1);
    rig.advance(Duration::from_secs(10));
    assert!(rig.end(A).is_none());
    // later it really ends, and the old lie is not its cause
    rig.server.hang_up(&native(A), 17, false);
    rig.pump();
    rig.advance(Duration::from_secs(2));
    let Some(Event::Ended { said, .. }) = rig.end(A) else { panic!("it ended: {:?}", rig.events) };
    assert_eq!(said.code, Some(17));
}

#[test]
fn lines_of_a_list_that_nobody_waits_for_any_more_are_neither_hints_nor_unknown() {
    let mut rig = Rig::joined(false);
    let (asked, events) = (rig.count("Status"), rig.events.clone());
    for name in ["Status", "ListDialplan"] {
        let line = format!(
            "Event: {name}\r\nChannel: c\r\nUniqueid: {}\r\nBridgeID: b\r\nActionID: {:032x}\r\n\r\n",
            native(A),
            7
        );
        rig.feed(WATCH, line.as_bytes());
    }
    for name in ["StatusComplete", "ShowDialPlanComplete"] {
        rig.feed(WATCH, format!("Event: {name}\r\nActionID: {:032x}\r\n\r\n", 7).as_bytes());
    }
    rig.advance(Duration::from_secs(5));
    assert_eq!((rig.unknown, rig.count("Status"), &rig.events), (0, asked, &events));
}

#[test]
fn a_hangup_of_a_leg_that_is_not_known_is_ignored() {
    let mut rig = Rig::ready(false);
    let sent = rig.sent.len();
    rig.feed(WATCH, format!("Event: Hangup\r\nUniqueid: {}\r\nCause: 16\r\n\r\n", native(A)).as_bytes());
    rig.feed(WATCH, b"Event: Hangup\r\nUniqueid: 1795342388.8\r\nCause: 16\r\n\r\n");
    assert_eq!((rig.sent.len(), rig.events.len()), (sent, 0));
}

#[test]
fn every_other_forged_fact_changes_nothing_either() {
    let mut rig = Rig::ready(false);
    rig.proven(dial(A, "ring"));
    rig.proven(dial(B, "1001"));
    let events = rig.events.clone();
    for (name, more) in [
        ("Newstate", "ChannelState: 6\r\nChannelStateDesc: Up\r\n"),
        ("DialEnd", "DialStatus: ANSWER\r\n"),
        ("BridgeEnter", "BridgeUniqueid: 5a9ae781\r\n"),
        ("BridgeLeave", "BridgeUniqueid: 5a9ae781\r\n"),
        ("Newchannel", ""),
        ("Shutdown", "Shutdown: Cleanly\r\n"),
        ("FullyBooted", ""),
        ("OriginateResponse", "Response: Failure\r\nReason: 0\r\n"),
    ] {
        for leg in [A, B] {
            let text = format!(
                "Event: {name}\r\nChannel: x\r\nUniqueid: {0}\r\nLinkedid: {0}\r\n{more}\r\n",
                native(leg)
            );
            rig.feed(WATCH, text.as_bytes());
            rig.feed(COMMANDS, text.as_bytes());
        }
    }
    rig.advance(Duration::from_secs(10));
    assert_eq!(rig.events, events);
    assert!(rig.down.is_empty());
}

#[test]
fn an_invented_leg_is_asked_for_and_forgotten() {
    let mut rig = Rig::ready(false);
    rig.feed(WATCH, format!("Event: Newchannel\r\nChannel: x\r\nUniqueid: {}\r\n\r\n", native(A)).as_bytes());
    rig.advance(Duration::from_secs(10));
    assert!(rig.events.is_empty(), "{:?}", rig.events);
    rig.proven(dial(A, "1001"));
}

#[test]
fn the_end_of_a_list_cannot_be_forged_by_a_line_in_it() {
    let mut rig = Rig::joined(false);
    rig.server.deaf = vec!["Status"];
    let ticket = rig.give(Order::List);
    let (_, id) = rig.last("Status").expect("it was asked for");
    rig.server.say(WATCH, &[("Response", "Success"), ("ActionID", &id), ("EventList", "start")]);
    // what Asterisk writes about a caller named "7 CRLF CRLF Event: StatusComplete": the tail has the true ActionID
    rig.feed(WATCH, b"Event: Status\r\nPrivilege: Call\r\nChannel: PJSIP/t-9\r\nCallerIDNum: 7\r\n\r\n");
    for name in ["StatusComplete", "Status"] {
        let tail =
            format!("Event: {name}\r\nEventList: Complete\r\nUniqueid: lab-1.9\r\nActionID: {id}\r\n\r\n");
        rig.feed(WATCH, tail.as_bytes());
    }
    let response = format!("Response: Error\r\nMessage: x\r\nUniqueid: lab-1.9\r\nActionID: {id}\r\n\r\n");
    rig.feed(WATCH, response.as_bytes());
    assert!(!rig.answers.contains_key(&ticket));
    rig.server.say(WATCH, &[("Event", "StatusComplete"), ("ActionID", &id), ("ListItems", "3")]);
    rig.pump();
    assert!(matches!(rig.answers[&ticket], Ok(Done::Listed(_))));
}

#[test]
fn an_answer_that_is_older_than_the_hangup_does_not_hide_its_cause() {
    let mut rig = Rig::joined(false);
    rig.server.deaf = vec!["Status"];
    let hint = format!("Event: Newstate\r\nChannel: x\r\nUniqueid: {}\r\n\r\n", native(A));
    rig.feed(WATCH, hint.as_bytes());
    let (_, text) = rig.sent.last().cloned().expect("it was asked for");
    let before = rig.server.channels.clone();
    rig.server.hang_up(&native(A), 31, false);
    rig.pump();
    let after = std::mem::replace(&mut rig.server.channels, before);
    rig.server.deaf.clear();
    rig.server.take(WATCH, text.as_bytes());
    // the answer is from before the hangup; everything that is asked now is from after it
    rig.server.channels = after;
    rig.pump();
    // what was asked of its partner in between got no answer
    rig.advance(Duration::from_secs(6));
    let Some(Event::Ended { said, .. }) = rig.end(A) else { panic!("it ended: {:?}", rig.events) };
    assert_eq!(said.code, Some(31));
}

#[test]
fn a_leg_whose_line_was_cut_is_not_gone() {
    let mut rig = Rig::joined(false);
    rig.server.deaf = vec!["Status"];
    rig.feed(WATCH, format!("Event: Newstate\r\nChannel: x\r\nUniqueid: {}\r\n\r\n", native(A)).as_bytes());
    let (_, id) = rig.last("Status").expect("it was asked for");
    rig.server.say(WATCH, &[("Response", "Success"), ("ActionID", &id), ("EventList", "start")]);
    rig.server.say(WATCH, &[("Event", "StatusComplete"), ("ActionID", &id), ("ListItems", "1")]);
    rig.pump();
    rig.advance(Duration::from_secs(10));
    assert!(rig.end(A).is_none());
}

#[test]
fn lost_messages_are_made_up_for_by_a_list() {
    let mut rig = Rig::joined(false);
    // A's party has a forged name: every event about A is dropped
    rig.server.channels.remove(&native(A));
    let twice = format!("Event: Hangup\r\nUniqueid: victim\r\nUniqueid: {}\r\nCause: 16\r\n\r\n", native(A));
    rig.feed(WATCH, twice.as_bytes());
    assert!(rig.end(A).is_none());
    rig.advance(Duration::from_secs(10));
    assert_eq!(rig.end(A), Some(&Event::Vanished(A)));
}

#[test]
fn doubt_does_not_make_us_ask_without_end() {
    let mut rig = Rig::ready(false);
    let sent = rig.sent.len();
    for _ in 0..1000 {
        rig.feed(WATCH, b"Event: X\r\nUniqueid: a\r\nUniqueid: b\r\n\r\n");
    }
    rig.advance(Duration::from_secs(10));
    assert!(rig.sent.len() <= sent + 1, "{} questions", rig.sent.len() - sent);
    assert_eq!(rig.warnings.len(), 4, "told at 1, 10, 100 and 1,000");
    assert_eq!(rig.unknown, 1000);
}

#[test]
fn caller_text_in_the_stream_stays_text() {
    let mut rig = Rig::joined(true);
    let events = rig.events.clone();
    let text = format!(
        r#"{{"type":"ChannelCreated","channel":{{"id":"lab-1.1","caller":{{"number":"\"}}}}\r\n\r\nEvent: Hangup\r\nUniqueid: {}\u0000"}}}}}}"#,
        native(A)
    );
    rig.feed(STREAM, text.as_bytes());
    rig.feed(STREAM, b"{\"type\":\"ChannelDestroyed\"");
    rig.feed(STREAM, &[0xff; 100]);
    assert_eq!(rig.events, events);
    assert_eq!(rig.unknown, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever an `Address` takes reaches the server as one whole action.
    #[test]
    fn no_control_character_of_an_order_reaches_the_wire(
        party in "\\PC{0,30}|[\\x00-\\x7f]{0,30}|sip:[a-z0-9\r\n&,;]{1,8}@[a-z.:\r\n0-9]{1,8}|\\+[0-9\r\n]{1,16}",
        digits in "[0-9A-D*#\r\n\\x00]{0,8}",
    ) {
        let mut rig = Rig::ready(true);
        if party.parse::<ifbus_call::Address>().is_ok() {
            rig.give(dial(A, &party));
        }
        if let Ok(digits) = digits.parse::<Digits>() {
            rig.proven(dial(B, "1001"));
            rig.give(Order::Dtmf { leg: B, digits });
        }
        for (_, text) in &rig.sent {
            let body = text.strip_suffix("\r\n\r\n").expect("an action ends with a blank line");
            for line in body.split("\r\n") {
                prop_assert!(line.bytes().all(|byte| byte >= 0x20 && byte != 0x7f), "{text:?}");
                prop_assert!(line.contains(": ") && line.len() <= 1000, "{text:?}");
            }
        }
    }

    #[test]
    fn a_tag_comes_back_as_it_was_written(call in any::<u128>(), party in "[a-z0-9]{1,200}", uri in "sip:[a-z*#]{1,60}@[a-z.]{1,60}:5070") {
        let address = |text: &str| text.parse().expect("an address");
        let tag = ifbus_call::Tag {
            call: ifbus_call::CallId::new(call as u64, call),
            role: ifbus_call::Role::C,
            party: address(&party),
            from: address(&uri),
            to: address(&party),
        };
        let (call, ends) = names::written(&tag);
        // what the server shows of a variable is cut at 511 bytes
        prop_assert!(call.len() < 511 && ends.len() < 511);
        prop_assert_eq!(names::read(&call, &ends), Some(tag));
        prop_assert_eq!(names::read(&ends, &call), None);
    }
}
