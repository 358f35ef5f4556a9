//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What is said at login: `login.rs`. What an event means: `events.rs`, `facts.rs`. What an order becomes: `orders.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::Evidence;
use ifbus_call::{
    Boot, Epoch, InstanceId, Interface, LegId, Nanos, Order, Outcome, Refused, ServerName, Why,
};

use super::flight::{Job, Purpose, Running, Timer};
use super::legs::Legs;
use super::listing::Listing;
use super::options::Options;
use super::parting::Parting;
use super::probe::SipQuestion;
use crate::adapter::{
    Adapter, Down, DownReason, Endpoint, HttpReply, Input, LinkError, LinkId, Output, RequestId, Ticket,
};
use crate::random::Random;
use crate::timers::Timers;
use crate::wire_format::esl::{Command, Decoder, Unfit, Uuid};

/// Commands, one answered after the other.
pub(super) const COMMANDS: u8 = 0;
/// Events, and nothing that could hold them up.
pub(super) const EVENTS: u8 = 1;
/// Recordings, which hold up whatever comes after them. Opened by the first that is fetched so.
pub(super) const FILES: u8 = 2;
/// UDP: SIP OPTIONS. Opened by the first probe.
pub(super) const SIP: u8 = 3;

/// A connection that was asked and says nothing for so long is dead, whatever TCP believes: another client that does
/// not read can stop the whole event socket (sheet, section 5).
pub(super) const SILENT_MAX: Duration = Duration::from_secs(10);

/// A server that says goodbye closes within two seconds (sheet, section 5).
const FAREWELL_MAX: Duration = Duration::from_secs(10);

/// FreeSWITCH, as a machine without input or output.
#[derive(Debug)]
pub struct FreeSwitch {
    pub(super) options: Options,
    pub(super) instance: InstanceId,
    pub(super) server: ServerName,
    pub(super) random: Random,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) life: Life,
}

/// Where in its life a server's links are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or over.
    Off,
    /// Connecting, logging in, listing.
    Rising,
    /// Orders are taken.
    Ready,
}

/// What is forgotten when a life of the links is over.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) sessions: [Session; 3],
    pub(super) sip: Link,
    pub(super) sip_question: Option<SipQuestion>,
    pub(super) requests: BTreeMap<u64, Ticket>,
    pub(super) request: u64,
    pub(super) jobs: BTreeMap<u128, Job>,
    pub(super) timers: Timers<Timer>,
    pub(super) orders: BTreeMap<Ticket, Running>,
    pub(super) waiting: VecDeque<(Ticket, Order)>,
    /// A leg has become free: somebody who waits may go on.
    pub(super) freed: bool,
    pub(super) busy: BTreeMap<LegId, Ticket>,
    pub(super) legs: Legs,
    /// Ends that are told when it is known what became of the partner, by partner.
    pub(super) partings: BTreeMap<LegId, Parting>,
    pub(super) boot: Option<Boot>,
    pub(super) version: Option<String>,
    /// Where recordings are written.
    pub(super) folder: Option<String>,
    /// What a directory user may do; everything, if nothing was said.
    pub(super) rights: Option<Vec<String>>,
    pub(super) subscribed: bool,
    pub(super) listings: BTreeMap<u64, Listing>,
    pub(super) listing: u64,
    /// Events that came before the list.
    pub(super) early: Vec<Vec<u8>>,
    pub(super) early_bytes: usize,
    /// When the server said that it is going down.
    pub(super) farewell: Option<Nanos>,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) decoder: Decoder,
    /// What was asked, in order.
    pub(super) asked: VecDeque<Purpose>,
}

/// How far a link has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Closed,
    Opening,
    /// Open, not logged in.
    Open,
    /// Logged in, or open where there is no login.
    In,
}

impl FreeSwitch {
    /// A machine that does nothing before [`Input::Start`]. `seed` should be unguessable: all ids are made from it.
    #[must_use]
    pub fn new(options: Options, instance: InstanceId, server: ServerName, seed: u64) -> Self {
        Self {
            options,
            instance,
            server,
            random: Random::new(seed),
            now: Nanos::ZERO,
            out: VecDeque::new(),
            epoch: Epoch(0),
            phase: Phase::Off,
            life: Life::default(),
        }
    }

