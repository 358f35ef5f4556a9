//! A BYE to a phone in a dialog of others, in the name of the far end: for servers whose own word does not reach everybody.
//!
//! A proxy passes requests inside of a dialog on, whoever sends them; so what an operator has ordered to end can be ended
//! by whoever knows its names. Only an adapter asks for it, and only for a dialog that its server has told to end.

use ifbus_call::{LegId, Nanos};

use super::agent::Agent;
use super::command::SipCommand;
use super::dialog::Wire;
use super::orders::BYE_WITHIN;

impl Agent {
    /// Says BYE to `wire.target` in the name of `wire.local_uri`. `leg` is a name for as long as that takes. Nothing comes
    /// of it but the BYE: a phone that has gone already answers 481.
    pub fn end_stranger(&mut self, leg: LegId, wire: Wire, now: Nanos) {
        self.now = self.now.max(now);
        if !self.legs.contains_key(&leg) && self.strangers.insert(leg) {
            let endpoint = &self.options.endpoint;
            let host = match endpoint.host.contains(':') {
                true => format!("[{}]", endpoint.host),
                false => endpoint.host.clone(),
            };
            let route = vec![format!("<sip:{host}:{};lr>", endpoint.port)];
            self.command(SipCommand::Restore(leg, Box::new(Wire { route, ..wire })));
            self.command(SipCommand::Bye { leg, reason: None, within: BYE_WITHIN });
        }
    }

    pub(super) fn stranger_ended(&mut self, leg: LegId) {
        if self.strangers.remove(&leg) {
            self.command(SipCommand::Forget(leg));
        }
    }
}
