//! Whether the server itself refuses calls from its telephones and trunks: `fsctl pause inbound`.
//!
//! Never `fsctl pause` alone: that refuses our own new legs as well, and with them the target of a transfer (sheet,
//! sections 0 and 3). The pause is forgotten at a restart; who sets it again is decided elsewhere.

use ifbus_call::order::{Done, Evidence, Inbound, Why};
use ifbus_call::{Refused, Said};

use super::flight::{Purpose, Work};
use super::machine::{COMMANDS, FreeSwitch};
use super::orders::COMMAND_WITHIN;
use super::session::refused;
use crate::adapter::Ticket;
use crate::wire_format::esl::{Command, Frame};

impl FreeSwitch {
    pub(super) fn drain(&mut self, ticket: Ticket, on: bool) {
        self.running(ticket, Work::Drain { on }, COMMAND_WITHIN);
        let words = if on { "pause inbound" } else { "resume inbound" };
        self.ask_plain(COMMANDS, Command::api("fsctl").words(words), Purpose::Pause(ticket));
    }

    pub(super) fn pause_answered(&mut self, ticket: Ticket, ok: bool, frame: &Frame<'_>) {
        if !self.life.orders.contains_key(&ticket) {
            return;
        }
        if !ok {
            return self.finish(ticket, Err(refused(frame)));
        }
        self.ask_plain(COMMANDS, Command::api("fsctl").words("pause_check inbound"), Purpose::Paused(ticket));
    }

    /// What is true now, in the server's own word.
    pub(super) fn paused(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let Some(Work::Drain { on }) = self.life.orders.get(&ticket).map(|running| &running.work) else {
            return;
        };
        let on = *on;
        let said = frame.said();
        match (said.as_str(), on) {
            ("true", true) => self.finish(ticket, Ok(Done::Drained(Inbound::Closed))),
            ("false", false) => self.finish(ticket, Ok(Done::Drained(Inbound::Open { need: None }))),
            _ => {
                let said = Some(Said::new(None, &format!("fsctl pause_check inbound says {said}")));
                let refused = Refused { evidence: Evidence::Unknown, said, ..Refused::unsent(Why::Refused) };
                self.finish(ticket, Err(refused));
            }
        }
    }
}
