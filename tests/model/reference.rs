//! The truth: a server with legs, waiting places and phones, as simple as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ifbus_call::order::ParkReason;
use ifbus_call::{By, Cause, ConferenceId, Event, LegId, Order, RecordingId, Said, Seen, Stage, Tag};

/// One leg on the server.
#[derive(Debug, Clone)]
pub struct TrueLeg {
    pub tag: Tag,
    pub stage: Stage,
    pub partner: Option<LegId>,
    pub music: bool,
    pub conference: Option<ConferenceId>,
    /// The part of a recording it carries.
    pub recorder: Option<(RecordingId, u16)>,
    /// A phone's own transfer has sent it away: the guest, once he has answered.
    pub away: Option<Option<LegId>>,
    /// Survives the end of its partner: it sits in the place of one who asks a third party.
    survives: bool,
}

/// The server.
#[derive(Debug, Default)]
pub struct Server {
    pub legs: BTreeMap<LegId, TrueLeg>,
    /// How often each party was rung.
    pub rings: BTreeMap<String, u32>,
    /// Events on their way, oldest first.
    pub events: Vec<Event>,
    /// Joins of legs that were not answered: never allowed.
    pub joins_of_ringing: u32,
    /// Legs made twice under one id.
    pub doubled: u32,
    pub reboots: u32,
    /// Parts of recordings that exist.
    pub parts: BTreeSet<(RecordingId, u16)>,
    /// Parts that were begun on a second leg: they would overwrite the first.
    pub overwritten: u32,
    /// Transfers by phones.
    pub moved: u32,
    /// Legs that talked to a single partner and were taken away from it.
    pub torn: u32,
}

