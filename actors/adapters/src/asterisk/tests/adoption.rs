//! After a reconnect: what is listed, what is believed of the time before.

use std::time::Duration;

use ifbus_call::order::{Done, ParkReason};
use ifbus_call::{Cause, Event, LegId, Order, Stage};

use super::pretend::Channel;
use super::rig::{A, B, C, Rig, dial, native};
use crate::adapter::{Input, LinkError};
use crate::asterisk::machine::{STREAM, WATCH};

/// The same server, another life of the links.
fn reconnected(mut rig: Rig) -> Rig {
    rig.input(Input::Stop);
    rig.events.clear();
    rig.start();
    assert_eq!(rig.ready.len(), 2, "{:?}", rig.down);
    rig
}

#[test]
fn joined_legs_are_found_with_their_tags_and_partners() {
    for ari in [true, false] {
        let mut rig = reconnected(Rig::joined(ari));
        let seen = rig.ready[1].seen.clone();
        let a = seen.iter().find(|seen| seen.leg == A).expect("it lives");
        assert_eq!((a.stage, &a.partners, a.hears_music), (Stage::Up, &vec![B], false));
        assert_eq!(a.age, Duration::from_secs(7));
        let tag = a.tag.as_ref().expect("it carries our tag");
        assert_eq!((tag.from.as_str(), tag.party.as_str()), ("1001", "1001"));
        assert!(rig.events.is_empty(), "the list tells it: {:?}", rig.events);
        rig.proven(Order::Join { a: A, b: B });
        assert_eq!(rig.count("Bridge"), 1, "they are joined: nothing is sent");
    }
}

#[test]
fn a_held_leg_is_found_hearing_music() {
    let mut rig = Rig::joined(true);
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let rig = reconnected(rig);
    let music = |leg: LegId| rig.ready[1].seen.iter().any(|seen| seen.leg == leg && seen.hears_music);
    assert!(music(B) && !music(A));
}

#[test]
fn a_foreign_leg_is_listed_and_can_be_dropped_by_its_id() {
    for ari in [true, false] {
        let mut rig = Rig::new(ari);
        let channel =
            Channel { state: 6, name: "PJSIP/7-1".into(), number: "4711".into(), ..Default::default() };
        rig.server.channels.insert("lab-1795342388.8".to_owned(), channel);
        rig.start();
        let seen = rig.ready[0].seen[0].clone();
        assert_eq!((seen.tag, seen.native.as_str(), seen.party.as_str()), (None, "PJSIP/7-1", "4711"));
        rig.proven(Order::Drop { leg: seen.leg, cause: Cause::Answered });
        rig.advance(Duration::from_secs(2));
        assert!(rig.end(seen.leg).is_some());
        assert!(rig.server.channels.is_empty());
    }
}

#[test]
fn a_foreign_leg_has_another_name_in_another_life_of_the_server() {
    let name = |boot| {
        let mut rig = Rig::new(true);
        rig.server.boot = boot;
        rig.server.channels.insert("lab-1.1".to_owned(), Channel::default());
        rig.start();
        rig.ready[0].seen[0].leg
    };
    assert_eq!(name("08:03:18"), name("08:03:18"));
    assert_ne!(name("08:03:18"), name("09:00:00"));
}

#[test]
fn the_legs_of_another_instance_are_foreign() {
    let mut rig = Rig::new(true);
    let theirs = format!("ib-{:016x}-{A}", 1);
    rig.server.channels.insert(theirs, Channel { state: 6, ..Default::default() });
    rig.start();
    assert_ne!(rig.ready[0].seen[0].leg, A);
}

#[test]
fn events_that_came_before_the_list_are_applied_after_it() {
    let mut rig = Rig::new(true);
    rig.server.deaf = vec!["Status"];
    rig.start();
    let created = format!(r#"{{"type":"ChannelCreated","channel":{{"id":"{}","state":"Down"}}}}"#, native(A));
    let up = format!(r#"{{"type":"ChannelStateChange","channel":{{"id":"{}","state":"Up"}}}}"#, native(A));
    for event in [&created, &up] {
        rig.feed(STREAM, event.as_bytes());
    }
    assert!(rig.events.is_empty() && rig.ready.is_empty());
    rig.server.deaf.clear();
    let (_, text) =
        rig.sent.iter().rfind(|(_, text)| text.contains("Action: Status")).cloned().expect("asked");
    rig.server.take(WATCH, text.as_bytes());
    rig.pump();
    assert_eq!(rig.events, [Event::Started(A), Event::Answered(A)]);
}

#[test]
fn a_list_that_answers_with_an_error_is_empty() {
    let mut rig = Rig::new(true);
    rig.server.refuses.insert("Status", "No such channel");
    rig.start();
    assert_eq!(rig.ready[0].seen, []);
}

#[test]
fn a_list_that_we_may_not_ask_for_is_told() {
    let mut rig = Rig::new(true);
    rig.server.refuses.insert("Status", "Permission denied");
    rig.start();
    assert!(rig.ready.is_empty());
    assert_eq!(rig.down.len(), 1);
}

#[test]
fn a_list_that_never_ends_is_given_up() {
    let mut rig = Rig::new(true);
    rig.server.deaf = vec!["Status"];
    rig.start();
    rig.advance(Duration::from_secs(30));
    assert_eq!(rig.down.len(), 1);
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Status"];
    assert!(rig.outcome(Order::List).is_err());
}

#[test]
fn a_leg_that_ended_in_the_gap_vanishes_with_the_next_list() {
    let mut rig = Rig::joined(true);
    rig.server.channels.remove(&native(A));
    let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("a list") };
    assert_eq!(seen.iter().map(|seen| seen.leg).collect::<Vec<_>>(), [B]);
    assert!(rig.end(A).is_none(), "its end may still be on the way");
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.end(A), Some(&Event::Vanished(A)));
}

