//! Loans, from the order that needs one to the end of the call. Both halves are stand-ins but the agent, which is real.

mod rig;

use ifbus_call::order::{Direction, Evidence, ParkReason};
use ifbus_call::{Event, LegId, Order, Why};
use rig::{A, B, C, Rig};

use crate::adapter::Ticket;

#[test]
fn a_plain_call_never_meets_the_anchor() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    assert_eq!(rig.hears(A), Some(B));
    assert_eq!(rig.hears(B), Some(A));
    assert!(rig.media().orders.is_empty());
}

#[test]
fn a_mute_lends_both_parties_and_joins_them_there_first() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    assert_eq!(rig.media().words(), ["Dial", "Dial", "Join", "Mute"]);
    assert!(rig.events.contains(&Event::Muted(A, Direction::In, true)), "{:?}", rig.events);
    assert!(rig.is_at_the_anchor(A) && rig.is_at_the_anchor(B));
    // Lent once, whatever follows.
    let opened = rig.order(Order::Mute { leg: A, direction: Direction::In, on: false });
    assert!(rig.answer(opened).is_ok());
    assert_eq!(rig.media().words()[4..], ["Join", "Mute"]);
}

#[test]
fn hold_has_music_where_there_is_an_anchor() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let parked = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert!(rig.answer(parked).is_ok());
    assert_eq!(rig.media().words(), ["Dial", "Dial", "Join", "Park"]);
    assert!(rig.events.contains(&Event::Parted(A)) && rig.events.contains(&Event::Parted(B)));
    rig.events.clear();
    let joined = rig.order(Order::Join { a: A, b: B });
    assert!(rig.answer(joined).is_ok());
    assert!(rig.events.contains(&Event::Joined(A, B)) || rig.events.contains(&Event::Joined(B, A)));
    assert!(rig.is_at_the_anchor(A), "what is lent stays lent");
}

#[test]
fn without_the_anchor_hold_is_silent_and_what_needs_media_is_refused_by_name() {
    let mut rig = Rig::new();
    rig.kill_media();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    let refused = rig.answer(muted).unwrap_err();
    assert_eq!((refused.why, refused.evidence), (Why::Prerequisite, Evidence::NothingSent));
    assert!(refused.said.unwrap().text.contains("media1"));
    let parked = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert!(rig.answer(parked).is_ok());
    assert_eq!((rig.hears(A), rig.hears(B)), (None, None));
}

#[test]
fn an_anchor_that_cannot_call_changes_nothing() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    rig.media().deaf = true;
    let entered = rig.order(Order::Enter { leg: A, conference: "r1".parse().unwrap() });
    let refused = rig.answer(entered).unwrap_err();
    assert_eq!(refused.why, Why::Prerequisite);
    assert_eq!((rig.hears(A), rig.hears(B)), (Some(B), Some(A)));
    // And when it can again, it is asked again.
    rig.media().deaf = false;
    let muted = rig.order(Order::Mute { leg: B, direction: Direction::Out, on: true });
    assert!(rig.answer(muted).is_ok());
}

#[test]
fn an_anchor_that_never_calls_is_given_up_in_time() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    rig.media().mute_dial = true;
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.open(muted));
    rig.pass(30);
    assert_eq!(rig.answer(muted).unwrap_err().why, Why::Prerequisite);
    assert_eq!((rig.hears(A), rig.hears(B)), (Some(B), Some(A)));
}

#[test]
fn a_phones_own_transfer_gives_its_place_at_the_anchor_to_the_guest() {
    for by in [A, B] {
        let mut rig = Rig::new();
        rig.talk(A, B);
        let stays = if by == A { B } else { A };
        let recording = ifbus_call::RecordingId::new(1, 1);
        let recorded = rig.order(Order::Record { leg: A, recording, segment: 0 });
        assert!(rig.answer(recorded).is_ok());
        let muted = rig.order(Order::Mute { leg: by, direction: Direction::In, on: true });
        assert!(rig.answer(muted).is_ok());
        let before = rig.media().words().len();
        rig.refer(by, "<sip:1009@10.0.0.1>");
        let moved = rig.events.iter().find_map(|event| match event {
            Event::MovedByPhone { leg, guest: Some(guest), to } if *leg == stays => {
                Some((*guest, to.clone()))
            }
            _ => None,
        });
        let (guest, to) = moved.unwrap_or_else(|| panic!("{:?}", rig.events));
        assert_eq!(to.as_deref(), Some("1009"));
        assert!(rig.is_at_the_anchor(guest) && rig.is_at_the_anchor(stays));
        // what its call had ordered for the phone that left is not done to the guest
        let undone: &[&str] = if by == A { &["StopRecord", "Mute"] } else { &["Mute"] };
        assert_eq!(rig.media().words()[before..], *undone);
        assert_eq!((rig.ended(by), rig.ended(stays)), (true, false));
        assert_eq!(rig.media().live(), 2);
        rig.phone_hangs_up(stays);
        assert!(rig.ended(guest), "{:?}", rig.events);
        assert_eq!(rig.media().live(), 0);
    }
}

