//! A recording of a leg, begun and ended: two files on the server, what the leg says and what it hears.
//!
//! It survives joins and places, so it needs no re-arming, unlike a recording of a room (sheet, section 14). That a
//! segment is being written stands in the leg's tag: to begin it again would empty its files. The files: `fetch.rs`.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{LegId, RecordingId, Refused, Said, Why};

use super::flight::{Step, Timer, Work};
use super::machine::{Request, Yate};
use super::names;
use super::orders::COMMAND_WITHIN;
use crate::adapter::{HttpReply, LinkError, Output, Ticket};

/// The engine makes the file within milliseconds of its `true`, which it also says when it cannot.
const BEGUN_WITHIN: Duration = Duration::from_secs(2);

/// From one look for the file to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Yate {
    pub(super) fn record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        let segment = names::segment(recording, number);
        let Some(known) = self.life.legs.get(leg).filter(|known| known.native.is_some()) else {
            return self.refuse(ticket, Refused::unsent(Why::NoSuchLeg));
        };
        if known.segment.as_ref() == Some(&segment) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        let mut steps = vec![Step::Recorder(leg, Some(segment.clone()))];
        if self.options.files.is_some() {
            steps.push(Step::Begun(segment.clone()));
        }
        let work = Work::Record { leg, segment, began: self.now };
        self.running(ticket, work, steps, COMMAND_WITHIN);
        self.go_on(ticket);
    }

    /// A recorder ends with its leg: without the leg there is nothing to do.
    pub(super) fn stop_record(&mut self, ticket: Ticket, leg: LegId, recording: RecordingId, number: u16) {
        let segment = names::segment(recording, number);
        let written = self.life.legs.get(leg).and_then(|known| known.segment.as_ref());
        if written != Some(&segment) {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Proven)));
        }
        self.running(ticket, Work::StopRecord { leg }, [Step::Recorder(leg, None)], COMMAND_WITHIN);
        self.go_on(ticket);
    }

    pub(super) fn recorder_set(&mut self, leg: LegId, segment: Option<String>) {
        self.note(leg, names::RECORD, segment.as_deref().unwrap_or("-"));
        if let Some(known) = self.life.legs.get_mut(leg) {
            known.segment = segment;
        }
    }

    /// The engine says `true` also for a folder it cannot write to: only the file proves it.
    pub(super) fn ask_begun(&mut self, ticket: Ticket, segment: &str) {
        let [says, _] = names::files(segment);
        if let Some(request) = self.file_request(&says) {
            self.request(Request::Begun(ticket), request);
        }
    }

    pub(super) fn begun(&mut self, ticket: Ticket, result: &Result<HttpReply, LinkError>) {
        let now = self.now;
        let Some(Work::Record { leg, began, .. }) = self.work(ticket) else { return };
        let (leg, late) = (*leg, now.since(*began) >= BEGUN_WITHIN);
        match result {
            Ok(HttpReply { status: 404, .. }) if !late => {
                self.life.timers.arm(Timer::Refetch(ticket), now + LOOK_AGAIN);
            }
            Ok(HttpReply { status: 404, .. }) => {
                self.recorder_set(leg, None);
                let text = format!("no file was made: may Yate write to {}?", self.options.recordings);
                let said = Some(Said::new(None, &text));
                let refused =
                    Refused { evidence: Evidence::NotDone, said, ..Refused::unsent(Why::Prerequisite) };
                self.finish(ticket, Err(refused));
            }
            // it is there, or the file server cannot say, which `Fetch` will tell
            _ => self.finish(ticket, Ok(Done::Proven)),
        }
    }
}
