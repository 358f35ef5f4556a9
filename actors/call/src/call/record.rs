//! The recording of a call: which leg carries it, and what happens when that leg ends.
//!
//! A recording belongs to the call, but every server ties it to a leg. So it has parts: when the leg that carries it
//! ends and the call goes on, another leg carries the next part. Orders are given beside the one that shapes the call,
//! and every one of them is a success when it is so already; after a lost connection they are simply given again.

use serde::{Deserialize, Serialize};

use crate::call::verb::Checked;
use crate::call::{
    Accepted, Call, Effect, Goal, LegId, Nanos, Notice, Order, OrderNumber, Outcome, PAUSE, VerbKind,
};
use crate::id::RecordingId;
use crate::order::Refused;

/// How often a refused order is given before the recording is closed with what it has.
const TRIES_MAX: u8 = 3;

/// A recording that is being made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recording {
    id: RecordingId,
    /// The leg that carries the last part.
    leg: Option<LegId>,
    /// Parts begun.
    segments: u16,
    /// It is to end.
    stopping: bool,
    /// Its beginning was told.
    announced: bool,
    /// The server has confirmed the last part.
    #[serde(skip)]
    proven: bool,
    /// The order under way, and whether it ends the part.
    #[serde(skip)]
    order: Option<(u64, bool)>,
    #[serde(skip)]
    refusals: u8,
    #[serde(skip)]
    again: Option<Nanos>,
}

impl Recording {
    /// One that begins as soon as the parties talk.
    #[must_use]
    pub const fn new(id: RecordingId) -> Self {
        Self {
            id,
            leg: None,
            segments: 0,
            stopping: false,
            announced: false,
            proven: false,
            order: None,
            refusals: 0,
            again: None,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> RecordingId {
        self.id
    }

    /// Parts begun so far.
    #[must_use]
    pub const fn segments(&self) -> u16 {
        self.segments
    }

    /// Without what is only true of this life of ours.
    pub(super) fn to_store(&self) -> Self {
        Self { proven: false, order: None, refusals: 0, again: None, ..self.clone() }
    }

    pub(super) const fn due(&self) -> Option<Nanos> {
        self.again
    }

    pub(super) fn awaits(&self, number: OrderNumber) -> bool {
        self.order.is_some_and(|(given, _)| given == number.0)
    }
}

impl Call {
    // --- verbs ---

    pub(super) fn record(&mut self, recording: RecordingId) -> Checked {
        let need = "a recording needs a call that goes on";
        if self.goal == Goal::End {
            return Err(self.wrong_state(need));
        }
        match &self.recording {
            Some(running) if running.id == recording => Ok(Accepted::AlreadySo),
            Some(_) => Err(crate::call::NotNow::Busy("another recording")),
            None => {
                self.recording = Some(Recording::new(recording));
                Ok(Accepted::Underway)
            }
        }
    }

    pub(super) fn stop_record(&mut self) -> Checked {
        match &mut self.recording {
            Some(recording) => {
                let already = std::mem::replace(&mut recording.stopping, true);
                Ok(if already { Accepted::AlreadySo } else { Accepted::Underway })
            }
            None => Err(self.wrong_state("no recording is being made")),
        }
    }

    // --- orders ---

    pub(super) fn settle_recording(&mut self, now: Nanos) {
        let ready = self.connected && self.goal != Goal::End;
        let Some(recording) = self.recording.take_if(|_| ready) else { return };
        let recording = self.carry_on(recording, now);
        self.recording = recording;
    }

    /// Gives the order that is due, if one is; `None` when the recording is over.
    fn carry_on(&mut self, mut recording: Recording, now: Nanos) -> Option<Recording> {
        if recording.order.is_some() || recording.again.is_some_and(|again| again > now) {
            return Some(recording);
        }
        recording.again = None;
        let carrier = recording.leg.filter(|leg| self.is_up(*leg));
        let order = match carrier {
            Some(leg) if recording.stopping => {
                Order::StopRecord { leg, recording: recording.id, segment: recording.segments - 1 }
            }
            None if recording.stopping => {
                self.recording_over(&recording);
                return None;
            }
            Some(_) if recording.proven => return Some(recording),
            Some(leg) => Order::Record { leg, recording: recording.id, segment: recording.segments - 1 },
            None => {
                let Some(leg) = self.next_carrier() else { return Some(recording) };
                (recording.leg, recording.proven) = (Some(leg), false);
                recording.segments += 1;
                Order::Record { leg, recording: recording.id, segment: recording.segments - 1 }
            }
        };
        let number = self.number();
        recording.order = Some((number.0, matches!(order, Order::StopRecord { .. })));
        self.effects.push_back(Effect::Order(number, order));
        Some(recording)
    }

    /// The first party that has answered, once there was a talk.
    fn next_carrier(&self) -> Option<LegId> {
        let wanted = self.goal.legs();
        let mut up: Vec<_> =
            self.legs.iter().filter(|leg| wanted.contains(&leg.id) && self.is_up(leg.id)).collect();
        up.sort_by_key(|leg| leg.role);
        up.first().filter(|_| self.talked).map(|leg| leg.id)
    }

    fn recording_over(&mut self, recording: &Recording) {
        self.notice(Notice::RecordingStopped { recording: recording.id, segments: recording.segments });
    }

    /// The call is over, and with it the recording: every leg that carried a part has ended.
    pub(super) fn close_recording(&mut self) {
        if let Some(recording) = self.recording.take() {
            self.recording_over(&recording);
        }
    }

    // --- what comes back ---

    pub(super) fn recording_outcome(&mut self, outcome: Outcome, now: Nanos) {
        let Some(mut recording) = self.recording.take() else { return };
        let ended = recording.order.take().is_some_and(|(_, ends)| ends);
        let refused = match outcome {
            Ok(_) if ended => return self.recording_over(&recording),
            Ok(_) => {
                (recording.refusals, recording.proven) = (0, true);
                if !std::mem::replace(&mut recording.announced, true) {
                    self.notice(Notice::RecordingStarted { recording: recording.id });
                }
                self.recording = Some(recording);
                return;
            }
            Err(refused) => refused,
        };
        if !refused.is_of_the_link() {
            recording.refusals += 1;
            recording.again = Some(now + PAUSE);
        }
        if recording.refusals < TRIES_MAX {
            self.recording = Some(recording);
        } else {
            self.recording_failed(recording, &refused);
        }
    }

    /// The server does not do it. A part that cannot be stopped ends with its leg; one that never began is not counted.
    fn recording_failed(&mut self, mut recording: Recording, refused: &Refused) {
        let verb = if recording.stopping { VerbKind::StopRecord } else { VerbKind::Record };
        self.verb_failed(verb, refused);
        if !recording.proven {
            recording.segments -= 1;
        }
        self.recording_over(&recording);
    }

    /// Its leg is gone, and with it the part: another leg carries the next one.
    pub(super) fn recording_leg_gone(&mut self, id: LegId) {
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.leg == Some(id)) {
            recording.leg = None;
            recording.order = None; // whatever comes of it is about a part that is over
        }
    }

    /// The list was read, after a lost connection or from time to time: whether the last part is being written is asked
    /// again. An order under way is answered whatever happens, and waited for.
    pub(super) fn recording_unsure(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.proven = false;
        }
    }

    pub(super) fn recording_tick(&mut self, now: Nanos) {
        if let Some(recording) = &mut self.recording {
            recording.again = recording.again.filter(|again| *again > now);
        }
    }
}
