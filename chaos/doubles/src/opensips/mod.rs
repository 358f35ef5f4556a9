//! A simulated OpenSIPS: the proxy of the module `proxy` with its management interface (MI) over HTTP and datagrams, and its
//! events, in one sans-IO machine.
//!
//! It imitates 3.6.8 and 4.0.1 as they were recorded, pitfalls included: status 200 for errors, ids cut to 31 bits,
//! parameters that must match exactly, an HTTP that answers one after the other, `OK` for an end that comes later, dialogs
//! that stay in the list when they are over, a shared variable that is made by setting it, subscriptions that end by
//! themselves. The phones behind it are others' ([`crate::phone::shell::SipServer`]). Not here: `ua_session_*`, `b2b_*`,
//! callops, load balancers, gateways, FIFO and TCP events; all of it is answered as a server without those modules does.
//!
//! The contract is in [`crate::double`]. Inside: `http` and `mi` answer, `events` tells, `options` is what the operator
//! configured, `server` is the shell with sockets.

mod events;
mod http;
mod mi;
mod options;
mod profile;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

pub use crate::proxy::State;
pub use options::Options;
pub use profile::Profile;
pub use server::{Bind, OpenSipsServer};

use crate::double::{self, Double, Link, Mortal, Reachable};
use crate::faults::{Faults, HttpState};
use crate::proxy::{Proxy, Rules, Stranger};
use crate::wire::Wire;
use events::Subscription;
use http::Waiting;

/// Which port something came to, or leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 8888: MI over HTTP.
    Http,
    /// UDP 8889: MI by datagrams.
    Mi,
    /// Where events leave from: any port.
    Events,
    /// UDP 5060.
    Sip,
}

/// What the shell tells the machine.
pub type Input = double::Input<Door>;
/// What the machine wants done.
pub type Output = double::Output<Door>;

/// The machine.
#[derive(Debug)]
pub struct OpenSips {
    options: Options,
    proxy: Proxy,
    wire: Wire<Door>,
    /// Bytes of HTTP that are no whole request yet.
    pending: BTreeMap<Link, Vec<u8>>,
    /// Requests of HTTP, which are answered one after the other.
    queue: VecDeque<(Link, crate::http::Request)>,
    /// One that waits for SIP, and holds up all others.
    waiting: Option<Waiting>,
    /// Datagrams that are answered later.
    later: Vec<(Duration, SocketAddr, Vec<u8>)>,
    subscriptions: Vec<Subscription>,
    /// How far each dialog had come when it was last told.
    told: BTreeMap<(u32, u32), State>,
    /// Dialogs that were ended by MI, for the reason that is told.
    by_mi: Vec<(u32, u32)>,
    /// Ends that were asked for and are carried out a moment later.
    ending: Vec<(u32, u32)>,
    /// Shared variables.
    variables: BTreeMap<String, i64>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    now: Duration,
    booted: Duration,
    beat: Duration,
    down: bool,
    stranger: Stranger,
}

