//! A family of series with a server among its labels: remembers which, so that a removed server takes them along.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::family::Family;

use super::{
    OfServer, ServerCause, ServerKind, ServerKindCause, ServerOutcome, ServerProbe, ServerReason, ServerType,
};

/// Labels that name a server.
pub(crate) trait NamesServer {
    /// Its name.
    fn server(&self) -> &str;
}

macro_rules! names_server {
    ($($labels:ty),*) => {$(
        impl NamesServer for $labels {
            fn server(&self) -> &str {
                &self.server
            }
        }
    )*};
}

names_server!(
    OfServer,
    ServerCause,
    ServerKind,
    ServerKindCause,
    ServerOutcome,
    ServerProbe,
    ServerReason,
    ServerType
);

/// The series of one metric, over all servers.
#[derive(Debug)]
pub(crate) struct Series<L, M> {
    family: Family<L, M, fn() -> M>,
    of: Mutex<BTreeMap<String, BTreeSet<L>>>,
}

impl<L: Clone + Hash + Ord + NamesServer, M: Clone> Series<L, M> {
    /// No series yet.
    pub(crate) fn new(make: fn() -> M) -> Self {
        Self { family: Family::new_with_constructor(make), of: Mutex::default() }
    }

    /// The family, to be registered.
    pub(crate) fn family(&self) -> Family<L, M, fn() -> M> {
        self.family.clone()
    }

    /// The series with these labels.
    pub(crate) fn get(&self, labels: &L) -> M {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        match of.get_mut(labels.server()) {
            Some(known) => {
                if !known.contains(labels) {
                    known.insert(labels.clone());
                }
            }
            None => {
                of.insert(labels.server().to_owned(), BTreeSet::from([labels.clone()]));
            }
        }
        self.family.get_or_create_owned(labels)
    }

    /// Forgets the series of every other server.
    pub(crate) fn keep(&self, servers: &BTreeSet<String>) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|server, labels| {
            let stays = servers.contains(server);
            if !stays {
                for labels in labels.iter() {
                    self.family.remove(labels);
                }
            }
            stays
        });
    }
}
