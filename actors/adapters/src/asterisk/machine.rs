//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What is said at login: `login.rs`. What an event means: `events.rs`, `facts.rs`. What an order becomes: `orders.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::Evidence;
use ifbus_call::{
    Boot, Epoch, InstanceId, Interface, LegId, Nanos, Order, Outcome, Refused, ServerName, Why,
};

use super::flight::{Asked, Purpose, Running, Timer};
use super::legs::Legs;
use super::options::Options;
use super::parting::Parting;
use super::probe::SipQuestion;
use crate::adapter::{
    Adapter, Down, DownReason, Endpoint, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, RequestId,
    Ticket, Warning,
};
use crate::random::Random;
use crate::timers::Timers;
use crate::wire_format::ami::{Action, Decoder, Unfit};

/// AMI: actions. Filtered at login so that it carries responses and `OriginateResponse` alone.
pub(crate) const COMMANDS: u8 = 0;
/// AMI: lists and the life of the server; never an action that blocks, because one thread serves a session.
pub(crate) const WATCH: u8 = 1;
/// ARI: the event stream.
pub(crate) const STREAM: u8 = 2;
/// AMI: tones, each of which blocks its session while it sounds. Opened by the first order that needs it.
pub(crate) const TONES: u8 = 3;
/// UDP: SIP OPTIONS. Opened by the first probe.
pub(crate) const SIP: u8 = 4;

/// A connection that was asked and says nothing for so long is dead, whatever TCP believes.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(10);

/// A server that says goodbye closes within a second. The word alone is not believed: a caller can write it.
const FAREWELL_MAX: Duration = Duration::from_secs(10);

/// Asterisk, as a machine without input or output.
#[derive(Debug)]
pub struct Asterisk {
    pub(super) options: Options,
    pub(super) instance: InstanceId,
    pub(super) server: ServerName,
    pub(super) random: Random,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) life: Life,
    /// How phones are dialled that the server has told about itself; before any template.
    pub(super) phones: BTreeMap<String, String>,
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
    pub(super) stream: Stream,
    pub(super) sip: Link,
    pub(super) sip_question: Option<SipQuestion>,
    /// The event that proves the stream.
    pub(super) proof: String,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) request: u64,
    pub(super) asked: BTreeMap<u128, Asked>,
    pub(super) timers: Timers<Timer>,
    pub(super) orders: BTreeMap<Ticket, Running>,
    pub(super) waiting: VecDeque<(Ticket, Order)>,
    /// A leg has become free: somebody who waits may go on.
    pub(super) freed: bool,
    pub(super) busy: BTreeMap<LegId, Ticket>,
    pub(super) tones: VecDeque<Ticket>,
    pub(super) legs: Legs,
    /// Ends that are told when it is known what became of the partner, by partner.
    pub(super) partings: BTreeMap<LegId, Parting>,
    pub(super) boot: Option<Boot>,
    pub(super) booted: bool,
    /// It said so itself, which needs the right to hear it.
    pub(super) told_booted: bool,
    pub(super) version: Option<String>,
    pub(super) legs_max: Option<u32>,
    /// Events of the stream that came before the list.
    pub(super) early: Vec<Vec<u8>>,
    pub(super) early_bytes: usize,
    /// Legs heard of before the list, in AMI-alone mode.
    pub(super) doubts: BTreeSet<LegId>,
    pub(super) forged: u64,
    pub(super) listing: bool,
    /// When the server said that it is going down.
    pub(super) farewell: Option<Nanos>,
}

/// One AMI connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) decoder: Decoder,
    pub(super) heard: Nanos,
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

/// How far the event stream has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Not wanted, or not to be had: AMI alone.
    #[default]
    Off,
    Opening,
    /// Open; the filter is being set.
    Filtering,
    /// An event of ours is on its way around.
    Proving,
    Up,
}

/// What an HTTP request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Filter,
    /// An event of ours: for the stream itself, or for an order.
    Marker(Option<Ticket>),
    /// The file of a recording.
    Recording(Ticket),
    /// The list of recordings, for an inspection.
    Recordings(Ticket),
}

