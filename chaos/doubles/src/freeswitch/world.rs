//! Everything the double holds that is not a session: legs, rooms, phones, timers, and what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use super::events::Event;
use super::leg::{Leg, Stage};
use super::options::Options;
use super::recording::{Recorder, Stored};
use super::rooms::Room;
use crate::phone::{Act, Plan};
use crate::random::Random;

/// From an order to its effect: the next turn of the leg's thread (20 to 40 ms were seen).
pub(super) const TURN: Duration = Duration::from_millis(20);
/// From `uuid_broadcast` to the first sound.
pub(super) const BROADCAST: Duration = Duration::from_millis(120);
/// The lists may be late by this much.
const LISTS_LAG_MS: usize = 300;
/// HEARTBEAT.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Something that is due later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    PhoneRings(String),
    PhoneProgress(String),
    PhoneAnswers(String),
    PhoneRefuses(String, u16),
    PhoneActs(String, Act),
    DialTimeout(String),
    NobodyThere(String),
    /// A leg begins what its originate wants after the answer.
    Lands(String),
    Bridge(String, String),
    /// A leg runs an application; what for (`both` parties of a talk).
    Transfer(String, String, bool),
    Kill(String, String),
    ParkOver(String, u64),
    Scheduled(String, u64, String),
    Plays(String, String),
    Played(String, u64),
    Job(String, String),
    Refers(String, String),
    Heartbeat,
}

/// What a phone has seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness {
    pub(super) rings: u32,
    pub(super) digits: String,
    pub(super) caller: Option<String>,
    /// How the last transfer of this phone went.
    pub(super) transferred: Option<u16>,
}

/// A leg that has ended and that the lists still show.
#[derive(Clone, Debug)]
pub(super) struct Ghost {
    pub(super) leg: Leg,
    pub(super) until: Duration,
}

/// The state of one simulated server.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) options: Options,
    pub(super) random: Random,
    pub(super) core: String,
    pub(super) booted: Duration,
    pub(super) legs: BTreeMap<String, Leg>,
    pub(super) ghosts: Vec<Ghost>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) members: u64,
    pub(super) plans: BTreeMap<String, Plan>,
    pub(super) witnesses: BTreeMap<String, Witness>,
    pub(super) recorders: Vec<Recorder>,
    pub(super) files: BTreeMap<String, Stored>,
    pub(super) events: Vec<Event>,
    pub(super) sequence: u64,
    pub(super) sip_dead: bool,
    /// `fsctl pause`: calls from outside, calls of ours.
    pub(super) paused: (bool, bool),
    pub(super) originates: u64,
    pub(super) refused: u64,
    pub(super) sessions_ever: u64,
    /// When the last legs were made: for the limit per second.
    pub(super) lately: Vec<Duration>,
    timers: BTreeMap<(Duration, u64), Timer>,
    ticket: u64,
}

impl World {
    pub(super) fn new(options: &Options, now: Duration) -> Self {
        let mut random = Random::new(options.seed);
        let mut world = World {
            now,
            options: options.clone(),
            core: random.uuid(),
            random,
            booted: now,
            legs: BTreeMap::new(),
            ghosts: vec![],
            rooms: BTreeMap::new(),
            members: 0,
            plans: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            recorders: vec![],
            files: BTreeMap::new(),
            events: vec![],
            sequence: 400,
            sip_dead: false,
            paused: (false, false),
            originates: 0,
            refused: 0,
            sessions_ever: 0,
            lately: vec![],
            timers: BTreeMap::new(),
            ticket: 0,
        };
        world.after(HEARTBEAT, Timer::Heartbeat);
        world
    }

    /// The process starts anew: calls, pauses and rooms are gone, the phones and what they witnessed stay, and so do
    /// files.
    pub(super) fn reboot(&mut self) {
        self.core = self.random.uuid();
        self.booted = self.now;
        self.legs.clear();
        self.ghosts.clear();
        self.rooms.clear();
        self.recorders.clear();
        for file in self.files.values_mut() {
            file.orphan();
        }
        self.events.clear();
        self.timers.clear();
        self.paused = (false, false);
        self.lately.clear();
        (self.members, self.sessions_ever, self.sequence) = (0, 0, 400);
        self.after(HEARTBEAT, Timer::Heartbeat);
    }

    pub(super) fn after(&mut self, delay: Duration, timer: Timer) {
        self.ticket += 1;
        self.timers.insert((self.now + delay, self.ticket), timer);
    }

    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    pub(super) fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    pub(super) fn plan_of(&self, number: &str) -> Plan {
        self.plans.get(number).cloned().unwrap_or_default()
    }

