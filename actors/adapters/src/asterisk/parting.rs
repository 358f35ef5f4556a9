//! Who goes on when one of two that talk ends: after a hangup nobody, after a phone's own transfer the other one.
//!
//! The end of the leg whose phone pressed the transfer key may be heard before the transfer is, and with AMI alone word
//! of a transfer is no evidence, as a caller can write it. So the end of one is told when it is known where the other
//! is: told by the stream, or asked for, once, with `Status`. A normal hangup costs that one question and nobody waits
//! for it: the server has ended the other leg by then (sheet, section 11).

use std::time::Duration;

use ifbus_call::{Event, LegId};

use super::flight::Timer;
use super::legs::Leg;
use super::listing::{Item, RESYNC_AFTER};
use super::machine::{Asterisk, Phase};

/// A leg that is neither gone nor elsewhere is asked about again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// So often; then it is taken for left alone.
const LOOKS_MAX: u8 = 5;

/// An end that is not told yet.
#[derive(Debug)]
pub(super) struct Parting {
    /// Whose end it is.
    leg: LegId,
    event: Event,
    /// The bridge the two were in.
    bridge: u128,
    looks: u8,
}

impl Asterisk {
    /// The leg is over. If it talked to somebody who lives, and no order of ours has to do with it, it is asked first
    /// what became of him.
    pub(super) fn parted(&mut self, leg: LegId, was: Option<&Leg>, event: Event) {
        self.release(leg);
        let partner = was.filter(|was| !was.dropped).and_then(|was| was.talked_to);
        let ready = self.phase == Phase::Ready;
        let stays = partner.filter(|(partner, _)| ready && self.may_be_moved(*partner, leg));
        let Some((stays, bridge)) = stays else { return self.tell(event) };
        self.release(stays);
        self.life.partings.insert(stays, Parting { leg, event, bridge, looks: 0 });
        self.doubt(stays);
    }

    /// It lives, its last talk was with the one that ended, and it is not known where it is.
    fn may_be_moved(&self, stays: LegId, ended: LegId) -> bool {
        let known = self.life.legs.get(stays);
        let alone = known.is_some_and(|known| {
            known.foreign.is_none()
                && known.made
                && !known.dropped
                && !known.away
                && known.talked_to.is_some_and(|(with, _)| with == ended)
        });
        alone && !self.life.busy.contains_key(&stays)
    }

    /// Tells the end that waits for news of this leg.
    fn release(&mut self, stays: LegId) {
        if let Some(parting) = self.life.partings.remove(&stays) {
            self.life.timers.disarm(Timer::Parting(stays));
            self.tell(parting.event);
        }
    }

    /// The server was asked about a leg: a line, no such channel, or (outer `None`) nothing.
    pub(super) fn stays_or_goes(&mut self, stays: LegId, answer: Option<Option<Item>>) {
        let Some(parting) = self.life.partings.get_mut(&stays) else { return };
        let (ended, old) = (parting.leg, parting.bridge);
        parting.looks += 1;
        let last = parting.looks >= LOOKS_MAX;
        match answer {
            Some(None) => self.release(stays),
            Some(Some(item)) => {
                let here =
                    item.bridge.as_ref().filter(|bridge| bridge.room.is_none()).map(|bridge| bridge.key);
                let with = here.and_then(|here| {
                    let mut others = self.life.legs.members(here).iter().copied();
                    others.rfind(|other| *other != stays && *other != ended)
                });
                match (here, with) {
                    (Some(_), Some(with)) => {
                        let to = self.party_of(with).unwrap_or(item.connected);
                        self.moved_by_phone(stays, Some(with), Some(to));
                    }
                    (Some(here), None) if here != old => {
                        self.moved_by_phone(stays, None, Some(item.connected));
                        self.look_for_guests();
                    }
                    (_, None) if item.away.is_some() => self.away(stays, item.away),
                    (Some(_), None) if !last => return self.look_later(stays),
                    _ => {}
                }
                self.release(stays);
            }
            // no answer is no evidence: nobody who may still talk is cut
            None if last => self.moved_by_phone(stays, None, None),
            None => self.look_later(stays),
        }
    }

    fn look_later(&mut self, stays: LegId) {
        self.life.timers.arm(Timer::Parting(stays), self.now + LOOK_AGAIN);
    }

    pub(super) fn look_where(&mut self, stays: LegId) {
        if self.life.partings.contains_key(&stays) {
            self.doubt(stays);
        }
    }

    // ---- what is known of the one that was moved ---------------------------------------------------------------------

    /// It was sent to an extension; nobody has answered there.
    pub(super) fn sent_away(&mut self, leg: LegId, exten: &str) {
        if self.life.legs.get(leg).is_some_and(|known| known.made) {
            self.away(leg, Some(exten.chars().take(120).collect()));
        }
    }

    /// A line shows a leg that has talked in a dialplan that is none of ours.
    pub(super) fn learn_where(&mut self, item: &Item) {
        let news = |known: &Leg| known.talked_to.is_some() && !known.away;
        let away = item.away.is_some() && item.bridge.is_none();
        if away && self.life.legs.get(item.leg).is_some_and(news) {
            self.away(item.leg, item.away.clone());
        }
    }

    fn away(&mut self, leg: LegId, to: Option<String>) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.away = true;
        }
        self.moved_by_phone(leg, None, to);
    }

    pub(super) fn moved_by_phone(&mut self, leg: LegId, guest: Option<LegId>, to: Option<String>) {
        self.tell(Event::MovedByPhone { leg, guest, to });
        self.release(leg);
    }

    /// It talks to this one now. Where that is one of another call, or none of ours, a phone's own transfer did it, for
    /// we never join such legs; but as long as its own partner is there too, it has not lost him.
    pub(super) fn now_with(&mut self, leg: LegId, other: LegId, bridge: u128) {
        let call = |leg: LegId| Some(self.life.legs.get(leg)?.tag.as_ref()?.call);
        let mine = call(leg);
        let of_mine = |other: LegId| mine.is_some() && call(other) == mine;
        let own = self.life.legs.members(bridge).iter().any(|member| *member != leg && of_mine(*member));
        let guest = !of_mine(other) && !self.is_foreign(leg) && (mine.is_some() || self.is_foreign(other));
        if own && guest {
            return;
        }
        if guest && (self.is_foreign(other) || call(other).is_some()) {
            self.moved_by_phone(leg, Some(other), self.party_of(other));
        }
        if let Some(known) = self.life.legs.get_mut(leg) {
            (known.talked_to, known.away) = (Some((other, bridge)), false);
        }
    }

    /// Who a leg of ours is.
    pub(super) fn party_of(&self, leg: LegId) -> Option<String> {
        Some(self.life.legs.get(leg)?.tag.as_ref()?.party.to_string())
    }

    /// The stream names who is in a bridge; without it the list does, and that is asked for within reason.
    pub(super) fn look_for_guests(&mut self) {
        if !self.by_stream() && self.phase == Phase::Ready && !self.life.timers.is_armed(Timer::Resync) {
            self.life.timers.arm(Timer::Resync, self.now + RESYNC_AFTER);
        }
    }
}
