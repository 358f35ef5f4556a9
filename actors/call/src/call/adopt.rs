//! A call found on a server after a restart of ours.

use serde::{Deserialize, Serialize};

use crate::call::{
    By, Call, CallId, Cause, Ending, Goal, Leg, LegId, Nanos, RING_MAX, Recording, Role, Said, Seen, Stage,
    VerbKind,
};
use crate::order::Direction;

/// What was written down of a call before we were killed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stored {
    /// The goal, if it was of several steps.
    pub goal: Option<Goal>,
    /// The recording that was being made.
    pub recording: Option<Recording>,
    /// What was silenced: no server lists it.
    #[serde(default)]
    pub muted: Vec<(LegId, Direction)>,
}

impl Call {
    /// What has to be written down before the server hears of the next order.
    #[must_use]
    pub fn to_store(&self) -> Stored {
        Stored {
            goal: self.goal.takes_several_steps().then(|| self.goal.clone()),
            recording: self.recording.as_ref().map(Recording::to_store),
            muted: self.legs.iter().flat_map(Leg::silenced).collect(),
        }
    }

    /// Takes over the call `id` as the server lists it. `stored` is what was last written down.
    ///
    /// Legs without our tag, or of another call, are ignored. `None` if nothing is left.
    ///
    /// A goal that was written down is followed if its legs still live. Without one the goal is read from the facts:
    /// two that talk go on, two that are apart with music are on hold, two that are apart without it are joined, a
    /// leg that rings goes on ringing. A single answered leg is ended: its partner may have rung already, and nobody
    /// is rung twice. Legs in a conference stay there; one that a phone's own transfer sent elsewhere goes on alone. A transfer under way whose goal is not known is taken back.
    #[must_use]
    pub fn adopt(id: CallId, seen: &[Seen], stored: Stored, fresh: LegId, now: Nanos) -> Option<Self> {
        let mine: Vec<&Seen> =
            seen.iter().filter(|seen| seen.tag.as_ref().is_some_and(|tag| tag.call == id)).collect();
        let tag = mine.first()?.tag.clone()?;
        let mut call = Self::blank(id, tag.from, tag.to);
        call.within = RING_MAX / 2;
        call.may_have_rung = true;
        for seen in &mine {
            let Some(tag) = &seen.tag else { continue };
            let mut leg = Leg::planned(seen.leg, tag.role, tag.party.clone(), now);
            leg.stage = Some(seen.stage);
            leg.answer_by = (seen.stage < Stage::Up).then(|| now + call.within);
            call.legs.push(leg);
            call.as_seen(seen, now);
        }
        call.legs.sort_by_key(|leg| leg.role);
        for (id, direction) in stored.muted {
            if let Some(leg) = call.leg_mut(id) {
                leg.muted[direction as usize] = true;
            }
        }
        call.effects.clear();
        call.recording = stored.recording;
        call.recording_unsure();
        match stored.goal.filter(|goal| call.can_follow(goal)).or_else(|| call.goal_from_facts(fresh, now)) {
            Some(goal) => {
                call.talked = call.has_talked(&goal);
                call.verb = (!call.talked).then_some(VerbKind::Originate);
                call.goal = goal;
            }
            None => {
                let said = Said::new(None, "found alone after a restart");
                call.end(Ending { cause: Cause::ServerFailure, by: By::Us, role: None, said });
            }
        }
        call.settle(now);
        Some(call)
    }

    /// Every leg the goal is about lives.
    fn can_follow(&self, goal: &Goal) -> bool {
        let legs = goal.legs();
        let here = |id| self.leg(id).is_some_and(|leg| leg.moved.is_none());
        !legs.is_empty() && legs.into_iter().all(here)
    }

    /// Two answered legs have talked, unless they are the first two, apart, and neither hears music.
    fn has_talked(&self, goal: &Goal) -> bool {
        match *goal {
            Goal::Talk { a, b } => {
                let third = self.legs.iter().any(|leg| leg.role == Role::C);
                third || self.are_joined(a, b)
            }
            Goal::Hold { .. } | Goal::Blind { .. } | Goal::Consult { .. } | Goal::Complete { .. } => true,
            Goal::Moved { .. } => true,
            Goal::Meet { .. } => self.legs.iter().any(|leg| leg.conference.is_some()),
            Goal::End => false,
        }
    }

    fn goal_from_facts(&mut self, fresh: LegId, now: Nanos) -> Option<Goal> {
        if let Some(meeting) = self.meeting_from_facts() {
            return Some(meeting);
        }
        if let Some(moved) = self.moved_from_facts() {
            return Some(moved);
        }
        let up: Vec<&Leg> = self.legs.iter().filter(|leg| leg.stage == Some(Stage::Up)).collect();
        let joined = up.iter().find_map(|leg| {
            let partner = leg.partner.filter(|partner| self.leg(*partner).is_some())?;
            self.are_joined(leg.id, partner).then_some((leg.id, partner))
        });
        let music = up.iter().find(|leg| leg.hears_music).map(|leg| leg.id);
        match (joined, music) {
            // Someone asks a third party while the first partner hears music: the transfer is taken back.
            (Some((a, b)), Some(waits)) => {
                let asks = if self.leg(a)?.role < self.leg(b)?.role { a } else { b };
                Some(Goal::Talk { a: asks, b: waits })
            }
            (Some((a, b)), None) => Some(Goal::Talk { a, b }),
            (None, Some(held)) => {
                let other = up.iter().find(|leg| leg.id != held)?.id;
                Some(Goal::Hold { held, other })
            }
            (None, None) => self.goal_of_unjoined(fresh, now),
        }
    }

    fn goal_of_unjoined(&mut self, fresh: LegId, now: Nanos) -> Option<Goal> {
        let at = |role| self.legs.iter().find(|leg| leg.role == role);
        match (at(Role::A).map(|leg| (leg.id, leg.stage)), at(Role::B).map(|leg| (leg.id, leg.stage))) {
            (Some((a, Some(Stage::Up))), Some((b, _))) => Some(Goal::Talk { a, b }),
            // The first phone still rings, so the second was never rung.
            (Some((a, stage)), None) if stage < Some(Stage::Up) && self.legs.len() == 1 => {
                self.legs.push(Leg::planned(fresh, Role::B, self.to.clone(), now));
                Some(Goal::Talk { a, b: fresh })
            }
            _ => None,
        }
    }
}
