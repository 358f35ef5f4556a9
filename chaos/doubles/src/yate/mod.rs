//! A simulated Yate: its external module protocol, its phones, and a file server beside it, in one sans-IO machine.
//!
//! It imitates 6.4.1 as it was recorded, pitfalls included: events in any order, no answer to the first line, a drop
//! without a channel that ends everything, record success for paths that cannot be written, digits lost on a placeholder
//! or behind each other, overrides that outlive a connection, ten users in a room. It does not do scripts, queues,
//! registration, the console or the recording of rooms.
//!
//! The contract of the machine is [`Double`]'s. Inside: `session` and `line` read, `dispatch` says what messages do,
//! `world` holds channels and rooms, `phones` the far ends, `recording` the files.

mod control;
mod dispatch;
mod http;
mod line;
mod options;
mod phones;
mod recording;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use options::Options;
pub use server::{Bind, YateServer};

use crate::double::{Double, Link};
use crate::faults::HttpState;
use crate::sip_options;
use crate::wire::Wire;
use line::{Said, written};
use session::{Heard, Hook, Session};
use world::{Timer, World};

type Input = crate::double::Input<Door>;

/// The ports it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TCP 5039.
    Engine,
    /// TCP 8088: recordings over HTTP.
    Files,
    /// UDP 5060, for OPTIONS.
    Sip,
}

/// Figures of a running double.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Dials accepted since the double was made, over all restarts.
    pub dials: u64,
    /// Calls from outside that were refused because a client said so.
    pub refused: u64,
    /// Calls from outside that were let in.
    pub admitted: u64,
    /// Channels now, placeholders too.
    pub channels: usize,
    /// Legs now.
    pub legs: usize,
    /// Connections of both kinds.
    pub links: usize,
}

/// How long the engine waits for a client that it has asked.
const ASK_WITHIN: Duration = Duration::from_secs(3);

/// The machine.
#[derive(Debug)]
pub struct Yate {
    world: World,
    sessions: BTreeMap<Link, Session>,
    http: BTreeMap<Link, Vec<u8>>,
    wire: Wire<Door>,
    /// Inputs that arrived while frozen or cut off.
    held: Vec<Input>,
    down: bool,
    /// When a graceful end is complete.
    stopping: Option<Duration>,
}

impl Yate {
    /// A server that has just started.
    #[must_use]
    pub fn new(options: Options, now: Duration) -> Self {
        Self {
            wire: Wire::new(options.seed),
            world: World::new(options, now),
            sessions: BTreeMap::new(),
            http: BTreeMap::new(),
            held: Vec::new(),
            down: false,
            stopping: None,
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Opened(link, door) => self.open(link, door),
            Input::Bytes(link, bytes) => self.receive(link, &bytes),
            Input::Stalled(link) => {
                // with timebomb it is cut off; without, it would hold up the whole engine
                self.forget(link);
                self.wire.reset(link);
            }
            Input::Closed(link) => {
                self.forget(link);
                self.wire.closed(link);
            }
            Input::Datagram(door, from, bytes) => {
                if !self.world.sip_dead
                    && !self.down
                    && let Some(answer) = sip_options::answer(&bytes)
                {
                    self.wire.datagram(door, from, answer);
                }
            }
            Input::Tick => {}
        }
    }

    fn open(&mut self, link: Link, door: Door) {
        let closed = door == Door::Files && self.wire.faults.http == HttpState::Closed;
        if self.down || self.wire.faults.refuse || closed {
            return self.wire.reset(link);
        }
        self.wire.opened(link, door);
        match door {
            Door::Files => drop(self.http.insert(link, Vec::new())),
            Door::Engine | Door::Sip => drop(self.sessions.insert(link, Session::new())),
        }
    }

