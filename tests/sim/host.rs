//! A double at a name of the simulated network.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ifbus_doubles::double::{Double, Input, Link, Output};
use ifbus_links::simulated::{Host, Wanted};

/// Who asks by datagram; the simulated network brings the answer back to whoever it was.
const ASKER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);

/// A double and which of its doors a port leads to.
pub struct Hosted<D: Double> {
    /// The double.
    pub double: D,
    door: fn(u16) -> D::Door,
    waiting: VecDeque<Wanted>,
}

impl<D: Double> Hosted<D> {
    /// Puts a double behind the ports that `door` knows.
    pub fn new(double: D, door: fn(u16) -> D::Door) -> Self {
        Self { double, door, waiting: VecDeque::new() }
    }
}

impl<D: Double> Host for Hosted<D> {
    fn opened(&mut self, connection: u64, port: u16, now: Duration) -> bool {
        let door = (self.door)(port);
        let open = self.double.is_open(door);
        if open {
            self.double.handle(Input::Opened(Link(connection), door), now);
        }
        open
    }

    fn bytes(&mut self, connection: u64, bytes: Vec<u8>, now: Duration) {
        self.double.handle(Input::Bytes(Link(connection), bytes), now);
    }

    fn closed(&mut self, connection: u64, now: Duration) {
        self.double.handle(Input::Closed(Link(connection)), now);
    }

    fn datagram(&mut self, port: u16, bytes: &[u8], now: Duration) -> Vec<Vec<u8>> {
        let door = (self.door)(port);
        if self.double.is_open(door) {
            self.double.handle(Input::Datagram(door, ASKER, bytes.to_vec()), now);
        }
        let mut answers = Vec::new();
        while let Some(output) = self.double.poll() {
            match output {
                Output::Datagram(_, _, bytes) => answers.push(bytes),
                other => self.waiting.extend(wanted(other)),
            }
        }
        answers
    }

    fn tick(&mut self, now: Duration) {
        self.double.handle(Input::Tick, now);
    }

    fn poll(&mut self) -> Option<Wanted> {
        while let Some(output) = self.double.poll() {
            self.waiting.extend(wanted(output));
        }
        self.waiting.pop_front()
    }

    fn deadline(&self) -> Option<Duration> {
        self.double.deadline()
    }
}

/// What the network does; a datagram that answers nothing goes nowhere.
fn wanted(output: Output<impl Sized>) -> Option<Wanted> {
    match output {
        Output::Bytes(link, bytes) => Some(Wanted::Bytes(link.0, bytes)),
        Output::Close(link) => Some(Wanted::Close(link.0)),
        Output::Reset(link) => Some(Wanted::Reset(link.0)),
        Output::Datagram(..) => None,
    }
}
