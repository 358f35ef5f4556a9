//! What an order becomes: a task of the agent, an answer from what is known, or the refusal that says why.

use std::time::Duration;

use ifbus_call::order::{Done, Inbound, Probed};
use ifbus_call::{Interface, LegId, Order, Refused, Said, Seen, Why};

use super::flight::{ORDERS_MAX, Timer, Work};
use super::machine::{Flexisip, Phase};
use crate::adapter::{Output, Ticket};

/// The deadline of an order of ours: each of its questions has a shorter one.
const ORDER_WITHIN: Duration = Duration::from_secs(12);

/// What no Flexisip can (sheet, sections 0 and 2).
pub(super) const NO_END: &str = "Flexisip cannot end calls of others: it has no control of dialogs";
pub(super) const NO_DRAIN: &str =
    "Flexisip has no switch that refuses new calls while it runs: point DNS or a balancer elsewhere";

pub(super) const NO_PAST: &str =
    "Flexisip lists nothing and replays nothing: calls of others that began before ifbus did are not shown";

impl Flexisip {
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        if self.phase != Phase::Ready {
            return self.refuse(ticket, Refused::unsent(Why::NotReady));
        }
        match order {
            Order::Drop { leg, .. } if self.is_foreign(leg) => {
                let said = Some(Said::new(None, NO_END));
                self.refuse(ticket, Refused { said, ..Refused::unsent(Why::Refused) });
            }
            Order::Drain { on } => {
                let need = on.then(|| NO_DRAIN.to_owned());
                self.out.push_back(Output::Answer(ticket, Ok(Done::Drained(Inbound::Open { need }))));
            }
            Order::List => self.out.push_back(Output::Answer(ticket, Ok(Done::Listed(self.seen())))),
            Order::Load => {
                let mut load = self.calls.agent().load();
                let others = u32::try_from(self.foreign.len(self.now)).unwrap_or(u32::MAX);
                load.legs = load.legs.map(|legs| legs.saturating_add(others));
                self.out.push_back(Output::Answer(ticket, Ok(Done::Loaded(load))));
            }
            Order::Probe => {
                if self.begin(ticket, Work::Probe) {
                    self.ask_for_probe(ticket);
                }
            }
            Order::Inspect => self.inspect(ticket),
            calls => self.order_calls(ticket, calls),
        }
    }

    fn is_foreign(&self, leg: LegId) -> bool {
        self.foreign.seen(&self.server, self.now).any(|seen| seen.leg == leg)
    }

    /// Calls of ours, and of others as far as they were pushed.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.calls.agent().seen();
        seen.extend(self.foreign.seen(&self.server, self.now));
        seen
    }

    /// Remembers an order that has begun; `false` if there are too many.
    pub(super) fn begin(&mut self, ticket: Ticket, work: Work) -> bool {
        if self.life.orders.len() >= ORDERS_MAX {
            self.refuse(ticket, Refused::unsent(Why::Overloaded));
            return false;
        }
        self.life.orders.insert(ticket, work);
        self.life.timers.arm(Timer::Order(ticket), self.now + ORDER_WITHIN);
        true
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        self.out.push_back(Output::Answer(ticket, Err(refused)));
    }

    /// Orders go where SIP goes, so that is the management here.
    pub(super) fn probed(&mut self, ticket: Ticket, answered: Result<Duration, String>) {
        if let Some(Work::Probe) = self.life.orders.get(&ticket) {
            let probed = Probed { interface: Interface::Management, answered };
            self.finish(ticket, Ok(Done::Probed(vec![probed])));
        }
    }

    pub(super) fn order_late(&mut self, ticket: Ticket) {
        match self.life.orders.get(&ticket) {
            Some(Work::Inspect(_)) => self.inspection_over(ticket),
            Some(Work::Probe) => self.probed(ticket, Err("no answer in time".to_owned())),
            None => {}
        }
    }
}
