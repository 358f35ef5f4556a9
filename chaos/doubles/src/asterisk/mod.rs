//! A simulated Asterisk: AMI, ARI and its phones in one sans-IO machine.
//!
//! It imitates 16.28.0 and 22.10.1 as they were recorded, pitfalls included: random order of the events
//! that end a leg, `Reason: 0` for every refusal, silence in the event streams about targets that cannot
//! be reached, bridges that tear when joined twice, forged lines from a caller's number. It does not do
//! the recording of whole conferences, queues, Stasis call control or the command line.
//!
//! The contract is in [`crate::double`]. [`crate::socket`] is the shell with real sockets. Inside: `session` and `ami` read and answer,
//! `actions`, `orders`, `conference`, `drain` and `lists` say what actions do, `world` and the files beside it (`dial`, `run`,
//! `bridging`, `rooms`, `transfers`, `recording`, `media`, `outside`) are the calls, `happening` encodes events, `ari` is HTTP, `wire` applies faults.

mod actions;
mod ami;
mod ari;
mod bridging;
mod channels;
mod conference;
mod control;
mod dial;
mod dialplan;
mod drain;
mod happening;
pub(crate) mod http;
mod lists;
mod media;
mod options;
mod orders;
mod outside;
mod profile;
mod recording;
mod rooms;
mod run;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod transfers;
mod trunks;
mod websocket;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use ami::Classes;
pub use options::{Contact, Endpoint, Options, Style, User};
pub use profile::Profile;
pub use server::{AsteriskServer, Bind};

use crate::double::{self, Double, Link};
use crate::faults::HttpState;
use crate::sip_options;
use crate::wire::Wire;
use ari::Ari;
use session::{Sent, Session};
use world::World;

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 5038.
    Ami,
    /// TCP 8088.
    Http,
    /// UDP 5060: OPTIONS alone; the phones are inside.
    Sip,
}

/// What the shell tells the machine.
pub type Input = double::Input<Door>;
/// What the machine wants done.
pub type Output = double::Output<Door>;

/// Figures of a running double.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// `Originate` actions accepted since the double was made, over all restarts.
    pub originates: u64,
    /// Calls from phones and trunks that were refused with 503: by maintenance, or by a `Hangup` in the
    /// dialplan before an answer.
    pub refused: u64,
    /// Channels now.
    pub channels: usize,
    /// Bridges now.
    pub bridges: usize,
    /// AMI sessions that are logged in.
    pub sessions: usize,
    /// ARI WebSockets.
    pub sockets: usize,
    /// Connections of both kinds.
    pub links: usize,
}

/// The machine.
#[derive(Debug)]
pub struct Asterisk {
    options: Options,
    world: World,
    sessions: BTreeMap<Link, Session>,
    ari: Ari,
    wire: Wire<Door>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    down: bool,
    /// When a graceful shutdown is complete.
    stopping: Option<Duration>,
}

impl Asterisk {
    /// A server that has just booted.
    pub fn new(options: Options, now: Duration) -> Self {
        let mut world = World::new(&options, now);
        world.schedule_probes();
        Asterisk {
            world,
            sessions: BTreeMap::new(),
            ari: Ari::default(),
            wire: Wire::new(options.seed),
            held: vec![],
            down: false,
            stopping: None,
            options,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Opened(link, door) => self.open(link, door),
            Input::Bytes(link, bytes) => self.receive(link, &bytes),
            Input::Stalled(link) => {
                // Closed silently, wherever the message stands (sheet section 9).
                self.forget(link);
                self.wire.reset(link);
            }
            Input::Closed(link) => {
                self.forget(link);
                self.wire.closed(link);
            }
            Input::Datagram(door, from, bytes) => {
                if let Some(answer) = sip_options::answer(&bytes).filter(|_| !self.world.sip_dead) {
                    self.wire.datagram(door, from, answer);
                }
            }
            Input::Tick => {}
        }
    }

    fn open(&mut self, link: Link, door: Door) {
        let closed = door == Door::Http && self.wire.faults.http == HttpState::Closed;
        if self.down || self.wire.faults.refuse || closed {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        match door {
            Door::Sip => self.wire.reset(link),
            Door::Http => self.ari.opened(link),
            Door::Ami => {
                self.sessions.insert(link, Session::new(self.world.now));
                let banner = format!("Asterisk Call Manager/{}\r\n", self.options.profile.ami);
                self.wire.event(link, banner.into_bytes(), self.world.now);
            }
        }
    }

    fn receive(&mut self, link: Link, bytes: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&link) {
            return session.feed(bytes);
        }
        let off = self.wire.faults.http != HttpState::On;
        let sent = self.ari.received(link, bytes, &mut self.world, &self.options.users, off);
        self.send_http(sent);
    }

