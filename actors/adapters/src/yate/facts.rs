//! One function per fact about a leg: what changes, what is told, and which order it proves.
//!
//! Every fact may come late or twice, from an event or from an answer; a stage never goes back.

use std::time::Duration;

use ifbus_call::{Event, LegId, Stage};

use super::cause::{self, End};
use super::events::is_place;
use super::flight::{Purpose, Timer, Work};
use super::legs::{Leg, Peer, Question, Room};
use super::machine::Yate;
use super::names;
use super::session::Reply;
use crate::adapter::Output;
use crate::wire_format::extmodule::{Command, Name};

/// How long after "no such channel" its end may still be on the way.
const GONE_AFTER: Duration = Duration::from_secs(1);

/// One leg is found at once, or the server is in trouble.
const TRUTH_WITHIN: Duration = Duration::from_secs(5);

impl Yate {
    pub(super) fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    pub(super) fn is_foreign(&self, leg: LegId) -> bool {
        self.life.legs.get(leg).is_some_and(|known| known.foreign)
    }

    fn ours(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.life.legs.get_mut(leg).filter(|known| !known.foreign)
    }

    /// The server has made a leg of ours.
    pub(super) fn made(&mut self, leg: LegId) {
        let Some(known) = self.ours(leg) else { return };
        if !std::mem::replace(&mut known.made, true) {
            self.tell(Event::Started(leg));
            self.prove(leg);
        }
    }

    pub(super) fn rings(&mut self, leg: LegId) {
        self.made(leg);
        let Some(known) = self.ours(leg) else { return };
        known.rang = true;
        if known.stage == Stage::Dialing {
            known.stage = Stage::Ringing;
            self.tell(Event::Ringing(leg));
        }
    }

    pub(super) fn early_media(&mut self, leg: LegId) {
        self.made(leg);
        let Some(known) = self.ours(leg) else { return };
        if known.stage != Stage::Up && !std::mem::replace(&mut known.early, true) {
            self.tell(Event::EarlyMedia(leg));
        }
    }

    pub(super) fn answered(&mut self, leg: LegId) {
        self.made(leg);
        let now = self.now;
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if known.stage == Stage::Up {
            return;
        }
        known.stage = Stage::Up;
        known.answered = Some(now);
        self.life.timers.disarm(Timer::Ring(leg));
        if self.is_foreign(leg) {
            self.guest_answered(leg);
        } else {
            self.tell(Event::Answered(leg));
        }
    }

