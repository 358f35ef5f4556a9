//! The end of a call that is not ours: told to end, looked at until it is gone.
//!
//! `OK` means "asked", not "gone" (sheet, sections 8 and 14): an answered call gets BYE, a ringing one CANCEL, and one
//! whose phone has said nothing yet ends when the server gives up on it.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, LegId, Refused, Said, Why};

use super::flight::{Purpose, Timer, Work};
use super::listing::Foreign;
use super::machine::OpenSips;
use super::mi::{Answer, Command};
use super::orders::refused;
use super::shapes::{Anything, One, Stage};
use crate::adapter::Ticket;
use crate::wire_format::jsonrpc::{Param, Unfit};

/// A phone that is told to go answers within a round trip; its end may be seen a moment later.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// How often it is told: an old early call may be refused once (sheet, section 12), and a phone may answer meanwhile.
const TOLD_MAX: u8 = 3;

/// A dialog on its way out.
#[derive(Debug)]
pub(super) struct Ending {
    dialog: Foreign,
    leg: LegId,
    /// How often it was told to end, and how far it had come then.
    told: u8,
    as_was: Option<Stage>,
    /// The last time the server would not.
    refusal: Option<Refused>,
    /// A look, or the word itself, is under way.
    asking: bool,
}

impl Ending {
    pub(super) const fn is_unsent(&self) -> bool {
        self.told == 0
    }

    pub(super) fn waits_for(&self, call_id: &str) -> bool {
        self.dialog.call_id == call_id && !self.asking
    }
}

impl OpenSips {
    pub(super) fn end(&mut self, ticket: Ticket, leg: LegId) {
        let Some(dialog) = self.life.foreign.get(&leg).cloned() else { return };
        let ending = Ending { dialog, leg, told: 0, as_was: None, refusal: None, asking: false };
        if self.begin(ticket, Work::End(ending)) {
            self.look(ticket);
        }
    }

    /// Asks how far the dialog has come.
    pub(super) fn look(&mut self, ticket: Ticket) {
        self.life.timers.disarm(Timer::Look(ticket));
        let Some(Work::End(ending)) = self.life.orders.get_mut(&ticket) else { return };
        ending.asking = true;
        let Foreign { call_id, from_tag, .. } = ending.dialog.clone();
        let params = [("callid", Param::Text(&call_id)), ("from_tag", Param::Text(&from_tag))];
        if let Err(unfit) = self.ask(Command::List, &params, Purpose::Look(ticket)) {
            self.finish(ticket, Err(unsayable(unfit)));
        }
    }

    pub(super) fn looked(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::End(ending)) = self.life.orders.get_mut(&ticket) else { return };
        ending.asking = false;
        let stage = match answer.read::<One>() {
            Ok(one) => one.dialog.stage(),
            Err(trouble) if trouble.is(404) => Stage::Over,
            Err(trouble) if ending.told == 0 => return self.finish(ticket, Err(refused(&trouble))),
            Err(_) => return self.look_later(ticket),
        };
        if stage == Stage::Over {
            let leg = ending.leg;
            self.life.foreign.remove(&leg);
            return self.finish(ticket, Ok(Done::Proven));
        }
        let again = ending.as_was != Some(stage) || ending.refusal.is_some();
        if again && ending.told < TOLD_MAX {
            ending.told += 1;
            ending.as_was = Some(stage);
            ending.refusal = None;
            ending.asking = true;
            let id = ending.dialog.id.clone();
            let params = [("dialog_id", Param::Text(&id))];
            if let Err(unfit) = self.ask(Command::End, &params, Purpose::End(ticket)) {
                self.finish(ticket, Err(unsayable(unfit)));
            }
        } else if let Some(refusal) = ending.refusal.take() {
            self.finish(ticket, Err(refusal));
        } else {
            self.look_later(ticket);
        }
    }

    pub(super) fn told_to_end(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::End(ending)) = self.life.orders.get_mut(&ticket) else { return };
        ending.asking = false;
        match answer.read::<Anything>() {
            Err(trouble) if trouble.is_no_method() => return self.finish(ticket, Err(refused(&trouble))),
            // it went by itself, or it answered just now: a look tells
            Err(trouble) => ending.refusal = Some(refused(&trouble)),
            Ok(_) => {}
        }
        self.look_later(ticket);
    }

    fn look_later(&mut self, ticket: Ticket) {
        self.life.timers.arm(Timer::Look(ticket), self.now + LOOK_AGAIN);
    }
}

fn unsayable(unfit: Unfit) -> Refused {
    let said = Some(Said::new(None, &unfit.to_string()));
    Refused { why: Why::Refused, cause: Cause::ServerFailure, evidence: Evidence::NothingSent, said }
}
