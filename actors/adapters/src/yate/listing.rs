//! The server's own list of legs, and what it teaches.
//!
//! Three questions at once: the legs, their calls, the rooms; then each leg by name, because only there are its tags. At
//! most [`AT_ONCE`] of them are under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Interface, LegId, Refused, Seen, Stage, Why};

use super::events::{is_place, shown};
use super::facts::stage;
use super::flight::{Purpose, Timer, Work};
use super::legs::{Leg, Peer, Room};
use super::machine::{Phase, Yate};
use super::names;
use super::session::Reply;
use crate::adapter::{DownReason, Ticket};
use crate::wire_format::extmodule::{Channel, Command, Name};

/// Three hundred legs take some 20 ms (sheet, section 9); a saturated engine may take seconds.
pub(super) const LIST_WITHIN: Duration = Duration::from_secs(10);

/// How many legs are asked for at a time: the engine's queue belongs to all.
const AT_ONCE: usize = 100;

/// What a question of a list is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Every channel of SIP.
    Sip,
    /// Every call: numbers, age, and the channels of other drivers.
    Calls,
    /// Who is in which room.
    Rooms,
    /// One leg.
    Leg(String),
}

/// A list under way.
#[derive(Debug, Default)]
pub(super) struct Listing {
    ticket: Option<Ticket>,
    open: usize,
    todo: VecDeque<String>,
    found: BTreeSet<String>,
    calls: BTreeMap<String, Call>,
    legs: Vec<Found>,
    /// Legs that were known when the list began.
    before: BTreeSet<LegId>,
}

/// What the builder of call records knows.
#[derive(Debug, Default, Clone)]
struct Call {
    caller: String,
    called: String,
    age: Duration,
}

/// One leg, as its status shows it.
#[derive(Debug, Clone)]
struct Found {
    native: String,
    tagged: Option<LegId>,
    stage: Stage,
    incoming: bool,
    peer: String,
    texts: BTreeMap<&'static str, String>,
}

impl Yate {
    /// Asks for all legs: to be ready, or for an order.
    pub(super) fn list_for(&mut self, ticket: Option<Ticket>) {
        self.life.list += 1;
        let number = self.life.list;
        let before = self.life.legs.iter().filter(|(_, leg)| leg.made).map(|(leg, _)| leg).collect();
        self.life.lists.insert(number, Listing { ticket, open: 3, before, ..Listing::default() });
        self.life.timers.arm(Timer::List(number), self.now + LIST_WITHIN);
        for (part, module) in [(Part::Sip, "sip"), (Part::Calls, "cdrbuild"), (Part::Rooms, "conf")] {
            self.ask_part(number, part, module);
        }
    }

    fn ask_part(&mut self, number: u64, part: Part, module: &str) {
        let asked =
            self.ask(Purpose::List(number, part), |id| Command::new(id, Name::Status).with("module", module));
        debug_assert!(asked.is_ok(), "names of channels are fit");
    }

    pub(super) fn list(&mut self, ticket: Ticket) {
        self.running(ticket, Work::List, [], LIST_WITHIN);
        self.list_for(Some(ticket));
    }

