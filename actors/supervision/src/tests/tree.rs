//! Parents and children: strategies, escalation, stopping in order.

use super::*;
use crate::Universe;

type Family = Arc<Mutex<Vec<Address<Puppet>>>>;

/// A parent of three; the addresses of the present life's children are left in `family`.
fn parent_of_three(log: &Log, family: &Family, strategy: Strategy, keeps_on: bool) -> Script {
    let (children_log, family) = (log.clone(), family.clone());
    let birth = move |world: &mut World<Puppet>| {
        let script = || Script { log: children_log.clone(), ..Script::default() };
        let names = ["one", "two", "three"];
        let born = names.map(|name| world.supervise::<Puppet>(name, script(), restarts(1)));
        *lock(&family) = born.to_vec();
    };
    Script { log: log.clone(), strategy, keeps_on, ..Script::born(birth) }
}

async fn settled(family: &Family) -> Vec<Address<Puppet>> {
    let children = lock(family).clone();
    for child in &children {
        running(child).await;
    }
    children
}

#[test]
fn children_are_born_in_order_after_their_parent() {
    Universe::run(1, async |universe| {
        let (log, family) = (Log::default(), Family::default());
        let parent = parent_of_three(&log, &family, Strategy::OneForOne, false);
        running(&puppet(universe.kernel(), "p", parent)).await;
        settled(&family).await;
        assert_eq!(log.take(), ["p born", "p/one born", "p/two born", "p/three born"]);
    });
}

#[test]
fn one_for_one_leaves_siblings_untouched() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let parent = parent_of_three(&log, &family, Strategy::OneForOne, false);
        running(&puppet(universe.kernel(), "p", parent)).await;
        let children = settled(&family).await;
        log.take();

        children[0].tell(boom("boom"));
        assert_eq!(ask(&children[0], add(1)).await, Ok(1));

        assert_eq!(log.take(), ["p/one dropped", "p/one born"]);
    });
}

#[test]
fn rest_for_one_restarts_later_siblings_in_order() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let parent = parent_of_three(&log, &family, Strategy::RestForOne, false);
        running(&puppet(universe.kernel(), "p", parent)).await;
        let children = settled(&family).await;
        log.take();

        children[1].tell(boom("boom"));
        resting(&children[2]).await;
        assert_eq!(ask(&children[2], add(1)).await, Ok(1), "the same address, after the restart");
        let order = ["p/two dropped", "p/three dropped", "p/two born", "p/three born"];
        assert_eq!(log.take(), order);

        tokio::time::sleep(Duration::from_secs(200)).await;
        children[0].tell(boom("boom"));
        resting(&children[2]).await;
        assert_eq!(ask(&children[2], add(1)).await, Ok(1));
        let order =
            ["p/one dropped", "p/three dropped", "p/two dropped", "p/one born", "p/two born", "p/three born"];
        assert_eq!(log.take(), order);
        let restarts: Vec<_> = universe.kernel().actors().iter().map(|actor| actor.restarts).collect();
        assert_eq!(restarts, [0, 1, 2, 2], "in the order p, p/one, p/three, p/two");
    });
}

#[test]
fn rest_for_one_counts_only_the_one_that_died() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let birth_log = log.clone();
        let shared = family.clone();
        let birth = move |world: &mut World<Puppet>| {
            let script = || Script { log: birth_log.clone(), ..Script::default() };
            let first = world.supervise::<Puppet>("first", script(), restarts(10));
            let fragile = world.supervise::<Puppet>("fragile", script(), restarts(0));
            *lock(&shared) = vec![first, fragile];
        };
        let script = Script { strategy: Strategy::RestForOne, ..Script::born(birth) };
        running(&puppet(universe.kernel(), "p", script)).await;
        let children = settled(&family).await;
        for _ in 0..5 {
            children[0].tell(boom("boom"));
            resting(&children[1]).await;
            assert_eq!(ask(&children[1], add(1)).await, Ok(1));
        }
        assert_eq!(universe.kernel().totals()["sibling_died"], 5);
    });
}

