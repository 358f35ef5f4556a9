//! What the engine reports, turned into facts.
//!
//! Nothing about the order of events is sure (sheet, section 4): whatever tells of a leg may be the first word of it,
//! its end is final, and what is said of its connections is a reason to ask, unless an order of ours brought it about.

use std::borrow::Cow;

use ifbus_call::{Event, LegId, Stage};

use super::cause::{self, End};
use super::legs::{Leg, Peer};
use super::machine::Yate;
use super::names;
use crate::adapter::Output;
use crate::wire_format::extmodule::{Channel, Params};

/// Channels that play something, or hold a leg's place: they are no legs.
pub(super) fn is_place(native: &str) -> bool {
    ["dumb/", "tone/", "wave/", "conf/"].iter().any(|driver| native.starts_with(driver))
}

impl Yate {
    pub(super) fn event(&mut self, name: &[u8], params: Params<'_>) {
        if matches!(name, b"engine.stop" | b"engine.halt") {
            self.life.farewell = true;
            return;
        }
        let Some(native) = params.get("id").filter(|native| !is_place(native)) else { return };
        let leg = match self.leg_of(&native, &params) {
            Some(leg) => leg,
            None if name == b"chan.startup" => return self.stranger(&native, &params),
            None => return,
        };
        let foreign = self.is_foreign(leg);
        match name {
            b"chan.startup" if foreign => self.introduced(leg, &params),
            b"chan.startup" => self.made(leg),
            b"call.ringing" => self.rings(leg),
            b"call.progress" => self.early_media(leg),
            b"call.answered" => self.answered(leg),
            b"chan.connected" => self.connected(leg, params.get("peerid")),
            b"chan.disconnected" => self.disconnected(leg, &params),
            b"chan.hangup" => self.hung_up(leg, &params),
            b"chan.dtmf" if !foreign => self.digits(leg, &params),
            b"call.update" if !foreign => self.updated(leg, &params),
            b"chan.dtmf" | b"call.update" => {}
            _ => self.count(1),
        }
    }

    /// The leg a message is about: ours by its tag, if the channel is the one we know it under; else by its name.
    fn leg_of(&mut self, native: &str, params: &Params<'_>) -> Option<LegId> {
        let tagged = params.get(names::LEG).and_then(|tagged| names::ours(self.instance, &tagged));
        let Some(leg) = tagged else {
            // every message about a leg of ours carries its tag
            return self.life.legs.named(native).filter(|leg| self.is_foreign(*leg));
        };
        let channel = Channel::new(native)?;
        if let Some(named) = self.life.legs.get(leg).and_then(|known| known.native.as_ref()) {
            return (*named == channel).then_some(leg);
        }
        // a leg that nobody waits for any more: made late, or its end was told already
        if self.life.legs.get(leg).is_none() && self.is_over(native) {
            return None;
        }
        let tag = || crate::names::read(&params.get(names::CALL)?, &params.get(names::ENDS)?);
        let known = self.life.legs.insert(leg, Leg::new(false));
        known.tag = known.tag.take().or_else(tag);
        self.life.legs.name(leg, &channel);
        Some(leg)
    }

    /// Names never come twice in a life of the engine, and a late word about a leg that has ended is no new leg.
    fn is_over(&self, native: &str) -> bool {
        self.life.ended.contains(native)
    }

    /// A leg that is none of ours was made.
    fn stranger(&mut self, native: &str, params: &Params<'_>) {
        if self.is_over(native) {
            return;
        }
        if let Some(leg) = self.foreign(native) {
            self.introduced(leg, params);
        }
    }

    /// Our name for a leg of the server's own.
    pub(super) fn foreign(&mut self, native: &str) -> Option<LegId> {
        if let Some(leg) = self.life.legs.named(native) {
            return Some(leg);
        }
        let channel = Channel::new(native)?;
        let leg = crate::names::foreign(&self.server, self.life.boot.as_ref()?, native.as_bytes());
        self.life.legs.insert(leg, Leg::new(true)).made = true;
        self.life.legs.name(leg, &channel);
        Some(leg)
    }

