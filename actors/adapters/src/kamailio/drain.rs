//! Whether the server itself refuses new calls: a switch in a table, which its configuration asks for.
//!
//! Kamailio has no drain of its own (sheet, section 2). The switch is forgotten by a restart, and told again then.

use ifbus_call::order::{Done, Inbound};

use super::flight::{Purpose, Work};
use super::machine::Kamailio;
use super::orders::refused;
use super::rpc::{Answer, Method, Trouble};
use super::shapes::Anything;
use crate::adapter::Ticket;
use crate::wire_format::jsonrpc::{Failure, Param};

/// The key in the table.
pub(super) const KEY: &str = "drain";

/// What the operator has to provide where there is no such table.
pub(super) const NEED: &str =
    "the htable of the setting `table`, asked by route(IFBUS_CALL): ifbus setup kamailio";

impl Kamailio {
    pub(super) fn drain(&mut self, ticket: Ticket, on: bool) {
        if !self.begin(ticket, Work::Drain { on }) {
            return;
        }
        let table = self.options.table.clone();
        let params = [Param::Text(&table), Param::Text(KEY), Param::Number(i64::from(on))];
        self.ask(Method::Set, &params, Purpose::Drain(ticket)).expect("a checked name is fit");
    }

    pub(super) fn drain_told(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::Drain { on }) = self.life.orders.get(&ticket) else { return };
        let on = *on;
        let outcome = match answer.read::<Anything>() {
            Ok(_) if on => Ok(Done::Drained(Inbound::Closed)),
            Ok(_) => Ok(Done::Drained(Inbound::Open { need: None })),
            Err(trouble) if is_missing(&trouble) => {
                Ok(Done::Drained(Inbound::Open { need: on.then(|| NEED.to_owned()) }))
            }
            Err(trouble) => Err(refused(&trouble)),
        };
        self.finish(ticket, outcome);
    }
}

/// No such table, or no module at all: nobody would ask for the switch.
pub(super) fn is_missing(trouble: &Trouble) -> bool {
    trouble.is_no_method()
        || matches!(trouble, Trouble::Said(Failure::Error { message, .. }) if message.starts_with("No such htable"))
}
