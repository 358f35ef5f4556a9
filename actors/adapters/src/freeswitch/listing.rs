//! The server's own list of legs, and what it teaches.
//!
//! `show channels` names the legs and is late by up to 0.3 s both ways; `uuid_dump` of each is exact (sheet, sections 0
//! and 3). So the list says whom to ask about, and the descriptions are what counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Why};
use ifbus_call::{Interface, LegId, Refused, Seen, Stage, Tag};
use serde::Deserialize;

use super::flight::{Purpose, Timer, Work};
use super::legs::Leg;
use super::login::refusal;
use super::machine::{COMMANDS, FreeSwitch, Phase};
use super::names::{self, Room, native};
use super::session::refused;
use crate::adapter::{DownReason, Ticket};
use crate::wire_format::esl::{Command, Event, Frame, Uuid};

/// 1 000 legs take 0.1 s and their descriptions 0.2 s (sheet, section 4).
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(10);

/// How long after "no such channel" its end may still be on the way.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(1);

/// A list under way.
#[derive(Debug)]
pub(super) struct Listing {
    ticket: Option<Ticket>,
    /// Descriptions that are still to come.
    open: usize,
    items: Vec<Item>,
}

/// One leg as it was described.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) leg: LegId,
    pub(super) foreign: Option<String>,
    name: String,
    pub(super) stage: Stage,
    /// The UUID of whom it talks to.
    pub(super) partner: Option<String>,
    pub(super) room: Option<Room>,
    pub(super) waits: bool,
    hears_music: bool,
    /// It runs a dialplan of the operator's: where a phone's own transfer has sent it.
    pub(super) away: Option<String>,
    pub(super) comes_back: bool,
    pub(super) party: String,
    age: Duration,
    pub(super) tag: Option<Tag>,
}

/// What `show channels as json` says. Without a leg there is no array.
#[derive(Deserialize)]
struct Channels {
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    uuid: String,
}

impl FreeSwitch {
    /// Asks for all legs.
    pub(super) fn list_for(&mut self, ticket: Option<Ticket>) {
        self.life.listing += 1;
        let listing = self.life.listing;
        self.life.listings.insert(listing, Listing { ticket, open: 0, items: Vec::new() });
        let command = Command::api("show").words("channels as json");
        self.ask_plain(COMMANDS, command, Purpose::Channels(listing));
    }

    pub(super) fn list(&mut self, ticket: Ticket) {
        self.running(ticket, Work::List, LIST_WITHIN);
        self.list_for(Some(ticket));
    }

    /// Asks about one leg.
    pub(super) fn look_at(&mut self, leg: LegId, purpose: Purpose) -> bool {
        let Some(uuid) = self.channel(leg) else { return false };
        self.ask(COMMANDS, Command::api("uuid_dump").word(uuid).word("json"), purpose).is_ok()
    }

