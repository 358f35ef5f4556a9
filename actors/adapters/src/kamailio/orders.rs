//! What an order becomes: a question to the server, or a task of the agent.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, Load, Order, Refused, Said, Why};

use super::flight::{ORDERS_MAX, Purpose, Timer, Work};
use super::machine::{Kamailio, Phase};
use super::rpc::{Answer, LIST_WITHIN, Method, Trouble};
use super::shapes::{Active, Counters};
use crate::adapter::{LinkError, Output, Ticket};
use crate::wire_format::jsonrpc::Param;

/// The deadline of an order of ours: each of its questions has a shorter one.
const ORDER_WITHIN: Duration = Duration::from_secs(12);

impl Kamailio {
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        if self.phase != Phase::Ready {
            return self.refuse(ticket, Refused::unsent(Why::NotReady));
        }
        match order {
            Order::Drop { leg, .. } if self.life.foreign.contains_key(&leg) => self.end(ticket, leg),
            Order::Drain { on } => self.drain(ticket, on),
            Order::List => {
                if self.begin(ticket, Work::List) {
                    self.list_for(ticket);
                }
            }
            Order::Load => {
                if self.begin(ticket, Work::Load(Load::default())) {
                    self.ask_plain(Method::Active, Purpose::Load(ticket));
                }
            }
            Order::Probe => self.probe(ticket),
            Order::Inspect => self.inspect(ticket),
            calls => self.order_calls(ticket, calls),
        }
    }

    /// Remembers an order that has begun; `false` if there are too many.
    pub(super) fn begin(&mut self, ticket: Ticket, work: Work) -> bool {
        if self.life.orders.len() >= ORDERS_MAX {
            self.refuse(ticket, Refused::unsent(Why::Overloaded));
            return false;
        }
        let within = if matches!(work, Work::List) { LIST_WITHIN + ORDER_WITHIN } else { ORDER_WITHIN };
        self.life.orders.insert(ticket, work);
        self.life.timers.arm(Timer::Order(ticket), self.now + within);
        true
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        self.out.push_back(Output::Answer(ticket, Err(refused)));
    }

    pub(super) fn order_late(&mut self, ticket: Ticket) {
        match self.life.orders.get(&ticket) {
            Some(Work::Inspect(_)) => self.inspection_over(ticket),
            Some(_) => self.finish(ticket, Err(unproven(None))),
            None => {}
        }
    }

    // ---- load ------------------------------------------------------------------------------------------------------

    /// One call of ours counts as two: the server sees dialogs (sheet, section 6).
    pub(super) fn active_told(&mut self, ticket: Ticket, answer: &Answer) {
        match answer.read::<Active>() {
            Ok(active) => {
                if let Some(Work::Load(load)) = self.life.orders.get_mut(&ticket) {
                    load.legs = Some(active.all);
                }
                let params = [Param::Text("dialog:")];
                self.ask(Method::Counters, &params, Purpose::Ever(ticket)).expect("the name is fit");
            }
            Err(trouble) => self.finish(ticket, Err(refused(&trouble))),
        }
    }

    /// Not every server counts; then this figure is absent.
    pub(super) fn counters_told(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::Load(load)) = self.life.orders.get_mut(&ticket) else { return };
        load.legs_ever = answer.read::<Counters>().ok().and_then(|counters| counters.processed);
        let load = *load;
        self.finish(ticket, Ok(Done::Loaded(load)));
    }
}

/// What a question that failed means for the order that asked it.
pub(super) fn refused(trouble: &Trouble) -> Refused {
    let evidence = match trouble {
        Trouble::Link(LinkError::Refused | LinkError::NoRoute(_)) => Evidence::NothingSent,
        Trouble::Link(_) => Evidence::Unknown,
        Trouble::Said(_) => Evidence::NotDone,
    };
    let why = match trouble {
        Trouble::Link(LinkError::TimedOut) => Why::Unproven,
        Trouble::Link(_) => Why::LinkLost,
        Trouble::Said(_) if trouble.is_no_method() => Why::Prerequisite,
        Trouble::Said(_) => Why::Refused,
    };
    let said = Some(Said::new(None, &trouble.to_string()));
    Refused { why, cause: Cause::ServerFailure, evidence, said }
}

pub(super) fn unproven(said: Option<Said>) -> Refused {
    Refused { why: Why::Unproven, cause: Cause::ServerFailure, evidence: Evidence::Unknown, said }
}
