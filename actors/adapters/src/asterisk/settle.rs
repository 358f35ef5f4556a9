//! The one wait before a join: a leg may be taken only out of `Wait` or `MusicOnHold`.
//!
//! `Bridge` remembers where in the dialplan a leg is and lets it go on at the next step when its partner leaves. In the
//! milliseconds after an answer or a `Redirect` the leg is still at `Answer`; taken there, it would go on INTO the
//! waiting place afterwards and stay for a day, or the `Redirect` would tear the pair apart again. Both seen with a join
//! right behind a park, on 16 and on 22.

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
    /// Asks about every leg of a join that may still be on its way; joins if there is none.
    pub(super) fn settle_legs(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let Work::Join { a, b, sent: false } = running.work else { return };
        let restless = |leg: &LegId| self.life.legs.get(*leg).is_some_and(|known| !known.settled);
        let restless: Vec<LegId> = [a, b].into_iter().filter(restless).collect();
        if restless.is_empty() {
            return self.bridge(ticket, a, b);
        }
        for leg in restless {
            let id = self.look_at(leg, Purpose::Settle(ticket, leg, None));
            if let Some(running) = self.life.orders.get_mut(&ticket) {
                running.asks.extend(id);
            }
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
        let Work::Join { a, b, .. } = running.work else { return };
        let settled = |leg: LegId| self.life.legs.get(leg).is_some_and(|known| known.settled);
        if settled(a) && settled(b) {
            self.settle_legs(ticket);
        } else {
            self.life.timers.arm(Timer::Settle(ticket), self.now + LOOK_AGAIN);
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
