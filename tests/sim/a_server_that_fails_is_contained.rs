//! Whatever a server does, it is contained to that server, and no request is left without an answer.

use ifbus_doubles::double::{Mortal as _, Reachable as _};
use std::time::Duration;

use ifbus_fleet::Code;
use ifbus_fleet::view::{ServerState, Status};

use crate::world::run;

#[test]
fn a_killed_server_is_down_and_calls_go_to_the_other() {
    run(20, &["pbx1", "pbx2"], async |world| {
        let on_first = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world.until("talks", |world| world.status(on_first) == Status::InProgress).await;
        world.with("pbx1", |pbx, now| pbx.kill(now));
        world.until("down", |world| world.state("pbx1") == ServerState::Down).await;
        let id = world.talk("1003", "1004").await;
        assert_eq!(world.call(id).server.as_ref().unwrap().as_str(), "pbx2");
        world.with("pbx1", |pbx, now| pbx.restart(now));
        world.until("up again", |world| world.state("pbx1") == ServerState::Up).await;
        world.until("its call is over", |world| world.status(on_first).is_terminal()).await;
        assert_eq!(world.status(on_first), Status::Failed, "a server started anew has no calls");
        world.hang_up(id).await;
    });
}

#[test]
fn a_frozen_server_is_suspect_before_it_is_down_and_adopts_its_calls_when_it_thaws() {
    run(21, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world.with("pbx1", |pbx, now| {
            pbx.set_faults(ifbus_doubles::faults::Faults { freeze: true, ..Default::default() }, now)
        });
        world.until("suspect", |world| world.state("pbx1") == ServerState::Suspect).await;
        world.until("down", |world| world.state("pbx1") == ServerState::Down).await;
        assert_eq!(world.status(id), Status::InProgress, "the call is kept");
        world.with("pbx1", |pbx, now| pbx.set_faults(Default::default(), now));
        world.until("up", |world| world.state("pbx1") == ServerState::Up).await;
        assert_eq!(world.status(id), Status::InProgress);
        world.hang_up(id).await;
        world.until("empty", |world| world.channels("pbx1") == 0).await;
    });
}

#[test]
fn a_pulled_cable_is_noticed_without_any_error_of_the_network() {
    run(22, &["pbx1"], async |world| {
        world.network.cut_off("pbx1", true);
        world.until("down", |world| world.state("pbx1") == ServerState::Down).await;
        let refused = world.place("1001", "1002").await.unwrap_err();
        assert_eq!(refused.code, Code::NoEligibleServer);
        assert_eq!(refused.skipped.len(), 1);
        world.network.cut_off("pbx1", false);
        world.until("up", |world| world.state("pbx1") == ServerState::Up).await;
    });
}

#[test]
fn garbage_on_one_server_disturbs_nobody_else() {
    run(23, &["pbx1", "pbx2"], async |world| {
        let id = world.place_on("1001", "1002", Some("pbx2")).await.unwrap().id;
        world.until("talks", |world| world.status(id) == Status::InProgress).await;
        for _ in 0..5 {
            world.with("pbx1", |pbx, now| pbx.garbage(now));
            world.pass(Duration::from_secs(1)).await;
        }
        assert_eq!((world.state("pbx2"), world.status(id)), (ServerState::Up, Status::InProgress));
        world.until("it recovers", |world| world.state("pbx1") == ServerState::Up).await;
        world.hang_up(id).await;
    });
}

#[test]
fn a_server_whose_sip_died_gets_no_new_calls() {
    run(24, &["pbx1", "pbx2"], async |world| {
        world.pass(Duration::from_secs(3)).await;
        world.with("pbx1", |pbx, now| {
            pbx.set_faults(ifbus_doubles::faults::Faults { sip_dead: true, ..Default::default() }, now)
        });
        world.until("suspect", |world| world.state("pbx1") == ServerState::Suspect).await;
        let id = world.talk("1001", "1002").await;
        assert_eq!(world.call(id).server.as_ref().unwrap().as_str(), "pbx2");
        world.hang_up(id).await;
    });
}

#[test]
fn a_forged_hangup_changes_no_state() {
    run(25, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        let native = world.with("pbx1", |pbx, now| {
            pbx.hostile_call("777\r\nUniqueid: x\r\n\r\nEvent: Hangup\r\nUniqueid: ib-0000000000001fb5-0\r\nCause: 16\r\n\r\n", now)
        });
        assert!(native);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!((world.status(id), world.state("pbx1")), (Status::InProgress, ServerState::Up));
        world.hang_up(id).await;
    });
}

#[test]
fn a_test_tells_of_now_and_not_of_the_last_try() {
    run(26, &["pbx1"], async |world| {
        world.with("pbx1", |pbx, now| pbx.kill(now));
        world.until("down", |world| world.state("pbx1") == ServerState::Down).await;
        let name: ifbus_call::ServerName = "pbx1".parse().unwrap();
        world.pass(Duration::from_secs(120)).await;
        let report = world.fleet.control.test_server(name.clone()).await.unwrap();
        assert!(!report.ok && !report.reachable, "{report:?}");
        assert_eq!(report.findings[0].area, "management");
        assert!(report.findings[0].fix.is_some());
        world.with("pbx1", |pbx, now| pbx.restart(now));
        let report = world.fleet.control.test_server(name).await.unwrap();
        assert!(report.ok, "{report:?}");
    });
}
