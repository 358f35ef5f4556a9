//! A simulated Flexisip: the proxy of the module `proxy`, its pushes over HTTP/2 to whoever is told, and the account manager
//! beside it.
//!
//! It imitates 2.3.3 and 2.7.0 as they were recorded, pitfalls included: the raw path of a device, no push for a callee
//! that is not registered, pushes that are dropped with everything behind them while nobody listens, a redirection instead
//! of a refusal, `{}` for no devices. The phones behind it are others' ([`crate::phone::shell::SipServer`]). Not here:
//! REGISTER, its media relay, forks to several devices, the command line, Redis.
//!
//! The contract is in [`crate::double`]. Inside: `events` says what is pushed, `pusher` how, `accounts` answers,
//! `options` is what the operator configured, `server` is the shell with sockets.

mod accounts;
mod events;
mod options;
mod profile;
mod pusher;
mod server;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

pub use options::{Account, Options};
pub use profile::Profile;
pub use pusher::{Push, push_as};
pub use server::{Bind, FlexisipServer};

use crate::double::{self, Double, Link, Mortal, Reachable};
use crate::faults::{Faults, HttpState};
use crate::http;
use crate::proxy::{Proxy, Rules, Stranger};
use crate::wire::Wire;

/// Which port a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// UDP 5060.
    Sip,
    /// The account manager's HTTP.
    Api,
}

/// What the shell tells the machine.
pub type Input = double::Input<Door>;
/// What the machine wants done.
pub type Output = double::Output<Door>;

/// The machine.
#[derive(Debug)]
pub struct Flexisip {
    options: Options,
    proxy: Proxy,
    wire: Wire<Door>,
    /// Bytes of HTTP that are no whole request yet.
    pending: BTreeMap<Link, Vec<u8>>,
    /// Where pushes go; they are lost without it.
    pushes: Option<Sender<Push>>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    now: Duration,
    down: bool,
    stranger: Stranger,
}

impl Flexisip {
    /// A server that has just booted.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        let server = format!("Flexisip/{} (sofia-sip-nta/2.0)", options.profile.version);
        let mut rules = Rules::new(SocketAddr::from(([127, 0, 0, 1], 5060)), &server);
        rules.routes.clone_from(&options.routes);
        rules.users.clone_from(&options.users);
        rules.fr_inv_timer = Duration::from_secs(90);
        rules.wall = options.wall;
        rules.trying = "Trying";
        rules.hides_503 = false;
        rules.nameless_keepalive = !options.profile.names_itself;
        Self {
            proxy: Proxy::new(rules, options.seed),
            wire: Wire::new(options.seed),
            pending: BTreeMap::new(),
            pushes: None,
            held: Vec::new(),
            now,
            down: false,
            stranger: Stranger::default(),
            options,
        }
    }

    /// Where its SIP is, as it writes it into its headers.
    pub fn listens_at(&mut self, address: SocketAddr) {
        self.proxy.rules.address = address;
    }

    /// Where its pushes go from now on.
    pub fn push_to(&mut self, pushes: Sender<Push>) {
        self.pushes = Some(pushes);
    }

    /// Dialogs that are not over.
    #[must_use]
    pub fn live(&self) -> usize {
        self.proxy.dialogs.values().filter(|dialog| dialog.is_live()).count()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Opened(link, _) if self.down || self.wire.faults.refuse => self.wire.reset(link),
            Input::Opened(link, door) => {
                self.wire.opened(link, door);
                self.pending.insert(link, Vec::new());
            }
            Input::Bytes(link, bytes) => self.receive(link, &bytes),
            Input::Stalled(link) => self.wire.reset(link),
            Input::Closed(link) => {
                self.pending.remove(&link);
                self.wire.closed(link);
            }
            Input::Datagram(Door::Sip, from, bytes) if !self.wire.faults.sip_dead && !self.down => {
                self.proxy.datagram(from, &bytes, self.now);
            }
            Input::Datagram(..) | Input::Tick => {}
        }
    }

    fn receive(&mut self, link: Link, bytes: &[u8]) {
        let Some(mut pending) = self.pending.remove(&link) else { return };
        pending.extend_from_slice(bytes);
        loop {
            match http::next(&mut pending) {
                Ok(Some(request)) => {
                    let reply = match self.wire.faults.http {
                        HttpState::On => accounts::answer(&self.options, &request),
                        _ => accounts::status(503),
                    };
                    self.wire.reply(link, reply, self.now);
                }
                Ok(None) => break,
                Err(()) => return self.wire.close(link, self.now),
            }
        }
        self.pending.insert(link, pending);
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
}

impl Double for Flexisip {
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
        [self.wire.deadline(), sip].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        match door {
            Door::Sip => !self.down,
            Door::Api => !self.wire.faults.refuse && self.wire.faults.http != HttpState::Closed,
        }
    }
}

impl Mortal for Flexisip {
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

    /// The proxy dies; the account manager is another program, and goes on.
    fn kill(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.down = true;
        self.proxy.forget();
        self.lose_connection();
        self.wire.release(self.now);
    }

    fn restart(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.down = false;
        self.advance(now);
    }

    /// It ends no call, and says nothing to anybody.
    fn shut_down(&mut self, now: Duration) {
        self.kill(now);
    }
}

impl Reachable for Flexisip {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        let (call_id, caller, invite) = self.stranger.invite(from, to, self.proxy.rules.address);
        self.handle(Input::Datagram(Door::Sip, caller, invite), now);
        call_id
    }

    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        self.foreign_call(&Stranger::escaped(raw_caller), "604", now);
        true
    }
}
