//! A fleet over doubles in memory and virtual time: same seed, same history, no sockets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::host::Hosted;
use ifbus_call::{CallId, InstanceId};
use ifbus_doubles::asterisk::{self, Door, Options, Profile};
use ifbus_fleet::store::Store;
use ifbus_fleet::view::{ServerState, Status};
use ifbus_fleet::{Fleet, Read};
use ifbus_links::Network;
use ifbus_links::simulated::Simulated;
use ifbus_supervision::Universe;

use crate::orchestrator::{self, Set, Wrap, spec};

/// Who we are here.
pub const INSTANCE: InstanceId = InstanceId(0x1fb5);

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

/// What a story can touch.
pub struct World {
    /// The network.
    pub network: Simulated,
    /// The doubles.
    pub servers: BTreeMap<String, Rc<RefCell<Pbx>>>,
    /// The fleet.
    pub fleet: Fleet,
}

/// What a world is made of.
pub struct Plan<'a> {
    /// The seed of everything.
    pub seed: u64,
    /// The servers.
    pub names: &'a [&'a str],
    /// With ARI, or AMI alone.
    pub ari: bool,
    /// Whether SIP is asked for a sign of life.
    pub sip: bool,
    /// Stands before the adapters.
    pub wrap: Option<Wrap>,
    /// Stands before the network.
    pub wire: Option<fn(Simulated) -> Rc<dyn Network>>,
}

/// Lives through a story with these servers, all connected.
pub fn run<T>(plan: Plan<'_>, story: impl AsyncFnOnce(&World) -> T) -> T {
    Universe::run(plan.seed, async |universe| {
        let network = Simulated::new(Duration::from_millis(1));
        let mut servers = BTreeMap::new();
        for name in plan.names {
            let options = Options::new(Profile::V22).with_seed(plan.seed).with_phones(2000..=9999);
            let pbx =
                Rc::new(RefCell::new(Hosted::new(asterisk::Asterisk::new(options, network.now()), door)));
            network.put(name, pbx.clone());
            servers.insert((*name).to_owned(), pbx);
        }
        let ports = (5038, if plan.ari { 8088 } else { 0 });
        let set = Set {
            instance: INSTANCE,
            servers: plan.names.iter().map(|name| spec(name, name, ports, plan.sip)).collect(),
            store: Store::forgetful(),
            enrolled: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            network: plan.wire.map_or_else(|| Rc::new(network.clone()) as _, |wire| wire(network.clone())),
            wrap: plan.wrap,
        };
        let fleet = orchestrator::open(universe.kernel(), set).await;
        let world = World { network, servers, fleet };
        for name in plan.names {
            world.until(|world| orchestrator::state(&world.fleet, name) == ServerState::Up).await;
        }
        story(&world).await
    })
}

impl World {
    /// Waits until it is so; a virtual hour is for ever.
    pub async fn until(&self, so: impl Fn(&Self) -> bool) {
        for _ in 0..3_600_000 {
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("what a bench waits for never came");
    }

    /// Places calls, `pause` apart, and waits until all of them talk.
    pub async fn talk(&self, count: usize, pause: Duration) -> Vec<CallId> {
        let mut reader = self.fleet.journal.reader(None);
        let mut calls = Vec::with_capacity(count);
        for n in 0..count {
            let numbers = [2000 + (2 * n) % 8000, 2001 + (2 * n) % 8000].map(|number| number.to_string());
            let placed = orchestrator::place(&self.fleet, &numbers[0], &numbers[1]).await;
            calls.push(placed.expect("the call is taken"));
            tokio::time::sleep(pause).await;
        }
        let mut answered = 0;
        while answered < count {
            match reader.next().await {
                Some(Read::Event(event)) if event.fact.kind == "call.answered" => answered += 1,
                Some(Read::Event(event)) if event.fact.kind == "call.ended" => panic!("{}", event.fact.text),
                Some(_) => {}
                None => panic!("the journal is gone"),
            }
        }
        for call in &calls {
            let view = self.fleet.board.call(*call).expect("it is shown");
            assert_eq!(view.status, Status::InProgress);
        }
        calls
    }

    /// Hangs them up and waits until the servers are empty.
    pub async fn hang_up(&self, calls: &[CallId]) {
        let before = self.channels();
        for call in calls {
            orchestrator::hang_up(&self.fleet, *call).await;
        }
        self.until(|world| world.channels() + 2 * calls.len() <= before).await;
    }

    /// Channels on all servers.
    pub fn channels(&self) -> usize {
        self.servers.values().map(|pbx| pbx.borrow().double.stats().channels).sum()
    }
}
