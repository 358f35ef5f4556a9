//! One server: its connections, its calls as plain values, its orders in flight.
//!
//! The actor moves values between three machines and keeps none of their secrets: the adapter (how this kind is spoken
//! to), the links (what moves bytes), the calls (who should talk to whom). It decides when a life of the links begins,
//! whether new calls are taken, and what is shown.
//!
//! Not here: which server a call goes to (`router`), what is true after a death of ours (`adopt.rs` reads the server's
//! own list).
//!
//! Read on: `calls.rs`, `ready.rs`, `adopt.rs`, `recording.rs`, `drain.rs`, `sip.rs`, `report.rs`.

mod adopt;
mod calls;
mod certificate;
mod connection;
mod drain;
mod foreign;
mod inspect;
mod ready;
mod recording;
mod report;
mod sip;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ifbus_adapters::adapter::{Adapter, Input, LinkId, Output, RequestId, Ticket, Warning};
use ifbus_adapters::sip::Dialog;
use ifbus_call::call::{OrderNumber, Stored};
use ifbus_call::{Boot, CallId, Epoch, InstanceId, LegId, Load, Nanos, Order, RecordingId, Verb};
use ifbus_links::{Listener, Network, Pending, Report};
use ifbus_supervision::{
    ActorName, Address, Answer, Behavior, Escalation, Exit, On, Recipient, Timer, World,
};
use jiff::Timestamp;

use crate::archive::Archive;
use crate::board::Board;
use crate::clock::Clock;
use crate::control::{Acted, ServerSpec};
use crate::journal::Journal;
use crate::meter::Meter;
use crate::problem::Problem;
use crate::router::{Journey, Returned};
use crate::store::Store;
use crate::view::{
    CallView, DrainView, ForeignView, InterfaceView, RecordingView, ServerState, ServerView, TestReport,
};

pub(crate) use foreign::unknown as unknown_foreign;
pub(crate) use report::close as close_call;

use calls::Entry;
use certificate::Shown;
use connection::{Connection, Outgoing};

/// Everything a server's actor needs to be born, also after a panic.
pub struct ServerSeed {
    /// What the operator said.
    pub spec: ServerSpec,
    /// Makes the adapter; the settings were checked before.
    pub adapter: Rc<dyn Fn(u64) -> Box<dyn Adapter>>,
    /// What every server shares.
    pub shared: Shared,
    /// What outlives an instance.
    pub memory: Arc<Memory>,
}

/// What every server of a fleet shares.
#[derive(Clone)]
pub struct Shared {
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
    /// Who counts.
    pub meter: Arc<dyn Meter>,
    /// Who takes calls that come back.
    pub router: Recipient<Returned>,
}

/// What a server's actor knows across its own deaths.
#[derive(Debug, Default)]
pub struct Memory {
    /// Lives of the links so far.
    epoch: AtomicU64,
    /// The life of the server when it was last seen.
    boot: Mutex<Option<Boot>>,
    /// The server left the fleet: its actor, if it still runs, shows nothing any more.
    struck: AtomicBool,
    /// What was written down of its calls before we were started.
    stored: Mutex<BTreeMap<CallId, Stored>>,
    /// It takes no new calls.
    draining: Mutex<Option<DrainView>>,
    /// What is written down of its SIP dialogs.
    dialogs: Mutex<BTreeMap<LegId, Dialog>>,
}

impl Memory {
    /// What was found in the store: what its calls need to be adopted as they were, and since when it drains.
    #[must_use]
    pub fn found(stored: BTreeMap<CallId, Stored>, draining: Option<Timestamp>) -> Self {
        let draining = draining.map(|since| DrainView { since, inbound: None });
        Self { stored: Mutex::new(stored), draining: Mutex::new(draining), ..Self::default() }
    }

    /// The same, with what was found of its SIP dialogs.
    #[must_use]
    pub fn with_dialogs(self, dialogs: Vec<Dialog>) -> Self {
        let dialogs = dialogs.into_iter().map(|dialog| (dialog.leg, dialog)).collect();
        Self { dialogs: Mutex::new(dialogs), ..self }
    }

