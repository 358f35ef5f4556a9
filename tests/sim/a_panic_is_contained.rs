//! A panic restarts the actor it happened in and nothing else; its calls are found again; its callers get an answer.

use ifbus_call::Verb;
use ifbus_fleet::Code;
use ifbus_fleet::view::{ServerState, Status};

use crate::world::{run, sabotage};

#[test]
fn a_servers_actor_is_born_again_and_finds_its_calls() {
    run(50, &["pbx1", "pbx2"], async |world| {
        world.universe.expect_panic("sabotaged");
        let here = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        let there = world.place_on("1003", "1004", Some("pbx2")).await.unwrap().id;
        for id in [here, there] {
            world.until("talks", |world| world.status(id) == Status::InProgress).await;
        }
        sabotage("pbx1");
        let asked = world.act(here, Verb::Hold { role: None }).await;
        assert_eq!(asked.map_err(|problem| problem.code), Err(Code::Internal), "a typed answer, and at once");
        let epoch = |world: &crate::world::World<'_>| {
            world.fleet.board.server(&"pbx1".parse().unwrap()).unwrap().link.epoch
        };
        world
            .until("another life", |world| epoch(world) == 2 && world.state("pbx1") == ServerState::Up)
            .await;
        assert_eq!((world.status(here), world.status(there)), (Status::InProgress, Status::InProgress));
        assert_eq!(world.state("pbx2"), ServerState::Up);
        world.act(here, Verb::Hold { role: None }).await.unwrap();
        world.until("held", |world| world.has_event("call.held")).await;
        for id in [here, there] {
            world.hang_up(id).await;
        }
        world.until("empty", |world| world.channels("pbx1") + world.channels("pbx2") == 0).await;
    });
}

#[test]
fn a_call_that_was_being_placed_when_the_actor_died_is_closed_once() {
    for seed in 60..80 {
        run(seed, &["pbx1"], async |world| {
            world.universe.expect_panic("sabotaged");
            let id = world.place("1001", "1002").await.unwrap().id;
            world.pass(std::time::Duration::from_millis(seed * 13 % 230)).await;
            sabotage("pbx1");
            world
                .until("another life", |world| {
                    world.events().iter().filter(|e| e.fact.kind == "server.up").count() >= 2
                })
                .await;
            world.pass(std::time::Duration::from_secs(60)).await;
            if !world.status(id).is_terminal() {
                world.hang_up(id).await;
            }
            let ends = world.events().iter().filter(|event| event.fact.kind == "call.ended").count();
            assert_eq!(ends, 1, "seed {seed}\n{}", world.trace());
            world.until("empty", |world| world.channels("pbx1") == 0).await;
            assert!(world.rings("1001") <= 1 && world.rings("1002") <= 1, "seed {seed}: nobody rings twice");
        });
    }
}
