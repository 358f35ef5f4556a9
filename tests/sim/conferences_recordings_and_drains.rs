//! What is bound to a server lives through the deaths of its connections, of its actor and of ifbus, and does not
//! outlive the server itself.

use ifbus_doubles::double::{Mortal as _, Reachable as _};
use std::time::Duration;

use ifbus_call::{CallId, Inbound, Mode, Verb};
use ifbus_doubles::faults::Faults;
use ifbus_fleet::Code;
use ifbus_fleet::control::Invitation;
use ifbus_fleet::view::{RecordingStatus, ServerState, Status};

use crate::world::{World, address, run, sabotage};

async fn member(world: &World<'_>, conference: &str, number: &str) -> CallId {
    let invitation =
        Invitation { to: address(number), caller_id: None, timeout: Duration::from_secs(30), record: false };
    let conference: ifbus_call::ConferenceId = conference.parse().expect("a conference id");
    let call = world.fleet.control.invite(conference.clone(), invitation).await.expect("it is taken").id;
    world.until("the member is inside", |world| inside(world, &conference).contains(&call)).await;
    call
}

fn epoch(world: &World<'_>) -> u64 {
    let name = "pbx1".parse().expect("a server name");
    world.fleet.board.server(&name).expect("it is shown").link.epoch
}

fn inside(world: &World<'_>, conference: &ifbus_call::ConferenceId) -> Vec<CallId> {
    let view = world.fleet.board.conference(conference).expect("the conference is shown");
    view.members.iter().filter(|member| member.inside).map(|member| member.call).collect()
}

#[test]
fn a_conference_lives_through_a_panic_and_ends_with_its_server() {
    run(41, &["pbx1"], async |world| {
        let room: ifbus_call::ConferenceId = "standup".parse().unwrap();
        world.fleet.control.create_conference(room.clone(), None).await.unwrap();
        let first = member(world, "standup", "2001").await;
        let second = member(world, "standup", "2002").await;
        world.universe.expect_panic("sabotaged");
        sabotage("pbx1");
        world
            .until("another life", |world| epoch(world) == 2 && world.state("pbx1") == ServerState::Up)
            .await;
        world.until("both are members again", |world| inside(world, &room) == [first, second]).await;
        let third = member(world, "standup", "2003").await;
        world.with("pbx1", |pbx, now| pbx.kill(now));
        world.until("the server is down", |world| world.state("pbx1") == ServerState::Down).await;
        world.with("pbx1", |pbx, now| pbx.restart(now));
        world
            .until("their calls are over", |world| {
                [first, second, third].iter().all(|id| world.status(*id).is_terminal())
            })
            .await;
        assert!(inside(world, &room).is_empty(), "the conference is there, empty");
        let again = member(world, "standup", "2004").await;
        world.fleet.control.end_conference(room.clone()).await.unwrap();
        world.until("the last one is over", |world| world.status(again) == Status::Completed).await;
        let gone = world.fleet.control.end_conference(room).await.map_err(|problem| problem.code);
        assert_eq!(gone, Err(Code::UnknownConference));
    });
}

#[test]
fn a_recording_that_ends_while_the_server_is_away_is_fetched_when_it_is_back() {
    run(42, &["pbx1"], async |world| {
        let id = world.talk("2001", "2002").await;
        let recording = world.fleet.control.record(id).await.unwrap().id;
        world.until("it has begun", |world| world.has_event("recording.started")).await;
        world.pass(Duration::from_secs(3)).await;
        world.network.cut_off("pbx1", true);
        world.until("the server is down", |world| world.state("pbx1") == ServerState::Down).await;
        world.act(id, Verb::Hangup).await.unwrap();
        world.pass(Duration::from_secs(5)).await;
        world.network.cut_off("pbx1", false);
        let view = |world: &World<'_>| world.fleet.board.recording(recording).unwrap();
        world.until("it is stored", |world| view(world).status == RecordingStatus::Stored).await;
        assert!(view(world).seconds > Some(2.9), "{:?}", view(world));
    });
}

#[test]
fn a_drain_is_told_again_to_a_server_that_was_started_anew() {
    run(43, &["pbx1", "pbx2"], async |world| {
        let drained = |world: &World<'_>| {
            let view = world.fleet.board.server(&"pbx1".parse().unwrap()).unwrap();
            (view.state, view.drain.as_ref().and_then(|drain| drain.inbound.clone()))
        };
        world.fleet.control.drain("pbx1".parse().unwrap(), true).await.unwrap();
        assert_eq!(drained(world), (ServerState::Drained, Some(Inbound::Closed)));
        for _ in 0..5 {
            let id = world.talk("2001", "2002").await;
            assert_eq!(world.call(id).server.as_ref().unwrap().as_str(), "pbx2", "every call goes elsewhere");
            world.hang_up(id).await;
        }
        world.with("pbx1", |pbx, now| pbx.kill(now));
        world.until("down", |world| world.state("pbx1") == ServerState::Down).await;
        world.with("pbx1", |pbx, now| pbx.restart(now));
        world.until("drained again", |world| world.state("pbx1") == ServerState::Drained).await;
        world
            .until("and its phones are refused again", |world| {
                let refused = world.with("pbx1", |pbx, _| pbx.stats().refused);
                world.with("pbx1", |pbx, now| pbx.foreign_call("2005", "2006", now));
                world.with("pbx1", |pbx, _| pbx.stats().refused) > refused
            })
            .await;
        world.fleet.control.drain("pbx1".parse().unwrap(), false).await.unwrap();
        world.until("up", |world| world.state("pbx1") == ServerState::Up).await;
    });
}

