//! Calls of ours, through the proxy.

use ifbus_call::order::ParkReason;
use ifbus_call::{Cause, Event, Order, Stage, Why};
use ifbus_doubles::phone::{Phones, Plan};

use crate::rig::{A, B, C, each};

#[test]
fn two_phones_talk_and_are_hung_up() {
    each(async |lab| {
        let rig = lab.joined().await;
        let seen = rig.listed().await;
        assert_eq!(seen.len(), 2, "the server's lines of them are no other legs: {seen:?}");
        assert!(seen.iter().all(|seen| seen.stage == Stage::Up && seen.tag.is_some()));
        assert_eq!(seen.iter().find(|seen| seen.leg == A).unwrap().partners, [B]);
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
        assert!(rig.out.borrow().store.is_empty());
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn each_end_has_its_cause() {
    each(async |lab| {
        let rig = lab.ready().await;
        for (number, plan, cause) in [
            ("1003", Plan::busy(), Cause::Busy),
            ("1004", Plan::declines(), Cause::Rejected),
            ("1005", Plan::unavailable(), Cause::NoAnswer),
            ("1006", Plan::not_found(), Cause::Unreachable),
            ("1007", Plan::congested(), Cause::Congestion),
        ] {
            lab.phones.plan(number, plan);
            let ticket = rig.give(lab.dial(A, number, None));
            rig.until("an answer", |seen| seen.answers.contains_key(&ticket)).await;
            let refused = rig.out.borrow().answers[&ticket].clone().err();
            let seen = match refused {
                Some(refused) => refused.cause,
                None => rig.ended(A).await,
            };
            assert_eq!(seen, cause, "{number}");
            rig.out.borrow_mut().events.clear();
        }
        // nobody of that name
        let outcome = rig.outcome(lab.dial(A, "nobody", None)).await;
        let cause = match outcome {
            Err(refused) => refused.cause,
            Ok(_) => rig.ended(A).await,
        };
        assert_eq!(cause, Cause::Unreachable);
    });
}

#[test]
fn a_ringing_phone_is_canceled() {
    each(async |lab| {
        let rig = lab.ready().await;
        lab.phones.plan("1002", Plan::rings());
        rig.done(lab.dial(A, "1002", None)).await;
        rig.event(Event::Ringing(A)).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Canceled }).await;
        assert_eq!(rig.ended(A).await, Cause::Canceled);
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn a_phone_hangs_up() {
    each(async |lab| {
        let rig = lab.joined().await;
        lab.phones.hang_up("1002");
        assert_eq!(rig.ended(B).await, Cause::Answered);
        rig.drop_leg(A).await;
        lab.lives("1001", 0).await;
    });
}

#[test]
fn a_call_is_held_and_taken_back_twice() {
    each(async |lab| {
        let rig = lab.joined().await;
        for _ in 0..2 {
            rig.done(Order::Park { held: B, other: A, why: ParkReason::Hold }).await;
            lab.hears("1001", &[]).await;
            lab.hears("1002", &[]).await;
            rig.done(Order::Join { a: A, b: B }).await;
            lab.hears("1001", &["1002"]).await;
            lab.hears("1002", &["1001"]).await;
        }
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
    });
}

#[test]
fn a_third_party_is_asked_and_takes_over() {
    each(async |lab| {
        let rig = lab.joined().await;
        rig.done(Order::Park { held: B, other: A, why: ParkReason::Consult }).await;
        rig.done(lab.dial(C, "1003", Some(A))).await;
        rig.event(Event::Answered(C)).await;
        rig.done(Order::Join { a: A, b: C }).await;
        lab.hears("1001", &["1003"]).await;
        lab.hears("1002", &[]).await;
        rig.done(Order::Join { a: B, b: C }).await;
        lab.hears("1002", &["1003"]).await;
        lab.hears("1003", &["1002"]).await;
        // whom C talked to before is released
        lab.lives("1001", 0).await;
        rig.drop_leg(B).await;
        rig.drop_leg(C).await;
    });
}

#[test]
fn a_busy_target_leaves_the_talk_as_it_was() {
    each(async |lab| {
        let rig = lab.joined().await;
        lab.phones.plan("1003", Plan::busy());
        match rig.outcome(lab.dial(C, "1003", Some(A))).await {
            Err(refused) => assert_eq!(refused.cause, Cause::Busy),
            Ok(_) => assert_eq!(rig.ended(C).await, Cause::Busy),
        }
        lab.hears("1001", &["1002"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
    });
}

#[test]
fn digits_go_by_info_and_a_phones_own_hold_is_told() {
    each(async |lab| {
        let rig = lab.joined().await;
        rig.done(Order::Dtmf { leg: B, digits: "4#9".parse().unwrap() }).await;
        let until = tokio::time::Instant::now() + crate::rig::GUARD;
        while lab.phones.digits("1002") != "4#9" {
            assert!(tokio::time::Instant::now() < until, "{}", lab.phones.digits("1002"));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        lab.phones.hold("1002");
        rig.event(Event::HeldByPhone(B)).await;
        lab.phones.resume("1002");
        rig.event(Event::ResumedByPhone(B)).await;
        lab.hears("1001", &["1002"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
    });
}

#[test]
fn what_needs_media_is_refused_by_name() {
    each(async |lab| {
        let rig = lab.joined().await;
        let refused =
            rig.outcome(Order::Enter { leg: A, conference: "sales".parse().unwrap() }).await.unwrap_err();
        assert_eq!(refused.why, Why::Prerequisite);
        lab.hears("1001", &["1002"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
    });
}
