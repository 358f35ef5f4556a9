//! One server, its phones, and an orchestrator on real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ifbus_call::{Address, CallId, InstanceId, LegId, RecordingId, ServerName, Verb};
use ifbus_doubles::phone::tone::recognise_samples;
use ifbus_doubles::phone::{Phones, Plan, Tone};
use ifbus_fleet::archive::InMemory;
use ifbus_fleet::clock::Clock;
use ifbus_fleet::control::Invitation;
use ifbus_fleet::office::{Counter, Enrolled, Office, OfficeSeed};
use ifbus_fleet::roster::Roster;
use ifbus_fleet::store::{Store, WriterThread};
use ifbus_fleet::view::{
    CallView, ConferenceView, ForeignView, Origin, RecordingStatus, RecordingView, ServerState, Status,
    TestReport,
};
use ifbus_fleet::{Board, EventView, Fleet, Journal, PlaceCall, Problem, Read, ServerSpec};
use ifbus_links::Sockets;
use ifbus_supervision::{Kernel, Policy};
use tokio::sync::oneshot;

use crate::site::{Site, Target};

/// A guard against hanging: everything here takes a second or two.
const PATIENCE: Duration = Duration::from_secs(90);
/// Where the ids of this run's orchestrators begin: two must not share an ARI application.
const INSTANCE: u64 = 0xC0_0000;
/// How many stages this run has set.
static STAGES: AtomicU32 = AtomicU32::new(0);

/// The set of one target.
pub struct Stage {
    pub phones: Arc<dyn Phones>,
    pub site: Box<dyn Site>,
    spec: ServerSpec,
    /// The server that lends it media.
    anchor: Option<ServerSpec>,
    instance: InstanceId,
    /// What survives a kill: the store and the archive.
    folder: tempfile::TempDir,
    archive: Arc<InMemory>,
    lives: AtomicU64,
    running: Mutex<Option<Orchestrator>>,
}

