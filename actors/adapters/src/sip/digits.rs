//! Digits to a phone: one INFO each, with a pause between them (sheet sip-3pcc, section 2).
//!
//! Not here: digits that a phone presses (`heard.rs`), tones on the wire (a media anchor's).

use std::time::Duration;

use ifbus_call::order::Evidence;
use ifbus_call::{Cause, Digits, LegId, Refused, Why};

use super::agent::{Agent, Asked, Due};
use super::cause;
use super::command::SipCommand;
use super::event::Reply;
use super::legs::Leg;
use super::orders::{Running, Work, unsent};
use crate::adapter::Ticket;

/// For one digit, and what its phone may take to say yes.
const DIGIT_WITHIN: Duration = Duration::from_secs(5);
/// From one digit to the next: 160 ms of tone and a gap that every phone tells apart.
const DIGIT_EVERY: Duration = Duration::from_millis(240);

impl Agent {
    pub(super) fn dtmf(&mut self, ticket: Ticket, leg: LegId, digits: Digits) {
        match self.legs.get(&leg).map(Leg::is_up) {
            None => self.answer(ticket, Refused::unsent(Why::NoSuchLeg)),
            Some(false) => self.answer(ticket, unsent("a leg that was not answered hears no digits")),
            Some(true) => {
                let within = DIGIT_WITHIN * u32::try_from(digits.as_str().len() + 1).unwrap_or(u32::MAX);
                self.running(ticket, Work::Dtmf { leg, digits, next: 0 }, within);
                self.send_digit(ticket);
            }
        }
    }

    pub(super) fn send_digit(&mut self, ticket: Ticket) {
        let Some(Running { work: Work::Dtmf { leg, digits, next } }) = self.orders.get_mut(&ticket) else {
            return;
        };
        let Some(digit) = digits.as_str().get(*next..=*next) else { return };
        let (leg, body) = (*leg, format!("Signal={digit}\r\nDuration=160\r\n"));
        *next += 1;
        let number = self.ask(Asked::Digit(ticket));
        let kind = "application/dtmf-relay";
        self.command(SipCommand::Info { leg, number, kind, body, within: DIGIT_WITHIN });
    }

    pub(super) fn digit_replied(&mut self, ticket: Ticket, reply: &Reply) {
        let Some(Running { work: Work::Dtmf { digits, next, .. } }) = self.orders.get(&ticket) else {
            return;
        };
        let (sent, all) = (*next, digits.as_str().len());
        if !reply.is_ok() {
            // the phone hears none of them, or only the first ones
            let evidence = if sent <= 1 && !reply.local { Evidence::NotDone } else { Evidence::Unknown };
            let why = if reply.local { Why::Unproven } else { Why::Refused };
            let said = Some(cause::said(reply));
            return self.finish(ticket, Err(Refused { why, cause: Cause::ServerFailure, evidence, said }));
        }
        if sent == all {
            self.done(ticket);
        } else {
            self.timers.arm(Due::Digit(ticket), self.now + DIGIT_EVERY);
        }
    }

    pub(super) fn digits_lost(&mut self, ticket: Ticket) {
        let refused = Refused {
            why: Why::NoSuchLeg,
            cause: Cause::ServerFailure,
            evidence: Evidence::Unknown,
            said: None,
        };
        self.finish(ticket, Err(refused));
    }
}
