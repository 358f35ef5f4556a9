//! A simulated Kamailio: the proxy of the module `proxy` with JSON-RPC over HTTP and `evapi`, in one sans-IO machine.
//!
//! It imitates 5.6.3 and 6.1.5 as they were recorded, pitfalls included: `{}` for "sent" and for "not there", an end of a
//! ringing call that does nothing, requests that are never answered, a method that kills the server, SIP that stands still
//! while an event client does not read. The phones behind it are others' ([`crate::phone::shell::SipServer`]). Not here:
//! REGISTER, dispatcher sets, the other transports of JSON-RPC.
//!
//! The contract is in [`crate::double`]. Inside: `http` and `rpc` answer, `events` tells, `options` is what the operator
//! configured, `server` is the shell with sockets.

mod events;
mod http;
mod options;
mod profile;
mod rpc;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use crate::proxy::State;
pub use options::Options;
pub use profile::Profile;
pub use server::{Bind, KamailioServer};

use crate::double::{self, Double, Link, Mortal, Reachable};
use crate::faults::{Faults, HttpState};
use crate::proxy::{Proxy, Rules, Stranger};
use crate::wire::Wire;

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 8080: JSON-RPC.
    Rpc,
    /// TCP 8448: `evapi`.
    Events,
    /// UDP 5060.
    Sip,
}

/// What the shell tells the machine.
pub type Input = double::Input<Door>;
/// What the machine wants done.
pub type Output = double::Output<Door>;

/// The eighth client of `evapi` is the last (`max_clients`).
const CLIENTS_MAX: usize = 8;

/// The machine.
#[derive(Debug)]
pub struct Kamailio {
    options: Options,
    proxy: Proxy,
    wire: Wire<Door>,
    /// Bytes of HTTP that are no whole request yet.
    pending: BTreeMap<Link, Vec<u8>>,
    /// Clients of `evapi` that do not read.
    stalled: Vec<Link>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    now: Duration,
    booted: Duration,
    beat: Duration,
    down: bool,
    /// A request has killed it.
    dying: bool,
    /// SIP stands still although nothing is stalled.
    standing_still: bool,
    /// Requests of HTTP.
    asked: u64,
    /// Who calls that nobody knows.
    stranger: Stranger,
}

