//! The one generic actix actor: holds the mailbox, contains panics, and gives a behavior its lives.
//!
//! It decides nothing about the fleet and never blocks. While no instance lives the mailbox is held, not drained, and
//! signals still come through. Next: `kernel.rs`, where one is started.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, ActorState, AsyncContext, Context, Handler};
use rand::rngs::StdRng;
use tokio::time::Sleep;

use crate::address::{Letter, Parcel};
use crate::cell::{Cell, Child, ChildState, News, Signal};
use crate::exit::contain;
use crate::kernel::{Home, generator};
use crate::policy::{Verdict, Window};
use crate::{Address, Behavior, Down, Escalation, Exit, Policy, Standing, Strategy, World};

/// Messages handled in one go before other actors of the arbiter get their turn: actix alone would drain the mailbox
/// to its end, and an actor that tells itself would never let go.
const MESSAGES_AT_ONCE_MAX: u32 = 64;

pub(crate) struct Supervised<B: Behavior> {
    seed: B::Seed,
    home: Home,
    parent: Option<Parent>,
    strategy: Strategy,
    window: Window,
    rng: StdRng,
    phase: Phase,
    life: Option<Life<B>>,
    lives: u64,
    /// Children of an instance that has died; they stop before the next birth.
    orphans: Vec<Child>,
    rest: Option<Pin<Box<Sleep>>>,
    suspended: bool,
    holding: bool,
    handled: u32,
}

/// Who is told, and whether the parent decides when this child may be born again.
pub(crate) struct Parent {
    pub(crate) cell: Arc<Cell>,
    pub(crate) strategy: Strategy,
}

struct Life<B: Behavior> {
    behavior: B,
    world: World<B>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first birth.
    Unborn,
    /// No instance; the mailbox is held until the next birth.
    Down,
    /// An instance handles messages.
    Live,
    /// Every message is refused.
    GaveUp,
    /// The children are stopping, last to first.
    Stopping,
    /// Over.
    Ended,
}

impl<B: Behavior> Supervised<B> {
    pub(crate) fn new(home: Home, parent: Option<Parent>, seed: B::Seed, policy: Policy) -> Self {
        // life 0 is the supervisor's own stream, used for the jitter
        let rng = generator(home.kernel.seed(), &home.cell.name, 0);
        let strategy = contain(|| B::strategy(&seed)).unwrap_or_default();
        Supervised {
            seed,
            home,
            parent,
            strategy,
            window: Window::new(policy),
            rng,
            phase: Phase::Unborn,
            life: None,
            lives: 0,
            orphans: Vec::new(),
            rest: None,
            suspended: false,
            holding: false,
            handled: 0,
        }
    }

    // === birth ===

    fn birth(&mut self, me: Address<B>) {
        self.lives += 1;
        let mut world = World::new(self.home.clone(), me, self.lives, self.strategy);
        match self.home.contain(|| B::born(&self.seed, &mut world)) {
            Ok(behavior) => {
                // those adopted before the first birth; later births find none
                world.children.splice(0..0, self.orphans.drain(..));
                self.life = Some(Life { behavior, world });
                self.phase = Phase::Live;
                self.home.cell.note_birth();
                self.home.cell.stand(Standing::Running);
                self.tell_parent(News::Born);
                self.heed_behavior();
            }
            Err(said) => {
                self.orphans.append(&mut world.children);
                self.die(Exit::BornPanicked(said));
            }
        }
    }

    // === one message ===

    fn receive(&mut self, letter: impl Letter<B>) {
        let Some(life) = self.life.as_mut().filter(|_| self.phase == Phase::Live) else {
            letter.refuse(self.refusal());
            return;
        };
        let outcome = self.home.pulse.during(self.home.cell.id, || {
            if letter.is_stale(self.lives) {
                return contain(|| drop(letter));
            }
            letter.open(&mut life.behavior, &mut life.world)
        });
        match outcome {
            Ok(()) => self.heed_behavior(),
            Err(said) => self.die(Exit::Panicked(said)),
        }
    }

    fn refusal(&self) -> Down {
        let actor = self.home.cell.name.clone();
        match self.phase {
            Phase::GaveUp => Down::GaveUp { actor },
            _ => Down::Stopped { actor },
        }
    }

    /// After each handler: the behavior may have asked to stop, or held the arbiter too long.
    fn heed_behavior(&mut self) {
        if self.life.as_ref().is_some_and(|life| life.world.stopping) {
            self.begin_stop();
        } else if self.home.cell.frozen.swap(false, Ordering::Relaxed) {
            self.die(Exit::Frozen);
        }
    }

    // === death ===

