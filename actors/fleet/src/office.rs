//! The root of the fleet's actors: it supervises the router and every server, adds and removes servers, and answers
//! what surfaces ask.
//!
//! Not here: decisions. A server that gives up stays addressable and says so; the others go on.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ifbus_adapters::BadSetting;
use ifbus_adapters::adapter::Adapter;
use ifbus_adapters::sip::Dialog;
use ifbus_call::call::Stored;
use ifbus_call::{CallId, ConferenceId, InstanceId, LegId, RecordingId, ServerName, Verb};
use ifbus_links::Network;
use ifbus_supervision::{ActorName, Address, Behavior, Down, Escalation, Exit, On, Policy, Recipient, World};
use jiff::Timestamp;

use crate::archive::Archive;
use crate::board::Board;
use crate::clock::Clock;
use crate::conference::{Conferences, ConferencesSeed, Create, End, Enter, Invite, Room};
use crate::control::{Acted, Control, Invitation, PlaceCall, Reply, ServerSpec};
use crate::journal::{Fact, Journal};
use crate::meter::Meter;
use crate::problem::{Code, Problem};
use crate::roster::Roster;
use crate::router::{Place, Returned, Router, RouterSeed};
use crate::server::{
    Act, Drain, HangUpForeign, Inspect, Memory, RecordCall, Retire, Server, ServerSeed, Shared, TryNow,
    unknown_foreign,
};
use crate::store::Store;
use crate::view::{
    CallView, ConferenceView, ForeignView, Origin, RecordingView, ServerState, ServerView, TestReport,
};

/// How long a surface waits for an actor that has nothing to do but answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a test of a server may take.
const TEST_WITHIN: Duration = Duration::from_secs(10);

/// Makes the adapter of a server, once its settings were checked.
pub type MakeAdapter = Rc<dyn Fn(u64) -> Box<dyn Adapter>>;
/// Checks a server's settings and says how its adapter is made; the second one lends its media to it.
pub type CheckServer =
    Rc<dyn Fn(&ServerSpec, Option<&ServerSpec>, InstanceId) -> Result<MakeAdapter, BadSetting>>;

/// What it takes to be born.
pub struct OfficeSeed {
    /// This installation.
    pub instance: InstanceId,
    /// The way to the servers.
    pub network: Rc<dyn Network>,
    /// Where views are shown.
    pub board: Arc<Board>,
    /// Where events go.
    pub journal: Journal,
    /// What has to survive us.
    pub store: Store,
    /// Where recordings are kept.
    pub archive: Arc<dyn Archive>,
    /// The time of day.
    pub clock: Clock,
    /// The servers that can be told.
    pub roster: Arc<Roster>,
    /// Who counts.
    pub meter: Arc<dyn Meter>,
    /// Checks settings.
    pub check: CheckServer,
    /// The servers of now, also after a death of ours.
    pub servers: Arc<Mutex<BTreeMap<ServerName, Enrolled>>>,
    /// The conferences of now, also after a death of ours.
    pub rooms: Arc<Mutex<BTreeMap<ConferenceId, Room>>>,
}

/// A server of the fleet, as remembered across a death of the office.
#[derive(Clone)]
pub struct Enrolled {
    /// How it is described.
    pub spec: ServerSpec,
    /// What its actor knows across its own deaths.
    pub memory: Arc<Memory>,
}

impl Enrolled {
    /// A server nobody has seen yet.
    #[must_use]
    pub fn new(spec: ServerSpec) -> Self {
        Self { spec, memory: Arc::default() }
    }

    /// A server with what was found in the store: what calls need to be adopted as they were, since when it drains.
    #[must_use]
    pub fn found(spec: ServerSpec, stored: BTreeMap<CallId, Stored>, draining: Option<Timestamp>) -> Self {
        Self { spec, memory: Arc::new(Memory::found(stored, draining)) }
    }

