//! The server's own list of dialogs, and what it teaches.
//!
//! A dialog is ours if the agent knows its Call-ID, which nobody else can guess; what a caller writes into his headers
//! makes it no leg of ours. One whose name this installation gave and that belongs to nobody is left over from a life
//! that was not written down.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Boot, Interface, LegId, Seen, Stage as Progress};

use super::flight::Purpose;
use super::machine::{Kamailio, Phase};
use super::orders::refused;
use super::rpc::{Answer, LIST_WITHIN, Method, Trouble};
use super::shapes::{Anything, Listed, Stage};
use crate::adapter::{DownReason, LinkError, Ticket};
use crate::names;

/// The longest text that is shown of what a caller wrote.
const SHOWN_MAX: usize = 120;

/// A dialog that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) call_id: String,
    pub(super) from_tag: String,
}

impl Kamailio {
    /// Dialogs of others that can be ended by name.
    pub(crate) fn foreign_legs(&self) -> impl Iterator<Item = LegId> + '_ {
        self.life.foreign.keys().copied()
    }

    pub(super) fn list_for(&mut self, ticket: Ticket) {
        if self.has(Method::List.name()) {
            self.ask_plain(Method::List, Purpose::List(Some(ticket)));
        } else {
            let seen = self.calls.agent().seen();
            self.finish(ticket, Ok(Done::Listed(seen)));
        }
    }

    pub(super) fn listed(&mut self, ticket: Option<Ticket>, answer: &Answer) {
        let listed = match answer.read::<Vec<Listed>>() {
            Ok(listed) => listed,
            Err(trouble) => return self.not_listed(ticket, &trouble),
        };
        let ours: BTreeSet<String> = self.calls.agent().seen().into_iter().map(|seen| seen.native).collect();
        let live = listed.iter().filter(|listed| !matches!(listed.stage(), None | Some(Stage::Over)));
        let live: Vec<&Listed> = live.collect();
        let first = self.phase == Phase::Rising;
        self.life.foreign.clear();
        let mut seen = self.calls.agent().seen();
        for listed in live.iter().filter(|listed| !ours.contains(&listed.call_id)) {
            let leg = self.foreign_leg(listed);
            if first && self.calls.agent().is_of_this_instance(&listed.call_id) {
                self.end_orphan(leg, listed);
                continue;
            }
            let from_tag = listed.caller_tag().to_owned();
            self.life.foreign.insert(leg, Foreign { call_id: listed.call_id.clone(), from_tag });
            seen.push(self.foreign_seen(leg, listed));
        }
        let known: BTreeSet<&str> = live.iter().map(|listed| listed.call_id.as_str()).collect();
        for call_id in ours.iter().filter(|call_id| !known.contains(call_id.as_str())) {
            self.calls.doubt(call_id, self.now);
        }
        match ticket {
            Some(ticket) => self.finish(ticket, Ok(Done::Listed(seen))),
            None => self.ready(seen),
        }
    }

    fn not_listed(&mut self, ticket: Option<Ticket>, trouble: &Trouble) {
        match (ticket, trouble) {
            (Some(ticket), _) => self.finish(ticket, Err(refused(trouble))),
            (None, Trouble::Link(LinkError::TimedOut)) => {
                self.down(Interface::Management, DownReason::Silent(LIST_WITHIN));
            }
            (None, Trouble::Link(error)) => {
                self.down(Interface::Management, DownReason::Lost(error.clone()));
            }
            (None, Trouble::Said(said)) => {
                self.down(Interface::Management, DownReason::Protocol(said.to_string()));
            }
        }
    }

    fn foreign_leg(&self, listed: &Listed) -> LegId {
        let native = format!("{}\n{}", listed.call_id, listed.caller_tag());
        names::foreign(&self.server, &Boot(String::new()), native.as_bytes())
    }

    fn foreign_seen(&self, leg: LegId, listed: &Listed) -> Seen {
        Seen {
            leg,
            tag: None,
            native: shown(&listed.call_id),
            stage: match (listed.stage(), listed.state) {
                (Some(Stage::Early), 1) => Progress::Dialing,
                (Some(Stage::Early), _) => Progress::Ringing,
                _ => Progress::Up,
            },
            partners: Vec::new(),
            conference: None,
            moved: None,
            hears_music: false,
            party: format!("{} to {}", user(&listed.from_uri), user(&listed.to_uri)),
            // before the answer it counts from somewhere else (sheet, section 3)
            age: Duration::from_secs(if listed.state == 4 { listed.duration } else { 0 }),
        }
    }

    // ---- left over -------------------------------------------------------------------------------------------------

    fn end_orphan(&mut self, leg: LegId, listed: &Listed) {
        let Some(stage) = listed.stage() else { return };
        let call = shown(&listed.call_id);
        // whatever is unfit to be said stays where it is
        if self.say_end(stage, listed, Purpose::Orphan(leg)).is_ok() {
            let text = format!("{call} was a call of ours that nothing is known of any more: it is ended");
            self.warn("orphan", text);
        }
    }

    pub(super) fn orphan_told(&mut self, leg: LegId, answer: &Answer) {
        if let Err(trouble) = answer.read::<Anything>() {
            self.warn("orphan", format!("{leg} could not be ended: {trouble}"));
        }
    }
}

/// What somebody wrote, as it can be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

/// The user part of a URI, or all of it.
fn user(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    shown(rest.split('@').next().unwrap_or(rest))
}
