//! Whether the server itself refuses calls from its telephones and trunks: we are asked about each new one, and say no.
//!
//! It lasts as long as our connection (sheet, section 5.13); whoever keeps the drain asks for it again. Running calls
//! and our own dials are untouched.

use ifbus_call::order::{Done, Evidence, Inbound};
use ifbus_call::{Refused, Said, Why};

use super::flight::Work;
use super::machine::Yate;
use super::orders::COMMAND_WITHIN;
use crate::adapter::{Output, Ticket};
use crate::wire_format::extmodule::{Params, install, uninstall};

/// The rest of the answer that refuses a call: `503 draining`.
pub(super) const REFUSAL: &str = "-:error=service-unavailable:reason=draining";

/// Before every routing module of the server's own.
const PRIORITY: u8 = 5;

impl Yate {
    pub(super) fn drain(&mut self, ticket: Ticket, on: bool) {
        if self.life.draining == on {
            return self.out.push_back(Output::Answer(ticket, Ok(drained(on))));
        }
        let bytes = if on { install(PRIORITY, "call.preroute", None) } else { uninstall("call.preroute") };
        self.running(ticket, Work::Drain { on }, [], COMMAND_WITHIN);
        self.sent(ticket);
        self.send(bytes);
    }

    /// The engine has answered; a hook that is there already, or gone already, is what was wanted.
    pub(super) fn preroute_hooked(&mut self, on: bool, done: bool) {
        let waits = |work: &Work| matches!(work, Work::Drain { on: wanted } if *wanted == on);
        let ticket =
            self.life.orders.iter().find(|(_, running)| waits(&running.work)).map(|(ticket, _)| *ticket);
        if on && !done && !self.life.draining {
            if let Some(ticket) = ticket {
                let said = Some(Said::new(None, "the engine does not ask us about calls"));
                let refused = Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(Why::Refused) };
                self.finish(ticket, Err(refused));
            }
            return;
        }
        self.life.draining = on;
        if let Some(ticket) = ticket {
            self.finish(ticket, Ok(drained(on)));
        }
    }

    /// Whether a call that is about to be routed is to be refused: those from outside are, ours are not.
    pub(super) fn refuses(&self, params: &Params<'_>) -> bool {
        self.life.draining
            && params.get("direction").is_none_or(|way| way == "incoming")
            && params.has("module")
    }
}

const fn drained(on: bool) -> Done {
    Done::Drained(if on { Inbound::Closed } else { Inbound::Open { need: None } })
}
