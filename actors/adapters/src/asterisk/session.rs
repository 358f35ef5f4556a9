//! Bytes of an AMI connection to the question they answer, or to the event they are.
//!
//! Here is decided what is believed at all (sheet, section 11): an answer under an id we gave, on the connection we
//! asked on; nothing in which a field is there twice; nothing that shows the seams of a message cut in two by a caller.

use ifbus_call::{Cause, Evidence, Interface, Refused, Said, Why};

use super::flight::{Purpose, Timer};
use super::machine::{Asterisk, Link, Phase, TONES, WATCH};
use super::names;
use crate::adapter::{DownReason, Output};
use crate::wire_format::ami::{Broken, Field, Frame, Kind, Message};

impl Asterisk {
    pub(super) fn ami_bytes(&mut self, slot: u8, bytes: &[u8]) {
        if matches!(self.session(slot).link, Link::Closed | Link::Opening) {
            return;
        }
        let mut decoder = std::mem::take(&mut self.session(slot).decoder);
        decoder.push(bytes);
        let epoch = self.epoch;
        while let Some(frame) = decoder.next() {
            match frame {
                Ok(Frame::Banner(_)) => self.greeted(slot),
                Ok(Frame::Message(message)) => self.message(slot, &message),
                Err(broken) => self.broken(slot, &broken),
            }
            self.settle();
            let gone = matches!(self.session(slot).link, Link::Closed | Link::Opening);
            if gone || self.phase == Phase::Off || self.epoch != epoch {
                return;
            }
        }
        self.session(slot).decoder = decoder;
    }

    fn broken(&mut self, slot: u8, broken: &Broken) {
        if slot == TONES {
            self.out.push_back(Output::Close(self.link(TONES)));
            self.tones_closed();
            return;
        }
        let reason = match broken {
            Broken::NotAmi(_) => DownReason::NotTheKind(broken.to_string()),
            Broken::TooLong => DownReason::Protocol(broken.to_string()),
        };
        self.down(Interface::Management, reason);
    }

    fn message(&mut self, slot: u8, message: &Message<'_>) {
        let id = message.get(Field::ActionId).filter(|id| id.len() == 32).and_then(names::hexadecimal);
        let asked = id.filter(|id| self.life.asked.get(id).is_some_and(|asked| asked.slot == slot));
        // Noise is no sign of life, and a flood of it must not hide that nothing is answered.
        if asked.is_some() {
            self.session(slot).heard = self.now;
            self.life.timers.disarm(Timer::Silent(slot));
        }
        match (message.kind(), asked) {
            _ if looks_forged(message) => self.forged(message),
            (Kind::Response, Some(id)) => self.response(id, message),
            // an answer without our id, or after its deadline: whoever waits for it has a deadline of its own
            (Kind::Response, None) => self.count(u64::from(id.is_none())),
            (Kind::Event, Some(id)) if message.get(Field::Event) != Some(b"UserEvent") => {
                self.list_event(id, message);
            }
            (Kind::Event, _) if slot == WATCH => self.watch_event(message),
            (Kind::Event, _) => {}
            (Kind::Neither, _) => self.forged(message),
        }
    }

    pub(super) fn count(&mut self, frames: u64) {
        if frames > 0 {
            self.out.push_back(Output::Unknown(frames));
        }
    }

