//! Calls on a server that cannot originate: its adapter owns a SIP agent, the fleet carries what it says, and phones behind
//! a simulated proxy hear each other.
//!
//! The adapter here is the smallest one that has an agent. What a real proxy kind adds is its own management interface.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ifbus_adapters::adapter::{Down, DownReason, Ready};
use ifbus_adapters::sip::{Agent, AgentOptions, SipEndpoint, SipTransport, Standing};
use ifbus_adapters::{Adapter, Input, Output};
use ifbus_call::order::{Done, Interface, Probed};
use ifbus_call::{Boot, CallId, Epoch, InstanceId, Nanos, Order, Verb};
use ifbus_fleet::archive::InMemory;
use ifbus_fleet::clock::Clock;
use ifbus_fleet::office::{Counter, Enrolled, Office, OfficeSeed};
use ifbus_fleet::roster::Roster;
use ifbus_fleet::store::Store;
use ifbus_fleet::view::{ServerState, Status};
use ifbus_fleet::{Board, Fleet, Journal, PlaceCall, Read, ServerSpec};
use ifbus_links::simulated::{FarEnds, Pickup, Simulated};
use ifbus_supervision::{Policy, Universe};

use super::world::spec;

/// An adapter that is an agent and nothing else.
struct Bare {
    agent: Agent,
    out: VecDeque<Output>,
    epoch: Epoch,
    ready: bool,
    panics: Rc<Cell<bool>>,
}

impl Bare {
    fn end(&mut self, reason: DownReason) {
        self.ready = false;
        self.epoch = Epoch(0);
        self.drain();
        self.out.push_back(Output::Down(Down { interface: Interface::Sip, reason }));
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll() {
            self.out.push_back(output);
        }
    }
}

impl Adapter for Bare {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        assert!(!self.panics.take(), "sabotaged");
        match input {
            Input::Restored(dialogs) => self.agent.restore(dialogs),
            Input::Start(epoch) => {
                (self.epoch, self.ready) = (epoch, false);
                self.agent.start(now);
            }
            Input::Stop => {
                self.agent.stop(now);
                self.end(DownReason::Stopped);
            }
            Input::Sip(event) => self.agent.sip_event(event, now),
            Input::Persisted(number, well) => self.agent.persisted(number, well, now),
            Input::Order(ticket, Order::Probe) => {
                let answered = Ok(Duration::from_millis(1));
                let probed = vec![Probed { interface: Interface::Management, answered }];
                self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(probed))));
            }
            Input::Order(ticket, order) => self.agent.order(ticket, order, now),
            Input::Tick => self.agent.tick(now),
            other => panic!("it has no links: {other:?}"),
        }
        self.drain();
        match self.agent.standing() {
            Standing::Open if !self.ready && self.epoch != Epoch(0) => {
                self.ready = true;
                let (epoch, seen) = (self.epoch, self.agent.seen());
                let ready = Ready { epoch, boot: Boot("1".to_owned()), version: "1".to_owned(), seen };
                self.out.push_back(Output::Ready(ready));
            }
            Standing::Failed(why) if self.epoch != Epoch(0) => {
                let why = DownReason::Unreachable(why.clone());
                self.end(why);
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.agent.deadline()
    }
}

struct World<'a> {
    universe: &'a Universe,
    network: Simulated,
    phones: Rc<RefCell<FarEnds>>,
    fleet: Fleet,
    panics: Rc<Cell<bool>>,
}

