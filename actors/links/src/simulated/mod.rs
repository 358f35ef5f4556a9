//! Links without sockets: whole servers in memory, in virtual time, with the same reports as real ones.
//!
//! Everything that moves takes the network's latency and stays in order. The only clock is tokio's, so a paused runtime
//! runs hours in milliseconds; the only chance is the seed. HTTP and WebSocket are spoken for real, byte by byte, so
//! that a host needs to know nothing but streams.
//!
//! SIP of ours is not spoken for real: it crosses as values, to a [`SipHost`].
//!
//! Not here: TLS; bytes in memory need none. What a host does. See `ifbus-doubles` for hosts.

mod client;
mod phones;
mod sip;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::{Endpoint, HttpRequest, LinkError, LinkId, Listening, RequestId};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use crate::network::{Link, Listener, Network, Pending, Report, Sink, SipLeg};
use client::{Client, Said};

pub use phones::{FarEnds, Pickup};
pub use sip::SipHost;

/// A simulated machine with ports: a sans-IO server in memory. Connections are numbered by the network.
pub trait Host {
    /// Somebody connects to a port. `false` refuses.
    fn opened(&mut self, connection: u64, port: u16, now: Duration) -> bool;
    /// Bytes came.
    fn bytes(&mut self, connection: u64, bytes: Vec<u8>, now: Duration);
    /// The connection is gone.
    fn closed(&mut self, connection: u64, now: Duration);
    /// A datagram came to a port; the answers are sent back.
    fn datagram(&mut self, port: u16, bytes: &[u8], now: Duration) -> Vec<Vec<u8>>;
    /// [`Host::deadline`] has passed.
    fn tick(&mut self, now: Duration);
    /// The next thing it wants done.
    fn poll(&mut self) -> Option<Wanted>;
    /// When [`Host::tick`] is due.
    fn deadline(&self) -> Option<Duration>;
}

/// What a host wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Send these bytes.
    Bytes(u64, Vec<u8>),
    /// Close after what was sent.
    Close(u64),
    /// Close at once, as a reset.
    Reset(u64),
}

/// The network. Cheap to clone; lives on one thread.
#[derive(Clone)]
pub struct Simulated {
    inner: Rc<RefCell<Inner>>,
    wake: Rc<Notify>,
    /// A machine with SIP was changed from outside.
    sip_wake: Rc<Notify>,
    driver: Rc<Driver>,
}

/// Ends the task that moves things when the last handle is dropped.
struct Driver(RefCell<Option<AbortHandle>>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = self.0.borrow_mut().take() {
            task.abort();
        }
    }
}

struct Inner {
    start: Instant,
    latency: Duration,
    hosts: BTreeMap<String, Rc<RefCell<dyn Host>>>,
    sip_hosts: BTreeMap<String, Rc<RefCell<dyn SipHost>>>,
    endpoints: u64,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    /// What is on its way, by arrival and order of sending.
    moving: BTreeMap<(Duration, u64), Moving>,
    next_moving: u64,
    /// Hosts that are cut off: nothing reaches them or comes from them, and nobody is told.
    cut_off: BTreeMap<String, bool>,
}

struct Connection {
    host: String,
    port: u16,
    client: Client,
    sink: Sink,
}

enum Moving {
    ToHost(u64, Packet),
    ToUs(u64, Packet),
}

enum Packet {
    Open,
    Accepted,
    Refused,
    Bytes(Vec<u8>),
    Close,
    Reset,
}

impl Simulated {
    /// A network in which everything takes `latency`. Needs a tokio `LocalSet`.
    #[must_use]
    pub fn new(latency: Duration) -> Self {
        let inner = Rc::new(RefCell::new(Inner {
            start: Instant::now(),
            latency,
            hosts: BTreeMap::new(),
            sip_hosts: BTreeMap::new(),
            endpoints: 0,
            connections: BTreeMap::new(),
            next_connection: 1,
            moving: BTreeMap::new(),
            next_moving: 0,
            cut_off: BTreeMap::new(),
        }));
        let wake = Rc::new(Notify::new());
        let task = spawn_local(drive(Rc::clone(&inner), Rc::clone(&wake)));
        let sip_wake = Rc::new(Notify::new());
        Self { inner, wake, sip_wake, driver: Rc::new(Driver(RefCell::new(Some(task.abort_handle())))) }
    }

