//! A recording of a leg, begun and ended: `uuid_record`, and a variable beside the leg that says how far it has come.
//!
//! The server begins a file anew under the name of one that has ended, and answers the same to both (sheet, section 3).
//! So a segment that has ended is marked, and is never begun again. The files: `fetch.rs`.

use ifbus_call::order::{Done, Evidence, Why};
use ifbus_call::{LegId, RecordingId, Refused, Said};

use super::flight::{Purpose, Work};
use super::machine::{COMMANDS, FreeSwitch};
use super::names;
use super::orders::{COMMAND_WITHIN, unfit_refusal};
use super::session::{is_gone, refused};
use crate::adapter::{Output, Ticket};
use crate::wire_format::esl::{Command, Frame};

/// What stands in the variable while a segment is written.
const ON: &str = "on";
/// What stands in it afterwards.
const ENDED: &str = "ended";

/// A segment and how far its order has come.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) leg: LegId,
    recording: RecordingId,
    number: u16,
    /// The order to begin or to end it has left us.
    pub(super) sent: bool,
}

impl Segment {
    /// The name of its file, and of its variable.
    fn name(&self) -> String {
        names::recorded(self.recording, self.number)
    }
}

impl FreeSwitch {
    pub(super) fn record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        if self.life.legs.get(leg).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        }
        if self.life.folder.is_none() {
            let text = "the server has no folder for recordings: set recordings=/FOLDER";
            let said = Some(Said::new(None, text));
            return self.refuse(ticket, Refused { said, ..Refused::unsent(Why::Prerequisite) });
        }
        let segment = Segment { leg, recording, number, sent: false };
        self.running(ticket, Work::Record(segment), COMMAND_WITHIN);
        self.ask_recorder(ticket);
    }

    /// A segment ends with its leg: without the leg there is nothing to do.
    pub(super) fn stop_record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        if self.life.legs.get(leg).is_none() {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        let segment = Segment { leg, recording, number, sent: false };
        self.running(ticket, Work::StopRecord(segment), COMMAND_WITHIN);
        self.ask_recorder(ticket);
    }

    /// The leg's name and the segment's of an order.
    fn segment(&self, ticket: Ticket) -> Option<(String, String, bool)> {
        let running = self.life.orders.get(&ticket)?;
        let (Work::Record(segment) | Work::StopRecord(segment)) = &running.work else { return None };
        let stops = matches!(running.work, Work::StopRecord(_));
        Some((self.channel(segment.leg)?, segment.name(), stops))
    }

    /// The file of a segment.
    pub(super) fn file(&self, name: &str) -> Option<String> {
        Some(format!("{}/{name}.wav", self.life.folder.as_deref()?))
    }

    fn ask_recorder(&mut self, ticket: Ticket) {
        let Some((uuid, name, _)) = self.segment(ticket) else { return };
        let command = Command::api("uuid_getvar").word(uuid).word(variable(&name));
        if let Err(unfit) = self.ask(COMMANDS, command, Purpose::Recorder(ticket)) {
            self.refuse(ticket, unfit_refusal(&unfit));
        }
    }

    pub(super) fn recorder(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let Some((uuid, _, stops)) = self.segment(ticket) else { return };
        if is_gone(frame) && stops {
            return self.finish(ticket, Ok(Done::Proven));
        }
        match (frame.said().as_str(), stops) {
            ("_undef_", false) => self.begin_recording(ticket),
            (ON, true) => self.end_recording(ticket),
            ("_undef_" | ENDED, true) => self.finish(ticket, Ok(Done::Proven)),
            (ENDED, false) => self.not_recorded(ticket, "the segment has ended already"),
            (ON, false) => {
                // written down before a kill of ours: is it written still?
                let command = Command::api("uuid_buglist").word(uuid);
                if let Err(unfit) = self.ask(COMMANDS, command, Purpose::Recorders(ticket)) {
                    self.refuse(ticket, unfit_refusal(&unfit));
                }
            }
            _ => self.finish(ticket, Err(refused(frame))),
        }
    }

    /// What writes along on the leg.
    pub(super) fn recorders(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let Some((_, name, _)) = self.segment(ticket) else { return };
        let target = format!("/{name}.wav<");
        if frame.body.windows(target.len()).any(|part| part == target.as_bytes()) {
            self.finish(ticket, Ok(Done::Proven));
        } else {
            self.not_recorded(ticket, "the server writes it no more");
        }
    }

    fn not_recorded(&mut self, ticket: Ticket, text: &str) {
        let said = Some(Said::new(None, text));
        let refused = Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(Why::Refused) };
        self.finish(ticket, Err(refused));
    }

    fn begin_recording(&mut self, ticket: Ticket) {
        self.send_recording(ticket, "start", ON);
    }

    fn end_recording(&mut self, ticket: Ticket) {
        self.send_recording(ticket, "stop", ENDED);
    }

    /// Begins or ends it, and writes that down in the same breath.
    fn send_recording(&mut self, ticket: Ticket, what: &'static str, mark: &'static str) {
        let Some((uuid, name, _)) = self.segment(ticket) else { return };
        let Some(file) = self.file(&name) else {
            return self.not_recorded(ticket, "the server has no folder for recordings");
        };
        let marked = Command::api("uuid_setvar").word(&uuid).word(variable(&name)).word(mark);
        self.quietly(marked);
        let command = Command::api("uuid_record").word(uuid).word(what).word(file);
        if let Err(unfit) = self.ask(COMMANDS, command, Purpose::Record(ticket)) {
            return self.refuse(ticket, unfit_refusal(&unfit));
        }
        if let Some(running) = self.life.orders.get_mut(&ticket)
            && let Work::Record(segment) | Work::StopRecord(segment) = &mut running.work
        {
            segment.sent = true;
        }
    }

    /// `uuid_record` was answered; done is it when the event says so.
    pub(super) fn record_answered(&mut self, ticket: Ticket, ok: bool, frame: &Frame<'_>) {
        let Some((uuid, name, stops)) = self.segment(ticket) else { return };
        if ok {
            return;
        }
        // it has ended by itself, or its leg has
        if stops && (is_gone(frame) || frame.said().starts_with("-ERR Cannot stop record session")) {
            return self.finish(ticket, Ok(Done::Proven));
        }
        if !stops {
            // nothing was begun: it may be begun later
            self.quietly(Command::api("uuid_setvar").word(uuid).word(variable(&name)));
        }
        self.finish(ticket, Err(refused(frame)));
    }

    /// The server has begun or ended a file on this leg.
    pub(super) fn recording_told(&mut self, leg: LegId, file: Option<&str>, begun: bool) {
        let Some(ticket) = self.life.busy.get(&leg).copied() else { return };
        let Some((_, name, stops)) = self.segment(ticket) else { return };
        let sent = self.life.orders.get(&ticket).is_some_and(|running| match &running.work {
            Work::Record(segment) | Work::StopRecord(segment) => segment.sent,
            _ => false,
        });
        let same = file.is_some_and(|file| file.ends_with(&format!("/{name}.wav")));
        if same && (stops != begun) && (sent || stops) {
            self.finish(ticket, Ok(Done::Proven));
        }
    }
}

/// The variable beside the leg.
fn variable(name: &str) -> String {
    name.replace('-', "_")
}
