//! One actor cannot take the arbiter for itself, short of a handler that never returns.

use super::*;
use crate::Universe;

fn tell_myself_for_ever() -> Do {
    deed(|puppet, world| {
        puppet.count += 1;
        world.me().tell(tell_myself_for_ever());
    })
}

#[test]
fn an_actor_that_tells_itself_for_ever_leaves_room_for_others() {
    Universe::run(1, async |universe| {
        let busy = puppet(universe.kernel(), "busy", Script::default());
        let bystander = puppet(universe.kernel(), "bystander", Script::default());
        busy.tell(tell_myself_for_ever());
        for turn in 1..=100 {
            assert_eq!(ask(&bystander, add(1)).await, Ok(turn));
        }
        let turns = busy.observe(LONG).await.unwrap();
        assert!(turns > 100, "it does get its work done: {turns}");
        universe.kernel().stop_actor(&busy);
        busy.stopped().await;
    });
}

#[test]
fn messages_of_one_sender_are_handled_in_order_across_pauses() {
    Universe::run(1, async |universe| {
        let log = Log::default();
        let actor = puppet(universe.kernel(), "a", Script { log: log.clone(), ..Script::default() });
        running(&actor).await;
        log.take();
        for number in 0..1_000 {
            actor.tell(deed(move |puppet, _| puppet.log.note(number.to_string())));
        }
        actor.observe(LONG).await.unwrap();
        assert_eq!(log.take(), (0..1_000).map(|number| number.to_string()).collect::<Vec<_>>());
    });
}