/// One thing that goes wrong, or right again.
fn trouble(world: &World<'_>, dice: u64) {
    match dice % 8 {
        0 => world.with("pbx1", |pbx, now| {
            pbx.set_faults(Faults { cut_next: true, ..Default::default() }, now);
        }),
        1 => world.with("pbx1", |pbx, now| {
            pbx.set_faults(Faults { lose_replies: 0.2, ..Default::default() }, now);
        }),
        2 => world.with("pbx1", |pbx, now| {
            pbx.set_faults(Faults { double_events: 0.5, ..Default::default() }, now);
        }),
        3 => world.with("pbx1", |pbx, now| pbx.garbage(now)),
        4 => world.network.cut_off("pbx1", true),
        5 => world.network.cut_off("pbx1", false),
        _ => world.with("pbx1", |pbx, now| pbx.set_faults(Faults::default(), now)),
    }
}

/// What a user does meanwhile; a refusal is an answer too.
async fn wish(world: &World<'_>, dice: u64, calls: &[CallId], recordings: &mut Vec<ifbus_call::RecordingId>) {
    let control = &world.fleet.control;
    let call = calls[usize::try_from(dice).expect("a small number") % calls.len()];
    let room: ifbus_call::ConferenceId = "standup".parse().expect("a conference id");
    let transfer = || Verb::Transfer { to: address("2999"), mode: Mode::Blind, role: None };
    match dice % 7 {
        0 => recordings.extend(control.record(call).await.ok().map(|recording| recording.id)),
        1 => drop(control.enter(room, call).await),
        2 => drop(world.act(call, Verb::Resume).await),
        3 => drop(world.act(call, Verb::Hold { role: None }).await),
        4 => drop(world.act(call, transfer()).await),
        5 => drop(world.act(call, Verb::StopRecord).await),
        _ => drop(world.act(call, Verb::Kick { role: Some(ifbus_call::Role::B) }).await),
    }
}

#[test]
fn point_25_whatever_breaks_each_call_ends_once_and_each_recording_is_stored_or_failed_once() {
    let mut sums = [0; 3];
    for seed in 0..30 {
        let seen = run(5_000 + seed, &["pbx1"], async |world| {
            let room: ifbus_call::ConferenceId = "standup".parse().expect("a conference id");
            world.fleet.control.create_conference(room.clone(), None).await.expect("it is created");
            let mut calls = Vec::new();
            for n in 0..4u64 {
                calls.push(world.talk(&format!("{}", 2000 + n), &format!("{}", 2100 + n)).await);
            }
            calls.push(member(world, "standup", "2300").await);
            let mut recordings = Vec::new();
            for n in 0..25u64 {
                wish(world, seed * 5 + n * n, &calls, &mut recordings).await;
                trouble(world, seed * 3 + n * 5 + n / 3);
                world.pass(Duration::from_millis(53 * (n % 13))).await;
            }
            world.network.cut_off("pbx1", false);
            world.with("pbx1", |pbx, now| pbx.set_faults(Faults::default(), now));
            world.until("up", |world| world.state("pbx1") == ServerState::Up).await;
            for id in &calls {
                drop(world.act(*id, Verb::Hangup).await);
            }
            let told = |world: &World<'_>, kind: &str| {
                world.events().iter().filter(|event| event.fact.kind == kind).count()
            };
            for id in &calls {
                world.until("over", |world| world.status(*id).is_terminal()).await;
            }
            assert_eq!(told(world, "call.ended"), calls.len(), "seed {seed}: a call ends exactly once");
            let view = |world: &World<'_>, id| world.fleet.board.recording(id).expect("it is shown");
            for id in &recordings {
                world.until("stored or failed", |world| view(world, *id).status.is_terminal()).await;
            }
            let ends = told(world, "recording.stored") + told(world, "recording.failed");
            assert_eq!(ends, recordings.len(), "seed {seed}: a recording is over exactly once");
            world.until("no leg is left", |world| world.channels("pbx1") == 0).await;
            ["recording.stored", "conference.joined", "transfer.completed"].map(|kind| told(world, kind))
        });
        sums = std::array::from_fn(|n| sums[n] + seen[n]);
    }
    assert!(sums.iter().all(|sum| *sum >= 10), "much was tried and came about: {sums:?}");
}