#[test]
fn a_leg_that_was_dialed_while_the_list_was_made_does_not_vanish() {
    let mut rig = Rig::ready(true);
    rig.server.deaf = vec!["Status"];
    rig.give(Order::List);
    let (_, id) = rig.last("Status").expect("it was asked for");
    rig.proven(dial(C, "1001"));
    rig.server.deaf.clear();
    rig.server.say(WATCH, &[("Response", "Success"), ("ActionID", &id), ("EventList", "start")]);
    rig.server.say(WATCH, &[("Event", "StatusComplete"), ("ActionID", &id), ("ListItems", "0")]);
    rig.pump();
    rig.advance(Duration::from_secs(5));
    assert!(rig.end(C).is_none());
}

#[test]
fn a_phones_own_transfer_makes_a_guest() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        let bridge = rig.server.channels[&native(A)].bridge.clone().expect("they are joined");
        let guest = "lab-1795342500.77";
        let channel = Channel { state: 6, bridge: Some(bridge.clone()), ..Default::default() };
        rig.server.channels.insert(guest.to_owned(), channel);
        if ari {
            rig.server.json(&format!(
                r#"{{"type":"ChannelEnteredBridge","bridge":{{"id":"{bridge}","channels":["{}","{guest}"]}},"channel":{{"id":"{guest}","state":"Up"}}}}"#,
                native(A)
            ));
        } else {
            let fields = [
                ("Event", "BridgeEnter"),
                ("BridgeUniqueid", bridge.as_str()),
                ("Channel", "PJSIP/9-9"),
                ("Uniqueid", guest),
                ("Linkedid", guest),
            ];
            rig.server.say(WATCH, &fields);
        }
        rig.pump();
        let moved = |event: &&Event| matches!(event, Event::MovedByPhone { leg, .. } if *leg == A);
        assert!(!rig.events.iter().any(|event| moved(&event)), "its own partner is still there");
        rig.server.channels.remove(&native(B));
        if ari {
            rig.server.json(&format!(
                r#"{{"type":"ChannelDestroyed","cause":16,"channel":{{"id":"{}","state":"Up"}}}}"#,
                native(B)
            ));
        } else {
            let uniqueid = native(B);
            let fields = [
                ("Event", "Hangup"),
                ("Channel", "PJSIP/8-8"),
                ("Uniqueid", uniqueid.as_str()),
                ("Cause", "16"),
                ("Cause-txt", "x"),
            ];
            rig.server.say(WATCH, &fields);
        }
        rig.pump();
        rig.advance(Duration::from_secs(1));
        let Some(Event::MovedByPhone { guest, .. }) = rig.events.iter().find(moved) else {
            panic!("{ari}: {:?}", rig.events)
        };
        let guest = guest.expect("it is known");
        assert!(rig.events.contains(&Event::Joined(A, guest)));
        rig.proven(Order::Drop { leg: guest, cause: Cause::Answered });
    }
}

#[test]
fn the_links_may_come_and_go_as_often_as_they_like() {
    let mut rig = Rig::joined(true);
    for _ in 0..20 {
        rig.close(WATCH, LinkError::Reset);
        rig.start();
    }
    assert_eq!(rig.ready.len(), 21);
    assert!(rig.ready.iter().skip(1).all(|ready| ready.seen.len() == 2));
}

#[test]
fn a_leg_that_is_unknown_for_a_moment_is_not_given_up() {
    // While `Bridge` moves a leg, 22 under load answered `Status` by "No such channel" (seen on the running server).
    let mut rig = Rig::joined(false);
    let channel = rig.server.channels.remove(&native(A)).expect("it is there");
    rig.feed(WATCH, format!("Event: Newstate\r\nChannel: x\r\nUniqueid: {}\r\n\r\n", native(A)).as_bytes());
    rig.server.channels.insert(native(A), channel);
    rig.advance(Duration::from_secs(10));
    assert!(rig.end(A).is_none(), "{:?}", rig.events);
}