    fn receive(&mut self, link: Link, bytes: &[u8]) {
        if self.http.contains_key(&link) {
            return self.http_bytes(link, bytes);
        }
        if let Some(session) = self.sessions.get_mut(&link) {
            session.feed(bytes);
        }
        while let Some(heard) = self.sessions.get_mut(&link).and_then(Session::next) {
            match heard {
                Heard::Said(said) => self.said(link, said),
                Heard::Error(line) => self.tell(link, &line),
                Heard::Over => {
                    self.forget(link);
                    self.wire.close(link, self.world.now);
                }
            }
        }
    }

    /// Sends a line; it and its end are two writes.
    fn tell(&mut self, link: Link, line: &str) {
        let now = self.world.now;
        self.wire.event(link, line.as_bytes().to_vec(), now);
        self.wire.event(link, b"\n".to_vec(), now);
    }

    fn said(&mut self, link: Link, said: Said) {
        match said {
            Said::Quit => {
                self.tell(link, "%%<quit");
                self.forget(link);
                self.wire.close(link, self.world.now);
            }
            Said::Message { id, name, params } => {
                self.world.account();
                let answer = self.world.dispatch(&name, params);
                // a message with an empty id gets no reply (seen)
                if !id.is_empty() {
                    let line = format!(
                        "%%<message:{id}:{}:{}:{}{}",
                        answer.processed,
                        answer.name,
                        line::escape(&answer.value),
                        written(&answer.params)
                    );
                    let moment = self.world.moment();
                    self.world.after(moment, Timer::Reply(link, line));
                }
            }
            Said::Answer { id, processed, value, params } => {
                let number = id.rsplit('.').next().and_then(|number| number.parse().ok());
                let asked = number
                    .filter(|number| self.sessions.get_mut(&link).is_some_and(|s| s.asked.remove(number)));
                if let Some(number) = asked {
                    self.world.account();
                    self.world.decided(number, processed, &value, &params);
                }
            }
            Said::Local(name, value) => self.local(link, &name, &value),
            said => self.hook(link, said),
        }
        self.hooks_changed();
    }