    /// It is connected to this now; whoever was connected to either of the two is so no more.
    pub(super) fn set_peer(&mut self, leg: LegId, peer: Option<Peer>) {
        let Some(known) = self.life.legs.get(leg) else { return };
        if known.peer == peer {
            return;
        }
        self.part(leg);
        if let Some(Peer::Leg(partner)) = peer {
            self.part(partner);
        }
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.peer.clone_from(&peer);
        }
        match peer {
            Some(Peer::Leg(partner)) => {
                for (one, other) in [(leg, partner), (partner, leg)] {
                    let with = self.channel(other);
                    if let Some(known) = self.life.legs.get_mut(one) {
                        known.peer = Some(Peer::Leg(other));
                        known.with = with;
                    }
                }
                self.talks(leg, partner);
                self.prove(partner);
            }
            Some(Peer::Room(_, Room::Ours(conference))) if !self.is_foreign(leg) => {
                self.tell(Event::Entered(leg, conference));
            }
            _ => {}
        }
        self.prove(leg);
    }

    /// Takes a leg from what it was connected to.
    fn part(&mut self, leg: LegId) {
        let Some(peer) = self.life.legs.get_mut(leg).and_then(|known| known.peer.take()) else { return };
        match peer {
            Peer::Leg(partner) => {
                if let Some(other) = self.life.legs.get_mut(partner) {
                    other.peer = None;
                }
                for one in [leg, partner] {
                    if self.life.legs.get(one).is_some_and(|known| !known.foreign) {
                        self.tell(Event::Parted(one));
                    }
                }
            }
            Peer::Room(_, Room::Ours(_)) if !self.is_foreign(leg) => self.tell(Event::Left(leg)),
            Peer::Room(..) | Peer::Place(_) => {}
        }
    }

    /// The leg is over, and this is certain.
    pub(super) fn ended(&mut self, leg: LegId, end: &End) {
        let Some(known) = self.life.legs.get(leg) else { return };
        // the dial was not answered: what it says decides whether there was a leg
        if !known.made && self.dialing(leg) {
            if let Some(known) = self.life.legs.get_mut(leg) {
                known.rumor = Some(end.clone());
            }
            return;
        }
        let unmade = !known.made && !known.foreign;
        let (told, past) = (known.told, known.past());
        if unmade {
            self.tell(Event::Started(leg));
        }
        let event =
            Event::Ended { leg, cause: cause::cause(past, end), by: cause::by(past, end), said: end.said() };
        self.over(leg, told.then_some(event), end.sip.filter(|code| *code >= 300));
    }

    /// The server does not know the leg, and its end has not come.
    pub(super) fn vanished(&mut self, leg: LegId) {
        let told = self.life.legs.get(leg).is_some_and(|known| known.told && known.made);
        self.over(leg, told.then_some(Event::Vanished(leg)), None);
    }

    fn over(&mut self, leg: LegId, event: Option<Event>, code: Option<u16>) {
        let Some(known) = self.life.legs.remove(leg) else { return };
        for timer in [Timer::Ring, Timer::Gone, Timer::Truth].map(|of| of(leg)) {
            self.life.timers.disarm(timer);
        }
        if let Some(native) = &known.native {
            self.life.ended.insert(native.as_str(), code);
        }
        self.parted(leg, &known, event);
        self.prove(leg);
    }

    /// Whether an order dials this leg.
    pub(super) fn dialing(&self, leg: LegId) -> bool {
        let running = self.life.busy.get(&leg).and_then(|ticket| self.life.orders.get(ticket));
        running.is_some_and(|running| matches!(running.work, Work::Dial { .. }))
    }

    /// Whatever has changed about this leg may be what an order waits for.
    pub(super) fn prove(&mut self, leg: LegId) {
        if let Some(ticket) = self.life.busy.get(&leg).copied() {
            self.progress(ticket);
        }
    }

    // ---- truth -----------------------------------------------------------------------------------------------------

    /// An order has let go of a leg: what was heard meanwhile is looked into.
    pub(super) fn calm(&mut self, leg: LegId) {
        let settled = |peer: &Option<Peer>| matches!(peer, Some(Peer::Place(_) | Peer::Room(..)));
        if let Some(known) = self.life.legs.get_mut(leg)
            && std::mem::take(&mut known.stirred)
            && known.stage == Stage::Up
        {
            // between places an order alone moves it; a talk may have changed hands
            if !settled(&known.peer) || known.keep {
                self.doubt(leg);
            }
        }
    }

    /// Something about this leg may have changed: ask the server what is true.
    pub(super) fn doubt(&mut self, leg: LegId) {
        let Some(channel) = self.channel(leg) else { return };
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        match known.question {
            Question::None => known.question = Question::Asked,
            Question::Asked | Question::Stale => {
                known.question = Question::Stale;
                return;
            }
        }
        let asked =
            self.ask(Purpose::Truth(leg), |id| Command::new(id, Name::Status).with("module", channel));
        if asked.is_ok() {
            self.life.timers.arm(Timer::Truth(leg), self.now + TRUTH_WITHIN);
        }
    }

    pub(super) fn truth(&mut self, leg: LegId, reply: &Reply<'_>) {
        self.life.timers.disarm(Timer::Truth(leg));
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        let again = std::mem::replace(&mut known.question, Question::None) == Question::Stale;
        if self.life.busy.contains_key(&leg) {
            // an order has begun meanwhile, and what it does is newer
            if let Some(known) = self.life.legs.get_mut(leg) {
                known.stirred = true;
            }
        } else {
            self.learn(leg, reply);
        }
        if again {
            self.doubt(leg);
        } else {
            self.stays_or_goes(leg);
        }
    }

    /// No answer is no evidence.
    pub(super) fn untold(&mut self, leg: LegId) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.question = Question::None;
        }
        self.stays_or_goes(leg);
    }

    /// Applies the status of a leg to what is known.
    pub(super) fn learn(&mut self, leg: LegId, reply: &Reply<'_>) {
        if reply.text("id").is_empty() {
            return self.unknown(leg);
        }
        self.life.timers.disarm(Timer::Gone(leg));
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.gone = false;
        }
        match stage(reply) {
            Stage::Dialing => self.made(leg),
            Stage::Ringing => self.rings(leg),
            Stage::Up => self.answered(leg),
        }
        let peer = reply.text("peerid");
        self.learn_peer(leg, &peer);
    }

    /// It is connected to the channel of this name.
    pub(super) fn learn_peer(&mut self, leg: LegId, native: &str) {
        let peer = self.peer_named(native);
        if let Some(Peer::Leg(partner)) = peer
            && self.is_foreign(partner)
            && !self.life.legs.get(leg).is_some_and(|known| known.foreign)
        {
            if let Some(known) = self.life.legs.get_mut(partner) {
                known.told = true;
            }
            if self.life.legs.get(partner).is_some_and(|known| known.stage != Stage::Up) {
                self.doubt(partner);
            }
        }
        self.set_peer(leg, peer);
        self.adjust(leg);
    }

    fn peer_named(&mut self, native: &str) -> Option<Peer> {
        if native.is_empty() {
            return None;
        }
        if native.starts_with("conf/") {
            let room = self.life.rooms.get(native).cloned().unwrap_or(Room::Foreign);
            return Some(Peer::Room(native.to_owned(), room));
        }
        if is_place(native) {
            return Some(Peer::Place(native.to_owned()));
        }
        self.foreign(native).map(Peer::Leg)
    }

    /// The server does not know it: its end is on the way, or was missed.
    pub(super) fn unknown(&mut self, leg: LegId) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        known.gone = true;
        if !self.life.timers.is_armed(Timer::Gone(leg)) {
            self.life.timers.arm(Timer::Gone(leg), self.now + GONE_AFTER);
        }
    }

    /// Lays silence over the ears of a leg and its partner, where a mute wants it and nobody has done so: a phone's own
    /// transfer brings a new partner.
    pub(super) fn adjust(&mut self, leg: LegId) {
        let partner = self.life.legs.get(leg).and_then(Leg::partner);
        for (ear, mouth) in [(Some(leg), partner), (partner, Some(leg))] {
            let Some(ear) = ear.filter(|ear| !self.life.busy.contains_key(ear)) else { continue };
            let wanted = self.life.legs.should_be_deaf(ear, mouth);
            let Some(known) = self.life.legs.get_mut(ear) else { continue };
            if known.deaf.unwrap_or(false) == wanted || known.stage != Stage::Up {
                continue;
            }
            known.deaf = Some(wanted);
            if let Some(channel) = known.native.clone() {
                let sound = self.sound(super::flight::Sound::Silence);
                let _ = self.ask(Purpose::Quiet, |id| super::steps::ear(id, &channel, wanted, &sound));
            }
        }
    }

    /// Writes something beside a leg; the answer says nothing (sheet, section 5.12).
    pub(super) fn note(&mut self, leg: LegId, key: &'static str, value: &str) {
        let Some(channel) = self.channel(leg) else { return };
        let key = match key {
            names::MUTE => "ifb.ifbus_mute",
            names::RECORD => "ifb.ifbus_rec",
            names::MUSIC => "ifb.ifbus_music",
            _ => "ifb.ifbus_keep",
        };
        let noted = self.ask(Purpose::Quiet, |id| {
            Command::new(id, Name::Control)
                .with("targetid", channel)
                .with("chanparams-prefix", names::PREFIX)
                .with(key, value)
        });
        debug_assert!(noted.is_ok(), "values of tags are our own words");
    }
}

/// How far a leg has come, by its status.
pub(super) fn stage(reply: &Reply<'_>) -> Stage {
    if reply.text("answered") == "true" {
        Stage::Up
    } else if matches!(reply.text("status").as_str(), "ringing" | "progressing") {
        Stage::Ringing
    } else {
        Stage::Dialing
    }
}
