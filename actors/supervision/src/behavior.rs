//! What an actor is written in: plain code that is born from a seed and handles one message at a time.
//!
//! It knows nothing of mailboxes or restarts. Next: `world.rs`, what a behavior may do.

use std::fmt::Debug;

use crate::{ActorName, Exit, World};

/// The plain code of an actor: born from its seed, dropped at its death, never shared.
pub trait Behavior: Sized + 'static {
    /// Is kept outside the instance and is enough to be born again after a panic.
    type Seed: 'static;

    /// What the outside may see of an instance: tests, status page, logs. Holds no secrets.
    type State: Clone + Debug + Send + 'static;

    /// Makes a fresh instance. Runs before any message of this life; children are supervised here. A panic is contained
    /// and counts as a death.
    fn born(seed: &Self::Seed, world: &mut World<Self>) -> Self;

    /// Shows the state as it is between two messages.
    fn state(&self) -> Self::State;

    /// Says what a child's death does to its siblings. Asked once per actor.
    fn strategy(_seed: &Self::Seed) -> Strategy {
        Strategy::OneForOne
    }

    /// Decides what happens when a child has given up. Unless overridden this instance dies too, which stops all its
    /// children and restarts it from its seed under its own policy: failure climbs until someone can cure it.
    fn child_gave_up(&mut self, _child: &ActorName, _last: &Exit, _world: &mut World<Self>) -> Escalation {
        Escalation::Die
    }
}

/// Handles one kind of message. Handlers are synchronous: what takes time goes to [`World::spawn`].
pub trait On<M: Send + 'static>: Behavior {
    /// What an asker gets.
    type Reply: Send + 'static;

    /// Handles one message. A panic kills this instance, answers the asker with `Down::Panicked`, and nothing else.
    fn on(&mut self, message: M, world: &mut World<Self>) -> Self::Reply;
}

/// What the death of one child does to its siblings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Only the dead one is restarted.
    #[default]
    OneForOne,
    /// Those supervised after the dead one depend on it: they are put to rest last to first, then all are born again
    /// first to last. Only the one that died counts against its policy.
    RestForOne,
}

/// What a parent does when a child has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    /// Dies with `Exit::ChildGaveUp` and is restarted under its own policy.
    Die,
    /// Goes on without the child, which stays addressable and answers `Down::GaveUp`.
    Keep,
}