    /// From now on nothing of this server is shown, whatever its actor has still to read.
    pub fn strike(&self) {
        self.struck.store(true, Ordering::Relaxed);
    }

    fn is_struck(&self) -> bool {
        self.struck.load(Ordering::Relaxed)
    }
}

/// The actor.
pub struct Server {
    spec: ServerSpec,
    shared: Shared,
    memory: Arc<Memory>,
    adapter: Box<dyn Adapter>,
    epoch: Epoch,
    links: BTreeMap<LinkId, (u64, Address<Connection>)>,
    /// Its ports of ours, with those who are connected to them.
    ports: BTreeMap<LinkId, (u64, Box<dyn Listener>)>,
    /// Its SIP side, where its kind has one.
    sip: sip::Endpoint,
    /// Tells two connections of one link apart: an adapter may open a link again in the same life.
    opened: u64,
    requests: BTreeMap<RequestId, Box<dyn Pending>>,
    calls: BTreeMap<CallId, Entry>,
    /// Calls whose machine may want something: looked at instead of all of them.
    wanting: BTreeSet<CallId>,
    /// Calls that changed since they were last shown.
    stale: BTreeSet<CallId>,
    legs: BTreeMap<LegId, CallId>,
    /// When calls want to be woken, soonest first; kept by `pump_calls`.
    due: BTreeSet<(Nanos, CallId)>,
    tickets: BTreeMap<Ticket, Open>,
    tickets_given: u64,
    /// Orders waiting to be handed to the adapter.
    orders: VecDeque<(Ticket, Order)>,
    /// Recordings that are over and on their way to us, oldest first.
    fetches: VecDeque<recording::Fetching>,
    condition: ready::Condition,
    /// Those who wait for the links to come up, to have them looked at.
    inspections: Vec<(Duration, Answer<TestReport>)>,
    warnings: Vec<Warning>,
    /// Of this life of the links, by where they were shown.
    certificates: BTreeMap<String, Shown>,
    interfaces: Vec<InterfaceView>,
    version: Option<String>,
    load: Load,
    foreign: u32,
    timer: Option<(Nanos, Timer)>,
    stopping: bool,
}

/// An order that waits for its answer.
struct Open {
    order: Order,
    given: Nanos,
    purpose: Purpose,
}

/// What an order was given for.
enum Purpose {
    /// It shapes a call.
    Call(CallId, OrderNumber),
    /// A leg of ours that belongs to no call is ended.
    Orphan,
    /// The health of orders and events.
    Probe,
    /// The health of the telephones' side.
    ProbeSip,
    /// The server's list, to put our facts right; asked for then.
    Reconcile(Nanos),
    /// The server's own load.
    Load,
    /// A user asked how everything stands.
    Inspect(Duration, Answer<TestReport>),
    /// A part of a recording comes.
    Fetch(RecordingId, u16),
    /// A leg that is not ours is ended.
    Foreign(Box<foreign::Ending>),
    /// The server is told whether it takes calls; somebody may wait for it.
    Drain(Option<Answer<Result<ServerView, Problem>>>),
}

/// What the outside may see of a server's actor.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How it stands.
    pub state: ServerState,
    /// Calls it carries.
    pub calls: usize,
    /// Orders in flight.
    pub orders: usize,
    /// The life of the links.
    pub epoch: u64,
}

/// Carry this call.
#[derive(Debug)]
pub struct Begin(pub Box<Journey>);

/// Do this to a call.
#[derive(Debug)]
pub struct Act {
    /// Which.
    pub call: CallId,
    /// What.
    pub verb: Verb,
}

/// Do this to a call, for somebody who waits elsewhere.
#[derive(Debug)]
pub struct ActFor {
    /// What.
    pub act: Act,
    /// Who waits.
    pub answer: Answer<Result<Acted, Problem>>,
}

/// Record this call.
#[derive(Debug)]
pub struct RecordCall(pub CallId);

