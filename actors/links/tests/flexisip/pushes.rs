//! Calls of others, as the server pushes them, and what is asked of its account manager.

use ifbus_call::order::{Done, Inbound};
use ifbus_call::{Cause, Event, Order, Stage, Verdict, Why};
use ifbus_doubles::phone::{Phones, Plan};

use crate::rig::{A, each};

#[test]
fn a_call_of_others_is_listed_while_it_lasts_and_cannot_be_ended() {
    each(async |lab| {
        let rig = lab.ready().await;
        lab.foreign("1008", "1002").await;
        let seen =
            rig.list_until("the call of others", |seen| seen.iter().any(|leg| leg.stage == Stage::Up)).await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].tag.is_none() && seen[0].party.ends_with(" to 1002"), "{seen:?}");
        let refused =
            rig.outcome(Order::Drop { leg: seen[0].leg, cause: Cause::Canceled }).await.unwrap_err();
        assert!(refused.why == Why::Refused && refused.is_certain());
        lab.phones.hang_up("1002");
        rig.list_until("nothing", <[_]>::is_empty).await;
        assert!(rig.out.borrow().down.is_empty());
    });
}

#[test]
fn a_call_of_ours_is_pushed_too_and_is_no_second_one() {
    each(async |lab| {
        let rig = lab.joined().await;
        // whatever is pushed of ours comes before what is pushed of others
        lab.foreign("1008", "1005").await;
        let seen =
            rig.list_until("the call of others", |seen| seen.iter().any(|leg| leg.tag.is_none())).await;
        assert_eq!(seen.iter().filter(|leg| leg.tag.is_none()).count(), 1, "{seen:?}");
        lab.phones.hang_up("1005");
        rig.list_until("ours alone", |seen| seen.len() == 2).await;
    });
}

#[test]
fn a_call_of_others_that_is_refused_goes_by_itself() {
    each(async |lab| {
        let rig = lab.ready().await;
        lab.phones.plan("1003", Plan::busy());
        lab.calls("1008", "1003");
        lab.rings("1003", 1).await;
        lab.foreign("1008", "1002").await;
        let seen = rig.list_until("one call", |seen| seen.len() == 1 && seen[0].stage == Stage::Up).await;
        assert!(seen[0].party.ends_with(" to 1002"));
        lab.phones.hang_up("1002");
        rig.list_until("nothing", <[_]>::is_empty).await;
    });
}

#[test]
fn what_it_cannot_is_said_and_an_inspection_finds_what_is_there() {
    each(async |lab| {
        let rig = lab.ready().await;
        match rig.done(Order::Drain { on: true }).await {
            Done::Drained(Inbound::Open { need: Some(_) }) => {}
            other => panic!("{other:?}"),
        }
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        let Done::Loaded(load) = rig.done(Order::Load).await else { panic!() };
        assert_eq!(load.legs, Some(1));
        rig.drop_leg(A).await;
        let Done::Inspected(findings) = rig.done(Order::Inspect).await else { panic!() };
        let verdict = |area: &str| findings.iter().find(|finding| finding.area == area).unwrap().verdict;
        assert_eq!((verdict("sip"), verdict("events")), (Verdict::Ok, Verdict::Ok), "{findings:?}");
        if lab.double.is_some() {
            assert_eq!((verdict("api"), verdict("accounts")), (Verdict::Ok, Verdict::Ok), "{findings:?}");
        }
    });
}
