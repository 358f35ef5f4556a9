//! Who goes on when one of two that talk ends: after a hangup nobody, after a phone's own transfer the other one.
//!
//! The server says of a leg that its phone sent its partner elsewhere, and then the move is told before the end. Where
//! it does not, the end of a leg that the server itself released is told when it is known what became of its partner: it
//! ends as well, is parked, or talks to somebody else. That takes the server a few milliseconds.

use std::time::Duration;

use ifbus_call::{By, Event, LegId};

use super::cause::End;
use super::flight::Timer;
use super::legs::Leg;
use super::listing::Item;
use super::machine::{FreeSwitch, Phase};

/// A partner that nothing is heard of for so long goes on by itself.
const HEAR_WITHIN: Duration = Duration::from_millis(500);

/// An end that is not told yet.
#[derive(Debug)]
pub(super) struct Parting {
    event: Event,
}

impl FreeSwitch {
    /// The leg is over: its end is told now, or when more is known of its partner.
    pub(super) fn part_from(&mut self, leg: LegId, was: &Leg, end: &End, event: Event) {
        self.release(leg);
        let partner = was.talked_to.filter(|_| !was.dropped && self.phase == Phase::Ready);
        let stays = partner.filter(|partner| self.goes_on(*partner, leg));
        let Some(stays) = stays else { return self.tell(event) };
        if end.moved {
            let to = end.moved_to.clone();
            self.moved_away(stays, to);
            self.doubt(stays);
            return self.tell(event);
        }
        let by_server = matches!(event, Event::Ended { by: By::Server, .. } | Event::Vanished(_));
        if !by_server || self.life.legs.get(stays).is_some_and(|known| known.waits) {
            return self.tell(event);
        }
        self.release(stays);
        self.life.partings.insert(stays, Parting { event });
        self.life.timers.arm(Timer::Parting(stays), self.now + HEAR_WITHIN);
    }

    /// It lives, it is ours, its last talk was with the one that ended, and no order of ours has to do with it.
    fn goes_on(&self, stays: LegId, ended: LegId) -> bool {
        let known = self.life.legs.get(stays);
        let alone = known.is_some_and(|known| {
            known.foreign.is_none()
                && !known.dropped
                && !known.away
                && known.talked_to == Some(ended)
                && known.partner.is_none_or(|partner| partner == ended)
        });
        alone && !self.life.busy.contains_key(&stays)
    }

    /// Tells the end that waits for news of this leg.
    pub(super) fn release(&mut self, stays: LegId) {
        if let Some(parting) = self.life.partings.remove(&stays) {
            self.life.timers.disarm(Timer::Parting(stays));
            self.tell(parting.event);
        }
    }

    // ---- what is known of the one that was moved ---------------------------------------------------------------------

    /// It was sent elsewhere; nobody has answered there.
    fn moved_away(&mut self, leg: LegId, to: Option<String>) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.away = true;
        }
        self.moved_by_phone(leg, None, to);
    }

    /// The server calls somebody on behalf of a leg of ours that has talked.
    pub(super) fn sent_to(&mut self, leg: LegId, to: Option<String>) {
        let known = self.life.legs.get(leg);
        if known.is_some_and(|known| known.foreign.is_none() && known.away) {
            self.moved_by_phone(leg, None, to);
        }
    }

    /// A description shows a leg that has talked in a dialplan that is none of ours.
    pub(super) fn learn_where(&mut self, item: &Item) {
        let talked = self.life.legs.get(item.leg).is_some_and(|known| known.talked_to.is_some());
        if item.away.is_some() && talked {
            self.moved_away(item.leg, item.away.clone());
        }
    }

    fn moved_by_phone(&mut self, leg: LegId, guest: Option<LegId>, to: Option<String>) {
        self.tell(Event::MovedByPhone { leg, guest, to });
        self.release(leg);
    }

    /// It talks to this one now. Where that is one of another call, or none of ours, a phone's own transfer did it, for
    /// we never join such legs.
    pub(super) fn now_with(&mut self, leg: LegId, other: LegId) {
        if self.is_foreign(leg) {
            return;
        }
        let call = |leg: LegId| Some(self.life.legs.get(leg)?.tag.as_ref()?.call);
        let mine = call(leg);
        if mine.is_some() && call(other) != mine && (self.is_foreign(other) || call(other).is_some()) {
            let party = self.party_of(other);
            self.moved_by_phone(leg, Some(other), party);
        }
        self.release(leg);
    }

    /// Who a leg is.
    fn party_of(&self, leg: LegId) -> Option<String> {
        let known = self.life.legs.get(leg)?;
        let party = known.tag.as_ref().map_or_else(|| known.party.clone(), |tag| tag.party.to_string());
        (!party.is_empty()).then_some(party)
    }
}
