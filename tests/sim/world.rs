//! The set: servers, links, actors, and a stage manager who waits for things to happen.

use ifbus_doubles::double::Extensions as _;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::host::Hosted;
use ifbus_adapters::{Adapter, Input, Output, Settings, adapter::Secret};
use ifbus_call::call::Stored;
use ifbus_call::{Address, CallId, InstanceId, Kind, Nanos, ServerName, Verb};
use ifbus_doubles::asterisk::{self, Door, Options, Profile};
use ifbus_fleet::archive::InMemory;
use ifbus_fleet::clock::Clock;
use ifbus_fleet::office::{Counter, Enrolled, Office, OfficeSeed};
use ifbus_fleet::roster::Roster;
use ifbus_fleet::store::Store;
use ifbus_fleet::view::{CallView, Origin, ServerState, Status};
use ifbus_fleet::{Board, EventView, Fleet, Journal, PlaceCall, Problem, Read, ServerSpec};
use ifbus_links::simulated::Simulated;
use ifbus_supervision::{Address as ActorAddress, Policy, Universe};

const INSTANCE: InstanceId = InstanceId(0x1fb5);
const LATENCY: Duration = Duration::from_millis(1);
/// Virtual time after which something that should happen is missing.
const PATIENCE: Duration = Duration::from_secs(300);

/// An Asterisk double at a name of the simulated network.
pub type Pbx = Hosted<asterisk::Asterisk>;

/// Which of its doors a port leads to.
fn door(port: u16) -> Door {
    match port {
        5038 => Door::Ami,
        5060 => Door::Sip,
        _ => Door::Http,
    }
}

thread_local! {
    /// The server whose adapter panics at its next input.
    static SABOTAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes the adapter of this server panic at its next input, once.
pub fn sabotage(name: &str) {
    SABOTAGE.set(Some(name.to_owned()));
}

/// An adapter that can be made to panic.
struct Sabotaged {
    name: String,
    adapter: Box<dyn Adapter>,
}

impl Adapter for Sabotaged {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        if SABOTAGE.with_borrow_mut(|victim| victim.take_if(|victim| *victim == self.name)).is_some() {
            panic!("sabotaged");
        }
        self.adapter.handle(input, now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.adapter.poll()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.adapter.deadline()
    }
}

/// One orchestrator over simulated servers.
pub struct World<'a> {
    pub universe: &'a Universe,
    pub network: Simulated,
    pub servers: BTreeMap<String, Rc<RefCell<Pbx>>>,
    pub fleet: Fleet,
    store: Store,
    office: ActorAddress<Office>,
    lives: u32,
}