/// End a leg that is not ours.
#[derive(Debug)]
pub struct HangUpForeign {
    /// Which.
    pub leg: LegId,
    /// Who waits.
    pub answer: Answer<Result<ForeignView, Problem>>,
}

/// Take no new calls, or take them again.
#[derive(Debug)]
pub struct Drain {
    /// `true`: no new ones.
    pub on: bool,
    /// Who waits.
    pub answer: Answer<Result<ServerView, Problem>>,
}

/// Look at every interface and say how it stands.
#[derive(Debug)]
pub struct Inspect(pub Answer<TestReport>);

/// Try to connect now, whenever the next try was to be.
#[derive(Debug)]
pub struct TryNow;

/// The server leaves the fleet: its calls are not touched, our links are closed.
#[derive(Debug)]
pub struct Retire;

/// A link or request reports.
struct Heard {
    /// Which connection; absent for a request.
    connection: Option<u64>,
    report: Report,
}

/// Something is due.
struct Due;

/// What a call needs was written down, or could not be.
struct Noted {
    call: CallId,
    well: bool,
}

impl Behavior for Server {
    type Seed = ServerSeed;
    type State = Standing;

    fn born(seed: &ServerSeed, world: &mut World<Self>) -> Self {
        let mut server = Self {
            spec: seed.spec.clone(),
            shared: seed.shared.clone(),
            memory: Arc::clone(&seed.memory),
            adapter: (seed.adapter)(rand::RngExt::random(world.rng())),
            epoch: Epoch(0),
            links: BTreeMap::new(),
            ports: BTreeMap::new(),
            sip: None,
            opened: 0,
            requests: BTreeMap::new(),
            calls: BTreeMap::new(),
            wanting: BTreeSet::new(),
            stale: BTreeSet::new(),
            legs: BTreeMap::new(),
            due: BTreeSet::new(),
            tickets: BTreeMap::new(),
            tickets_given: 0,
            orders: VecDeque::new(),
            fetches: VecDeque::new(),
            condition: ready::Condition::new(),
            inspections: Vec::new(),
            warnings: Vec::new(),
            certificates: BTreeMap::new(),
            interfaces: Vec::new(),
            version: None,
            load: Load::default(),
            foreign: 0,
            timer: None,
            stopping: false,
        };
        server.restore_dialogs(world);
        server.start_a_life(world);
        server.drive(world);
        server
    }

    fn state(&self) -> Standing {
        Standing {
            state: self.standing(),
            calls: self.calls.len(),
            orders: self.tickets.len(),
            epoch: self.epoch.0,
        }
    }

    /// A connection that panics is a closed link; the adapter knows what to do with one.
    fn child_gave_up(&mut self, child: &ActorName, last: &Exit, world: &mut World<Self>) -> Escalation {
        let lost = self.links.iter().find(|(_, (_, link))| link.name() == child).map(|(id, _)| *id);
        if let Some(link) = lost {
            let why = ifbus_adapters::adapter::LinkError::Other(format!(
                "our connection failed: {}",
                last.reason()
            ));
            self.heard(Report::Closed(link, why), world);
        }
        self.sip_gave_up(child, last, world);
        Escalation::Keep
    }
}

impl On<Begin> for Server {
    type Reply = ();

    fn on(&mut self, Begin(journey): Begin, world: &mut World<Self>) {
        self.begin(*journey, world);
        self.drive(world);
    }
}

impl On<Act> for Server {
    type Reply = Result<Acted, Problem>;

    fn on(&mut self, act: Act, world: &mut World<Self>) -> Self::Reply {
        let acted = self.act(act, world);
        self.drive(world);
        acted
    }
}

impl On<ActFor> for Server {
    type Reply = ();

    fn on(&mut self, ActFor { act, answer }: ActFor, world: &mut World<Self>) {
        answer.give(self.act(act, world));
        self.drive(world);
    }
}

impl On<RecordCall> for Server {
    type Reply = Result<RecordingView, Problem>;

