//! Into a conference and out of it: one `uuid_transfer` of a single leg, to a room or back to a park.
//!
//! The room is made by its first member under the operator's conference profile; nobody is muted, kicked or counted
//! here. When a leg is inside: `facts.rs`.

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{ConferenceId, LegId, Refused, Said, Stage, Why};

use super::flight::Work;
use super::machine::FreeSwitch;
use super::names::{self, Room};
use super::orders::unsent;
use crate::adapter::{Output, Ticket};
use crate::wire_format::esl::Command;

/// A leg that waits outside ends after a day, also if we die.
const DAY: u64 = 86_400;

impl FreeSwitch {
    pub(super) fn enter_room(&mut self, ticket: Ticket, leg: LegId, conference: ConferenceId) {
        let Some(known) = self.life.legs.get(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        // entering a room again is leaving it first (sheet, section 13)
        if self.is_inside(leg, &conference) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if known.stage != Stage::Up {
            return self.refuse(ticket, unsent("a leg that was not answered cannot be moved"));
        }
        // one leg taken out of a talk ends the other one
        if known.partner.is_some() {
            return self.refuse(ticket, unsent("it talks to a partner, who would be released"));
        }
        let Some(uuid) = self.channel(leg) else { return };
        self.unfence(leg);
        let room = names::room(self.instance, &conference);
        let place = format!("conference:{room}@{}", self.options.conference);
        let command = Command::api("uuid_transfer").word(uuid).word(place).word("inline");
        self.command(ticket, command, Work::Enter { leg, conference });
    }

    pub(super) fn leave_room(&mut self, ticket: Ticket, leg: LegId) {
        let Some(known) = self.life.legs.get(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        if known.room.is_none() {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        let Some(uuid) = self.channel(leg) else { return };
        self.fence(leg, DAY);
        let command = Command::api("uuid_transfer").word(uuid).words("park inline");
        self.command(ticket, command, Work::Leave { leg });
    }

    /// Whether a leg is where its order wants it.
    pub(super) fn is_inside(&self, leg: LegId, conference: &ConferenceId) -> bool {
        let room = self.life.legs.get(leg).and_then(|known| known.room.as_ref());
        matches!(room, Some(Room::Ours(inside)) if inside == conference)
    }
}

/// The leg ended on its way: mostly because the place is missing.
pub(super) fn lost_on_the_way(place: &str) -> Refused {
    let text = format!("the leg ended on its way to {place}: is mod_conference loaded, with this profile?");
    Refused {
        evidence: Evidence::NotDone,
        said: Some(Said::new(None, &text)),
        ..Refused::unsent(Why::NoSuchLeg)
    }
}
