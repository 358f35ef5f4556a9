//! Tones: one `PlayDTMF` per digit, on a connection of their own because each blocks its session while it sounds.
//!
//! The server answers `Success` to digits that do not exist; `Digits` has checked them. Done when the last one was
//! answered.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Digits, LegId, Refused, Why};

use super::flight::{Purpose, Timer, Work};
use super::login::LOGIN_WITHIN;
use super::machine::{Asterisk, Link, TONES};
use super::session::{is_gone, refused};
use crate::adapter::Ticket;
use crate::wire_format::ami::Message;

/// How long a digit sounds.
const SOUND_MS: u32 = 100;

/// From one digit to the next: the sound and at least 60 ms of silence (sheet, section 5).
const PACE: Duration = Duration::from_millis(160);

/// One session plays one digit at a time: more than this many orders at once would stretch the pauses.
const AT_ONCE: usize = 4;

/// The longest order takes 5 s alone and 13 s among others; the rest is waiting in line.
const TONES_WITHIN: Duration = Duration::from_secs(30);

impl Asterisk {
    pub(super) fn dtmf(&mut self, ticket: Ticket, leg: LegId, digits: Digits) {
        if self.channel(leg).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        }
        let work = Work::Dtmf { leg, digits, next: 0, sent: self.now };
        self.running(ticket, work, Vec::new(), TONES_WITHIN);
        self.life.tones.push_back(ticket);
        match self.session(TONES).link {
            Link::In => self.start_tones(),
            Link::Closed => {
                self.open_session(TONES);
                self.life.timers.arm(Timer::Login(TONES), self.now + LOGIN_WITHIN);
            }
            Link::Opening | Link::Open => {}
        }
    }

    pub(super) fn tones_ready(&mut self) {
        self.life.timers.disarm(Timer::Login(TONES));
        self.start_tones();
    }

    /// Starts the next orders in line, one per leg, up to the limit.
    pub(super) fn start_tones(&mut self) {
        self.life.tones.retain(|ticket| self.life.orders.contains_key(ticket));
        let playing: Vec<(Ticket, LegId)> = self
            .life
            .orders
            .iter()
            .filter_map(|(ticket, running)| match running.work {
                Work::Dtmf { leg, .. } if !self.life.tones.contains(ticket) => Some((*ticket, leg)),
                _ => None,
            })
            .collect();
        let mut legs: Vec<LegId> = playing.into_iter().map(|(_, leg)| leg).collect();
        for ticket in std::mem::take(&mut self.life.tones) {
            let leg = match self.life.orders.get(&ticket).map(|running| &running.work) {
                Some(Work::Dtmf { leg, .. }) => *leg,
                _ => continue,
            };
            if legs.len() < AT_ONCE && !legs.contains(&leg) {
                legs.push(leg);
                self.next_digit(ticket);
            } else {
                legs.push(leg);
                self.life.tones.push_back(ticket);
            }
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
        let Some(channel) = self.channel(leg) else {
            self.finish(ticket, Err(Refused { evidence, ..Refused::unsent(Why::NoSuchLeg) }));
            return self.start_tones();
        };
        let (id, action) = self.action("PlayDTMF");
        let action = action.with("Channel", channel).with("Digit", digit).with("Duration", SOUND_MS);
        if self.ask(TONES, id, action, Purpose::Digit(ticket)).is_ok()
            && let Some(running) = self.life.orders.get_mut(&ticket)
        {
            running.asks = vec![id];
        }
    }

    pub(super) fn digit_answered(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Dtmf { digits, next, sent, .. } = &running.work else { return };
        if !success {
            let evidence = if *next <= 1 { Evidence::NotDone } else { Evidence::Unknown };
            let why = if is_gone(message) { Why::NoSuchLeg } else { Why::Refused };
            self.finish(ticket, Err(Refused { why, evidence, ..refused(message) }));
            return self.start_tones();
        }
        if *next >= digits.as_str().len() {
            self.finish(ticket, Ok(Done::Proven));
            return self.start_tones();
        }
        let due = *sent + PACE;
        if due > now {
            self.life.timers.arm(Timer::Digit(ticket), due);
        } else {
            self.next_digit(ticket);
        }
    }

    /// The connection for tones is lost: its orders are answered, the rest of the server is as it was.
    pub(super) fn tones_closed(&mut self) {
        if self.session(TONES).link == Link::Closed {
            return;
        }
        *self.session(TONES) = super::machine::Session::default();
        self.life.timers.disarm(Timer::Login(TONES));
        self.life.tones.clear();
        let tones = self.life.orders.iter().filter_map(|(ticket, running)| match running.work {
            Work::Dtmf { next, .. } => Some((*ticket, next)),
            _ => None,
        });
        for (ticket, next) in tones.collect::<Vec<_>>() {
            self.finish(ticket, Err(Refused { evidence: evidence(next), ..Refused::link_lost() }));
        }
    }
}

/// Before the first digit nothing was heard; afterwards it is not known how many were.
fn evidence(next: usize) -> Evidence {
    if next == 0 { Evidence::NothingSent } else { Evidence::Unknown }
}
