//! The server's own list of channels, and what it teaches.
//!
//! One `Status` has everything (`CoreShowChannels` adds nothing and would be a second, different moment). What a caller
//! can write into his own line cannot make it a line of ours: our channel ids and action ids are unknown to him.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Interface, LegId, Refused, Seen, Stage, Tag, Why};

use super::flight::{Purpose, Timer};
use super::legs::{Bridge, Leg, Question, Room};
use super::machine::{Asterisk, Phase, WATCH};
use super::names;
use super::session::{refused, said};
use crate::adapter::{DownReason, Ticket};
use crate::wire_format::ami::{Field, Message};

/// 2,000 channels take 0.15 s; a saturated server may take seconds (sheet, sections 9 and 10).
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(10);

/// One channel is found at once, or the server is in trouble.
pub(super) const TRUTH_WITHIN: Duration = Duration::from_secs(5);

/// Doubt about everything is settled at most this often: a forger must not make us ask without end.
pub(super) const RESYNC_AFTER: Duration = Duration::from_secs(2);

/// How long after "no such channel" its end may still be on the way.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(1);

/// One line of a list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) leg: LegId,
    foreign: Option<String>,
    name: String,
    pub(super) stage: Stage,
    pub(super) bridge: Option<Bridge>,
    hears_music: bool,
    pub(super) settled: bool,
    /// It runs a dialplan of the operator's: where a phone's own transfer has sent it.
    pub(super) away: Option<String>,
    /// Whom it talks to, in the server's words.
    pub(super) connected: String,
    party: String,
    age: Duration,
    tag: Option<Tag>,
}

impl Asterisk {
    /// Asks for all channels.
    pub(super) fn list_for(&mut self, ticket: Option<Ticket>) -> u128 {
        self.life.listing = true;
        let (id, action) = self.action("Status");
        let action = action.with("Variables", format_args!("{},{}", names::CALL, names::ENDS));
        self.ask(WATCH, id, action, Purpose::List(ticket, Vec::new())).expect("it has no value from outside");
        if ticket.is_none() {
            self.life.timers.arm(Timer::Asked(id), self.now + LIST_WITHIN);
        }
        id
    }

    /// Asks for one channel.
    pub(super) fn look_at(&mut self, leg: LegId, purpose: Purpose) -> Option<u128> {
        let channel = self.channel(leg)?;
        let (id, action) = self.action("Status");
        let action = action
            .with("Channel", channel)
            .with("Variables", format_args!("{},{}", names::CALL, names::ENDS));
        self.ask(WATCH, id, action, purpose).ok()?;
        Some(id)
    }

    /// The server's name of a leg: made from the id of ours, remembered for others.
    pub(super) fn channel(&self, leg: LegId) -> Option<String> {
        match self.life.legs.get(leg) {
            Some(Leg { foreign: Some(name), .. }) => Some(name.clone()),
            Some(_) => Some(self.native(leg)),
            None => None,
        }
    }

