//! The universe complains: a test that should fail does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::{Options, Universe};

fn complaint(story: impl AsyncFnOnce(&Universe)) -> String {
    let failed =
        catch_unwind(AssertUnwindSafe(|| Universe::run(11, story))).expect_err("the story must fail");
    failed.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn an_unexpected_panic_fails_the_story_and_names_the_seed() {
    let said = complaint(async |universe| {
        universe.expect_panic("other");
        let actor = puppet(universe.kernel(), "a", Script::default());
        assert_eq!(ask(&actor, boom("surprise")).await, Err(panicked("a", "surprise")));
    });
    assert!(said.contains("seed 11") && said.contains("surprise"), "{said}");
}

#[test]
fn an_expected_panic_that_never_comes_fails_the_story() {
    let said = complaint(async |universe| universe.expect_panic("boom"));
    assert!(said.contains("\"boom\" never came"), "{said}");
}

#[test]
fn a_future_that_outlives_its_actor_fails_the_story() {
    let said = complaint(async |universe| std::mem::forget(universe.kernel().count_task()));
    assert!(said.contains("outlived"), "{said}");
}

#[test]
fn a_universe_left_with_living_actors_complains() {
    let left = catch_unwind(|| {
        actix_rt::System::new().block_on(async {
            let universe = Universe::new(Options::default());
            let actor = puppet(universe.kernel(), "left", Script::default());
            running(&actor).await;
        });
    });
    let said = left.expect_err("it must complain").downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains("left with living actors: [\"left\"]"), "{said}");
}
