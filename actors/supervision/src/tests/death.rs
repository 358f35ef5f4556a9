//! How an instance may die, and what its callers hear of it.

use super::*;
use crate::Universe;

#[test]
fn a_panic_in_a_handler_is_told_to_its_asker_and_to_nobody_else() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let bystander = puppet(universe.kernel(), "b", Script::default());
        ask(&bystander, add(5)).await.unwrap();

        let poison = actor.ask(boom("boom"), LONG);
        let behind = actor.ask(add(1), LONG);

        assert_eq!(poison.await, Err(panicked("a", "boom")));
        assert_eq!(behind.await, Ok(1), "what waited behind the poison is answered by the fresh instance");
        assert_eq!(ask(&bystander, add(1)).await, Ok(6));
        assert_eq!(universe.kernel().totals().get("panicked"), Some(&1));
    });
}

#[test]
fn a_reborn_actor_has_the_state_of_its_seed_and_the_same_address() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script { count: 40, ..Script::default() });
        assert_eq!(ask(&actor, add(2)).await, Ok(42));

        actor.tell(boom("boom"));

        assert_eq!(actor.observe(LONG).await, Ok(40));
        let info = &universe.kernel().actors()[0];
        assert_eq!((info.restarts, &info.last_exit), (1, &Some(Exit::Panicked("boom".into()))));
    });
}

#[test]
fn a_panic_at_birth_is_contained_and_tried_again_after_a_rest() {
    Universe::run(1, async |universe| {
        universe.expect_panic("too early");
        let actor = puppet(
            universe.kernel(),
            "a",
            Script::born(|world| assert!(world.now() >= Duration::from_secs(2), "too early")),
        );

        assert_eq!(ask(&actor, add(1)).await, Ok(1));

        assert_eq!(
            universe.kernel().now(),
            Duration::from_secs(2),
            "two failed births, two rests of a second"
        );
        assert_eq!(universe.kernel().totals().get("born_panicked"), Some(&2));
    });
}

#[test]
fn a_panic_in_a_future_kills_its_instance_and_nothing_else() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom in a future");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let spawns = deed(|puppet, world| {
            puppet.count = 9;
            world.run(async { panic!("boom in a future") });
        });

        assert_eq!(ask(&actor, spawns).await, Ok(9));
        resting(&actor).await;

        assert_eq!(ask(&actor, add(1)).await, Ok(1));
        assert_eq!(universe.kernel().totals().get("future_panicked"), Some(&1));
    });
}

#[test]
fn a_panic_while_a_finished_future_is_dropped_kills_its_instance() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom in a dropped future");
        }
    }
    impl Future for Bomb {
        type Output = Do;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Do> {
            std::task::Poll::Ready(add(100))
        }
    }

    Universe::run(1, async |universe| {
        universe.expect_panic("boom in a dropped future");
        let actor = puppet(universe.kernel(), "a", Script::default());
        ask(&actor, deed(|_, world| drop(world.spawn(Bomb)))).await.unwrap();
        resting(&actor).await;
        assert_eq!(ask(&actor, add(1)).await, Ok(1), "its message never came");
    });
}

#[test]
fn a_panic_in_a_timers_message_is_contained() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom later");
        let actor = puppet(universe.kernel(), "a", Script::default());
        ask(&actor, deed(|_, world| drop(world.after(SECOND, boom("boom later"))))).await.unwrap();
        resting(&actor).await;
        assert_eq!(ask(&actor, add(1)).await, Ok(1));
    });
}

#[test]
fn a_panic_in_drop_after_a_panic_does_not_abort_the_process() {
    Universe::run(1, async |universe| {
        universe.expect_panic("first boom");
        universe.expect_panic("boom in drop");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let twice = deed(|puppet, _| {
            puppet.panics_in_drop = true;
            panic!("first boom");
        });
        assert_eq!(ask(&actor, twice).await, Err(panicked("a", "first boom")));
        assert_eq!(ask(&actor, add(1)).await, Ok(1));
        assert_eq!(universe.kernel().totals().get("drop_panicked"), Some(&1));
    });
}

#[test]
fn a_panic_in_drop_of_a_stopped_actor_still_lets_it_stop() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom in drop");
        let actor = puppet(universe.kernel(), "a", Script::default());
        ask(&actor, deed(|puppet, _| puppet.panics_in_drop = true)).await.unwrap();
        universe.kernel().stop_actor(&actor);
        assert_eq!(actor.stopped().await, Exit::Stopped);
    });
}

#[test]
fn a_panic_payload_that_panics_in_its_own_drop_is_contained() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("boom in a payload");
        }
    }

    Universe::run(1, async |universe| {
        universe.expect_panic("a panic without words");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let throw = deed(|_, _| std::panic::panic_any(Grenade));
        assert_eq!(ask(&actor, throw).await, Err(panicked("a", "a panic without words")));
        assert_eq!(ask(&actor, add(1)).await, Ok(1));
    });
}

#[test]
fn a_message_that_panics_when_a_mailbox_is_cleared_hurts_nobody() {
    struct Mine(Arc<Mutex<u32>>);
    impl Drop for Mine {
        fn drop(&mut self) {
            *lock(&self.0) += 1;
            panic!("boom in a message");
        }
    }

    Universe::run(1, async |universe| {
        let actor = puppet(universe.kernel(), "a", Script::default());
        let cleared = Arc::new(Mutex::new(0));
        universe.kernel().stop_actor(&actor);
        for _ in 0..3 {
            let mine = Mine(cleared.clone());
            actor.tell(deed(move |_, _| drop(mine)));
        }
        let waiting = actor.ask(add(1), LONG);
        assert_eq!(waiting.await, Err(stopped("a")));
        actor.stopped().await;
        assert_eq!(*lock(&cleared), 3, "all three were dropped, each with its panic");
    });
}

#[test]
fn a_lost_answer_is_told_to_the_one_who_waits_for_it() {
    struct Owe(crate::Answer<u32>);
    struct Debtor(Vec<crate::Answer<u32>>);
    impl Behavior for Debtor {
        type Seed = ();
        type State = usize;
        fn born(_: &(), _: &mut World<Self>) -> Self {
            Debtor(Vec::new())
        }
        fn state(&self) -> usize {
            self.0.len()
        }
    }
    impl On<Owe> for Debtor {
        type Reply = ();
        fn on(&mut self, Owe(answer): Owe, _: &mut World<Self>) {
            self.0.push(answer);
        }
    }
    struct Pay(u32);
    impl On<Pay> for Debtor {
        type Reply = bool;
        fn on(&mut self, Pay(sum): Pay, _: &mut World<Self>) -> bool {
            assert!(sum > 0, "bankrupt");
            self.0.remove(0).give(sum)
        }
    }

    Universe::run(1, async |universe| {
        universe.expect_panic("bankrupt");
        let debtor = universe.kernel().supervise::<Debtor>("debtor", (), restarts(1));
        let paid = debtor.ask_for(Owe, LONG);
        assert_eq!(debtor.ask(Pay(7), LONG).await, Ok(true));
        assert_eq!(paid.await, Ok(7));

        let lost = debtor.ask_for(Owe, LONG);
        debtor.tell(Pay(0));
        assert_eq!(lost.await, Err(Down::Unanswered { actor: "debtor".into() }));

        let orphaned = debtor.ask_for(Owe, LONG);
        assert_eq!(debtor.observe(LONG).await, Ok(1));
        universe.kernel().stop_actor(&debtor);
        assert_eq!(orphaned.await, Err(stopped("debtor")));
    });
}
