//! One function per fact about a leg: what changes, what is told, and which order it proves.
//!
//! Every fact may come late or twice, from an event or from an answer; a stage never goes back.

use ifbus_call::{Event, LegId, Stage};

use super::cause::{self, End};
use super::flight::{Purpose, Timer, Work};
use super::legs::Leg;
use super::listing::GONE_AFTER;
use super::machine::FreeSwitch;
use super::names::Room;
use crate::adapter::Output;

impl FreeSwitch {
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

    /// It sits in a park, alone.
    pub(super) fn parked(&mut self, leg: LegId) {
        if self.is_foreign(leg) {
            return self.parted(leg);
        }
        self.made(leg);
        self.left_room(leg);
        self.parted(leg);
        self.known(leg).waits = true;
        self.ring_if_it_waits(leg);
        self.release(leg);
        self.prove(leg);
    }

    /// The two talk.
    pub(super) fn joined(&mut self, a: LegId, b: LegId) {
        if a == b || self.life.legs.together(a, b) {
            return;
        }
        for leg in [a, b] {
            self.left_room(leg);
        }
        for (leg, left) in [a, b].into_iter().zip(self.life.legs.join(a, b)) {
            for leg in [Some(leg).filter(|_| left.is_some()), left].into_iter().flatten() {
                self.tell_parted(leg);
            }
        }
        match (self.is_foreign(a), self.is_foreign(b)) {
            (true, true) => {}
            (true, false) => self.tell(Event::Joined(b, a)),
            (false, _) => self.tell(Event::Joined(a, b)),
        }
        self.now_with(a, b);
        self.now_with(b, a);
        self.prove(a);
        self.prove(b);
    }

    /// It talks to nobody now.
    pub(super) fn parted(&mut self, leg: LegId) {
        let Some(partner) = self.life.legs.part(leg) else { return };
        for leg in [leg, partner] {
            self.tell_parted(leg);
        }
        self.prove(leg);
        self.prove(partner);
    }

    fn tell_parted(&mut self, leg: LegId) {
        if self.life.legs.get(leg).is_some() && !self.is_foreign(leg) {
            self.tell(Event::Parted(leg));
        }
    }

    /// It is in this conference now.
    pub(super) fn entered(&mut self, leg: LegId, room: Room) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if known.room.as_ref() == Some(&room) {
            return;
        }
        self.left_room(leg);
        self.parted(leg);
        let known = self.known(leg);
        known.waits = false;
        known.room = Some(room.clone());
        match room {
            Room::Ours(conference) if !self.is_foreign(leg) => self.tell(Event::Entered(leg, conference)),
            Room::Ours(_) | Room::Foreign => {}
        }
        self.prove(leg);
    }

    /// It is in no conference now.
    pub(super) fn left_room(&mut self, leg: LegId) {
        let Some(room) = self.life.legs.get_mut(leg).and_then(|known| known.room.take()) else { return };
        if matches!(room, Room::Ours(_)) && !self.is_foreign(leg) {
            self.tell(Event::Left(leg));
        }
        self.prove(leg);
    }

    /// The leg is over, and this is certain.
    pub(super) fn ended(&mut self, leg: LegId, end: &End) {
        let partner = self.life.legs.partner(leg);
        let Some(known) = self.life.legs.remove(leg) else { return };
        if !known.made && known.foreign.is_none() {
            self.tell(Event::Started(leg));
        }
        let past = known.past();
        let event =
            Event::Ended { leg, cause: cause::cause(past, end), by: cause::by(past, end), said: end.said() };
        self.part_from(leg, &known, end, event);
        self.over(leg, partner);
    }

    /// The server does not know the leg: its end is on the way, or was missed.
    pub(super) fn gone(&mut self, leg: LegId) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if !known.made {
            // a leg that is being dialled may come to be at any moment
            if self.dialing(leg).is_none() {
                self.life.legs.remove(leg);
                self.prove(leg);
            }
            return;
        }
        known.gone = true;
        if !self.life.timers.is_armed(Timer::Gone(leg)) {
            self.life.timers.arm(Timer::Gone(leg), self.now + GONE_AFTER);
        }
    }

    /// Some time has passed since the server did not know the leg.
    pub(super) fn gone_for_a_while(&mut self, leg: LegId) {
        if self.life.legs.get(leg).is_some_and(|known| known.gone) {
            self.vanished(leg);
        }
    }

    pub(super) fn vanished(&mut self, leg: LegId) {
        let partner = self.life.legs.partner(leg);
        if let Some(known) = self.life.legs.remove(leg) {
            self.part_from(leg, &known, &End::default(), Event::Vanished(leg));
            self.over(leg, partner);
        }
    }

    /// Whoever talked to it talks to nobody now, until more is heard.
    fn over(&mut self, leg: LegId, partner: Option<LegId>) {
        self.life.timers.disarm(Timer::Gone(leg));
        self.prove(leg);
        if let Some(partner) = partner {
            self.tell_parted(partner);
            self.prove(partner);
        }
    }

    /// Asks the server what is true of a leg.
    pub(super) fn doubt(&mut self, leg: LegId) {
        self.look_at(leg, Purpose::Truth(leg));
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
