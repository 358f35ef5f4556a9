//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What is said at login: `login.rs`. What an event means: `events.rs`, `facts.rs`. What an order becomes: `orders.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::Evidence;
use ifbus_call::{
    Boot, Epoch, InstanceId, Interface, LegId, Nanos, Order, Outcome, Refused, ServerName, Why,
};

use super::flight::{Purpose, Running, Timer};
use super::legs::{Ended, Legs, Room};
use super::listing::Listing;
use super::login::Login;
use super::options::Options;
use super::parting::Parting;
use super::probe::SipQuestion;
use crate::adapter::{
    Adapter, Down, DownReason, Endpoint, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, RequestId,
    Ticket, Warning,
};
use crate::random::Random;
use crate::timers::Timers;
use crate::wire_format::extmodule::{Channel, Command, Decoder, Unfit};

/// The external module connection: everything.
pub(super) const ENGINE: u8 = 0;
/// UDP: SIP OPTIONS. Opened by the first probe.
pub(super) const SIP: u8 = 1;

/// An engine that was asked and says nothing for so long is dead, whatever TCP believes.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(10);

/// Yate, as a machine without input or output.
#[derive(Debug)]
pub struct Yate {
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

/// Where in its life a server's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or over.
    Off,
    /// Connecting, asking, listing.
    Rising,
    /// Orders are taken.
    Ready,
}

/// What is forgotten when a life of the link is over.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) link: Link,
    pub(super) sip: Link,
    pub(super) sip_question: Option<SipQuestion>,
    pub(super) decoder: Decoder,
    pub(super) login: Login,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) request: u64,
    pub(super) asked: BTreeMap<u128, Purpose>,
    pub(super) timers: Timers<Timer>,
    pub(super) orders: BTreeMap<Ticket, Running>,
    pub(super) waiting: VecDeque<(Ticket, Order)>,
    /// A leg has become free: somebody who waits may go on.
    pub(super) freed: bool,
    pub(super) busy: BTreeMap<LegId, Ticket>,
    /// Legs that lost their partner, and the question of the engine that waits for an answer.
    pub(super) held: BTreeMap<LegId, Vec<u8>>,
    pub(super) legs: Legs,
    pub(super) ended: Ended,
    /// The rooms that channels of ours are in.
    pub(super) rooms: BTreeMap<String, Room>,
    /// Ends that are told when it is known what became of the partner, by partner.
    pub(super) partings: BTreeMap<LegId, Parting>,
    pub(super) lists: BTreeMap<u64, Listing>,
    pub(super) list: u64,
    pub(super) boot: Option<Boot>,
    pub(super) version: Option<String>,
    pub(super) legs_max: Option<u32>,
    /// What is loaded, by file name.
    pub(super) loaded: BTreeMap<&'static str, bool>,
    /// Whether the two sounds are there, as far as it is known: silence, music.
    pub(super) sounds: (Option<bool>, Option<bool>),
    /// Lines that came before the list.
    pub(super) early: Vec<Vec<u8>>,
    pub(super) early_bytes: usize,
    pub(super) draining: bool,
    /// The engine said that it is going down.
    pub(super) farewell: bool,
}

/// How far a link has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Closed,
    Opening,
    Open,
}

/// What an HTTP request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Whether a segment that was begun is there.
    Begun(Ticket),
    /// One of the two files of a segment.
    Side(Ticket, usize),
    /// Whether anything is served, for an inspection.
    Files(Ticket),
}

