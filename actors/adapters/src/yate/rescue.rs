//! Who has to outlive his partner: one who asks a third party, and must be there when that party leaves.
//!
//! The engine asks us before such a leg ends, and waits (sheet, section 5.5). The leg is placed, then the engine is
//! answered. Meanwhile no order touches the leg: placed behind a join, it would tear the new pair apart (seen).

use std::time::Duration;

use super::flight::{Place, Purpose, Timer};
use super::machine::Yate;
use super::names;
use super::session::Reply;
use super::steps::JOINED;
use crate::adapter::Ticket;
use crate::wire_format::extmodule::{Channel, Command, Params, answer};
use ifbus_call::LegId;

/// Holds a leg like the ticket of an order; no driver gives it.
const HELD: Ticket = Ticket(u64::MAX);

/// The engine is not kept waiting longer: at three seconds it would close the connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl Yate {
    /// The engine asks before a leg ends whose partner has left. Says whether it is kept: then the answer comes later.
    pub(super) fn rescue(&mut self, asked: &[u8], params: &Params<'_>) -> bool {
        let leg = params.get(names::LEG).and_then(|tagged| names::ours(self.instance, &tagged));
        let Some(leg) =
            leg.filter(|leg| self.life.legs.get(*leg).is_some_and(|known| known.keep && !known.dropped))
        else {
            return false;
        };
        // our own join took the partner away: then it is released
        if params.get("reason").is_some_and(|reason| reason == JOINED) || self.life.held.contains_key(&leg) {
            return false;
        }
        let Some(channel) = self.channel(leg) else { return false };
        self.life.held.insert(leg, asked.to_vec());
        self.life.timers.arm(Timer::Held(leg), self.now + ANSWER_WITHIN);
        // an order that moves it is under way: what becomes of the leg is known when it is over
        if !self.life.busy.contains_key(&leg) {
            self.place_held(leg, &channel);
        }
        true
    }

    fn place_held(&mut self, leg: LegId, channel: &Channel) {
        self.life.busy.insert(leg, HELD);
        let callto = self.callto(Place::Silence);
        let asked = self.ask(Purpose::Rescue(leg), |id| {
            Command::of(id, channel, "call.execute").with("callto", callto).with("autorepeat", "true")
        });
        debug_assert!(asked.is_ok(), "a channel and a path are fit");
    }

    pub(super) fn rescued(&mut self, leg: LegId, reply: &Reply<'_>) {
        if reply.processed {
            self.placed(leg, Place::Silence, &reply.text("peerid"));
        }
        self.let_go(leg, reply.processed);
    }

    /// An order has let go of a leg that the engine asks about.
    pub(super) fn held_after_order(&mut self, leg: LegId) {
        if !self.life.held.contains_key(&leg) {
            return;
        }
        match self.life.legs.get(leg).map(|known| (known.peer.is_some(), known.native.clone())) {
            Some((false, Some(channel))) => self.place_held(leg, &channel),
            Some((true, _)) => self.let_go(leg, true),
            _ => self.let_go(leg, false),
        }
    }

    /// The engine has waited long enough, or its answer is known.
    pub(super) fn let_go(&mut self, leg: LegId, kept: bool) {
        self.life.timers.disarm(Timer::Held(leg));
        if let Some(asked) = self.life.held.remove(&leg) {
            self.send(answer(&asked, kept, ""));
        }
        if self.life.busy.get(&leg) == Some(&HELD) {
            self.life.busy.remove(&leg);
            self.life.freed = true;
            self.calm(leg);
        }
    }
}