#[test]
fn rest_for_one_survives_deaths_of_several_siblings_at_once() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let parent = parent_of_three(&log, &family, Strategy::RestForOne, false);
        running(&puppet(universe.kernel(), "p", parent)).await;
        let children = settled(&family).await;
        log.take();

        for child in children.iter().rev() {
            child.tell(boom("boom"));
        }
        for child in &children {
            resting(child).await;
        }
        for child in &children {
            assert_eq!(ask(child, add(1)).await, Ok(1));
        }
        let births: Vec<_> = log.take().into_iter().filter(|line| line.ends_with("born")).collect();
        assert_eq!(births, ["p/one born", "p/two born", "p/three born"]);
    });
}

#[test]
fn a_child_supervised_while_an_earlier_one_rests_waits_for_it() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let parent = parent_of_three(&log, &family, Strategy::RestForOne, false);
        let parent = puppet(universe.kernel(), "p", parent);
        running(&parent).await;
        let children = settled(&family).await;
        children[0].tell(boom("boom"));
        resting(&children[2]).await;
        log.take();

        let child_log = log.clone();
        let (sender, receiver) = std::sync::mpsc::channel();
        let supervise = deed(move |_, world| {
            let script = Script { log: child_log, ..Script::default() };
            sender.send(world.supervise::<Puppet>("four", script, restarts(1))).unwrap();
        });
        ask(&parent, supervise).await.unwrap();
        running(&receiver.recv().unwrap()).await;

        assert_eq!(log.take(), ["p/one born", "p/two born", "p/three born", "p/four born"]);
    });
}

#[test]
fn giving_up_escalates_to_the_parent_which_is_born_again_with_fresh_children() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let script = parent_of_three(&log, &family, Strategy::OneForOne, false);
        let parent = puppet(universe.kernel(), "p", script);
        running(&parent).await;
        let before = settled(&family).await;
        ask(&parent, add(7)).await.unwrap();
        log.take();

        before[1].tell(boom("boom"));
        before[1].tell(boom("boom"));
        before[1].until(|standing| standing >= Standing::GaveUp).await;
        assert_eq!(ask(&parent, add(1)).await, Ok(1), "answered by a fresh parent");

        assert_eq!(ask(&before[1], add(1)).await, Err(gave_up("p/two")));
        assert_eq!(ask(&before[0], add(1)).await, Err(stopped("p/one")));
        let after = settled(&family).await;
        assert_eq!(ask(&after[1], add(1)).await, Ok(1));
        let end_of_the_first_life = [
            "p/two dropped",
            "p/two born",
            "p/two dropped",
            "p hears that p/two gave up: a handler panicked: boom",
            "p dropped",
            "p/three dropped",
            "p/one dropped",
            "p born",
            "p/one born",
            "p/two born",
            "p/three born",
        ];
        assert_eq!(log.take(), end_of_the_first_life);
        assert_eq!(universe.kernel().totals()["child_gave_up"], 1);
    });
}

#[test]
fn failure_climbs_until_the_kernel_hears_of_it() {
    Universe::run(1, async |universe| {
        universe.expect_panic("never");
        let birth = |world: &mut World<Puppet>| {
            let child = |world: &mut World<Puppet>| {
                world.supervise::<Puppet>("leaf", Script::born(|_| panic!("never")), restarts(0));
            };
            world.supervise::<Puppet>("branch", Script::born(child), restarts(1));
        };
        let tree = universe.kernel().supervise::<Puppet>("tree", Script::born(birth), restarts(1));
        tree.until(|standing| standing == Standing::GaveUp).await;
        let totals = universe.kernel().totals();
        // each of the tree's two lives sees two lives of its branch, each of those one leaf
        assert_eq!(totals["born_panicked"], 4);
        assert_eq!(totals["child_gave_up"], 6);
        tree.until(|standing| standing == Standing::GaveUp).await;
        while universe.kernel().actors().len() > 1 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_parent_may_keep_on_without_a_child_that_gave_up() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let script = parent_of_three(&log, &family, Strategy::OneForOne, true);
        let parent = puppet(universe.kernel(), "p", script);
        running(&parent).await;
        let children = settled(&family).await;
        ask(&parent, add(7)).await.unwrap();

        children[1].tell(boom("boom"));
        children[1].tell(boom("boom"));
        children[1].until(|standing| standing == Standing::GaveUp).await;

        assert_eq!(ask(&parent, add(1)).await, Ok(8));
        assert_eq!(ask(&children[1], add(1)).await, Err(gave_up("p/two")));
        assert_eq!(ask(&children[0], add(1)).await, Ok(1));
    });
}

