//! Legs that are moved: joined, parked, sent to a room or nowhere; and what is played to one that is parked.

use std::time::Duration;

use super::leg::Stage;
use super::world::{TURN, Timer, World};

impl World {
    /// `uuid_bridge`. A leg that only rings is no obstacle to `+OK`, and destroys both (sheet J1).
    pub(super) fn bridge_ordered(&mut self, a: &str, b: &str) -> String {
        if !self.legs.contains_key(a) || !self.legs.contains_key(b) {
            return "-ERR Invalid uuid\n".into();
        }
        for uuid in [a, b] {
            if let Some(leg) = self.leg_mut(uuid) {
                leg.wanted = true;
            }
        }
        self.after(TURN, Timer::Bridge(a.to_owned(), b.to_owned()));
        format!("+OK {b}\n")
    }

    pub(super) fn bridge(&mut self, a: &str, b: &str) {
        let stage = |uuid: &str| self.legs.get(uuid).map(|leg| leg.stage);
        let (Some(first), Some(second)) = (stage(a), stage(b)) else { return };
        if a == b {
            return self.release_partner(a);
        }
        if first < Stage::Early || second < Stage::Early {
            for (uuid, stage) in [(a, first), (b, second)] {
                let rings = stage < Stage::Early;
                let (cause, said) = if rings {
                    ("DESTINATION_OUT_OF_ORDER", "send_cancel")
                } else {
                    ("ORIGINATOR_CANCEL", "send_bye")
                };
                self.hang_up(uuid, cause, said);
            }
            return;
        }
        if self.legs[a].partner.as_deref() == Some(b) {
            self.part_talk(a);
        }
        for uuid in [a, b] {
            self.silence(uuid);
            self.leave_room(uuid);
            self.release_partner(uuid);
        }
        for (uuid, other, state) in [(a, b, "CS_SOFT_EXECUTE"), (b, a, "CS_EXCHANGE_MEDIA")] {
            let Some(leg) = self.leg_mut(uuid) else { return };
            leg.partner = Some(other.to_owned());
            leg.state = state;
            leg.parked = false;
            leg.stay += 1;
            leg.park_over = None;
            leg.originate = None;
            leg.app = ("uuid_bridge".into(), other.to_owned());
        }
        if let Some(event) = self.bridge_event("CHANNEL_BRIDGE", a, b) {
            self.tell(event);
        }
    }

    /// Whoever talks to this leg is let go: ended, or parked if a variable says so.
    pub(super) fn release_partner(&mut self, uuid: &str) {
        let Some(partner) = self.legs.get(uuid).and_then(|leg| leg.partner.clone()) else { return };
        let stays = self.legs.get(&partner).and_then(|leg| leg.variable("park_after_bridge")) == Some("true");
        // told in either order (sheet J2)
        let first = self.random.chance(0.5);
        if first || stays {
            self.part_talk(uuid);
        }
        if stays {
            self.park(&partner, "CS_PARK");
        } else {
            if let Some(leg) = self.leg_mut(&partner) {
                leg.partner = None;
            }
            self.hang_up(&partner, "NORMAL_CLEARING", "send_bye");
        }
        if !first && !stays {
            self.part_talk(uuid);
        }
    }

    /// CHANNEL_UNBRIDGE, once, on the side that was named first.
    pub(super) fn part_talk(&mut self, uuid: &str) {
        let Some(leg) = self.legs.get(uuid) else { return };
        let Some(partner) = leg.partner.clone() else { return };
        let is_first = leg.state == "CS_SOFT_EXECUTE" || !self.legs.contains_key(&partner);
        let (a, b) = if is_first { (uuid, partner.as_str()) } else { (partner.as_str(), uuid) };
        let event = self.bridge_event("CHANNEL_UNBRIDGE", a, b);
        self.events.extend(event);
        for uuid in [uuid, partner.as_str()] {
            if let Some(leg) = self.leg_mut(uuid) {
                leg.partner = None;
            }
        }
    }

    /// `uuid_transfer … inline`: of one leg, or of both that talk.
    pub(super) fn transfer(&mut self, uuid: &str, app: &str, both: bool) {
        let Some(leg) = self.legs.get(uuid) else { return };
        if !leg.is_up() {
            return self.hang_up(uuid, "DESTINATION_OUT_OF_ORDER", "send_cancel");
        }
        let partner = leg.partner.clone();
        let mut legs = vec![uuid.to_owned()];
        if both {
            legs.extend(partner);
            self.part_talk(uuid);
        } else {
            self.release_partner(uuid);
        }
        // two threads: either may be first
        if self.random.chance(0.5) {
            legs.reverse();
        }
        for uuid in legs {
            self.silence(&uuid);
            self.leave_room(&uuid);
            if let Some(leg) = self.leg_mut(&uuid) {
                leg.dialplan = "inline";
            }
            self.run(&uuid, app);
        }
    }

