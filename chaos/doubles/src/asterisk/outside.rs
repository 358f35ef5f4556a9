//! Channels whose far end is in the real world: calls through the trunk to a SIP URI with an address.
//!
//! Such a channel is one like any other, but its phone is none of ours: what it does comes from outside, what it hears and
//! the digits it is sent are told to the outside. Only where that is open ([`super::Options::outside`]); else the trunk
//! leads to phones of ours. Not here: SIP and RTP ([`crate::phone::sip`]), and who joins both ([`crate::gateway`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Asterisk;
use super::world::World;
use crate::phone::line::{FarEnd, Line, Order};
use crate::phone::{Act, Tone, sip};

/// The endpoint that leads outside.
const TRUNK: &str = "trunk";

/// All lines, and what is to be done about them.
#[derive(Debug, Default)]
pub(super) struct Outside {
    open: bool,
    lines: BTreeMap<Line, Talk>,
    orders: VecDeque<Order>,
}

/// One line.
#[derive(Debug)]
struct Talk {
    channel: String,
    /// What its far end says.
    voice: BTreeSet<Tone>,
    /// What its far end was last told to hear.
    hears: BTreeSet<Tone>,
}

impl Outside {
    pub(super) fn new(open: bool) -> Self {
        Outside { open, ..Outside::default() }
    }

    pub(super) fn voice(&self, line: Line) -> BTreeSet<Tone> {
        self.lines.get(&line).map(|talk| talk.voice.clone()).unwrap_or_default()
    }

    /// The server is dead, and says no goodbye.
    pub(super) fn vanish(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.orders.extend(lines.into_keys().map(Order::Vanish));
    }
}

impl World {
    /// Calls outside, if that is where the channel's address leads.
    pub(super) fn call_outside(&mut self, id: &str) -> bool {
        let Some(channel) = self.channels.get(id) else { return false };
        let uri = channel.dialed.strip_prefix(TRUNK).and_then(|rest| rest.strip_prefix('/'));
        let Some(uri) = uri.filter(|uri| self.outside.open && sip::address(uri).is_some()) else {
            return false;
        };
        let (uri, caller) = (uri.to_owned(), channel.connected.number.clone());
        let line = Line(self.next_rank());
        let channel = self.channel_mut(id);
        channel.line = Some(line);
        channel.plan.acts.clear();
        let talk = Talk { channel: id.to_owned(), voice: BTreeSet::new(), hears: BTreeSet::new() };
        self.outside.lines.insert(line, talk);
        self.outside.orders.push_back(Order::Call { line, uri, caller });
        true
    }

    /// The phone of a channel receives a digit.
    pub(super) fn send_digit(&mut self, id: &str, digit: char) {
        let Some(channel) = self.channels.get(id) else { return };
        match channel.line {
            Some(line) => self.outside.orders.push_back(Order::Press(line, digit)),
            None => {
                let number = channel.number.clone();
                self.witness(&number).digits.push(digit);
            }
        }
    }

    /// Tells the outside what has changed: which channels are gone, and what the others hear.
    pub(super) fn tell_outside(&mut self) {
        let lines: Vec<(Line, String)> =
            self.outside.lines.iter().map(|(line, talk)| (*line, talk.channel.clone())).collect();
        for (line, channel) in lines {
            let Some(leg) = self.channels.get(&channel).filter(|leg| leg.line == Some(line)) else {
                self.outside.lines.remove(&line);
                self.outside.orders.push_back(Order::End(line));
                continue;
            };
            let hears = if leg.phone_up { self.heard_by(leg) } else { BTreeSet::new() };
            let Some(talk) = self.outside.lines.get_mut(&line).filter(|talk| talk.hears != hears) else {
                continue;
            };
            talk.hears.clone_from(&hears);
            self.outside.orders.push_back(Order::Play(line, hears));
        }
    }

    fn far_end(&mut self, line: Line, news: FarEnd) {
        let Some(talk) = self.outside.lines.get_mut(&line) else { return };
        let id = talk.channel.clone();
        match news {
            FarEnd::Ringing => self.phone_rings(&id),
            FarEnd::Progress => self.phone_progresses(&id),
            FarEnd::Answered => self.phone_answers(&id),
            FarEnd::Refused(status) => self.phone_refuses(&id, status),
            FarEnd::Voice(voice) => talk.voice = voice,
            FarEnd::Digit(digit) => self.phone_acts(&id, &Act::Press(digit.to_string())),
            FarEnd::Holds(true) => self.phone_acts(&id, &Act::Hold),
            FarEnd::Holds(false) => self.phone_acts(&id, &Act::Resume),
            FarEnd::HungUp => self.phone_acts(&id, &Act::HangUp),
        }
    }
}

impl Asterisk {
    /// The next order about calls to the outside. Look for it after everything that happens to the machine; taking it
    /// changes nothing.
    pub fn line_order(&mut self) -> Option<Order> {
        self.world.outside.orders.pop_front()
    }

    /// A far end outside did something.
    pub fn far_end(&mut self, line: Line, news: FarEnd, now: Duration) {
        self.advance(now);
        self.world.far_end(line, news);
        self.advance(now);
    }

    /// Whether SIP neither comes in nor goes out: the server is dead, cut off, or its SIP stack is.
    pub fn is_deaf(&self) -> bool {
        self.down || self.wire.faults.cut_off() || self.world.sip_dead
    }
}
