//! Recordings of the calls of one server: begun by a call, fetched part by part when they are over.
//!
//! One part is on its way at a time, so that a fetch never crowds out a call. What cannot be fetched now is tried
//! again when the links are back; what the server says it has not is left out.

use std::sync::PoisonError;
use std::time::Duration;

use ifbus_adapters::adapter::Ticket;
use ifbus_call::call::Recording;
use ifbus_call::{CallId, Nanos, Order, Outcome, RecordingId, Verb, Why};
use ifbus_supervision::World;
use rand::RngExt;

use super::{Act, Purpose, RecordCall, Server, at};
use crate::archive::{Kept, Part};
use crate::control::Acted;
use crate::journal::Fact;
use crate::problem::{Code, Problem};
use crate::store::Change;
use crate::view::{RecordingStatus, RecordingView};

/// How often a part is asked for before the recording is given up.
const TRIES_MAX: u8 = 5;
/// The pause before it is asked for again.
const PAUSE: Duration = Duration::from_secs(2);

/// A recording that is over and on its way to us.
#[derive(Debug)]
pub(super) struct Fetching {
    recording: RecordingId,
    segments: u16,
    /// The part that is fetched next.
    next: u16,
    /// Parts that are here, whole.
    got: Vec<u16>,
    tries: u8,
    after: Nanos,
    /// The order is under way, or the archive is at work.
    busy: bool,
}

/// The archive has kept a recording, or cannot.
pub(super) struct Archived {
    recording: RecordingId,
    kept: Result<Kept, String>,
}

impl Server {
    // --- from the outside ---

    pub(super) fn record(
        &mut self,
        RecordCall(call): RecordCall,
        world: &mut World<Self>,
    ) -> Result<RecordingView, Problem> {
        let now = world.now();
        let id = RecordingId::new(self.shared.clock.unix_ms(now), world.rng().random());
        self.announce(id, call, now);
        let verb = Verb::Record { recording: id };
        match self.act(Act { call, verb }, world) {
            Ok(Acted { .. }) => self.recording_shown(id),
            Err(problem) => {
                self.change_recording(id, |view| {
                    (view.status, view.why) = (RecordingStatus::Failed, Some(problem.detail.clone()));
                });
                Err(problem)
            }
        }
    }

    /// A recording that was asked for is shown and written down before anything is ordered for it.
    pub(super) fn announce(&self, id: RecordingId, call: CallId, now: Duration) {
        self.keep_recording(RecordingView {
            id,
            object: "recording".to_owned(),
            call,
            server: self.spec.name.clone(),
            status: RecordingStatus::Recording,
            segments: 0,
            created_at: self.shared.clock.at(now),
            stopped_at: None,
            bytes: None,
            seconds: None,
            sha256: None,
            why: None,
        });
    }

    fn recording_shown(&self, id: RecordingId) -> Result<RecordingView, Problem> {
        let view = self.shared.board.recording(id);
        let missing = || Problem::new(Code::UnknownRecording, format!("no recording has the id {id}"));
        view.map(|view| view.as_ref().clone()).ok_or_else(missing)
    }

    fn keep_recording(&self, view: RecordingView) {
        self.shared.store.note(Change::Recording(Box::new(view.clone())));
        self.shared.board.show_recording(view);
    }

    pub(super) fn change_recording(&self, id: RecordingId, change: impl FnOnce(&mut RecordingView)) {
        if let Some(view) = self.shared.board.recording(id) {
            let mut view = view.as_ref().clone();
            change(&mut view);
            self.keep_recording(view);
        }
    }

    // --- what calls tell ---

    /// The recording is over: its parts are fetched.
    pub(super) fn recording_over(&mut self, id: RecordingId, segments: u16, now: Duration) {
        let time = self.shared.clock.at(now);
        self.change_recording(id, |view| {
            view.segments = segments;
            view.status = RecordingStatus::Stopping;
            view.stopped_at = Some(time);
        });
        self.fetch_recording(id, segments);
    }

    /// After a death of ours: recordings that are over are fetched, those whose call is gone are over.
    pub(super) fn take_up_recordings(&mut self, now: Duration) {
        let mine = |view: &RecordingView| view.server == self.spec.name && !view.status.is_terminal();
        let recordings: Vec<_> =
            self.shared.board.recordings().into_iter().filter(|view| mine(view)).collect();
        for view in recordings {
            let known = self.fetches.iter().any(|fetching| fetching.recording == view.id);
            let running = self.calls.get(&view.call).and_then(|entry| entry.call.recording()).map(|r| r.id());
            if !known && running != Some(view.id) {
                let segments = view.segments.max(self.segments_written(view.call));
                self.recording_over(view.id, segments, now);
            }
        }
    }

