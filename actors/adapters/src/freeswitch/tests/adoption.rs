use std::time::Duration;

use ifbus_call::order::{Done, ParkReason, Role};
use ifbus_call::{Event, Order, Stage};

use super::pretend::Leg;
use super::rig::{A, B, C, Rig, dial, native};
use crate::adapter::LinkError;
use crate::freeswitch::machine::COMMANDS;

/// The same server, and an adapter that knows nothing of it.
fn born_again(mut rig: Rig) -> Rig {
    let mut next = Rig::new();
    next.server = std::mem::take(&mut rig.server);
    next.server.out.clear();
    next.epoch = rig.epoch;
    next.up()
}

#[test]
fn legs_are_found_again_by_their_variables() {
    let mut rig = born_again(Rig::joined());
    let seen = &rig.ready[0].seen;
    assert_eq!(seen.len(), 2);
    let a = seen.iter().find(|seen| seen.leg == A).expect("it is ours");
    let tag = a.tag.as_ref().expect("a tag");
    assert_eq!((tag.role, tag.party.as_str(), a.stage), (Role::A, "1001", Stage::Up));
    assert_eq!(
        (a.partners.as_slice(), a.native.as_str(), a.age),
        (&[B][..], "sofia/lab/1001@h", Duration::from_secs(3))
    );
    assert!(rig.events.is_empty(), "the list itself tells it");
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
}

#[test]
fn who_waits_in_music_is_known_again_and_its_end_is_taken_away() {
    let mut held = Rig::joined();
    held.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let mut rig = born_again(held);
    let music: Vec<bool> = [A, B]
        .map(|leg| rig.ready[0].seen.iter().find(|seen| seen.leg == leg).expect("listed").hears_music)
        .into();
    assert_eq!(music, [false, true]);
    rig.proven(Order::Join { a: A, b: B });
    assert_eq!(rig.sent.iter().filter(|(_, text)| text.starts_with("api sched_del")).count(), 2);
}

#[test]
fn members_are_known_again() {
    let mut rig = Rig::ready();
    rig.proven(dial(A, "1001"));
    let conference: ifbus_call::ConferenceId = "sales".parse().expect("a conference");
    rig.proven(Order::Enter { leg: A, conference: conference.clone() });
    let rig = born_again(rig);
    assert_eq!(rig.ready[0].seen[0].conference, Some(conference));
}

#[test]
fn legs_of_others_are_listed_and_are_not_ours() {
    let mut rig = Rig::joined();
    let foreign = Leg { up: true, dest: "1005".into(), ..Leg::default() };
    rig.server.legs.insert("call-id@a b".into(), foreign.clone());
    rig.server.legs.insert("99999999-0000-0000-0000-000000000001".into(), foreign.clone());
    let mut other = foreign;
    other.variables.insert("ifbus_owner".into(), "00000000000000ff".into());
    rig.server.legs.insert("99999999-0000-0000-0000-000000000002".into(), other);
    let Ok(Done::Listed(seen)) = rig.outcome(Order::List) else { panic!("a list") };
    let foreign: Vec<_> = seen.iter().filter(|seen| seen.tag.is_none()).collect();
    assert_eq!(foreign.len(), 2, "one has a name that nobody can say: {seen:?}");
    assert!(foreign.iter().all(|seen| seen.party == "1005"));
    let leg = foreign[0].leg;
    rig.proven(Order::Drop { leg, cause: ifbus_call::Cause::Answered });
    assert!(rig.end(leg).is_some());
}

#[test]
fn a_leg_that_a_phone_has_moved_is_told_as_moved() {
    let mut rig = Rig::joined();
    let guest = "99999999-0000-0000-0000-000000000003";
    rig.server.legs.insert(guest.into(), Leg { up: true, dest: "1003".into(), ..Leg::default() });
    // the phone of B sends A to 1003
    rig.server.end_moved(&native(B));
    rig.pump();
    let moved = |rig: &Rig| {
        rig.events
            .iter()
            .filter(|event| matches!(event, Event::MovedByPhone { leg, .. } if *leg == A))
            .count()
    };
    assert!(moved(&rig) >= 1, "{:?}", rig.events);
    let at = |wanted: fn(&Event) -> bool| rig.events.iter().position(wanted).expect("it was told");
    let told = at(|event| matches!(event, Event::MovedByPhone { .. }));
    assert!(told < at(|event| matches!(event, Event::Ended { .. })), "before the end of the one that did it");
    for (leg, other) in [(native(A), guest.to_owned()), (guest.to_owned(), native(A))] {
        let known = rig.server.legs.get_mut(&leg).expect("it lives");
        known.partner = Some(other);
    }
    rig.server.bridge("CHANNEL_BRIDGE", &native(A), guest);
    rig.pump();
    let Some(Event::MovedByPhone { guest: Some(with), .. }) =
        rig.events.iter().rev().find(|event| matches!(event, Event::MovedByPhone { .. }))
    else {
        panic!("{:?}", rig.events)
    };
    let with = *with;
    let rig = born_again(rig);
    let a = rig.ready[0].seen.iter().find(|seen| seen.leg == A).expect("it is ours");
    assert_eq!((a.moved.as_deref(), a.partners.as_slice()), (Some("1003"), &[with][..]));
}

#[test]
fn an_end_by_the_server_waits_for_news_of_the_partner() {
    // the partner ends as well
    let mut rig = Rig::joined();
    rig.server.end(&native(A), "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "send_bye")]);
    rig.pump();
    assert!(rig.end(A).is_some() && rig.end(B).is_some());
    assert_eq!(rig.machine_deadline(), None);
    // nothing is heard of it
    let mut rig = Rig::joined();
    rig.server.legs.get_mut(&native(A)).expect("a leg").partner = None;
    rig.server.end(&native(A), "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "send_bye")]);
    rig.pump();
    assert!(rig.end(A).is_none());
    rig.advance(Duration::from_secs(1));
    assert!(rig.end(A).is_some());
    // a phone that hangs up is told at once
    let mut rig = Rig::joined();
    rig.server.legs.get_mut(&native(A)).expect("a leg").partner = None;
    rig.server.end(&native(A), "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "recv_bye")]);
    rig.pump();
    assert!(rig.end(A).is_some());
}

#[test]
fn another_life_of_the_server_has_another_boot() {
    let mut rig = Rig::joined();
    let before = rig.ready[0].boot.clone();
    rig.close(COMMANDS, LinkError::Reset);
    rig.server.core = "core-2".into();
    rig.server.legs.clear();
    rig.start();
    rig.advance(Duration::from_secs(1));
    assert_ne!(rig.ready[1].boot, before);
    assert!(rig.ready[1].seen.is_empty());
}

#[test]
fn what_happens_while_it_is_listed_is_not_lost() {
    let mut rig = Rig::joined();
    rig.close(COMMANDS, LinkError::Reset);
    rig.events.clear();
    rig.start();
    // events flow, the list is not asked for yet
    rig.server.end(&native(A), "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "recv_bye")]);
    rig.pump();
    assert!(rig.events.is_empty());
    rig.advance(Duration::from_secs(1));
    assert!(rig.ready[1].seen.is_empty(), "the descriptions are exact");
    assert_eq!(rig.end(C), None);
}