    pub(super) fn session(&mut self, slot: u8) -> &mut Session {
        match slot {
            COMMANDS => &mut self.life.sessions[0],
            EVENTS => &mut self.life.sessions[1],
            _ => &mut self.life.sessions[2],
        }
    }

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn count(&mut self, frames: u64) {
        if frames > 0 {
            self.out.push_back(Output::Unknown(frames));
        }
    }

    pub(super) fn open(&mut self, slot: u8, endpoint: Endpoint) {
        self.out.push_back(Output::Open(self.link(slot), endpoint));
    }

    pub(super) fn open_session(&mut self, slot: u8) {
        let endpoint = Endpoint::Tcp {
            host: self.options.host.clone(),
            port: self.options.port,
            tls: None,
            quickack: false,
        };
        *self.session(slot) = Session { link: Link::Opening, ..Session::default() };
        self.open(slot, endpoint);
    }

    // ---- commands --------------------------------------------------------------------------------------------------

    /// Sends a command and remembers why. Nothing is remembered of one that is unfit.
    pub(super) fn ask(&mut self, slot: u8, command: Command, purpose: Purpose) -> Result<(), Unfit> {
        let bytes = command.finish()?;
        self.out.push_back(Output::Send(self.link(slot), bytes));
        let session = self.session(slot);
        let first = session.asked.is_empty();
        session.asked.push_back(purpose);
        if first {
            self.life.timers.arm(Timer::Silent(slot), self.now + SILENT_MAX);
        }
        Ok(())
    }

    /// Sends a command that has no value from outside in it.
    pub(super) fn ask_plain(&mut self, slot: u8, command: Command, purpose: Purpose) {
        self.ask(slot, command, purpose).expect("words of ours are fit");
    }

    /// Begins a job under an id of ours.
    pub(super) fn job(&mut self, name: &'static str, job: Job) -> Command {
        let id = Uuid(self.random.next());
        self.life.jobs.insert(id.0, job);
        Command::background(name, id)
    }

