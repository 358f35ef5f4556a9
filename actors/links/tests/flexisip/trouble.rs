//! Restarts of ours and of the server's, and what a server does that is not well.

use ifbus_adapters::adapter::DownReason;
use ifbus_call::order::{Done, ParkReason};
use ifbus_call::{Interface, Order, Stage};
use ifbus_doubles::flexisip::Profile;

use crate::rig::{A, B, Lab, each, run};

#[test]
fn a_kill_of_ours_cuts_no_call_and_the_next_process_takes_it_up() {
    each(async |lab| {
        let rig = lab.joined().await;
        let store = rig.kill().await;
        lab.hears("1001", &["1002"]).await;
        let rig = lab.again(store).await;
        let seen = rig.out.borrow().ready[0].seen.clone();
        assert_eq!(seen.iter().map(|seen| seen.leg).collect::<Vec<_>>(), [A, B]);
        rig.done(Order::Park { held: B, other: A, why: ParkReason::Hold }).await;
        lab.hears("1001", &[]).await;
        rig.done(Order::Join { a: A, b: B }).await;
        lab.hears("1001", &["1002"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
    });
}

#[test]
fn a_restart_of_the_server_cuts_no_call_and_its_pushes_come_back() {
    run(async {
        let lab = Lab::simulated(Profile::V27);
        let rig = lab.joined().await;
        let double = lab.double.as_ref().unwrap();
        double.kill();
        let probed = rig.done(Order::Probe).await;
        let Done::Probed(probed) = probed else { panic!() };
        assert!(probed[0].answered.is_err(), "{probed:?}");
        double.restart();
        rig.stop();
        rig.until("the end of a life", |seen| seen.down.len() == 1).await;
        assert_eq!(rig.out.borrow().down[0].reason, DownReason::Stopped);
        rig.start();
        rig.until("readiness", |seen| seen.ready.len() == 2).await;
        assert_eq!(rig.out.borrow().ready[1].seen.len(), 2);
        lab.foreign("1008", "1005").await;
        rig.list_until("the call of others", |seen| {
            seen.iter().any(|leg| leg.tag.is_none() && leg.stage == Stage::Up)
        })
        .await;
        lab.hears("1001", &["1002"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        lab.lives("1001", 0).await;
    });
}

#[test]
fn a_server_whose_sip_is_dead_is_not_ready() {
    run(async {
        let lab = Lab::simulated(Profile::V23);
        lab.double.as_ref().unwrap().faults(|faults| faults.sip_dead = true);
        let rig = lab.begin();
        rig.until("the end", |seen| !seen.down.is_empty()).await;
        let seen = rig.out.borrow();
        assert!(
            matches!(seen.down[0].reason, DownReason::Silent(_)) && seen.down[0].interface == Interface::Sip
        );
    });
}

#[test]
fn an_account_manager_that_is_away_is_only_warned_of() {
    run(async {
        let lab = Lab::simulated(Profile::V27);
        let closed = |faults: &mut ifbus_doubles::faults::Faults| {
            faults.http = ifbus_doubles::faults::HttpState::Closed;
        };
        lab.double.as_ref().unwrap().faults(closed);
        let rig = lab.ready().await;
        rig.until("a warning", |seen| seen.warnings.iter().any(|warning| warning.code == "api_off")).await;
    });
}
