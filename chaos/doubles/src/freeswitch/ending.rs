//! The end of a leg, and what it means to the others.

use super::leg::{Leg, Stage};
use super::world::World;

impl World {
    /// `uuid_kill`, a turn later.
    pub(super) fn killed(&mut self, uuid: &str, cause: &str) {
        let Some(leg) = self.legs.get(uuid) else { return };
        let said = if leg.is_up() { "send_bye" } else { "send_cancel" };
        self.hang_up(uuid, cause, said);
    }

    /// Ends a leg. `said` is who said the last SIP word.
    pub(super) fn hang_up(&mut self, uuid: &str, cause: &str, said: &str) {
        if !self.legs.contains_key(uuid) {
            return;
        }
        self.stop_recorders(uuid);
        self.silence(uuid);
        self.leave_room(uuid);
        let partner = self.legs[uuid].partner.clone();
        // the partner may be told of first, and CHANNEL_UNBRIDGE comes whenever it likes (sheet section 2)
        let order = self.random.below(3);
        let stays = partner.as_ref().is_some_and(|partner| {
            self.legs.get(partner).and_then(|leg| leg.variable("park_after_bridge")) == Some("true")
        });
        if order == 0 && !stays {
            self.part_talk(uuid);
        }
        let told = self.epitaph(uuid, cause, said);
        let Some((leg, told)) = told else { return };
        let own = |world: &mut Self| world.events.extend(told);
        match &partner {
            None => own(self),
            Some(partner) if stays => {
                own(self);
                self.unbridge_of_gone(&leg, partner);
                self.park(partner, "CS_PARK");
            }
            Some(partner) if order == 1 => {
                self.unbridge_of_gone(&leg, partner);
                self.hang_up(partner, "NORMAL_CLEARING", "send_bye");
                own(self);
            }
            Some(partner) => {
                own(self);
                self.unbridge_of_gone(&leg, partner);
                self.hang_up(partner, "NORMAL_CLEARING", "send_bye");
            }
        }
        self.after_end(&leg, cause);
    }

    /// CHANNEL_UNBRIDGE of a talk whose one side is gone, if it was not told before.
    fn unbridge_of_gone(&mut self, gone: &Leg, partner: &str) {
        let Some(other) = self.leg_mut(partner) else { return };
        if other.partner.take().is_none() {
            return;
        }
        let first = gone.state == "CS_SOFT_EXECUTE";
        let (a, b) = if first { (gone.uuid.as_str(), partner) } else { (partner, gone.uuid.as_str()) };
        let event =
            self.event("CHANNEL_UNBRIDGE").with("Bridge-A-Unique-ID", a).with("Bridge-B-Unique-ID", b);
        let event =
            if first { self.about(event, gone, true) } else { self.about(event, &self.legs[partner], true) };
        self.tell(event);
    }

    /// Takes the leg away; its last words.
    fn epitaph(&mut self, uuid: &str, cause: &str, said: &str) -> Option<(Leg, Vec<super::events::Event>)> {
        let mut leg = self.legs.get(uuid)?.clone();
        let was = leg.state;
        leg.state = "CS_REPORTING";
        let mut words = vec![];
        for name in ["CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY"] {
            let event = self.event(name);
            let mut event = self.about(event, &leg, true);
            let rang = leg.rang.map_or(0, |at| self.stamp(at) / 1_000_000);
            let answered = leg.answered.map_or(0, |at| self.stamp(at) / 1_000_000);
            event = event
                .with("Hangup-Cause", cause)
                .with("variable_hangup_cause", cause)
                .with("variable_progress_epoch", rang)
                .with("variable_answer_epoch", answered)
                .with("variable_sip_hangup_disposition", said);
            let status = leg.refused.or((cause == "RECOVERY_ON_TIMER_EXPIRE").then_some(408));
            if let Some(status) = status {
                event = event
                    .with("variable_sip_term_status", status)
                    .with("variable_sip_invite_failure_status", status)
                    .with("variable_sip_invite_failure_phrase", "Code");
            }
            words.push(event);
        }
        self.legs.remove(uuid);
        leg.state = was;
        self.haunt(leg.clone());
        Some((leg, words))
    }

    /// A job that waited for it, a call that it was part of.
    fn after_end(&mut self, leg: &Leg, cause: &str) {
        if let Some((Some(job), _)) = leg.originate.as_ref().filter(|_| leg.stage != Stage::Up) {
            // seen before and after the end of the leg (sheet section 2)
            let body = format!("-ERR {cause}\n");
            self.job_done(job, &body);
            if self.random.chance(0.5)
                && let Some(job) = self.events.pop()
            {
                let at = self.events.len().saturating_sub(2);
                self.events.insert(at, job);
            }
        }
        if let Some(callee) = &leg.dials {
            self.hang_up(callee, "ORIGINATOR_CANCEL", "send_cancel");
        }
        if let Some(caller) = leg.dialed_by.as_ref().filter(|_| !leg.is_up()) {
            self.callee_failed(caller, &leg.uuid, cause);
        }
    }
}