    fn on(&mut self, record: RecordCall, world: &mut World<Self>) -> Self::Reply {
        let recorded = self.record(record, world);
        self.drive(world);
        recorded
    }
}

impl On<recording::Archived> for Server {
    type Reply = ();

    fn on(&mut self, archived: recording::Archived, world: &mut World<Self>) {
        self.archived(archived, at(world));
        self.drive(world);
    }
}

impl On<HangUpForeign> for Server {
    type Reply = ();

    fn on(&mut self, asked: HangUpForeign, world: &mut World<Self>) {
        self.hang_up_foreign(asked, world);
        self.drive(world);
    }
}

impl On<Drain> for Server {
    type Reply = ();

    fn on(&mut self, drain: Drain, world: &mut World<Self>) {
        self.drain(drain, world);
        self.drive(world);
    }
}

impl On<Inspect> for Server {
    type Reply = ();

    fn on(&mut self, Inspect(answer): Inspect, world: &mut World<Self>) {
        self.inspect(answer, world);
        self.drive(world);
    }
}

impl On<TryNow> for Server {
    type Reply = ();

    fn on(&mut self, _: TryNow, world: &mut World<Self>) {
        self.try_now(world);
        self.drive(world);
    }
}

impl On<Retire> for Server {
    type Reply = ();

    fn on(&mut self, _: Retire, world: &mut World<Self>) {
        self.retire(world);
    }
}

impl On<Heard> for Server {
    type Reply = ();

    fn on(&mut self, heard: Heard, world: &mut World<Self>) {
        let is_open = |serial| {
            self.links.values().any(|(open, _)| *open == serial)
                || self.ports.values().any(|(open, _)| *open == serial)
                || self.is_of_sip(serial)
        };
        // What a closed connection still has to say is about a link that may be open again.
        if heard.connection.is_none_or(is_open) {
            self.heard(heard.report, world);
        }
    }
}

impl On<Due> for Server {
    type Reply = ();

    fn on(&mut self, _: Due, world: &mut World<Self>) {
        self.timer = None;
        let now = at(world);
        if self.adapter.deadline().is_some_and(|due| due <= now) {
            self.adapter.handle(Input::Tick, now);
        }
        self.calls_due(now);
        self.condition_due(now, world);
        self.drive(world);
    }
}

impl On<Noted> for Server {
    type Reply = ();

    fn on(&mut self, noted: Noted, world: &mut World<Self>) {
        self.noted(noted, world);
        self.drive(world);
    }
}

/// Now, as the pure machines count it.
fn at(world: &World<Server>) -> Nanos {
    Nanos::from_start(world.now())
}

impl Server {
    fn heard(&mut self, report: Report, world: &mut World<Self>) {
        let now = at(world);
        match report {
            Report::Certificate(_, certificate) => self.shown_certificate(certificate, now),
            Report::Opened(link) => self.adapter.handle(Input::Opened(link), now),
            Report::Accepted(listener, link, from) => {
                self.adapter.handle(Input::Accepted { listener, link, from }, now);
            }
            Report::Bytes(link, bytes) => self.adapter.handle(Input::Bytes(link, &bytes), now),
            Report::Closed(link, why) => {
                self.close(link, world);
                self.adapter.handle(Input::Closed(link, why), now);
            }
            Report::Sip(event) => self.adapter.handle(Input::Sip(event), now),
            Report::HttpPart(request, bytes) => self.adapter.handle(Input::HttpPart(request, &bytes), now),
            Report::Http(request, reply) => {
                self.requests.remove(&request);
                self.adapter.handle(Input::Http(request, reply), now);
            }
        }
        self.drive(world);
    }