    pub(super) fn witness(&mut self, number: &str) -> &mut Witness {
        self.witnesses.entry(number.to_owned()).or_default()
    }

    pub(super) fn uuids(&self) -> Vec<String> {
        self.legs.keys().cloned().collect()
    }

    /// Uuids of the legs whose far end is this phone, oldest first.
    pub(super) fn legs_of(&self, number: &str) -> Vec<String> {
        let mut legs: Vec<&Leg> = self.legs.values().filter(|leg| leg.number == number).collect();
        legs.sort_by_key(|leg| leg.rank);
        legs.into_iter().map(|leg| leg.uuid.clone()).collect()
    }

    pub(super) fn leg_mut(&mut self, uuid: &str) -> Option<&mut Leg> {
        self.legs.get_mut(uuid)
    }

    /// A new leg that nobody knows yet.
    pub(super) fn new_leg(&mut self, uuid: String, number: &str, inbound: bool) -> Leg {
        let lag = Duration::from_millis(self.random.below(LISTS_LAG_MS) as u64);
        self.sessions_ever += 1;
        self.lately.push(self.now);
        Leg {
            rank: self.ticket(),
            uuid,
            number: number.to_owned(),
            name: format!("sofia/lab/{number}@127.0.0.1"),
            inbound,
            caller: String::new(),
            dest: number.to_owned(),
            dialplan: "",
            variables: BTreeMap::new(),
            stage: Stage::Dialing,
            up: false,
            state: "CS_INIT",
            created: self.now,
            rang: None,
            answered: None,
            listed: self.now + lag,
            partner: None,
            room: None,
            app: Default::default(),
            parked: false,
            playing: None,
            stay: 0,
            park_cause: String::new(),
            park_over: None,
            scheduled: vec![],
            muted: (false, false),
            phone_holds: false,
            plan: self.plan_of(number),
            originate: None,
            by_directory: false,
            wanted: false,
            dialed_by: None,
            dials: None,
            disposition: "",
            refused: None,
            sent_by: None,
        }
    }

    /// The lists show an ended leg a little longer.
    pub(super) fn haunt(&mut self, leg: Leg) {
        let lag = Duration::from_millis(self.random.below(LISTS_LAG_MS) as u64);
        let now = self.now;
        self.ghosts.retain(|ghost| ghost.until > now);
        self.ghosts.push(Ghost { leg, until: now + lag });
    }

    /// Whether one more leg is let in: a full pause, the limit of sessions, the limit per second less one (sheet
    /// section 4).
    pub(super) fn has_room(&mut self) -> bool {
        let now = self.now;
        self.lately.retain(|made| now.saturating_sub(*made) < Duration::from_secs(1));
        self.legs.len() < self.options.sessions_max && self.lately.len() + 1 < self.options.per_second
    }

    /// Runs what is due; false when nothing was.
    pub(super) fn run_due(&mut self) -> bool {
        let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) else {
            return false;
        };
        match entry.remove() {
            Timer::PhoneRings(uuid) => self.phone_rings(&uuid),
            Timer::PhoneProgress(uuid) => self.phone_progresses(&uuid),
            Timer::PhoneAnswers(uuid) => self.phone_answers(&uuid),
            Timer::PhoneRefuses(uuid, status) => self.phone_refuses(&uuid, status),
            Timer::PhoneActs(uuid, act) => self.phone_does(&uuid, &act),
            Timer::DialTimeout(uuid) => self.dial_timed_out(&uuid),
            Timer::NobodyThere(uuid) => self.nobody_there(&uuid),
            Timer::Lands(uuid) => self.lands(&uuid),
            Timer::Bridge(a, b) => self.bridge(&a, &b),
            Timer::Transfer(uuid, app, both) => self.transfer(&uuid, &app, both),
            Timer::Kill(uuid, cause) => self.killed(&uuid, &cause),
            Timer::ParkOver(uuid, stay) => self.park_over(&uuid, stay),
            Timer::Scheduled(uuid, number, cause) => self.scheduled_end(&uuid, number, &cause),
            Timer::Plays(uuid, sound) => self.plays(&uuid, &sound),
            Timer::Played(uuid, stay) => self.played(&uuid, stay),
            Timer::Job(job, body) => self.job_done(&job, &body),
            Timer::Refers(number, to) => self.refers(&number, &to),
            Timer::Heartbeat => {
                self.heartbeat();
                self.after(HEARTBEAT, Timer::Heartbeat);
            }
        }
        true
    }
}
