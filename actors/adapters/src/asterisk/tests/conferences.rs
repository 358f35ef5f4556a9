//! Into a conference and out of it: what is sent, what proves it, what a conference is not.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, ParkReason};
use ifbus_call::{ConferenceId, Event, LegId, Order, Refused, Stage, Why};

use super::pretend::Channel;
use super::rig::{A, B, C, INSTANCE, Rig, dial, native};
use crate::asterisk::machine::{COMMANDS, STREAM, WATCH};

fn conference(name: &str) -> ConferenceId {
    name.parse().expect("a conference")
}

fn enter(leg: LegId, name: &str) -> Order {
    Order::Enter { leg, conference: conference(name) }
}

fn entered(leg: LegId) -> Event {
    Event::Entered(leg, conference("sales"))
}

fn room(name: &str) -> String {
    format!("{INSTANCE}-{name}")
}

/// Ready, with these legs answered and nothing told yet.
fn waiting(ari: bool, legs: &[LegId]) -> Rig {
    let mut rig = Rig::ready(ari);
    for leg in legs {
        rig.proven(dial(*leg, "1001"));
    }
    rig.events.clear();
    rig
}

/// Both of them in one conference.
fn meeting(ari: bool) -> Rig {
    let mut rig = waiting(ari, &[A, B]);
    for leg in [A, B] {
        rig.proven(enter(leg, "sales"));
    }
    rig
}

fn refused(outcome: ifbus_call::Outcome) -> Refused {
    outcome.expect_err("it should be refused")
}

#[test]
fn a_leg_enters_by_one_redirect_and_is_told_inside_once() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A]);
        rig.proven(enter(A, "sales"));
        let (_, id) = rig.last("Redirect").expect("it was sent");
        let text = rig.sent.iter().find(|(_, text)| text.contains(&id)).map(|(_, text)| text.clone());
        let wanted = format!(
            "Action: Redirect\r\nActionID: {id}\r\nChannel: {}\r\nContext: ifbus\r\nExten: conf-{}\r\n\
             Priority: 1\r\n\r\n",
            native(A),
            room("sales")
        );
        assert_eq!(text, Some(wanted));
        assert_eq!(rig.events, [entered(A)], "ari {ari}");
    }
}

#[test]
fn who_is_inside_already_is_a_success_without_a_byte() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A]);
        rig.proven(enter(A, "sales"));
        let sent = rig.sent.len();
        rig.proven(enter(A, "sales"));
        assert_eq!(rig.sent.len(), sent);
    }
}

#[test]
fn the_fence_of_the_dial_is_taken_away_before_the_leg_is_moved() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A]);
        rig.proven(enter(A, "sales"));
        let place = |name: &str| {
            let head = format!("Action: {name}\r\n");
            rig.sent.iter().position(|(_, text)| text.starts_with(&head)).expect("it was sent")
        };
        assert!(place("Setvar") < place("Redirect"));
        let fence = &rig.server.channels[&native(A)].variables["TIMEOUT(absolute)"];
        assert_eq!(fence, "0", "a conference would end in its middle");
    }
}

#[test]
fn a_leg_is_not_moved_before_it_sits_in_its_waiting_place() {
    let mut rig = waiting(true, &[A]);
    rig.server.deaf = vec!["Status"];
    let ticket = rig.give(enter(A, "sales"));
    assert_eq!((rig.count("Status"), rig.count("Setvar"), rig.count("Redirect")), (2, 0, 0));
    rig.advance(Duration::from_secs(6));
    let refused = refused(rig.answers[&ticket].clone());
    assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::NothingSent));
}

#[test]
fn members_of_a_conference_are_not_each_others_partners() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        rig.advance(Duration::from_secs(5));
        assert_eq!(rig.events, [entered(A), entered(B)], "ari {ari}: nobody is joined to anybody");
        let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("it is listed") };
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!(seen.conference, Some(conference("sales")));
            assert_eq!((seen.partners, seen.hears_music), (Vec::new(), false));
        }
    }
}