impl Asterisk {
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
            phones: BTreeMap::new(),
        }
    }

    /// From now on these extensions are dialled so. Whoever says it has checked both.
    pub(crate) fn know_phones(&mut self, phones: BTreeMap<String, String>) {
        self.phones = phones;
    }

    /// Whether ARI is the source of call state in this life.
    pub(super) fn by_stream(&self) -> bool {
        self.life.stream != Stream::Off
    }

    pub(super) fn session(&mut self, slot: u8) -> &mut Session {
        match slot {
            COMMANDS => &mut self.life.sessions[0],
            WATCH => &mut self.life.sessions[1],
            _ => &mut self.life.sessions[2],
        }
    }

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    pub(super) fn open(&mut self, slot: u8, endpoint: Endpoint) {
        self.out.push_back(Output::Open(self.link(slot), endpoint));
    }

    pub(super) fn open_session(&mut self, slot: u8) {
        let endpoint = Endpoint::Tcp {
            host: self.options.host.clone(),
            port: self.options.port,
            tls: self.options.tls.trust(&self.server),
            quickack: false,
        };
        *self.session(slot) = Session { link: Link::Opening, ..Session::default() };
        self.open(slot, endpoint);
    }

    // ---- actions ---------------------------------------------------------------------------------------------------

    /// Begins an action under a new id.
    pub(super) fn action(&mut self, name: &'static str) -> (u128, Action) {
        let id = self.random.next();
        (id, Action::new(name).with("ActionID", format_args!("{id:032x}")))
    }

    /// Sends an action. Nothing is remembered of one that is unfit.
    pub(super) fn ask(&mut self, slot: u8, id: u128, action: Action, purpose: Purpose) -> Result<(), Unfit> {
        let bytes = action.finish()?;
        self.out.push_back(Output::Send(self.link(slot), bytes));
        self.life.asked.insert(id, Asked { slot, purpose });
        Ok(())
    }

    /// Asks something that has no value from outside in it.
    pub(super) fn ask_plain(&mut self, slot: u8, name: &'static str, purpose: Purpose) -> u128 {
        let (id, action) = self.action(name);
        self.ask(slot, id, action, purpose).expect("names of actions are fit");
        id
    }

    pub(super) fn request(&mut self, purpose: Request, request: HttpRequest) {
        self.life.request += 1;
        let number = self.life.request;
        self.life.requests.insert(number, purpose);
        self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number }, request));
    }

    // ---- orders ----------------------------------------------------------------------------------------------------

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(running) = self.life.orders.remove(&ticket) else { return };
        for id in running.asks {
            self.life.asked.remove(&id);
        }
        for leg in running.work.legs() {
            if self.life.busy.get(&leg) == Some(&ticket) {
                self.life.busy.remove(&leg);
            }
        }
        for timer in
            [Timer::Order, Timer::Grace, Timer::Digit, Timer::Settle, Timer::Refetch, Timer::Retransmit]
                .map(|of| of(ticket))
        {
            self.life.timers.disarm(timer);
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
            (WATCH, self.life.sessions[1].link != Link::Closed),
            (STREAM, self.life.stream != Stream::Off),
            (TONES, self.life.sessions[2].link != Link::Closed),
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
        for slot in [COMMANDS, WATCH, TONES] {
            if self.session(slot).link == Link::In {
                let bytes = Action::new("Logoff").finish().expect("it has no value from outside");
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
            COMMANDS | WATCH | TONES if self.session(link.slot).link == Link::Opening => {
                self.session(link.slot).link = Link::Open;
                self.session(link.slot).heard = self.now;
            }
            STREAM if self.life.stream == Stream::Opening => self.stream_opened(),
            SIP if self.life.sip == Link::Opening => self.sip_opened(),
            _ => {}
        }
    }

    fn bytes(&mut self, link: LinkId, bytes: &[u8]) {
        match link.slot {
            COMMANDS | WATCH | TONES => self.ami_bytes(link.slot, bytes),
            STREAM => self.stream_message(bytes),
            SIP => self.sip_datagram(bytes),
            _ => {}
        }
    }

    fn closed(&mut self, link: LinkId, error: LinkError) {
        match link.slot {
            COMMANDS | WATCH if self.session(link.slot).link != Link::Closed => {
                let opening = self.session(link.slot).link == Link::Opening;
                self.session(link.slot).link = Link::Closed;
                let reason = if opening { DownReason::Unreachable(error) } else { self.lost(error) };
                self.down(Interface::Management, reason);
            }
            STREAM => self.stream_closed(error),
            TONES => self.tones_closed(),
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

    fn http(&mut self, id: RequestId, result: Result<HttpReply, LinkError>) {
        match self.life.requests.remove(&id.number) {
            Some(Request::Filter) => self.filter_set(result),
            Some(Request::Marker(None)) => self.proof_sent(result),
            Some(Request::Marker(Some(ticket))) => self.marker_sent(ticket, result),
            Some(Request::Recording(ticket)) => self.recording_sent(ticket, result),
            Some(Request::Recordings(ticket)) => self.recordings_listed(ticket, result),
            None => {}
        }
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::Login(slot) => self.login_late(slot),
                Timer::Booted => self.booted(),
                Timer::Stream => self.stream_late(),
                Timer::Reopen => self.open_stream(),
                Timer::Asked(id) => self.unanswered(id),
                Timer::Order(ticket) => self.order_late(ticket),
                Timer::Grace(ticket) => self.grace_over(ticket),
                Timer::Settle(ticket) => self.settle_legs(ticket),
                Timer::Refetch(ticket) => self.ask_recording(ticket),
                Timer::Digit(ticket) => self.next_digit(ticket),
                Timer::Gone(leg) => self.gone_for_a_while(leg),
                Timer::Parting(leg) => self.look_where(leg),
                Timer::Resync => self.resync(),
                Timer::Silent(slot) => self.silent(slot),
                Timer::Retransmit(ticket) => self.ask_sip_again(ticket),
            }
            self.settle();
        }
    }

    fn silent(&mut self, slot: u8) {
        let heard = self.session(slot).heard;
        if self.now.since(heard) >= SILENT_MAX {
            self.down(Interface::Management, DownReason::Silent(SILENT_MAX));
        }
    }
}

impl Adapter for Asterisk {
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
            | Input::Accepted { .. }
            | Input::Closed(..)
            | Input::HttpPart(..)
            | Input::Http(..) => {}
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
