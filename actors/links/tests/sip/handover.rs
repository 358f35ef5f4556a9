//! Partners change: transfers and consultations.

use ifbus_call::order::{Evidence, ParkReason};
use ifbus_call::{By, Cause, Event, Order, Why};
use ifbus_doubles::phone::{Phones, Plan};

use super::rig::{A, B, C, both};

#[test]
fn a_transfer_joins_the_target_and_hangs_up_the_former_partner() {
    both(|lab| async move {
        let rig = lab.joined().await;
        rig.done(lab.dial(C, "1003", Some(A))).await;
        rig.event(Event::Answered(C)).await;
        rig.done(Order::Join { a: A, b: C }).await;
        lab.hears("1001", &["1003"]).await;
        lab.hears("1003", &["1001"]).await;
        let (cause, by, _) = rig.ended(B).await;
        assert_eq!((cause, by), (Cause::Answered, By::Us));
        lab.lives("1002", 0).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        rig.done(Order::Drop { leg: C, cause: Cause::Answered }).await;
        assert!(rig.out.borrow().store.is_empty());
    });
}

#[test]
fn a_transfer_to_a_busy_phone_changes_nothing() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let versions = rig.versions();
        lab.phones.plan("1003", Plan::busy());
        let cause = match rig.outcome(lab.dial(C, "1003", Some(A))).await {
            Err(refused) => refused.cause,
            Ok(_) => rig.ended(C).await.0,
        };
        assert_eq!(cause, Cause::Busy);
        assert_eq!(rig.versions(), versions, "nothing was offered to anybody");
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_both().await;
    });
}

#[test]
fn a_consultation_is_completed_without_the_one_who_asked() {
    both(|lab| async move {
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
        rig.ended(A).await;
        lab.lives("1001", 0).await;
        rig.done(Order::Drop { leg: B, cause: Cause::Answered }).await;
        rig.done(Order::Drop { leg: C, cause: Cause::Answered }).await;
    });
}

#[test]
fn a_consultation_that_is_given_up_brings_the_first_two_together_again() {
    both(|lab| async move {
        let rig = lab.joined().await;
        rig.done(Order::Park { held: B, other: A, why: ParkReason::Consult }).await;
        lab.phones.plan("1003", Plan::rings());
        rig.done(lab.dial(C, "1003", Some(A))).await;
        rig.event(Event::Ringing(C)).await;
        rig.done(Order::Drop { leg: C, cause: Cause::Canceled }).await;
        rig.done(Order::Join { a: A, b: B }).await;
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_both().await;
    });
}

#[test]
fn what_needs_media_of_ours_is_refused_before_anything_is_sent() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let sent = rig.out.borrow().commands.len();
        let refused = rig.outcome(Order::Leave { leg: A }).await.unwrap_err();
        assert_eq!((refused.why, refused.evidence), (Why::Prerequisite, Evidence::NothingSent));
        assert!(refused.said.is_some(), "it says what is missing");
        assert_eq!(rig.out.borrow().commands.len(), sent);
        rig.drop_both().await;
    });
}
