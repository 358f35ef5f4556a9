//! The end of a call that is not ours: looked at, told to end, looked at until it is gone.
//!
//! Three words of the server's mislead (sheet, sections 2 and 3): `{}` means "sent", not "gone"; an answered dialog is
//! ended by one method and a ringing one by another; the wrong one succeeds and does nothing. A fourth is an order that is
//! carried out by half: see [`callee_of`].

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, LegId, Refused, Said, Why};

use super::flight::{Purpose, Timer, Work};
use super::listing::Foreign;
use super::machine::Kamailio;
use super::orders::refused;
use super::rpc::{Answer, Method, Trouble};
use super::shapes::{Anything, Listed, Stage};
use crate::adapter::Ticket;
use crate::sip::Wire;
use crate::wire_format::jsonrpc::{Failure, Param, Unfit};

/// A phone that is told to go answers within a round trip; its end may be seen a moment later.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// How often it is told: the phone may have answered between the look and the word.
const TOLD_MAX: u8 = 3;

/// A dialog on its way out.
#[derive(Debug)]
pub(super) struct Ending {
    dialog: Foreign,
    leg: LegId,
    /// How often it was told to end, and how far it had come then.
    told: u8,
    as_was: Option<Stage>,
    /// A look is under way.
    looking: bool,
    /// The callee's side as it was told to end, if the server says BYE to it.
    callee: Option<Box<Wire>>,
}

impl Ending {
    pub(super) fn is_unsent(&self) -> bool {
        self.told == 0
    }

    pub(super) fn waits_for(&self, call_id: &str) -> bool {
        self.dialog.call_id == call_id && !self.looking
    }
}

impl Kamailio {
    pub(super) fn end(&mut self, ticket: Ticket, leg: LegId) {
        let Some(dialog) = self.life.foreign.get(&leg).cloned() else { return };
        let ending = Ending { dialog, leg, told: 0, as_was: None, looking: false, callee: None };
        if self.begin(ticket, Work::End(ending)) {
            self.look(ticket);
        }
    }

    /// Asks how far the dialog has come.
    pub(super) fn look(&mut self, ticket: Ticket) {
        self.life.timers.disarm(Timer::Look(ticket));
        let Some(Work::End(ending)) = self.life.orders.get_mut(&ticket) else { return };
        ending.looking = true;
        let Foreign { call_id, from_tag, .. } = ending.dialog.clone();
        let params = [Param::Text(&call_id), Param::Text(&from_tag)];
        if let Err(unfit) = self.ask(Method::Look, &params, Purpose::Look(ticket)) {
            self.finish(ticket, Err(unsayable(unfit)));
        }
    }

    pub(super) fn looked(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(Work::End(ending)) = self.life.orders.get_mut(&ticket) else { return };
        ending.looking = false;
        let listed = match answer.read::<Listed>() {
            Ok(listed) => listed,
            Err(Trouble::Said(Failure::Error { code: 404, .. })) => Listed::default(),
            Err(trouble) if ending.told == 0 => return self.finish(ticket, Err(refused(&trouble))),
            Err(_) => return self.look_later(ticket),
        };
        match listed.stage() {
            None | Some(Stage::Over) => {
                let (leg, callee) = (ending.leg, ending.callee.take());
                self.life.foreign.remove(&leg);
                if let Some(callee) = callee {
                    self.calls.end_stranger(leg, *callee, self.now);
                }
                self.finish(ticket, Ok(Done::Proven));
            }
            Some(stage) if ending.as_was != Some(stage) && ending.told < TOLD_MAX => {
                ending.told += 1;
                ending.as_was = Some(stage);
                ending.callee = if stage == Stage::Up { callee_of(&listed) } else { None };
                self.tell_to_end(ticket, stage, &listed);
            }
            Some(_) => self.look_later(ticket),
        }
    }

    fn tell_to_end(&mut self, ticket: Ticket, stage: Stage, listed: &Listed) {
        if let Err(unfit) = self.say_end(stage, listed, Purpose::End(ticket)) {
            self.finish(ticket, Err(unsayable(unfit)));
        }
    }

    /// Says it in the way that works at that stage.
    pub(super) fn say_end(&mut self, stage: Stage, listed: &Listed, purpose: Purpose) -> Result<(), Unfit> {
        let call_id = Param::Text(&listed.call_id);
        match stage {
            Stage::Early => {
                let cseq = listed.caller.cseq.as_deref().unwrap_or_default();
                self.ask(Method::Cancel, &[call_id, Param::Text(cseq)], purpose)
            }
            Stage::Up | Stage::Over => {
                let tags = [call_id, Param::Text(listed.caller_tag()), Param::Text(listed.callee_tag())];
                self.ask(Method::Terminate, &tags, purpose)
            }
        }
    }

    pub(super) fn told_to_end(&mut self, ticket: Ticket, answer: &Answer) {
        let trouble = answer.read::<Anything>().err();
        let is_gone = |trouble: &Trouble| {
            matches!(trouble, Trouble::Said(Failure::Error { code: 400 | 404, .. }))
                && !trouble.is_no_method()
        };
        match trouble {
            // no such dialog, no such transaction: it went by itself, or it answered; a look tells
            Some(trouble) if !is_gone(&trouble) && matches!(trouble, Trouble::Said(_)) => {
                self.finish(ticket, Err(refused(&trouble)));
            }
            _ => self.look_later(ticket),
        }
    }

    fn look_later(&mut self, ticket: Ticket) {
        self.life.timers.arm(Timer::Look(ticket), self.now + LOOK_AGAIN);
    }
}

/// The dialog as the caller knows it. Kamailio says BYE to the caller first, and forgets the callee if the caller's answer
/// is faster than its own second BYE (seen on 5.6.3): a second one from us ends what it left, and harms nothing else.
fn callee_of(listed: &Listed) -> Option<Box<Wire>> {
    let cseq: u32 = listed.caller.cseq.as_deref()?.parse().ok()?;
    Some(Box::new(Wire {
        call_id: listed.call_id.clone(),
        local_tag: listed.caller.tag.clone()?,
        remote_tag: listed.callee.tag.clone()?,
        local_uri: listed.from_uri.clone(),
        remote_uri: listed.to_uri.clone(),
        // the number behind the caller's last is that of the server's own BYE
        local_cseq: cseq.checked_add(1)?,
        target: listed.callee.contact.clone()?,
        ..Wire::default()
    }))
}

fn unsayable(unfit: Unfit) -> Refused {
    let said = Some(Said::new(None, &unfit.to_string()));
    Refused { why: Why::Refused, cause: Cause::ServerFailure, evidence: Evidence::NothingSent, said }
}