    /// A server that has a SIP agent, with what was found of its dialogs, too.
    #[must_use]
    pub fn found_with(
        spec: ServerSpec,
        stored: BTreeMap<CallId, Stored>,
        draining: Option<Timestamp>,
        dialogs: Vec<Dialog>,
    ) -> Self {
        Self { spec, memory: Arc::new(Memory::found(stored, draining).with_dialogs(dialogs)) }
    }
}

/// The actor.
pub struct Office {
    shared: Shared,
    roster: Arc<Roster>,
    router: Address<Router>,
    conferences: Address<Conferences>,
    check: CheckServer,
    servers: Arc<Mutex<BTreeMap<ServerName, Enrolled>>>,
    /// Servers change their actor when they are changed; the number keeps the names of two apart.
    enrolled: u64,
}

/// Add or change a server.
struct Add(ServerSpec);
/// Remove a server.
struct Remove {
    name: ServerName,
    even_with_calls: bool,
    /// Who wants it: what comes from the file is removed by the file.
    by: Origin,
}
/// Who routes calls, and who keeps the conferences.
struct WhoIsWho;

impl Behavior for Office {
    type Seed = OfficeSeed;
    /// The names of the servers.
    type State = Vec<ServerName>;

    fn born(seed: &OfficeSeed, world: &mut World<Self>) -> Self {
        let me = world.me().clone();
        let shared = Shared {
            instance: seed.instance,
            network: Rc::clone(&seed.network),
            board: Arc::clone(&seed.board),
            journal: seed.journal.clone(),
            store: seed.store.clone(),
            archive: Arc::clone(&seed.archive),
            clock: seed.clock,
            meter: Arc::clone(&seed.meter),
            router: Recipient::new("router", move |returned: Returned| me.tell(returned)),
        };
        let router_seed = RouterSeed { shared: shared.clone(), roster: Arc::clone(&seed.roster) };
        let router = world.supervise::<Router>("router", router_seed, Policy::default());
        let conferences_seed = ConferencesSeed {
            shared: shared.clone(),
            roster: Arc::clone(&seed.roster),
            router: router.clone(),
            rooms: Arc::clone(&seed.rooms),
        };
        let conferences = world.supervise::<Conferences>("conferences", conferences_seed, Policy::default());
        let mut office = Self {
            shared,
            conferences,
            roster: Arc::clone(&seed.roster),
            router,
            check: Rc::clone(&seed.check),
            servers: Arc::clone(&seed.servers),
            enrolled: 0,
        };
        let servers: Vec<Enrolled> = office.lock().values().cloned().collect();
        for server in servers {
            // Settings were checked when the server came in; a server that is refused now stays out and is told of.
            if let Err(problem) = office.start(&server, world) {
                tracing::error!(server = %server.spec.name, %problem, "a server cannot be started");
            }
        }
        office
    }

    fn state(&self) -> Self::State {
        self.lock().keys().cloned().collect()
    }

    fn child_gave_up(&mut self, child: &ActorName, last: &Exit, _world: &mut World<Self>) -> Escalation {
        tracing::error!(actor = %child, reason = last.reason(), "an actor gave up; the others go on");
        // Without a router nothing can be placed, without the conferences nobody can meet: that is worth a fresh start of everything.
        let needed = [self.router.name(), self.conferences.name()];
        if needed.contains(&child) { Escalation::Die } else { Escalation::Keep }
    }
}

