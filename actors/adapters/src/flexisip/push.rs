//! The port to which the server pushes: who is connected, and that he stays.
//!
//! Whoever may connect and speaks HTTP/2 is answered, whatever he says; believed is only who shows the key. What is said:
//! `pushed.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::flight::Timer;
use super::machine::{Flexisip, Phase};
use crate::adapter::{LinkError, Listening, Output};
use crate::wire_format::http2::Connection;

/// The port itself.
const PORT: u8 = 0;
/// Links to those who connect.
const PEERS: std::ops::RangeInclusive<u8> = 1..=100;
/// One server needs one connection, and another one while the first is not known to be dead.
const PEERS_MAX: usize = 4;
/// A client that hears nothing for 60 s goes away (sheet, section 9).
const PING_EVERY: Duration = Duration::from_secs(20);
/// A port that could not be opened is tried again.
const REOPEN_AFTER: Duration = Duration::from_secs(10);

/// How the pushes stand.
#[derive(Debug, Default)]
pub(super) struct Push {
    pub(super) port: Port,
    pub(super) peers: BTreeMap<u8, Connection>,
    /// Requests with the right key, and with a wrong one.
    pub(super) heard: u64,
    pub(super) strangers: u64,
}

/// How the port stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// Not wanted, or not to be had.
    #[default]
    Off,
    Opening,
    Open,
}

impl Flexisip {
    pub(super) fn open_port(&mut self) {
        let Some(events) = &self.options.events else { return };
        let listening = Listening {
            at: events.at,
            peers: events.peers.clone(),
            tls: events.identity.clone(),
            slots: PEERS,
            most: PEERS_MAX,
        };
        self.life.push.port = Port::Opening;
        self.out.push_back(Output::Listen(self.link(PORT), listening));
    }

    pub(super) fn close_port(&mut self) {
        if self.life.push.port != Port::Off {
            self.out.push_back(Output::Close(self.link(PORT)));
        }
    }

    pub(super) fn port_opened(&mut self, slot: u8) {
        if slot == PORT && self.life.push.port == Port::Opening {
            self.life.push.port = Port::Open;
            self.life.timers.arm(Timer::Ping, self.now + PING_EVERY);
        }
    }

    pub(super) fn peer_came(&mut self, listener: u8, slot: u8, _: SocketAddr) {
        if listener != PORT || self.life.push.port != Port::Open || !PEERS.contains(&slot) {
            return;
        }
        let mut connection = Connection::default();
        self.say(slot, connection.output());
        self.life.push.peers.insert(slot, connection);
    }

    pub(super) fn peer_said(&mut self, slot: u8, bytes: &[u8]) {
        let Some(mut connection) = self.life.push.peers.remove(&slot) else { return };
        let taken = connection.push(bytes);
        // he is answered before anything comes of it: his next word waits for that (sheet, section 4)
        self.say(slot, connection.output());
        while let Some(request) = connection.next() {
            self.pushed(&request);
        }
        match taken {
            Ok(()) => {
                self.life.push.peers.insert(slot, connection);
            }
            Err(broken) => {
                self.out.push_back(Output::Unknown(1));
                self.out.push_back(Output::Close(self.link(slot)));
                self.warn("events_broken", format!("a connection with pushes was closed: {broken}"));
            }
        }
    }

    fn say(&mut self, slot: u8, bytes: Option<Vec<u8>>) {
        if let Some(bytes) = bytes {
            self.out.push_back(Output::Send(self.link(slot), bytes));
        }
    }

    pub(super) fn link_closed(&mut self, slot: u8, error: &LinkError) {
        if slot != PORT {
            // a server that is there keeps its connection: it may have begun anew
            if self.life.push.peers.remove(&slot).is_some() {
                self.doubt_relays();
            }
            return;
        }
        if self.life.push.port == Port::Off {
            return;
        }
        self.life.push = Push::default();
        self.life.timers.disarm(Timer::Ping);
        self.life.timers.arm(Timer::Reopen, self.now + REOPEN_AFTER);
        self.warn("events_off", format!("no pushes are received, so calls of others are not seen: {error}"));
    }

    pub(super) fn ping_peers(&mut self) {
        let slots: Vec<u8> = self.life.push.peers.keys().copied().collect();
        for slot in slots {
            let output = self.life.push.peers.get_mut(&slot).and_then(|connection| {
                connection.ping();
                connection.output()
            });
            self.say(slot, output);
        }
        if self.phase != Phase::Off && self.life.push.port == Port::Open {
            self.life.timers.arm(Timer::Ping, self.now + PING_EVERY);
        }
    }
}