#[test]
fn when_the_anchor_dies_the_two_talk_without_it() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    rig.kill_media();
    rig.hang_up_anchors();
    assert_eq!((rig.hears(A), rig.hears(B)), (Some(B), Some(A)));
    assert!(rig.composite.loans.is_empty() && rig.composite.lent_to.is_empty());
}

#[test]
fn a_phone_that_hangs_up_is_dropped_at_the_anchor() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    rig.phone_hangs_up(A);
    assert!(rig.ended(A) && !rig.ended(B));
    assert_eq!(rig.media().words().last(), Some(&"Drop"));
    let dropped = rig.order(Order::Drop { leg: B, cause: ifbus_call::Cause::Answered });
    assert!(rig.answer(dropped).is_ok());
    assert!(rig.ended(B));
    assert_eq!(rig.media().live(), 0);
    assert!(rig.composite.tags.is_empty() && rig.composite.partners.is_empty());
}

#[test]
fn a_transfer_of_a_lent_leg_lends_the_target_and_hangs_up_the_former_partner() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    rig.dial(C);
    let joined = rig.order(Order::Join { a: A, b: C });
    assert!(rig.answer(joined).is_ok());
    assert!(rig.ended(B) && !rig.ended(A) && !rig.ended(C));
    assert!(rig.is_at_the_anchor(C));
    assert_eq!(rig.media().live(), 2);
}

#[test]
fn a_member_of_a_conference_is_lent_alone() {
    let mut rig = Rig::new();
    rig.dial(A);
    let entered = rig.order(Order::Enter { leg: A, conference: "r1".parse().unwrap() });
    assert!(rig.answer(entered).is_ok());
    assert!(rig.events.contains(&Event::Entered(A, "r1".parse().unwrap())));
    let left = rig.order(Order::Leave { leg: A });
    assert!(rig.answer(left).is_ok());
    assert!(rig.events.contains(&Event::Left(A)));
}

#[test]
fn digits_go_by_the_way_the_leg_has() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let plain = rig.order(Order::Dtmf { leg: A, digits: "1".parse().unwrap() });
    rig.pass(1);
    assert!(rig.answer(plain).is_ok());
    assert!(rig.media().orders.is_empty());
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    let lent = rig.order(Order::Dtmf { leg: A, digits: "2".parse().unwrap() });
    assert!(rig.answer(lent).is_ok());
    assert_eq!(rig.media().words().last(), Some(&"Dtmf"));
}

#[test]
fn after_a_death_of_ours_the_halves_are_put_together_again() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    let mut rig = rig.reborn();
    let seen = rig.ready.clone().expect("it is ready").seen;
    assert_eq!(seen.len(), 2, "dialogs of the anchor are no legs: {seen:?}");
    let of = |leg: LegId| seen.iter().find(|seen| seen.leg == leg).expect("it is listed").partners.clone();
    assert_eq!((of(A), of(B)), (vec![B], vec![A]));
    let opened = rig.order(Order::Mute { leg: A, direction: Direction::In, on: false });
    assert!(rig.answer(opened).is_ok());
    assert!(!rig.media().words().contains(&"Dial"), "they are lent already");
}

#[test]
fn who_hangs_up_while_the_second_list_is_waited_for_is_told_after_it() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    rig.media().slow = true;
    let mut rig = rig.reborn();
    rig.phone_hangs_up(A);
    assert!(rig.ready.is_none() && !rig.ended(A), "whoever hears it knows no list yet");
    rig.list_of_media();
    assert_eq!(rig.ready.as_ref().expect("it is ready").seen.len(), 2, "as it was then");
    assert!(rig.ended(A) && !rig.ended(B));
    assert_eq!(rig.media().live(), 1, "its end at the anchor is ended, too");
}

#[test]
fn what_the_anchor_has_and_nobody_needs_is_ended() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    let muted = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.answer(muted).is_ok());
    let rig = rig.reborn_without_dialogs();
    assert_eq!(rig.media().live(), 0);
}

#[test]
fn every_ticket_is_answered_when_the_proxy_goes_down() {
    let mut rig = Rig::new();
    rig.talk(A, B);
    rig.media().mute_dial = true;
    let tickets: Vec<Ticket> = [
        Order::Mute { leg: A, direction: Direction::In, on: true },
        Order::Mute { leg: B, direction: Direction::In, on: true },
        Order::List,
    ]
    .into_iter()
    .map(|order| rig.order(order))
    .collect();
    rig.proxy_goes_down();
    for ticket in tickets {
        rig.answer(ticket).ok();
        assert_eq!(rig.times(ticket), 1);
    }
}
