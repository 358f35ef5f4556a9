//! The waits of orders that need a leg at a certain place: asked for again and again, as no event tells.
//!
//! `Bridge` remembers where in the dialplan a leg is and lets it go on at the next step when its partner leaves. In the
//! milliseconds after an answer or a `Redirect` the leg is still at `Answer`; taken there, it would go on INTO the
//! waiting place afterwards and stay for a day, or the `Redirect` would tear the pair apart again. Both seen with a join
//! right behind a park, on 16 and on 22. So a leg is taken only out of `Wait` or `MusicOnHold`, and one that leaves a
//! conference has left it when it is there again.

use std::time::Duration;

use ifbus_call::LegId;

use super::flight::{Asked, Purpose, Timer, Work};
use super::listing::Item;
use super::machine::{Asterisk, COMMANDS};
use super::orders::unfit_refusal;
use crate::adapter::Ticket;

/// The waiting place is reached within a few milliseconds; asked again so often that nobody hears the difference.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Asterisk {
    /// Asks about every leg of an order that may still be on its way; goes on if there is none.
    pub(super) fn settle_legs(&mut self, ticket: Ticket) {
        let Some(restless) = self.restless(ticket) else { return };
        if restless.is_empty() {
            return self.all_settled(ticket);
        }
        for leg in restless {
            let id = self.look_at(leg, Purpose::Settle(ticket, leg, None));
            if let Some(running) = self.life.orders.get_mut(&ticket) {
                running.asks.extend(id);
            }
        }
    }

    /// The legs that are not where this order wants them; `None` if it is past that.
    fn restless(&self, ticket: Ticket) -> Option<Vec<LegId>> {
        let legs = &self.life.legs;
        let moving = |leg: &LegId| legs.get(*leg).is_some_and(|known| !known.settled);
        let restless = match &self.life.orders.get(&ticket)?.work {
            Work::Join { a, b, sent: false } => [*a, *b].into_iter().filter(moving).collect(),
            Work::Enter { leg, sent: false, .. } => {
                Some(*leg).filter(moving).filter(|leg| legs.room_of(*leg).is_none()).into_iter().collect()
            }
            Work::Enter { leg, conference, sent: true } => {
                let inside = legs.get(*leg).is_none() || self.is_inside(*leg, conference);
                Some(*leg).filter(|_| !inside).into_iter().collect()
            }
            Work::Leave { leg } => Some(*leg).filter(moving).into_iter().collect(),
            _ => return None,
        };
        Some(restless)
    }

    fn all_settled(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        match running.work {
            Work::Join { a, b, .. } => self.bridge(ticket, a, b),
            Work::Enter { leg, sent: false, .. } => self.unfence(ticket, leg),
            _ => self.progress(ticket),
        }
    }

    /// The answer: a line, no such channel, or (outer `None`) nothing.
    pub(super) fn settled(&mut self, ticket: Ticket, leg: LegId, answer: Option<Option<Item>>) {
        match answer {
            Some(Some(item)) => self.learn(&item),
            Some(None) => self.gone(leg),
            None => {}
        }
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let open =
            |id: &u128| matches!(self.life.asked.get(id), Some(Asked { purpose: Purpose::Settle(..), .. }));
        if running.asks.iter().any(open) {
            return;
        }
        match self.restless(ticket) {
            Some(restless) if restless.is_empty() => self.all_settled(ticket),
            Some(_) => self.life.timers.arm(Timer::Settle(ticket), self.now + LOOK_AGAIN),
            None => {}
        }
    }

    fn bridge(&mut self, ticket: Ticket, a: LegId, b: LegId) {
        let Some((first, second)) = self.channel(a).zip(self.channel(b)) else { return };
        let (id, action) = self.action("Bridge");
        let action = action.with("Channel1", first).with("Channel2", second).with("Tone", "no");
        if let Err(unfit) = self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            return self.refuse(ticket, unfit_refusal(&unfit));
        }
        if let Some(running) = self.life.orders.get_mut(&ticket) {
            running.work = Work::Join { a, b, sent: true };
            running.asks.push(id);
        }
    }
}
