//! Calls of ours: the SIP agent's, placed through the proxy. Here is only what goes between the two machines.

use std::time::Duration;

use ifbus_call::{Interface, Order};

use super::flight::{Look, Timer};
use super::machine::{Flexisip, Phase};
use crate::adapter::{DownReason, LinkError, Output, Ticket};
use crate::anchor::Proxied;
use crate::proxied::{Handed, Side};
use crate::sip::Agent;

/// Tickets of our own questions, which no driver counts to.
const RISING: Ticket = Ticket(1 << 62);
pub(super) const MENDING: Ticket = Ticket((1 << 62) + 1);
const PROBING: u64 = 1 << 61;

/// How long the agent waits for an answer to OPTIONS.
const SILENT: Duration = Duration::from_secs(3);
/// A server that begins anew is there again after so long.
const MEND_AFTER: Duration = Duration::from_secs(2);
/// Calls are not offered again more often than this.
const MEND_EVERY: Duration = Duration::from_secs(60);

impl Flexisip {
    pub(super) fn order_calls(&mut self, ticket: Ticket, order: Order) {
        if let Some(outcome) = self.calls.order(ticket, order, self.now) {
            self.out.push_back(Output::Answer(ticket, outcome));
        }
    }

    /// Asks SIP for a sign of life, for an order to probe.
    pub(super) fn ask_for_probe(&mut self, ticket: Ticket) {
        self.calls.ask_sip(Ticket(PROBING | ticket.0), self.now);
    }

    /// Hands on what the agent wants, and goes on when its endpoint stands.
    pub(super) fn settle_calls(&mut self) {
        self.forward_calls();
        match (self.phase, self.calls.side()) {
            (Phase::Rising, Side::Open) if !self.life.asked => {
                self.life.asked = true;
                self.calls.ask_sip(RISING, self.now);
            }
            (Phase::Rising, Side::Failed(error)) => self.down(Interface::Sip, DownReason::Unreachable(error)),
            (Phase::Ready, Side::Failed(error)) => self.down(Interface::Sip, DownReason::Lost(error)),
            _ => {}
        }
        self.forward_calls();
    }

    pub(super) fn forward_calls(&mut self) {
        while let Some(handed) = self.calls.poll() {
            match handed {
                Handed::Output(output) => self.out.push_back(*output),
                Handed::Asked(ticket, answered) => self.sip_asked(ticket, answered),
            }
        }
    }

    fn sip_asked(&mut self, ticket: Ticket, answered: Result<Duration, String>) {
        match ticket {
            RISING if self.phase == Phase::Rising => match answered {
                Ok(_) => {
                    self.life.sip_answers = true;
                    self.rise();
                }
                Err(why) if why == "no answer in time" => {
                    self.down(Interface::Sip, DownReason::Silent(SILENT));
                }
                Err(why) => self.down(Interface::Sip, DownReason::Unreachable(LinkError::Other(why))),
            },
            MENDING if self.phase == Phase::Ready && answered.is_ok() => self.mend(),
            RISING | MENDING => {}
            Ticket(number) if number & PROBING != 0 => self.probed(Ticket(number & !PROBING), answered),
            ticket => self.looked(ticket, Look::Sip, answered.map(Into::into)),
        }
    }

    /// The server may have begun anew.
    pub(super) fn doubt_relays(&mut self) {
        let again = self.mended.is_none_or(|last| self.now.since(last) >= MEND_EVERY);
        if self.phase == Phase::Ready && again && !self.life.timers.is_armed(Timer::Mend) {
            self.life.timers.arm(Timer::Mend, self.now + MEND_AFTER);
        }
    }

    /// Offers every call again: a server that began anew gives it a relay with that (sheet, section 7).
    pub(super) fn mend(&mut self) {
        self.mended = Some(self.now);
        self.calls.agent_mut().offer_again(self.now);
    }
}

impl Proxied for Flexisip {
    fn agent(&self) -> &Agent {
        self.calls.agent()
    }

    fn with_agent(&mut self, work: &mut dyn FnMut(&mut Agent)) {
        work(self.calls.agent_mut());
        self.settle_calls();
    }
}