    /// A leg runs an application: `park`, `conference:room@profile`, or one that leads nowhere.
    pub(super) fn run(&mut self, uuid: &str, app: &str) {
        let (name, data) = app.split_once(':').unwrap_or((app, ""));
        match name {
            "park" => self.park(uuid, "CS_EXECUTE"),
            "conference" => self.enter_room(uuid, data),
            "playback" => {
                self.park(uuid, "CS_EXECUTE");
                self.plays(uuid, data);
            }
            _ => self.hang_up(uuid, "NO_ROUTE_DESTINATION", "send_bye"),
        }
    }

    /// Parks a leg. The limit of the park is taken by the first one (sheet section 13).
    pub(super) fn park(&mut self, uuid: &str, state: &'static str) {
        let holds = self.legs.get(uuid).is_some_and(|leg| leg.phone_holds);
        if holds {
            self.tell_of("CHANNEL_UNHOLD", uuid);
        }
        let Some(leg) = self.leg_mut(uuid) else { return };
        leg.state = state;
        leg.parked = true;
        leg.stay += 1;
        leg.park_over = None;
        if state == "CS_EXECUTE" {
            leg.app = ("park".into(), String::new());
        }
        let stay = leg.stay;
        let limit = leg.variables.remove("park_timeout");
        if limit.is_some() {
            leg.variables.remove("park_after_bridge");
        }
        self.tell_of("CHANNEL_PARK", uuid);
        if let Some(limit) = limit {
            let (seconds, cause) = limit.split_once(':').unwrap_or((&limit, "NORMAL_CLEARING"));
            if let Some(leg) = self.leg_mut(uuid) {
                leg.park_cause = cause.to_owned();
            }
            let seconds = Duration::from_secs(seconds.parse().unwrap_or(0));
            // whole seconds of the wall clock: up to one early
            let early = Duration::from_millis(self.random.below(900) as u64);
            self.after(seconds.saturating_sub(early), Timer::ParkOver(uuid.to_owned(), stay));
        }
    }

    /// The limit of a park has come; it waits for the end of whatever is played.
    pub(super) fn park_over(&mut self, uuid: &str, stay: u64) {
        let Some(leg) = self.leg_mut(uuid).filter(|leg| leg.parked && leg.stay == stay) else { return };
        let cause = leg.park_cause.clone();
        if leg.playing.is_some() {
            leg.park_over = Some(cause);
        } else {
            self.hang_up(uuid, &cause, "send_bye");
        }
    }

    /// `sched_hangup` has come; it ends a leg that talks as well.
    pub(super) fn scheduled_end(&mut self, uuid: &str, number: u64, cause: &str) {
        if self.legs.get(uuid).is_some_and(|leg| leg.scheduled.contains(&number)) {
            self.hang_up(uuid, cause, "send_bye");
        }
    }

    // ---- sound -----------------------------------------------------------------------------------------------------

    /// Something is played to a parked leg; twice is once.
    pub(super) fn plays(&mut self, uuid: &str, sound: &str) {
        let Some(leg) = self.leg_mut(uuid).filter(|leg| leg.parked && leg.playing.is_none()) else { return };
        leg.playing = Some(sound.to_owned());
        leg.app = ("playback".into(), sound.to_owned());
        let stay = leg.stay;
        self.tell_of("PLAYBACK_START", uuid);
        let loops = sound.split_once(";loops=").and_then(|(_, loops)| loops.parse::<i64>().ok()).unwrap_or(1);
        if sound.starts_with("tone_stream://") && loops > 0 {
            // the tones of the laboratory last a second
            let seconds = Duration::from_secs(loops.unsigned_abs());
            self.after(seconds, Timer::Played(uuid.to_owned(), stay));
        }
    }

    pub(super) fn played(&mut self, uuid: &str, stay: u64) {
        if self.legs.get(uuid).is_some_and(|leg| leg.stay == stay) {
            self.silence(uuid);
        }
    }

    /// Whatever is played stops; a limit that has waited for that comes now.
    pub(super) fn silence(&mut self, uuid: &str) {
        let Some(leg) = self.leg_mut(uuid) else { return };
        if leg.playing.take().is_none() {
            return;
        }
        let over = leg.park_over.take();
        self.tell_of("PLAYBACK_STOP", uuid);
        if let Some(cause) = over {
            self.after(TURN, Timer::Kill(uuid.to_owned(), cause));
        }
    }
}