    /// Ends this life and decides about the next one.
    fn die(&mut self, exit: Exit) {
        self.bury();
        self.record(&exit);
        self.phase = Phase::Down;
        self.home.cell.stand(Standing::Restarting);
        self.rest = None;
        if exit == Exit::SiblingDied {
            self.suspended = true;
            self.tell_parent(News::Suspended);
        } else {
            match self.window.judge(self.home.kernel.now(), &mut self.rng) {
                Verdict::Rest(rest) => {
                    self.rest = Some(Box::pin(tokio::time::sleep(rest)));
                    self.suspended = self.parent.as_ref().is_some_and(Parent::decides_rebirth);
                    self.tell_parent(News::Died);
                }
                Verdict::GiveUp => self.give_up(exit),
            }
        }
        self.stop_last_child();
    }

    fn give_up(&mut self, last: Exit) {
        self.phase = Phase::GaveUp;
        self.record(&Exit::GaveUp);
        self.home.cell.stand(Standing::GaveUp);
        tracing::error!(actor = %self.home.cell.name, lives = self.lives, last = %last, "the actor gave up");
        self.tell_parent(News::GaveUp(last));
    }

    /// Drops the instance, its timers and its futures; its children become orphans.
    fn bury(&mut self) {
        let Some(Life { behavior, mut world }) = self.life.take() else { return };
        self.orphans.append(&mut world.children);
        drop(world);
        if let Err(said) = self.home.contain(|| drop(behavior)) {
            self.record(&Exit::DropPanicked(said));
        }
    }

    fn record(&self, exit: &Exit) {
        self.home.cell.note_death(exit);
        self.home.kernel.note_death(&self.home.cell.name, exit);
    }

    fn tell_parent(&self, news: News) {
        if let Some(parent) = &self.parent {
            parent.cell.signal(Signal::FromChild(self.home.cell.id, news));
        }
    }

    // === the end ===

    fn begin_stop(&mut self) {
        if matches!(self.phase, Phase::Stopping | Phase::Ended) {
            return;
        }
        self.phase = Phase::Stopping;
        self.home.cell.stand(Standing::Stopping);
        if let Some(life) = &mut self.life {
            life.world.silence();
        }
        self.stop_last_child();
    }

    fn end(&mut self, exit: &Exit) {
        self.bury();
        self.record(exit);
        self.phase = Phase::Ended;
        self.home.kernel.forget(self.home.cell.id);
        self.home.cell.stand(Standing::Stopped);
        self.tell_parent(News::Stopped);
    }

    // === signals and children ===

    fn heed_signals(&mut self) {
        while let Some(signal) = self.home.cell.next_signal() {
            match signal {
                Signal::Stop => self.begin_stop(),
                Signal::Suspend => self.suspend(),
                Signal::Revive => self.suspended = false,
                Signal::FuturePanicked { life, said } => {
                    if self.phase == Phase::Live && life == self.lives {
                        self.die(Exit::FuturePanicked(said));
                    }
                }
                Signal::Adopt(child) => self.adopt(child),
                Signal::FromChild(id, news) => self.heed_child(id, news),
            }
        }
    }

    fn suspend(&mut self) {
        match self.phase {
            Phase::Live => self.die(Exit::SiblingDied),
            Phase::Unborn | Phase::Down => {
                self.suspended = true;
                self.tell_parent(News::Suspended);
            }
            Phase::GaveUp | Phase::Stopping | Phase::Ended => {}
        }
    }

    fn adopt(&mut self, mut child: Child) {
        if self.phase == Phase::Stopping {
            child.cell.signal(Signal::Stop);
        } else if self.children().iter().any(Child::is_awaited) {
            child.suspend();
        }
        self.children().push(child);
    }

    fn children(&mut self) -> &mut Vec<Child> {
        match &mut self.life {
            Some(life) => &mut life.world.children,
            None => &mut self.orphans,
        }
    }

    fn heed_child(&mut self, id: u64, news: News) {
        let Some(at) = self.children().iter().position(|child| child.cell.id == id) else { return };
        match news {
            News::Stopped => {
                self.children().remove(at);
                self.stop_last_child();
            }
            // one that is suspending will say so yet, whatever else happens to it
            News::Died if self.strategy == Strategy::RestForOne => {
                let children = &mut self.children()[at..];
                if children[0].state != ChildState::Suspending {
                    children[0].state = ChildState::Down;
                }
                children[1..].iter_mut().rev().for_each(Child::suspend);
            }
            News::Born if self.children()[at].state != ChildState::Suspending => {
                self.children()[at].state = ChildState::Up;
            }
            News::Died | News::Born => {}
            News::Suspended => self.children()[at].state = ChildState::Down,
            News::GaveUp(last) => {
                self.children()[at].state = ChildState::GaveUp;
                self.escalate(at, &last);
            }
        }
        if self.phase == Phase::Live {
            self.revive_first_child();
        }
    }