#[test]
fn a_dead_parent_stops_its_children_before_it_is_born_again() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let (log, family) = (Log::default(), Family::default());
        let script = parent_of_three(&log, &family, Strategy::OneForOne, false);
        let parent = puppet(universe.kernel(), "p", script);
        running(&parent).await;
        let before = settled(&family).await;
        log.take();

        parent.tell(boom("boom"));
        ask(&parent, add(1)).await.unwrap();
        settled(&family).await;

        let order = [
            "p dropped",
            "p/three dropped",
            "p/two dropped",
            "p/one dropped",
            "p born",
            "p/one born",
            "p/two born",
            "p/three born",
        ];
        assert_eq!(log.take(), order);
        assert_eq!(before[0].standing(), Standing::Stopped);
    });
}

#[test]
fn stopping_goes_last_to_first_and_answers_everyone() {
    Universe::run(1, async |universe| {
        let (log, family) = (Log::default(), Family::default());
        let script = parent_of_three(&log, &family, Strategy::OneForOne, false);
        let parent = puppet(universe.kernel(), "p", script);
        running(&parent).await;
        let children = settled(&family).await;
        let last = puppet(universe.kernel(), "q", Script { log: log.clone(), ..Script::default() });
        running(&last).await;
        log.take();

        // each is told to stop by its own handler or the kernel, with askers behind
        let stop = parent.ask(deed(|_, world| world.stop()), LONG);
        let to_parent: Vec<_> = (0..100).map(|_| parent.ask(add(1), LONG)).collect();
        let stopping = universe.kernel().stop();
        let to_children: Vec<_> = children.iter().map(|child| child.ask(add(1), LONG)).collect();
        stopping.await;

        assert_eq!(stop.await, Ok(0), "the handler that asked for the end is still answered");
        for ask in to_parent {
            assert_eq!(ask.await, Err(stopped("p")));
        }
        for ask in to_children {
            let answer = ask.await;
            assert!(answer == Ok(1) || matches!(answer, Err(Down::Stopped { .. })), "{answer:?}");
        }
        for child in &children {
            assert_eq!(ask(child, add(1)).await, Err(stopped(child.name())));
        }
        let family: Vec<_> = log.take().into_iter().filter(|line| line.starts_with('p')).collect();
        assert_eq!(family, ["p/three dropped", "p/two dropped", "p/one dropped", "p dropped"]);
        assert!(universe.kernel().actors().is_empty());
    });
}

#[test]
fn a_stopping_actor_runs_no_future_while_its_children_stop() {
    Universe::run(1, async |universe| {
        let (log, family) = (Log::default(), Family::default());
        let script = parent_of_three(&log, &family, Strategy::OneForOne, false);
        let parent = puppet(universe.kernel(), "p", script);
        running(&parent).await;
        settled(&family).await;
        let ticking = deed(|puppet, world| {
            let log = puppet.log.clone();
            world.run(std::future::poll_fn(move |context| {
                log.note("tick");
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }));
        });
        ask(&parent, ticking).await.unwrap();
        while !log.take().contains(&"tick".to_owned()) {
            tokio::task::yield_now().await;
        }

        parent.tell(deed(|puppet, world| {
            puppet.log.note("told to stop");
            world.stop();
        }));
        parent.stopped().await;

        let lines = log.take();
        let told = lines.iter().position(|line| line == "told to stop").unwrap();
        let expected = ["p/three dropped", "p/two dropped", "p/one dropped", "p dropped"];
        assert_eq!(lines[told + 1..], expected);
    });
}

