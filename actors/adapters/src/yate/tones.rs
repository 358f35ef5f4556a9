//! Tones: one message per digit, 300 ms apart. A message with several digits sends the last one alone, and without a
//! gap digits are lost, although every answer is `true` (sheet, section 5.8).

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Digits, LegId, Refused, Why};

use super::flight::{Purpose, Step, Timer, Work};
use super::machine::Yate;
use super::session::Reply;
use crate::adapter::Ticket;
use crate::wire_format::extmodule::{Command, Name};

/// From one digit to the next.
const PACE: Duration = Duration::from_millis(300);

/// Tones right after the answer are lost: half a second was always enough (sheet, section 14).
const AFTER_ANSWER: Duration = Duration::from_millis(500);

/// The longest order takes ten seconds; the rest is waiting in line.
const TONES_WITHIN: Duration = Duration::from_secs(30);

impl Yate {
    pub(super) fn dtmf(&mut self, ticket: Ticket, leg: LegId, digits: Digits) {
        let Some(known) = self.life.legs.get(leg).filter(|known| known.native.is_some()) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        let ready = known.answered.map_or(self.now, |answered| answered + AFTER_ANSWER);
        let others = self.life.orders.values().filter_map(|running| match &running.work {
            Work::Dtmf { leg: other, digits, next, sent } if *other == leg => {
                Some(*sent + PACE * u32::try_from(digits.as_str().len() + 1 - *next).unwrap_or(0))
            }
            _ => None,
        });
        // a second order for this leg goes behind the first
        let due = others.fold(ready.max(self.now), std::cmp::Ord::max);
        self.running(ticket, Work::Dtmf { leg, digits, next: 0, sent: due }, [], TONES_WITHIN);
        if due > self.now {
            self.life.timers.arm(Timer::Digit(ticket), due);
        } else {
            self.next_digit(ticket);
        }
    }

    /// Sends the next digit of an order.
    pub(super) fn next_digit(&mut self, ticket: Ticket) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Dtmf { leg, digits, next, sent } = &mut running.work else { return };
        let Some(digit) = digits.as_str().get(*next..=*next).map(str::to_owned) else { return };
        let (leg, evidence) = (*leg, evidence(*next));
        *next += 1;
        *sent = now;
        running.sent = true;
        let Some(channel) = self.channel(leg) else {
            return self.finish(ticket, Err(Refused { evidence, ..Refused::unsent(Why::NoSuchLeg) }));
        };
        let asked = self.ask(Purpose::Step(ticket), |id| {
            Command::new(id, Name::Dtmf).with("targetid", channel).with("text", digit)
        });
        if let (Ok(id), Some(running)) = (asked, self.life.orders.get_mut(&ticket)) {
            running.current = Some((id, Step::Look(leg)));
        }
    }

    pub(super) fn digit_answered(&mut self, ticket: Ticket, reply: &Reply<'_>) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        running.current = None;
        let Work::Dtmf { digits, next, sent, leg } = &running.work else { return };
        if !reply.processed {
            let evidence = if *next <= 1 { Evidence::NotDone } else { Evidence::Unknown };
            let gone = self.life.legs.get(*leg).is_none();
            return self.finish(ticket, Err(Refused { evidence, ..reply.refused(gone) }));
        }
        if *next >= digits.as_str().len() {
            return self.finish(ticket, Ok(Done::Proven));
        }
        let due = *sent + PACE;
        self.life.timers.arm(Timer::Digit(ticket), due.max(now));
    }
}

/// Before the first digit nothing was heard; afterwards it is not known how many were.
fn evidence(next: usize) -> Evidence {
    if next == 0 { Evidence::NothingSent } else { Evidence::Unknown }
}
