//! Every verb of a call, from the surface to the phones and back.

use ifbus_doubles::double::Extensions as _;
use std::time::Duration;

use ifbus_call::{Mode, Verb};
use ifbus_doubles::phone::{Plan, Tone};
use ifbus_fleet::Code;
use ifbus_fleet::view::Status;

use crate::world::{address, run};

fn hears(world: &crate::world::World<'_>, server: &str, listener: &str, speaker: &str) -> bool {
    world.with(server, |pbx, _| pbx.heard(listener)).contains(&Tone::of(speaker))
}

#[test]
fn two_phones_talk_and_each_sees_the_other_as_caller() {
    run(1, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world
            .until("both hear each other", |world| {
                hears(world, "pbx1", "1001", "1002") && hears(world, "pbx1", "1002", "1001")
            })
            .await;
        world.with("pbx1", |pbx, _| {
            assert_eq!(pbx.caller_seen("1001").as_deref(), Some("1002"));
            assert_eq!(pbx.caller_seen("1002").as_deref(), Some("1001"));
        });
        world.hang_up(id).await;
        assert_eq!(world.status(id), Status::Completed);
        world.until("the server is empty", |world| world.channels("pbx1") == 0).await;
    });
}

#[test]
fn hold_gives_music_and_resume_gives_the_talk_back() {
    run(2, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world.act(id, Verb::Hold { role: None }).await.unwrap();
        world.until("music", |world| world.has_event("call.held")).await;
        assert_eq!(world.with("pbx1", |pbx, _| pbx.heard("1002")), [Tone::HoldMusic].into());
        assert!(world.call(id).held);
        world.act(id, Verb::Resume).await.unwrap();
        world
            .until("talk", |world| world.has_event("call.resumed") && hears(world, "pbx1", "1002", "1001"))
            .await;
        world.hang_up(id).await;
    });
}

#[test]
fn a_blind_transfer_leaves_the_second_party_with_the_target() {
    run(3, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world.act(id, Verb::Transfer { to: address("1003"), mode: Mode::Blind, role: None }).await.unwrap();
        world.until("moved", |world| world.has_event("transfer.completed")).await;
        world.until("1002 hears 1003", |world| hears(world, "pbx1", "1002", "1003")).await;
        world.until("1001 is free", |world| world.with("pbx1", |pbx, _| pbx.live("1001")) == 0).await;
        assert_eq!(world.status(id), Status::InProgress);
        world.hang_up(id).await;
    });
}

#[test]
fn a_blind_transfer_to_a_busy_phone_leaves_the_pair_talking() {
    run(4, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world.with("pbx1", |pbx, _| pbx.plan("1003", Plan::busy()));
        world.act(id, Verb::Transfer { to: address("1003"), mode: Mode::Blind, role: None }).await.unwrap();
        world.until("refused", |world| world.has_event("transfer.failed")).await;
        assert!(hears(world, "pbx1", "1002", "1001"));
        world.hang_up(id).await;
    });
}

#[test]
fn an_attended_transfer_asks_completes_and_releases() {
    run(5, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world
            .act(id, Verb::Transfer { to: address("1003"), mode: Mode::Attended, role: None })
            .await
            .unwrap();
        world.until("asks", |world| world.has_event("transfer.consulting")).await;
        assert!(hears(world, "pbx1", "1001", "1003"));
        assert_eq!(world.with("pbx1", |pbx, _| pbx.heard("1002")), [Tone::HoldMusic].into());
        world.act(id, Verb::CompleteTransfer).await.unwrap();
        world.until("moved", |world| world.has_event("transfer.completed")).await;
        world.until("1002 hears 1003", |world| hears(world, "pbx1", "1002", "1003")).await;
        world.hang_up(id).await;
    });
}

#[test]
fn an_attended_transfer_is_taken_back() {
    run(6, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world
            .act(id, Verb::Transfer { to: address("1003"), mode: Mode::Attended, role: None })
            .await
            .unwrap();
        world.until("asks", |world| world.has_event("transfer.consulting")).await;
        world.act(id, Verb::CancelTransfer).await.unwrap();
        world.until("back", |world| world.has_event("transfer.canceled")).await;
        assert!(hears(world, "pbx1", "1002", "1001"));
        world.until("1003 is free", |world| world.with("pbx1", |pbx, _| pbx.live("1003")) == 0).await;
        world.hang_up(id).await;
    });
}

