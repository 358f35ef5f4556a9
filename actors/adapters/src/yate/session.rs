//! Lines of the engine to the question they answer, or to the event they are.
//!
//! Here is decided what is believed: an answer under an id we gave and have not had answered. A caller cannot write a
//! line: every field is escaped by the engine (sheet, section 2).

use ifbus_call::{Cause, Evidence, Interface, Refused, Said, Why};

use super::flight::{Purpose, Timer};
use super::machine::{Phase, Yate};
use crate::adapter::{DownReason, Output};
use crate::names::hexadecimal;
use crate::wire_format::extmodule::{Broken, Line, Params, answer, escape};

/// The most that is kept of events while the list is on its way.
const EARLY_MAX: usize = 16 * 1024 * 1024;

/// The answer to a message of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply<'a> {
    /// Whether somebody took it.
    pub(super) processed: bool,
    /// It is still called a masquerade: the channel that was to send it is not there.
    pub(super) masked: bool,
    pub(super) value: &'a [u8],
    pub(super) params: Params<'a>,
}

impl Reply<'_> {
    pub(super) fn text(&self, key: &str) -> String {
        self.params.get(key).map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// What the takers answered.
    pub(super) fn value(&self) -> String {
        escape::decode(self.value).map(std::borrow::Cow::into_owned).unwrap_or_default()
    }

    /// A refusal in the server's words; `gone` where an unknown channel is the only reason there is.
    pub(super) fn refused(&self, gone: bool) -> Refused {
        let why = if gone || self.masked { Why::NoSuchLeg } else { Why::Refused };
        let (error, reason) = (self.text("error"), self.text("reason"));
        let text = if error.is_empty() { reason } else { error };
        let said = (!text.is_empty()).then(|| Said::new(None, &text));
        Refused { why, cause: Cause::ServerFailure, evidence: Evidence::NotDone, said }
    }
}

impl Yate {
    pub(super) fn engine_bytes(&mut self, bytes: &[u8]) {
        let mut decoder = std::mem::take(&mut self.life.decoder);
        decoder.push(bytes);
        let epoch = self.epoch;
        while let Some(line) = decoder.next() {
            match line {
                Ok(line) => self.line(line),
                Err(broken) => {
                    let reason = match broken {
                        Broken::NotYate(_) => DownReason::NotTheKind(broken.to_string()),
                        Broken::TooLong => DownReason::Protocol(broken.to_string()),
                    };
                    self.down(Interface::Management, reason);
                }
            }
            self.settle();
            if self.phase == Phase::Off || self.epoch != epoch {
                return;
            }
        }
        self.life.decoder = decoder;
    }

    fn line(&mut self, line: Line<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match line {
            Line::Reply { id, processed, name, value, params } => {
                let masked = name == b"chan.masquerade";
                self.reply(id, Reply { processed, masked, value, params });
            }
            Line::Watched { name, params } => self.watched(name, params),
            Line::Asked { id, name, params } => self.asked_about(id, name, params),
            Line::Hooked { verb, name, done } => self.hooked(&text(verb), &text(name), done),
            Line::Local { name, value, done } => self.told(&text(name), &text(value), done),
            // a listener with a role of its own does not want to hear ours
            Line::ErrorIn(b"%%>connect:global") => {}
            Line::Other(b"%%<quit") => {}
            Line::ErrorIn(_) | Line::Other(_) => self.count(1),
        }
    }

    pub(super) fn count(&mut self, frames: u64) {
        if frames > 0 {
            self.out.push_back(Output::Unknown(frames));
        }
    }

    fn reply(&mut self, id: &[u8], reply: Reply<'_>) {
        let id = Some(id).filter(|id| id.len() == 32).and_then(hexadecimal);
        let Some(id) = id else { return self.count(1) };
        // an answer after its deadline: whoever waits for it has a deadline of its own
        let Some(purpose) = self.life.asked.remove(&id) else { return };
        self.life.timers.disarm(Timer::Silent);
        match purpose {
            Purpose::Step(ticket) => self.stepped(ticket, id, &reply),
            Purpose::Truth(leg) => self.truth(leg, &reply),
            Purpose::LastLook(ticket, leg) => self.looked(ticket, leg, &reply),
            Purpose::List(number, part) => self.list_part(number, part, &reply),
            Purpose::Room(ticket, cause) => self.room_known(ticket, cause, &reply),
            Purpose::Load(ticket) => self.loaded(ticket, &reply),
            Purpose::Ping(ticket) => self.pinged(ticket),
            Purpose::Rescue(leg) => self.rescued(leg, &reply),
            Purpose::Overdue | Purpose::Quiet => {}
        }
    }

    /// Events wait until the list is there.
    fn watched(&mut self, name: &[u8], params: Params<'_>) {
        if self.phase == Phase::Ready {
            return self.event(name, params);
        }
        let line = [b"%%<message::true:", name, b"::", params.raw()].concat();
        self.life.early_bytes += line.len();
        if self.life.early_bytes > EARLY_MAX {
            let reason = format!("more than {EARLY_MAX} bytes of events before the list");
            return self.down(Interface::Events, DownReason::Protocol(reason));
        }
        self.life.early.push(line);
    }

    pub(super) fn watched_line(&mut self, line: &[u8]) {
        if let Line::Watched { name, params } = Line::parse(line) {
            self.event(name, params);
        }
    }

    /// A worker of the engine waits: the answer comes at once, or as soon as a leg is safe.
    fn asked_about(&mut self, id: &[u8], name: &[u8], params: Params<'_>) {
        let refuses = name == b"call.preroute" && self.refuses(&params);
        if refuses {
            return self.send(answer(id, true, super::drain::REFUSAL));
        }
        if name == b"chan.disconnected" && self.rescue(id, &params) {
            return;
        }
        self.send(answer(id, false, ""));
    }
}
