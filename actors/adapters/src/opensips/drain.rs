//! Whether the server itself refuses new calls: a shared variable, which its script asks for.
//!
//! OpenSIPS has no drain of its own (sheet, section 4). Setting a variable that nobody asks for succeeds and does
//! nothing, and from then on it looks like one that the operator made; so it is looked for first. A restart forgets it,
//! and it is told again then.

use ifbus_call::order::{Done, Inbound};

use super::flight::{Purpose, Work};
use super::machine::OpenSips;
use super::mi::{Answer, Command, Trouble};
use super::orders::refused;
use super::shapes::{Anything, Variable};
use crate::adapter::Ticket;
use crate::wire_format::jsonrpc::Param;

/// What the operator has to provide where there is no such variable.
pub(super) const NEED: &str =
    "the shared variable of the setting `drain`, asked by route(ifbus_call): ifbus setup opensips";

impl OpenSips {
    pub(super) fn drain(&mut self, ticket: Ticket, on: bool) {
        if self.begin(ticket, Work::Drain { on }) {
            let name = self.options.drain.clone();
            self.ask_in_order(Command::Get, &[Param::Text(&name)], Purpose::Switch(ticket))
                .expect("a checked name is fit");
        }
    }

    pub(super) fn switch_told(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::Drain { on }) = self.life.orders.get(&ticket) else { return };
        let on = *on;
        match answer.read::<Variable>() {
            Ok(_) => {
                let name = self.options.drain.clone();
                let params = [Param::Text(&name), Param::Text("int"), Param::Number(i64::from(on))];
                self.ask_in_order(Command::Set, &params, Purpose::Drain(ticket))
                    .expect("a checked name is fit");
            }
            Err(trouble) if is_missing(&trouble) => {
                let need = on.then(|| NEED.to_owned());
                self.finish(ticket, Ok(Done::Drained(Inbound::Open { need })));
            }
            Err(trouble) => self.finish(ticket, Err(refused(&trouble))),
        }
    }

    pub(super) fn drain_told(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::Drain { on }) = self.life.orders.get(&ticket) else { return };
        let on = *on;
        let outcome = match answer.read::<Anything>() {
            Ok(_) if on => Ok(Done::Drained(Inbound::Closed)),
            Ok(_) => Ok(Done::Drained(Inbound::Open { need: None })),
            Err(trouble) => Err(refused(&trouble)),
        };
        self.finish(ticket, outcome);
    }
}

/// No such variable, or no module for them at all: nobody would ask for the switch.
pub(super) fn is_missing(trouble: &Trouble) -> bool {
    trouble.is_no_method() || trouble.is(404)
}