    /// Who is at the far end of a foreign leg.
    fn introduced(&mut self, leg: LegId, params: &Params<'_>) {
        let incoming = params.get("direction").is_some_and(|way| way == "incoming");
        let party = params.get(if incoming { "caller" } else { "called" }).unwrap_or_default();
        if let Some(known) = self.life.legs.get_mut(leg).filter(|known| known.party.is_empty()) {
            known.party = shown(&party);
            self.guest_introduced(leg);
        }
    }

    fn connected(&mut self, leg: LegId, peer: Option<Cow<'_, str>>) {
        if self.is_foreign(leg) {
            return;
        }
        if self.life.busy.contains_key(&leg) {
            if let Some(known) = self.life.legs.get_mut(leg) {
                known.stirred = true;
            }
            return;
        }
        let Some(known) = self.life.legs.get(leg) else { return };
        let same = match (&known.peer, peer) {
            (Some(Peer::Place(known) | Peer::Room(known, _)), Some(peer)) => *known == peer,
            (Some(Peer::Leg(partner)), Some(peer)) => self.life.legs.named(&peer) == Some(*partner),
            (None, Some(peer)) => known.stage != Stage::Up && is_place(&peer),
            (_, None) => false,
        };
        if !same {
            self.doubt(leg);
        }
    }

    /// Mostly the end of the leg is on its way behind it, or it is connected elsewhere: both are told.
    fn disconnected(&mut self, leg: LegId, params: &Params<'_>) {
        let code = params.get("cause_sip").and_then(|code| code.parse::<u16>().ok());
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if known.away {
            known.guest_ended = code;
        }
        if self.life.busy.contains_key(&leg) {
            known.stirred = true;
        }
    }

    fn hung_up(&mut self, leg: LegId, params: &Params<'_>) {
        let text = |key: &str| params.get(key).map(|text| shown(&text)).unwrap_or_default();
        let end = End {
            sip: params.get("cause_sip").and_then(|code| code.parse().ok()),
            reason: text("reason"),
            status: text("status"),
            by_itself: params.get("peerid").is_some_and(|peer| !peer.is_empty()),
        };
        if let Some(last) = params.get("lastpeerid").filter(|_| !end.by_itself) {
            self.ended_with(leg, &last, &end);
        }
        self.ended(leg, &end);
    }

    /// It was left alone by this channel. If that is not whom we know it with, a phone has sent it there, and its call
    /// may have ended before that was heard.
    fn ended_with(&mut self, leg: LegId, last: &str, end: &End) {
        if is_place(last) {
            return;
        }
        let code = self.life.ended.code(last).or_else(|| cause::of_phrase(&end.reason));
        if let Some(known) = self.life.legs.get_mut(leg).filter(|known| !known.foreign && code.is_some()) {
            known.away |= known.with.as_ref().is_some_and(|with| with.as_str() != last);
            known.guest_ended = known.guest_ended.or(code);
        }
    }

    fn digits(&mut self, leg: LegId, params: &Params<'_>) {
        let again = params.get("duplicate").is_some_and(|again| again == "true");
        let text = params.get("text").filter(|_| !again).unwrap_or_default();
        for digit in text.chars().filter(|digit| matches!(digit, '0'..='9' | 'A'..='D' | '*' | '#')).take(32)
        {
            self.out.push_back(Output::Event(Event::Digit(leg, digit)));
        }
    }

    /// A phone has changed the direction of its media; the engine does nothing by itself about it.
    fn updated(&mut self, leg: LegId, params: &Params<'_>) {
        if params.get("operation").is_none_or(|operation| operation != "notify") {
            return;
        }
        let holds = params.has("sdp_sendonly") || params.has("sdp_inactive");
        let Some(known) = self.life.legs.get_mut(leg) else { return };
        if holds != std::mem::replace(&mut known.holds, holds) {
            let event = if holds { Event::HeldByPhone(leg) } else { Event::ResumedByPhone(leg) };
            self.out.push_back(Output::Event(event));
        }
    }
}

/// A text of the server, cut to what a table shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}