impl Office {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerName, Enrolled>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&mut self, enrolled: &Enrolled, world: &mut World<Self>) -> Result<(), Problem> {
        let spec = &enrolled.spec;
        let adapter = self.adapter(spec)?;
        let seed = ServerSeed {
            spec: spec.clone(),
            adapter,
            shared: self.shared.clone(),
            memory: Arc::clone(&enrolled.memory),
        };
        self.enrolled += 1;
        let address =
            world.supervise::<Server>(&format!("{}-{}", spec.name, self.enrolled), seed, Policy::default());
        self.roster.enter(spec.name.clone(), address);
        Ok(())
    }

    /// How the adapter of a server is made, if its settings and those of its media anchor are good.
    fn adapter(&self, spec: &ServerSpec) -> Result<MakeAdapter, Problem> {
        let servers: Vec<ServerSpec> = self.lock().values().map(|server| server.spec.clone()).collect();
        let anchor = spec.anchor(servers.iter()).map_err(|bad| bad_setting(&bad))?;
        (self.check)(spec, anchor, self.shared.instance).map_err(|bad| bad_setting(&bad))
    }

    fn say(&self, kind: &str, name: &ServerName, text: &str, now: Duration) {
        let mut fact = Fact::new(kind, self.shared.clock.at(now), text);
        fact.server = Some(name.clone());
        self.shared.journal.append(fact);
    }

    fn calls_on(&self, name: &ServerName) -> usize {
        let on_it = |view: &Arc<CallView>| view.server.as_ref() == Some(name) && !view.status.is_terminal();
        self.shared.board.calls().iter().filter(|view| on_it(view)).count()
    }

    fn retire(&self, name: &ServerName, memory: &Memory) {
        memory.strike();
        if let Some(server) = self.roster.strike(name) {
            server.tell(Retire);
        }
        // At once: who adds a server anew waits for what the new one shows.
        self.shared.board.forget_server(name);
    }
}

impl On<Returned> for Office {
    type Reply = ();

    fn on(&mut self, returned: Returned, _world: &mut World<Self>) {
        self.router.tell(returned);
    }
}

impl On<WhoIsWho> for Office {
    type Reply = (Address<Router>, Address<Conferences>);

    fn on(&mut self, _: WhoIsWho, _world: &mut World<Self>) -> Self::Reply {
        (self.router.clone(), self.conferences.clone())
    }
}

impl On<Add> for Office {
    type Reply = Result<(), Problem>;

    fn on(&mut self, Add(spec): Add, world: &mut World<Self>) -> Self::Reply {
        // Checked before anything is changed.
        drop(self.adapter(&spec)?);
        let name = spec.name.clone();
        if let Some(same) =
            self.lock().values().find(|other| other.spec.name != name && other.spec.is_at(&spec))
        {
            let detail = format!(
                "{name}: the server at this host and port is {} already; nothing was added",
                same.spec.name
            );
            return Err(Problem::new(Code::SameServer, detail)
                .about("host")
                .suggest(format!("ifbus show server {}", same.spec.name)));
        }
        let before = self.lock().get(&name).cloned();
        if let Some(before) = &before {
            if before.spec.origin == Origin::Config && spec.origin == Origin::Cli {
                let detail = format!("{name} comes from the configuration file and is changed there");
                return Err(Problem::new(Code::ReadOnlyServer, detail));
            }
            if before.spec == spec {
                if let Some(server) = self.roster.address(&name) {
                    server.tell(TryNow);
                }
                return Ok(());
            }
            let calls = self.calls_on(&name);
            if calls > 0 {
                let detail = format!("{name} carries {calls} calls; a change would lose sight of them");
                return Err(Problem::new(Code::ServerHasCalls, detail)
                    .suggest(format!("ifbus calls --server {name}")));
            }
            self.retire(&name, &before.memory);
        }
        let enrolled = Enrolled::new(spec);
        self.lock().insert(name.clone(), enrolled.clone());
        self.start(&enrolled, world)?;
        let (kind, text) =
            if before.is_some() { ("server.changed", "changed") } else { ("server.added", "added") };
        self.say(kind, &name, text, world.now());
        Ok(())
    }
}

impl On<Remove> for Office {
    type Reply = Result<(), Problem>;

    fn on(&mut self, remove: Remove, world: &mut World<Self>) -> Self::Reply {
        let name = remove.name;
        let Some(enrolled) = self.lock().get(&name).cloned() else {
            return Err(unknown_server(&name, &self.state()));
        };
        if enrolled.spec.origin == Origin::Config && remove.by == Origin::Cli {
            let detail = format!("{name} comes from the configuration file and is removed there");
            return Err(Problem::new(Code::ReadOnlyServer, detail));
        }
        let calls = self.calls_on(&name);
        if calls > 0 && !remove.even_with_calls {
            let detail = format!("{name} carries {calls} calls of ours; they would live on there without us");
            return Err(
                Problem::new(Code::ServerHasCalls, detail).suggest(format!("ifbus remove sip {name} --yes"))
            );
        }
        self.lock().remove(&name);
        self.retire(&name, &enrolled.memory);
        self.say("server.removed", &name, "removed", world.now());
        Ok(())
    }
}

