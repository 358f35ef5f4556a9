//! What the server's own list means for our calls: after a reconnect, after a death of ours, and from time to time.
//!
//! Nothing is taken for true that the list does not say. A call of ours that is not in it is over; a leg of ours
//! without a call is ended; a leg without our tag is foreign and left alone.

use std::collections::BTreeMap;

use ifbus_adapters::adapter::Ready;
use ifbus_call::call::Input as CallInput;
use ifbus_call::{By, Call, CallId, Cause, LegId, Nanos, Said, Seen, Stage};
use ifbus_supervision::World;
use rand::RngExt;

use super::calls::Entry;
use super::{Server, at, report};
use crate::view::{EndView, ForeignView};

/// What came of a look at the list.
#[derive(Default)]
pub(super) struct Tally {
    adopted: usize,
    ended: usize,
}

impl Server {
    /// The links are ready: the calls are compared with the list, then orders are taken.
    pub(super) fn ready(&mut self, ready: Ready, world: &mut World<Self>) {
        let now = at(world);
        let last_boot = {
            let mut boot = self.memory.boot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            boot.replace(ready.boot.clone())
        };
        let rebooted = last_boot.is_some_and(|last| last != ready.boot);
        self.version = Some(ready.version);
        self.begin_good_life(now);
        let foreign = ready.seen.iter().filter(|seen| seen.tag.is_none()).count();
        let tally = self.reconcile(ready.seen, now, rebooted, world);
        self.shared.meter.link_connected(&self.spec.name, self.condition.last_end());
        let counts = [tally.adopted, tally.ended, foreign].map(|count| count as u64);
        let took = self.condition.since_begin(now);
        self.shared.meter.adopted(&self.spec.name, counts[0], counts[1], counts[2], took);
        let mut text =
            format!("epoch {}: {} calls adopted, {} had ended", self.epoch.0, tally.adopted, tally.ended);
        if rebooted {
            text.push_str(", the server was started anew");
        }
        if foreign > 0 {
            text.push_str(&format!(", {foreign} foreign legs left alone"));
        }
        tracing::info!(server = %self.spec.name, epoch = self.epoch.0, adopted = tally.adopted, ended = tally.ended, "server up");
        self.say("server.up", text, now);
    }

    /// Puts our facts right with a list that was asked for at `asked`.
    pub(super) fn reconcile(
        &mut self,
        seen: Vec<Seen>,
        asked: Nanos,
        rebooted: bool,
        world: &mut World<Self>,
    ) -> Tally {
        let now = at(world);
        let mut tally = Tally::default();
        self.show_foreign(&seen);
        let mut by_call: BTreeMap<CallId, Vec<Seen>> = BTreeMap::new();
        for leg in seen {
            if let Some(tag) = &leg.tag {
                by_call.entry(tag.call).or_default().push(leg);
            }
        }
        let known: Vec<CallId> = self.calls.keys().copied().collect();
        for id in known {
            let seen = by_call.remove(&id).unwrap_or_default();
            let found = !seen.is_empty();
            for leg in &seen {
                self.belongs(leg.leg, id);
            }
            self.input(id, CallInput::Listed { seen, asked, rebooted }, now);
            tally.adopted += usize::from(found);
            tally.ended += usize::from(!found);
        }
        for (id, seen) in by_call {
            if self.was_over(id) {
                // Its end was not confirmed, or it was closed while the server was away.
                for leg in seen.iter().filter(|leg| leg.age > now.since(asked)) {
                    self.end_orphan(leg.leg, now);
                }
            } else {
                self.adopt(id, &seen, world);
                tally.adopted += 1;
            }
        }
        tally.ended += self.close_lost(now);
        self.take_up_recordings(now.since_start());
        tally
    }

    /// Whether we know that the call is over.
    fn was_over(&self, id: CallId) -> bool {
        self.shown(id).is_some_and(|view| view.status.is_terminal())
    }

    /// A call of ours that we do not know: we were killed, or this actor was born again.
    fn adopt(&mut self, id: CallId, seen: &[Seen], world: &mut World<Self>) {
        let stored = {
            let mut stored = self.memory.stored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            stored.remove(&id).unwrap_or_default()
        };
        let fresh = LegId(world.rng().random());
        let Some(call) = Call::adopt(id, seen, stored.clone(), fresh, at(world)) else { return };
        let view = match self.shown(id) {
            Some(view) => view.as_ref().clone(),
            None => report::adopted_call(&call, &self.spec.name, self.shared.clock.at(world.now())),
        };
        self.enter(id, Entry::new(call, view, stored));
        for leg in seen {
            self.belongs(leg.leg, id);
        }
        let stage = seen.iter().map(|leg| leg.stage).max().unwrap_or(Stage::Dialing);
        let text =
            format!("found on {} with {} legs, {}", self.spec.name, seen.len(), report::stage(Some(stage)));
        self.tell(id, "call.adopted", text, world.now());
    }

    /// Calls that are shown on this server, that nobody holds and the server does not list: they ended unseen.
    fn close_lost(&mut self, now: Nanos) -> usize {
        let lost: Vec<_> = self
            .shared
            .board
            .calls()
            .into_iter()
            .filter(|view| view.server.as_ref() == Some(&self.spec.name) && !view.status.is_terminal())
            .filter(|view| !self.calls.contains_key(&view.id))
            .collect();
        for view in &lost {
            let ended = EndView {
                class: if view.answered_at.is_some() { Cause::Answered } else { Cause::ServerFailure },
                by: By::Unknown,
                role: None,
                server_said: Said::new(None, "ended while nobody was looking"),
            };
            report::close(&self.shared, view.as_ref().clone(), ended, now.since_start());
        }
        lost.len()
    }

    fn show_foreign(&mut self, seen: &[Seen]) {
        let foreign: Vec<ForeignView> = seen
            .iter()
            .filter(|seen| seen.tag.is_none())
            .map(|seen| ForeignView {
                id: seen.leg.to_string(),
                server: self.spec.name.clone(),
                native: seen.native.clone(),
                party: seen.party.clone(),
                stage: report::stage(Some(seen.stage)).to_owned(),
                conference: seen.conference.clone(),
            })
            .collect();
        self.foreign = u32::try_from(foreign.len()).unwrap_or(u32::MAX);
        if !self.memory.is_struck() {
            self.shared.board.show_foreign(&self.spec.name, foreign);
        }
    }
}