/// An orchestrator on a thread of its own.
struct Orchestrator {
    fleet: Fleet,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Stage {
    /// Sets the stage, or says why it cannot be set.
    pub fn open(target: &Target) -> Result<Self, String> {
        let site = (target.open)()?;
        let spec = ServerSpec {
            name: "pbx1".parse().expect("a server name"),
            kind: target.kind,
            settings: site.settings(),
            capacity: 1_000,
            cps: 1_000.0,
            tags: BTreeMap::new(),
            origin: Origin::Cli,
        };
        // Two orchestrators must not share an instance: to a server they would be one.
        let instance = InstanceId(
            INSTANCE + u64::from(STAGES.fetch_add(1, Ordering::Relaxed)) + 64 * u64::from(std::process::id()),
        );
        let anchor = site.anchor().map(|(kind, settings)| ServerSpec {
            name: "media1".parse().expect("a server name"),
            kind,
            settings,
            ..spec.clone()
        });
        let stage = Self {
            anchor,
            phones: site.phones(),
            site,
            spec,
            instance,
            folder: tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?,
            archive: Arc::default(),
            lives: AtomicU64::new(1),
            running: Mutex::new(None),
        };
        stage.start(ServerState::Up);
        Ok(stage)
    }

    // --- the orchestrator ---

    fn start(&self, state: ServerState) {
        let set = Set {
            spec: self.spec.clone(),
            anchor: self.anchor.clone(),
            instance: self.instance,
            store: self.folder.path().join("ifbus.db"),
            archive: Arc::clone(&self.archive),
            // Ids are made from it: those of a leg that is gone must not come again.
            seed: self.lives.fetch_add(1, Ordering::Relaxed),
        };
        let (opened, fleet) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let kernel =
                    Kernel::start(ifbus_supervision::Options { seed: set.seed, ..Default::default() });
                let (fleet, writer) = open(&kernel, set).await;
                opened.send(fleet).expect("the stage waits");
                // An error is a stage that is gone: the same as being told.
                let _ = stopped.await;
                kernel.stop().await;
                drop(writer);
            });
        });
        let fleet = fleet.recv_timeout(PATIENCE).expect("the orchestrator opens");
        *self.lock() = Some(Orchestrator { fleet, stop, thread });
        self.until("the server is connected", |stage| stage.state() == state);
    }

    /// Ends the orchestrator without a word to the server, and starts a new one that knows what was written down.
    pub fn kill_and_restart(&self) {
        self.kill_and_restart_as(ServerState::Up);
    }

    /// The same, where the server is to be in another state afterwards.
    pub fn kill_and_restart_as(&self, state: ServerState) {
        if let Some(running) = self.lock().take() {
            let _ = running.stop.send(());
            running.thread.join().expect("the orchestrator ends");
        }
        self.start(state);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Orchestrator>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet(&self) -> Fleet {
        self.lock().as_ref().expect("the orchestrator runs").fleet.clone()
    }

    /// Asks the fleet something and waits for the answer.
    fn wait<T>(&self, answer: ifbus_fleet::Reply<T>) -> Result<T, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(answer)
    }

    // --- acting ---

    pub fn place(&self, from: &str, to: &str) -> Result<CallId, Problem> {
        self.place_within(from, to, Duration::from_secs(20))
    }

    pub fn place_within(&self, from: &str, to: &str, timeout: Duration) -> Result<CallId, Problem> {
        let address = |text: &str| -> Address { text.parse().expect("an address") };
        let request = PlaceCall {
            from: address(from),
            to: address(to),
            server: None,
            caller_id: None,
            timeout,
            record: false,
            conference: None,
            id: None,
        };
        self.wait(self.fleet().control.place(request)).map(|call| call.id)
    }

    /// A call that talks: each hears the other.
    pub fn talk(&self, from: &str, to: &str) -> CallId {
        let id = self.place(from, to).expect("the call is taken");
        self.until("both were answered and joined", |stage| stage.status(id) == Status::InProgress);
        self.hear_each_other(from, to);
        id
    }

    pub fn act(&self, id: CallId, verb: Verb) -> Result<(), Problem> {
        self.wait(self.fleet().control.act(id, verb)).map(|_| ())
    }

    pub fn create_conference(&self, id: &str) {
        let id = id.parse().expect("a conference id");
        self.wait(self.fleet().control.create_conference(id, None)).expect("a conference is created");
    }

    pub fn invite(&self, conference: &str, number: &str) -> Result<CallId, Problem> {
        let invitation = Invitation {
            to: number.parse().expect("an address"),
            caller_id: None,
            timeout: Duration::from_secs(20),
            record: false,
        };
        let id = conference.parse().expect("a conference id");
        self.wait(self.fleet().control.invite(id, invitation)).map(|call| call.id)
    }

    /// A party that was called and is inside.
    pub fn member(&self, conference: &str, number: &str) -> CallId {
        let id = self.invite(conference, number).expect("the invitation is taken");
        self.until("the member is inside", |stage| {
            assert!(!stage.status(id).is_terminal(), "{:?}", stage.call(id));
            stage.conference(conference).members.iter().any(|member| member.call == id && member.inside)
        });
        id
    }

    pub fn enter(&self, conference: &str, call: CallId) -> Result<(), Problem> {
        let id = conference.parse().expect("a conference id");
        self.wait(self.fleet().control.enter(id, call)).map(|_| ())
    }

    pub fn end_conference(&self, id: &str) {
        let id = id.parse().expect("a conference id");
        self.wait(self.fleet().control.end_conference(id)).expect("a conference can be ended");
    }

    pub fn record(&self, call: CallId) -> RecordingId {
        self.wait(self.fleet().control.record(call)).expect("a call that talks can be recorded").id
    }

    pub fn stop_recording(&self, recording: RecordingId) {
        self.wait(self.fleet().control.stop_recording(recording)).expect("a recording can be stopped");
    }

    pub fn drain(&self, on: bool) {
        let name = self.spec.name.clone();
        self.wait(self.fleet().control.drain(name, on)).expect("a server can be drained");
    }

    pub fn hang_up(&self, id: CallId) {
        self.act(id, Verb::Hangup).expect("a hangup is always taken");
        self.over(id);
    }

    pub fn over(&self, id: CallId) -> Arc<CallView> {
        self.until("the call is over", |stage| stage.status(id).is_terminal());
        self.call(id)
    }

    pub fn inspect(&self) -> TestReport {
        self.wait(self.fleet().control.test_server(self.spec.name.clone())).expect("the server is tested")
    }

    /// The server's own names of our legs.
    pub fn natives(&self) -> Vec<String> {
        self.site.natives(self.instance)
    }

    // --- looking ---

    pub fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let guard = Instant::now() + PATIENCE;
        while !so(self) {
            if Instant::now() > guard {
                let events: Vec<String> =
                    self.events().iter().rev().take(20).map(|event| line(event)).collect();
                panic!("never came: {what}\nlast events, newest first:\n{}", events.join("\n"));
            }
            // A look every few milliseconds at what is being waited for.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn call(&self, id: CallId) -> Arc<CallView> {
        self.fleet().board.call(id).expect("the call is shown")
    }

    pub fn status(&self, id: CallId) -> Status {
        self.call(id).status
    }

    pub fn state(&self) -> ServerState {
        let name: &ServerName = &self.spec.name;
        self.fleet().board.server(name).map_or(ServerState::Connecting, |view| view.state)
    }

    pub fn conference(&self, id: &str) -> ConferenceView {
        let id = id.parse().expect("a conference id");
        self.fleet().board.conference(&id).expect("the conference is shown")
    }

    pub fn conferences(&self) -> Vec<ConferenceView> {
        self.fleet().board.conferences()
    }

    pub fn recording(&self, id: RecordingId) -> RecordingView {
        self.fleet().board.recording(id).expect("the recording is shown").as_ref().clone()
    }

    /// Waits until the recording is here.
    pub fn stored(&self, id: RecordingId) -> RecordingView {
        self.until("the recording is stored", |stage| {
            let view = stage.recording(id);
            assert_ne!(view.status, RecordingStatus::Failed, "{view:?}");
            view.status == RecordingStatus::Stored
        });
        self.recording(id)
    }

    /// The file of a recording that is stored.
    pub fn recorded(&self, id: RecordingId) -> Vec<u8> {
        self.archive.file(id).expect("a stored recording has a file")
    }

    pub fn sha256(&self, id: RecordingId) -> String {
        use sha2::Digest;
        sha2::Sha256::digest(self.recorded(id)).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Every tone that is heard anywhere in a recording.
    pub fn tones(&self, id: RecordingId) -> BTreeSet<Tone> {
        let file = self.recorded(id);
        let samples: Result<Vec<i16>, _> =
            hound::WavReader::new(file.as_slice()).expect("a WAV file").into_samples().collect();
        samples.expect("whole samples").chunks(1200).flat_map(recognise_samples).collect()
    }

    /// Our id of the foreign leg of this phone: by the name the server gives it, or by who talks there.
    pub fn foreign_id(&self, phone: &str) -> Option<LegId> {
        let (legs, part) = (self.fleet().board.foreign(), self.site.foreign_name(phone));
        let named = |leg: &&ForeignView| leg.native.contains(&part) || leg.party.contains(&part);
        let talks = |leg: &&ForeignView| leg.party.split(' ').any(|word| word == phone);
        let leg = legs.iter().find(named).or_else(|| legs.iter().find(talks));
        leg.map(|leg| leg.id.parse().expect("a leg id"))
    }

    pub fn hang_up_foreign(&self, leg: LegId) -> Result<(), Problem> {
        self.wait(self.fleet().control.hang_up_foreign(leg)).map(|_| ())
    }

    pub fn server(&self) -> Arc<ifbus_fleet::view::ServerView> {
        self.fleet().board.server(&self.spec.name).expect("the server is shown")
    }

    pub fn events(&self) -> Vec<Arc<EventView>> {
        let mut reader = self.fleet().journal.reader(Some(0));
        let mut events = Vec::new();
        while let Some(read) = reader.try_next() {
            if let Read::Event(event) = read {
                events.push(event);
            }
        }
        events
    }

    pub fn came(&self, id: CallId, kind: &str) -> bool {
        self.events().iter().any(|event| event.fact.call == Some(id) && event.fact.kind == kind)
    }

    pub fn count(&self, id: CallId, kind: &str) -> usize {
        self.events().iter().filter(|event| event.fact.call == Some(id) && event.fact.kind == kind).count()
    }

    pub fn comes(&self, id: CallId, kind: &str) {
        self.until(kind, |stage| stage.came(id, kind));
    }

    pub fn hear_each_other(&self, a: &str, b: &str) {
        self.until(&format!("{a} and {b} hear each other"), |stage| stage.hears(a, b) && stage.hears(b, a));
    }

    pub fn hears(&self, listener: &str, speaker: &str) -> bool {
        self.phones.heard(listener).contains(&Tone::of(speaker))
    }

    /// Nothing else; and nothing at all where there is no music.
    pub fn hears_music(&self, number: &str) {
        let music = self.site.has_music().then_some(Tone::HoldMusic);
        let music: BTreeSet<Tone> = music.into_iter().collect();
        self.until(&format!("{number} hears {music:?} and nothing else"), |stage| {
            stage.phones.heard(number) == music
        });
    }

    pub fn is_free(&self, number: &str) {
        self.until(&format!("{number} is free"), |stage| stage.phones.live(number) == 0);
    }

    pub fn plan(&self, number: &str, plan: Plan) {
        self.phones.plan(number, plan);
    }

    /// After a cell: every phone is as it was, every call is over.
    pub fn clear(&self) {
        for call in self.fleet().board.calls().iter().filter(|call| !call.status.is_terminal()) {
            let _ = self.act(call.id, Verb::Hangup);
        }
        self.phones.silence(false);
        for number in 1001..=1008 {
            let number = number.to_string();
            self.phones.hang_up(&number);
            self.phones.plan(&number, Plan::answers(Duration::from_millis(100)));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(running) = self.lock().take() {
            let _ = running.stop.send(());
            // Its panic, if any, was reported by the cell that waited for it.
            let _ = running.thread.join();
        }
    }
}

/// What an orchestrator is started with.
struct Set {
    seed: u64,
    spec: ServerSpec,
    anchor: Option<ServerSpec>,
    instance: InstanceId,
    store: PathBuf,
    archive: Arc<InMemory>,
}

async fn open(kernel: &Kernel, set: Set) -> (Fleet, WriterThread) {
    let Set { spec, anchor, instance, store, archive, .. } = set;
    let (store, writer, _, found) =
        Store::open(&store, instance, Box::new(|_| {})).expect("the store can be opened");
    let board = Arc::new(Board::default());
    let journal = Journal::new("conformance", 100_000);
    let roster = Arc::new(Roster::default());
    for recording in found.recordings {
        board.show_recording(recording);
    }
    let draining = found.drains.get(&spec.name).copied();
    let enrolled = Enrolled::found_with(
        spec.clone(),
        found.stored,
        draining,
        found.dialogs.get(&spec.name).cloned().unwrap_or_default(),
    );
    let servers = BTreeMap::from([(spec.name, enrolled)]);
    let rooms: BTreeMap<_, _> = found.conferences.into_iter().map(|room| (room.id.clone(), room)).collect();
    let seed = OfficeSeed {
        instance,
        network: Rc::new(Sockets::default()),
        board: Arc::clone(&board),
        journal: journal.clone(),
        store,
        archive,
        clock: Clock::new(jiff::Timestamp::now()),
        roster: Arc::clone(&roster),
        meter: Arc::new(ifbus_fleet::NoMeter),
        // No name has to be looked up here: there is one that lends its media, or none.
        check: Rc::new(move |spec: &ServerSpec, _: Option<&ServerSpec>, instance| {
            let anchor = anchor.as_ref().map(ServerSpec::as_helper);
            let make = ifbus_adapters::check(spec.kind, &spec.settings, instance, &spec.name, anchor)?;
            Ok(Rc::from(make))
        }),
        servers: Arc::new(Mutex::new(servers)),
        rooms: Arc::new(Mutex::new(rooms)),
    };
    let office = kernel.supervise::<Office>("office", seed, Policy::default());
    let counter = Counter::open(office, roster, Arc::clone(&board)).await.expect("the office opens");
    (Fleet { control: Arc::new(counter), board, journal }, writer)
}

fn line(event: &EventView) -> String {
    format!("{} {} {}", event.fact.time, event.fact.kind, event.fact.text)
}
