//! Calls in a conference: how their legs get there, and what it means when one leaves.
//!
//! A member of a conference is a leg of a call: a call of two legs goes in as a whole, a party that is called into the
//! conference is a call of one leg. So a member is muted, recorded, hung up and adopted like any other leg.
//!
//! Not here: the conference itself, which is a name and a server (`ifbus-fleet`).

use std::time::Duration;

use crate::address::Address;
use crate::call::verb::Checked;
use crate::call::{
    Accepted, By, Call, CallId, Cause, Ending, Goal, Leg, LegId, Nanos, NotNow, Notice, Order, RING_MAX,
    Recording, Role, Said, VerbKind,
};
use crate::id::{ConferenceId, RecordingId};
use crate::order::{ParkReason, Refused};

/// What it takes to call a party into a conference.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// The id of the call.
    pub id: CallId,
    /// Who is rung.
    pub party: Address,
    /// Where the party will be.
    pub conference: ConferenceId,
    /// Whom it sees as caller, instead of the conference.
    pub caller: Option<Address>,
    /// How long the phone may ring; cut at [`RING_MAX`].
    pub within: Duration,
    /// The id of the leg.
    pub leg: LegId,
    /// The recording that begins when the party is inside.
    pub record: Option<RecordingId>,
}

impl Call {
    /// Begins a call of one leg on a server whose links are up.
    #[must_use]
    pub fn invite(new: NewMember, now: Nanos) -> Self {
        let to: Address = new.conference.as_str().parse().expect("a conference id is an extension");
        let mut call = Self::blank(new.id, new.party.clone(), to);
        call.caller = new.caller;
        call.within = new.within.min(RING_MAX);
        call.legs = vec![Leg::planned(new.leg, Role::A, new.party, now)];
        call.goal = Goal::Meet { conference: new.conference, a: new.leg, b: None };
        call.verb = Some(VerbKind::Originate);
        call.recording = new.record.map(Recording::new);
        call.settle(now);
        call
    }

    pub(super) fn enter(&mut self, conference: ConferenceId) -> Checked {
        let need = "a conference takes a call whose two parties talk or are on hold";
        self.ready(need)?;
        match self.goal {
            Goal::Talk { a, b } | Goal::Hold { held: b, other: a } => {
                self.aim(Goal::Meet { conference, a, b: Some(b) }, Some(VerbKind::Enter));
                Ok(Accepted::Underway)
            }
            Goal::Meet { conference: ref at, .. } if *at == conference => Ok(Accepted::AlreadySo),
            _ => Err::<_, NotNow>(self.wrong_state(need)),
        }
    }

    pub(super) fn kick(&mut self, role: Option<Role>) -> Checked {
        let need = "only a party of a conference can be removed from it; for two, say which";
        let Goal::Meet { ref conference, a, b } = self.goal else { return Err(self.wrong_state(need)) };
        let conference = conference.clone();
        let of = |id| self.leg(id).map(|leg| leg.role);
        match (b, role) {
            (None, None) => Ok(self.hangup()),
            (None, Some(role)) if of(a) == Some(role) => Ok(self.hangup()),
            (Some(b), Some(role)) if of(a) == Some(role) || of(b) == Some(role) => {
                self.ready(need)?;
                let stays = if of(a) == Some(role) { b } else { a };
                self.aim(Goal::Meet { conference, a: stays, b: None }, None);
                Ok(Accepted::Underway)
            }
            (_, Some(role)) => Err(NotNow::NoParty(role)),
            (Some(_), None) => Err(self.wrong_state(need)),
        }
    }

    /// The next order on the way into the conference. Two that talk are parted first, both at once: taking one of them
    /// away would release the other. That they are apart is believed of an answered order and of the list alone.
    pub(super) fn toward_meeting(&self, a: LegId, b: Option<LegId>) -> Option<Order> {
        let Goal::Meet { conference, .. } = &self.goal else { return None };
        if self.leg(a)?.stage.is_none() {
            return Some(self.dial(a, None));
        }
        if let Some(b) = b
            && ![a, b].into_iter().all(|id| self.leg(id).is_some_and(|leg| leg.apart))
        {
            return Some(Order::Park { held: b, other: a, why: ParkReason::Consult });
        }
        let outside = |id: &LegId| {
            self.is_up(*id) && self.leg(*id).is_some_and(|leg| leg.conference.as_ref() != Some(conference))
        };
        let leg = std::iter::once(a).chain(b).find(outside)?;
        Some(Order::Enter { leg, conference: conference.clone() })
    }

    /// Takes note of legs that are all inside.
    pub(super) fn note_meeting(&mut self) {
        let Goal::Meet { conference, .. } = &self.goal else { return };
        let inside =
            |id: &LegId| self.leg(*id).is_some_and(|leg| leg.conference.as_ref() == Some(conference));
        if !self.goal.legs().iter().all(inside) {
            return;
        }
        let conference = conference.clone();
        self.wanted = false;
        self.joins_failed = 0;
        let verb = self.verb.take();
        if verb == Some(VerbKind::Originate) {
            self.talked = true;
            self.notice(Notice::Answered);
        }
        if verb.is_some() {
            self.notice(Notice::ConferenceEntered { conference });
        }
    }

    pub(super) fn is_now_inside(&mut self, id: LegId, conference: Option<ConferenceId>, now: Nanos) {
        self.is_now_apart(id, now);
        if let Some(leg) = self.leg_mut(id) {
            (leg.hears_music, leg.consults) = (false, false);
            leg.conference = conference;
        }
    }

    /// One member is gone; the call goes on as long as another is there.
    pub(super) fn member_lost(
        &mut self,
        conference: ConferenceId,
        other: Option<LegId>,
        id: LegId,
        (cause, by, said): (Cause, By, Said),
    ) {
        match other.filter(|other| self.leg(*other).is_some()) {
            Some(a) => {
                let verb = self.verb;
                self.aim(Goal::Meet { conference, a, b: None }, verb);
            }
            None => self.party_lost(id, cause, by, said),
        }
    }

    /// The way into the conference is barred: a pair talks again, a party that was called in is released.
    pub(super) fn meeting_failed(&mut self, refused: &Refused) {
        let Goal::Meet { a, b, .. } = self.goal else { return };
        if let (Some(b), Some(verb)) = (b, self.verb) {
            self.aim(Goal::Talk { a, b }, None);
            self.verb_failed(verb, refused);
        } else {
            let said = refused.said.clone().unwrap_or_else(|| Said::new(None, &refused.why.to_string()));
            self.end(Ending { cause: refused.cause, by: By::Server, role: None, said });
        }
    }

    /// Legs that are found in a conference stay there.
    pub(super) fn meeting_from_facts(&self) -> Option<Goal> {
        let mut inside = self.legs.iter().filter_map(|leg| Some((leg.id, leg.conference.clone()?)));
        let (a, conference) = inside.next()?;
        let b = inside.next().map(|(id, _)| id);
        Some(Goal::Meet { conference, a, b })
    }
}