#[test]
fn a_target_that_hangs_up_while_asked_gives_the_old_pair_back() {
    run(7, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world
            .act(id, Verb::Transfer { to: address("1003"), mode: Mode::Attended, role: None })
            .await
            .unwrap();
        world.until("asks", |world| world.has_event("transfer.consulting")).await;
        world.with("pbx1", |pbx, now| pbx.act("1003", &ifbus_doubles::phone::Act::HangUp, now));
        world.until("failed", |world| world.has_event("transfer.failed")).await;
        world.until("the old pair talks", |world| hears(world, "pbx1", "1002", "1001")).await;
        assert_eq!(world.status(id), Status::InProgress);
        world.hang_up(id).await;
    });
}

#[test]
fn digits_reach_the_phone() {
    run(8, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        world.act(id, Verb::Dtmf { digits: "12#".parse().unwrap(), role: None }).await.unwrap();
        world.until("played", |world| world.has_event("call.dtmf_sent")).await;
        world.until("heard", |world| world.with("pbx1", |pbx, _| pbx.digits("1002")) == "12#").await;
        world.hang_up(id).await;
    });
}

#[test]
fn every_failure_of_the_second_phone_has_its_status() {
    let failures = [
        (Plan::busy(), Status::Busy),
        (Plan::declines(), Status::Failed),
        (Plan::unavailable(), Status::NoAnswer),
        (Plan::not_found(), Status::Failed),
        (Plan::rings(), Status::NoAnswer),
    ];
    for (seed, (plan, status)) in failures.into_iter().enumerate() {
        run(100 + seed as u64, &["pbx1", "pbx2"], async |world| {
            for server in ["pbx1", "pbx2"] {
                world.with(server, |pbx, _| pbx.plan("1002", plan.clone()));
            }
            let id = world.place("1001", "1002").await.unwrap().id;
            world.until("over", |world| world.status(id).is_terminal()).await;
            assert_eq!(world.status(id), status, "{plan:?}: {:?}", world.call(id));
            world.until("empty", |world| world.channels("pbx1") + world.channels("pbx2") == 0).await;
        });
    }
}

#[test]
fn a_ringing_call_is_canceled() {
    run(9, &["pbx1"], async |world| {
        world.with("pbx1", |pbx, _| pbx.plan("1002", Plan::rings()));
        let id = world.place("1001", "1002").await.unwrap().id;
        world
            .until("rings", |world| {
                world.call(id).legs.iter().any(|leg| leg.stage == "ringing" && leg.party.as_str() == "1002")
            })
            .await;
        world.hang_up(id).await;
        assert_eq!(world.status(id), Status::Canceled);
        world.until("empty", |world| world.channels("pbx1") == 0).await;
    });
}

#[test]
fn a_verb_that_does_not_fit_is_refused_and_changes_nothing() {
    run(10, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        let before = world.call(id);
        let refused = world.act(id, Verb::CompleteTransfer).await.unwrap_err();
        assert_eq!(refused.code, Code::WrongState);
        world.pass(Duration::from_millis(50)).await;
        assert_eq!(world.call(id), before);
        world.hang_up(id).await;
        assert_eq!(world.act(id, Verb::Resume).await.unwrap_err().code, Code::WrongState);
    });
}

#[test]
fn an_unknown_call_and_an_unknown_server_are_said_to_be_unknown() {
    run(11, &["pbx1"], async |world| {
        let id = ifbus_call::CallId::new(1, 1);
        assert_eq!(world.act(id, Verb::Hangup).await.unwrap_err().code, Code::UnknownCall);
        let refused = world.place_on("1001", "1002", Some("pbx9")).await.unwrap_err();
        assert_eq!(refused.code, Code::UnknownServer);
        assert!(refused.detail.contains("pbx1"), "{refused}");
    });
}
