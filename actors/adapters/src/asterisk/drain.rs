//! Whether the server itself refuses calls from its telephones and trunks: its maintenance mode where it has one, else a
//! variable that the operator's dialplan asks for.
//!
//! Our own orders are held back elsewhere. Maintenance mode refuses those too (sheet, section 5): the server makes no
//! leg for an originate then.

use ifbus_call::order::{Done, Inbound};

use super::flight::{Purpose, Work};
use super::machine::{Asterisk, COMMANDS, WATCH};
use super::orders::{COMMAND_WITHIN, unfit_refusal};
use super::session::{refused, said};
use crate::adapter::Ticket;
use crate::wire_format::ami::Message;

/// The context that refuses calls while [`FLAG`] is `yes`; it works only where the operator's own contexts call it.
pub(super) const CONTEXT: &str = "ifbus-inbound";

/// The global variable it looks at.
const FLAG: &str = "IFBUS_DRAIN";

/// What the operator has to provide where there is no maintenance mode.
pub(super) const NEED: &str = "context ifbus-inbound, called first by the contexts of your trunks and phones: \
                               ifbus setup asterisk --only dialplan";

/// What is looked for in the dialplan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// The context itself.
    Context,
    /// Somebody who calls it.
    Caller,
}

impl Asterisk {
    pub(super) fn drain(&mut self, ticket: Ticket, on: bool) {
        let (id, action) = self.action("PJSIPSetMaintenance");
        let action = action.with("Endpoint", "all").with("State", if on { "on" } else { "off" });
        match self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            Ok(()) => self.running(ticket, Work::Drain { on }, vec![id], COMMAND_WITHIN),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    /// `PJSIPSetMaintenance` was answered. Servers before 22.10, 20.20 and 23.4 do not know it.
    pub(super) fn maintained(&mut self, ticket: Ticket, on: bool, success: bool, message: &Message<'_>) {
        if success {
            self.drained(ticket, on);
        } else if said(message).text.starts_with("Invalid/unknown command") {
            self.seek(ticket, Sought::Context);
        } else {
            self.finish(ticket, Err(refused(message)));
        }
    }

    /// Looks into the dialplan, for a drain or an inspection.
    pub(super) fn seek(&mut self, ticket: Ticket, sought: Sought) {
        let (id, action) = self.action("ShowDialPlan");
        let action = match sought {
            Sought::Context => action.with("Context", CONTEXT),
            Sought::Caller => action,
        };
        if self.ask(WATCH, id, action, Purpose::Seek(ticket, sought, false)).is_ok() {
            self.waits_for(ticket, id);
        }
    }

    /// One line of the dialplan.
    pub(super) fn is_sought(sought: Sought, message: &Message<'_>) -> bool {
        match sought {
            Sought::Context => message.only("Context") == Some(CONTEXT),
            Sought::Caller => {
                let calls = matches!(message.only("Application"), Some("Gosub" | "GosubIf"));
                calls && message.only("AppData").is_some_and(|data| data.contains(CONTEXT))
            }
        }
    }

    pub(super) fn sought(&mut self, ticket: Ticket, sought: Sought, found: bool) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        match (&running.work, sought, found) {
            // to take the flag away nobody has to ask for it
            (Work::Drain { on: true } | Work::Inspect(_), Sought::Context, true) => {
                self.seek(ticket, Sought::Caller);
            }
            (Work::Drain { on }, _, true) => {
                let on = *on;
                self.set_flag(ticket, on);
            }
            (Work::Drain { on }, _, false) => {
                let need = on.then(|| NEED.to_owned());
                self.finish(ticket, Ok(Done::Drained(Inbound::Open { need })));
            }
            (Work::Inspect(_), _, found) => self.inbound_found(ticket, found),
            _ => {}
        }
    }

    /// No such context; or nobody of us may look.
    pub(super) fn not_sought(&mut self, ticket: Ticket, sought: Sought, message: &Message<'_>) {
        let denied = said(message).text.contains("Permission denied");
        if denied
            && self.life.orders.get(&ticket).is_some_and(|running| matches!(running.work, Work::Drain { .. }))
        {
            return self.finish(ticket, Err(refused(message)));
        }
        self.sought(ticket, sought, false);
    }

    /// A variable was set: the flag of a drain, or the end of a recording.
    pub(super) fn marked(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        match self.life.orders.get(&ticket).map(|running| &running.work) {
            Some(Work::Drain { on }) if success => {
                let on = *on;
                self.drained(ticket, on);
            }
            Some(Work::Drain { .. }) => self.finish(ticket, Err(refused(message))),
            Some(Work::StopRecord(_)) => self.recorder_marked(ticket),
            _ => {}
        }
    }

    fn set_flag(&mut self, ticket: Ticket, on: bool) {
        let (id, action) = self.action("Setvar");
        let action = action.with("Variable", FLAG).with("Value", if on { "yes" } else { "no" });
        match self.ask(COMMANDS, id, action, Purpose::Marked(ticket)) {
            Ok(()) => self.waits_for(ticket, id),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    pub(super) fn drained(&mut self, ticket: Ticket, on: bool) {
        let inbound = if on { Inbound::Closed } else { Inbound::Open { need: None } };
        self.finish(ticket, Ok(Done::Drained(inbound)));
    }
}
