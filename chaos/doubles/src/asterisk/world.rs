//! Everything the double holds that is not a session: channels, bridges, phones, timers, and the queues
//! of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::channels::{Bridge, Channel};
use super::dialplan::Dialplan;
use super::happening::{AmiEvent, AriEvent, Happening};
use super::options::{Contact, Endpoint, Options, Style};
use super::outside::Outside;
use super::profile::Profile;
use super::recording::{Recorder, Stored};
use crate::calendar;
use crate::phone::{Act, Plan};
use crate::random::Random;

/// Wall clock as the server prints it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) wall: u64,
}

impl Clock {
    /// `1795340522.175755`
    pub(super) fn stamp(self, now: Duration) -> String {
        format!("{}.{:06}", self.wall + now.as_secs(), now.subsec_micros())
    }

    /// `2026-11-22T10:14:42.517+0000`
    pub(super) fn iso(self, now: Duration) -> String {
        let (date, time) = self.date_time(now);
        format!("{date}T{time}.{:03}+0000", now.subsec_millis())
    }

    /// Date and time of day, both in the server's zone (UTC).
    pub(super) fn date_time(self, now: Duration) -> (String, String) {
        let seconds = self.wall + now.as_secs();
        let (year, month, day) = calendar::date(seconds);
        let rest = seconds % 86400;
        let time = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
        (format!("{year:04}-{month:02}-{day:02}"), time)
    }
}

/// Something that is due later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    PhoneRings(String),
    PhoneProgress(String),
    PhoneAnswers(String),
    PhoneRefuses(String, u16),
    PhoneActs(String, Act),
    DigitEnds(String, char),
    DialTimeout(String),
    /// 32 s without any answer: SIP timer B.
    NobodyThere(String),
    /// A timed stay in an application (channel, stay counter).
    StayOver(String, u64),
    /// The end of its `TIMEOUT(absolute)` (channel, counter).
    Fence(String, u64),
    /// A Bridge with a ringing channel takes effect.
    LateBridge(String, String),
    Qualify(String),
    QualifyResult(String, bool),
}

/// What a phone has seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    pub(super) rings: u32,
    pub(super) digits: String,
    pub(super) caller: Option<String>,
    /// How the last transfer of this phone went.
    pub(super) transferred: Option<u16>,
    /// Calls that only the phone still believes in.
    pub(super) stuck: usize,
}

/// The state of one simulated server.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) clock: Clock,
    pub(super) profile: Profile,
    pub(super) random: Random,
    pub(super) booted: Duration,
    pub(super) reloaded: Duration,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) names: BTreeMap<String, String>,
    pub(super) bridges: BTreeMap<String, Bridge>,
    pub(super) dialplan: Dialplan,
    pub(super) ready_dialplan: bool,
    pub(super) style: Style,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    /// Probed endpoints that did not answer.
    pub(super) unreachable: BTreeSet<String>,
    pub(super) plans: BTreeMap<String, Plan>,
    pub(super) witnesses: BTreeMap<String, Witness>,
    pub(super) timers: BTreeMap<(Duration, u64), Timer>,
    pub(super) globals: BTreeMap<String, String>,
    pub(super) suspended: BTreeSet<String>,
    /// Recorders at work, by handle.
    pub(super) recorders: BTreeMap<String, Recorder>,
    /// Handles of recorders that have stopped.
    pub(super) freed: Vec<String>,
    /// The folder that ARI serves, by name without suffix.
    pub(super) stored: BTreeMap<String, Stored>,
    /// State last told of each endpoint.
    pub(super) devices: BTreeMap<String, &'static str>,
    pub(super) ami: Vec<AmiEvent>,
    pub(super) ari: Vec<AriEvent>,
    /// Calls that have left the double.
    pub(super) outside: Outside,
    pub(super) phones_at: String,
    pub(super) sip_dead: bool,
    /// Every action is refused (`core stop gracefully`, or the last second of a shutdown).
    pub(super) shutting_down: bool,
    /// Endpoints that take no new calls.
    pub(super) maintenance: BTreeSet<String>,
    pub(super) originates: u64,
    pub(super) refused: u64,
    pub(super) processed: u64,
    serial: u64,
    unique: u64,
    ticket: u64,
}

