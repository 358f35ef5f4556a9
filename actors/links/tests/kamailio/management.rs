//! What needs no call of ours.

use ifbus_call::order::{Done, Inbound};
use ifbus_call::{Interface, Load, Order, Stage, Verdict};
use ifbus_doubles::phone::{Phones, Plan};

use crate::rig::{A, each};

#[test]
fn a_server_is_known_by_its_version_and_answers_on_both_sides() {
    each(async |lab| {
        let rig = lab.ready().await;
        let version = rig.out.borrow().ready[0].version.clone();
        assert!(version.starts_with("5.6.3 ") || version.starts_with("6.1.5 "), "{version}");
        for (order, interface) in [(Order::Probe, Interface::Management), (Order::ProbeSip, Interface::Sip)] {
            let Done::Probed(probed) = rig.done(order).await else { panic!("probed") };
            assert_eq!(probed.len(), 1);
            assert!(probed[0].interface == interface && probed[0].answered.is_ok(), "{probed:?}");
        }
    });
}

#[test]
fn what_setup_prints_passes_the_inspection() {
    each(async |lab| {
        let rig = lab.ready().await;
        // the first heartbeat is to be heard
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        let Done::Inspected(findings) = rig.done(Order::Inspect).await else { panic!("inspected") };
        assert!(
            findings.iter().all(|finding| matches!(finding.verdict, Verdict::Ok | Verdict::Skip)),
            "{findings:#?}"
        );
        for area in ["dialogs", "drain", "events", "management", "modules", "sip", "version"] {
            assert!(findings.iter().any(|finding| finding.area == area), "{area}");
        }
    });
}

#[test]
fn calls_of_others_are_listed_and_ended() {
    each(async |lab| {
        let rig = lab.ready().await;
        lab.foreign("1011", "1012").await;
        let seen = rig.list_until("one call", |seen| seen.len() == 1 && seen[0].stage == Stage::Up).await;
        assert_eq!((seen[0].party.as_str(), &seen[0].tag), ("1011 to 1012", &None));
        let Done::Loaded(Load { legs, legs_ever, .. }) = rig.done(Order::Load).await else {
            panic!("loaded")
        };
        assert_eq!(legs, Some(1));
        assert!(legs_ever.is_some_and(|ever| ever >= 1));
        rig.drop_leg(seen[0].leg).await;
        lab.lives("1012", 0).await;
        lab.talks("1011", 0).await;
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn a_call_of_others_that_rings_is_canceled() {
    each(async |lab| {
        let rig = lab.ready().await;
        lab.phones.plan("1012", Plan::rings());
        lab.call("1011", "1012");
        let seen =
            rig.list_until("a ringing call", |seen| seen.len() == 1 && seen[0].stage == Stage::Ringing).await;
        rig.drop_leg(seen[0].leg).await;
        rig.list_until("no call", <[_]>::is_empty).await;
        assert_eq!(lab.phones.live("1012"), 0);
    });
}

#[test]
fn a_drain_keeps_calls_of_others_away_and_lets_ours_through() {
    each(async |lab| {
        let rig = lab.ready().await;
        let drained = rig.done(Order::Drain { on: true }).await;
        assert_eq!(drained, Done::Drained(Inbound::Closed));
        // nothing tells us of a caller who is turned away; ours comes through after him
        lab.call("1011", "1012");
        rig.done(lab.dial(A, "1013", None)).await;
        rig.event(ifbus_call::Event::Answered(A)).await;
        assert_eq!((lab.phones.rings("1012"), lab.phones.rings("1013")), (0, 1));
        rig.drop_leg(A).await;
        assert_eq!(rig.done(Order::Drain { on: false }).await, Done::Drained(Inbound::Open { need: None }));
        lab.foreign("1011", "1012").await;
        let seen = rig.list_until("one call", |seen| seen.len() == 1).await;
        rig.drop_leg(seen[0].leg).await;
        lab.lives("1012", 0).await;
    });
}
