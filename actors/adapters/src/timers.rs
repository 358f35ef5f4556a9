//! The clock of an adapter: what is due at which moment.
//!
//! Plain data; it never looks at a clock. What a timer means is its adapter's business.

use std::collections::{BTreeMap, BTreeSet};

use ifbus_call::Nanos;

/// Deadlines, at most one of each.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeSet<(Nanos, T)>,
    armed: BTreeMap<T, Nanos>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), armed: BTreeMap::new() }
    }
}

impl<T: Copy + Ord> Timers<T> {
    pub(crate) fn arm(&mut self, timer: T, at: Nanos) {
        self.disarm(timer);
        self.due.insert((at, timer));
        self.armed.insert(timer, at);
    }

    pub(crate) fn disarm(&mut self, timer: T) {
        if let Some(at) = self.armed.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    pub(crate) fn is_armed(&self, timer: T) -> bool {
        self.armed.contains_key(&timer)
    }

    pub(crate) fn first(&self) -> Option<Nanos> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next timer that is due.
    pub(crate) fn pop(&mut self, now: Nanos) -> Option<T> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }
}