fn bad_setting(bad: &BadSetting) -> Problem {
    Problem::new(Code::InvalidRequest, bad.to_string()).about(bad.key.clone())
}

fn unknown_server(name: &ServerName, known: &[ServerName]) -> Problem {
    let names: Vec<&str> = known.iter().map(ServerName::as_str).collect();
    let configured = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Problem::new(Code::UnknownServer, format!("no server is called `{name}`; configured: {configured}"))
        .about("name")
}

// === the surfaces' side ===

/// The office's counter: what surfaces hold.
pub struct Counter {
    office: Address<Office>,
    router: Address<Router>,
    conferences: Address<Conferences>,
    roster: Arc<Roster>,
    board: Arc<Board>,
}

impl Counter {
    /// Opens the counter of a living office.
    ///
    /// # Errors
    /// The office gave up at birth.
    pub async fn open(office: Address<Office>, roster: Arc<Roster>, board: Arc<Board>) -> Result<Self, Down> {
        let (router, conferences) = office.ask(WhoIsWho, ANSWER_WITHIN).await?;
        Ok(Self { office, router, conferences, roster, board })
    }

    /// Removes a server that left the configuration file; refused while it carries calls.
    pub fn remove_of_config(&self, name: ServerName) -> Reply<()> {
        let remove = Remove { name, even_with_calls: false, by: Origin::Config };
        let removed = self.office.ask(remove, ANSWER_WITHIN);
        Box::pin(async move { removed.await.map_err(down)? })
    }
}

impl Control for Counter {
    fn place(&self, request: PlaceCall) -> Reply<CallView> {
        let placed = self.router.ask_for(|answer| Place { request, answer }, ANSWER_WITHIN);
        Box::pin(async move { placed.await.map_err(down)? })
    }

    fn act(&self, call: CallId, verb: Verb) -> Reply<Acted> {
        match self.server_of(call) {
            Ok(server) => {
                let acted = server.ask(Act { call, verb }, ANSWER_WITHIN);
                Box::pin(async move { acted.await.map_err(down)? })
            }
            Err(problem) => refuse(problem),
        }
    }

    fn record(&self, call: CallId) -> Reply<RecordingView> {
        match self.server_of(call) {
            Ok(server) => {
                let recorded = server.ask(RecordCall(call), ANSWER_WITHIN);
                Box::pin(async move { recorded.await.map_err(down)? })
            }
            Err(problem) => refuse(problem),
        }
    }

    fn stop_recording(&self, recording: RecordingId) -> Reply<RecordingView> {
        let Some(view) = self.board.recording(recording) else {
            let detail = format!("no recording has the id {recording}");
            return refuse(Problem::new(Code::UnknownRecording, detail));
        };
        let running = self.board.call(view.call).is_some_and(|call| call.recording == Some(recording));
        if !running {
            return Box::pin(async move { Ok(view.as_ref().clone()) });
        }
        let acted = self.act(view.call, Verb::StopRecord);
        let board = Arc::clone(&self.board);
        Box::pin(async move {
            acted.await?;
            Ok(board.recording(recording).unwrap_or(view).as_ref().clone())
        })
    }

    fn create_conference(&self, id: ConferenceId, server: Option<ServerName>) -> Reply<ConferenceView> {
        let created = self.conferences.ask(Create { id, server }, ANSWER_WITHIN);
        Box::pin(async move { created.await.map_err(down)? })
    }

    fn invite(&self, id: ConferenceId, invitation: Invitation) -> Reply<CallView> {
        let invited = self.conferences.ask_for(|answer| Invite { id, invitation, answer }, ANSWER_WITHIN);
        Box::pin(async move { invited.await.map_err(down)? })
    }

