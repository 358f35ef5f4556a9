//! Whether the server answers: its management alone here. SIP is asked by the agent, on the way its calls take.
//!
//! The management answers for a while when the server itself is dead (sheet, section 13): the two are asked apart, and
//! events are not asked at all, as nothing depends on them.

use ifbus_call::Interface;
use ifbus_call::order::{Done, Probed};

use super::flight::{Purpose, Work};
use super::machine::{OpenSips, Phase};
use super::mi::{Answer, Command};
use super::shapes::Uptime;
use crate::adapter::Ticket;

impl OpenSips {
    pub(super) fn probe(&mut self, ticket: Ticket) {
        if self.begin(ticket, Work::Probe(self.now)) {
            self.ask_first(Command::Uptime, Purpose::Probe(ticket));
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