    /// Moves values between the adapter, the links and the calls until nobody has anything left to say.
    fn drive(&mut self, world: &mut World<Self>) {
        let now = at(world);
        loop {
            if let Some(output) = self.adapter.poll() {
                self.take(output, world);
            } else if let Some((ticket, order)) = self.orders.pop_front() {
                self.shared.meter.order_given(&self.spec.name);
                self.adapter.handle(Input::Order(ticket, order), now);
            } else if !self.pump_calls(world) {
                self.fetch_on(world);
                if self.orders.is_empty() {
                    break;
                }
            }
        }
        self.show();
        self.set_timer(world);
    }

    fn take(&mut self, output: Output, world: &mut World<Self>) {
        let now = at(world);
        match output {
            Output::Open(id, endpoint) => {
                self.opened += 1;
                let (serial, me) = (self.opened, world.me().clone());
                let sink = move |report| me.tell(Heard { connection: Some(serial), report });
                let seed = connection::seed(Rc::clone(&self.shared.network), id, endpoint, Rc::new(sink));
                let name = format!("link-{}-{}-{serial}", id.epoch.0, id.slot);
                let connection = world.supervise::<Connection>(&name, seed, connection::policy());
                self.links.insert(id, (serial, connection));
            }
            Output::Listen(id, listening) => {
                self.opened += 1;
                let (serial, me) = (self.opened, world.me().clone());
                let sink = move |report| me.tell(Heard { connection: Some(serial), report });
                let port = self.shared.network.listen(id, listening, Rc::new(sink));
                self.ports.insert(id, (serial, port));
            }
            Output::Close(link) => self.close(link, world),
            Output::Send(link, bytes) => {
                if let Some((_, connection)) = self.links.get(&link) {
                    connection.tell(Outgoing(bytes));
                } else {
                    // each port knows its own; there is one at most
                    self.ports.values().for_each(|(_, port)| port.send(link, bytes.clone()));
                }
            }
            Output::Http(id, http) => {
                let me = world.me().clone();
                let sink = move |report| me.tell(Heard { connection: None, report });
                let pending = self.shared.network.request(id, http, Rc::new(sink));
                self.requests.insert(id, pending);
            }
            Output::Event(event) => self.event(event, now),
            Output::Chunk(ticket, bytes) => self.chunk(ticket, bytes),
            Output::Answer(ticket, outcome) => self.answered(ticket, outcome, world),
            Output::Ready(ready) => self.ready(ready, world),
            Output::Down(down) => self.down(&down, world),
            Output::Warning(warning) => self.warn(warning, now),
            Output::Unknown(frames) => self.shared.meter.unknown_frames(&self.spec.name, frames),
            Output::Sip(command) => self.ask_sip(command, world),
            Output::Persist(number, dialog) => self.persist(number, *dialog, world),
            Output::Forget(leg) => self.forget_dialog(leg),
        }
    }

    fn close(&mut self, link: LinkId, world: &mut World<Self>) {
        if let Some((_, connection)) = self.links.remove(&link) {
            world.stop_child(&connection);
        } else if self.ports.remove(&link).is_none() {
            self.ports.values().for_each(|(_, port)| port.close(link));
        }
    }

    fn give(&mut self, order: Order, purpose: Purpose, given: Nanos) {
        self.tickets_given += 1;
        let ticket = Ticket(self.tickets_given);
        self.tickets.insert(ticket, Open { order: order.clone(), given, purpose });
        self.orders.push_back((ticket, order));
    }

    fn set_timer(&mut self, world: &mut World<Self>) {
        let call = self.due.first().map(|(due, _)| *due);
        let due = [call, self.adapter.deadline(), self.condition.due(), self.fetch_due()];
        let due = due.into_iter().flatten().min();
        match (due, &self.timer) {
            (Some(due), Some((set, _))) if *set <= due => {}
            (Some(due), _) => {
                if let Some((_, timer)) = self.timer.take() {
                    timer.cancel();
                }
                let delay = due.since(at(world)).max(Duration::from_millis(1));
                self.timer = Some((due, world.after(delay, Due)));
            }
            (None, _) => {}
        }
    }

    /// The view of a call, as last shown.
    fn shown(&self, call: CallId) -> Option<Arc<CallView>> {
        self.shared.board.call(call)
    }
}
