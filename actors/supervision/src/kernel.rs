//! Where a program starts: the root of the tree, the register of the living, and the clock all actors share.
//!
//! Holds no policy of its own: the root restarts nothing, it only hears of those that gave up. Next: `watchdog.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::cell::{Cell, Child, Signal, lock};
use crate::exit::contain;
use crate::supervised::{Parent, Supervised};
use crate::watchdog::{Pulse, Watch, Watchdog};
use crate::{
    ActorInfo, ActorName, Address, Behavior, Escalation, Exit, Policy, Recipient, Standing, Strategy, World,
};

/// Deaths kept for the status page; older ones live on in the counters only.
const DEATHS_KEPT_MAX: usize = 1_000;

/// How a kernel is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Decides every actor's chance. The same seed gives the same run, as far as the world outside allows.
    pub seed: u64,
    /// What the death of one top-level actor does to those started after it.
    pub strategy: Strategy,
    /// Looks for frozen arbiters; none in a simulation, where it would be the only thing that is not deterministic.
    pub watchdog: Option<Watchdog>,
    /// Is told when a top-level actor has given up, with its last death: nothing above it is left to cure it.
    pub gave_up: Option<Recipient<Death>>,
}

/// One death in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// When, since the kernel's start.
    pub at: Duration,
    /// Who.
    pub actor: ActorName,
    /// Why.
    pub exit: Exit,
}

/// The root of all actors. Cheap to clone, readable from any thread; actors are started on the thread of its arbiter.
#[derive(Clone)]
pub struct Kernel {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    strategy: Strategy,
    start: Instant,
    root: Arc<Cell>,
    pulse: Arc<Pulse>,
    watch: OnceLock<Watch>,
    next_id: AtomicU64,
    living: Mutex<BTreeMap<u64, Arc<Cell>>>,
    record: Mutex<Record>,
    arbiters: Mutex<Vec<ArbiterHandle>>,
    tasks: Arc<()>,
}

#[derive(Default)]
struct Record {
    recent: VecDeque<Death>,
    totals: BTreeMap<&'static str, u64>,
}

impl Kernel {
    /// Starts a kernel on the present thread, which must run an actix system or a tokio `LocalSet`.
    pub fn start(options: Options) -> Self {
        let root = Arc::new(Cell::new(0, "".into()));
        let kernel = Kernel {
            inner: Arc::new(Inner {
                seed: options.seed,
                strategy: options.strategy,
                start: Instant::now(),
                root: root.clone(),
                pulse: Arc::new(Pulse::new("main")),
                watch: OnceLock::new(),
                next_id: AtomicU64::new(1),
                living: Mutex::default(),
                record: Mutex::default(),
                arbiters: Mutex::default(),
                tasks: Arc::new(()),
            }),
        };
        let seed = RootSeed { strategy: options.strategy, gave_up: options.gave_up };
        let home = Home { kernel: kernel.clone(), cell: root, pulse: kernel.inner.pulse.clone() };
        run::<Root>(home, None, seed, Policy::default());
        if let Some(watchdog) = options.watchdog {
            let inner = Arc::downgrade(&kernel.inner);
            let find = move |id| lock(&inner.upgrade()?.living).get(&id).cloned();
            let watch = Watch::start(watchdog, find);
            watch.add(kernel.inner.pulse.clone());
            // set once, right here
            let _ = kernel.inner.watch.set(watch);
        }
        kernel
    }

    /// Starts a top-level actor on the present thread, which must be the kernel's. A name in use is a bug and panics.
    pub fn supervise<B: Behavior>(&self, name: &str, seed: B::Seed, policy: Policy) -> Address<B> {
        let (address, child) = self.root_home().start_child(name, seed, policy, self.inner.strategy);
        self.adopt(child);
        address
    }

