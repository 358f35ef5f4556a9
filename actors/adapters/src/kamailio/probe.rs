//! Whether the server answers: JSON-RPC alone here. SIP is asked by the agent, on the way its calls take.
//!
//! JSON-RPC says "fine" while all SIP stands still (sheet, section 4): the two are asked apart, and events are not asked
//! at all, as nothing depends on them.

use ifbus_call::Interface;
use ifbus_call::order::{Done, Probed};

use super::flight::{Purpose, Work};
use super::machine::{Kamailio, Phase};
use super::rpc::{Answer, Method};
use super::shapes::Uptime;
use crate::adapter::Ticket;

impl Kamailio {
    pub(super) fn probe(&mut self, ticket: Ticket) {
        if self.begin(ticket, Work::Probe(self.now)) {
            self.ask_first(Method::Uptime, Purpose::Probe(ticket));
        }
    }

    pub(super) fn probed(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::Probe(began)) = self.life.orders.get(&ticket) else { return };
        let took = self.now.since(*began);
        let uptime = answer.read::<Uptime>();
        if let Ok(uptime) = &uptime {
            self.same_or_down(uptime);
        }
        if self.phase == Phase::Ready {
            let answered = uptime.map(|_| took).map_err(|trouble| trouble.to_string());
            let probed = Probed { interface: Interface::Management, answered };
            self.finish(ticket, Ok(Done::Probed(vec![probed])));
        }
    }
}