    fn send_http(&mut self, sent: Vec<ari::Sent>) {
        let now = self.world.now;
        for sent in sent {
            match sent {
                ari::Sent::Reply(link, bytes) => self.wire.reply(link, bytes, now),
                ari::Sent::Event(link, bytes) => self.wire.event(link, bytes, now),
                ari::Sent::Close(link) => self.hang_up_link(link),
            }
        }
    }

    fn hang_up_link(&mut self, link: Link) {
        self.forget(link);
        self.wire.close(link, self.world.now);
    }

    fn forget(&mut self, link: Link) {
        self.sessions.remove(&link);
        self.ari.closed(link, &self.world);
    }

    /// Runs the world and the sessions until nothing more is due.
    fn advance(&mut self, now: Duration) {
        if self.wire.faults.freeze {
            return;
        }
        let now = now.max(self.world.now);
        if self.down {
            self.world.now = now;
            return self.wire.release(now);
        }
        // Timers see the time they were due at, so that a late tick changes nothing but the lateness.
        loop {
            let due = self.world.timers.first_key_value().map(|((due, _), _)| *due).filter(|due| *due <= now);
            self.world.now = due.unwrap_or(now).max(self.world.now);
            if due.is_none() || !self.world.run_due() {
                break;
            }
            self.pump();
        }
        self.pump();
        if self.stopping.is_some_and(|at| at <= now) {
            self.complete_shutdown();
        }
        self.wire.release(now);
    }

    /// Lets every session do what it can, and spreads the news.
    fn pump(&mut self) {
        loop {
            self.world.listen();
            self.world.tell_outside();
            self.spread();
            let ready: Vec<Link> = self.sessions.keys().copied().collect();
            let mut progress = false;
            for link in ready {
                let Some(session) = self.sessions.get_mut(&link) else { continue };
                let sent = session.work(&mut self.world, &self.options.users, self.options.login_within);
                progress |= !sent.is_empty();
                self.send_ami(link, sent);
                self.spread();
            }
            if !progress {
                return;
            }
        }
    }

    fn send_ami(&mut self, link: Link, sent: Vec<Sent>) {
        let now = self.world.now;
        for sent in sent {
            match sent {
                Sent::Reply(text) => {
                    let reply = self.addressed(text);
                    self.wire.reply(link, reply.into_bytes(), now);
                }
                Sent::Event(text) => self.wire.event(link, text.into_bytes(), now),
                Sent::Close => self.hang_up_link(link),
            }
        }
    }

    /// A reply, or with another request's id, as the faults have it.
    fn addressed(&mut self, text: String) -> String {
        let chance = self.wire.faults.wrong_ids;
        if !self.wire.random.chance(chance) {
            return text;
        }
        let other = format!("ActionID: stray-{:x}", self.wire.random.next());
        let lines = text.split("\r\n");
        let lines = lines.map(|line| if line.starts_with("ActionID:") { other.as_str() } else { line });
        lines.collect::<Vec<_>>().join("\r\n")
    }

    fn spread(&mut self) {
        for event in std::mem::take(&mut self.world.ami) {
            for session in self.sessions.values_mut() {
                session.hear(&event);
            }
        }
        for event in std::mem::take(&mut self.world.ari) {
            let sent = self.ari.tell(&event);
            self.send_http(sent);
        }
    }
}

impl Double for Asterisk {
    type Door = Door;

    fn handle(&mut self, input: Input, now: Duration) {
        if self.wire.faults.cut_off() && input != Input::Tick {
            self.held.push(input);
        } else {
            self.advance(now);
            self.take(input);
        }
        self.advance(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.wire.poll()
    }

    fn deadline(&self) -> Option<Duration> {
        if self.wire.faults.freeze || self.down {
            return None;
        }
        let sessions = self.sessions.values().filter_map(|s| s.deadline(self.options.login_within)).min();
        let timers = self.world.timers.first_key_value().map(|((due, _), _)| *due);
        [sessions, timers, self.wire.deadline(), self.stopping].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        let faults = &self.wire.faults;
        match door {
            Door::Ami => !self.down && !faults.refuse,
            Door::Http => !self.down && !faults.refuse && faults.http != HttpState::Closed,
            Door::Sip => !self.down,
        }
    }
}
