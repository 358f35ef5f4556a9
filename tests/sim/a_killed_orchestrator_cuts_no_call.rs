//! After `kill -9` every living call of ours is found again under its id, and can be ended by it.

use ifbus_doubles::double::{Extensions as _, Reachable as _};
use std::collections::BTreeMap;

use ifbus_call::Verb;
use ifbus_doubles::phone::{Act, Plan};
use ifbus_fleet::view::Status;

use crate::world::run;

#[test]
fn talking_held_and_ringing_calls_are_adopted_under_their_ids() {
    run(40, &["pbx1", "pbx2"], async |world| {
        let talking = world.talk("1001", "1002").await;
        let held = world.talk("1003", "1004").await;
        world.act(held, Verb::Hold { role: None }).await.unwrap();
        world.until("held", |world| world.call(held).held && world.call(held).verb.is_none()).await;
        for server in ["pbx1", "pbx2"] {
            world.with(server, |pbx, _| pbx.plan("1006", Plan::rings()));
        }
        let ringing = world.place("1005", "1006").await.unwrap().id;
        world.until("rings", |world| world.rings("1006") == 1).await;

        world.kill_and_restart(BTreeMap::new()).await;
        world.until("all are back", |world| world.calls().len() == 3).await;
        assert_eq!(world.status(talking), Status::InProgress);
        assert!(world.call(held).held);
        assert_eq!(world.status(ringing), Status::Ringing);
        assert_eq!(world.call(talking).from.as_str(), "1001");

        world.act(held, Verb::Resume).await.unwrap();
        world.until("resumed", |world| world.has_event("call.resumed")).await;
        for id in [talking, held, ringing] {
            world.hang_up(id).await;
        }
        world.until("empty", |world| world.channels("pbx1") + world.channels("pbx2") == 0).await;
        assert_eq!(world.rings("1006"), 1);
    });
}

#[test]
fn a_call_that_a_phone_has_moved_goes_on_and_ends_once() {
    run(43, &["pbx1", "pbx2"], async |world| {
        let id = world.talk("1001", "1002").await;
        let pbx = world.call(id).server.clone().expect("it has a server").to_string();
        world.with(&pbx, |pbx, now| pbx.transfer("1002", "1003", now));
        // killed while the guest rings
        world.until("sent away", |world| world.has_event("call.moved_by_phone")).await;
        world.kill_and_restart(BTreeMap::new()).await;
        world.until("it is back", |world| world.calls().len() == 1).await;
        world.pass(std::time::Duration::from_secs(1)).await;
        world.kill_and_restart(BTreeMap::new()).await;
        world.until("it is back", |world| world.calls().len() == 1).await;
        assert_eq!((world.status(id), world.channels(&pbx)), (Status::InProgress, 2));
        assert_eq!(world.call(id).moved_to.as_deref(), Some("1003"));

        world.with(&pbx, |pbx, now| pbx.act("1003", &Act::HangUp, now));
        world.until("over", |world| world.status(id).is_terminal()).await;
        assert_eq!(world.status(id), Status::Completed);
        world.until("empty", |world| world.channels(&pbx) == 0).await;
        let ends = world.events().iter().filter(|event| event.fact.kind == "call.ended").count();
        assert_eq!(ends, 1);
    });
}

#[test]
fn two_hundred_calls_survive() {
    run(41, &["pbx1", "pbx2"], async |world| {
        let mut ids = Vec::new();
        for n in 0..200 {
            ids.push(world.place(&format!("{}", 2000 + n), &format!("{}", 2400 + n)).await.unwrap().id);
        }
        for id in &ids {
            world.until("talks", |world| world.status(*id) == Status::InProgress).await;
        }
        world.kill_and_restart(BTreeMap::new()).await;
        world.until("all are back", |world| world.calls().len() == 200).await;
        for id in &ids {
            assert_eq!(world.status(*id), Status::InProgress);
        }
        for id in ids {
            world.hang_up(id).await;
        }
        world.until("empty", |world| world.channels("pbx1") + world.channels("pbx2") == 0).await;
    });
}

#[test]
fn calls_of_a_second_ifbus_and_of_nobody_are_left_alone() {
    run(42, &["pbx1"], async |world| {
        world.with("pbx1", |pbx, now| pbx.foreign_call("1007", "1008", now));
        world.pass(std::time::Duration::from_secs(1)).await;
        world.kill_and_restart(BTreeMap::new()).await;
        world.until("listed", |world| world.fleet.board.foreign().len() == 2).await;
        assert_eq!((world.calls().len(), world.channels("pbx1")), (0, 2));
    });
}