impl World {
    pub(super) fn new(options: &Options, now: Duration) -> Self {
        World {
            now,
            clock: Clock { wall: options.wall },
            profile: options.profile,
            random: Random::new(options.seed),
            booted: now,
            reloaded: now,
            channels: BTreeMap::new(),
            names: BTreeMap::new(),
            bridges: BTreeMap::new(),
            dialplan: Dialplan::lab(options.dialplan, options.style),
            ready_dialplan: options.dialplan,
            style: options.style,
            endpoints: options.endpoints.clone(),
            unreachable: options
                .endpoints
                .iter()
                .filter(|(_, e)| e.contact == Contact::Dead)
                .map(|(name, _)| name.clone())
                .collect(),
            plans: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            timers: BTreeMap::new(),
            globals: BTreeMap::new(),
            suspended: BTreeSet::new(),
            recorders: BTreeMap::new(),
            freed: vec![],
            stored: BTreeMap::new(),
            devices: BTreeMap::new(),
            ami: vec![],
            ari: vec![],
            outside: Outside::new(options.outside),
            phones_at: options.phones_at.clone(),
            sip_dead: false,
            shutting_down: false,
            maintenance: BTreeSet::new(),
            originates: 0,
            refused: 0,
            processed: 0,
            serial: 0,
            unique: 0,
            ticket: 0,
        }
    }

    /// The process starts anew: calls, run-time settings and counters are gone, the phones and what they
    /// witnessed stay, and so do recorded files; one that was being written stays as it is.
    pub(super) fn reboot(&mut self) {
        self.channels.clear();
        self.outside.vanish();
        self.names.clear();
        self.bridges.clear();
        self.timers.clear();
        self.globals.clear();
        self.suspended.clear();
        self.maintenance.clear();
        self.recorders.clear();
        self.freed.clear();
        self.stored.values_mut().for_each(Stored::orphan);
        self.devices.clear();
        self.shutting_down = false;
        self.ami.clear();
        self.ari.clear();
        self.dialplan.reload(self.ready_dialplan, self.style);
        // A boot takes its time: no two lives of a process begin in the same second.
        self.booted = self.now.max(self.booted + Duration::from_secs(1));
        self.reloaded = self.booted;
        (self.processed, self.serial, self.unique) = (0, 0, 0);
        self.schedule_probes();
    }

    pub(super) fn tell(&mut self, told: Happening) {
        self.ami.extend(told.ami);
        self.ari.extend(told.ari);
    }

    /// Tells of things that the real server does at the same time on several threads: any order between
    /// the threads, the given order within each. ARI keeps `ChannelDestroyed` last (sheet section 19).
    pub(super) fn tell_at_once(&mut self, threads: Vec<Vec<Happening>>) {
        let merged = self.random.interleave(threads);
        let (destroyed, others): (Vec<_>, Vec<_>) = merged
            .iter()
            .filter_map(|told| told.ari.clone())
            .partition(|event| event.kind == "ChannelDestroyed");
        self.ami.extend(merged.into_iter().filter_map(|told| told.ami));
        self.ari.extend(others);
        self.ari.extend(destroyed);
    }

    pub(super) fn after(&mut self, delay: Duration, timer: Timer) {
        self.ticket += 1;
        self.timers.insert((self.now + delay, self.ticket), timer);
    }

    /// The channel that a client means: a unique id or a name.
    pub(super) fn find(&self, id_or_name: &str) -> Option<String> {
        if self.channels.contains_key(id_or_name) {
            return Some(id_or_name.to_owned());
        }
        self.names.get(id_or_name).cloned()
    }

    pub(super) fn next_name(&mut self, endpoint: &str) -> String {
        let serial = self.serial;
        self.serial += 1;
        format!("{}/{endpoint}-{serial:08x}", self.style.tech)
    }

    /// Grows with every channel.
    pub(super) fn next_rank(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// A unique id as the server makes them.
    pub(super) fn next_id(&mut self) -> String {
        self.unique += 1;
        format!("{}{}.{}", self.style.system, self.clock.wall + self.now.as_secs(), self.unique)
    }

    pub(super) fn plan_of(&self, number: &str) -> Plan {
        self.plans.get(number).cloned().unwrap_or_default()
    }

    pub(super) fn witness(&mut self, number: &str) -> &mut Witness {
        self.witnesses.entry(number.to_owned()).or_default()
    }

    /// Runs what is due; false when nothing was.
    pub(super) fn run_due(&mut self) -> bool {
        let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) else {
            return false;
        };
        match entry.remove() {
            Timer::PhoneRings(id) => self.phone_rings(&id),
            Timer::PhoneProgress(id) => self.phone_progresses(&id),
            Timer::PhoneAnswers(id) => self.phone_answers(&id),
            Timer::PhoneRefuses(id, status) => self.phone_refuses(&id, status),
            Timer::PhoneActs(id, act) => self.phone_acts(&id, &act),
            Timer::DigitEnds(id, digit) => self.digit_ends(&id, digit),
            Timer::DialTimeout(id) => self.dial_timed_out(&id),
            Timer::NobodyThere(id) => self.nobody_there(&id),
            Timer::StayOver(id, stay) => self.stay_over(&id, stay),
            Timer::Fence(id, count) => self.fenced_out(&id, count),
            Timer::LateBridge(a, b) => self.late_bridge(&a, &b),
            Timer::Qualify(name) => self.qualify(&name),
            Timer::QualifyResult(name, alive) => self.qualified(&name, alive),
        }
        true
    }
}