    // ---- orders ----------------------------------------------------------------------------------------------------

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(running) = self.life.orders.remove(&ticket) else { return };
        for leg in running.work.legs() {
            if self.life.busy.get(&leg) == Some(&ticket) {
                self.life.busy.remove(&leg);
            }
        }
        for timer in [Timer::Order, Timer::Grace, Timer::Played, Timer::Refetch] {
            self.life.timers.disarm(timer(ticket));
        }
        self.life.freed = true;
        self.out.push_back(Output::Answer(ticket, outcome));
    }

    fn answer_all(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.life.waiting) {
            self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::LinkLost))));
        }
        for (ticket, running) in std::mem::take(&mut self.life.orders) {
            let mut refused = Refused::link_lost();
            if running.work.is_unsent() {
                refused.evidence = Evidence::NothingSent;
            }
            self.out.push_back(Output::Answer(ticket, Err(refused)));
        }
    }

    // ---- life ------------------------------------------------------------------------------------------------------

    fn start(&mut self, epoch: Epoch) {
        if self.phase != Phase::Off {
            self.end_life();
        }
        self.epoch = epoch;
        self.phase = Phase::Rising;
        self.life = Life::default();
        self.rise();
    }

    /// Ends the life: every ticket is answered, every link closed, then the reason is told.
    pub(super) fn down(&mut self, interface: Interface, reason: DownReason) {
        if self.phase == Phase::Off {
            return;
        }
        self.end_life();
        self.out.push_back(Output::Down(Down { interface, reason }));
    }

    fn end_life(&mut self) {
        self.answer_all();
        for (slot, open) in [
            (COMMANDS, self.life.sessions[0].link != Link::Closed),
            (EVENTS, self.life.sessions[1].link != Link::Closed),
            (FILES, self.life.sessions[2].link != Link::Closed),
            (SIP, self.life.sip != Link::Closed),
        ] {
            if open {
                self.out.push_back(Output::Close(self.link(slot)));
            }
        }
        self.life = Life::default();
        self.phase = Phase::Off;
    }

    fn stop(&mut self) {
        for slot in [COMMANDS, EVENTS, FILES] {
            if self.session(slot).link == Link::In {
                let bytes = Command::plain("exit").finish().expect("it has no value from outside");
                self.out.push_back(Output::Send(self.link(slot), bytes));
            }
        }
        self.down(Interface::Management, DownReason::Stopped);
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.phase != Phase::Off && link.epoch == self.epoch
    }

    fn opened(&mut self, link: LinkId) {
        match link.slot {
            COMMANDS | EVENTS | FILES if self.session(link.slot).link == Link::Opening => {
                self.session(link.slot).link = Link::Open;
            }
            SIP if self.life.sip == Link::Opening => self.sip_opened(),
            _ => {}
        }
    }

    fn bytes(&mut self, link: LinkId, bytes: &[u8]) {
        match link.slot {
            COMMANDS | EVENTS | FILES => self.esl_bytes(link.slot, bytes),
            SIP => self.sip_datagram(bytes),
            _ => {}
        }
    }

    fn closed(&mut self, link: LinkId, error: LinkError) {
        match link.slot {
            COMMANDS | EVENTS if self.session(link.slot).link != Link::Closed => {
                let opening = self.session(link.slot).link == Link::Opening;
                self.session(link.slot).link = Link::Closed;
                let reason = if opening { DownReason::Unreachable(error) } else { self.lost(error) };
                self.down(interface(link.slot), reason);
            }
            FILES => self.files_closed(),
            SIP => self.sip_closed(&error),
            _ => {}
        }
    }

    /// Why an open link broke: the server may have said so before.
    pub(super) fn lost(&self, error: LinkError) -> DownReason {
        match self.life.farewell {
            Some(said) if self.now.since(said) < FAREWELL_MAX => DownReason::ShuttingDown,
            _ => DownReason::Lost(error),
        }
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::Login(slot) => self.login_late(slot),
                Timer::List => self.advance(),
                Timer::Order(ticket) => self.order_late(ticket),
                Timer::Grace(ticket) => self.grace_over(ticket),
                Timer::Played(ticket) => self.played(ticket),
                Timer::Refetch(ticket) => self.fetch_again(ticket),
                Timer::Gone(leg) => self.gone_for_a_while(leg),
                Timer::Parting(leg) => self.release(leg),
                Timer::Silent(slot) => self.silent(slot),
                Timer::Retransmit => self.ask_sip_again(),
                Timer::Job(id) => drop(self.life.jobs.remove(&id)),
            }
            self.settle();
        }
    }

    fn silent(&mut self, slot: u8) {
        if slot == FILES {
            self.out.push_back(Output::Close(self.link(FILES)));
            return self.files_closed();
        }
        self.down(interface(slot), DownReason::Silent(SILENT_MAX));
    }

    fn http(&mut self, id: RequestId, result: Result<HttpReply, LinkError>) {
        if let Some(ticket) = self.life.requests.remove(&id.number) {
            self.file_sent(ticket, result);
        }
    }
}

/// What a connection is good for.
pub(super) const fn interface(slot: u8) -> Interface {
    if slot == EVENTS { Interface::Events } else { Interface::Management }
}

impl Adapter for FreeSwitch {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        match input {
            Input::Start(epoch) if epoch > self.epoch => self.start(epoch),
            Input::Stop => self.stop(),
            Input::Opened(link) if self.is_current(link) => self.opened(link),
            Input::Bytes(link, bytes) if self.is_current(link) => self.bytes(link, bytes),
            Input::Closed(link, error) if self.is_current(link) => self.closed(link, error),
            Input::HttpPart(id, bytes) if self.phase != Phase::Off && id.epoch == self.epoch => {
                self.http_part(id.number, bytes);
            }
            Input::Http(id, result) if self.phase != Phase::Off && id.epoch == self.epoch => {
                self.http(id, result);
            }
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Tick => self.tick(),
            // we speak no SIP of our own here, apart from probes
            Input::Restored(_) | Input::Sip(_) | Input::Persisted(..) => {}
            Input::Start(_)
            | Input::Opened(_)
            | Input::Bytes(..)
            | Input::Closed(..)
            | Input::HttpPart(..)
            | Input::Http(..)
            | Input::Accepted { .. } => {}
        }
        self.settle();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.life.timers.first()
    }
}