#[test]
fn a_member_is_neither_joined_nor_parked() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        let sent = rig.sent.len();
        let park = Order::Park { held: A, other: B, why: ParkReason::Hold };
        for order in [Order::Join { a: A, b: B }, park] {
            let refused = refused(rig.outcome(order));
            assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NothingSent));
        }
        assert_eq!(rig.sent.len(), sent);
    }
}

#[test]
fn one_of_a_talking_pair_does_not_enter_because_the_other_would_end() {
    for ari in [true, false] {
        let mut rig = Rig::joined(ari);
        let refused = refused(rig.outcome(enter(A, "sales")));
        assert_eq!(refused.evidence, Evidence::NothingSent);
        assert_eq!(rig.count("Redirect"), 0);
    }
}

#[test]
fn a_leg_that_was_not_answered_or_is_not_there_does_not_enter() {
    let mut rig = waiting(true, &[A]);
    rig.proven(dial(B, "ring"));
    assert_eq!(refused(rig.outcome(enter(B, "sales"))).why, Why::Refused);
    assert_eq!(refused(rig.outcome(enter(C, "sales"))).why, Why::NoSuchLeg);
    assert_eq!(refused(rig.outcome(Order::Leave { leg: C })).why, Why::NoSuchLeg);
    assert_eq!(rig.count("Redirect"), 0);
}

#[test]
fn a_missing_room_ends_the_leg_and_refuses_the_order() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A]);
        rig.server.roomless = true;
        let refused = refused(rig.outcome(enter(A, "sales")));
        assert_eq!((refused.why, refused.evidence), (Why::NoSuchLeg, Evidence::NotDone));
        assert!(refused.said.is_some_and(|said| said.text.contains("ifbus test")));
        assert!(matches!(rig.end(A), Some(Event::Ended { .. })), "ari {ari}: {:?}", rig.events);
        assert!(!rig.events.contains(&entered(A)));
    }
}

#[test]
fn the_application_alone_is_no_proof_because_it_is_shown_before_the_leg_is_inside() {
    let mut rig = waiting(false, &[A]);
    rig.server.late_rooms = true;
    let ticket = rig.give(enter(A, "sales"));
    rig.advance(Duration::from_millis(500));
    assert!(!rig.answers.contains_key(&ticket) && rig.events.is_empty());
    // with AMI alone an event may be lost: it is asked for all the same
    rig.server.arrives();
    rig.server.out.clear();
    rig.advance(Duration::from_millis(50));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert_eq!(rig.events, [entered(A)]);
}

#[test]
fn at_the_deadline_the_server_is_asked_and_its_word_counts() {
    for (arrives, expected) in [(true, Ok(Done::Proven)), (false, Err(Evidence::NotDone))] {
        let mut rig = waiting(true, &[A]);
        rig.server.late_rooms = true;
        let ticket = rig.give(enter(A, "sales"));
        if arrives {
            rig.server.arrives();
            rig.server.out.clear();
        }
        rig.advance(Duration::from_secs(11));
        let outcome = rig.answers[&ticket].clone().map_err(|refused| refused.evidence);
        assert_eq!(outcome, expected);
        assert_eq!(rig.events.contains(&entered(A)), arrives);
    }
}

#[test]
fn a_leg_leaves_to_its_waiting_place_and_can_be_joined_at_once() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        rig.events.clear();
        for leg in [A, B] {
            rig.proven(Order::Leave { leg });
        }
        assert_eq!(rig.events, [Event::Left(A), Event::Left(B)], "ari {ari}");
        let (_, text) =
            rig.sent.iter().rfind(|(_, text)| text.starts_with("Action: Redirect\r")).expect("sent");
        assert!(text.contains("Exten: wait\r\n") && !text.contains("Extra"));
        rig.proven(Order::Join { a: A, b: B });
        assert!(rig.events.iter().any(|event| matches!(event, Event::Joined(..))));
    }
}

#[test]
fn who_is_in_no_conference_has_left_it() {
    let mut rig = waiting(true, &[A]);
    let sent = rig.sent.len();
    rig.proven(Order::Leave { leg: A });
    assert_eq!(rig.sent.len(), sent);
}