    /// Parts that were written down of a call before we were killed: the view may be older.
    fn segments_written(&self, call: CallId) -> u16 {
        let stored = self.memory.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(&call).and_then(|stored| stored.recording.as_ref()).map_or(0, Recording::segments)
    }

    fn fetch_recording(&mut self, recording: RecordingId, segments: u16) {
        let fetching = Fetching {
            recording,
            segments,
            next: 0,
            got: Vec::new(),
            tries: 0,
            after: Nanos::ZERO,
            busy: false,
        };
        self.fetches.push_back(fetching);
    }

    // --- fetching ---

    /// When the next part is asked for, if nothing is under way.
    pub(super) fn fetch_due(&self) -> Option<Nanos> {
        let ready = self.condition.takes_calls();
        self.fetches.front().filter(|fetching| ready && !fetching.busy).map(|fetching| fetching.after)
    }

    /// Asks for the next part, or hands the whole to the archive.
    pub(super) fn fetch_on(&mut self, world: &World<Self>) {
        let now = at(world);
        if self.fetch_due().is_none_or(|due| due > now) {
            return;
        }
        let Some(fetching) = self.fetches.front_mut() else { return };
        fetching.busy = true;
        let (recording, segment) = (fetching.recording, fetching.next);
        if segment < fetching.segments {
            self.shared.archive.begin(Part { recording, segment });
            self.give(Order::Fetch { recording, segment }, Purpose::Fetch(recording, segment), now);
        } else if fetching.got.is_empty() {
            self.recording_failed(recording, "the server has no part of it".to_owned(), now);
        } else {
            let me = world.me().clone();
            let done = Box::new(move |kept| me.tell(Archived { recording, kept }));
            self.shared.archive.finish(recording, fetching.got.clone(), done);
        }
    }

    pub(super) fn chunk(&self, ticket: Ticket, bytes: Vec<u8>) {
        if let Some(Purpose::Fetch(recording, segment)) = self.tickets.get(&ticket).map(|open| &open.purpose)
        {
            self.shared.archive.append(Part { recording: *recording, segment: *segment }, bytes);
        }
    }

    pub(super) fn fetched(&mut self, recording: RecordingId, segment: u16, outcome: Outcome, now: Nanos) {
        let Some(fetching) = self.fetches.front_mut().filter(|fetching| fetching.recording == recording)
        else {
            return;
        };
        fetching.busy = false;
        let refused = match outcome {
            Ok(_) => {
                fetching.got.push(segment);
                (fetching.next, fetching.tries) = (segment + 1, 0);
                return;
            }
            Err(refused) => refused,
        };
        if refused.is_of_the_link() {
            return; // asked for again from its beginning when the links are back
        }
        let has_not = refused.why == Why::Refused && refused.is_certain();
        if has_not {
            // the leg was gone before the part began
            (fetching.next, fetching.tries) = (segment + 1, 0);
            return;
        }
        fetching.tries += 1;
        fetching.after = now + PAUSE;
        let give_up = fetching.tries >= TRIES_MAX || refused.why == Why::Prerequisite;
        let why = refused.to_string();
        if give_up {
            self.recording_failed(recording, why, now);
        } else {
            self.change_recording(recording, |view| view.why = Some(why));
        }
    }

    pub(super) fn archived(&mut self, archived: Archived, now: Nanos) {
        let recording = archived.recording;
        match archived.kept {
            Ok(kept) => {
                self.fetches.retain(|fetching| fetching.recording != recording);
                let text = format!("{recording} is stored, {:.1} s", kept.seconds);
                self.change_recording(recording, |view| {
                    view.status = RecordingStatus::Stored;
                    (view.bytes, view.seconds) = (Some(kept.bytes), Some(kept.seconds));
                    (view.sha256, view.why) = (Some(kept.sha256), None);
                });
                self.tell_of_recording(recording, "recording.stored", text, now);
            }
            Err(why) => self.recording_failed(recording, why, now),
        }
    }

    fn recording_failed(&mut self, recording: RecordingId, why: String, now: Nanos) {
        self.fetches.retain(|fetching| fetching.recording != recording);
        let text = format!("{recording} cannot be stored: {why}");
        self.change_recording(recording, |view| {
            (view.status, view.why) = (RecordingStatus::Failed, Some(why));
        });
        self.tell_of_recording(recording, "recording.failed", text, now);
    }

    fn tell_of_recording(&self, recording: RecordingId, kind: &str, text: String, now: Nanos) {
        let mut fact = Fact::new(kind, self.shared.clock.at(now.since_start()), text);
        fact.server = Some(self.spec.name.clone());
        fact.call = self.shared.board.recording(recording).map(|view| view.call);
        self.shared.journal.append(fact);
    }
}