    /// Puts a host at a name. The handle stays with the caller, who may change the host; [`Simulated::touched`] is told
    /// after that.
    pub fn put(&self, name: &str, host: Rc<RefCell<dyn Host>>) {
        self.inner.borrow_mut().hosts.insert(name.to_owned(), host);
        self.wake.notify_one();
    }

    /// Puts the SIP side of a machine at a name, beside a host of this name or alone.
    pub fn put_sip(&self, name: &str, host: Rc<RefCell<dyn SipHost>>) {
        self.inner.borrow_mut().sip_hosts.insert(name.to_owned(), host);
    }

    /// A host was changed from outside and may want something.
    pub fn touched(&self) {
        self.wake.notify_one();
        self.sip_wake.notify_waiters();
    }

    fn new_endpoint(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        inner.endpoints += 1;
        inner.endpoints
    }

    fn sip_host(&self, name: &str) -> Option<Rc<RefCell<dyn SipHost>>> {
        self.inner.borrow().sip_hosts.get(name).cloned()
    }

    fn latency(&self) -> Duration {
        self.inner.borrow().latency
    }

    fn is_cut_off(&self, name: &str) -> bool {
        self.inner.borrow().cut_off.get(name).copied().unwrap_or(false)
    }

    async fn sip_touched(&self) {
        self.sip_wake.notified().await;
    }

