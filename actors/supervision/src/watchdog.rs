//! A plain thread that pings every arbiter and names who holds one up.
//!
//! It cannot pre-empt a handler that never returns; it can only say so. Uses the real clock, never the pausable one.
//! Next: `docs/SUPERVISION.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::cell::Cell;
use crate::{ActorName, Recipient};

/// Looks taken within one threshold: a stalled machine stalls the watchdog too, and one late look proves nothing.
const LOOKS: u32 = 4;

/// How frozen arbiters are found.
#[derive(Clone, Debug)]
pub struct Watchdog {
    /// An arbiter that answers nothing for this long is frozen. At least 4 ms.
    pub threshold: Duration,
    /// What happens to the culprit.
    pub when_frozen: WhenFrozen,
    /// Is told once per freeze, on the watchdog's thread.
    pub report: Recipient<Freeze>,
}

/// What happens to an actor that held its arbiter beyond the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFrozen {
    /// It is reported and counted.
    #[default]
    Report,
    /// Besides, it dies with `Exit::Frozen` as soon as its handler returns, so that a habit ends in giving up.
    Restart,
}

/// An arbiter that answers nothing.
#[derive(Clone, Debug)]
pub struct Freeze {
    /// Which arbiter; the kernel's own is `main`.
    pub arbiter: String,
    /// Whose code has been running all the time, if it was one actor's.
    pub actor: Option<ActorName>,
    /// Since when at least (real clock).
    pub since: Instant,
}

/// What an arbiter shows of itself without being asked. Written by its own thread only.
#[derive(Debug)]
pub(crate) struct Pulse {
    pub(crate) name: String,
    /// Grows at each entry into and return from an actor's code; odd while inside.
    turn: AtomicU64,
    actor: AtomicU64,
    answered: AtomicU64,
}

impl Pulse {
    pub(crate) fn new(name: &str) -> Self {
        Pulse {
            name: name.to_owned(),
            turn: AtomicU64::new(0),
            actor: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    /// Runs an actor's code under its id. Never nested, and the work must not unwind.
    pub(crate) fn during<T>(&self, actor: u64, work: impl FnOnce() -> T) -> T {
        let turn = self.turn.load(Ordering::Relaxed);
        self.actor.store(actor, Ordering::Relaxed);
        self.turn.store(turn + 1, Ordering::Release);
        let result = work();
        self.turn.store(turn + 2, Ordering::Release);
        result
    }
}

/// The running watchdog. Ends when its last handle is dropped.
#[derive(Clone)]
pub(crate) struct Watch {
    arbiters: Sender<Watched>,
}

struct Watched {
    pulse: Arc<Pulse>,
    ping: mpsc::UnboundedSender<u64>,
    sent: u64,
    sent_at: Instant,
    turn: u64,
    missed: u32,
}

impl Watch {
    pub(crate) fn start(
        watchdog: Watchdog,
        find: impl Fn(u64) -> Option<Arc<Cell>> + Send + 'static,
    ) -> Watch {
        let (arbiters, added) = channel();
        let patrol = move || patrol(&watchdog, &added, &find);
        if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(patrol) {
            tracing::error!(%error, "the watchdog could not be started; frozen arbiters stay unseen");
        }
        Watch { arbiters }
    }

    /// Watches the present thread's arbiter.
    pub(crate) fn add(&self, pulse: Arc<Pulse>) {
        let (ping, mut pings) = mpsc::unbounded_channel();
        let answering = pulse.clone();
        actix_rt::spawn(async move {
            while let Some(number) = pings.recv().await {
                answering.answered.store(number, Ordering::Release);
            }
        });
        let watched = Watched { pulse, ping, sent: 0, sent_at: Instant::now(), turn: 0, missed: 0 };
        let _ = self.arbiters.send(watched);
    }
}

fn patrol(watchdog: &Watchdog, added: &Receiver<Watched>, find: &impl Fn(u64) -> Option<Arc<Cell>>) {
    let look = (watchdog.threshold / LOOKS).max(Duration::from_millis(1));
    let mut arbiters: Vec<Watched> = Vec::new();
    let mut next = Instant::now() + look;
    loop {
        match added.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(arbiter) => arbiters.push(arbiter),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + look;
                arbiters.retain_mut(|arbiter| arbiter.look(watchdog, find));
            }
        }
    }
}

impl Watched {
    /// Looks once. False when the arbiter is gone.
    fn look(&mut self, watchdog: &Watchdog, find: &impl Fn(u64) -> Option<Arc<Cell>>) -> bool {
        if self.pulse.answered.load(Ordering::Acquire) == self.sent {
            if self.missed >= LOOKS {
                tracing::warn!(arbiter = self.pulse.name, after = ?self.sent_at.elapsed(), "the arbiter goes on");
            }
            self.missed = 0;
            self.sent += 1;
            self.sent_at = Instant::now();
            self.turn = self.pulse.turn.load(Ordering::Acquire);
            return self.ping.send(self.sent).is_ok();
        }
        // the turn is taken one look after the ping: what was running at the ping may have ended rightly
        if self.missed == 0 {
            self.turn = self.pulse.turn.load(Ordering::Acquire);
        }
        self.missed = self.missed.saturating_add(1);
        if self.missed == LOOKS {
            self.report(watchdog, find);
        }
        !self.ping.is_closed()
    }

    fn report(&self, watchdog: &Watchdog, find: &impl Fn(u64) -> Option<Arc<Cell>>) {
        let inside = self.turn % 2 == 1 && self.turn == self.pulse.turn.load(Ordering::Acquire);
        let culprit = inside.then(|| self.pulse.actor.load(Ordering::Relaxed)).and_then(find);
        if let Some(culprit) = &culprit {
            culprit.note_freeze();
            if watchdog.when_frozen == WhenFrozen::Restart {
                culprit.frozen.store(true, Ordering::Relaxed);
            }
        }
        let freeze = Freeze {
            arbiter: self.pulse.name.clone(),
            actor: culprit.map(|culprit| culprit.name.clone()),
            since: self.sent_at,
        };
        tracing::error!(arbiter = freeze.arbiter, actor = ?freeze.actor, "an arbiter is frozen");
        watchdog.report.tell(freeze);
    }
}