#[test]
fn a_leg_that_is_still_shown_in_its_room_has_not_left() {
    let mut rig = meeting(true);
    rig.server.deaf = vec!["Redirect"];
    let ticket = rig.give(Order::Leave { leg: A });
    rig.advance(Duration::from_secs(11));
    let refused = refused(rig.answers[&ticket].clone());
    assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::Unknown));
    assert!(!rig.events.contains(&Event::Left(A)));
}

#[test]
fn a_line_with_the_bridge_of_a_room_and_another_application_is_not_outside() {
    let mut rig = meeting(true);
    rig.server.deaf = vec!["Redirect", "Status"];
    let ticket = rig.give(Order::Leave { leg: A });
    let (_, id) = rig.last("Redirect").expect("it was sent");
    rig.feed(COMMANDS, format!("Response: Success\r\nActionID: {id}\r\n\r\n").as_bytes());
    let (slot, id) = rig.last("Status").expect("it was asked");
    let line = format!(
        "Event: Status\r\nChannel: c\r\nChannelState: 6\r\nContext: ifbus\r\nExten: wait\r\nPriority: 1\r\n\
         Uniqueid: {}\r\nBridgeID: bridge-1\r\nApplication: AppDial2\r\nData: (Outgoing Line)\r\nActionID: {id}\r\n\r\n\
         Event: StatusComplete\r\nActionID: {id}\r\n\r\n",
        native(A)
    );
    rig.feed(slot, line.as_bytes());
    assert!(!rig.answers.contains_key(&ticket) && !rig.events.contains(&Event::Left(A)));
}

#[test]
fn a_leg_goes_from_one_conference_straight_into_another() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A]);
        rig.proven(enter(A, "sales"));
        rig.proven(enter(A, "support"));
        let story = [entered(A), Event::Left(A), Event::Entered(A, conference("support"))];
        assert_eq!(rig.events, story, "ari {ari}");
    }
}

#[test]
fn a_member_that_somebody_else_throws_out_ends_and_the_others_stay() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        rig.server.hang_up(&native(A), 16, true);
        rig.pump();
        rig.advance(Duration::from_secs(3));
        assert!(matches!(rig.end(A), Some(Event::Ended { .. })));
        assert!(rig.end(B).is_none());
        let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("it is listed") };
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].conference, Some(conference("sales")));
    }
}

#[test]
fn a_phone_that_dials_into_our_room_is_a_foreign_leg_there_and_no_guest() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        rig.events.clear();
        rig.server.channels.insert("1700.9".to_owned(), Channel { state: 6, ..Channel::default() });
        rig.server.takes_in("1700.9", &room("sales"));
        rig.pump();
        rig.advance(Duration::from_secs(5));
        assert_eq!(rig.events, [], "ari {ari}: no one is moved or joined");
        rig.server.hang_up("1700.9", 16, false);
        rig.pump();
        rig.advance(Duration::from_secs(5));
        assert_eq!(rig.events, [], "ari {ari}: whom we do not know does not end");
        rig.server.channels.insert("1700.10".to_owned(), Channel { state: 6, ..Channel::default() });
        rig.server.takes_in("1700.10", &room("sales"));
        let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("it is listed") };
        let foreign = seen.iter().find(|seen| seen.tag.is_none()).expect("it is listed");
        assert_eq!((foreign.stage, &foreign.conference), (Stage::Up, &Some(conference("sales"))));
        assert!(seen.iter().all(|seen| seen.partners.is_empty()));
        assert_eq!(rig.events, []);
    }
}

#[test]
fn a_leg_in_a_room_of_somebody_else_is_in_no_conference_of_ours() {
    for ari in [true, false] {
        let mut rig = waiting(ari, &[A, B]);
        for leg in [A, B] {
            rig.server.takes_in(&native(leg), "lab");
            rig.pump();
        }
        rig.advance(Duration::from_secs(5));
        assert_eq!(rig.events, [], "ari {ari}");
        let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("it is listed") };
        assert!(seen.iter().all(|seen| seen.conference.is_none() && seen.partners.is_empty()));
        // it can be led out of it all the same
        rig.proven(Order::Leave { leg: A });
        assert_eq!(rig.events, []);
    }
}

