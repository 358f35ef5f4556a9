//! A world of its own for tests and simulations: paused time, one seed, and no patience with surprises.
//!
//! Not for programs that talk to real servers. Next: `tests/`, where it is used.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::{LocalSet, yield_now};

use crate::{Kernel, Options};

/// Virtual time in which all actors must have stopped; rests end early when an actor is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(600);

/// Turns given to canceled futures to be dropped.
const TURNS_TO_DROP: u32 = 1_000;

/// A kernel that fails the test when an actor panicked unexpectedly, did not stop, or left a future behind.
#[derive(Debug)]
pub struct Universe {
    kernel: Kernel,
    expected: RefCell<Vec<String>>,
    closed: Cell<bool>,
}

impl Universe {
    /// Lives through a story in virtual time on a thread of its own scheduler, stops everything and checks.
    pub fn run<T>(seed: u64, story: impl AsyncFnOnce(&Universe) -> T) -> T {
        Self::run_with(Options { seed, ..Options::default() }, story)
    }

    /// As [`Universe::run`], with more to decide.
    pub fn run_with<T>(options: Options, story: impl AsyncFnOnce(&Universe) -> T) -> T {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without sockets needs nothing that could be missing");
        LocalSet::new().block_on(&runtime, async {
            let universe = Universe::new(options);
            let outcome = story(&universe).await;
            universe.close().await;
            outcome
        })
    }

    /// A universe inside a scheduler that is there already. Call [`Universe::close`] at the end.
    pub fn new(options: Options) -> Self {
        Universe { kernel: Kernel::start(options), expected: RefCell::default(), closed: Cell::new(false) }
    }

    /// The kernel to start actors on.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Expects at least one panic whose words contain these, and forgives all of them.
    pub fn expect_panic(&self, words: &str) {
        self.expected.borrow_mut().push(words.to_owned());
    }

    /// Stops all actors in order and fails if one did not stop, left a future behind, or panicked unexpectedly.
    pub async fn close(&self) {
        self.closed.set(true);
        let seed = self.kernel.seed();
        if tokio::time::timeout(STOP_WITHIN, self.kernel.stop()).await.is_err() {
            panic!("seed {seed}: these actors do not stop: {:?}", self.kernel.actors());
        }
        for _ in 0..TURNS_TO_DROP {
            if self.kernel.tasks() == 0 {
                break;
            }
            yield_now().await;
        }
        assert_eq!(self.kernel.tasks(), 0, "seed {seed}: futures outlived their actors");
        self.check_panics();
    }

    fn check_panics(&self) {
        let seed = self.kernel.seed();
        let deaths = self.kernel.deaths();
        let panics: Vec<_> =
            deaths.iter().filter_map(|death| death.exit.panic_text().map(|said| (death, said))).collect();
        let expected = self.expected.borrow();
        for (death, said) in &panics {
            let known = expected.iter().any(|words| said.contains(words.as_str()));
            assert!(known, "seed {seed}: unexpected panic: {death:?}");
        }
        for words in expected.iter() {
            let seen = panics.iter().any(|(_, said)| said.contains(words.as_str()));
            assert!(seen, "seed {seed}: the expected panic {words:?} never came");
        }
    }
}

impl Drop for Universe {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(seed = self.kernel.seed(), "the story failed");
            return;
        }
        let left: Vec<_> = self.kernel.actors().into_iter().map(|actor| actor.name).collect();
        assert!(self.closed.get() || left.is_empty(), "the universe was left with living actors: {left:?}");
        if !self.closed.get() {
            self.check_panics();
        }
    }
}