    /// The channel id of a leg of ours.
    pub(super) fn native(&self, leg: LegId) -> String {
        self.options.dialect.ids.native(self.instance, leg)
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn list_item(&mut self, id: u128, message: &Message<'_>) {
        let Some(item) = self.item(message) else { return self.forged(message) };
        let same = |asked: LegId| asked == item.leg;
        let Some(asked) = self.life.asked.get_mut(&id) else { return };
        match &mut asked.purpose {
            Purpose::List(_, items) => items.push(item),
            Purpose::Truth(leg, found)
            | Purpose::LastLook(_, leg, found)
            | Purpose::Settle(_, leg, found)
                if same(*leg) =>
            {
                *found = Some(item);
            }
            _ => {}
        }
    }

    pub(super) fn list_ended(&mut self, id: u128) {
        let Some(asked) = self.life.asked.remove(&id) else { return };
        self.life.timers.disarm(Timer::Asked(id));
        match asked.purpose {
            Purpose::List(ticket, items) => self.listed(ticket, items),
            // a list without its line is not "no such channel": a caller may have cut the line in two
            Purpose::Truth(leg, found) => self.truth(leg, found.map(Some)),
            Purpose::LastLook(ticket, leg, found) => self.looked(ticket, leg, found.map(Some)),
            Purpose::Settle(ticket, leg, found) => self.settled(ticket, leg, found.map(Some)),
            Purpose::Dialplan(ticket, place, steps) => self.dialplan(ticket, place, &steps),
            Purpose::Seek(ticket, sought, found) => self.sought(ticket, sought, found),
            _ => {}
        }
    }

    /// A list that answers with an error is empty, unless we may not ask (sheet, section 2).
    pub(super) fn list_refused(&mut self, ticket: Option<Ticket>, items: Vec<Item>, message: &Message<'_>) {
        let said = said(message).text;
        if !said.contains("Permission denied") {
            return self.listed(ticket, items);
        }
        match ticket {
            Some(ticket) => self.finish(ticket, Err(refused(message))),
            None if self.phase == Phase::Rising => {
                self.down(Interface::Management, DownReason::LoginRefused(format!("Status: {said}")));
            }
            None => {}
        }
    }

    fn listed(&mut self, ticket: Option<Ticket>, items: Vec<Item>) {
        let seen = self.seen(&items);
        self.missing(&items);
        if self.phase == Phase::Rising {
            self.adopt(&items);
            return self.ready(seen);
        }
        for item in &items {
            self.learn(item);
        }
        if let Some(ticket) = ticket {
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
            leg.settled = item.settled;
            leg.tag.clone_from(&item.tag);
            if let Some(bridge) = &item.bridge {
                self.life.legs.put(item.leg, bridge);
            }
        }
    }

    /// Legs that were there and are not in the list: each is asked for by name, as the list may be older than we are.
    fn missing(&mut self, items: &[Item]) {
        let listed: BTreeMap<LegId, ()> = items.iter().map(|item| (item.leg, ())).collect();
        let absent = self.life.legs.iter().filter(|(leg, known)| known.made && !listed.contains_key(leg));
        for leg in absent.map(|(leg, _)| leg).collect::<Vec<_>>() {
            self.doubt(leg);
        }
    }

    fn seen(&self, items: &[Item]) -> Vec<Seen> {
        let mut talks: BTreeMap<u128, Vec<LegId>> = BTreeMap::new();
        let mut rooms: BTreeMap<u128, &Room> = BTreeMap::new();
        for bridge in items.iter().filter_map(|item| item.bridge.as_ref()) {
            let known = self.life.legs.room(bridge.key).or(bridge.room.as_ref());
            rooms.extend(known.map(|room| (bridge.key, room)));
        }
        for item in items {
            if let Some(bridge) = item.bridge.as_ref().filter(|bridge| !rooms.contains_key(&bridge.key)) {
                talks.entry(bridge.key).or_default().push(item.leg);
            }
        }
        let partners = |item: &Item| {
            let members =
                item.bridge.as_ref().and_then(|bridge| talks.get(&bridge.key)).into_iter().flatten();
            members.copied().filter(|leg| *leg != item.leg).collect()
        };
        let known: BTreeMap<LegId, &Item> = items.iter().map(|item| (item.leg, item)).collect();
        let moved = |item: &Item| {
            let mine = item.tag.as_ref()?.call;
            let with: Vec<LegId> = partners(item);
            let Some(first) = with.first() else { return item.away.clone() };
            let other = |leg: &LegId| known[leg].tag.as_ref().is_none_or(|tag| tag.call != mine);
            with.iter().all(other).then(|| known[first].party.clone())
        };
        let conference = |item: &Item| match rooms.get(&item.bridge.as_ref()?.key)? {
            Room::Ours(conference) => Some(conference.clone()),
            Room::Foreign => None,
        };
        let seen = |item: &Item| Seen {
            leg: item.leg,
            tag: item.tag.clone(),
            native: item.name.clone(),
            stage: item.stage,
            partners: partners(item),
            conference: conference(item),
            moved: moved(item),
            hears_music: item.hears_music,
            party: item.party.clone(),
            age: item.age,
        };
        items.iter().map(seen).collect()
    }

    /// `None` if the line is not whole.
    fn item(&self, message: &Message<'_>) -> Option<Item> {
        let native = message.get(Field::Uniqueid)?;
        // what a far end wrote into its name could make a talk of a conference, or the other way round
        if ["Application", "Data"].iter().any(|key| message.all(key).nth(1).is_some()) {
            return None;
        }
        let boot = self.life.boot.as_ref()?;
        let ours = names::ours(self.instance, native);
        let leg = ours.unwrap_or_else(|| names::foreign(&self.server, boot, native));
        let text = |bytes: Option<&[u8]>| shown(bytes.unwrap_or_default());
        let bridge = message.text(Field::BridgeId).map(|bridge| self.bridge_listed(bridge, message));
        let tag = ours.and_then(|_| tag(message));
        let exten = message.only("Exten").unwrap_or_default();
        let context = message.only("Context");
        let in_context = context == Some(self.options.context.as_str());
        Some(Item {
            leg,
            foreign: ours.is_none().then(|| String::from_utf8_lossy(native).into_owned()),
            name: text(message.get(Field::Channel)),
            stage: stage(message.number(Field::ChannelState).unwrap_or(0)),
            hears_music: in_context && bridge.is_none() && message.get(Field::Exten) == Some(b"hold"),
            away: (ours.is_some() && context.is_some() && !in_context && runs_a_dialplan(exten, message))
                .then(|| shown(exten.as_bytes())),
            connected: text(message.all("ConnectedLineNum").next()),
            settled: bridge.as_ref().map_or_else(|| is_waiting(message), |bridge| bridge.room.is_none()),
            party: tag
                .as_ref()
                .map_or_else(|| text(message.all("CallerIDNum").next()), |tag| tag.party.to_string()),
            age: Duration::from_secs(message.only("Seconds").and_then(|text| text.parse().ok()).unwrap_or(0)),
            tag,
            bridge,
        })
    }

    /// In a room the application and its first argument say which; on 16 they do so before the leg is inside, and then
    /// there is no bridge.
    fn bridge_listed(&self, id: &str, message: &Message<'_>) -> Bridge {
        let name = message.only("Data").unwrap_or_default().split(',').next().unwrap_or_default();
        let room = (message.only("Application") == Some("ConfBridge"))
            .then(|| names::room_named(self.instance, name));
        Bridge { key: names::digest(id.as_bytes()), room }
    }

    // ---- truth -----------------------------------------------------------------------------------------------------

    /// Something about this leg may have changed: ask the server what is true.
    pub(super) fn doubt(&mut self, leg: LegId) {
        if self.phase == Phase::Rising {
            self.life.doubts.insert(leg);
            return;
        }
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        match known.question {
            Question::None => known.question = Question::Asked,
            Question::Asked | Question::Stale => {
                known.question = Question::Stale;
                return;
            }
        }
        if let Some(id) = self.look_at(leg, Purpose::Truth(leg, None)) {
            self.life.timers.arm(Timer::Asked(id), self.now + TRUTH_WITHIN);
        }
    }

    /// The answer: a line, no such channel, or (outer `None`) nothing.
    pub(super) fn truth(&mut self, leg: LegId, answer: Option<Option<Item>>) {
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        let again = known.question == Question::Stale;
        known.question = Question::None;
        let seen = answer.clone();
        match answer {
            Some(Some(item)) => {
                // it lives: what was said about its end before we asked was not true
                if let Some(known) = self.life.legs.get_mut(leg).filter(|_| !again) {
                    known.rumor = None;
                }
                self.learn(&item);
            }
            Some(None) => self.gone(leg),
            // no answer is no evidence; a leg that is on its last chance is asked about once more
            None if known.last_chance => return self.doubt(leg),
            None => {}
        }
        if again {
            self.doubt(leg);
        } else {
            self.stays_or_goes(leg, seen);
            self.prove(leg);
        }
    }

    /// Applies a line of a list to what is known.
    pub(super) fn learn(&mut self, item: &Item) {
        self.lives(item.leg);
        if let Some(native) = &item.foreign {
            let known = self.life.legs.insert(item.leg, Leg::new(Some(native.clone())));
            known.made = true;
            known.stage = item.stage;
        } else {
            self.made(item.leg);
        }
        if let Some(known) = self.life.legs.get_mut(item.leg) {
            known.settled = item.settled;
            known.tag = known.tag.take().or_else(|| item.tag.clone());
        }
        self.learn_where(item);
        match item.stage {
            Stage::Dialing => {}
            Stage::Ringing => self.rings(item.leg),
            Stage::Up => self.answered(item.leg),
        }
        match &item.bridge {
            Some(bridge) => self.entered(item.leg, bridge),
            None => self.left(item.leg),
        }
        // a line of a leg on its way out of a conference shows no conference any more
        if self.life.legs.room_of(item.leg).is_some()
            && let Some(known) = self.life.legs.get_mut(item.leg)
        {
            known.settled = false;
        }
    }

    /// Lists again, because messages were lost to a forger.
    pub(super) fn resync(&mut self) {
        if self.phase == Phase::Ready {
            self.list_for(None);
        }
    }

    pub(super) fn list(&mut self, ticket: Ticket) {
        let id = self.list_for(Some(ticket));
        self.running(ticket, super::flight::Work::List, vec![id], LIST_WITHIN);
    }

    pub(super) fn list_late(&mut self, ticket: Ticket) {
        let refused = Refused { why: Why::Unproven, ..Refused::link_lost() };
        self.finish(ticket, Err(refused));
    }
}

fn stage(state: u8) -> Stage {
    match state {
        4 | 5 => Stage::Ringing,
        6 => Stage::Up,
        _ => Stage::Dialing,
    }
}

/// What `Originate` has just made shows the context of its endpoint for a moment; it is on its way to its waiting place.
fn runs_a_dialplan(exten: &str, message: &Message<'_>) -> bool {
    let up = message.number(Field::ChannelState) == Some(6);
    up && !matches!(exten, "" | "s") && !matches!(message.only("Application"), Some("AppDial2"))
}

/// In its waiting place, past the `Answer` it begins with: right after a `Redirect` the old application is still shown,
/// under the new first step.
fn is_waiting(message: &Message<'_>) -> bool {
    let step = message.only("Priority").and_then(|step| step.parse::<u32>().ok());
    matches!(message.only("Application"), Some("Wait" | "MusicOnHold")) && step.is_some_and(|step| step > 1)
}

/// The two values of our tag, each there exactly once.
fn tag(message: &Message<'_>) -> Option<Tag> {
    let value = |name: &str| {
        let mut found = message
            .all("Variable")
            .filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix(name)?.strip_prefix('='));
        found.next().filter(|_| found.next().is_none())
    };
    names::read(value(names::CALL)?, value(names::ENDS)?)
}

/// A text of the server, cut to what a table shows.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(120).collect()
}
