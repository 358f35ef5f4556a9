//! When an order is done: what is known proves it, or the server is asked at its deadline, or it is not proven.
//!
//! Nothing is sent here but questions. What becomes known comes from `facts.rs` and `steps.rs`.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Outcome};
use ifbus_call::{LegId, Refused, Said, Why};

use super::flight::{Purpose, Running, Timer, Work};
use super::legs::Peer;
use super::machine::Yate;
use super::session::Reply;
use crate::adapter::Ticket;
use crate::wire_format::extmodule::{Command, Name};

/// The longest look for the truth after a deadline.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

impl Yate {
    /// Finishes an order if what is known now proves it, or proves that it cannot be done.
    pub(super) fn progress(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        if let Some(outcome) = self.outcome(running) {
            self.finish(ticket, outcome);
        }
    }

    fn outcome(&self, running: &Running) -> Option<Outcome> {
        let legs = &self.life.legs;
        let gone = |leg: LegId| legs.get(leg).is_none();
        let lost = || Err(Refused { evidence: Evidence::NotDone, ..Refused::unsent(Why::NoSuchLeg) });
        let not_done = |text: &str| {
            let said = Some(Said::new(None, text));
            Err(Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(Why::Refused) })
        };
        match &running.work {
            Work::Dial { leg } => match legs.get(*leg) {
                Some(known) if !known.made => None,
                _ => Some(Ok(Done::Proven)),
            },
            Work::Drop { leg, .. } => gone(*leg).then_some(Ok(Done::Proven)),
            Work::Join { a, b } if legs.together(*a, *b) && running.over => Some(Ok(Done::Proven)),
            Work::Join { a, b } if gone(*a) || gone(*b) => Some(lost()),
            Work::Join { .. } if running.over => Some(not_done("they are not connected")),
            Work::Park { held, other } => {
                let both = gone(*held) && gone(*other);
                let placed = |leg: LegId| {
                    legs.get(leg).is_some_and(|known| matches!(known.peer, Some(Peer::Place(_))))
                };
                match running.over || both {
                    false => None,
                    true if gone(*held) || gone(*other) => Some(lost()),
                    true if placed(*held) && placed(*other) => Some(Ok(Done::Proven)),
                    true => Some(not_done("one of them is on no place")),
                }
            }
            Work::Enter { leg, .. } | Work::Leave { leg } if gone(*leg) => Some(lost()),
            Work::Enter { leg, conference } if running.over => Some(match legs.conference_of(*leg) {
                Some(inside) if inside == conference => Ok(Done::Proven),
                _ => not_done("it is not in its conference"),
            }),
            Work::Leave { .. } if running.over => Some(Ok(Done::Proven)),
            _ => None,
        }
    }

    /// The leg of a drop is not known to the server; its end is told first, if it was not.
    pub(super) fn gone_before(&mut self, ticket: Ticket, leg: LegId) {
        if self.life.legs.get(leg).is_some() {
            self.unknown(leg);
        } else {
            self.finish(ticket, Ok(Done::Proven));
        }
    }

    /// The deadline of an order: ask the server what is true, and answer from that.
    pub(super) fn order_late(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let looked = running.looks.is_some();
        let legs = running.work.legs();
        match &running.work {
            Work::List => return self.unproven(ticket),
            Work::Fetch(_) => return self.fetch_late(ticket),
            Work::Probe(_) => return self.probe_over(ticket),
            Work::Inspect(_) => return self.inspection_over(ticket),
            Work::Load | Work::Dtmf { .. } | Work::Drain { .. } => return self.unproven(ticket),
            _ => {}
        }
        if looked {
            return self.unproven(ticket);
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + LOOK_WITHIN);
        let named: Vec<LegId> = legs.into_iter().filter(|leg| self.channel(*leg).is_some()).collect();
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.looks = Some(named.len());
        }
        // a leg without a name can be found by its tag alone
        if named.is_empty() {
            self.list_for(Some(ticket));
        }
        for leg in named {
            let Some(channel) = self.channel(leg) else { continue };
            let asked = self.ask(Purpose::LastLook(ticket, leg), |id| {
                Command::new(id, Name::Status).with("module", channel)
            });
            debug_assert!(asked.is_ok(), "a channel is fit");
        }
    }

    /// One leg was looked at after the deadline.
    pub(super) fn looked(&mut self, ticket: Ticket, leg: LegId, reply: &Reply<'_>) {
        if reply.text("id").is_empty() {
            self.vanished(leg);
        } else {
            self.learn(leg, reply);
        }
        self.looked_on(ticket);
    }

    /// One of the looks is over.
    pub(super) fn looked_on(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        running.looks = running.looks.map(|looks| looks.saturating_sub(1));
        if running.looks != Some(0) {
            return;
        }
        let together = match &running.work {
            Work::Join { a, b } => {
                let (a, b) = (*a, *b);
                self.life.legs.together(a, b)
            }
            Work::Enter { leg, conference } => {
                let (leg, conference) = (*leg, conference.clone());
                self.life.legs.conference_of(leg) == Some(&conference)
            }
            _ => false,
        };
        if together {
            return self.finish(ticket, Ok(Done::Proven));
        }
        self.progress(ticket);
        self.unproven(ticket);
    }

    /// There is no proof, and the truth gave none: what was sent may still take effect.
    pub(super) fn unproven(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let mut evidence = if running.sent { Evidence::Unknown } else { Evidence::NothingSent };
        match running.work {
            Work::Dial { .. } => self.forget_dialed(ticket),
            Work::Drop { leg, .. } => {
                if let Some(known) = self.life.legs.get_mut(leg) {
                    known.dropped = false;
                }
            }
            _ if running.over && running.looks == Some(0) => evidence = Evidence::NotDone,
            _ => {}
        }
        self.finish(ticket, Err(Refused { why: Why::Unproven, evidence, ..Refused::link_lost() }));
    }
}