fn run(story: impl AsyncFnOnce(&World<'_>)) {
    Universe::run(7, async |universe| {
        let network = Simulated::new(Duration::from_millis(1));
        let phones = Rc::new(RefCell::new(FarEnds::new()));
        network.put_sip("proxy1", phones.clone());
        let panics = Rc::new(Cell::new(false));
        let fleet = open(universe, &network, &panics).await;
        let world = World { universe, network, phones, fleet, panics };
        world.until("the proxy is up", |world| world.state() == ServerState::Up).await;
        story(&world).await;
    });
}

async fn open(universe: &Universe, network: &Simulated, panics: &Rc<Cell<bool>>) -> Fleet {
    let board = Arc::new(Board::default());
    let journal = Journal::new("life", 100_000);
    let roster = Arc::new(Roster::default());
    let spec = spec("proxy1");
    let panics = Rc::clone(panics);
    let seed = OfficeSeed {
        instance: InstanceId(0x1fb5),
        network: Rc::new(network.clone()),
        board: Arc::clone(&board),
        journal: journal.clone(),
        store: Store::forgetful(),
        archive: Arc::new(InMemory::default()),
        clock: Clock::new("2026-11-24T08:00:00Z".parse().expect("a time")),
        roster: Arc::clone(&roster),
        meter: Arc::new(ifbus_fleet::NoMeter),
        check: Rc::new(move |_: &ServerSpec, _: Option<&ServerSpec>, instance| {
            let panics = Rc::clone(&panics);
            Ok(Rc::new(move |seed| {
                let (agent, panics) = (Agent::new(options(), instance, seed), Rc::clone(&panics));
                let out = VecDeque::new();
                Box::new(Bare { agent, out, epoch: Epoch(0), ready: false, panics }) as Box<dyn Adapter>
            }))
        }),
        servers: Arc::new(Mutex::new(BTreeMap::from([(spec.name.clone(), Enrolled::new(spec))]))),
        rooms: Arc::default(),
    };
    let office = universe.kernel().supervise::<Office>("office", seed, Policy::default());
    let counter = Counter::open(office, roster, Arc::clone(&board)).await.expect("the office opens");
    Fleet { control: Arc::new(counter), board, journal }
}

fn options() -> AgentOptions {
    AgentOptions {
        endpoint: SipEndpoint {
            host: "proxy1".to_owned(),
            port: 5060,
            transport: SipTransport::Udp,
            listen: "192.0.2.2:5070".parse().expect("an address"),
            advertise: None,
            credentials: Vec::new(),
            anchor: None,
        },
        domain: "proxy1".to_owned(),
        headers: Vec::new(),
    }
}

impl World<'_> {
    async fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let looked = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(300), looked).await;
        assert!(came.is_ok(), "never came: {what}");
    }

    fn state(&self) -> ServerState {
        let name = "proxy1".parse().expect("a server name");
        self.fleet.board.server(&name).map_or(ServerState::Connecting, |view| view.state)
    }

    fn status(&self, id: CallId) -> Status {
        self.fleet.board.call(id).expect("the call is shown").status
    }

    fn hears(&self, number: &str) -> Vec<String> {
        self.phones.borrow().heard(number).into_iter().collect()
    }

    fn has_event(&self, kind: &str) -> bool {
        let mut reader = self.fleet.journal.reader(Some(0));
        std::iter::from_fn(|| reader.try_next())
            .any(|read| matches!(read, Read::Event(event) if event.fact.kind == kind))
    }

    async fn place(&self, from: &str, to: &str) -> CallId {
        let request = PlaceCall {
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            server: None,
            caller_id: None,
            timeout: Duration::from_secs(30),
            record: false,
            conference: None,
            id: None,
        };
        self.fleet.control.place(request).await.expect("the call is taken").id
    }

    async fn talk(&self) -> CallId {
        let id = self.place("2001", "2002").await;
        self.until("they talk", |world| world.hears("2001") == ["2002"] && world.hears("2002") == ["2001"])
            .await;
        self.until("it is told", |world| world.status(id) == Status::InProgress).await;
        id
    }

    async fn act(&self, id: CallId, verb: Verb) {
        self.fleet.control.act(id, verb).await.expect("the verb is taken");
    }

    async fn over(&self, id: CallId) {
        self.until("the call is over", |world| world.status(id).is_terminal()).await;
        self.until("no phone is left in it", |world| {
            ["2001", "2002", "2003"].iter().all(|number| world.phones.borrow().live(number) == 0)
        })
        .await;
    }
}

#[test]
fn two_phones_talk_are_held_and_hung_up() {
    run(async |world| {
        let id = world.talk().await;
        world.act(id, Verb::Hold { role: None }).await;
        world
            .until("nobody hears anybody", |world| {
                world.hears("2001").is_empty() && world.hears("2002").is_empty()
            })
            .await;
        world.until("the hold is told", |world| world.has_event("call.held")).await;
        world.act(id, Verb::Resume).await;
        world
            .until("they talk again", |world| {
                world.hears("2001") == ["2002"] && world.has_event("call.resumed")
            })
            .await;
        world.act(id, Verb::Hangup).await;
        world.over(id).await;
    });
}

#[test]
fn a_phone_that_hangs_up_ends_the_call_for_both() {
    run(async |world| {
        let id = world.talk().await;
        world.phones.borrow_mut().hang_up("2002");
        world.network.touched();
        world.over(id).await;
    });
}

#[test]
fn a_busy_phone_ends_the_call_and_lets_the_first_one_go() {
    run(async |world| {
        world.phones.borrow_mut().plan("2002", Pickup::Refuses(486, Duration::from_millis(20)));
        let id = world.place("2001", "2002").await;
        world.over(id).await;
    });
}

#[test]
fn an_actor_that_panics_has_its_dialogs_again_and_the_call_goes_on() {
    run(async |world| {
        world.universe.expect_panic("sabotaged");
        let id = world.talk().await;
        world.panics.set(true);
        world.until("the call is adopted", |world| world.has_event("call.adopted")).await;
        assert_eq!(world.hears("2001"), ["2002"], "nobody noticed");
        world.until("the call is known again", |world| world.status(id) == Status::InProgress).await;
        world.act(id, Verb::Hold { role: None }).await;
        world.until("nobody hears anybody", |world| world.hears("2001").is_empty()).await;
        world.act(id, Verb::Hangup).await;
        world.over(id).await;
    });
}