impl Server {
    pub fn carry(&mut self, order: &Order) -> Result<(), &'static str> {
        match order {
            Order::Dial(dial) => {
                if self.legs.contains_key(&dial.leg) {
                    self.doubled += 1;
                }
                *self.rings.entry(dial.tag.party.to_string()).or_default() += 1;
                let leg = TrueLeg {
                    tag: dial.tag.clone(),
                    stage: Stage::Dialing,
                    partner: None,
                    music: false,
                    conference: None,
                    recorder: None,
                    away: None,
                    survives: false,
                };
                self.legs.insert(dial.leg, leg);
                self.events.push(Event::Started(dial.leg));
                Ok(())
            }
            Order::Join { a, b } => self.join(*a, *b),
            Order::Park { held, other, why } => self.park(*held, *other, *why),
            Order::Drop { leg, .. } => {
                self.end(*leg, Cause::Answered, By::Us);
                Ok(())
            }
            Order::Dtmf { leg, .. } | Order::Mute { leg, .. } => {
                self.legs.get(leg).map(|_| ()).ok_or("no such leg")
            }
            Order::Enter { leg, conference } => self.enter(*leg, conference),
            Order::Leave { leg } => self.leave(*leg),
            Order::Record { leg, recording, segment } => self.record(*leg, (*recording, *segment)),
            Order::StopRecord { leg, .. } => {
                let leg = self.legs.get_mut(leg).ok_or("no such leg")?;
                leg.recorder = None;
                Ok(())
            }
            Order::Fetch { .. } | Order::Drain { .. } => Err("not of a call"),
            Order::List | Order::Load | Order::Probe | Order::ProbeSip | Order::Inspect => Ok(()),
        }
    }

    fn enter(&mut self, id: LegId, conference: &ConferenceId) -> Result<(), &'static str> {
        let leg = self.legs.get_mut(&id).ok_or("no such leg")?;
        if leg.stage != Stage::Up {
            self.joins_of_ringing += 1;
            return Err("rings");
        }
        if leg.away.is_some() {
            return Err("with somebody else");
        }
        self.torn += u32::from(leg.partner.is_some());
        leg.conference = Some(conference.clone());
        (leg.music, leg.survives) = (false, false);
        self.events.push(Event::Entered(id, conference.clone()));
        Ok(())
    }

    fn leave(&mut self, id: LegId) -> Result<(), &'static str> {
        let leg = self.legs.get_mut(&id).ok_or("no such leg")?;
        leg.conference = None;
        self.events.push(Event::Left(id));
        Ok(())
    }

    fn record(&mut self, id: LegId, part: (RecordingId, u16)) -> Result<(), &'static str> {
        let leg = self.legs.get_mut(&id).ok_or("no such leg")?;
        if leg.stage != Stage::Up {
            return Err("rings");
        }
        if leg.recorder != Some(part) {
            leg.recorder = Some(part);
            self.overwritten += u32::from(!self.parts.insert(part));
        }
        Ok(())
    }

    fn join(&mut self, a: LegId, b: LegId) -> Result<(), &'static str> {
        let (Some(first), Some(second)) = (self.legs.get(&a), self.legs.get(&b)) else {
            return Err("no such leg");
        };
        if first.away.is_some() || second.away.is_some() {
            return Err("not in a waiting place");
        }
        if first.stage != Stage::Up || second.stage != Stage::Up {
            self.joins_of_ringing += 1;
            return Err("rings");
        }
        let former: Vec<LegId> =
            [first.partner, second.partner].into_iter().flatten().filter(|id| *id != a && *id != b).collect();
        for (id, partner) in [(a, b), (b, a)] {
            let leg = self.legs.get_mut(&id).expect("looked at above");
            leg.partner = Some(partner);
            leg.music = false;
            leg.conference = None;
        }
        for id in former {
            self.release(id);
        }
        self.events.push(Event::Joined(a, b));
        Ok(())
    }

    fn park(&mut self, held: LegId, other: LegId, why: ParkReason) -> Result<(), &'static str> {
        if ![held, other].iter().all(|id| self.legs.get(id).is_some_and(|leg| leg.stage == Stage::Up)) {
            return Err("no such leg");
        }
        if [held, other].iter().any(|id| self.legs[id].away.is_some()) {
            return Err("with somebody else");
        }
        for id in [held, other] {
            let leg = self.legs.get_mut(&id).expect("looked at above");
            leg.partner = None;
            leg.music = id == held;
            leg.survives = id == other && why == ParkReason::Consult;
            self.events.push(Event::Parted(id));
        }
        Ok(())
    }

    /// The partner of a leg that is gone goes on in its plan: it ends, unless it asks a third party.
    fn release(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.partner = None;
        self.events.push(Event::Parted(id));
        if !self.legs[&id].survives {
            self.end(id, Cause::Answered, By::Server);
        }
    }

    pub fn end(&mut self, id: LegId, cause: Cause, by: By) {
        let Some(leg) = self.legs.remove(&id) else { return };
        self.events.push(Event::Ended { leg: id, cause, by, said: Said::default() });
        if let Some(partner) = leg.partner {
            self.release(partner);
        }
    }

    /// The phone of this leg sends its partner to somebody of the server's own; with a second call of its own that one
    /// talks to him at once.
    pub fn transfer_by_phone(&mut self, id: LegId, guest: Option<LegId>) {
        let Some(partner) = self.legs.get(&id).and_then(|leg| leg.partner) else { return };
        let sent = self.legs.get_mut(&partner).expect("partners live");
        (sent.partner, sent.away, sent.music) = (None, Some(guest), false);
        self.legs.get_mut(&id).expect("looked at above").partner = None;
        self.moved += 1;
        self.events.push(Event::Parted(partner));
        self.events.push(Event::MovedByPhone { leg: partner, guest, to: Some("1009".to_owned()) });
        self.events.extend(guest.map(|guest| Event::Joined(partner, guest)));
        self.release(id);
    }

    /// The one it was sent to answers.
    pub fn guest_answers(&mut self, id: LegId, guest: LegId) {
        if let Some(TrueLeg { away: away @ Some(None), .. }) = self.legs.get_mut(&id) {
            *away = Some(Some(guest));
            self.events.push(Event::MovedByPhone { leg: id, guest: Some(guest), to: None });
            self.events.push(Event::Joined(id, guest));
        }
    }

    /// The one it was sent to is gone, or does not come: it goes on where it stood before.
    pub fn guest_leaves(&mut self, id: LegId) {
        let Some(guest) = self.legs.get_mut(&id).and_then(|leg| leg.away.take()) else { return };
        if let Some(guest) = guest {
            let (cause, by) = (Cause::Answered, By::Party);
            self.events.push(Event::Ended { leg: guest, cause, by, said: Said::default() });
        }
        self.release(id);
    }

    pub fn ring(&mut self, id: LegId) {
        let leg = self.legs.get_mut(&id).expect("the caller looked");
        if leg.stage < Stage::Ringing {
            leg.stage = Stage::Ringing;
            self.events.push(Event::Ringing(id));
        }
    }

    pub fn answer(&mut self, id: LegId) {
        let leg = self.legs.get_mut(&id).expect("the caller looked");
        if leg.stage < Stage::Up {
            leg.stage = Stage::Up;
            self.events.push(Event::Answered(id));
        }
    }

    pub fn reboot(&mut self) {
        self.legs.clear();
        self.events.clear();
        self.reboots += 1;
    }

    pub fn list(&self) -> Vec<Seen> {
        let seen = |(id, leg): (&LegId, &TrueLeg)| Seen {
            leg: *id,
            tag: Some(leg.tag.clone()),
            native: id.to_string(),
            stage: leg.stage,
            partners: leg.partner.or(leg.away.flatten()).into_iter().collect(),
            conference: leg.conference.clone(),
            moved: leg.away.map(|_| "1009".to_owned()),
            hears_music: leg.music,
            party: leg.tag.party.to_string(),
            age: Duration::ZERO,
        };
        self.legs.iter().map(seen).collect()
    }

    pub fn someone_talks(&self) -> bool {
        let talks = |leg: &TrueLeg| leg.partner.is_some() || leg.conference.is_some() || leg.away.is_some();
        self.legs.values().any(talks)
    }
}