    fn hook(&mut self, link: Link, said: Said) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let line = match said {
            Said::Watch(name) => format!("%%<watch:{name}:{}", session.watches.insert(name.clone())),
            Said::Unwatch(name) => format!("%%<unwatch:{name}:{}", session.watches.remove(&name)),
            Said::Install { priority, name, filter } => {
                let new = !session.hooks.contains_key(&name);
                let line = format!("%%<install:{priority}:{name}:{new}");
                session.hooks.entry(name).or_insert(Hook { priority, filter });
                line
            }
            Said::Uninstall(name) => {
                let old = session.hooks.remove(&name);
                let priority = old.as_ref().map_or("100", |hook| hook.priority.as_str());
                format!("%%<uninstall:{priority}:{name}:{}", old.is_some())
            }
            _ => return,
        };
        self.tell(link, &line);
    }

    fn local(&mut self, link: Link, name: &str, value: &str) {
        let world = &self.world;
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let (value, known) = match name {
            "bufsize" => {
                session.set_bufsize(value.parse().unwrap_or(8192));
                (value.to_owned(), true)
            }
            "timebomb" => {
                session.timebomb = value == "true";
                (value.to_owned(), true)
            }
            "timeout" | "maxqueue" | "selfwatch" | "reenter" | "trackparam" => (value.to_owned(), true),
            "engine.version" => (world.options.version.to_owned(), true),
            "engine.runid" | "runid" => (world.runid().to_string(), true),
            "engine.nodename" => ("double".to_owned(), true),
            "config.telephony.maxchans" => (
                world.options.maxchans.map(|most| most.to_string()).unwrap_or_default(),
                world.options.maxchans.is_some(),
            ),
            loaded if loaded.starts_with("loaded.") => ("true".to_owned(), true),
            _ => (String::new(), false),
        };
        self.tell(link, &format!("%%<setlocal:{name}:{value}:{known}"));
    }

    fn hooks_changed(&mut self) {
        let hooks = || self.sessions.values().flat_map(|session| &session.hooks);
        self.world.asks_preroute = hooks().any(|(name, _)| name == "call.preroute");
        self.world.asks_disconnected = hooks()
            .filter(|(name, _)| *name == "chan.disconnected")
            .map(|(_, hook)| hook.filter.clone())
            .collect();
    }

    fn forget(&mut self, link: Link) {
        self.http.remove(&link);
        let Some(session) = self.sessions.remove(&link) else { return };
        self.hooks_changed();
        // what it was asked goes on as if it had not been there
        for number in session.asked {
            self.world.account();
            self.world.decided(number, false, "", &Vec::new());
        }
    }

    /// Runs the world until nothing more is due.
    fn advance(&mut self, now: Duration) {
        if self.wire.faults.freeze {
            return;
        }
        let now = now.max(self.world.now);
        if self.down {
            self.world.now = now;
            return self.wire.release(now);
        }
        self.pump();
        // timers see the time they were due at
        while let Some(entry) = self.world.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            self.world.now = entry.key().0.max(self.world.now);
            let timer = entry.remove();
            match timer {
                Timer::Event(name, params) => self.spread(&name, &params),
                Timer::Reply(link, line) => self.reply(link, &line),
                timer => {
                    self.world.account();
                    self.world.due(timer);
                }
            }
            self.pump();
        }
        self.world.now = now;
        self.pump();
        if self.stopping.is_some_and(|at| at <= now) {
            for link in self.wire.links(None) {
                self.wire.close(link, now);
            }
            self.die();
        }
        self.wire.release(now);
    }

    /// Puts the questions of the world to whoever wants them.
    fn pump(&mut self) {
        for asking in std::mem::take(&mut self.world.asking) {
            let wants = |session: &&mut Session| {
                session.hooks.get(asking.name).is_some_and(|hook| match &hook.filter {
                    Some((key, value)) => asking.params.iter().any(|(k, v)| k == key && v == value),
                    None => true,
                })
            };
            let asked = self
                .sessions
                .iter_mut()
                .map(|(link, session)| (*link, session))
                .find(|(_, session)| wants(session));
            let Some((link, session)) = asked else {
                self.world.decided(asking.number, false, "", &Vec::new());
                continue;
            };
            session.asked.insert(asking.number);
            let time = self.world.options.wall + self.world.now.as_secs();
            let line = format!(
                "%%>message:0x7f.{}:{time}:{}:{}",
                asking.number,
                asking.name,
                written(&asking.params)
            );
            self.world.after(ASK_WITHIN, Timer::Unanswered(asking.number));
            self.tell(link, &line);
        }
    }

    fn spread(&mut self, name: &str, params: &line::Params) {
        let line = format!("%%<message::false:{name}:{}", written(params));
        let links: Vec<Link> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.watches.contains(name) || session.watches.contains(""))
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            let now = self.world.now;
            self.wire.event(link, [line.as_bytes(), b"\n"].concat(), now);
        }
    }

    fn reply(&mut self, link: Link, line: &str) {
        let now = self.world.now;
        let mut bytes = [line.as_bytes(), b"\n"].concat();
        if self.wire.random.chance(self.wire.faults.wrong_ids) {
            let at = "%%<message:".len();
            bytes[at] = if bytes[at] == b'f' { b'0' } else { b'f' };
        }
        self.wire.reply(link, bytes, now);
    }
}

impl Double for Yate {
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

    fn poll(&mut self) -> Option<crate::double::Output<Door>> {
        self.wire.poll()
    }

    fn deadline(&self) -> Option<Duration> {
        if self.wire.faults.freeze || self.down {
            return None;
        }
        let timers = self.world.timers.first_key_value().map(|((due, _), _)| *due);
        [timers, self.wire.deadline(), self.stopping].into_iter().flatten().min()
    }

    fn is_open(&self, door: Door) -> bool {
        let up = !self.down && !self.wire.faults.refuse;
        match door {
            Door::Engine => up,
            Door::Files => up && self.wire.faults.http != HttpState::Closed,
            Door::Sip => !self.down,
        }
    }
}