impl Yate {
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

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        self.out.push_back(Output::Send(self.link(ENGINE), bytes));
    }

    /// Sends a message under an id of ours. Nothing is remembered of one that is unfit.
    pub(super) fn ask(
        &mut self,
        purpose: Purpose,
        make: impl FnOnce(u128) -> Command,
    ) -> Result<u128, Unfit> {
        let id = self.random.next();
        let bytes = make(id).finish()?;
        self.send(bytes);
        self.life.asked.insert(id, purpose);
        Ok(id)
    }

    /// The engine's name of a leg.
    pub(super) fn channel(&self, leg: LegId) -> Option<Channel> {
        self.life.legs.get(leg)?.native.clone()
    }

    pub(super) fn request(&mut self, purpose: Request, request: HttpRequest) -> u64 {
        self.life.request += 1;
        let number = self.life.request;
        self.life.requests.insert(number, purpose);
        self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number }, request));
        number
    }

    // ---- orders ----------------------------------------------------------------------------------------------------

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(running) = self.life.orders.remove(&ticket) else { return };
        if let Some((id, _)) = running.current {
            self.life.asked.remove(&id);
        }
        for timer in [Timer::Order, Timer::Digit, Timer::Refetch, Timer::Retransmit].map(|of| of(ticket)) {
            self.life.timers.disarm(timer);
        }
        self.life.freed = true;
        self.out.push_back(Output::Answer(ticket, outcome));
        for leg in running.work.legs() {
            if self.life.busy.get(&leg) == Some(&ticket) {
                self.life.busy.remove(&leg);
                self.held_after_order(leg);
                self.calm(leg);
            }
        }
    }

    fn answer_all(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.life.waiting) {
            self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::LinkLost))));
        }
        for (ticket, running) in std::mem::take(&mut self.life.orders) {
            let mut refused = Refused::link_lost();
            if !running.sent {
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
        self.life = Life { link: Link::Opening, ..Life::default() };
        let endpoint = Endpoint::Tcp {
            host: self.options.host.clone(),
            port: self.options.port,
            tls: None,
            quickack: true,
        };
        self.out.push_back(Output::Open(self.link(ENGINE), endpoint));
        self.life.timers.arm(Timer::Login, self.now + super::login::LOGIN_WITHIN);
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
        for (slot, link) in [(ENGINE, self.life.link), (SIP, self.life.sip)] {
            if link != Link::Closed {
                self.out.push_back(Output::Close(self.link(slot)));
            }
        }
        self.life = Life::default();
        self.phase = Phase::Off;
    }

    fn stop(&mut self) {
        if self.life.link == Link::Open {
            self.send(b"%%>quit\n".to_vec());
        }
        self.down(Interface::Management, DownReason::Stopped);
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.phase != Phase::Off && link.epoch == self.epoch
    }

    fn opened(&mut self, link: LinkId) {
        match link.slot {
            ENGINE if self.life.link == Link::Opening => {
                self.life.link = Link::Open;
                self.greet();
            }
            SIP if self.life.sip == Link::Opening => self.sip_opened(),
            _ => {}
        }
    }

    fn bytes(&mut self, link: LinkId, bytes: &[u8]) {
        match link.slot {
            ENGINE if self.life.link == Link::Open => self.engine_bytes(bytes),
            SIP => self.sip_datagram(bytes),
            _ => {}
        }
    }

    fn closed(&mut self, link: LinkId, error: LinkError) {
        match link.slot {
            ENGINE if self.life.link != Link::Closed => {
                let opening = self.life.link == Link::Opening;
                self.life.link = Link::Closed;
                let reason = match (opening, self.life.farewell) {
                    (true, _) => DownReason::Unreachable(error),
                    (false, true) => DownReason::ShuttingDown,
                    (false, false) => self.closed_early(error),
                };
                self.down(Interface::Management, reason);
            }
            SIP => self.sip_closed(&error),
            _ => {}
        }
    }

    fn http(&mut self, id: RequestId, result: Result<HttpReply, LinkError>) {
        match self.life.requests.remove(&id.number) {
            Some(Request::Begun(ticket)) => self.begun(ticket, &result),
            Some(Request::Side(ticket, side)) => self.side_sent(ticket, side, result),
            Some(Request::Files(ticket)) => self.files_answered(ticket, result),
            None => {}
        }
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::Login => {
                    self.down(Interface::Management, DownReason::Silent(super::login::LOGIN_WITHIN));
                }
                Timer::List(number) => self.list_late(number),
                Timer::Order(ticket) => self.order_late(ticket),
                Timer::Digit(ticket) => self.next_digit(ticket),
                Timer::Refetch(ticket) => self.ask_again(ticket),
                Timer::Ring(leg) => self.rang_out(leg),
                Timer::Gone(leg) => self.vanished(leg),
                Timer::Held(leg) => self.let_go(leg, false),
                Timer::Parting(leg) => self.look_where(leg),
                Timer::Truth(leg) => self.untold(leg),
                Timer::Silent => self.down(Interface::Management, DownReason::Silent(SILENT_MAX)),
                Timer::Retransmit(ticket) => self.ask_sip_again(ticket),
            }
            self.settle();
        }
    }
}

impl Adapter for Yate {
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
