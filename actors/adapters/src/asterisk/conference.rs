//! Into a conference and out of it: one `Redirect` of a single leg, to a room of the dialplan or back to `wait`.
//!
//! The room itself is `ConfBridge` in the dialplan; nobody is muted, kicked or counted here. When a leg is inside:
//! `facts.rs`; when it has come to rest again: `settle.rs`.

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{ConferenceId, LegId, Refused, Said, Stage, Why};

use super::flight::{Purpose, Work};
use super::legs::Room;
use super::machine::{Asterisk, COMMANDS};
use super::names;
use super::orders::{COMMAND_WITHIN, unfit_refusal, unsent};
use super::session::refused;
use crate::adapter::{Output, Ticket};
use crate::wire_format::ami::Message;

impl Asterisk {
    pub(super) fn enter_room(&mut self, ticket: Ticket, leg: LegId, conference: ConferenceId) {
        let legs = &self.life.legs;
        let Some(known) = legs.get(leg) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        if legs.conference_of(leg) == Some(&conference) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if known.stage != Stage::Up {
            return self.refuse(ticket, unsent("a leg that was not answered cannot be moved"));
        }
        // one leg taken out of a talk ends the other one (sheet, section 6)
        if known.bridge.is_some_and(|bridge| legs.room(bridge).is_none() && legs.members(bridge).len() > 1) {
            return self.refuse(ticket, unsent("it talks to a partner, who would be released"));
        }
        let work = Work::Enter { leg, conference, sent: false };
        self.running(ticket, work, Vec::new(), COMMAND_WITHIN);
        self.settle_legs(ticket);
    }

    /// The leg is at rest. A conference does not take away the fence that the dial has put around it, as a talk does:
    /// it would end in the middle of the conference (seen on 16 and 22). It goes first, so that a leg without it is at
    /// worst in a waiting place that ends by itself.
    pub(super) fn unfence(&mut self, ticket: Ticket, leg: LegId) {
        let Some(channel) = self.channel(leg) else { return };
        let (id, action) = self.action("Setvar");
        let action = action.with("Channel", channel).with("Variable", "TIMEOUT(absolute)").with("Value", 0);
        match self.ask(COMMANDS, id, action, Purpose::Fence(ticket)) {
            Ok(()) => self.waits_for(ticket, id),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    pub(super) fn unfenced(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Enter { leg, conference, sent } = &mut running.work else { return };
        if !success {
            return self.finish(ticket, Err(refused(message)));
        }
        *sent = true;
        let leg = *leg;
        let place = format!("conf-{}", names::room(self.instance, conference));
        if let Some(id) = self.redirect_one(ticket, leg, &place) {
            self.waits_for(ticket, id);
        }
    }

    pub(super) fn leave_room(&mut self, ticket: Ticket, leg: LegId) {
        if self.life.legs.get(leg).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        }
        if self.life.legs.room_of(leg).is_none() {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        if let Some(id) = self.redirect_one(ticket, leg, "wait") {
            self.running(ticket, Work::Leave { leg }, vec![id], COMMAND_WITHIN);
        }
    }

    /// Moves a leg that talks to nobody. The answer is `Success` also if the place is missing, and the leg ends then.
    fn redirect_one(&mut self, ticket: Ticket, leg: LegId, place: &str) -> Option<u128> {
        let channel = self.channel(leg)?;
        let (id, action) = self.action("Redirect");
        let action = action
            .with("Channel", channel)
            .with("Context", &self.options.context)
            .with("Exten", place)
            .with("Priority", 1);
        if let Err(unfit) = self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            self.refuse(ticket, unfit_refusal(&unfit));
            return None;
        }
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.settled = false;
        }
        Some(id)
    }

    /// The server has taken the `Redirect`: look until the leg is where it was sent. Over ARI the event of its entry
    /// tells sooner; that it has come to rest outside no event tells.
    pub(super) fn moved(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let told = self.by_stream() && matches!(running.work, Work::Enter { .. });
        if !told {
            self.settle_legs(ticket);
        }
    }

    /// Whether a leg is where its order wants it.
    pub(super) fn is_inside(&self, leg: LegId, conference: &ConferenceId) -> bool {
        matches!(self.life.legs.room_of(leg), Some(Room::Ours(inside)) if inside == conference)
    }
}

/// The leg ended on its way: mostly because the place is missing.
pub(super) fn lost_on_the_way(place: &str) -> Refused {
    let text = format!("the leg ended on its way to {place}: `ifbus test` looks at the dialplan");
    Refused {
        evidence: Evidence::NotDone,
        said: Some(Said::new(None, &text)),
        ..Refused::unsent(Why::NoSuchLeg)
    }
}