/// Lives through a story with these servers, all connected.
pub fn run<T>(seed: u64, names: &[&str], story: impl AsyncFnOnce(&mut World<'_>) -> T) -> T {
    run_with(seed, names, Store::forgetful(), story)
}

/// The same with a store.
pub fn run_with<T>(
    seed: u64,
    names: &[&str],
    store: Store,
    story: impl AsyncFnOnce(&mut World<'_>) -> T,
) -> T {
    Universe::run(seed, async |universe| {
        let network = Simulated::new(LATENCY);
        let mut servers = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let profile = if index % 2 == 0 { Profile::V22 } else { Profile::V16 };
            let options =
                Options::new(profile).with_seed(seed.wrapping_add(index as u64)).with_phones(2000..=2999);
            let pbx =
                Rc::new(RefCell::new(Hosted::new(asterisk::Asterisk::new(options, network.now()), door)));
            network.put(name, pbx.clone());
            servers.insert((*name).to_owned(), pbx);
        }
        let (office, fleet) = open(universe, &network, names, &store, BTreeMap::new(), 0).await;
        let mut world = World { universe, network, servers, fleet, store, office, lives: 0 };
        for name in names {
            world.until(&format!("{name} is up"), |world| world.state(name) == ServerState::Up).await;
        }
        let outcome = story(&mut world).await;
        assert_counters_are_the_truth(&world);
        outcome
    })
}

/// At a quiet point what is counted equals what is there.
fn assert_counters_are_the_truth(world: &World<'_>) {
    for view in world.fleet.board.servers() {
        let living = world.calls().into_iter().filter(|call| call.server.as_ref() == Some(&view.name));
        let living = living.filter(|call| !call.status.is_terminal()).count();
        assert_eq!(view.calls as usize, living, "the counter of {} is not the truth", view.name);
    }
}

pub fn spec(name: &str) -> ServerSpec {
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret")];
    ServerSpec {
        name: name.parse().expect("a server name"),
        kind: Kind::Asterisk,
        settings: Settings {
            host: name.to_owned(),
            port: None,
            auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
            set: BTreeMap::new(),
        },
        capacity: 2_000,
        cps: 10_000.0,
        tags: BTreeMap::new(),
        origin: Origin::Cli,
    }
}

async fn open(
    universe: &Universe,
    network: &Simulated,
    names: &[&str],
    store: &Store,
    stored: BTreeMap<CallId, Stored>,
    life: u32,
) -> (ActorAddress<Office>, Fleet) {
    let board = Arc::new(Board::default());
    let journal = Journal::new(&format!("life{life}"), 1_000_000);
    let roster = Arc::new(Roster::default());
    let servers = names.iter().map(|name| {
        let spec = spec(name);
        (spec.name.clone(), Enrolled::found(spec, stored.clone(), None))
    });
    let seed = OfficeSeed {
        instance: INSTANCE,
        network: Rc::new(network.clone()),
        board: Arc::clone(&board),
        journal: journal.clone(),
        store: store.clone(),
        archive: Arc::new(InMemory::default()),
        clock: Clock::new("2026-11-24T08:00:00Z".parse().expect("a time")),
        roster: Arc::clone(&roster),
        meter: Arc::new(ifbus_fleet::NoMeter),
        check: Rc::new(|spec: &ServerSpec, anchor: Option<&ServerSpec>, instance| {
            let anchor = anchor.map(ServerSpec::as_helper);
            let make = ifbus_adapters::check(spec.kind, &spec.settings, instance, &spec.name, anchor)?;
            let name = spec.name.to_string();
            Ok(Rc::new(move |seed| {
                Box::new(Sabotaged { name: name.clone(), adapter: make(seed) }) as Box<dyn Adapter>
            }))
        }),
        servers: Arc::new(Mutex::new(servers.collect())),
        rooms: Arc::default(),
    };
    let office = universe.kernel().supervise::<Office>(&format!("office{life}"), seed, Policy::default());
    let counter = Counter::open(office.clone(), roster, Arc::clone(&board)).await.expect("the office opens");
    (office, Fleet { control: Arc::new(counter), board, journal })
}

impl World<'_> {
    /// Waits until it is so, in virtual time.
    pub async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let looked = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, looked).await.is_err() {
            let last: Vec<String> = self.events().iter().rev().take(30).map(|event| line(event)).collect();
            panic!(
                "seed {}: never came: {what}\nlast events, newest first:\n{}",
                self.universe.kernel().seed(),
                last.join("\n")
            );
        }
    }

    /// Lets virtual time pass: for things that must not happen.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub async fn place(&self, from: &str, to: &str) -> Result<CallView, Problem> {
        self.place_on(from, to, None).await
    }

    pub async fn place_on(&self, from: &str, to: &str, server: Option<&str>) -> Result<CallView, Problem> {
        let request = PlaceCall {
            from: address(from),
            to: address(to),
            server: server.map(|name| name.parse().expect("a server name")),
            caller_id: None,
            timeout: Duration::from_secs(30),
            record: false,
            conference: None,
            id: None,
        };
        self.fleet.control.place(request).await
    }

    /// A call that talks.
    pub async fn talk(&self, from: &str, to: &str) -> CallId {
        let id = self.place(from, to).await.expect("the call is taken").id;
        self.until("the call is answered", |world| world.status(id) == Status::InProgress).await;
        id
    }

    pub async fn act(&self, id: CallId, verb: Verb) -> Result<(), Problem> {
        self.fleet.control.act(id, verb).await.map(|_| ())
    }

    pub async fn hang_up(&self, id: CallId) {
        self.act(id, Verb::Hangup).await.expect("a hangup is always taken");
        self.until("the call is over", |world| world.status(id).is_terminal()).await;
    }

    /// ifbus is killed and started again: nothing is kept but the servers.
    pub async fn kill_and_restart(&mut self, stored: BTreeMap<CallId, Stored>) {
        self.universe.kernel().stop_actor(&self.office);
        self.office.stopped().await;
        self.lives += 1;
        let names: Vec<&str> = self.servers.keys().map(String::as_str).collect();
        let (office, fleet) =
            open(self.universe, &self.network, &names, &self.store, stored, self.lives).await;
        (self.office, self.fleet) = (office, fleet);
    }

    // --- looking ---

    pub fn calls(&self) -> Vec<Arc<CallView>> {
        self.fleet.board.calls()
    }

    pub fn call(&self, id: CallId) -> Arc<CallView> {
        self.fleet.board.call(id).expect("the call is shown")
    }

    pub fn status(&self, id: CallId) -> Status {
        self.call(id).status
    }

    pub fn state(&self, name: &str) -> ServerState {
        let name: ServerName = name.parse().expect("a server name");
        self.fleet.board.server(&name).map_or(ServerState::Connecting, |view| view.state)
    }

    pub fn events(&self) -> Vec<Arc<EventView>> {
        let mut reader = self.fleet.journal.reader(Some(0));
        let mut events = Vec::new();
        while let Some(read) = reader.try_next() {
            if let Read::Event(event) = read {
                events.push(event);
            }
        }
        events
    }

    pub fn has_event(&self, kind: &str) -> bool {
        self.events().iter().any(|event| event.fact.kind == kind)
    }

    pub fn trace(&self) -> String {
        self.events().iter().map(|event| line(event)).collect::<Vec<_>>().join("\n")
    }

    /// Does something to a server from outside.
    pub fn with<T>(&self, name: &str, does: impl FnOnce(&mut asterisk::Asterisk, Duration) -> T) -> T {
        let outcome = does(&mut self.servers[name].borrow_mut().double, self.network.now());
        self.network.touched();
        outcome
    }

    pub fn channels(&self, name: &str) -> usize {
        self.servers[name].borrow().double.stats().channels
    }

    pub fn rings(&self, number: &str) -> u32 {
        self.servers.values().map(|pbx| pbx.borrow().double.rings(number)).sum()
    }
}

pub fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn line(event: &EventView) -> String {
    let fact = &event.fact;
    let call = fact.call.map(|call| call.ending()).unwrap_or_default();
    let server = fact.server.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} {} {call} {server} {}", fact.time, fact.kind, fact.text)
}