    /// A list did not become complete.
    pub(super) fn list_late(&mut self, number: u64) {
        let Some(listing) = self.life.lists.remove(&number) else { return };
        match listing.ticket {
            None if self.phase == Phase::Rising => {
                self.down(Interface::Management, DownReason::Silent(LIST_WITHIN));
            }
            Some(ticket) if self.life.orders.contains_key(&ticket) => {
                self.finish(ticket, Err(Refused { why: Why::Unproven, ..Refused::link_lost() }));
            }
            _ => {}
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn list_part(&mut self, number: u64, part: Part, reply: &Reply<'_>) {
        let instance = self.instance;
        let Some(listing) = self.life.lists.get_mut(&number) else { return };
        listing.open -= 1;
        match part {
            Part::Sip | Part::Calls => {
                for (native, fields) in items(&reply.value()) {
                    if part == Part::Calls {
                        listing.calls.insert(native.clone(), call(&fields));
                    }
                    if !is_place(&native)
                        && Channel::new(&native).is_some()
                        && listing.found.insert(native.clone())
                    {
                        listing.todo.push_back(native);
                    }
                }
            }
            Part::Rooms => {
                for (channel, fields) in items(&reply.value()) {
                    if let Some(room) = fields.get(1) {
                        let room = names::room_named(instance, &unescaped(room));
                        self.life.rooms.insert(channel, room);
                    }
                }
            }
            Part::Leg(native) => listing.legs.extend(found(instance, native, reply)),
        }
        self.list_on(number);
    }

    fn list_on(&mut self, number: u64) {
        loop {
            let Some(listing) = self.life.lists.get_mut(&number) else { return };
            if listing.open >= AT_ONCE {
                return;
            }
            let Some(native) = listing.todo.pop_front() else { break };
            listing.open += 1;
            self.ask_part(number, Part::Leg(native.clone()), &native);
        }
        if self.life.lists.get(&number).is_some_and(|listing| listing.open == 0)
            && let Some(listing) = self.life.lists.remove(&number)
        {
            self.life.timers.disarm(Timer::List(number));
            self.listed(&listing);
        }
    }

    fn listed(&mut self, listing: &Listing) {
        let rising = self.phase == Phase::Rising;
        let mut legs = Vec::new();
        for found in &listing.legs {
            legs.extend(self.adopt(found, listing.calls.get(&found.native)).map(|leg| (leg, found)));
        }
        for (leg, found) in &legs {
            if rising {
                let peer = self.peer_listed(&found.peer);
                if let Some(known) = self.life.legs.get_mut(*leg) {
                    known.peer = peer;
                }
            } else if !self.life.busy.contains_key(leg) {
                self.learn_peer(*leg, &found.peer);
            }
        }
        self.missing(listing, &legs);
        let seen = legs.iter().map(|(leg, found)| self.seen(*leg, found, listing.calls.get(&found.native)));
        let seen: Vec<Seen> = seen.collect();
        match listing.ticket {
            None if rising => self.ready(seen),
            None => {}
            Some(ticket) => self.list_done(ticket, seen),
        }
    }

    fn list_done(&mut self, ticket: Ticket, seen: Vec<Seen>) {
        match self.work(ticket) {
            Some(Work::List) => self.finish(ticket, Ok(Done::Listed(seen))),
            // what was looked for everywhere is there, or nowhere
            Some(Work::Drop { leg, .. }) => {
                let leg = *leg;
                if self.channel(leg).is_some() {
                    self.drop_known(ticket);
                } else {
                    self.forget(leg);
                    self.finish(ticket, Ok(Done::Proven));
                }
            }
            Some(_) => {
                self.progress(ticket);
                self.unproven(ticket);
            }
            None => {}
        }
    }

    fn forget(&mut self, leg: LegId) {
        if self.life.legs.get(leg).is_some_and(|known| !known.made) {
            self.life.legs.remove(leg);
        }
    }

    fn peer_listed(&mut self, native: &str) -> Option<Peer> {
        if native.is_empty() {
            return None;
        }
        if native.starts_with("conf/") {
            let room = self.life.rooms.get(native).cloned().unwrap_or(Room::Foreign);
            return Some(Peer::Room(native.to_owned(), room));
        }
        if is_place(native) {
            return Some(Peer::Place(native.to_owned()));
        }
        self.life.legs.named(native).map(Peer::Leg)
    }

    /// Takes a leg of the list into what is known. Before `Ready` nothing is told as an event: the list itself tells it.
    fn adopt(&mut self, found: &Found, call: Option<&Call>) -> Option<LegId> {
        let rising = self.phase == Phase::Rising;
        let channel = Channel::new(&found.native)?;
        let leg = match found.tagged {
            Some(leg) => {
                if !rising && self.life.legs.get(leg).is_none() && self.life.ended.contains(&found.native) {
                    return None;
                }
                self.life.legs.insert(leg, Leg::new(false));
                self.life.legs.name(leg, &channel);
                leg
            }
            None => self.foreign(&found.native)?,
        };
        let known = self.life.legs.get_mut(leg)?;
        known.told = true;
        if known.foreign && known.party.is_empty() {
            let party = call.map(|call| if found.incoming { &call.caller } else { &call.called });
            known.party = party.map(|party| shown(party)).unwrap_or_default();
        }
        let text = |key: &str| found.texts.get(key).map_or("", String::as_str);
        if known.tag.is_none() && found.tagged.is_some() {
            known.tag = crate::names::read(text(names::CALL), text(names::ENDS));
        }
        if !known.made || rising {
            known.muted = (text(names::MUTE).contains('i'), text(names::MUTE).contains('o'));
            known.segment = Some(text(names::RECORD)).filter(|text| text.len() > 1).map(str::to_owned);
            known.music = Some(text(names::MUSIC).to_owned());
            known.keep = text(names::KEEP) == "yes";
        }
        if rising {
            known.made = true;
            known.stage = known.stage.max(found.stage);
            known.rang = known.stage == Stage::Ringing;
            return Some(leg);
        }
        match found.stage {
            Stage::Dialing => self.made(leg),
            Stage::Ringing => self.rings(leg),
            Stage::Up => self.answered(leg),
        }
        Some(leg)
    }

    /// Legs that were there before and are not in the list: each is asked for by name.
    fn missing(&mut self, listing: &Listing, legs: &[(LegId, &Found)]) {
        let listed: BTreeSet<LegId> = legs.iter().map(|(leg, _)| *leg).collect();
        for leg in listing.before.difference(&listed) {
            self.doubt(*leg);
        }
    }

    fn seen(&self, leg: LegId, found: &Found, call: Option<&Call>) -> Seen {
        let known = self.life.legs.get(leg);
        let tag = known.and_then(|known| known.tag.clone()).filter(|_| found.tagged.is_some());
        let peer = known.and_then(|known| known.peer.as_ref());
        let music = known.and_then(|known| known.music.as_deref());
        Seen {
            leg,
            native: found.native.clone(),
            stage: known.map_or(found.stage, |known| known.stage),
            partners: known.and_then(Leg::partner).into_iter().collect(),
            conference: self.life.legs.conference_of(leg).cloned(),
            moved: self.moved_to(leg),
            hears_music: matches!((peer, music), (Some(Peer::Place(place)), Some(music)) if place == music),
            party: tag.as_ref().map_or_else(
                || known.map(|known| known.party.clone()).unwrap_or_default(),
                |tag| tag.party.to_string(),
            ),
            age: call.map(|call| call.age).unwrap_or_default(),
            tag,
        }
    }
}

/// What the status of one leg says; `None` if there is no such leg any more.
fn found(instance: ifbus_call::InstanceId, native: String, reply: &Reply<'_>) -> Option<Found> {
    if reply.text("id").is_empty() {
        return None;
    }
    let keys = [names::CALL, names::ENDS, names::MUTE, names::RECORD, names::MUSIC, names::KEEP];
    Some(Found {
        tagged: names::ours(instance, &reply.text(names::LEG)),
        stage: stage(reply),
        incoming: reply.text("direction") == "incoming",
        peer: reply.text("peerid"),
        texts: keys.into_iter().map(|key| (key, reply.text(key))).collect(),
        native,
    })
}

fn call(fields: &[String]) -> Call {
    let field = |at: usize| fields.get(at).map(|text| unescaped(text)).unwrap_or_default();
    Call { caller: field(1), called: field(2), age: Duration::from_secs(field(4).parse().unwrap_or(0)) }
}

/// The items of a status: `head;counters;name=field|field,name=field|field` (sheet, section 5.12).
fn items(status: &str) -> Vec<(String, Vec<String>)> {
    let record = status.lines().next().unwrap_or_default();
    let list = record.splitn(3, ';').nth(2).unwrap_or_default();
    let item = |item: &str| {
        let (name, fields) = item.split_once('=')?;
        Some((name.to_owned(), fields.split('|').map(str::to_owned).collect()))
    };
    list.split(',').filter_map(item).collect()
}

/// A field of a status, escaped as in a URI.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
        match code.flatten() {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