impl Kamailio {
    /// A server that has just booted.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let server = format!("kamailio ({} (x86_64/linux))", options.profile.version);
        let mut rules = Rules::new(SocketAddr::from(([127, 0, 0, 1], 5060)), &server);
        rules.routes.clone_from(&options.routes);
        rules.users.clone_from(&options.users);
        rules.session_expires = options.session_expires;
        rules.swaps = options.swaps;
        rules.fr_timer = options.fr_timer;
        rules.trusted.clone_from(&options.trusted);
        rules.wall = options.wall;
        Self {
            proxy: Proxy::new(rules, options.seed),
            wire: Wire::new(options.seed),
            pending: BTreeMap::new(),
            stalled: Vec::new(),
            held: Vec::new(),
            now,
            booted: now,
            beat: now,
            down: false,
            dying: false,
            standing_still: false,
            asked: 0,
            stranger: Stranger::default(),
            options,
        }
    }

    /// Where its SIP is, as it writes it into its headers.
    pub fn listens_at(&mut self, address: SocketAddr) {
        self.proxy.rules.address = address;
    }

    /// SIP stands still while JSON-RPC goes on: what an event client does that does not read (sheet, section 4).
    pub fn stand_still(&mut self, still: bool) {
        self.standing_still = still;
    }

    /// Dialogs that are not over.
    #[must_use]
    pub fn live(&self) -> usize {
        self.proxy.dialogs.values().filter(|dialog| dialog.is_live()).count()
    }

    /// Call-IDs of the dialogs that are not over, with how far each has come.
    #[must_use]
    pub fn dialogs(&self) -> Vec<(String, State)> {
        let live = self.proxy.dialogs.values().filter(|dialog| dialog.is_live());
        live.map(|dialog| (dialog.call_id.clone(), dialog.state)).collect()
    }

    /// INVITEs that a drain refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.proxy.drained
    }

    fn wall(&self, at: Duration) -> u64 {
        self.options.wall + at.as_secs()
    }

    fn sip_is_dead(&self) -> bool {
        self.wire.faults.sip_dead || self.standing_still || !self.stalled.is_empty()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Opened(link, door) => self.open(link, door),
            Input::Bytes(link, bytes) => self.receive(link, &bytes),
            Input::Stalled(link) => self.stalled.push(link),
            Input::Closed(link) => {
                self.pending.remove(&link);
                self.stalled.retain(|other| *other != link);
                self.wire.closed(link);
            }
            Input::Datagram(Door::Sip, from, bytes) if !self.sip_is_dead() && !self.down => {
                self.proxy.datagram(from, &bytes, self.now);
            }
            Input::Datagram(..) | Input::Tick => {}
        }
    }

    fn open(&mut self, link: Link, door: Door) {
        if self.down || self.wire.faults.refuse {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        match door {
            Door::Rpc => drop(self.pending.insert(link, Vec::new())),
            // accepted, and closed at once
            Door::Events if self.wire.links(Some(Door::Events)).len() > CLIENTS_MAX => {
                self.wire.close(link, self.now);
            }
            Door::Events | Door::Sip => {}
        }
    }

    fn receive(&mut self, link: Link, bytes: &[u8]) {
        let Some(mut pending) = self.pending.remove(&link) else { return };
        if self.wire.faults.http == HttpState::Unavailable {
            let text = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
            self.wire.reply(link, text, self.now);
            self.pending.insert(link, Vec::new());
            return;
        }
        pending.extend_from_slice(bytes);
        for reply in self.http(&mut pending, self.now).into_iter().flatten() {
            self.wire.reply(link, reply, self.now);
        }
        self.pending.insert(link, pending);
    }

    /// Runs everything that is due, and spreads the news.
    fn advance(&mut self, now: Duration) {
        if self.wire.faults.freeze {
            return;
        }
        self.now = self.now.max(now);
        if std::mem::take(&mut self.dying) {
            self.die();
        }
        if self.down {
            return self.wire.release(self.now);
        }
        if !self.sip_is_dead() {
            self.proxy.tick(self.now);
        }
        self.tell();
        while let Some((to, bytes)) = self.proxy.poll() {
            if !self.sip_is_dead() {
                self.wire.datagram(Door::Sip, to, bytes);
            }
        }
        self.wire.release(self.now);
    }

    fn die(&mut self) {
        self.down = true;
        self.pending.clear();
        self.stalled.clear();
        for link in self.wire.links(None) {
            self.wire.reset(link);
        }
        self.proxy.forget();
        self.proxy.rules.drained = false;
    }
}

impl Double for Kamailio {
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
        let sip = self.proxy.deadline().filter(|_| !self.sip_is_dead());
        let beat = self.options.heartbeat.map(|every| self.beat + every);
        [self.wire.deadline(), sip, beat].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        match door {
            Door::Rpc => !self.down && !self.wire.faults.refuse && self.wire.faults.http != HttpState::Closed,
            Door::Events => !self.down && !self.wire.faults.refuse,
            Door::Sip => !self.down,
        }
    }
}

impl Mortal for Kamailio {
    fn faults(&self) -> &Faults {
        &self.wire.faults
    }

    fn set_faults(&mut self, faults: Faults, now: Duration) {
        self.wire.faults = faults;
        if !self.wire.faults.cut_off() {
            for input in std::mem::take(&mut self.held) {
                self.take(input);
            }
        }
        self.advance(now);
    }

    fn garbage(&mut self, now: Duration) {
        self.wire.garbage(now);
        self.advance(now);
    }

    fn kill(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.die();
        self.wire.release(self.now);
    }

    fn restart(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.down = false;
        self.booted = self.now;
        self.beat = self.now;
        self.advance(now);
    }

    /// It says nothing to anybody.
    fn shut_down(&mut self, now: Duration) {
        self.kill(now);
    }
}

impl Reachable for Kamailio {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        let (call_id, caller, invite) = self.stranger.invite(from, to, self.proxy.rules.address);
        self.handle(Input::Datagram(Door::Sip, caller, invite), now);
        call_id
    }

    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        let refused = self.proxy.drained;
        self.foreign_call(&Stranger::escaped(raw_caller), "604", now);
        self.proxy.drained == refused
    }
}
