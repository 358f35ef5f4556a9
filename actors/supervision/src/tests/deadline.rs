//! Deadlines, cancellation, and who listens.

use std::pin::Pin;

use super::*;
use crate::{Recipient, Universe};

type Asker = Pin<Box<dyn Future<Output = Result<u32, Down>> + Send>>;

#[test]
fn an_ask_beyond_its_deadline_is_told_so_and_is_not_handled_later() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script::default());
        actor.tell(boom("boom"));
        resting(&actor).await;

        let within = Duration::from_millis(100);
        let late = actor.ask(add(1), within).await;

        assert_eq!(late, Err(Down::TimedOut { actor: "a".into(), within }));
        assert_eq!(universe.kernel().now(), within);
        assert_eq!(actor.observe(LONG).await, Ok(0), "nobody waited for it any more");
    });
}

#[test]
fn a_reply_that_comes_after_the_deadline_is_discarded() {
    Universe::run(1, async |universe| {
        let actor = puppet(universe.kernel(), "a", Script::default());
        let asker: Arc<Mutex<Option<Asker>>> = Arc::default();
        // the asker leaves while the handler is at work
        let leaving = asker.clone();
        let slow = deed(move |puppet, _| {
            puppet.count += 1;
            assert!(lock(&leaving).take().is_some());
        });
        *lock(&asker) = Some(Box::pin(actor.ask(slow, LONG)));

        assert_eq!(actor.observe(LONG).await, Ok(1), "handled, its reply discarded, the actor unharmed");
        assert!(lock(&asker).is_none());
    });
}

#[test]
fn a_canceled_timer_or_future_is_silent() {
    Universe::run(1, async |universe| {
        let actor = puppet(universe.kernel(), "a", Script::default());
        let start = deed(move |_, world| {
            let canceled = [world.after(SECOND, add(1)), world.spawn(std::future::ready(add(100)))];
            world.after(SECOND, add(10));
            canceled.iter().for_each(crate::Task::cancel);
        });
        ask(&actor, start).await.unwrap();
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(universe.kernel().tasks(), 1, "a canceled future is gone, not only silent");

        tokio::time::sleep(SECOND * 2).await;
        assert_eq!(actor.observe(LONG).await, Ok(10));
    });
}

#[test]
fn a_canceled_message_in_the_mailbox_is_not_handled() {
    Universe::run(1, async |universe| {
        let actor = puppet(universe.kernel(), "a", Script::default());
        let slot: Arc<Mutex<Option<crate::Timer>>> = Arc::default();
        let kept = slot.clone();
        // the future posts its message and the canceling one in one go, so the first is in the mailbox when it is canceled
        let me = actor.clone();
        let cancels = deed(move |_, _| lock(&kept).take().unwrap().cancel());
        let start = deed(move |_, world| {
            let timer = world.spawn(async move {
                me.tell(cancels);
                add(1)
            });
            *lock(&slot) = Some(timer);
        });
        ask(&actor, start).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert_eq!(actor.observe(LONG).await, Ok(0));
    });
}

#[test]
fn a_recipient_forgets_the_actor_but_not_its_restarts() {
    Universe::run(1, async |universe| {
        universe.expect_panic("boom");
        let actor = puppet(universe.kernel(), "a", Script::default());
        let log = Log::default();
        let heard = log.clone();
        let listeners: Vec<Recipient<Do>> =
            vec![actor.recipient(), Recipient::new("no actor", move |_: Do| heard.note("heard"))];

        actor.tell(boom("boom"));
        resting(&actor).await;
        for listener in &listeners {
            listener.tell(add(3));
        }

        assert_eq!(actor.observe(LONG).await, Ok(3));
        assert_eq!(log.take(), ["heard"]);
        assert_eq!(&**listeners[0].name(), "a");
    });
}
