//! Conferences: a name and the server it is on; members are legs of calls.
//!
//! A room exists on the server from its first member to its last. The name outlives that, and a death of ours, until
//! somebody ends the conference.
//!
//! Not here: how a leg gets into a room (`ifbus_call::call`), conferences that span servers: they need a trunk between
//! them that this program does not know of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ifbus_call::{Address, CallId, ConferenceId, ServerName, Verb};
use ifbus_supervision::{Address as ActorAddress, Answer, Behavior, On, World};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::{Acted, Invitation, PlaceCall};
use crate::journal::Fact;
use crate::problem::{Code, Problem};
use crate::roster::Roster;
use crate::router::{Place, Router, choose, no_server};
use crate::server::{Act, ActFor, Shared};
use crate::store::Change;
use crate::view::{CallView, ConferenceView};

/// What is kept of a conference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Its id.
    pub id: ConferenceId,
    /// Where it is.
    pub server: ServerName,
    /// Created.
    pub created_at: Timestamp,
}

/// What it takes to be born, also after a panic.
pub struct ConferencesSeed {
    /// What every actor of the fleet shares.
    pub shared: Shared,
    /// The servers that can be told.
    pub roster: Arc<Roster>,
    /// Who places calls.
    pub router: ActorAddress<Router>,
    /// The conferences of now.
    pub rooms: Arc<Mutex<BTreeMap<ConferenceId, Room>>>,
}

/// The actor.
pub struct Conferences {
    shared: Shared,
    roster: Arc<Roster>,
    router: ActorAddress<Router>,
    rooms: Arc<Mutex<BTreeMap<ConferenceId, Room>>>,
}

/// Name a conference.
#[derive(Debug)]
pub struct Create {
    /// Its id.
    pub id: ConferenceId,
    /// Where; the router's way of choosing decides if nothing is said.
    pub server: Option<ServerName>,
}

/// Call a party into a conference.
#[derive(Debug)]
pub struct Invite {
    /// Which.
    pub id: ConferenceId,
    /// Who.
    pub invitation: Invitation,
    /// Who waits.
    pub answer: Answer<Result<CallView, Problem>>,
}

/// Bring both parties of a call into a conference.
#[derive(Debug)]
pub struct Enter {
    /// Which.
    pub id: ConferenceId,
    /// The call.
    pub call: CallId,
    /// Who waits.
    pub answer: Answer<Result<Acted, Problem>>,
}

/// Hang up every member of ours and forget the conference.
#[derive(Debug)]
pub struct End(pub ConferenceId);

impl Behavior for Conferences {
    type Seed = ConferencesSeed;
    /// The conferences of now.
    type State = usize;

    fn born(seed: &ConferencesSeed, _world: &mut World<Self>) -> Self {
        let conferences = Self {
            shared: seed.shared.clone(),
            roster: Arc::clone(&seed.roster),
            router: seed.router.clone(),
            rooms: Arc::clone(&seed.rooms),
        };
        for room in conferences.lock().values() {
            conferences.shared.board.show_room(room.clone());
        }
        conferences
    }

    fn state(&self) -> usize {
        self.lock().len()
    }
}

impl On<Create> for Conferences {
    type Reply = Result<ConferenceView, Problem>;

    fn on(&mut self, create: Create, world: &mut World<Self>) -> Self::Reply {
        if let Some(room) = self.lock().get(&create.id) {
            return match create.server {
                Some(server) if server != room.server => {
                    let detail = format!("{} is a conference on {} already", room.id, room.server);
                    Err(Problem::new(Code::WrongState, detail).about("id"))
                }
                _ => self.shown(&create.id),
            };
        }
        let server = self.place_for(create.server)?;
        let created_at = self.shared.clock.at(world.now());
        let room = Room { id: create.id.clone(), server, created_at };
        self.shared.store.note(Change::Conference(room.clone()));
        self.say("conference.created", &room, created_at);
        self.shared.board.show_room(room.clone());
        self.lock().insert(room.id.clone(), room);
        self.shown(&create.id)
    }
}