    /// The server's name of a leg: made from the id of ours, remembered for others.
    pub(super) fn channel(&self, leg: LegId) -> Option<String> {
        match self.life.legs.get(leg)? {
            Leg { foreign: Some(uuid), .. } => Some(uuid.clone()),
            _ => Some(native(leg).to_string()),
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn channels(&mut self, listing: u64, frame: &Frame<'_>) {
        let Ok(channels) = serde_json::from_slice::<Channels>(frame.body) else {
            return self.not_listed(listing, frame);
        };
        let mut uuids: BTreeSet<String> = channels.rows.into_iter().map(|row| row.uuid).collect();
        // a leg that has just been made is not in the list yet
        let known = self.life.legs.iter().filter(|(_, known)| known.made).map(|(leg, _)| leg);
        uuids.extend(known.collect::<Vec<_>>().into_iter().filter_map(|leg| self.channel(leg)));
        let mut open = 0;
        for uuid in uuids {
            let command = Command::api("uuid_dump").word(&uuid).word("json");
            open += usize::from(self.ask(COMMANDS, command, Purpose::Row(listing)).is_ok());
        }
        let Some(list) = self.life.listings.get_mut(&listing) else { return };
        list.open = open;
        if open == 0 {
            self.listed(listing);
        }
    }

    /// `show` works only with the core database, and only for who may use it.
    fn not_listed(&mut self, listing: u64, frame: &Frame<'_>) {
        let ticket = self.life.listings.remove(&listing).and_then(|list| list.ticket);
        match ticket {
            Some(ticket) => self.finish(ticket, Err(refused(frame))),
            None if self.phase == Phase::Rising => {
                let reason = format!("show channels: {}", refusal(frame));
                self.down(Interface::Management, DownReason::LoginRefused(reason));
            }
            None => {}
        }
    }

    pub(super) fn row(&mut self, listing: u64, event: Option<&Event<'_>>) {
        let item = event.and_then(|event| self.item(event));
        let Some(list) = self.life.listings.get_mut(&listing) else { return };
        list.items.extend(item);
        list.open -= 1;
        if list.open == 0 {
            self.listed(listing);
        }
    }

    fn listed(&mut self, listing: u64) {
        let Some(Listing { ticket, items, .. }) = self.life.listings.remove(&listing) else { return };
        if self.phase == Phase::Rising {
            self.adopt(&items);
            let seen = self.seen(&items);
            return self.ready(seen);
        }
        self.missing(&items);
        for item in &items {
            self.learn(item);
        }
        if let Some(ticket) = ticket {
            let seen = self.seen(&items);
            self.finish(ticket, Ok(Done::Listed(seen)));
        }
    }

    /// Before `Ready` nothing is told as an event: the list itself tells it.
    fn adopt(&mut self, items: &[Item]) {
        for item in items {
            let leg = self.life.legs.insert(item.leg, Leg::new(item.foreign.clone()));
            leg.made = true;
            leg.stage = item.stage;
            leg.rang = item.stage == Stage::Ringing;
            leg.room.clone_from(&item.room);
            leg.waits = item.waits;
            leg.tag.clone_from(&item.tag);
            leg.party.clone_from(&item.party);
            leg.comes_back = item.comes_back;
            leg.away = item.away.is_some() && item.partner.is_none();
            // whoever waits may have been given an end before we were killed
            leg.fenced = item.foreign.is_none() && item.stage == Stage::Up && item.partner.is_none();
        }
        for item in items {
            let partner = item.partner.as_deref().and_then(|uuid| self.leg_named(uuid));
            if let Some(partner) = partner {
                self.life.legs.join(item.leg, partner);
            }
        }
    }

    /// Legs that were there and are not in the list.
    fn missing(&mut self, items: &[Item]) {
        let listed: BTreeSet<LegId> = items.iter().map(|item| item.leg).collect();
        let absent = self.life.legs.iter().filter(|(leg, known)| known.made && !listed.contains(leg));
        for leg in absent.map(|(leg, _)| leg).collect::<Vec<_>>() {
            self.gone(leg);
        }
    }

    /// The leg with this name, ours or a foreign one that is known.
    pub(super) fn leg_named(&self, uuid: &str) -> Option<LegId> {
        let ours = Uuid::read(uuid).map(|uuid| LegId(uuid.0));
        let is_ours = |leg: &LegId| self.life.legs.get(*leg).is_some_and(|known| known.foreign.is_none());
        ours.filter(is_ours).or_else(|| {
            let leg = names::foreign(&self.server, self.life.boot.as_ref()?, uuid.as_bytes());
            self.life.legs.get(leg).map(|_| leg)
        })
    }

    fn seen(&self, items: &[Item]) -> Vec<Seen> {
        let known: BTreeMap<LegId, &Item> = items.iter().map(|item| (item.leg, item)).collect();
        let seen = |item: &Item| {
            let partner = self.life.legs.partner(item.leg).filter(|leg| known.contains_key(leg));
            let other = partner.map(|leg| known[&leg]);
            let moved = item.tag.as_ref().and_then(|tag| match other {
                Some(other) if other.tag.as_ref().is_some_and(|theirs| theirs.call == tag.call) => None,
                Some(other) => Some(other.party.clone()),
                None => item.away.clone(),
            });
            let conference = match &item.room {
                Some(Room::Ours(conference)) => Some(conference.clone()),
                Some(Room::Foreign) | None => None,
            };
            Seen {
                leg: item.leg,
                tag: item.tag.clone(),
                native: item.name.clone(),
                stage: item.stage,
                partners: partner.into_iter().collect(),
                conference,
                moved,
                hears_music: item.hears_music && partner.is_none(),
                party: item.party.clone(),
                age: item.age,
            }
        };
        items.iter().map(seen).collect()
    }

    /// Reads the description of a leg.
    pub(super) fn item(&self, event: &Event<'_>) -> Option<Item> {
        let uuid = event.get("Unique-ID")?;
        let ours = names::ours(self.instance, event);
        let boot = self.life.boot.as_ref()?;
        let leg = ours.unwrap_or_else(|| names::foreign(&self.server, boot, uuid.as_bytes()));
        let tag = ours.and_then(|_| names::tag(event));
        let application = event.get("variable_current_application").unwrap_or_default();
        let data = event.get("variable_current_application_data").unwrap_or_default();
        let state = event.get("Channel-State").unwrap_or_default();
        let executes = state == "CS_EXECUTE";
        let waits = state == "CS_PARK" || (executes && matches!(application, "park" | "playback"));
        let room = (executes && application == "conference").then(|| names::room_named(self.instance, data));
        let partner = event.get("variable_bridge_uuid").or(event.get("variable_signal_bond"));
        let partner = partner.filter(|_| !waits && room.is_none()).map(str::to_owned);
        let stage = stage(event);
        let runs_dialplan = event.get("Caller-Dialplan").is_some_and(|dialplan| dialplan != "inline");
        let away = ours.is_some() && stage == Stage::Up && !waits && room.is_none() && runs_dialplan;
        let number = if event.get("Call-Direction") == Some("inbound") {
            event.get("Caller-Caller-ID-Number")
        } else {
            event.get("Caller-Destination-Number")
        };
        Some(Item {
            leg,
            foreign: ours.is_none().then(|| uuid.to_owned()),
            name: shown(event.get("Channel-Name").unwrap_or(uuid)),
            stage,
            partner,
            room,
            waits,
            hears_music: executes && application == "playback" && data == self.options.music,
            away: away.then(|| shown(event.get("Caller-Destination-Number").unwrap_or_default())),
            comes_back: event.get("variable_park_after_bridge") == Some("true"),
            party: tag
                .as_ref()
                .map_or_else(|| shown(number.unwrap_or_default()), |tag| tag.party.to_string()),
            age: age(event),
            tag,
        })
    }

    // ---- truth -----------------------------------------------------------------------------------------------------

    /// The answer about one leg: a description, no such leg, or (outer `None`) nothing.
    pub(super) fn truth(&mut self, leg: LegId, answer: Option<Option<Item>>) {
        match answer {
            Some(Some(item)) => self.learn(&item),
            Some(None) => self.gone(leg),
            None => {}
        }
        self.prove(leg);
    }

    /// Applies a description to what is known.
    pub(super) fn learn(&mut self, item: &Item) {
        self.lives(item.leg);
        if let Some(uuid) = &item.foreign {
            let known = self.life.legs.insert(item.leg, Leg::new(Some(uuid.clone())));
            known.made = true;
            known.stage = item.stage;
            known.party.clone_from(&item.party);
        } else {
            self.made(item.leg);
        }
        if let Some(known) = self.life.legs.get_mut(item.leg) {
            known.waits = item.waits;
            known.tag = known.tag.take().or_else(|| item.tag.clone());
        }
        match item.stage {
            Stage::Dialing => {}
            Stage::Ringing => self.rings(item.leg),
            Stage::Up => self.answered(item.leg),
        }
        match (&item.room, item.partner.as_deref().and_then(|uuid| self.leg_named(uuid))) {
            (Some(room), _) => self.entered(item.leg, room.clone()),
            (None, Some(partner)) => {
                self.left_room(item.leg);
                self.joined(item.leg, partner);
            }
            (None, None) if item.partner.is_none() => {
                self.left_room(item.leg);
                self.parted(item.leg);
            }
            (None, None) => {}
        }
        if item.partner.is_none() {
            self.learn_where(item);
        }
    }

    pub(super) fn list_late(&mut self, ticket: Ticket) {
        let refused = Refused { why: Why::Unproven, evidence: Evidence::Unknown, ..Refused::link_lost() };
        self.finish(ticket, Err(refused));
    }

    /// The server knows the leg: what was thought of its end was wrong.
    pub(super) fn lives(&mut self, leg: LegId) {
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.gone = false;
            self.life.timers.disarm(Timer::Gone(leg));
        }
    }
}

/// A leg that was dialled says `ringing` from its first moment on (sheet, section 2).
fn stage(event: &Event<'_>) -> Stage {
    let rang = event.number::<u64>("Caller-Channel-Progress-Time").is_some_and(|time| time > 0);
    match (event.get("Answer-State"), event.get("Channel-Call-State")) {
        (Some("answered"), _) => Stage::Up,
        (_, Some("RINGING" | "EARLY")) => Stage::Ringing,
        _ if rang => Stage::Ringing,
        _ => Stage::Dialing,
    }
}

/// Both moments by the server's clock.
fn age(event: &Event<'_>) -> Duration {
    let (now, created) =
        (event.number::<u64>("Event-Date-Timestamp"), event.number("Caller-Channel-Created-Time"));
    Duration::from_micros(now.unwrap_or(0).saturating_sub(created.unwrap_or(u64::MAX)))
}

/// A text of the server, cut to what a table shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}
