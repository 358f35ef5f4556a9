//! One function per fact about a leg: what changes, what is told, and which order it proves.
//!
//! Every fact may come late or twice, from the stream or from an answer; a stage never goes back.

use ifbus_call::{By, Cause, Event, LegId, Stage};

use super::cause::{self, End};
use super::flight::{Timer, Work};
use super::legs::{Bridge, Leg, Room};
use super::listing::GONE_AFTER;
use super::machine::{Asterisk, Phase};
use crate::adapter::Output;

impl Asterisk {
    pub(super) fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// The leg, if it is one of ours or one that was listed; a leg of ours is never unknown.
    fn known(&mut self, leg: LegId) -> &mut Leg {
        self.life.legs.insert(leg, Leg::new(None))
    }

    pub(super) fn is_foreign(&self, leg: LegId) -> bool {
        self.life.legs.get(leg).is_some_and(|known| known.foreign.is_some())
    }

    /// The server has made a leg of ours.
    pub(super) fn made(&mut self, leg: LegId) {
        let known = self.known(leg);
        if std::mem::replace(&mut known.made, true) {
            return;
        }
        self.tell(Event::Started(leg));
        self.prove(leg);
    }

    pub(super) fn rings(&mut self, leg: LegId) {
        if self.is_foreign(leg) {
            return;
        }
        self.made(leg);
        let known = self.known(leg);
        known.rang = true;
        if known.stage == Stage::Dialing {
            known.stage = Stage::Ringing;
            self.tell(Event::Ringing(leg));
        }
    }

    pub(super) fn early_media(&mut self, leg: LegId) {
        self.made(leg);
        let known = self.known(leg);
        if known.stage != Stage::Up && !std::mem::replace(&mut known.early, true) {
            self.tell(Event::EarlyMedia(leg));
        }
    }

    pub(super) fn answered(&mut self, leg: LegId) {
        if self.is_foreign(leg) {
            return;
        }
        self.made(leg);
        let known = self.known(leg);
        if known.stage != Stage::Up {
            known.stage = Stage::Up;
            self.tell(Event::Answered(leg));
        }
    }

    /// It is in this bridge now. Whoever else is in a talk talks to it; who is in a conference is there, no more.
    pub(super) fn entered(&mut self, leg: LegId, bridge: &Bridge) {
        if self.life.legs.bridge_of(leg) == Some(bridge.key) || self.life.legs.get(leg).is_none() {
            return;
        }
        self.left(leg);
        self.life.legs.put(leg, bridge);
        let room = self.life.legs.room_of(leg).cloned();
        self.known(leg).settled = room.is_none();
        match room {
            None => self.talks(leg, bridge.key),
            Some(Room::Ours(conference)) if !self.is_foreign(leg) => {
                self.tell(Event::Entered(leg, conference))
            }
            Some(_) => {}
        }
        self.prove(leg);
    }

    fn talks(&mut self, leg: LegId, bridge: u128) {
        let partners: Vec<LegId> =
            self.life.legs.members(bridge).iter().copied().filter(|other| *other != leg).collect();
        if partners.is_empty() && self.known(leg).away {
            self.look_for_guests();
        }
        for partner in partners {
            match (self.is_foreign(leg), self.is_foreign(partner)) {
                (true, true) => {}
                (true, false) => self.tell(Event::Joined(partner, leg)),
                (false, true) => self.tell(Event::Joined(leg, partner)),
                (false, false) => self.tell(Event::Joined(partner, leg)),
            }
            self.now_with(leg, partner, bridge);
            self.now_with(partner, leg, bridge);
            self.prove(partner);
        }
    }

    /// It is in no bridge now.
    pub(super) fn left(&mut self, leg: LegId) {
        let Some(bridge) = self.life.legs.bridge_of(leg) else { return };
        let room = self.life.legs.room(bridge).cloned();
        self.life.legs.unbridge(leg);
        match room {
            _ if self.is_foreign(leg) => {}
            None => self.tell(Event::Parted(leg)),
            Some(Room::Ours(_)) => self.tell(Event::Left(leg)),
            Some(Room::Foreign) => {}
        }
        self.prove(leg);
    }

