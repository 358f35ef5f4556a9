//! What the server reports, turned into facts.
//!
//! An event is a fact: it is JSON that only the server writes, and whose leg it is about is said by an id or a variable
//! of ours. Names that are not understood are counted.

use ifbus_call::{Event as Fact, LegId};

use super::cause::End;
use super::flight::{Job, Timer};
use super::legs::Leg;
use super::listing::shown;
use super::machine::{EVENTS, FreeSwitch};
use super::names;
use crate::adapter::Output;
use crate::wire_format::esl::{Event, Uuid};

impl FreeSwitch {
    pub(super) fn event(&mut self, json: &[u8]) {
        match Event::parse(json) {
            Ok(event) => self.fact(&event),
            Err(_) => self.count(1),
        }
    }

    fn fact(&mut self, event: &Event<'_>) {
        match event.name() {
            "BACKGROUND_JOB" => self.job_done(event),
            "HEARTBEAT" => {}
            // believed when the connection closes after it
            "SHUTDOWN" => self.life.farewell = Some(self.now),
            "CHANNEL_BRIDGE" => self.bridge(event, true),
            "CHANNEL_UNBRIDGE" => self.bridge(event, false),
            "CUSTOM" => self.custom(event),
            "CHANNEL_CREATE" => self.created(event),
            name => match self.about(event) {
                Some(leg) => self.leg_fact(name, leg, event),
                None => self.count(u64::from(event.get("Unique-ID").is_none())),
            },
        }
    }

    /// The leg an event is about: one of ours, or a foreign one that is known.
    fn about(&self, event: &Event<'_>) -> Option<LegId> {
        let known = event.get("Unique-ID").and_then(|uuid| self.leg_named(uuid));
        known.or_else(|| names::ours(self.instance, event))
    }

    fn created(&mut self, event: &Event<'_>) {
        if let Some(leg) = names::ours(self.instance, event) {
            self.made(leg);
            let tag = names::tag(event);
            if let Some(known) = self.life.legs.get_mut(leg) {
                known.tag = known.tag.take().or(tag);
            }
        } else if let Some(from) = event.get("Other-Leg-Unique-ID").and_then(|uuid| self.leg_named(uuid)) {
            // the server calls somebody for a leg of ours that a phone has sent away
            let to = event.get("Caller-Destination-Number").map(shown);
            self.sent_to(from, to);
        }
    }

    fn leg_fact(&mut self, name: &str, leg: LegId, event: &Event<'_>) {
        let foreign = self.is_foreign(leg);
        match name {
            "CHANNEL_HANGUP_COMPLETE" => self.ended(leg, &End::of(event)),
            // the last word, and the only one about a leg that never came to be
            "CHANNEL_DESTROY" => {
                if self.life.legs.get(leg).is_some_and(|known| known.made) {
                    self.ended(leg, &End::of(event));
                }
            }
            "CHANNEL_PARK" => self.parked(leg),
            _ if foreign => {}
            "CHANNEL_PROGRESS" => self.rings(leg),
            "CHANNEL_PROGRESS_MEDIA" => self.early_media(leg),
            "CHANNEL_ANSWER" => self.answered(leg),
            "CHANNEL_HOLD" => self.tell(Fact::HeldByPhone(leg)),
            "CHANNEL_UNHOLD" => self.tell(Fact::ResumedByPhone(leg)),
            "DTMF" => self.digit(leg, event.get("DTMF-Digit").and_then(|digit| digit.chars().next())),
            "RECORD_START" => self.recording_told(leg, event.get("Record-File-Path"), true),
            "RECORD_STOP" => self.recording_told(leg, event.get("Record-File-Path"), false),
            _ => self.count(1),
        }
    }

    /// Two legs are together, or apart: a foreign one matters when the other one is ours.
    fn bridge(&mut self, event: &Event<'_>, together: bool) {
        let ends = (event.get("Bridge-A-Unique-ID"), event.get("Bridge-B-Unique-ID"));
        let (Some(a), Some(b)) = ends else { return self.count(1) };
        if !together {
            if let (Some(a), Some(b)) = (self.leg_named(a), self.leg_named(b))
                && self.life.legs.together(a, b)
            {
                self.parted(a);
            }
            return;
        }
        let ours = |uuid: &str| self.leg_named(uuid).filter(|leg| !self.is_foreign(*leg)).is_some();
        if !ours(a) && !ours(b) {
            // two foreign ones, of which one may have been the guest of a leg of ours
            for leg in [a, b].into_iter().filter_map(|uuid| self.leg_named(uuid)).collect::<Vec<_>>() {
                self.parted(leg);
            }
            return;
        }
        if let (Some(a), Some(b)) = (self.leg_or_guest(a, event), self.leg_or_guest(b, event)) {
            self.joined(a, b);
        }
    }

    fn leg_or_guest(&mut self, uuid: &str, event: &Event<'_>) -> Option<LegId> {
        if let Some(leg) = self.leg_named(uuid) {
            return Some(leg);
        }
        let leg = names::foreign(&self.server, self.life.boot.as_ref()?, uuid.as_bytes());
        let inbound = event.get("Call-Direction") == Some("inbound");
        let itself = event.get("Unique-ID") == Some(uuid);
        // the event describes one of the two, and of the other it tells only whom it called
        let party = match (itself, inbound) {
            (true, true) => event.get("Caller-Caller-ID-Number"),
            (true, false) => event.get("Caller-Destination-Number"),
            (false, _) => event.get("Other-Leg-Destination-Number"),
        };
        let known = self.life.legs.insert(leg, Leg::new(Some(uuid.to_owned())));
        known.made = true;
        known.party = shown(party.unwrap_or_default());
        Some(leg)
    }

    fn custom(&mut self, event: &Event<'_>) {
        if event.get("Event-Subclass") != Some("conference::maintenance") {
            return self.count(1);
        }
        let Some(leg) = self.about(event) else { return };
        match event.get("Action") {
            Some("add-member") => {
                let name = event.get("Conference-Name").unwrap_or_default();
                self.entered(leg, names::room_named(self.instance, name));
            }
            Some("del-member") => self.left_room(leg),
            _ => {}
        }
    }

    fn job_done(&mut self, event: &Event<'_>) {
        let job = event.get("Job-UUID").and_then(Uuid::read).and_then(|id| {
            self.life.timers.disarm(Timer::Job(id.0));
            self.life.jobs.remove(&id.0)
        });
        let body = event.get("_body").unwrap_or_default().trim().to_owned();
        match job {
            Some(Job::Originate(ticket, leg)) => self.originated(ticket, leg, &body),
            Some(Job::Echo(ticket)) => self.event_came(ticket),
            // of another client: jobs are told to everybody (sheet, section 1)
            None => {}
        }
    }

    fn digit(&mut self, leg: LegId, digit: Option<char>) {
        if let Some(digit) = digit.filter(|digit| matches!(digit, '0'..='9' | 'A'..='D' | '*' | '#')) {
            self.out.push_back(Output::Event(Fact::Digit(leg, digit)));
        }
    }

    /// An event of ours has come around: events flow.
    fn event_came(&mut self, ticket: crate::adapter::Ticket) {
        self.life.timers.disarm(Timer::Silent(EVENTS));
        self.stream_answered(ticket);
    }
}
