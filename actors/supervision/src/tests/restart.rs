//! What happens between two lives, and when there is no further one.

use super::*;
use crate::{Death, Recipient, Universe};

#[test]
fn the_mailbox_is_kept_in_order_while_the_actor_rests() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let log = Log::default();
        let actor = puppet(universe.kernel(), "a", Script { log: log.clone(), ..Script::default() });
        actor.tell(boom("boom"));
        resting(&actor).await;
        log.take();

        for number in 0..100 {
            actor.tell(deed(move |puppet, _| puppet.log.note(format!("{number}"))));
        }
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(log.take(), Vec::<String>::new(), "nothing is handled at rest");
        assert_eq!(universe.kernel().actors()[0].waiting, 100);

        actor.observe(LONG).await.unwrap();
        let expected: Vec<_> =
            std::iter::once("a born".to_owned()).chain((0..100).map(|n| n.to_string())).collect();
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn a_restart_storm_does_not_burn_the_arbiter() {
    Universe::run(1, async |universe| {
        universe.expect_panic("never");
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(1), 1.0, 0.0).unwrap();
        let hopeless = Policy::new(backoff, 10_000, SECOND).unwrap();
        let script = Script::born(|_| panic!("never"));
        let storm = universe.kernel().supervise::<Puppet>("storm", script, hopeless);
        let bystander = puppet(universe.kernel(), "bystander", Script::default());

        for turn in 1..=50 {
            assert_eq!(ask(&bystander, add(1)).await, Ok(turn), "answered in the middle of the storm");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }

        assert!(storm.standing() == Standing::Restarting);
        let births = universe.kernel().totals()["born_panicked"];
        assert!((50..=110).contains(&births), "one birth a millisecond, not {births}");
    });
}

#[test]
fn an_actor_that_dies_too_often_gives_up_and_answers_everything_at_once() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let poisons: Vec<_> = (0..4).map(|_| actor.ask(boom("boom"), LONG)).collect();
        let behind = actor.ask(add(1), LONG);

        for poison in poisons {
            assert_eq!(poison.await, Err(panicked("a", "boom")));
        }
        assert_eq!(behind.await, Err(gave_up("a")), "three restarts are allowed, not four");
        assert_eq!(universe.kernel().now(), Duration::from_secs(3));

        assert_eq!(ask(&actor, add(1)).await, Err(gave_up("a")));
        assert_eq!(actor.observe(LONG).await, Err(gave_up("a")));
        assert_eq!(universe.kernel().now(), Duration::from_secs(3), "refusing takes no time");
        let info = &universe.kernel().actors()[0];
        assert_eq!((info.standing, &info.last_exit), (Standing::GaveUp, &Some(Exit::GaveUp)));
    });
}

#[test]
fn an_actor_that_gave_up_says_so_even_after_it_was_stopped() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = universe.kernel().supervise::<Puppet>("a", Script::default(), restarts(0));
        actor.tell(boom("boom"));
        actor.until(|standing| standing == Standing::GaveUp).await;
        universe.kernel().stop_actor(&actor);
        actor.stopped().await;
        assert_eq!(ask(&actor, add(1)).await, Err(gave_up("a")));
    });
}

#[test]
fn deaths_outside_the_window_are_forgiven() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script::default());
        for death in 1..=20 {
            actor.tell(boom("boom"));
            assert_eq!(ask(&actor, add(death)).await, Ok(death));
            tokio::time::sleep(Duration::from_secs(34)).await;
        }
        assert_eq!(universe.kernel().actors()[0].restarts, 20);
    });
}

#[test]
fn the_kernel_is_told_when_a_top_level_actor_gave_up() {
    let log = Log::default();
    let heard = log.clone();
    let options = crate::Options {
        gave_up: Some(Recipient::new("log", move |death: Death| {
            heard.note(format!("{}: {}", death.actor, death.exit))
        })),
        ..crate::Options::default()
    };
    Universe::run_with(options, async |universe| {
        universe.expect_panic("boom");
        let actor = universe.kernel().supervise::<Puppet>("a", Script::default(), restarts(0));
        let other = puppet(universe.kernel(), "b", Script::default());
        assert_eq!(ask(&actor, boom("boom")).await, Err(panicked("a", "boom")));
        assert_eq!(ask(&other, add(1)).await, Ok(1));
    });
    assert_eq!(log.take(), ["a: a handler panicked: boom"]);
}

#[test]
fn timers_and_futures_of_a_dead_instance_never_reach_the_next_one() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let log = Log::default();
        let actor = puppet(universe.kernel(), "a", Script { log: log.clone(), ..Script::default() });
        let says = |words: &'static str| deed(move |puppet, _| puppet.log.note(words));
        let start = deed(move |_, world| {
            world.after(Duration::ZERO, says("due at the death"));
            world.after(Duration::from_secs(5), says("timer"));
            world.spawn(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                says("future")
            });
            let me = world.me().clone();
            world.run(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                me.tell(says("through the address"));
            });
            world.spawn(std::future::ready(says("ready at the death")));
        });
        let last_words = deed(|puppet, _| {
            puppet.log.note("dying");
            panic!("boom");
        });
        ask(&actor, start).await.unwrap();
        actor.tell(last_words);
        resting(&actor).await;
        running(&actor).await;
        log.take();
        assert_eq!(universe.kernel().tasks(), 0, "they are gone, not only silent");

        tokio::time::sleep(Duration::from_secs(60)).await;
        actor.observe(LONG).await.unwrap();
        assert_eq!(log.take(), Vec::<String>::new());
    });
}

#[test]
fn a_dead_instances_message_that_lies_in_the_mailbox_is_not_handled() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let log = Log::default();
        let actor = puppet(universe.kernel(), "a", Script { log: log.clone(), ..Script::default() });
        let says = |words: &'static str| deed(move |puppet, _| puppet.log.note(words));
        ask(&actor, deed(move |_, world| drop(world.after(SECOND, says("old"))))).await.unwrap();

        // both fall due in the same instant; the death is handled first and finds the timer's message behind it
        tokio::time::sleep(SECOND).await;
        actor.tell(boom("boom"));
        actor.tell(says("new"));
        resting(&actor).await;
        actor.observe(LONG).await.unwrap();

        let heard = log.take();
        assert!(heard.ends_with(&["a dropped".into(), "a born".into(), "new".into()]), "{heard:?}");
    });
}

#[test]
fn another_life_draws_other_numbers() {
    use rand::RngExt;
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let log = Log::default();
        let draw = || {
            deed(|puppet, world| {
                let (life, number) = (world.life(), world.rng().random::<u64>());
                puppet.log.note(format!("{life} {number}"));
            })
        };
        let actor = puppet(universe.kernel(), "a", Script { log: log.clone(), ..Script::default() });
        running(&actor).await;
        log.take();
        ask(&actor, draw()).await.unwrap();
        let first = log.take();
        actor.tell(boom("boom"));
        running(&actor).await;
        ask(&actor, draw()).await.unwrap();
        let second = log.take();
        assert!(first[0].starts_with("1 "));
        let number = first[0].split_once(' ').unwrap().1;
        assert!(second.last().unwrap().starts_with("2 ") && !second.last().unwrap().ends_with(number));
    });
}
