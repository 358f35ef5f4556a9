//! A recording of a leg, begun and ended: `MixMonitor`, and a channel variable that holds the handle of its recorder.
//!
//! `Success` of `MixMonitor` says nothing; the variable does (sheet, section 5). It stays after the end, and the server
//! gives the same handle to the next recorder (seen on 16 and 22): so it is overwritten at the end, or a second stop of
//! one segment would end the next one. The files: `fetch.rs`.

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{LegId, RecordingId, Refused, Said, Why};

use super::flight::{Purpose, Work};
use super::machine::{Asterisk, COMMANDS};
use super::names;
use super::orders::{COMMAND_WITHIN, unfit_refusal};
use super::session::{is_gone, refused};
use crate::adapter::{Output, Ticket};
use crate::wire_format::ami::Message;

/// What stands in the variable of a segment that has ended.
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

/// What a segment's variable says.
enum Recorder {
    /// Nobody has recorded it.
    None,
    /// Its recorder; text of ours or of the server, checked.
    Handle(String),
    /// It has ended.
    Ended,
    /// Something that neither we nor `MixMonitor` has written.
    Junk,
}

impl Asterisk {
    pub(super) fn record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        if self.life.legs.get(leg).is_none() {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        }
        let segment = Segment { leg, recording, number, sent: false };
        self.running(ticket, Work::Record(segment), Vec::new(), COMMAND_WITHIN);
        self.ask_recorder(ticket);
    }

    /// A recorder ends with its leg: without the leg there is nothing to do.
    pub(super) fn stop_record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        if self.life.legs.get(leg).is_none() {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        let segment = Segment { leg, recording, number, sent: false };
        self.running(ticket, Work::StopRecord(segment), Vec::new(), COMMAND_WITHIN);
        self.ask_recorder(ticket);
    }

    /// The channel and the variable of a segment's order.
    fn segment(&self, ticket: Ticket) -> Option<(&Segment, String, String)> {
        let (Work::Record(segment) | Work::StopRecord(segment)) = &self.life.orders.get(&ticket)?.work else {
            return None;
        };
        let variable = names::recorder(segment.recording, segment.number);
        Some((segment, self.channel(segment.leg)?, variable))
    }

    fn ask_recorder(&mut self, ticket: Ticket) {
        let Some((_, channel, variable)) = self.segment(ticket) else { return };
        let (id, action) = self.action("Getvar");
        let action = action.with("Channel", channel).with("Variable", variable);
        match self.ask(COMMANDS, id, action, Purpose::Recorder(ticket)) {
            Ok(()) => self.waits_for(ticket, id),
            Err(unfit) => self.refuse(ticket, unfit_refusal(&unfit)),
        }
    }

    pub(super) fn recorder(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        let stops = matches!(running.work, Work::StopRecord(_));
        if !success {
            let outcome = if stops && is_gone(message) { Ok(Done::Proven) } else { Err(refused(message)) };
            return self.finish(ticket, outcome);
        }
        let begun = matches!(&running.work, Work::Record(segment) if segment.sent);
        match (recorder(message), stops) {
            (Recorder::Handle(handle), true) => self.end_recorder(ticket, &handle),
            (Recorder::None | Recorder::Ended, true) | (Recorder::Handle(_), false) => {
                self.finish(ticket, Ok(Done::Proven));
            }
            (Recorder::None, false) if !begun => self.begin_recorder(ticket),
            (Recorder::None, false) => self.not_recorded(ticket, "the server has begun no recorder"),
            (Recorder::Ended, false) => self.not_recorded(ticket, "the segment has ended already"),
            (Recorder::Junk, _) => {
                self.not_recorded(ticket, "the recorder's variable holds what nobody of us wrote");
            }
        }
    }

    fn not_recorded(&mut self, ticket: Ticket, text: &str) {
        let said = Some(Said::new(None, text));
        let refused = Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(Why::Refused) };
        self.finish(ticket, Err(refused));
    }

    fn begin_recorder(&mut self, ticket: Ticket) {
        let Some((segment, channel, variable)) = self.segment(ticket) else { return };
        let file = names::recorded(segment.recording, segment.number);
        let (id, action) = self.action("MixMonitor");
        let action = action
            .with("Channel", channel)
            // relative to the folder `monitor`
            .with("File", format_args!("{}{file}.wav", self.options.dialect.folder))
            .with("Options", format_args!("i({variable})"));
        self.send_recorder(ticket, id, action);
    }

    /// Ends the recorder and overwrites its handle in one go: nothing may come between the two.
    fn end_recorder(&mut self, ticket: Ticket, handle: &str) {
        let Some((_, channel, variable)) = self.segment(ticket) else { return };
        let (id, action) = self.action("StopMixMonitor");
        let action = action.with("Channel", &channel).with("MixMonitorID", handle);
        self.send_recorder(ticket, id, action);
        let (id, action) = self.action("Setvar");
        let action = action.with("Channel", channel).with("Variable", variable).with("Value", ENDED);
        if self.ask(COMMANDS, id, action, Purpose::Marked(ticket)).is_ok() {
            self.waits_for(ticket, id);
        }
    }

    fn send_recorder(&mut self, ticket: Ticket, id: u128, action: crate::wire_format::ami::Action) {
        if let Err(unfit) = self.ask(COMMANDS, id, action, Purpose::Command(ticket)) {
            return self.refuse(ticket, unfit_refusal(&unfit));
        }
        self.waits_for(ticket, id);
        if let Some(running) = self.life.orders.get_mut(&ticket)
            && let Work::Record(segment) | Work::StopRecord(segment) = &mut running.work
        {
            segment.sent = true;
        }
    }

    /// `MixMonitor` was answered: see what came of it.
    pub(super) fn recorder_begun(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        if success {
            self.ask_recorder(ticket);
        } else {
            self.finish(ticket, Err(refused(message)));
        }
    }

    /// `StopMixMonitor` was answered. A recorder that is not there any more has ended; the words are the same on 16
    /// and 22.
    pub(super) fn recorder_ended(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let over = success || is_gone(message) || super::session::said(message).text.starts_with(NO_RECORDER);
        match self.life.orders.get_mut(&ticket) {
            Some(running) if over => running.accepted = true,
            _ => self.finish(ticket, Err(refused(message))),
        }
    }

    /// The variable was overwritten, or its channel is gone with it: the answer to the stop came before.
    pub(super) fn recorder_marked(&mut self, ticket: Ticket) {
        if self.life.orders.get(&ticket).is_some_and(|running| running.accepted) {
            self.finish(ticket, Ok(Done::Proven));
        }
    }
}

/// What the server says when a handle names no recorder.
const NO_RECORDER: &str = "Could not stop monitoring channel";

/// Reads the one value of an answer.
fn recorder(message: &Message<'_>) -> Recorder {
    let mut values = message.all("Value");
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => return Recorder::Junk,
    };
    let handle = || {
        let digits = value.strip_prefix(b"0x")?;
        let sound = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        sound.then(|| String::from_utf8_lossy(value).into_owned())
    };
    match value {
        b"" => Recorder::None,
        _ if value == ENDED.as_bytes() => Recorder::Ended,
        _ => handle().map_or(Recorder::Junk, Recorder::Handle),
    }
}