#[test]
fn an_actor_at_rest_is_stopped_at_once() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let backoff = Backoff::new(Duration::from_secs(1_000), Duration::from_secs(1_000), 1.0, 0.0).unwrap();
        let sleepy = Policy::new(backoff, 1, SECOND).unwrap();
        let actor = universe.kernel().supervise::<Puppet>("a", Script::default(), sleepy);
        actor.tell(boom("boom"));
        resting(&actor).await;
        let waiting = actor.ask(add(1), LONG);

        universe.kernel().stop_actor(&actor);

        assert_eq!(waiting.await, Err(stopped("a")));
        assert_eq!(universe.kernel().now(), Duration::ZERO);
    });
}

#[test]
fn a_stopped_child_leaves_its_name_free_and_strangers_are_not_stopped() {
    Universe::run(1, async |universe| {
        let stranger = puppet(universe.kernel(), "stranger", Script::default());
        let parent = puppet(universe.kernel(), "p", Script::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let replace = deed(move |_, world| {
            assert!(!world.stop_child(&stranger));
            let old = world.supervise::<Puppet>("child", Script::default(), restarts(1));
            assert!(world.stop_child(&old));
            let new = world.supervise::<Puppet>("child", Script::default(), restarts(1));
            sender.send((old, new)).unwrap();
        });
        ask(&parent, replace).await.unwrap();
        let (old, new) = receiver.recv().unwrap();
        assert_eq!(old.stopped().await, Exit::Stopped);
        assert_eq!(ask(&new, add(1)).await, Ok(1));
    });
}

#[test]
fn a_name_in_use_kills_the_parent_that_gives_it_twice() {
    Universe::run(1, async |universe| {
        universe.expect_panic("an actor named p/child is already alive");
        let parent = puppet(universe.kernel(), "p", Script::default());
        let twice = deed(|_, world| {
            world.supervise::<Puppet>("child", Script::default(), restarts(1));
            world.supervise::<Puppet>("child", Script::default(), restarts(1));
        });
        let said = "an actor named p/child is already alive";
        assert_eq!(ask(&parent, twice).await, Err(panicked("p", said)));
        assert_eq!(ask(&parent, add(1)).await, Ok(1));
    });
}

#[test]
fn whatever_dies_when_a_rest_for_one_family_comes_to_rest_complete_and_in_order() {
    use rand::{RngExt, SeedableRng};

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    for seed in 0..200 {
        Universe::run(seed, async |universe| {
            universe.expect_panic("boom");
            let (log, family) = (Log::default(), Family::default());
            let (children_log, children) = (log.clone(), family.clone());
            let birth = move |world: &mut World<Puppet>| {
                let script = || Script { log: children_log.clone(), ..Script::default() };
                *lock(&children) =
                    NAMES.map(|name| world.supervise::<Puppet>(name, script(), restarts(1_000))).to_vec();
            };
            let script = Script { strategy: Strategy::RestForOne, ..Script::born(birth) };
            running(&puppet(universe.kernel(), "p", script)).await;
            let children = settled(&family).await;

            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            for _ in 0..30 {
                children[rng.random_range(0..NAMES.len())].tell(boom("boom"));
                for _ in 0..rng.random_range(0..4) {
                    tokio::task::yield_now().await;
                }
                if rng.random_ratio(1, 4) {
                    tokio::time::sleep(Duration::from_millis(rng.random_range(0..2_000))).await;
                }
            }

            tokio::time::sleep(Duration::from_secs(2_000)).await;
            for child in &children {
                assert_eq!(child.standing(), Standing::Running, "seed {seed}: {child:?}");
            }
            let lines = log.take();
            let last_births: Vec<_> = NAMES
                .map(|name| lines.iter().rposition(|line| *line == format!("p/{name} born")).unwrap())
                .to_vec();
            assert!(
                last_births.is_sorted(),
                "seed {seed}: each was born after those it depends on: {last_births:?}"
            );
        });
    }
}