impl On<Invite> for Conferences {
    type Reply = ();

    fn on(&mut self, invite: Invite, _world: &mut World<Self>) {
        let room = match self.room(&invite.id) {
            Ok(room) => room,
            Err(problem) => {
                invite.answer.give(Err(problem));
                return;
            }
        };
        let Invitation { to, caller_id, timeout, record } = invite.invitation;
        let name: Address = room.id.as_str().parse().expect("a conference id is an extension");
        let request = PlaceCall {
            from: to,
            to: name,
            server: Some(room.server),
            caller_id,
            timeout,
            record,
            conference: Some(room.id),
            id: None,
        };
        self.router.tell(Place { request, answer: invite.answer });
    }
}

impl On<Enter> for Conferences {
    type Reply = ();

    fn on(&mut self, enter: Enter, _world: &mut World<Self>) {
        let found = self.room(&enter.id).and_then(|room| self.server_of(&room, enter.call));
        match found {
            Ok(server) => {
                let act = Act { call: enter.call, verb: Verb::Enter { conference: enter.id } };
                server.tell(ActFor { act, answer: enter.answer });
            }
            Err(problem) => {
                enter.answer.give(Err(problem));
            }
        }
    }
}

impl On<End> for Conferences {
    type Reply = Result<ConferenceView, Problem>;

    fn on(&mut self, End(id): End, world: &mut World<Self>) -> Self::Reply {
        let room = self.room(&id)?;
        let view = self.shown(&id)?;
        if let Some(server) = self.roster.address(&room.server) {
            let mut calls: Vec<CallId> = view.members.iter().map(|member| member.call).collect();
            calls.dedup();
            for call in calls {
                server.tell(Act { call, verb: Verb::Hangup });
            }
        }
        self.lock().remove(&id);
        self.shared.store.note(Change::NoConference(id.clone()));
        self.shared.board.forget_room(&id);
        self.say("conference.ended", &room, self.shared.clock.at(world.now()));
        Ok(view)
    }
}

impl Conferences {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConferenceId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self, id: &ConferenceId) -> Result<Room, Problem> {
        self.lock().get(id).cloned().ok_or_else(|| unknown(id))
    }

    fn shown(&self, id: &ConferenceId) -> Result<ConferenceView, Problem> {
        self.shared.board.conference(id).ok_or_else(|| unknown(id))
    }

    /// The named server, or the one that would get the next call.
    fn place_for(&self, named: Option<ServerName>) -> Result<ServerName, Problem> {
        match named {
            Some(name) if self.roster.address(&name).is_some() => Ok(name),
            Some(name) => {
                let detail = format!("no server is called `{name}`");
                Err(Problem::new(Code::UnknownServer, detail).about("server"))
            }
            None => match choose(&self.shared.board.servers(), &BTreeMap::new()) {
                Ok(choice) => Ok(choice.server),
                Err(skipped) => Err(no_server(skipped)),
            },
        }
    }

    /// The server that carries the call, if the conference is there too.
    fn server_of(&self, room: &Room, call: CallId) -> Result<ActorAddress<crate::server::Server>, Problem> {
        let view = self.shared.board.call(call);
        let elsewhere = view.as_ref().and_then(|view| view.server.clone()).filter(|on| *on != room.server);
        if let Some(on) = elsewhere {
            let detail = format!("the call is on {on}, the conference {} on {}", room.id, room.server);
            return Err(Problem::new(Code::WrongState, detail).of_call(call));
        }
        self.roster.carrier(view.as_deref(), call)
    }

    fn say(&self, kind: &str, room: &Room, now: Timestamp) {
        let mut fact = Fact::new(kind, now, format!("conference {}", room.id));
        fact.server = Some(room.server.clone());
        self.shared.journal.append(fact);
    }
}

fn unknown(id: &ConferenceId) -> Problem {
    Problem::new(Code::UnknownConference, format!("no conference is called {id}"))
        .suggest(format!("ifbus conference create sip {id}"))
}
