//! A simulated FreeSWITCH: the event socket and its phones in one sans-IO machine.
//!
//! It imitates 1.11.3 as it was recorded, pitfalls included: `+OK` before anything has happened and for things that never
//! will, legs that a `uuid_bridge` too early destroys, lists that are late, random order of the events that end a leg, the
//! first `)` that ends an application. It does not imitate the minutes for which a client that never reads holds up all
//! others (that client is dropped), nor outbound mode, XML events or filters.
//!
//! The contract is [`crate::double`]; `server` is the shell with real sockets. Inside: `session` reads and answers,
//! `commands` and `lists` say what an `api` does, `world` and the files beside it (`originate`, `moving`, `ending`, `rooms`,
//! `recording`, `phones`) are the calls, `events` encodes what happens.

mod commands;
mod control;
mod ending;
mod events;
mod leg;
mod lists;
mod moving;
mod options;
mod originate;
mod phones;
mod recording;
mod rooms;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use options::{Options, Profile, User};
pub use server::{Bind, FreeSwitchServer};

use crate::double::{self, Double, Link};
use crate::sip_options;
use crate::wire::Wire;
use session::{Sent, Session};
use world::World;

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 8021.
    Socket,
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
    /// Originates accepted since the double was made, over all restarts.
    pub originates: u64,
    /// Calls from phones and from outside that were refused with 503.
    pub refused: u64,
    /// Legs now.
    pub legs: usize,
    /// Connections that are logged in.
    pub sessions: usize,
    /// Connections.
    pub links: usize,
}

/// The machine.
#[derive(Debug)]
pub struct FreeSwitch {
    options: Options,
    world: World,
    sessions: BTreeMap<Link, Session>,
    wire: Wire<Door>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    down: bool,
    /// When a graceful shutdown is complete.
    stopping: Option<Duration>,
}

/// From the events of a shutdown to the close (0.1 to 1.6 s were seen).
const SHUTDOWN: Duration = Duration::from_millis(300);

impl FreeSwitch {
    /// A server that has just booted.
    pub fn new(options: Options, now: Duration) -> Self {
        FreeSwitch {
            world: World::new(&options, now),
            sessions: BTreeMap::new(),
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
            Input::Bytes(link, bytes) => {
                if let Some(session) = self.sessions.get_mut(&link) {
                    session.feed(&bytes);
                }
            }
            Input::Stalled(link) => {
                self.sessions.remove(&link);
                self.wire.reset(link);
            }
            Input::Closed(link) => {
                self.sessions.remove(&link);
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
        if self.down || self.wire.faults.refuse || door == Door::Sip {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        let session = Session::new(self.options.refused);
        let sent = session.greeting();
        if !self.options.refused {
            self.sessions.insert(link, session);
        }
        self.send(link, sent);
    }

    fn send(&mut self, link: Link, sent: Vec<Sent>) {
        let now = self.world.now;
        for sent in sent {
            match sent {
                Sent::Reply(bytes) => self.wire.reply(link, bytes, now),
                Sent::Event(bytes) => self.wire.event(link, bytes, now),
                Sent::Close => {
                    self.sessions.remove(&link);
                    self.wire.close(link, now);
                }
            }
        }
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
            let due = self.world.next_timer().filter(|due| *due <= now);
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
            self.spread();
            let ready: Vec<Link> = self.sessions.keys().copied().collect();
            let mut progress = false;
            for link in ready {
                let Some(session) = self.sessions.get_mut(&link) else { continue };
                let sent = session.work(&mut self.world, &self.options);
                progress |= !sent.is_empty();
                self.send(link, sent);
                self.spread();
            }
            if !progress {
                return;
            }
        }
    }

    fn spread(&mut self) {
        for event in std::mem::take(&mut self.world.events) {
            let hearers: Vec<(Link, Vec<u8>)> = self
                .sessions
                .iter_mut()
                .filter_map(|(link, session)| Some((*link, session.hear(&event)?)))
                .collect();
            let now = self.world.now;
            for (link, bytes) in hearers {
                self.wire.event(link, bytes, now);
            }
        }
    }

    fn complete_shutdown(&mut self) {
        let notice = session::notice("The system is being shut down.\n");
        for link in self.wire.links(None) {
            self.send(link, vec![Sent::Event(notice.clone()), Sent::Close]);
        }
        self.sessions.clear();
        self.world.reboot();
        self.down = true;
        self.stopping = None;
    }
}

impl Double for FreeSwitch {
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
        let blocked = self.sessions.values().filter_map(Session::deadline).min();
        [blocked, self.world.next_timer(), self.wire.deadline(), self.stopping].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        match door {
            Door::Socket => !self.down && !self.wire.faults.refuse,
            Door::Sip => !self.down,
        }
    }
}
