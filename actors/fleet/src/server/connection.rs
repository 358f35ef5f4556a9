//! One link as a supervised actor: what happens in it stays in it.
//!
//! It opens its link when it is born and closes it when it ends. It is never born twice: a link that failed is a fact
//! for the adapter, which opens another one.

use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::{Endpoint, LinkId};
use ifbus_links::{Link, Network, Sink};
use ifbus_supervision::{Backoff, Behavior, On, Policy, World};

/// What it takes to open a link.
pub(super) struct ConnectionSeed {
    network: Rc<dyn Network>,
    link: LinkId,
    endpoint: Endpoint,
    sink: Sink,
}

pub(super) fn seed(network: Rc<dyn Network>, link: LinkId, endpoint: Endpoint, sink: Sink) -> ConnectionSeed {
    ConnectionSeed { network, link, endpoint, sink }
}

/// No second life.
pub(super) fn policy() -> Policy {
    Policy::new(Backoff::default(), 0, Duration::from_secs(1))
        .expect("no restarts in a second are a valid policy")
}

/// An open link.
pub(super) struct Connection {
    link: Box<dyn Link>,
    sent: u64,
}

/// Bytes to send.
pub(super) struct Outgoing(pub(super) Vec<u8>);

impl Behavior for Connection {
    type Seed = ConnectionSeed;
    type State = u64;

    fn born(seed: &ConnectionSeed, _world: &mut World<Self>) -> Self {
        let sink = Rc::clone(&seed.sink);
        Self { link: seed.network.open(seed.link, seed.endpoint.clone(), sink), sent: 0 }
    }

    /// Bytes sent.
    fn state(&self) -> u64 {
        self.sent
    }
}

impl On<Outgoing> for Connection {
    type Reply = ();

    fn on(&mut self, Outgoing(bytes): Outgoing, _world: &mut World<Self>) {
        self.sent += bytes.len() as u64;
        self.link.send(bytes);
    }
}