    /// Dropped, counted, told at 1, 10, 100 and so on; and in doubt about everything, the list is asked for again.
    pub(super) fn forged(&mut self, _message: &Message<'_>) {
        self.life.forged += 1;
        self.count(1);
        let total = self.life.forged;
        if total == 10_u64.pow(total.ilog10()) {
            self.warn(
                "forged_event",
                format!("manager messages dropped: {total}; somebody writes protocol text into a caller id"),
            );
        }
        if !self.by_stream() && self.phase == Phase::Ready && !self.life.timers.is_armed(Timer::Resync) {
            self.life.timers.arm(Timer::Resync, self.now + super::listing::RESYNC_AFTER);
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    fn response(&mut self, id: u128, message: &Message<'_>) {
        let success = message.get(Field::Response) == Some(b"Success");
        let Some(asked) = self.life.asked.get(&id) else { return };
        // these go on with events under the same id
        if success {
            match asked.purpose {
                Purpose::List(..)
                | Purpose::Truth(..)
                | Purpose::LastLook(..)
                | Purpose::Settle(..)
                | Purpose::Originate(..)
                | Purpose::Dialplan(..)
                | Purpose::Seek(..)
                | Purpose::Ghost(..) => return,
                _ => {}
            }
        }
        let Some(asked) = self.life.asked.remove(&id) else { return };
        self.life.timers.disarm(Timer::Asked(id));
        match asked.purpose {
            Purpose::Challenge(slot) => self.challenged(slot, message),
            Purpose::Login(slot) => self.logged_in(slot, success, message),
            Purpose::Filter => self.filtered(success, message),
            Purpose::Mask => {}
            Purpose::Settings => self.settings(message),
            Purpose::Boot => self.boot(message),
            Purpose::List(ticket, items) => self.list_refused(ticket, items, message),
            Purpose::Truth(leg, _) => self.truth(leg, if is_gone(message) { Some(None) } else { None }),
            Purpose::LastLook(ticket, leg, _) => {
                self.looked(ticket, leg, if is_gone(message) { Some(None) } else { None });
            }
            Purpose::Settle(ticket, leg, _) => {
                self.settled(ticket, leg, if is_gone(message) { Some(None) } else { None });
            }
            Purpose::Originate(ticket, leg) => self.originate_refused(ticket, leg, message),
            Purpose::Command(ticket) => self.command_answered(ticket, success, message),
            Purpose::Fence(ticket) => self.unfenced(ticket, success, message),
            Purpose::Recorder(ticket) => self.recorder(ticket, success, message),
            Purpose::Marked(ticket) => self.marked(ticket, success, message),
            Purpose::Digit(ticket) => self.digit_answered(ticket, success, message),
            Purpose::Ping(ticket) => self.pinged(ticket, asked.slot, success),
            Purpose::Load(ticket) => self.loaded(ticket, success, message),
            Purpose::Rights(ticket) => self.rights(ticket, success, message),
            Purpose::Dialplan(ticket, place, _) => self.dialplan(ticket, place, &[]),
            Purpose::Seek(ticket, sought, _) => self.not_sought(ticket, sought, message),
            Purpose::Ghost(ticket) => self.ghost(ticket, false),
            Purpose::Marker(ticket) => {
                if !success {
                    self.marker_refused(ticket, &said(message).text);
                }
            }
        }
    }

    /// An event under an id of ours: one line of a list, its end, or the result of an originate.
    fn list_event(&mut self, id: u128, message: &Message<'_>) {
        let name = message.get(Field::Event).unwrap_or_default();
        // the end of a list is about no channel; with one it is the rest of a line that a caller cut
        let ends = name.ends_with(b"Complete");
        if ends && (message.get(Field::Uniqueid).is_some() || message.get(Field::Channel).is_some()) {
            return self.forged(message);
        }
        if ends {
            return self.list_ended(id);
        }
        match name {
            b"Status" => self.list_item(id, message),
            b"ListDialplan" => self.dialplan_item(id, message),
            b"OriginateResponse" => self.originated(id, message),
            _ => self.count(1),
        }
    }

    /// An action outside of any order was not answered: what depends on it goes on without.
    pub(super) fn unanswered(&mut self, id: u128) {
        let Some(asked) = self.life.asked.remove(&id) else { return };
        match asked.purpose {
            Purpose::List(None, _) if self.phase == Phase::Rising => {
                self.down(Interface::Management, DownReason::Silent(super::listing::LIST_WITHIN));
            }
            Purpose::Truth(leg, _) => self.truth(leg, None),
            _ => {}
        }
    }
}

/// What the server said in a response.
pub(super) fn said(message: &Message<'_>) -> Said {
    let text = message.get(Field::Message).map(String::from_utf8_lossy).unwrap_or_default();
    Said::new(None, text.trim())
}

/// Whether a response says that a channel does not exist; each action has its own words.
pub(super) fn is_gone(message: &Message<'_>) -> bool {
    let text = said(message).text;
    text.starts_with("No such channel")
        || text.starts_with("Channel not found")
        || text.contains("hannel does not exist")
        || text.starts_with("Channel1 does not exist")
        || text.starts_with("Channel2 does not exist")
}

/// A refusal in the server's words.
pub(super) fn refused(message: &Message<'_>) -> Refused {
    let why = if is_gone(message) { Why::NoSuchLeg } else { Why::Refused };
    Refused { why, cause: Cause::ServerFailure, evidence: Evidence::NotDone, said: Some(said(message)) }
}

/// A field that Asterisk writes once is there twice, or a response is about a channel, which none is.
fn looks_forged(message: &Message<'_>) -> bool {
    message.is_ambiguous()
        || (message.kind() == Kind::Response
            && (message.get(Field::Uniqueid).is_some() || message.get(Field::Linkedid).is_some()))
}
