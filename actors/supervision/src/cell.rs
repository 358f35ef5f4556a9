//! What the outside sees of an actor: its standing, its record, and the signals it is sent.
//!
//! Signals are the supervisors' own channel: they overtake messages and reach an actor that holds its mailbox. A cell
//! outlives its actor for as long as someone has the address. Next: `supervised.rs`, which reads the signals.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::watch;

use crate::{ActorName, Down, Exit};

/// Where an actor stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Not born yet.
    Starting,
    /// An instance handles messages.
    Running,
    /// Between two lives; messages wait.
    Restarting,
    /// Died too often; messages are refused.
    GaveUp,
    /// Stops its children, last to first; messages are refused.
    Stopping,
    /// Over.
    Stopped,
}

/// One line of the status page.
#[derive(Clone, Debug)]
pub struct ActorInfo {
    /// The actor's path.
    pub name: ActorName,
    /// Where it stands.
    pub standing: Standing,
    /// Births after the first one.
    pub restarts: u64,
    /// Deaths by [`Exit::reason`].
    pub deaths: BTreeMap<&'static str, u64>,
    /// The last death, if there was one.
    pub last_exit: Option<Exit>,
    /// How often the watchdog found it holding its arbiter.
    pub freezes: u64,
    /// Messages waiting in its mailbox.
    pub waiting: usize,
}

/// What one supervisor tells another actor.
#[derive(Debug)]
pub(crate) enum Signal {
    Stop,
    /// Rest-for-one: end this life and wait for `Revive`.
    Suspend,
    Revive,
    FuturePanicked {
        life: u64,
        said: String,
    },
    /// A child was started from outside the instance.
    Adopt(Child),
    FromChild(u64, News),
}

/// What a child tells its parent.
#[derive(Debug)]
pub(crate) enum News {
    Born,
    Died,
    Suspended,
    GaveUp(Exit),
    Stopped,
}

/// A child as its parent knows it.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) cell: Arc<Cell>,
    pub(crate) state: ChildState,
}

/// How a child fares, as far as its parent was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildState {
    Up,
    /// Rest-for-one: was told to rest and has not said yet that it does.
    Suspending,
    /// Rest-for-one: between two lives, waiting for its turn.
    Down,
    /// Rest-for-one: was told to be born again.
    Reviving,
    GaveUp,
}

impl Child {
    pub(crate) fn new(cell: Arc<Cell>) -> Self {
        Child { cell, state: ChildState::Up }
    }

    /// True while those after it must wait.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.state, ChildState::Suspending | ChildState::Down | ChildState::Reviving)
    }

    /// Rest-for-one: tells it to rest, once.
    pub(crate) fn suspend(&mut self) {
        if matches!(self.state, ChildState::Up | ChildState::Reviving) {
            self.state = ChildState::Suspending;
            self.cell.signal(Signal::Suspend);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: u64,
    pub(crate) name: ActorName,
    pub(crate) waiting: AtomicUsize,
    /// Set by the watchdog, taken by the actor when its handler comes back.
    pub(crate) frozen: AtomicBool,
    standing: watch::Sender<Standing>,
    record: Mutex<Record>,
    desk: Mutex<Desk>,
    /// There is a signal on the desk: read without the lock, once per message.
    urgent: AtomicBool,
    /// Was told to stop, even if it has not read it yet.
    doomed: AtomicBool,
}

#[derive(Debug, Default)]
struct Record {
    births: u64,
    deaths: BTreeMap<&'static str, u64>,
    last: Option<Exit>,
    freezes: u64,
}

#[derive(Debug, Default)]
struct Desk {
    signals: VecDeque<Signal>,
    waker: Option<Waker>,
}

impl Cell {
    pub(crate) fn new(id: u64, name: ActorName) -> Self {
        Cell {
            id,
            name,
            waiting: AtomicUsize::new(0),
            frozen: AtomicBool::new(false),
            standing: watch::Sender::new(Standing::Starting),
            record: Mutex::default(),
            desk: Mutex::default(),
            urgent: AtomicBool::new(false),
            doomed: AtomicBool::new(false),
        }
    }

    // === signals ===

    pub(crate) fn signal(&self, signal: Signal) {
        if matches!(signal, Signal::Stop) {
            self.doomed.store(true, Ordering::Relaxed);
        }
        let waker = {
            let mut desk = lock(&self.desk);
            desk.signals.push_back(signal);
            self.urgent.store(true, Ordering::Release);
            desk.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Who is to be woken by the next signal.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut desk = lock(&self.desk);
        if !desk.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            desk.waker = Some(waker.clone());
        }
    }

    pub(crate) fn next_signal(&self) -> Option<Signal> {
        if !self.urgent.load(Ordering::Acquire) {
            return None;
        }
        let mut desk = lock(&self.desk);
        let signal = desk.signals.pop_front();
        self.urgent.store(!desk.signals.is_empty(), Ordering::Release);
        signal
    }

    /// True from the moment it was told to stop.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Relaxed) || self.standing() >= Standing::Stopping
    }

    // === standing and record ===

    pub(crate) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    pub(crate) fn stand(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub(crate) fn note_birth(&self) {
        lock(&self.record).births += 1;
    }

    pub(crate) fn note_death(&self, exit: &Exit) {
        let mut record = lock(&self.record);
        *record.deaths.entry(exit.reason()).or_default() += 1;
        // being stopped is no news about an actor that had given up
        let known = *exit == Exit::Stopped && record.last == Some(Exit::GaveUp);
        if !known {
            record.last = Some(exit.clone());
        }
    }

    pub(crate) fn note_freeze(&self) {
        lock(&self.record).freezes += 1;
    }

    pub(crate) fn last_exit(&self) -> Option<Exit> {
        lock(&self.record).last.clone()
    }

    /// The answer for someone whose request was dropped without one.
    pub(crate) fn down(&self) -> Down {
        let actor = self.name.clone();
        if self.last_exit() == Some(Exit::GaveUp) {
            Down::GaveUp { actor }
        } else if self.standing() >= Standing::Stopping {
            Down::Stopped { actor }
        } else {
            Down::Unanswered { actor }
        }
    }

    pub(crate) fn info(&self) -> ActorInfo {
        let record = lock(&self.record);
        ActorInfo {
            name: self.name.clone(),
            standing: self.standing(),
            restarts: record.births.saturating_sub(1),
            deaths: record.deaths.clone(),
            last_exit: record.last.clone(),
            freezes: record.freezes,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

/// Locks even if a panic passed by: what these locks guard is whole after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
