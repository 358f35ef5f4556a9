//! Snapshots for whoever looks: the newest view of every call and server, read without asking an actor.
//!
//! Actors write, everybody reads; a view is a whole value and never half new. Decisions are not made from here, with one
//! exception: a server's actor that is born again finds here which calls it had.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use ifbus_call::order::Direction;
use ifbus_call::{CallId, ConferenceId, RecordingId, ServerName};

use crate::conference::Room;
use crate::view::{CallView, ConferenceView, ForeignView, LegView, MemberView, RecordingView, ServerView};

/// How many ended calls are kept for questions; older ones are forgotten.
pub const ENDED_MAX: usize = 10_000;

/// The newest views.
#[derive(Debug, Default)]
pub struct Board {
    calls: DashMap<CallId, Arc<CallView>>,
    servers: DashMap<ServerName, Arc<ServerView>>,
    foreign: DashMap<ServerName, Arc<Vec<ForeignView>>>,
    recordings: DashMap<RecordingId, Arc<RecordingView>>,
    rooms: DashMap<ConferenceId, Room>,
    ended: Mutex<VecDeque<CallId>>,
}

/// What an ending of a call id matched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// One call.
    One(CallId),
    /// None.
    Nothing,
    /// Several: these are some of them.
    Several(Vec<CallId>),
}

impl Board {
    /// The call with this id.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<Arc<CallView>> {
        self.calls.get(&id).map(|view| Arc::clone(&view))
    }

    /// Every call, newest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<CallView>> {
        let mut calls: Vec<_> = self.calls.iter().map(|entry| Arc::clone(entry.value())).collect();
        calls.sort_by_key(|view| std::cmp::Reverse(view.id));
        calls
    }

    /// The call whose id is this text or ends with it, in any case. Living calls win over ended ones.
    #[must_use]
    pub fn find_call(&self, ending: &str) -> Match {
        if let Ok(id) = ending.parse() {
            return if self.calls.contains_key(&id) { Match::One(id) } else { Match::Nothing };
        }
        let ending = ending.to_ascii_uppercase();
        if ending.is_empty() || ending.len() > 26 {
            return Match::Nothing;
        }
        let matching: Vec<_> =
            self.calls().into_iter().filter(|view| view.id.to_string().ends_with(&ending)).collect();
        let living: Vec<_> = matching.iter().filter(|view| !view.status.is_terminal()).cloned().collect();
        let among = if living.is_empty() { matching } else { living };
        match among[..] {
            [] => Match::Nothing,
            [ref only] => Match::One(only.id),
            ref several => Match::Several(several.iter().take(10).map(|view| view.id).collect()),
        }
    }

    /// The server with this name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<Arc<ServerView>> {
        self.servers.get(name).map(|view| Arc::clone(&view))
    }

    /// Every server, by name.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<ServerView>> {
        let mut servers: Vec<_> = self.servers.iter().map(|entry| Arc::clone(entry.value())).collect();
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        servers
    }

    /// Legs on servers that are not ours, as last listed.
    #[must_use]
    pub fn foreign(&self) -> Vec<ForeignView> {
        let mut legs: Vec<_> = self.foreign.iter().flat_map(|entry| entry.value().to_vec()).collect();
        legs.sort_by(|a, b| (&a.server, &a.native).cmp(&(&b.server, &b.native)));
        legs
    }

    /// The recording with this id.
    #[must_use]
    pub fn recording(&self, id: RecordingId) -> Option<Arc<RecordingView>> {
        self.recordings.get(&id).map(|view| Arc::clone(&view))
    }

    /// Every recording, newest first.
    #[must_use]
    pub fn recordings(&self) -> Vec<Arc<RecordingView>> {
        let mut recordings: Vec<_> = self.recordings.iter().map(|entry| Arc::clone(entry.value())).collect();
        recordings.sort_by_key(|view| std::cmp::Reverse(view.id));
        recordings
    }

    /// The conference with this id, with its members of now.
    #[must_use]
    pub fn conference(&self, id: &ConferenceId) -> Option<ConferenceView> {
        let room = self.rooms.get(id)?.clone();
        Some(self.with_members(&room))
    }

    /// Every conference, by name.
    #[must_use]
    pub fn conferences(&self) -> Vec<ConferenceView> {
        let mut rooms: Vec<Room> = self.rooms.iter().map(|entry| entry.value().clone()).collect();
        rooms.sort_by(|a, b| a.id.cmp(&b.id));
        rooms.iter().map(|room| self.with_members(room)).collect()
    }

    fn with_members(&self, room: &Room) -> ConferenceView {
        let mut calls = self.calls();
        calls.retain(|call| call.conference.as_ref() == Some(&room.id) && !call.status.is_terminal());
        calls.reverse();
        let members = calls.iter().flat_map(|call| call.legs.iter().map(|leg| member(call.id, leg)));
        let foreign = self
            .foreign
            .get(&room.server)
            .map_or(0, |legs| legs.iter().filter(|leg| leg.conference.as_ref() == Some(&room.id)).count());
        ConferenceView {
            id: room.id.clone(),
            object: "conference".to_owned(),
            server: room.server.clone(),
            created_at: room.created_at,
            members: members.collect(),
            foreign: u32::try_from(foreign).unwrap_or(u32::MAX),
        }
    }

    /// Shows a recording.
    pub fn show_recording(&self, view: RecordingView) {
        self.recordings.insert(view.id, Arc::new(view));
    }

    /// Shows a conference.
    pub fn show_room(&self, room: Room) {
        self.rooms.insert(room.id.clone(), room);
    }

    /// Forgets a conference that is over.
    pub fn forget_room(&self, id: &ConferenceId) {
        self.rooms.remove(id);
    }

    /// Shows a call. The oldest ended calls beyond [`ENDED_MAX`] are forgotten.
    pub fn show_call(&self, view: CallView) {
        let (id, over) = (view.id, view.status.is_terminal());
        self.calls.insert(id, Arc::new(view));
        if over {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push_back(id);
            if ended.len() > ENDED_MAX
                && let Some(oldest) = ended.pop_front()
            {
                self.calls.remove(&oldest);
            }
        }
    }

    /// Shows a server.
    pub fn show_server(&self, view: ServerView) {
        self.servers.insert(view.name.clone(), Arc::new(view));
    }

    /// Shows the legs on a server that are not ours.
    pub fn show_foreign(&self, server: &ServerName, legs: Vec<ForeignView>) {
        self.foreign.insert(server.clone(), Arc::new(legs));
    }

    /// Forgets a server that was removed.
    pub fn forget_server(&self, name: &ServerName) {
        self.servers.remove(name);
        self.foreign.remove(name);
    }
}

fn member(call: CallId, leg: &LegView) -> MemberView {
    MemberView {
        id: format!("{call}.{}", leg.role.letter()),
        call,
        role: leg.role,
        party: leg.party.clone(),
        stage: leg.stage.clone(),
        inside: leg.in_conference,
        muted: leg.muted.contains(&Direction::In),
    }
}
