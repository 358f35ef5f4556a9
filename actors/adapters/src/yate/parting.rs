//! Who goes on when one of two that talk ends: after a hangup nobody, after a phone's own transfer the other one.
//!
//! The end of the leg whose phone pressed the transfer key may be heard before the transfer is: events come in any
//! order. So the end of one is told when it is known where the other is: it ends too, it is connected elsewhere, or it
//! is asked for. Nobody waits for that in a normal hangup: both ends come within a millisecond.

use std::time::Duration;

use ifbus_call::{Event, LegId, Stage};

use super::flight::Timer;
use super::legs::{Leg, Peer};
use super::machine::{Phase, Yate};

/// From the end of one to the first look for the other, and from look to look.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// So often; then it is taken for left alone.
const LOOKS_MAX: u8 = 5;

/// An end that is not told yet.
#[derive(Debug)]
pub(super) struct Parting {
    event: Event,
    looks: u8,
}

impl Yate {
    /// The leg is over. If it talked to somebody who lives, and no order of ours has to do with it, it is told when it
    /// is known what became of him.
    pub(super) fn parted(&mut self, leg: LegId, was: &Leg, event: Option<Event>) {
        self.release(leg);
        let Some(event) = event else { return };
        let partner = was.partner().filter(|_| !was.dropped && self.phase == Phase::Ready);
        match partner.filter(|partner| self.may_be_moved(*partner)) {
            Some(stays) => {
                self.release(stays);
                self.life.partings.insert(stays, Parting { event, looks: 0 });
                self.life.timers.arm(Timer::Parting(stays), self.now + LOOK_AFTER);
            }
            None => self.tell(event),
        }
    }

    fn may_be_moved(&self, stays: LegId) -> bool {
        let known = self.life.legs.get(stays);
        known.is_some_and(|known| !known.foreign && known.made && !known.dropped && !known.keep)
            && !self.life.busy.contains_key(&stays)
    }

    /// Tells the end that waits for news of this leg.
    pub(super) fn release(&mut self, stays: LegId) {
        if let Some(parting) = self.life.partings.remove(&stays) {
            self.life.timers.disarm(Timer::Parting(stays));
            self.tell(parting.event);
        }
    }

    pub(super) fn look_where(&mut self, stays: LegId) {
        if self.life.partings.contains_key(&stays) {
            self.doubt(stays);
        }
    }

    /// The server was asked about a leg that may have lost its partner.
    pub(super) fn stays_or_goes(&mut self, stays: LegId) {
        let Some(parting) = self.life.partings.get_mut(&stays) else { return };
        parting.looks += 1;
        let last = parting.looks >= LOOKS_MAX;
        let known = self.life.legs.get(stays);
        // its own end, or its new partner, has released it already
        if last || known.is_none_or(|known| known.gone) {
            return self.release(stays);
        }
        self.life.timers.arm(Timer::Parting(stays), self.now + LOOK_AFTER);
    }

    // ---- guests ----------------------------------------------------------------------------------------------------

    /// Two are connected. Where one is of another call, or none of ours, a phone's own transfer did it, for we never
    /// join such legs.
    pub(super) fn talks(&mut self, a: LegId, b: LegId) {
        let of = |leg: LegId| self.life.legs.get(leg);
        let answered = [a, b].into_iter().all(|leg| of(leg).is_some_and(|known| known.stage == Stage::Up));
        if answered {
            match (self.is_foreign(a), self.is_foreign(b)) {
                (true, true) => {}
                (true, false) => self.tell(Event::Joined(b, a)),
                (false, _) => self.tell(Event::Joined(a, b)),
            }
        }
        for (leg, guest) in [(a, b), (b, a)] {
            self.now_with(leg, guest);
        }
    }

    fn now_with(&mut self, leg: LegId, guest: LegId) {
        let call = |leg: LegId| Some(self.life.legs.get(leg)?.tag.as_ref()?.call);
        let (Some(mine), theirs) = (call(leg), call(guest)) else { return };
        let up = self.life.legs.get(guest).is_some_and(|known| known.stage == Stage::Up);
        let is_guest = !self.is_foreign(leg) && theirs != Some(mine);
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.away = is_guest && !up;
            known.guest_ended = None;
        }
        if is_guest {
            let to = self.party_of(guest);
            self.moved_by_phone(leg, Some(guest).filter(|_| up), to);
        }
    }

    fn moved_by_phone(&mut self, leg: LegId, guest: Option<LegId>, to: Option<String>) {
        self.tell(Event::MovedByPhone { leg, guest, to });
        self.release(leg);
    }

    /// The one a leg was sent to has answered.
    pub(super) fn guest_answered(&mut self, guest: LegId) {
        let Some(leg) = self.life.legs.get(guest).and_then(Leg::partner) else { return };
        if self.is_foreign(leg) {
            return;
        }
        self.tell(Event::Joined(leg, guest));
        self.now_with(leg, guest);
        self.adjust(leg);
    }

    /// It is known now who a guest is.
    pub(super) fn guest_introduced(&mut self, guest: LegId) {
        let leg = self.life.legs.get(guest).and_then(Leg::partner);
        if let Some(leg) = leg.filter(|leg| !self.is_foreign(*leg)) {
            self.now_with(leg, guest);
        }
    }

    /// Who a leg is.
    pub(super) fn party_of(&self, leg: LegId) -> Option<String> {
        let known = self.life.legs.get(leg)?;
        let party = known.tag.as_ref().map_or_else(|| known.party.clone(), |tag| tag.party.to_string());
        (!party.is_empty()).then_some(party)
    }

    /// What a leg of ours was moved to by a phone, as a list shows it.
    pub(super) fn moved_to(&self, leg: LegId) -> Option<String> {
        let known = self.life.legs.get(leg)?;
        let Some(Peer::Leg(guest)) = known.peer else { return None };
        let mine = known.tag.as_ref()?.call;
        let theirs = self.life.legs.get(guest).and_then(|guest| guest.tag.as_ref()).map(|tag| tag.call);
        if theirs == Some(mine) { None } else { self.party_of(guest) }
    }
}
