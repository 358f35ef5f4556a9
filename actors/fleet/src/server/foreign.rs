//! Legs that are not ours: listed, and ended when a user names one. Nothing else is ever done to them.

use ifbus_call::order::Evidence;
use ifbus_call::{Cause, LegId, Order, Outcome, Refused, Why};
use ifbus_supervision::{Answer, World};

use super::{HangUpForeign, Purpose, Server, at};
use crate::problem::{Code, Problem};
use crate::view::ForeignView;

/// A foreign leg that is being ended, and who waits for it.
pub(super) struct Ending {
    view: ForeignView,
    answer: Answer<Result<ForeignView, Problem>>,
}

impl Server {
    pub(super) fn hang_up_foreign(&mut self, asked: HangUpForeign, world: &World<Self>) {
        let HangUpForeign { leg, answer } = asked;
        let listed = self.shared.board.foreign().into_iter();
        let found =
            listed.filter(|view| view.server == self.spec.name).find(|view| view.id == leg.to_string());
        match found {
            Some(view) if self.condition.takes_calls() => {
                let order = Order::Drop { leg, cause: Cause::Answered };
                self.give(order, Purpose::Foreign(Box::new(Ending { view, answer })), at(world));
            }
            Some(_) => {
                answer.give(Err(Problem::new(Code::ServerDown, "the server of this leg is not connected")));
            }
            None => {
                answer.give(Err(unknown(leg)));
            }
        }
    }

    /// It has ended, or not. The list is read again, so that what is shown is so.
    pub(super) fn foreign_ended(&mut self, outcome: Outcome, ending: Ending, world: &World<Self>) {
        let now = at(world);
        self.give(Order::List, Purpose::Reconcile(now), now);
        ending.answer.give(match outcome {
            Ok(_) => Ok(ending.view),
            Err(refused) => Err(not_ended(&refused)),
        });
    }
}

/// A server that cannot end what others began was asked for nothing: the leg is simply not ours.
fn not_ended(refused: &Refused) -> Problem {
    match (&refused.said, refused.why, refused.evidence) {
        (Some(said), Why::Refused, Evidence::NothingSent) => {
            Problem::new(Code::NotOurs, format!("nothing was sent: {}", said.text))
        }
        _ => Problem::new(Code::ServerRefused, format!("the leg was not ended: {refused}")),
    }
}

/// No leg that is not ours has this id.
pub(crate) fn unknown(leg: LegId) -> Problem {
    Problem::new(Code::UnknownCall, format!("no foreign leg has the id {leg}"))
        .suggest("ifbus calls --foreign")
}
