//! A behavior's only door to the outside: time, chance, timers, futures and children of one life.
//!
//! A world lives exactly as long as its instance: timers and futures end with it. It has no sockets and no files; those
//! come in through the seed. Next: `supervised.rs`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::{AbortHandle, JoinSet};

use crate::address::Own;
use crate::cell::{Child, Signal};
use crate::exit::contain;
use crate::kernel::{Home, generator};
use crate::{ActorName, Address, Behavior, On, Policy, Strategy};

/// What one instance may do beyond its own fields.
pub struct World<B: Behavior> {
    home: Home,
    me: Address<B>,
    life: u64,
    strategy: Strategy,
    rng: StdRng,
    tasks: JoinSet<()>,
    pub(crate) children: Vec<Child>,
    pub(crate) stopping: bool,
}

impl<B: Behavior> World<B> {
    pub(crate) fn new(home: Home, me: Address<B>, life: u64, strategy: Strategy) -> Self {
        // another life draws other numbers, so that chance cannot repeat what killed the last one
        let rng = generator(home.kernel.seed(), me.name(), life);
        World { home, me, life, strategy, rng, tasks: JoinSet::new(), children: Vec::new(), stopping: false }
    }

    /// Time since the kernel's start, on the tokio clock of this arbiter (pausable in tests).
    pub fn now(&self) -> Duration {
        self.home.kernel.now()
    }

    /// This actor's own stream of chance, decided by the kernel's seed, the actor's path and the life.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// This actor's address.
    pub fn me(&self) -> &Address<B> {
        &self.me
    }

    /// This actor's path.
    pub fn name(&self) -> &ActorName {
        self.me.name()
    }

    /// The number of this life, from 1. It only grows, so it can mark what belongs to an older instance.
    pub fn life(&self) -> u64 {
        self.life
    }

    // === timers and futures ===

    /// Sends a message to this instance after `delay`, unless it is canceled or the instance dies first.
    pub fn after<M: Send + 'static>(&mut self, delay: Duration, message: M) -> Timer
    where
        B: On<M>,
    {
        self.deliver(async move {
            tokio::time::sleep(delay).await;
            message
        })
    }

    /// Runs a future beside the mailbox and sends its output to this instance. Its panic kills the instance.
    pub fn spawn<M: Send + 'static>(&mut self, future: impl Future<Output = M> + 'static) -> Task
    where
        B: On<M>,
    {
        self.deliver(future)
    }

    /// Runs a future beside the mailbox for what it does, not for what it returns. Its panic kills the instance.
    pub fn run(&mut self, future: impl Future<Output = ()> + 'static) -> Task {
        self.start(future, |(), _canceled| {})
    }

    fn deliver<M: Send + 'static>(&mut self, future: impl Future<Output = M> + 'static) -> Task
    where
        B: On<M>,
    {
        let (me, life) = (self.me.clone(), self.life);
        self.start(future, move |message, canceled| me.post(Own { message, life, canceled }))
    }

    fn start<F: Future + 'static>(
        &mut self,
        future: F,
        done: impl FnOnce(F::Output, Arc<AtomicBool>) + 'static,
    ) -> Task {
        while self.tasks.try_join_next().is_some() {}
        let (home, life) = (self.home.clone(), self.life);
        let canceled = Arc::new(AtomicBool::new(false));
        let flag = canceled.clone();
        let counted = home.kernel.count_task();
        let abort = self.tasks.spawn_local(async move {
            let _counted = counted;
            match contained(&home, future).await {
                Ok(output) => done(output, flag),
                Err(said) => home.cell.signal(Signal::FuturePanicked { life, said }),
            }
        });
        Task { canceled, abort }
    }

    // === children and the end ===

    /// Starts a child under this instance. It is stopped when this instance ends, after those supervised later. Its name
    /// must not be in use by a living child: a clash is a bug and panics.
    pub fn supervise<C: Behavior>(&mut self, name: &str, seed: C::Seed, policy: Policy) -> Address<C> {
        let (address, mut child) = self.home.start_child(name, seed, policy, self.strategy);
        // what comes after a sibling that is down waits for it; one-for-one parents await none
        if self.children.iter().any(Child::is_awaited) {
            child.suspend();
        }
        self.children.push(child);
        address
    }

    /// Stops a child of this instance, and its own children before it. False if it is no child of this instance.
    pub fn stop_child<C: Behavior>(&mut self, child: &Address<C>) -> bool {
        let mine = self.children.iter().any(|known| known.cell.id == child.cell().id);
        if mine {
            child.cell().signal(Signal::Stop);
        }
        mine
    }

    /// Stops this actor once the present handler has returned. What waits in the mailbox is answered `Down::Stopped`.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends timers and futures while the instance still waits for its children.
    pub(crate) fn silence(&mut self) {
        self.tasks.abort_all();
    }
}

impl<B: Behavior> fmt::Debug for World<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({}, life {})", self.name(), self.life)
    }
}

/// Polls and drops a future so that its panic is an error here and nowhere else.
async fn contained<F: Future>(home: &Home, future: F) -> Result<F::Output, String> {
    let mut future = Box::pin(future);
    let outcome = {
        let mut polling = pin!(poll_fn(|context| match home.contain(|| future.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(said) => Poll::Ready(Err(said)),
        }));
        polling.as_mut().await
    };
    let dropped = home.contain(|| drop(future));
    match (outcome, dropped) {
        (Ok(output), Ok(())) => Ok(output),
        (Ok(output), Err(said)) => {
            let _ = contain(|| drop(output));
            Err(said)
        }
        (Err(said), _) => Err(said),
    }
}

/// A future under way. Dropping the handle changes nothing; the future ends with the instance.
#[derive(Clone, Debug)]
pub struct Task {
    canceled: Arc<AtomicBool>,
    abort: AbortHandle,
}

/// A message to self that is still to come.
pub type Timer = Task;

impl Task {
    /// Ends it. After this call its message is not handled, even if it lies in the mailbox already.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::Relaxed);
        self.abort.abort();
    }
}
