//! Inside a real actix system, in real time, on more than one thread.

use std::thread;

use super::*;
use crate::{Options, Universe};

/// Real time: generous, never asserted on.
const PATIENCE: Duration = Duration::from_secs(30);

fn quick() -> Policy {
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 2.0, 0.5).unwrap();
    Policy::new(backoff, 3, Duration::from_secs(3_600)).unwrap()
}

#[test]
fn actors_live_die_and_return_inside_an_actix_system() {
    actix_rt::System::new().block_on(async {
        let universe = Universe::new(Options::default());
        universe.expect_panic("boom");
        let actor = universe.kernel().supervise::<Puppet>("a", Script::default(), quick());
        let poison = actor.ask(boom("boom"), PATIENCE);
        let behind = actor.ask(add(1), PATIENCE);
        assert_eq!(poison.await, Err(panicked("a", "boom")));
        assert_eq!(behind.await, Ok(1));
        universe.close().await;
    });
}

/// A behavior whose seed can travel.
struct Threaded(thread::ThreadId);

struct Where;

struct Fall;

impl Behavior for Threaded {
    type Seed = u8;
    type State = u8;

    fn born(_: &u8, _: &mut World<Self>) -> Self {
        Threaded(thread::current().id())
    }

    fn state(&self) -> u8 {
        0
    }
}

impl On<Where> for Threaded {
    type Reply = thread::ThreadId;

    fn on(&mut self, _: Where, _: &mut World<Self>) -> thread::ThreadId {
        self.0
    }
}

impl On<Fall> for Threaded {
    type Reply = ();

    fn on(&mut self, _: Fall, _: &mut World<Self>) {
        panic!("boom elsewhere");
    }
}

#[test]
fn an_actor_on_another_arbiter_is_supervised_alike() {
    actix_rt::System::new().block_on(async {
        let universe = Universe::new(Options::default());
        universe.expect_panic("boom elsewhere");
        let arbiter = universe.kernel().arbiter("elsewhere");
        let actor = universe.kernel().supervise_on::<Threaded>(&arbiter, "a", 1, quick());

        let before = actor.ask(Where, PATIENCE).await.unwrap();
        let poison = actor.ask(Fall, PATIENCE).await;
        let after = actor.ask(Where, PATIENCE).await.unwrap();

        assert_ne!(before, thread::current().id());
        assert_eq!(before, after, "reborn where it lived");
        assert_eq!(poison, Err(panicked("a", "boom elsewhere")));
        universe.close().await;
        assert_eq!(actor.ask(Where, PATIENCE).await, Err(stopped("a")));
    });
}

#[test]
fn an_address_works_from_a_thread_that_knows_no_actors() {
    actix_rt::System::new().block_on(async {
        let universe = Universe::new(Options::default());
        let actor = universe.kernel().supervise::<Puppet>("a", Script::default(), quick());
        let address = actor.clone();
        let outside = thread::spawn(move || {
            for _ in 0..1_000 {
                address.tell(add(1));
            }
        });
        actix_rt::task::spawn_blocking(move || outside.join()).await.unwrap().unwrap();
        assert_eq!(actor.observe(PATIENCE).await, Ok(1_000));
        universe.close().await;
    });
}

#[test]
fn askers_are_answered_when_the_arbiter_ends_under_the_actor() {
    let log = Log::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    let script_log = log.clone();
    thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let kernel = Kernel::start(Options::default());
            let script = Script { log: script_log, ..Script::default() };
            let actor = kernel.supervise::<Puppet>("a", script, quick());
            running(&actor).await;
            sender.send((actor.ask(add(1), PATIENCE), actor)).unwrap();
        });
    })
    .join()
    .unwrap();

    let (asked, actor) = receiver.recv().unwrap();
    actix_rt::System::new().block_on(async {
        assert_eq!(asked.await, Err(stopped("a")));
        assert_eq!(actor.stopped().await, Exit::ArbiterEnded);
        assert_eq!(actor.ask(add(1), PATIENCE).await, Err(stopped("a")));
    });
    assert_eq!(log.take(), ["a born", "a dropped"]);
}