    /// Rest-for-one: the first child that is down is born once all after it are at rest; its birth lets the next go.
    fn revive_first_child(&mut self) {
        let mut rest = self.children().iter_mut().skip_while(|child| !child.is_awaited());
        let Some(first) = rest.next().filter(|child| child.state == ChildState::Down) else { return };
        if rest.all(|child| matches!(child.state, ChildState::Down | ChildState::GaveUp)) {
            first.state = ChildState::Reviving;
            first.cell.signal(Signal::Revive);
        }
    }

    fn escalate(&mut self, at: usize, last: &Exit) {
        let Some(life) = self.life.as_mut().filter(|_| self.phase == Phase::Live) else { return };
        let name = life.world.children[at].cell.name.clone();
        let Life { behavior, world } = life;
        match self.home.contain(|| behavior.child_gave_up(&name, last, world)) {
            Ok(Escalation::Keep) => self.heed_behavior(),
            Ok(Escalation::Die) => self.die(Exit::ChildGaveUp(name)),
            Err(said) => self.die(Exit::Panicked(said)),
        }
    }

    /// Unless an instance lives, children stop one by one, last to first.
    fn stop_last_child(&mut self) {
        if matches!(self.phase, Phase::Unborn | Phase::Live) {
            return;
        }
        if let Some(last) = self.children().last() {
            last.cell.signal(Signal::Stop);
        }
    }

    // === holding the mailbox ===

    /// Holds the mailbox if there is no one to read it, and lets the arbiter breathe if this one read long enough.
    fn settle(&mut self, context: &mut Context<Self>) {
        let open = matches!(self.phase, Phase::Live | Phase::GaveUp);
        if !open && !self.holding {
            self.holding = true;
            context.wait(Hold);
        }
        if self.handled >= MESSAGES_AT_ONCE_MAX {
            self.handled = 0;
            context.wait(Breathe { breathed: false });
        }
    }

    fn hold(&mut self, context: &mut Context<Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        self.home.cell.listen(task.waker());
        loop {
            self.heed_signals();
            let childless = self.children().is_empty();
            match self.phase {
                Phase::Live | Phase::GaveUp | Phase::Ended => return Poll::Ready(()),
                Phase::Stopping | Phase::Down if !childless => return Poll::Pending,
                Phase::Stopping => {
                    self.end(&Exit::Stopped);
                    context.stop();
                    return Poll::Ready(());
                }
                Phase::Unborn | Phase::Down => {
                    if let Some(rest) = &mut self.rest {
                        if rest.as_mut().poll(task).is_pending() {
                            return Poll::Pending;
                        }
                        self.rest = None;
                    }
                    if self.suspended {
                        return Poll::Pending;
                    }
                    self.birth(Address::new(context.address(), self.home.cell.clone()));
                }
            }
        }
    }
}

impl Parent {
    fn decides_rebirth(&self) -> bool {
        self.strategy == Strategy::RestForOne
    }
}

// nothing in it is ever pinned in place; actix moves actors freely
impl<B: Behavior> Unpin for Supervised<B> {}

impl<B: Behavior> Actor for Supervised<B> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // actix also calls this when it is dropped before its first turn; then nobody is to be born
        if context.state() != ActorState::Stopping {
            context.spawn(Listen);
            self.settle(context);
        }
    }

    fn stopped(&mut self, _context: &mut Self::Context) {
        if self.phase != Phase::Ended {
            self.end(&Exit::ArbiterEnded);
        }
    }
}

impl<B: Behavior, L: Letter<B>> Handler<Parcel<L>> for Supervised<B> {
    type Result = ();

    fn handle(&mut self, parcel: Parcel<L>, context: &mut Self::Context) {
        if let Some(letter) = parcel.take() {
            self.receive(letter);
        }
        self.heed_signals();
        self.handled += 1;
        self.settle(context);
    }
}

impl<B: Behavior> fmt::Debug for Supervised<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervised({}, {:?})", self.home.cell.name, self.phase)
    }
}

/// Keeps the mailbox closed until there is an instance again, or none ever.
struct Hold;

impl<B: Behavior> ActorFuture<Supervised<B>> for Hold {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut Supervised<B>,
        context: &mut Context<Supervised<B>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let polled = actor.hold(context, task);
        actor.holding = polled.is_pending();
        polled
    }
}

/// Reads signals while the mailbox is open. Never done before the actor is, which keeps an actor nobody addresses alive.
struct Listen;

impl<B: Behavior> ActorFuture<Supervised<B>> for Listen {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut Supervised<B>,
        context: &mut Context<Supervised<B>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        actor.home.cell.listen(task.waker());
        actor.heed_signals();
        actor.settle(context);
        if actor.phase == Phase::Ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One pause, so that every other actor of the arbiter gets its turn.
struct Breathe {
    breathed: bool,
}

impl<B: Behavior> ActorFuture<Supervised<B>> for Breathe {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        _actor: &mut Supervised<B>,
        _context: &mut Context<Supervised<B>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if self.breathed {
            return Poll::Ready(());
        }
        self.breathed = true;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
