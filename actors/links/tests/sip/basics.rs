//! Calls that go as they should: join, hold, hang up, digits, probes.

use ifbus_call::order::{Done, Interface};
use ifbus_call::{By, Cause, Event, Order, Stage};
use ifbus_doubles::phone::{Phones, Plan};

use super::rig::{A, B, both};

#[test]
fn two_phones_are_joined_and_hear_each_other() {
    both(|lab| async move {
        let rig = lab.joined().await;
        rig.event(Event::Joined(A, B)).await;
        let events = rig.out.borrow().events.clone();
        let of_a: Vec<_> = events.iter().filter(|event| event.leg() == A).cloned().collect();
        assert_eq!(of_a[0], Event::Started(A));
        assert!(of_a.contains(&Event::Ringing(A)), "{of_a:?}");
        assert_eq!(lab.phones.caller_seen("1001").as_deref(), Some("5000"));
        let seen = rig.out.borrow().seen.clone();
        assert!(seen.iter().all(|seen| seen.stage == Stage::Up && seen.partners.len() == 1), "{seen:?}");
        rig.drop_both().await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
        assert_eq!(rig.ended(A).await.0, Cause::Answered);
        assert_eq!(rig.ended(A).await.1, By::Us);
    });
}

#[test]
fn hold_and_resume_twice_count_the_versions_of_the_description() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let joined = rig.versions();
        for _ in 0..2 {
            rig.park(B, A).await;
            lab.hears("1001", &[]).await;
            lab.hears("1002", &[]).await;
            let held = rig.out.borrow().seen.iter().find(|seen| seen.leg == B).unwrap().hears_music;
            assert!(held, "it waits for its partner");
            rig.done(Order::Join { a: A, b: B }).await;
            lab.hears("1001", &["1002"]).await;
            lab.hears("1002", &["1001"]).await;
        }
        let more: Vec<u64> =
            rig.versions().iter().zip(&joined).map(|((_, after), (_, before))| after - before).collect();
        assert_eq!(more, [4, 4], "one more for each change, on each leg by itself");
        rig.drop_both().await;
    });
}

#[test]
fn a_joined_pair_is_not_joined_again() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let before = rig.out.borrow().commands.len();
        rig.done(Order::Join { a: B, b: A }).await;
        assert_eq!(rig.out.borrow().commands.len(), before, "nothing is sent");
        rig.drop_both().await;
    });
}

#[test]
fn a_phone_that_hangs_up_is_told_with_who_did_it() {
    both(|lab| async move {
        let rig = lab.joined().await;
        lab.phones.hang_up("1002");
        let (cause, by, _) = rig.ended(B).await;
        assert_eq!((cause, by), (Cause::Answered, By::Party));
        rig.done(Order::Drop { leg: B, cause: Cause::Answered }).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        lab.lives("1001", 0).await;
    });
}

#[test]
fn the_hold_button_of_a_phone_silences_its_partner_and_is_told() {
    both(|lab| async move {
        let rig = lab.joined().await;
        lab.phones.hold("1002");
        rig.event(Event::HeldByPhone(B)).await;
        // a phone that holds listens to nobody, and this one plays nothing
        lab.hears("1002", &[]).await;
        lab.hears("1001", &[]).await;
        lab.phones.resume("1002");
        rig.event(Event::ResumedByPhone(B)).await;
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_both().await;
    });
}

#[test]
fn digits_go_to_the_phone_one_after_the_other() {
    both(|lab| async move {
        let rig = lab.joined().await;
        rig.done(Order::Dtmf { leg: A, digits: "12#".parse().unwrap() }).await;
        rig.drop_both().await;
    });
}

#[test]
fn a_server_that_is_there_answers_a_probe() {
    both(|lab| async move {
        let rig = lab.agent().await;
        let Done::Probed(probed) = rig.done(Order::ProbeSip).await else { panic!("no probe") };
        assert_eq!(probed[0].interface, Interface::Sip);
        assert!(probed[0].answered.is_ok(), "{probed:?}");
    });
}

#[test]
fn a_phone_that_does_not_take_the_call_says_why() {
    both(|lab| async move {
        let rig = lab.agent().await;
        for (number, plan, cause) in [
            ("1001", Plan::busy(), Cause::Busy),
            ("1002", Plan::declines(), Cause::Rejected),
            ("1003", Plan::unavailable(), Cause::NoAnswer),
            ("1004", Plan::not_found(), Cause::Unreachable),
            ("1005", Plan::congested(), Cause::Congestion),
        ] {
            lab.phones.plan(number, plan);
            rig.out.borrow_mut().events.clear();
            let told = match rig.outcome(lab.dial(A, number, None)).await {
                Err(refused) => refused.cause,
                Ok(_) => rig.ended(A).await.0,
            };
            assert_eq!(told, cause, "{number}");
            assert!(rig.out.borrow().store.is_empty());
        }
    });
}

#[test]
fn a_ringing_phone_is_let_go_when_the_call_is_dropped() {
    both(|lab| async move {
        let rig = lab.agent().await;
        lab.phones.plan("1001", Plan::rings());
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Ringing(A)).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Canceled }).await;
        let (cause, by, _) = rig.ended(A).await;
        assert_eq!((cause, by), (Cause::Canceled, By::Us));
        lab.phones.plan("1001", Plan::default());
        rig.out.borrow_mut().events.clear();
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        lab.lives("1001", 1).await;
    });
}