    /// Waits for a moment of this network; for ever if there is none.
    async fn reached(&self, at: Option<Duration>) {
        match at {
            Some(at) => {
                let start = self.inner.borrow().start;
                tokio::time::sleep_until(start + at).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Cuts a host off, as a cable that is pulled does, or lets it back.
    pub fn cut_off(&self, name: &str, cut: bool) {
        self.inner.borrow_mut().cut_off.insert(name.to_owned(), cut);
    }

    /// The time of this network.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.inner.borrow().start.elapsed()
    }

    fn connect(&self, host: String, port: u16, client: Client, sink: Sink) -> u64 {
        let mut inner = self.inner.borrow_mut();
        let connection = inner.next_connection;
        inner.next_connection += 1;
        inner.connections.insert(connection, Connection { host, port, client, sink });
        inner.send(Moving::ToHost(connection, Packet::Open));
        self.wake.notify_one();
        connection
    }
}

impl Network for Simulated {
    fn open(&self, link: LinkId, endpoint: Endpoint, sink: Sink) -> Box<dyn Link> {
        let (host, port, client) = match endpoint {
            Endpoint::Tcp { host, port, .. } => (host, port, Client::stream(link)),
            Endpoint::Udp { host, port } => (host, port, Client::datagrams(link)),
            // hosts here send to nobody who has not asked
            Endpoint::Listen { from, .. } => (from, 0, Client::datagrams(link)),
            Endpoint::WebSocket { host, port, path, basic, message_max, .. } => {
                let client = Client::websocket(link, &host, &path, basic.as_ref(), message_max);
                (host, port, client)
            }
        };
        let connection = self.connect(host, port, client, sink);
        Box::new(Open { network: self.clone(), connection })
    }

    /// A port to which nobody connects: hosts only answer.
    fn listen(&self, link: LinkId, _: Listening, sink: Sink) -> Box<dyn Listener> {
        spawn_local(async move { sink(Report::Opened(link)) });
        Box::new(Quiet)
    }

    fn request(&self, request: RequestId, http: HttpRequest, sink: Sink) -> Box<dyn Pending> {
        let (host, port, within) = (http.host.clone(), http.port, http.within);
        let connection = self.connect(host, port, Client::http(request, http), sink);
        let (network, deadline) = (self.clone(), within);
        let timer = spawn_local(async move {
            tokio::time::sleep(deadline).await;
            network.time_out(connection);
        });
        Box::new(Asked { open: Open { network: self.clone(), connection }, timer: timer.abort_handle() })
    }

    fn sip(&self, sink: Sink) -> Box<dyn SipLeg> {
        sip::simulated(self, sink)
    }
}

struct Quiet;

impl Listener for Quiet {
    fn send(&self, _: LinkId, _: Vec<u8>) {}

    fn close(&self, _: LinkId) {}
}

struct Open {
    network: Simulated,
    connection: u64,
}

impl Link for Open {
    fn send(&self, bytes: Vec<u8>) {
        let mut inner = self.network.inner.borrow_mut();
        let Some(connection) = inner.connections.get_mut(&self.connection) else { return };
        if let Some(bytes) = connection.client.outgoing(bytes) {
            inner.send(Moving::ToHost(self.connection, Packet::Bytes(bytes)));
            self.network.wake.notify_one();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // The network may be handing something over just now; then the connection is closed when it is done.
        if let Ok(mut inner) = self.network.inner.try_borrow_mut() {
            inner.send(Moving::ToHost(self.connection, Packet::Close));
            if let Some(connection) = inner.connections.get_mut(&self.connection) {
                connection.sink = Rc::new(|_| {});
            }
        }
        self.network.wake.notify_one();
    }
}

struct Asked {
    #[expect(dead_code, reason = "dropped with the request, which closes the connection")]
    open: Open,
    timer: AbortHandle,
}

impl Pending for Asked {}

impl Drop for Asked {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl Simulated {
    fn time_out(&self, connection: u64) {
        let told = {
            let mut inner = self.inner.borrow_mut();
            inner
                .connections
                .remove(&connection)
                .map(|gone| (gone.client.lost(LinkError::TimedOut), gone.sink))
        };
        if let Some((reports, sink)) = told {
            reports.into_iter().for_each(|report| sink(report));
        }
    }
}

/// Moves what is due, and sleeps until more is.
async fn drive(inner: Rc<RefCell<Inner>>, wake: Rc<Notify>) {
    loop {
        let next = step(&inner);
        let start = inner.borrow().start;
        match next {
            Some(at) => {
                tokio::select! {
                    biased;
                    () = wake.notified() => {}
                    () = tokio::time::sleep_until(start + at) => {}
                }
            }
            None => wake.notified().await,
        }
    }
}

/// Delivers everything that is due now. Says when the next thing is.
fn step(inner: &Rc<RefCell<Inner>>) -> Option<Duration> {
    loop {
        let now = inner.borrow().start.elapsed();
        inner.borrow_mut().hosts_due(now);
        let due = {
            let mut inner = inner.borrow_mut();
            match inner.moving.first_key_value() {
                Some((key, _)) if key.0 <= now => inner.moving.pop_first().map(|(_, moving)| moving),
                _ => None,
            }
        };
        let Some(moving) = due else { return inner.borrow().next_due(now) };
        // Told outside of the borrow: a report makes whoever hears it send.
        let told = inner.borrow_mut().arrive(moving, now);
        if let Some((sink, reports)) = told {
            reports.into_iter().for_each(|report| sink(report));
        }
    }
}

impl Inner {
    fn send(&mut self, moving: Moving) {
        let at = self.start.elapsed() + self.latency;
        self.moving.insert((at, self.next_moving), moving);
        self.next_moving += 1;
    }

    fn next_due(&self, now: Duration) -> Option<Duration> {
        let moving = self.moving.first_key_value().map(|(key, _)| key.0);
        let hosts = self.hosts.values().filter_map(|host| host.borrow().deadline());
        // A host that is late by its own clock is not waited for in a hot loop.
        hosts.map(|at| at.max(now + Duration::from_micros(100))).chain(moving).min()
    }

    fn hosts_due(&mut self, now: Duration) {
        let hosts: Vec<_> = self.hosts.values().cloned().collect();
        for host in hosts {
            if host.borrow().deadline().is_some_and(|at| at <= now) {
                host.borrow_mut().tick(now);
            }
            self.collect(&host);
        }
    }

    /// Takes what a host wants done.
    fn collect(&mut self, host: &Rc<RefCell<dyn Host>>) {
        while let Some(wanted) = host.borrow_mut().poll() {
            let (connection, packet) = match wanted {
                Wanted::Bytes(connection, bytes) => (connection, Packet::Bytes(bytes)),
                Wanted::Close(connection) => (connection, Packet::Close),
                Wanted::Reset(connection) => (connection, Packet::Reset),
            };
            self.send(Moving::ToUs(connection, packet));
        }
    }

    fn arrive(&mut self, moving: Moving, now: Duration) -> Option<(Sink, Vec<Report>)> {
        let (Moving::ToHost(id, _) | Moving::ToUs(id, _)) = &moving;
        let id = *id;
        let connection = self.connections.get(&id)?;
        // A datagram socket opens without asking anybody.
        let asks_nobody = connection.client.is_datagrams()
            && matches!(moving, Moving::ToHost(_, Packet::Open) | Moving::ToUs(_, Packet::Accepted));
        if !asks_nobody && self.cut_off.get(&connection.host).is_some_and(|cut| *cut) {
            return None;
        }
        match moving {
            Moving::ToHost(_, packet) => {
                self.at_host(id, packet, now);
                None
            }
            Moving::ToUs(_, packet) => self.at_us(id, packet),
        }
    }

    fn at_host(&mut self, id: u64, packet: Packet, now: Duration) {
        let Some(connection) = self.connections.get(&id) else { return };
        let port = connection.port;
        let Some(host) = self.hosts.get(&connection.host).cloned() else {
            self.send(Moving::ToUs(id, Packet::Refused));
            return;
        };
        let datagrams = connection.client.is_datagrams();
        match packet {
            Packet::Open if datagrams => self.send(Moving::ToUs(id, Packet::Accepted)),
            Packet::Open => {
                let accepted = host.borrow_mut().opened(id, port, now);
                self.send(Moving::ToUs(id, if accepted { Packet::Accepted } else { Packet::Refused }));
            }
            Packet::Bytes(bytes) if datagrams => {
                let answers = host.borrow_mut().datagram(port, &bytes, now);
                for answer in answers {
                    self.send(Moving::ToUs(id, Packet::Bytes(answer)));
                }
            }
            Packet::Bytes(bytes) => host.borrow_mut().bytes(id, bytes, now),
            Packet::Close | Packet::Reset | Packet::Accepted | Packet::Refused => {
                if !datagrams {
                    host.borrow_mut().closed(id, now);
                }
                self.connections.remove(&id);
            }
        }
        self.collect(&host);
    }

    fn at_us(&mut self, id: u64, packet: Packet) -> Option<(Sink, Vec<Report>)> {
        let connection = self.connections.get_mut(&id)?;
        let sink = Rc::clone(&connection.sink);
        let said = match packet {
            Packet::Accepted => connection.client.accepted(),
            Packet::Bytes(bytes) => connection.client.incoming(&bytes),
            Packet::Refused => Said::over(connection.client.lost(LinkError::Refused)),
            Packet::Close | Packet::Open => Said::over(connection.client.lost(LinkError::Closed)),
            Packet::Reset => Said::over(connection.client.lost(LinkError::Reset)),
        };
        for bytes in said.answers {
            self.send(Moving::ToHost(id, Packet::Bytes(bytes)));
        }
        if said.over {
            self.connections.remove(&id);
        }
        Some((sink, said.reports))
    }
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = &self.driver;
        f.write_str("Simulated")
    }
}