impl OpenSips {
    /// A server that has just booted.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let server = format!("OpenSIPS ({} (x86_64/linux))", options.profile.version);
        let mut rules = Rules::new(SocketAddr::from(([127, 0, 0, 1], 5060)), &server);
        rules.routes.clone_from(&options.routes);
        rules.users.clone_from(&options.users);
        rules.fr_timer = options.fr_timer;
        rules.trusted.clone_from(&options.trusted);
        rules.wall = options.wall;
        rules.trying = "Giving it a try";
        rules.hides_503 = false;
        let mut machine = Self {
            proxy: Proxy::new(rules, options.seed),
            wire: Wire::new(options.seed),
            pending: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: None,
            later: Vec::new(),
            subscriptions: Vec::new(),
            told: BTreeMap::new(),
            by_mi: Vec::new(),
            ending: Vec::new(),
            variables: BTreeMap::new(),
            held: Vec::new(),
            now,
            booted: now,
            beat: now,
            down: false,
            stranger: Stranger::default(),
            options,
        };
        machine.configured();
        machine
    }

    /// What the configuration sets at every start.
    fn configured(&mut self) {
        self.variables = self.options.switch.iter().map(|name| (name.clone(), 0)).collect();
    }

    /// Where its SIP is, as it writes it into its headers.
    pub fn listens_at(&mut self, address: SocketAddr) {
        self.proxy.rules.address = address;
    }

    /// Addresses whose calls a drain lets through.
    pub fn trust(&mut self, address: SocketAddr) {
        self.proxy.rules.trusted.push(address);
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

    fn take(&mut self, input: Input) {
        match input {
            Input::Opened(link, door) => self.open(link, door),
            Input::Bytes(link, bytes) => self.receive(link, &bytes),
            Input::Closed(link) => self.forget(link),
            Input::Datagram(Door::Sip, from, bytes) if !self.wire.faults.sip_dead && !self.down => {
                self.proxy.datagram(from, &bytes, self.now);
            }
            Input::Datagram(Door::Mi, from, bytes) if !self.down => self.asked_by_datagram(from, &bytes),
            Input::Stalled(_) | Input::Datagram(..) | Input::Tick => {}
        }
    }

    fn open(&mut self, link: Link, door: Door) {
        if self.down || self.wire.faults.refuse {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        self.pending.insert(link, Vec::new());
    }

    fn forget(&mut self, link: Link) {
        self.pending.remove(&link);
        self.queue.retain(|(of, _)| *of != link);
        self.wire.closed(link);
    }

    /// Runs everything that is due, and spreads the news.
    fn advance(&mut self, now: Duration) {
        if self.wire.faults.freeze {
            return;
        }
        self.now = self.now.max(now);
        if self.down {
            return self.wire.release(self.now);
        }
        self.answer_requests();
        self.answer_datagrams();
        for key in std::mem::take(&mut self.ending) {
            self.end_dialog(key);
        }
        if !self.wire.faults.sip_dead {
            self.proxy.tick(self.now);
        }
        self.tell();
        while let Some((to, bytes)) = self.proxy.poll() {
            if !self.wire.faults.sip_dead {
                self.wire.datagram(Door::Sip, to, bytes);
            }
        }
        self.wire.release(self.now);
    }

    /// An answered call gets BYE on both sides, one that rings a CANCEL (sheet, section 8).
    fn end_dialog(&mut self, key: (u32, u32)) {
        let Some(dialog) = self.proxy.dialogs.get(&key).filter(|dialog| dialog.is_live()).cloned() else {
            return;
        };
        if dialog.state < State::Answered {
            self.proxy.take_back(&dialog.call_id, dialog.caller.1, self.now);
        } else {
            self.by_mi.push(key);
            self.proxy.terminate(key, self.now);
        }
    }

    fn die(&mut self) {
        self.down = true;
        for link in self.wire.links(None) {
            self.wire.reset(link);
        }
        self.pending.clear();
        self.queue.clear();
        self.waiting = None;
        self.later.clear();
        self.subscriptions.clear();
        self.told.clear();
        self.by_mi.clear();
        self.ending.clear();
        self.configured();
        self.proxy.forget();
        self.proxy.rules.drained = false;
    }
}

impl Double for OpenSips {
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
        let sip = self.proxy.deadline().filter(|_| !self.wire.faults.sip_dead);
        let beat = self.options.heartbeat.map(|every| self.beat + every);
        let waiting = self.waiting.as_ref().map(|waiting| waiting.until);
        let later = self.later.iter().map(|(due, ..)| *due).min();
        [self.wire.deadline(), sip, beat, waiting, later].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        match door {
            Door::Http => {
                !self.down && !self.wire.faults.refuse && self.wire.faults.http != HttpState::Closed
            }
            Door::Mi | Door::Events | Door::Sip => !self.down,
        }
    }
}

impl Mortal for OpenSips {
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

impl Reachable for OpenSips {
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
