//! Calls whose parties a phone's own transfer key took apart: the call goes on with the leg that was sent elsewhere.
//!
//! Nobody asked us, so there is no order here: the server has done it, and the one who was sent talks to a guest, a leg
//! of the server's or of another call. What we hold is that one leg; when it ends the call ends, and when the guest
//! ends the leg is ended. Why the leg cannot be held or transferred from here: ADR 0010.

use crate::call::{By, Call, Cause, Ending, Event, Goal, LegId, Nanos, Notice, Said, Seen, Stage};

/// What a call that was moved by a phone is good for.
pub(super) const NEED: &str = "only hang up, mute, dtmf and record";

/// Where a leg was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    /// Whom it talks to, when that is known.
    pub(super) guest: Option<LegId>,
    /// Where to, in the server's words.
    pub(super) to: Option<String>,
}

impl Call {
    /// The leg of the server's, or of another call, that the call's leg was sent to, once they talk.
    #[must_use]
    pub const fn guest(&self) -> Option<LegId> {
        match self.goal {
            Goal::Moved { guest, .. } => guest,
            _ => None,
        }
    }

    /// Whether a phone's own transfer took the parties apart.
    #[must_use]
    pub const fn is_moved(&self) -> bool {
        matches!(self.goal, Goal::Moved { .. })
    }

    /// Where the call's leg was sent, in the server's words.
    #[must_use]
    pub fn moved_to(&self) -> Option<&str> {
        let Goal::Moved { leg, .. } = self.goal else { return None };
        self.leg(leg)?.moved.as_ref()?.to.as_deref()
    }

    // --- events ---

    /// The guest is gone.
    pub(super) fn is_of_the_guest(&mut self, event: &Event) -> bool {
        match *event {
            Event::Ended { leg, by, .. } if self.guest() == Some(leg) => {
                self.guest_gone(by);
                true
            }
            Event::Vanished(leg) if self.guest() == Some(leg) => {
                self.guest_gone(By::Unknown);
                true
            }
            _ => false,
        }
    }

    /// What is heard later adds to what was heard; it never takes away where the leg was sent.
    pub(super) fn moved_by_phone(&mut self, id: LegId, guest: Option<LegId>, to: Option<String>, now: Nanos) {
        if guest.is_some_and(|guest| self.leg(guest).is_some()) {
            return; // two legs of this call: a join, of whomever
        }
        let Some(leg) = self.leg_mut(id).filter(|leg| leg.stage == Some(Stage::Up)) else { return };
        let known = leg.moved.take();
        let to = to.filter(|to| !to.is_empty()).or_else(|| known.and_then(|known| known.to));
        leg.moved = Some(Moved { guest, to });
        leg.changed = now;
        if guest.is_some() {
            leg.partner = guest;
            leg.hears_music = false;
        }
        self.guest_changed(id, guest);
    }

    /// The leg of a call that was moved before is with another guest now, or is sent on.
    fn guest_changed(&mut self, id: LegId, now_with: Option<LegId>) {
        if let Goal::Moved { leg, guest } = &mut self.goal
            && *leg == id
        {
            *guest = now_with;
        }
    }

    fn guest_gone(&mut self, by: By) {
        self.end(Ending { cause: Cause::Answered, by, role: None, said: Said::default() });
    }

    // --- goals ---

    /// One of the legs is lost; is there one that a phone has sent elsewhere? Then the call goes on with that.
    pub(super) fn goes_on_moved(&mut self, lost: LegId) -> bool {
        let moved = self.moved_other_than(lost).filter(|_| self.goal.legs().contains(&lost));
        moved.is_some_and(|leg| self.go_on_with(leg))
    }

    /// The two are apart, and one of them was sent elsewhere: the other one has no part any more, even if it lives.
    pub(super) fn follow_phone(&mut self) {
        if let Goal::Moved { leg, .. } = self.goal
            && let Some(partner) = self.leg(leg).and_then(|leg| leg.partner)
            && self.are_joined(leg, partner)
        {
            // a join of ours that was on its way has won
            self.aim(Goal::Talk { a: leg, b: partner }, None);
        }
        if let Goal::Talk { a, b } = self.goal
            && let Some(leg) = self.moved_other_than(a).or_else(|| self.moved_other_than(b))
            && let Some(other) = self.leg(if leg == a { b } else { a })
            && other.partner.is_none()
            && self.order.is_none()
        {
            self.go_on_with(leg);
        }
    }

    fn moved_other_than(&self, lost: LegId) -> Option<LegId> {
        let follows = matches!(
            self.goal,
            Goal::Talk { .. }
                | Goal::Hold { .. }
                | Goal::Blind { .. }
                | Goal::Consult { .. }
                | Goal::Complete { .. }
        );
        let wanted = self.goal.legs();
        let moved =
            self.legs.iter().find(|leg| leg.id != lost && wanted.contains(&leg.id) && leg.moved.is_some());
        moved.filter(|_| follows && self.talked).map(|leg| leg.id)
    }

    fn go_on_with(&mut self, id: LegId) -> bool {
        let Some(Moved { guest, to }) = self.leg(id).and_then(|leg| leg.moved.clone()) else { return false };
        self.aim(Goal::Moved { leg: id, guest }, None);
        self.about(id, |role| Notice::MovedByPhone { role, to });
        true
    }

    // --- the server's list ---

    /// The leg of a moved call is listed: with whom, or back from there.
    pub(super) fn moved_as_seen(&mut self, seen: &[Seen], found: &[LegId], _now: Nanos) {
        let Goal::Moved { leg, .. } = self.goal else { return };
        let Some(seen) = seen.iter().find(|seen| seen.leg == leg && found.contains(&leg)) else { return };
        if seen.moved.is_some() {
            self.guest_changed(leg, seen.partners.first().copied());
        } else if !seen.partners.iter().any(|partner| self.leg(*partner).is_some()) {
            self.guest_gone(By::Unknown);
        }
    }

    /// A leg that was sent elsewhere goes on there.
    pub(super) fn moved_from_facts(&self) -> Option<Goal> {
        let leg = self.legs.iter().find(|leg| leg.stage == Some(Stage::Up) && leg.moved.is_some())?;
        Some(Goal::Moved { leg: leg.id, guest: leg.moved.as_ref()?.guest })
    }
}
