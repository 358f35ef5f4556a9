//! When an order is done: what is known proves it, or the server is asked at its deadline, or it is not proven.
//!
//! Nothing is sent here but questions, and the music of a park that is proven. What becomes known comes from `facts.rs`.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{LegId, Refused, Why};

use super::conference::lost_on_the_way;
use super::flight::{Purpose, Timer, Work};
use super::listing::Item;
use super::machine::FreeSwitch;
use crate::adapter::Ticket;

/// The longest look for the truth after a deadline.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

impl FreeSwitch {
    /// Finishes an order if what is known now proves it, or proves that it cannot be done.
    pub(super) fn progress(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let legs = &self.life.legs;
        let accepted = running.accepted;
        let lost = |leg: &LegId| legs.get(*leg).is_none();
        let outcome = match running.work {
            Work::Enter { leg, ref conference } => match legs.get(leg) {
                None => Some(Err(lost_on_the_way("its conference"))),
                Some(_) => self.is_inside(leg, conference).then_some(Ok(Done::Proven)),
            },
            Work::Leave { leg } => match legs.get(leg) {
                None => Some(Err(lost_on_the_way("its waiting place"))),
                Some(known) => (accepted && known.room.is_none() && known.waits).then_some(Ok(Done::Proven)),
            },
            Work::Dial { leg, .. } => match legs.get(leg) {
                Some(known) if !known.made => None,
                _ => Some(Ok(Done::Proven)),
            },
            Work::Drop { leg } => lost(&leg).then_some(Ok(Done::Proven)),
            Work::Join { a, b } if legs.together(a, b) => Some(Ok(Done::Proven)),
            Work::Park { held, other }
                if [held, other].iter().all(|leg| {
                    legs.get(*leg).is_some_and(|known| known.partner.is_none() && known.waits)
                }) =>
            {
                self.wait_apart(held, other, false);
                Some(Ok(Done::Proven))
            }
            Work::Join { a, b } | Work::Park { held: a, other: b } => {
                let gone = lost(&a) || lost(&b);
                gone.then_some(Err(Refused {
                    evidence: Evidence::NotDone,
                    ..Refused::unsent(Why::NoSuchLeg)
                }))
            }
            _ => None,
        };
        if let Some(outcome) = outcome {
            self.finish(ticket, outcome);
        }
    }

    /// The deadline of an order: ask the server what is true, and answer from that.
    pub(super) fn order_late(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let looked = running.looks.is_some();
        let legs = running.work.legs();
        match &running.work {
            Work::List => return self.list_late(ticket),
            Work::Fetch(_) => return self.fetch_late(ticket),
            Work::Load
            | Work::Mute { .. }
            | Work::Dtmf { .. }
            | Work::Record(_)
            | Work::StopRecord(_)
            | Work::Drain { .. } => return self.unproven(ticket),
            Work::Probe(_) => return self.probe_over(ticket),
            Work::Inspect(_) => return self.inspection_over(ticket),
            Work::Dial { .. }
            | Work::Join { .. }
            | Work::Park { .. }
            | Work::Drop { .. }
            | Work::Enter { .. }
            | Work::Leave { .. } => {}
        }
        if looked {
            return self.unproven(ticket);
        }
        self.life.timers.arm(Timer::Order(ticket), self.now + LOOK_WITHIN);
        let looks =
            legs.into_iter().filter(|leg| self.look_at(*leg, Purpose::LastLook(ticket, *leg))).count();
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.looks = Some(looks);
        }
        if looks == 0 {
            self.unproven(ticket);
        }
    }

    /// One leg was looked at after the deadline.
    pub(super) fn looked(&mut self, ticket: Ticket, leg: LegId, answer: Option<Option<Item>>) {
        match answer {
            Some(Some(item)) => self.learn(&item),
            Some(None) if self.dialing(leg).is_some() => {}
            Some(None) => {
                self.gone(leg);
                self.vanished(leg);
            }
            None => return,
        }
        self.progress(ticket);
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        running.looks = running.looks.map(|looks| looks.saturating_sub(1));
        if running.looks == Some(0) {
            self.unproven(ticket);
        }
    }

    /// There is no proof, and the truth gave none. A command that was taken is over and has not worked; one that was
    /// not, and an originate, may still take effect.
    fn unproven(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let mut evidence = Evidence::Unknown;
        match running.work {
            Work::Dial { leg, .. } => {
                self.life.legs.remove(leg);
            }
            Work::Drop { leg } => {
                if let Some(known) = self.life.legs.get_mut(leg) {
                    known.dropped = false;
                }
            }
            _ if running.accepted && running.looks == Some(0) => evidence = Evidence::NotDone,
            _ => {}
        }
        self.finish(ticket, Err(Refused { why: Why::Unproven, evidence, ..Refused::link_lost() }));
    }
}
