//! Bytes of a connection to the question they answer, or to the event they are.
//!
//! An answer has no id of its own: it belongs to the question that has waited longest. So an answer too many, or one of
//! the wrong form, means that we are out of step, and the life is over rather than guessed on.

use ifbus_call::order::{Evidence, Why};
use ifbus_call::{Cause, Interface, LegId, Refused, Said};

use super::flight::{Purpose, Timer};
use super::machine::{EVENTS, FILES, FreeSwitch, Link, Phase, SILENT_MAX, interface};
use crate::adapter::{DownReason, LinkError, Output};
use crate::wire_format::esl::{Broken, Event, Frame, Kind};

impl FreeSwitch {
    pub(super) fn esl_bytes(&mut self, slot: u8, bytes: &[u8]) {
        if matches!(self.session(slot).link, Link::Closed | Link::Opening) {
            return;
        }
        let mut decoder = std::mem::take(&mut self.session(slot).decoder);
        decoder.push(bytes);
        let epoch = self.epoch;
        while let Some(frame) = decoder.next() {
            match frame {
                Ok(frame) => self.frame(slot, &frame),
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
        if slot == FILES {
            self.out.push_back(Output::Close(self.link(FILES)));
            return self.files_closed();
        }
        let reason = match broken {
            Broken::NotEsl(_) => DownReason::NotTheKind(broken.to_string()),
            _ => DownReason::Protocol(broken.to_string()),
        };
        self.down(interface(slot), reason);
    }

    fn frame(&mut self, slot: u8, frame: &Frame<'_>) {
        match frame.kind() {
            Kind::AuthRequest => self.greeted(slot),
            Kind::Reply | Kind::Response => self.answer(slot, frame),
            Kind::Event if slot == EVENTS => self.event_message(frame.body),
            Kind::Disconnect => self.dismissed(slot, frame),
            Kind::Rejection => self.down(
                interface(slot),
                DownReason::LoginRefused(format!(
                    "{}: apply-inbound-acl of event_socket.conf does not name this host",
                    frame.said()
                )),
            ),
            Kind::Event | Kind::Other => self.count(1),
        }
    }

    /// The server closes the connection and says so first: it goes down, or it takes us for too slow.
    fn dismissed(&mut self, slot: u8, frame: &Frame<'_>) {
        if slot == FILES {
            self.out.push_back(Output::Close(self.link(FILES)));
            return self.files_closed();
        }
        if frame.said().contains("shut down") {
            return self.down(interface(slot), DownReason::ShuttingDown);
        }
        let reason = self.lost(LinkError::Other(format!("the server said: {}", frame.said())));
        self.down(interface(slot), reason);
    }

    fn answer(&mut self, slot: u8, frame: &Frame<'_>) {
        let Some(purpose) = self.session(slot).asked.pop_front() else {
            let text = format!("an answer that nobody asked for: {}", frame.said());
            return self.out_of_step(slot, text);
        };
        if self.session(slot).asked.is_empty() {
            self.life.timers.disarm(Timer::Silent(slot));
        } else {
            self.life.timers.arm(Timer::Silent(slot), self.now + SILENT_MAX);
        }
        // a directory user who may not use an `api` is told so in the other form (sheet, section 1)
        let plain = frame.kind() == Kind::Reply;
        if plain != purpose.is_plain() && !(plain && is_error(frame)) {
            return self.out_of_step(slot, format!("an answer of the wrong form: {}", frame.said()));
        }
        self.answered_with(slot, purpose, frame);
    }

    pub(super) fn out_of_step(&mut self, slot: u8, text: String) {
        if slot == FILES {
            self.out.push_back(Output::Close(self.link(FILES)));
            return self.files_closed();
        }
        self.down(interface(slot), DownReason::Protocol(text));
    }

    fn answered_with(&mut self, slot: u8, purpose: Purpose, frame: &Frame<'_>) {
        let ok = is_ok(frame);
        match purpose {
            Purpose::Auth => self.logged_in(slot, ok, frame),
            Purpose::Subscribe => self.subscribed(ok, frame),
            Purpose::Status => self.status(frame),
            Purpose::Core => self.core(frame),
            Purpose::Folder => self.folder(frame),
            Purpose::Channels(listing) => self.channels(listing, frame),
            Purpose::Row(listing) => {
                let event = described(frame);
                self.row(listing, event.as_ref());
            }
            Purpose::LastLook(ticket, leg) => {
                let answer = self.looked_at(frame, leg);
                self.looked(ticket, leg, answer);
            }
            Purpose::Truth(leg) => {
                let answer = self.looked_at(frame, leg);
                self.truth(leg, answer);
            }
            Purpose::Originate(ticket, leg) => self.originate_taken(ticket, leg, ok, frame),
            Purpose::Command(ticket) => self.command_answered(ticket, ok, frame),
            Purpose::Quiet => {}
            Purpose::Recorder(ticket) => self.recorder(ticket, frame),
            Purpose::Record(ticket) => self.record_answered(ticket, ok, frame),
            Purpose::Recorders(ticket) => self.recorders(ticket, frame),
            Purpose::Pause(ticket) => self.pause_answered(ticket, ok, frame),
            Purpose::Paused(ticket) => self.paused(ticket, frame),
            Purpose::Load(ticket) => self.loaded(ticket, frame),
            Purpose::Echo(ticket) => self.echoed(ticket, frame),
            Purpose::EchoJob(ticket) => self.echo_taken(ticket, ok, frame),
            Purpose::Inspect(ticket, check) => self.inspected(ticket, check, frame),
            Purpose::Slice(ticket) => self.slice(ticket, frame),
        }
    }

    /// What the server says of one leg: a description, that there is none (`Some(None)`), or nothing of use.
    fn looked_at(&mut self, frame: &Frame<'_>, leg: LegId) -> Option<Option<super::listing::Item>> {
        if is_gone(frame) {
            return Some(None);
        }
        let event = described(frame)?;
        let item = self.item(&event)?;
        (item.leg == leg).then_some(Some(item))
    }

    pub(super) fn event_message(&mut self, json: &[u8]) {
        match self.phase {
            Phase::Ready => self.event(json),
            Phase::Rising => self.early_event(json),
            Phase::Off => {}
        }
    }

    /// Kept for after the list.
    fn early_event(&mut self, json: &[u8]) {
        self.life.early_bytes += json.len();
        if self.life.early_bytes > EARLY_MAX {
            let reason = format!("more than {EARLY_MAX} bytes of events before the list");
            return self.down(Interface::Events, DownReason::Protocol(reason));
        }
        self.life.early.push(json.to_vec());
    }
}

/// The most that is kept of the events while the list is on its way: some seconds at a thousand events per second.
const EARLY_MAX: usize = 64 * 1024 * 1024;

/// Only this is success, whatever else an answer says (sheet, section 1).
pub(super) fn is_ok(frame: &Frame<'_>) -> bool {
    frame.said().starts_with("+OK")
}

fn is_error(frame: &Frame<'_>) -> bool {
    frame.said().starts_with("-ERR")
}

/// Whether an answer says that there is no such leg; each command has its own words.
pub(super) fn is_gone(frame: &Frame<'_>) -> bool {
    let said = frame.said();
    ["-ERR No such channel", "-ERR Invalid uuid", "-ERR Cannot locate session", "-ERR invalid uuid"]
        .iter()
        .any(|words| said.starts_with(words))
}

/// A refusal in the server's words.
pub(super) fn refused(frame: &Frame<'_>) -> Refused {
    let said = frame.said();
    let why = if is_gone(frame) { Why::NoSuchLeg } else { Why::Refused };
    Refused {
        why,
        cause: Cause::ServerFailure,
        evidence: Evidence::NotDone,
        said: Some(Said::new(None, said.trim_start_matches("-ERR").trim())),
    }
}

/// The description of a leg.
fn described<'a>(frame: &Frame<'a>) -> Option<Event<'a>> {
    Event::parse(frame.body).ok().filter(|event| event.get("Unique-ID").is_some())
}
