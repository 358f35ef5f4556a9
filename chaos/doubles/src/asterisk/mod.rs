//! A simulated Asterisk: AMI, ARI and its phones in one sans-IO machine.
//!
//! It imitates 16.28.0 and 22.10.1 as they were recorded, pitfalls included: random order of the events
//! that end a leg, `Reason: 0` for every refusal, silence in the event streams about targets that cannot
//! be reached, bridges that tear when joined twice, forged lines from a caller's number. It does not do
//! the recording of whole conferences, queues, Stasis call control or the command line.
//!
//! # Contract
//!
//! [`Asterisk::handle`] takes one [`Input`] and the time since the caller's zero; then
//! [`Asterisk::poll`] is called until it gives nothing more; [`Asterisk::deadline`] says when the next
//! [`Input::Tick`] is due at the latest. Controls (`plan`, `set_faults`, `kill`, …) may produce output
//! too: poll after them. Time must not run backwards. The same options and the same inputs at the same
//! times give the same outputs. Nothing is sent on a link after its [`Output::Close`] or
//! [`Output::Reset`]; a shell that closes a link by itself says [`Input::Closed`].
//!
//! [`crate::socket`] is the shell with real sockets. Inside: `session` and `ami` read and answer,
//! `actions`, `orders`, `conference`, `drain` and `lists` say what actions do, `world` and the files beside it (`dial`, `run`,
//! `bridging`, `rooms`, `transfers`, `recording`, `media`) are the calls, `happening` encodes events, `ari` is HTTP, `wire` applies faults.

mod actions;
mod ami;
mod ari;
mod bridging;
mod channels;
mod conference;
mod dial;
mod dialplan;
mod drain;
mod faults;
mod happening;
mod http;
mod lists;
mod media;
mod options;
mod orders;
mod profile;
mod recording;
mod rooms;
mod run;
mod session;
#[cfg(test)]
mod tests;
mod transfers;
mod trunks;
mod websocket;
mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use ami::Classes;
pub use faults::{AriState, Faults};
pub use options::{Contact, Endpoint, Options, User};
pub use profile::Profile;

use crate::phone::{Act, Plan, Tone};
use ari::Ari;
use channels::{Party, State};
use session::{Sent, Session};
use wire::Wire;
use world::World;

/// One connection, numbered by the shell; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link(pub u64);

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 5038.
    Ami,
    /// TCP 8088.
    Http,
}

/// What the shell tells the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A connection was accepted.
    Opened(Link, Door),
    /// Bytes arrived.
    Bytes(Link, Vec<u8>),
    /// The client has taken nothing for the write timeout while something was waiting for it.
    Stalled(Link),
    /// The connection is gone.
    Closed(Link),
    /// Time has passed.
    Tick,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send.
    Bytes(Link, Vec<u8>),
    /// Close after what was sent.
    Close(Link),
    /// Close now, with a reset.
    Reset(Link),
}

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
    wire: Wire,
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

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Duration) {
        if self.wire.faults.cut_off() && input != Input::Tick {
            self.held.push(input);
        } else {
            self.advance(now);
            self.take(input);
        }
        self.advance(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.wire.poll()
    }

    /// When to come back at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        if self.wire.faults.freeze || self.down {
            return None;
        }
        let sessions = self.sessions.values().filter_map(|s| s.deadline(self.options.login_within)).min();
        let timers = self.world.timers.first_key_value().map(|((due, _), _)| *due);
        [sessions, timers, self.wire.deadline(), self.stopping].into_iter().flatten().min()
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
            Input::Tick => {}
        }
    }

    fn open(&mut self, link: Link, door: Door) {
        let closed = door == Door::Http && self.wire.faults.ari == AriState::Closed;
        if self.down || self.wire.faults.refuse || closed {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        match door {
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
        let off = self.wire.faults.ari != AriState::On;
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
                Sent::Reply(text) => self.wire.reply(link, text.into_bytes(), now),
                Sent::Event(text) => self.wire.event(link, text.into_bytes(), now),
                Sent::Close => self.hang_up_link(link),
            }
        }
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

/// Controls: faults, life and death.
impl Asterisk {
    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.wire.faults
    }

    /// Changes the faults. Taking `freeze` or `black_hole` back lets everything through that waited.
    pub fn set_faults(&mut self, faults: Faults, now: Duration) {
        self.advance(now);
        self.world.sip_dead = faults.sip_dead;
        let ari = faults.ari;
        self.wire.faults = faults;
        if ari != AriState::On {
            for link in self.ari.sockets() {
                self.hang_up_link(link);
            }
        }
        if ari == AriState::Closed {
            for link in self.wire.links(Some(Door::Http)) {
                self.forget(link);
                self.wire.reset(link);
            }
        }
        if !self.wire.faults.cut_off() {
            for input in std::mem::take(&mut self.held) {
                self.take(input);
            }
        }
        self.advance(now);
    }

    /// Sends random bytes on every connection.
    pub fn garbage(&mut self, now: Duration) {
        self.wire.garbage(now);
        self.advance(now);
    }

    /// The process dies: connections are reset, calls are gone, new connections are refused until
    /// [`Asterisk::restart`].
    pub fn kill(&mut self, now: Duration) {
        self.advance(now);
        for link in self.wire.links(None) {
            self.forget(link);
            self.wire.reset(link);
        }
        self.held.clear();
        self.world.reboot();
        self.ari = Ari::default();
        self.down = true;
        self.stopping = None;
    }

    /// Boots again, with a new boot time, no calls, and no faults but those in force.
    pub fn restart(&mut self, now: Duration) {
        self.kill(now);
        self.world.now = self.world.now.max(now);
        self.world.reboot();
        self.down = false;
    }

    /// `core stop gracefully`: calls go on, every action, `Ping` and `Login` too, is refused; `false` takes
    /// it back, as the local command line can.
    pub fn refuse_actions(&mut self, refuse: bool) {
        self.world.shutting_down = refuse;
    }

    /// A graceful end: every call is hung up now, one second later `Event: Shutdown`, then the end.
    pub fn shut_down(&mut self, now: Duration) {
        self.advance(now);
        for id in self.world.channels.keys().cloned().collect::<Vec<_>>() {
            if let Some(channel) = self.world.channels.get(&id) {
                let told = self.world.hangup_request(channel, true, Some(4), None);
                self.world.tell(told);
                self.world.hang_up(&id, 16);
            }
        }
        self.world.shutting_down = true;
        self.stopping = Some(now + Duration::from_secs(1));
        self.advance(now);
    }

    fn complete_shutdown(&mut self) {
        let told = happening::Teller::new(&self.world, happening::SYSTEM, "Shutdown")
            .line("Shutdown", "Cleanly")
            .line("Restart", "False")
            .told();
        self.world.tell(told);
        self.pump();
        for link in self.wire.links(None) {
            self.hang_up_link(link);
        }
        self.ari = Ari::default();
        self.world.reboot();
        self.down = true;
        self.stopping = None;
    }

    /// Whether new connections would be refused.
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats {
            originates: self.world.originates,
            refused: self.world.refused,
            channels: self.world.channels.len(),
            bridges: self.world.bridges.len(),
            sessions: self.sessions.values().filter(|s| s.login.user.is_some()).count(),
            sockets: self.ari.sockets().len(),
            links: self.wire.links(None).len(),
        }
    }
}