    /// Starts a top-level actor on another arbiter, from any thread. A name in use is a bug and panics.
    pub fn supervise_on<B: Behavior>(
        &self,
        arbiter: &Arbiter,
        name: &str,
        seed: B::Seed,
        policy: Policy,
    ) -> Address<B>
    where
        B::Seed: Send,
    {
        let (home, parent) = self.root_home().child(name, self.inner.strategy);
        let home = Home { pulse: arbiter.pulse.clone(), ..home };
        let cell = home.cell.clone();
        #[expect(clippy::disallowed_methods, reason = "this crate is where actors are started")]
        let addr = Supervised::start_in_arbiter(&arbiter.handle, move |_context| {
            Supervised::new(home, Some(parent), seed, policy)
        });
        self.adopt(Child::new(cell.clone()));
        Address::new(addr, cell)
    }

    /// A further arbiter on its own thread, for work that would hold up the deciding actors. Needs an actix system. It
    /// has its own clock if time is paused, so a simulation uses none.
    pub fn arbiter(&self, name: &str) -> Arbiter {
        let handle = actix::Arbiter::new().handle();
        let pulse = Arc::new(Pulse::new(name));
        lock(&self.inner.arbiters).push(handle.clone());
        if let Some(watch) = self.inner.watch.get() {
            let (watch, pulse) = (watch.clone(), pulse.clone());
            handle.spawn_fn(move || watch.add(pulse));
        }
        Arbiter { handle, pulse }
    }

    /// Stops one actor wherever it is in the tree, its children before it.
    pub fn stop_actor<B: Behavior>(&self, address: &Address<B>) {
        address.cell().signal(Signal::Stop);
    }

    /// Stops all actors, the one started last first, and returns when the last is over. Then the further arbiters end.
    pub async fn stop(&self) {
        self.inner.root.signal(Signal::Stop);
        let mut watch = self.inner.root.watch();
        let _ = watch.wait_for(|standing| *standing == Standing::Stopped).await;
        for arbiter in lock(&self.inner.arbiters).drain(..) {
            arbiter.stop();
        }
    }

    /// Time since the kernel's start on the tokio clock.
    pub fn now(&self) -> Duration {
        self.inner.start.elapsed()
    }

    /// All living actors by path, those that gave up included.
    pub fn actors(&self) -> Vec<ActorInfo> {
        let mut actors: Vec<_> = lock(&self.inner.living).values().map(|cell| cell.info()).collect();
        actors.sort_by(|a, b| a.name.cmp(&b.name));
        actors
    }

    /// Deaths of all actors that ever lived, by [`Exit::reason`]. Only grows.
    pub fn totals(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.inner.record).totals.clone()
    }

    /// The latest deaths, oldest first, at most a thousand.
    pub fn deaths(&self) -> Vec<Death> {
        lock(&self.inner.record).recent.iter().cloned().collect()
    }

    /// Timers and futures of actors that are still under way, those being canceled included.
    pub fn tasks(&self) -> usize {
        Arc::strong_count(&self.inner.tasks) - 1
    }

    /// The seed this kernel was started with.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    fn root_home(&self) -> Home {
        Home { kernel: self.clone(), cell: self.inner.root.clone(), pulse: self.inner.pulse.clone() }
    }

    fn adopt(&self, child: Child) {
        if self.inner.root.standing() == Standing::Stopped {
            child.cell.signal(Signal::Stop);
        }
        self.inner.root.signal(Signal::Adopt(child));
    }

    /// Gives out a new name; a clash among those not yet told to stop is a bug of the caller.
    fn enroll(&self, name: ActorName) -> Arc<Cell> {
        let cell = Arc::new(Cell::new(self.inner.next_id.fetch_add(1, Ordering::Relaxed), name));
        let mut living = lock(&self.inner.living);
        let clash = living.values().any(|known| known.name == cell.name && !known.is_doomed());
        if !clash {
            living.insert(cell.id, cell.clone());
        }
        drop(living);
        assert!(!clash, "an actor named {} is already alive", cell.name);
        cell
    }

    pub(crate) fn forget(&self, id: u64) {
        lock(&self.inner.living).remove(&id);
    }

    pub(crate) fn count_task(&self) -> Arc<()> {
        self.inner.tasks.clone()
    }

    pub(crate) fn note_death(&self, actor: &ActorName, exit: &Exit) {
        if exit.panic_text().is_some() {
            tracing::error!(%actor, reason = exit.reason(), %exit, "an actor panicked");
        } else {
            tracing::debug!(%actor, reason = exit.reason(), %exit, "an actor ended");
        }
        let death = Death { at: self.now(), actor: actor.clone(), exit: exit.clone() };
        let mut record = lock(&self.inner.record);
        *record.totals.entry(exit.reason()).or_default() += 1;
        if record.recent.len() == DEATHS_KEPT_MAX {
            record.recent.pop_front();
        }
        record.recent.push_back(death);
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel(seed {}, {} actors)", self.seed(), lock(&self.inner.living).len())
    }
}

