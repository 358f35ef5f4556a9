//! Lines: calls placed for a server, which hears what is said in them and decides what is played to them.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::audio::Audio;
use super::message;
use super::{Act, Phase, SipPhones};
use crate::phone::line::{FarEnd, Line, Order};
use crate::phone::tone::{Player, Tone};

/// Packets from one look at what the far end says to the next: 100 ms.
const LOOK: u32 = 5;
/// User of our Contact, as the server has it.
const USER: &str = "asterisk";

/// What was heard in a line.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) line: Line,
    voice: BTreeSet<Tone>,
    holds: bool,
    packets: u32,
}

impl SipPhones {
    /// Carries out an order from our address `local`.
    pub fn carry_out(&mut self, order: Order, local: SocketAddr, now: Duration) {
        self.now = self.now.max(now);
        match order {
            Order::Call { line, uri, caller } => self.call_outside(line, uri, caller, local),
            Order::Play(line, tones) => {
                if let Some(call) = self.on(line).and_then(|id| self.calls.get_mut(&id)) {
                    call.audio.play(tones);
                }
            }
            Order::Press(line, digit) => {
                if let Some(id) = self.on(line) {
                    self.act_in(id, &Act::Press(digit.to_string()));
                }
            }
            Order::End(line) => {
                if let Some(id) = self.on(line) {
                    self.calls.entry(id).and_modify(|call| call.line = None);
                    self.act_in(id, &Act::HangUp);
                }
            }
            Order::Vanish(line) => {
                if let Some(id) = self.on(line) {
                    self.calls.entry(id).and_modify(|call| call.line = None);
                    self.forget(id);
                }
            }
        }
    }

    /// The next thing that a far end did.
    pub fn line_news(&mut self) -> Option<(Line, FarEnd)> {
        self.news.pop_front()
    }

    /// Whether [`SipPhones::line_news`] has something to say.
    pub fn has_line_news(&self) -> bool {
        !self.news.is_empty()
    }

    fn on(&self, line: Line) -> Option<u64> {
        let of_line = |call: &super::Call| call.line.as_ref().is_some_and(|ear| ear.line == line);
        self.calls.iter().find(|(_, call)| of_line(call)).map(|(id, _)| *id)
    }

    fn call_outside(&mut self, line: Line, uri: String, caller: Option<String>, local: SocketAddr) {
        let Some(hop) = message::address(&uri) else {
            return self.news.push_back((line, FarEnd::Refused(503)));
        };
        let audio = Audio::new(Player::default(), self.random.next());
        let shown = caller.map_or_else(|| "anonymous".to_owned(), |caller| escaped(&caller));
        let id = self.dial((USER, &shown), uri, hop, local, audio);
        let ear = Ear { line, voice: BTreeSet::new(), holds: false, packets: 0 };
        self.calls.entry(id).and_modify(|call| call.line = Some(ear));
    }

    /// Tells of a far end, if the call is a line.
    pub(super) fn say(&mut self, id: u64, news: FarEnd) {
        if let Some(ear) = self.calls.get(&id).and_then(|call| call.line.as_ref()) {
            self.news.push_back((ear.line, news));
        }
    }

    /// The same, for the last time.
    pub(super) fn say_last(&mut self, id: u64, news: FarEnd) {
        if let Some(ear) = self.calls.get_mut(&id).and_then(|call| call.line.take()) {
            self.news.push_back((ear.line, news));
        }
    }

    /// The call is over; whoever knows better why has said so before.
    pub(super) fn say_over(&mut self, id: u64) {
        let answered = self.calls.get(&id).is_some_and(|call| call.phase == Phase::Answered);
        self.say_last(id, if answered { FarEnd::HungUp } else { FarEnd::Refused(408) });
    }

    /// A new description may have put us on hold.
    pub(super) fn notice_hold(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let holds = !call.audio.far_end().0;
        let Some(ear) = call.line.as_mut().filter(|ear| ear.holds != holds) else { return };
        ear.holds = holds;
        self.news.push_back((ear.line, FarEnd::Holds(holds)));
    }

    /// What the far end says, if that has changed; a look every [`LOOK`] packets.
    pub(super) fn hearken(&mut self, id: u64) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(ear) = &mut call.line else { return };
        ear.packets = (ear.packets + 1) % LOOK;
        if ear.packets != 0 {
            return;
        }
        let voice = call.audio.tones(now);
        if voice != ear.voice {
            ear.voice.clone_from(&voice);
            self.news.push_back((ear.line, FarEnd::Voice(voice)));
        }
    }
}

/// A number as the user of a URI.
fn escaped(number: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+*".contains(&byte);
    let written = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    number.bytes().map(written).collect()
}