/// The phones.
impl Asterisk {
    /// What the phone of this number does with calls from now on.
    pub fn plan(&mut self, number: &str, plan: Plan) {
        self.world.plans.insert(number.to_owned(), plan);
    }

    /// What the phone hears.
    pub fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.world.heard(number)
    }

    /// Invitations that reached the phone.
    pub fn rings(&self, number: &str) -> u32 {
        self.world.witnesses.get(number).map_or(0, |w| w.rings)
    }

    /// Digits the phone received.
    pub fn digits(&self, number: &str) -> String {
        self.world.witnesses.get(number).map(|w| w.digits.clone()).unwrap_or_default()
    }

    /// Caller in the last invitation.
    pub fn caller_seen(&self, number: &str) -> Option<String> {
        self.world.witnesses.get(number)?.caller.clone()
    }

    /// Answered calls of the phone.
    pub fn live(&self, number: &str) -> usize {
        let stuck = self.world.witnesses.get(number).map_or(0, |witness| witness.stuck);
        self.world.channels.values().filter(|c| c.number == number && c.phone_up).count() + stuck
    }

    /// The phone sends its partner in its first answered call to `to`: REFER.
    pub fn transfer(&mut self, number: &str, to: &str, now: Duration) {
        self.advance(now);
        self.world.transfer(number, to);
        self.advance(now);
    }

    /// The phone joins its partners in its first and second answered call: REFER with Replaces.
    pub fn transfer_attended(&mut self, number: &str, now: Duration) {
        self.advance(now);
        self.world.transfer_attended(number);
        self.advance(now);
    }

    /// The SIP status that the phone last heard of a transfer: 202 while it is under way.
    pub fn transferred(&self, number: &str) -> Option<u16> {
        self.world.witnesses.get(number)?.transferred
    }

    /// The phone does something in all its answered calls; a hang-up also refuses what rings.
    pub fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.advance(now);
        if *act == Act::HangUp {
            self.world.witness(number).stuck = 0;
        }
        for id in self.world.legs_of(number) {
            let answered = self.world.channels.get(&id).is_some_and(|c| c.phone_up);
            let calling = self.world.channels.get(&id).is_some_and(|c| c.state == State::Ring);
            if answered {
                self.world.phone_acts(&id, act);
            } else if *act == Act::HangUp && calling {
                self.world.phone_cancels(&id);
            } else if *act == Act::HangUp {
                self.world.phone_refuses(&id, 486);
            }
        }
        self.advance(now);
    }

    /// A call between two phones that nobody ordered. Returns the caller's channel id; nobody has it if
    /// the call was refused.
    pub fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        self.advance(now);
        let caller = Party { number: Some(from.to_owned()), name: Some(format!("Phone {from}")) };
        let id = self.world.inbound(from, caller, from, to);
        self.advance(now);
        id
    }

    /// A hostile call through the trunk to a waiting extension; `raw_caller` is the From user after
    /// percent-decoding, printed raw into every AMI event of the call (sheet section 11).
    pub fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> String {
        self.advance(now);
        let caller = Party { number: Some(raw_caller.to_owned()), name: None };
        let id = self.world.inbound("trunk", caller, "hostile", "604");
        self.advance(now);
        id
    }
}