    pub(super) fn asked_to_end(&mut self, leg: LegId, by: By) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.by.get_or_insert(by);
        }
    }

    /// The leg is over, and this is certain.
    pub(super) fn ended(&mut self, leg: LegId, end: &End) {
        let leg_was = self.life.legs.remove(leg);
        let past = leg_was.as_ref().map_or_else(|| Leg::new(None).past(), Leg::past);
        if leg_was.as_ref().is_some_and(|known| !known.made && known.foreign.is_none()) {
            self.tell(Event::Started(leg));
        }
        let cause = match cause::cause(past, end) {
            // chan_sip: the ringing time is over, and nothing else before the answer (sheet elastix, section 5)
            Cause::Rejected if end.cause == 16 && end.tech.is_none() && self.options.dialect.has_chan_sip => {
                Cause::NoAnswer
            }
            cause => cause,
        };
        self.parted(
            leg,
            leg_was.as_ref(),
            Event::Ended { leg, cause, by: cause::by(past), said: end.said() },
        );
        self.over(leg);
    }

    /// The server does not know the leg. Its end is told if it was heard. If it was not, the server is asked again a
    /// little later: while a leg is being moved into a bridge it may be unknown for a moment (seen on 22 under load).
    pub(super) fn gone(&mut self, leg: LegId) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if !known.made {
            // a leg that is being dialled may come to be at any moment; another one was an invention
            match self.dialing(leg) {
                Some(false) => {}
                Some(true) => drop(self.end_rumored(leg)),
                None => {
                    self.life.legs.remove(leg);
                    self.prove(leg);
                }
            }
            return;
        }
        match known.rumor.take() {
            Some(end) => self.ended(leg, &end),
            None if known.last_chance => self.vanished(leg),
            None => {
                known.gone = true;
                if !self.life.timers.is_armed(Timer::Gone(leg)) {
                    self.life.timers.arm(Timer::Gone(leg), self.now + GONE_AFTER);
                }
            }
        }
    }

    /// Some time has passed since the server did not know the leg.
    pub(super) fn gone_for_a_while(&mut self, leg: LegId) {
        if let Some(known) = self.life.legs.get_mut(leg).filter(|known| known.gone) {
            known.last_chance = true;
            self.doubt(leg);
        }
    }

    /// The server knows the leg: what was thought of its end was wrong.
    pub(super) fn lives(&mut self, leg: LegId) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            (known.gone, known.last_chance) = (false, false);
            self.life.timers.disarm(Timer::Gone(leg));
        }
    }

    /// A leg was said to be over by a source that has to be confirmed: AMI text.
    pub(super) fn rumored(&mut self, leg: LegId, end: End) {
        if self.phase == Phase::Rising {
            return self.doubt(leg);
        }
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if known.gone {
            return self.ended(leg, &end);
        }
        known.rumor = Some(end);
        self.doubt(leg);
    }

    pub(super) fn vanished(&mut self, leg: LegId) {
        if let Some(known) = self.life.legs.remove(leg) {
            self.parted(leg, Some(&known), Event::Vanished(leg));
            self.over(leg);
        }
    }

    fn over(&mut self, leg: LegId) {
        self.life.timers.disarm(Timer::Gone(leg));
        self.prove(leg);
    }

    /// Whatever has changed about this leg may be what an order waits for.
    pub(super) fn prove(&mut self, leg: LegId) {
        if let Some(ticket) = self.life.busy.get(&leg).copied() {
            self.progress(ticket);
        }
    }

    /// Whether an order dials this leg, and if so, whether its originate has failed already.
    pub(super) fn dialing(&self, leg: LegId) -> Option<bool> {
        let ticket = self.life.busy.get(&leg)?;
        match &self.life.orders.get(ticket)?.work {
            Work::Dial { failed, .. } => Some(failed.is_some()),
            _ => None,
        }
    }
}
