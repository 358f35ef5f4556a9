//! Every way to end has a name: [`Exit`] for the actor, [`Down`] for the one who asked.
//!
//! Also the one place where panics are caught. Next: `policy.rs`, what a death costs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The path of an actor among its ancestors, `server-a/events`.
pub type ActorName = Arc<str>;

/// Why an instance, or the whole actor, ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// Was told to, by itself, its parent or the kernel. Final.
    #[error("stopped")]
    Stopped,
    /// A handler panicked, saying this.
    #[error("a handler panicked: {0}")]
    Panicked(String),
    /// `born` panicked, saying this.
    #[error("panicked at birth: {0}")]
    BornPanicked(String),
    /// A future given to the world panicked, saying this.
    #[error("a future panicked: {0}")]
    FuturePanicked(String),
    /// The instance was ending for another reason and its `Drop` panicked. Noted beside that reason.
    #[error("panicked in drop: {0}")]
    DropPanicked(String),
    /// Held its arbiter beyond the watchdog's threshold, and the watchdog restarts such actors.
    #[error("froze its arbiter")]
    Frozen,
    /// An earlier sibling died and the strategy is rest-for-one.
    #[error("an earlier sibling died")]
    SiblingDied,
    /// This child gave up and the parent did not keep on without it.
    #[error("child {0} gave up")]
    ChildGaveUp(ActorName),
    /// Died more often than its policy allows. Final until its parent starts it anew.
    #[error("gave up")]
    GaveUp,
    /// Its arbiter ended under it. Final.
    #[error("the arbiter ended")]
    ArbiterEnded,
}

impl Exit {
    /// The name of this way to end, as a metric's label.
    pub fn reason(&self) -> &'static str {
        match self {
            Exit::Stopped => "stopped",
            Exit::Panicked(_) => "panicked",
            Exit::BornPanicked(_) => "born_panicked",
            Exit::FuturePanicked(_) => "future_panicked",
            Exit::DropPanicked(_) => "drop_panicked",
            Exit::Frozen => "frozen",
            Exit::SiblingDied => "sibling_died",
            Exit::ChildGaveUp(_) => "child_gave_up",
            Exit::GaveUp => "gave_up",
            Exit::ArbiterEnded => "arbiter_ended",
        }
    }

    /// The panic's own words, if this was one.
    pub fn panic_text(&self) -> Option<&str> {
        match self {
            Exit::Panicked(said)
            | Exit::BornPanicked(said)
            | Exit::FuturePanicked(said)
            | Exit::DropPanicked(said) => Some(said),
            _ => None,
        }
    }
}

/// What an asker gets instead of a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// This very message made the actor panic. It was not handled to its end and is not tried again.
    #[error("{actor} panicked on this message: {said}")]
    Panicked {
        /// Who panicked.
        actor: ActorName,
        /// The panic's own words.
        said: String,
    },
    /// The instance that held the [`crate::Answer`] died or forgot it. Whether it acted is unknown.
    #[error("{actor} lost the request before it answered")]
    Unanswered {
        /// Who owed the answer.
        actor: ActorName,
    },
    /// The actor died too often and handles nothing any more.
    #[error("{actor} has given up")]
    GaveUp {
        /// Who gave up.
        actor: ActorName,
    },
    /// The deadline passed. A message still waiting in the mailbox will not be handled; one in work may be.
    #[error("{actor} did not answer within {within:?}")]
    TimedOut {
        /// Who did not answer.
        actor: ActorName,
        /// The caller's own limit.
        within: Duration,
    },
    /// The actor has stopped or is stopping.
    #[error("{actor} has stopped")]
    Stopped {
        /// Who stopped.
        actor: ActorName,
    },
}

/// Runs a piece of foreign code and turns its panic into the panic's words.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // whatever the work touched is dropped after a panic, so a broken invariant is never seen again
    catch_unwind(AssertUnwindSafe(work)).map_err(words)
}

fn words(payload: Box<dyn Any + Send>) -> String {
    let said = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    };
    // a payload may panic in its own drop; the second payload is leaked because it may do so for ever
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    said
}