/// A further thread with a scheduler of its own.
#[derive(Clone)]
pub struct Arbiter {
    handle: ArbiterHandle,
    pulse: Arc<Pulse>,
}

impl fmt::Debug for Arbiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arbiter({})", self.pulse.name)
    }
}

/// Where an actor belongs: its kernel, its cell, its arbiter.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) kernel: Kernel,
    pub(crate) cell: Arc<Cell>,
    pub(crate) pulse: Arc<Pulse>,
}

impl Home {
    /// Runs code of the behavior: its panic becomes an error and the watchdog knows who is at work.
    pub(crate) fn contain<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        self.pulse.during(self.cell.id, || contain(work))
    }

    pub(crate) fn start_child<C: Behavior>(
        &self,
        name: &str,
        seed: C::Seed,
        policy: Policy,
        strategy: Strategy,
    ) -> (Address<C>, Child) {
        let (home, parent) = self.child(name, strategy);
        let child = Child::new(home.cell.clone());
        (run(home, Some(parent), seed, policy), child)
    }

    fn child(&self, name: &str, strategy: Strategy) -> (Home, Parent) {
        let path =
            if self.cell.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.cell.name) };
        let home = Home { cell: self.kernel.enroll(path.into()), ..self.clone() };
        (home, Parent { cell: self.cell.clone(), strategy })
    }
}

fn run<B: Behavior>(home: Home, parent: Option<Parent>, seed: B::Seed, policy: Policy) -> Address<B> {
    let context = Context::new();
    let cell = home.cell.clone();
    let future = context.into_future(Supervised::new(home, parent, seed, policy));
    let address = Address::new(future.address(), cell);
    actix_rt::spawn(future);
    address
}

/// A generator that depends on the seed, the actor and its life only: one actor more changes no other's chance.
pub(crate) fn generator(seed: u64, name: &str, life: u64) -> StdRng {
    // FNV-1a: stable across platforms and releases, unlike the standard library's hasher
    let hash = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let start = seed.to_le_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash);
    let named = name.as_bytes().iter().fold(start, hash);
    StdRng::seed_from_u64(life.to_le_bytes().iter().fold(named, hash))
}

// === the root ===

struct Root {
    gave_up: Option<Recipient<Death>>,
}

struct RootSeed {
    strategy: Strategy,
    gave_up: Option<Recipient<Death>>,
}

impl Behavior for Root {
    type Seed = RootSeed;
    type State = ();

    fn born(seed: &RootSeed, _world: &mut World<Self>) -> Self {
        Root { gave_up: seed.gave_up.clone() }
    }

    fn state(&self) {}

    fn strategy(seed: &RootSeed) -> Strategy {
        seed.strategy
    }

    fn child_gave_up(&mut self, child: &ActorName, last: &Exit, world: &mut World<Self>) -> Escalation {
        if let Some(listener) = &self.gave_up {
            listener.tell(Death { at: world.now(), actor: child.clone(), exit: last.clone() });
        }
        Escalation::Keep
    }
}