    fn enter(&self, id: ConferenceId, call: CallId) -> Reply<Acted> {
        let entered = self.conferences.ask_for(move |answer| Enter { id, call, answer }, ANSWER_WITHIN);
        Box::pin(async move { entered.await.map_err(down)? })
    }

    fn end_conference(&self, id: ConferenceId) -> Reply<ConferenceView> {
        let ended = self.conferences.ask(End(id), ANSWER_WITHIN);
        Box::pin(async move { ended.await.map_err(down)? })
    }

    fn hang_up_foreign(&self, leg: LegId) -> Reply<ForeignView> {
        let listed = self.board.foreign().into_iter().find(|view| view.id == leg.to_string());
        match listed.and_then(|view| self.roster.address(&view.server)) {
            Some(server) => {
                let ended = server.ask_for(move |answer| HangUpForeign { leg, answer }, TEST_WITHIN);
                Box::pin(async move { ended.await.map_err(down)? })
            }
            None => refuse(unknown_foreign(leg)),
        }
    }

    fn drain(&self, server: ServerName, on: bool) -> Reply<ServerView> {
        match self.named(&server) {
            Ok(server) => {
                let drained = server.ask_for(move |answer| Drain { on, answer }, TEST_WITHIN);
                Box::pin(async move { drained.await.map_err(down)? })
            }
            Err(problem) => refuse(problem),
        }
    }

    fn add_server(&self, server: ServerSpec, wait: Duration) -> Reply<ServerView> {
        let name = server.name.clone();
        let added = self.office.ask(Add(server), ANSWER_WITHIN);
        let board = Arc::clone(&self.board);
        Box::pin(async move {
            added.await.map_err(down)??;
            let looked = async {
                loop {
                    if let Some(view) = board.server(&name)
                        && view.state != ServerState::Connecting
                    {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            // Its actor shows it as soon as it is born, which whoever wants no waiting has to wait for all the same.
            let shown = async {
                while board.server(&name).is_none() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let _ = tokio::time::timeout(ANSWER_WITHIN, shown).await;
            // Still connecting after that time is an answer too.
            let _ = tokio::time::timeout(wait, looked).await;
            let view =
                board.server(&name).ok_or_else(|| Problem::new(Code::Internal, "the server is not shown"))?;
            Ok(view.as_ref().clone())
        })
    }

    fn remove_server(&self, name: ServerName, even_with_calls: bool) -> Reply<()> {
        let removed = self.office.ask(Remove { name, even_with_calls, by: Origin::Cli }, ANSWER_WITHIN);
        Box::pin(async move { removed.await.map_err(down)? })
    }

    fn test_server(&self, name: ServerName) -> Reply<TestReport> {
        match self.named(&name) {
            Ok(server) => {
                let report = server.ask_for(Inspect, TEST_WITHIN);
                Box::pin(async move { report.await.map_err(down) })
            }
            Err(problem) => refuse(problem),
        }
    }
}

impl Counter {
    /// The server that carries a call.
    fn server_of(&self, call: CallId) -> Result<Address<Server>, Problem> {
        self.roster.carrier(self.board.call(call).as_deref(), call)
    }

    fn named(&self, name: &ServerName) -> Result<Address<Server>, Problem> {
        self.roster.address(name).ok_or_else(|| {
            let known: Vec<ServerName> = self.board.servers().iter().map(|view| view.name.clone()).collect();
            unknown_server(name, &known)
        })
    }
}

fn refuse<T: Send + 'static>(problem: Problem) -> Reply<T> {
    Box::pin(async move { Err(problem) })
}

/// What an asker is told when an actor does not answer.
fn down(down: Down) -> Problem {
    match down {
        Down::TimedOut { .. } => {
            Problem::new(Code::ServerTimeout, "no answer in time; what is true: ifbus calls")
        }
        Down::Stopped { .. } => Problem::new(Code::Stopping, "the orchestrator is stopping"),
        other => Problem::new(Code::Internal, other.to_string()),
    }
}
