//! Draining: no new calls of ours from the moment it is asked for, none from the server's telephones as soon as the
//! server says so, also after a restart of either side. Calls that are there go on.

use std::sync::PoisonError;

use ifbus_call::{Done, Nanos, Order, Outcome};
use ifbus_supervision::{Answer, World};

use super::{Drain, Purpose, Server, at};
use crate::problem::{Code, Problem};
use crate::store::Change;
use crate::view::{DrainView, ServerView};

impl Server {
    /// Our own side is closed at once; the server is told if it is there, else when it is back.
    pub(super) fn drain(&mut self, drain: Drain, world: &World<Self>) {
        let now = at(world);
        let Drain { on, answer } = drain;
        let before = self.draining();
        if on == before.is_some() && before.is_none_or(|drain| drain.inbound.is_some()) {
            answer.give(Ok(self.view()));
            return;
        }
        let since = on.then(|| self.shared.clock.at(world.now()));
        self.set_draining(since.map(|since| DrainView { since, inbound: None }));
        self.shared.store.note(Change::Drain(self.spec.name.clone(), since));
        let (kind, text) = if on {
            ("server.draining", "takes no new calls")
        } else {
            ("server.undrained", "takes calls again")
        };
        self.say(kind, text.to_owned(), now);
        if self.condition.takes_calls() {
            self.give(Order::Drain { on }, Purpose::Drain(Some(answer)), now);
        } else {
            answer.give(Ok(self.view()));
        }
    }

    /// A server that was started anew has forgotten that it drains.
    pub(super) fn drain_again(&mut self, now: Nanos) {
        if self.draining().is_some() {
            self.give(Order::Drain { on: true }, Purpose::Drain(None), now);
        }
    }

    pub(super) fn drained(&mut self, outcome: Outcome, answer: Option<Answer<Result<ServerView, Problem>>>) {
        let result = match outcome {
            Ok(Done::Drained(inbound)) => {
                if let Some(drain) = self.draining() {
                    self.set_draining(Some(DrainView { inbound: Some(inbound), ..drain }));
                }
                Ok(self.view())
            }
            Ok(_) => Ok(self.view()),
            // Ours is closed all the same; the server is told again when the links are back.
            Err(refused) if refused.is_of_the_link() => Ok(self.view()),
            Err(refused) => {
                let detail = format!(
                    "no new calls of ours go to {}, but it did not take the order: {refused}",
                    self.spec.name
                );
                Err(Problem::new(Code::ServerRefused, detail))
            }
        };
        // Shown before it is answered: whoever hears of it can look at it.
        self.show();
        if let Some(answer) = answer {
            answer.give(result);
        }
    }

    pub(super) fn draining(&self) -> Option<DrainView> {
        self.memory.draining.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_draining(&self, drain: Option<DrainView>) {
        *self.memory.draining.lock().unwrap_or_else(PoisonError::into_inner) = drain;
    }
}
