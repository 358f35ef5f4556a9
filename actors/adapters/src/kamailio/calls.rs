//! Calls of ours: the SIP agent's, placed through the proxy. Here is only what goes between the two machines.

use ifbus_call::{Interface, Order};

use super::machine::{Kamailio, Phase};
use crate::adapter::{DownReason, Output, Ticket};
use crate::anchor::Proxied;
use crate::proxied::{Handed, Side};
use crate::sip::Agent;

impl Kamailio {
    pub(super) fn order_calls(&mut self, ticket: Ticket, order: Order) {
        if let Some(outcome) = self.calls.order(ticket, order, self.now) {
            self.out.push_back(Output::Answer(ticket, outcome));
        }
    }

    /// Hands on what the agent wants, and goes on when its endpoint stands.
    pub(super) fn settle_calls(&mut self) {
        self.forward_calls();
        match (self.phase, self.calls.side()) {
            (Phase::Rising, Side::Open | Side::Failed(_)) => self.advance(),
            (Phase::Ready, Side::Failed(error)) => self.down(Interface::Sip, DownReason::Lost(error)),
            _ => {}
        }
        self.forward_calls();
    }

    pub(super) fn forward_calls(&mut self) {
        while let Some(handed) = self.calls.poll() {
            match handed {
                Handed::Output(output) => self.out.push_back(*output),
                Handed::Asked(ticket, answered) => self.sip_inspected(ticket, answered),
            }
        }
    }
}

impl Proxied for Kamailio {
    fn agent(&self) -> &Agent {
        self.calls.agent()
    }

    fn with_agent(&mut self, work: &mut dyn FnMut(&mut Agent)) {
        work(self.calls.agent_mut());
        self.settle_calls();
    }
}
