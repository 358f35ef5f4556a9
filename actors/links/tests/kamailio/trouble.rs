//! Restarts of ours and of the server's, and what a server does that is not well.

use std::time::Duration;

use ifbus_adapters::adapter::DownReason;
use ifbus_call::{Interface, Order};
use ifbus_doubles::kamailio::Profile;

use crate::rig::{A, B, Lab, each, run};
use ifbus_call::order::{Done, ParkReason};

#[test]
fn a_kill_of_ours_cuts_no_call_and_the_next_process_takes_it_up() {
    each(async |lab| {
        let rig = lab.joined().await;
        let store = rig.kill().await;
        lab.hears("1001", &["1002"]).await;
        let rig = lab.again(store).await;
        let seen = rig.without_leftovers(rig.out.borrow().ready[0].seen.clone());
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
fn a_call_that_was_not_written_down_is_ended_by_the_next_process() {
    each(async |lab| {
        let rig = lab.joined().await;
        drop(rig.kill().await);
        let rig = lab.ready().await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
        assert!(rig.out.borrow().warnings.iter().any(|warning| warning.code == "orphan"));
        rig.list_until("no call", <[_]>::is_empty).await;
    });
}

#[test]
fn a_restart_of_the_server_cuts_no_call() {
    run(async {
        let lab = Lab::simulated(Profile::V56, |_| {});
        let rig = lab.joined().await;
        let double = lab.double.as_ref().unwrap();
        double.kill();
        rig.until("the end of a life", |seen| !seen.down.is_empty()).await;
        lab.hears("1001", &["1002"]).await;
        // its clock tells seconds: a life that began in the same one would look like the same life
        tokio::time::sleep(Duration::from_millis(1100)).await;
        lab.restart().await;
        rig.start();
        rig.until("readiness", |seen| seen.ready.len() == 2).await;
        assert_eq!(rig.out.borrow().ready[1].seen.len(), 2);
        assert_eq!(double.read(|machine| machine.live()), 0, "it has forgotten them");
        rig.done(Order::Park { held: B, other: A, why: ParkReason::Hold }).await;
        rig.done(Order::Join { a: A, b: B }).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
    });
}

#[test]
fn sip_that_stands_still_is_seen_although_json_rpc_says_that_all_is_well() {
    run(async {
        let lab = Lab::simulated(Profile::V56, |_| {});
        let rig = lab.ready().await;
        lab.double.as_ref().unwrap().with(|machine, _| machine.stand_still(true));
        let answered = async |order| match rig.done(order).await {
            Done::Probed(probed) => (probed[0].interface, probed[0].answered.is_ok()),
            other => panic!("{other:?}"),
        };
        assert_eq!(answered(Order::Probe).await, (Interface::Management, true));
        assert_eq!(answered(Order::ProbeSip).await, (Interface::Sip, false));
    });
}

#[test]
fn a_password_is_asked_for_and_a_wrong_one_is_told() {
    run(async {
        let users = || Some([("lab".to_owned(), "labpass".to_owned())].into());
        let mut lab = Lab::simulated(Profile::V61, |options| options.users = users());
        for (name, value) in [("sip_user", "lab"), ("sip_secret", "labpass")] {
            lab.settings.auth.insert(name.to_owned(), ifbus_adapters::adapter::Secret::new(value));
        }
        let rig = lab.joined().await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        drop(rig);
        lab.settings.auth.insert("sip_secret".to_owned(), ifbus_adapters::adapter::Secret::new("wrong"));
        lab.instance.0 += 1;
        let rig = lab.ready().await;
        let refused = match rig.outcome(lab.dial(A, "1001", None)).await {
            Err(refused) => refused.cause,
            Ok(_) => rig.ended(A).await,
        };
        assert_eq!(refused, ifbus_call::Cause::ServerFailure);
    });
}

#[test]
fn session_timers_and_swapped_replies_are_borne() {
    run(async {
        let lab = Lab::simulated(Profile::V56, |options| {
            options.session_expires = Some(90);
            options.swaps = true;
        });
        let rig = lab.joined().await;
        rig.drop_leg(A).await;
        rig.drop_leg(B).await;
        lab.lives("1001", 0).await;
    });
}

#[test]
fn who_is_not_let_in_is_told_so() {
    run(async {
        let mut lab = Lab::simulated(Profile::V56, |_| {});
        lab.settings.auth.insert("secret".to_owned(), ifbus_adapters::adapter::Secret::new("wrong"));
        let rig = lab.begin();
        rig.until("an end", |seen| !seen.down.is_empty()).await;
        let reason = rig.out.borrow().down[0].reason.clone();
        assert!(matches!(reason, DownReason::LoginRefused(_)), "{reason:?}");
    });
}

#[test]
fn a_frozen_server_is_silent_and_comes_back() {
    run(async {
        let lab = Lab::simulated(Profile::V56, |_| {});
        let rig = lab.ready().await;
        let double = lab.double.as_ref().unwrap();
        double.faults(|faults| faults.freeze = true);
        let Done::Probed(probed) = rig.done(Order::Probe).await else { panic!("probed") };
        assert!(probed[0].answered.is_err());
        double.heal();
        let Done::Probed(probed) = rig.done(Order::Probe).await else { panic!("probed") };
        assert!(probed[0].answered.is_ok());
        rig.stop();
        rig.until("the end", |seen| !seen.down.is_empty()).await;
    });
}
