//! A fleet of the real actors, over any network: in virtual time, or on sockets with a thread of its own.
//!
//! What is measured is in the files beside this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ifbus_adapters::adapter::Secret;
use ifbus_adapters::sip::Dialog;
use ifbus_adapters::{Adapter, Settings};
use ifbus_call::{Address, CallId, InstanceId, Kind, ServerName, Verb};
use ifbus_fleet::archive::InMemory;
use ifbus_fleet::clock::Clock;
use ifbus_fleet::office::{Counter, Enrolled, Office, OfficeSeed};
use ifbus_fleet::roster::Roster;
use ifbus_fleet::store::{Store, WriterThread};
use ifbus_fleet::view::{Origin, ServerState};
use ifbus_fleet::{Board, Fleet, Journal, PlaceCall, Problem, ServerSpec};
use ifbus_links::{Network, Sockets};
use ifbus_supervision::{Kernel, Policy};
use tokio::sync::oneshot;

/// The events that are kept: those of a whole run.
const JOURNAL_MAX: usize = 2_000_000;

/// Stands between the fleet and the adapter of a server.
pub type Wrap = Rc<dyn Fn(u64, Box<dyn Adapter>) -> Box<dyn Adapter>>;

/// What a fleet is made of.
pub struct Set {
    /// Who we are; two at one server must differ.
    pub instance: InstanceId,
    /// The servers.
    pub servers: Vec<ServerSpec>,
    /// What outlives the orchestrator.
    pub store: Store,
    /// Found in the store: calls.
    pub enrolled: BTreeMap<CallId, ifbus_call::call::Stored>,
    /// Found in the store: legs of SIP agents.
    pub dialogs: BTreeMap<ServerName, Vec<Dialog>>,
    /// The way to the servers.
    pub network: Rc<dyn Network>,
    /// Whoever wants to listen.
    pub wrap: Option<Wrap>,
}

/// A server of the laboratory, a double or a real one.
pub fn spec(name: &str, host: &str, ports: (u16, u16), sip: bool) -> ServerSpec {
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret")];
    let mut set = BTreeMap::from([("ari_port".to_owned(), ports.1.to_string())]);
    if !sip {
        set.insert("sip".to_owned(), "off".to_owned());
    }
    ServerSpec {
        name: name.parse().expect("a server name"),
        kind: Kind::Asterisk,
        settings: Settings {
            host: host.to_owned(),
            port: Some(ports.0),
            auth: auth.map(|(key, value)| (key.to_owned(), Secret::new(value))).into(),
            set,
        },
        capacity: 50_000,
        cps: 100_000.0,
        tags: BTreeMap::new(),
        origin: Origin::Cli,
    }
}

/// Opens a fleet on a kernel.
pub async fn open(kernel: &Kernel, set: Set) -> Fleet {
    let board = Arc::new(Board::default());
    let journal = Journal::new("bench", JOURNAL_MAX);
    let roster = Arc::new(Roster::default());
    let stored = set.enrolled;
    let mut dialogs = set.dialogs;
    let servers = set.servers.into_iter().map(|spec| {
        let dialogs = dialogs.remove(&spec.name).unwrap_or_default();
        let enrolled = Enrolled::found_with(spec.clone(), stored.clone(), None, dialogs);
        (spec.name, enrolled)
    });
    let wrap = set.wrap.unwrap_or_else(|| Rc::new(|_, adapter| adapter));
    let seed = OfficeSeed {
        instance: set.instance,
        network: set.network,
        board: Arc::clone(&board),
        journal: journal.clone(),
        store: set.store,
        archive: Arc::new(InMemory::default()),
        clock: Clock::new(jiff::Timestamp::now()),
        roster: Arc::clone(&roster),
        meter: Arc::new(ifbus_fleet::NoMeter),
        check: Rc::new(move |spec: &ServerSpec, _: Option<&ServerSpec>, instance| {
            let make = ifbus_adapters::check(spec.kind, &spec.settings, instance, &spec.name, None)?;
            let wrap = Rc::clone(&wrap);
            Ok(Rc::new(move |seed| wrap(seed, make(seed))))
        }),
        servers: Arc::new(Mutex::new(servers.collect())),
        rooms: Arc::default(),
    };
    let office = kernel.supervise::<Office>("office", seed, Policy::default());
    let counter = Counter::open(office, roster, Arc::clone(&board)).await.expect("the office opens");
    Fleet { control: Arc::new(counter), board, journal }
}

/// Places a call between two phones.
pub async fn place(fleet: &Fleet, from: &str, to: &str) -> Result<CallId, Problem> {
    let address = |text: &str| -> Address { text.parse().expect("an address") };
    let request = PlaceCall {
        from: address(from),
        to: address(to),
        server: None,
        caller_id: None,
        timeout: Duration::from_secs(30),
        record: false,
        conference: None,
        id: None,
    };
    fleet.control.place(request).await.map(|view| view.id)
}

/// Hangs a call up.
pub async fn hang_up(fleet: &Fleet, call: CallId) {
    // It may be over already.
    let _ = fleet.control.act(call, Verb::Hangup).await;
}

/// How a server stands.
pub fn state(fleet: &Fleet, name: &str) -> ServerState {
    let name = name.parse().expect("a server name");
    fleet.board.server(&name).map_or(ServerState::Connecting, |view| view.state)
}

/// A fleet on sockets, on a thread called `orchestrator`, with the store of the program beside it.
pub struct Orchestrator {
    /// For questions.
    pub fleet: Fleet,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// The threads whose CPU time is the orchestrator's.
pub const THREADS: [&str; 2] = ["orchestrator", "store"];

impl Orchestrator {
    /// Starts one; what a former one wrote into `store` is known to it.
    pub fn start(instance: InstanceId, servers: Vec<ServerSpec>, store: PathBuf, seed: u64) -> Self {
        Self::start_heard(instance, servers, store, seed, || None)
    }

    /// The same with somebody who listens to the adapters.
    pub fn start_heard(
        instance: InstanceId,
        servers: Vec<ServerSpec>,
        store: PathBuf,
        seed: u64,
        wrap: impl FnOnce() -> Option<Wrap> + Send + 'static,
    ) -> Self {
        let (opened, fleet) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            actix_rt::System::new().block_on(async move {
                let kernel = Kernel::start(ifbus_supervision::Options { seed, ..Default::default() });
                let (store, writer, _, found): (_, WriterThread, _, _) =
                    Store::open(&store, instance, Box::new(|_| {})).expect("the store can be opened");
                let network = Rc::new(Sockets::default());
                let (enrolled, dialogs) = (found.stored, found.dialogs);
                let set = Set { instance, servers, store, enrolled, dialogs, network, wrap: wrap() };
                // An error is a bench that is gone: the same as being told to stop.
                let _ = opened.send(open(&kernel, set).await);
                let _ = stopped.await;
                kernel.stop().await;
                drop(writer);
            });
        };
        let thread = std::thread::Builder::new().name("orchestrator".to_owned()).spawn(run);
        let thread = thread.expect("a thread can be started");
        let fleet = fleet.recv_timeout(Duration::from_secs(60)).expect("the orchestrator opens");
        Self { fleet, stop, thread }
    }

    /// Ends it without a word to the servers.
    pub fn kill(self) {
        // It may have ended by itself.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