#[test]
fn members_are_found_again_in_the_list_of_a_new_life() {
    for ari in [true, false] {
        let mut rig = meeting(ari);
        rig.events.clear();
        rig.start();
        let seen = &rig.ready.last().expect("it is ready again").seen;
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!((seen.conference.as_ref(), &seen.partners[..]), (Some(&conference("sales")), &[][..]));
            assert!(seen.tag.is_some());
        }
        let sent = rig.sent.len();
        rig.proven(enter(A, "sales"));
        assert_eq!(rig.sent.len(), sent, "it is inside, as the list says");
        rig.proven(Order::Leave { leg: B });
        assert_eq!(rig.events, [Event::Left(B)]);
    }
}

// ---- hostile -------------------------------------------------------------------------------------------------------

#[test]
fn a_forged_join_or_leave_makes_us_ask_and_changes_nothing() {
    let inside =
        format!("Conference: {0}\r\nBridgeCreator: ConfBridge\r\nBridgeName: {0}\r\n", room("sales"));
    for ari in [true, false] {
        for (member, names) in
            [(false, ["ConfbridgeJoin", "BridgeEnter"]), (true, ["ConfbridgeLeave", "BridgeLeave"])]
        {
            let mut rig = if member { meeting(ari) } else { waiting(ari, &[A, B]) };
            let told = rig.events.clone();
            for name in names {
                let forged = format!(
                    "Event: {name}\r\nChannel: x\r\nUniqueid: {0}\r\nLinkedid: {0}\r\n\
                     BridgeUniqueid: bridge-1\r\n{inside}\r\n",
                    native(A)
                );
                rig.feed(WATCH, forged.as_bytes());
                rig.advance(Duration::from_secs(5));
            }
            assert_eq!(rig.events, told, "ari {ari}: {names:?}");
            let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("it is listed") };
            assert!(seen.iter().all(|seen| seen.conference.is_some() == member));
        }
    }
}

#[test]
fn a_far_end_that_writes_an_application_into_its_name_is_not_believed() {
    let outside = format!("9\r\nApplication: ConfBridge\r\nData: {}", room("sales"));
    for (number, inside) in [(&*outside, false), ("9\r\nApplication: Wait", true), ("9\r\nData: x", true)] {
        let mut rig = waiting(false, &[A, B]);
        for leg in [A, B] {
            rig.server.channels.get_mut(&native(leg)).expect("it exists").number = number.to_owned();
            if inside {
                rig.server.takes_in(&native(leg), &room("sales"));
            }
            let ask = format!(
                "Event: BridgeEnter\r\nChannel: x\r\nUniqueid: {0}\r\nLinkedid: {0}\r\n\r\n",
                native(leg)
            );
            rig.feed(WATCH, ask.as_bytes());
        }
        rig.advance(Duration::from_secs(5));
        assert_eq!(rig.events, [], "{number}: neither inside nor joined to anybody");
        assert!(rig.unknown > 0, "what was dropped is counted");
    }
}

#[test]
fn a_room_is_named_by_its_whole_name_and_made_by_conf_bridge() {
    let names = ["1234567890abcdef-sales", "sales", "", &INSTANCE.to_string()];
    for (creator, name) in
        names.map(|name| ("ConfBridge", name)).into_iter().chain([("Stasis", &*room("sales"))])
    {
        let mut rig = waiting(true, &[A]);
        let json = format!(
            "{{\"type\":\"ChannelEnteredBridge\",\"channel\":{{\"id\":\"{0}\",\"state\":\"Up\"}},\
             \"bridge\":{{\"id\":\"b9\",\"creator\":\"{creator}\",\"name\":\"{name}\",\"channels\":[\"{0}\"]}}}}",
            native(A)
        );
        rig.feed(STREAM, json.as_bytes());
        assert!(!rig.events.iter().any(|event| matches!(event, Event::Entered(..))), "{creator} {name}");
    }
}
