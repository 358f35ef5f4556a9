//! What an order becomes: a question to the server, or a task of the agent.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, Load, Order, Refused, Said, Why};

use super::flight::{ORDERS_MAX, Purpose, Timer, Work};
use super::machine::{OpenSips, Phase};
use super::mi::{Answer, Command, Trouble};
use super::shapes::Figures;
use crate::adapter::{LinkError, Output, Ticket};
use crate::wire_format::jsonrpc::Param;

/// The deadline of an order of ours: a call whose phone says nothing ends after the server's own five seconds.
const ORDER_WITHIN: Duration = Duration::from_secs(12);
/// A list may have many pages.
const LIST_WITHIN: Duration = Duration::from_secs(30);

/// What is asked of the statistics.
const FIGURES: [&str; 3] = ["active_dialogs", "early_dialogs", "processed_dialogs"];

impl OpenSips {
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        if self.phase != Phase::Ready {
            return self.refuse(ticket, Refused::unsent(Why::NotReady));
        }
        match order {
            Order::Drop { leg, .. } if self.life.foreign.contains_key(&leg) => self.end(ticket, leg),
            Order::Drain { on } => self.drain(ticket, on),
            Order::List => {
                if self.begin(ticket, Work::List) {
                    self.list_for(Some(ticket));
                }
            }
            Order::Load => {
                if self.begin(ticket, Work::Load) {
                    let params = [("statistics", Param::Texts(&FIGURES))];
                    self.ask(Command::Statistics, &params, Purpose::Load(ticket)).expect("the names are fit");
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
        let within = if matches!(work, Work::List) { LIST_WITHIN } else { ORDER_WITHIN };
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

    /// One call of ours counts as two: the server sees dialogs.
    pub(super) fn figures_told(&mut self, ticket: Ticket, answer: &Answer) {
        match answer.read::<Figures>() {
            Ok(figures) => {
                let legs = figures.active.map(|active| active.saturating_add(figures.early.unwrap_or(0)));
                let load = Load { legs, legs_max: None, legs_ever: figures.processed };
                self.finish(ticket, Ok(Done::Loaded(load)));
            }
            Err(trouble) => self.finish(ticket, Err(refused(&trouble))),
        }
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
