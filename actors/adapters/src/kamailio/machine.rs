//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What is said at login: `login.rs`. What an order becomes: `orders.rs`. Calls of ours: `calls.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ifbus_call::{Epoch, InstanceId, Interface, LegId, Nanos, Outcome, Refused, ServerName, Why};

use super::flight::{Purpose, Timer, Work};
use super::listing::Foreign;
use super::options::Options;
use super::rpc::{Answer, Questions};
use crate::adapter::{Adapter, Down, DownReason, Input, LinkError, LinkId, Output, Ticket, Warning};
use crate::proxied::Calls;
use crate::timers::Timers;
use crate::wire_format::netstring::Decoder;

/// The event stream, the only link there is: everything else is HTTP and SIP.
pub(super) const EVENTS: u8 = 0;

/// Kamailio, as a machine without input or output.
#[derive(Debug)]
pub struct Kamailio {
    pub(super) options: Options,
    pub(super) server: ServerName,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) life: Life,
    /// Calls of ours, which outlive the lives of the links.
    pub(super) calls: Calls,
}

/// Where in its life a server's links are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or over.
    Off,
    /// Asking, opening, listing.
    Rising,
    /// Orders are taken.
    Ready,
}

/// What is forgotten when a life of the links is over.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) questions: Questions,
    pub(super) timers: Timers<Timer>,
    pub(super) orders: BTreeMap<Ticket, Work>,
    pub(super) events: Events,
    pub(super) decoder: Decoder,
    pub(super) version: Option<String>,
    pub(super) methods: Option<BTreeSet<String>>,
    /// When the server began, in its own words; another text, another life of it.
    pub(super) up_since: Option<String>,
    /// The same as the events tell it.
    pub(super) boot: Option<String>,
    pub(super) listing: bool,
    pub(super) foreign: BTreeMap<LegId, Foreign>,
}

/// How far the event stream has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Events {
    /// Not wanted, or not to be had: the server is asked instead.
    #[default]
    Off,
    Opening,
    /// Open; nothing was heard yet.
    Open,
    /// Something was heard.
    Heard,
}

impl Kamailio {
    /// A machine that does nothing before [`Input::Start`]. `seed` should be unguessable: names of calls are made of it.
    #[must_use]
    pub fn new(options: Options, instance: InstanceId, server: ServerName, seed: u64) -> Self {
        Self {
            calls: Calls::new(options.sip.as_ref(), instance, seed),
            options,
            server,
            now: Nanos::ZERO,
            out: VecDeque::new(),
            epoch: Epoch(0),
            phase: Phase::Off,
            life: Life::default(),
        }
    }

    pub(super) fn link(&self) -> LinkId {
        LinkId { epoch: self.epoch, slot: EVENTS }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    /// Whether the server has a method, as far as it has told.
    pub(super) fn has(&self, method: &str) -> bool {
        self.life.methods.as_ref().is_none_or(|methods| methods.contains(method))
    }

    /// What came of a question.
    pub(super) fn heard(&mut self, purpose: Purpose, answer: &Answer) {
        match purpose {
            Purpose::Version => self.version_told(answer),
            Purpose::Methods => self.methods_told(answer),
            Purpose::Boot => self.boot_told(answer),
            Purpose::SameBoot => self.boot_again(answer),
            Purpose::List(ticket) => self.listed(ticket, answer),
            Purpose::Look(ticket) => self.looked(ticket, answer),
            Purpose::End(ticket) => self.told_to_end(ticket, answer),
            Purpose::Orphan(leg) => self.orphan_told(leg, answer),
            Purpose::Load(ticket) => self.active_told(ticket, answer),
            Purpose::Ever(ticket) => self.counters_told(ticket, answer),
            Purpose::Probe(ticket) => self.probed(ticket, answer),
            Purpose::Drain(ticket) => self.drain_told(ticket, answer),
            Purpose::Inspect(ticket, check) => self.inspected(ticket, check, answer),
        }
    }

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.life.orders.remove(&ticket).is_some() {
            self.life.timers.disarm(Timer::Order(ticket));
            self.life.timers.disarm(Timer::Look(ticket));
            self.out.push_back(Output::Answer(ticket, outcome));
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

    /// Ends the life: every ticket is answered, the link closed, then the reason is told. Calls of ours go on.
    pub(super) fn down(&mut self, interface: Interface, reason: DownReason) {
        if self.phase == Phase::Off {
            return;
        }
        self.end_life();
        self.out.push_back(Output::Down(Down { interface, reason }));
    }

    fn end_life(&mut self) {
        for (ticket, work) in std::mem::take(&mut self.life.orders) {
            let refused = match work {
                Work::End(ending) if ending.is_unsent() => Refused::unsent(Why::LinkLost),
                _ => Refused::link_lost(),
            };
            self.out.push_back(Output::Answer(ticket, Err(refused)));
        }
        self.calls.agent_mut().release_orders(self.now);
        self.forward_calls();
        if self.life.events != Events::Off {
            self.out.push_back(Output::Close(self.link()));
        }
        self.life = Life::default();
        self.phase = Phase::Off;
    }

    fn stop(&mut self) {
        self.down(Interface::Management, DownReason::Stopped);
        self.calls.agent_mut().stop(self.now);
        self.forward_calls();
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.phase != Phase::Off && link == self.link()
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::EventsOpen => self.events_lost(&LinkError::TimedOut),
                Timer::EventsSilent => self.events_silent(),
                Timer::Reopen => self.open_events(),
                Timer::Poll => self.ask_same_boot(),
                Timer::Look(ticket) => self.look(ticket),
                Timer::Order(ticket) => self.order_late(ticket),
            }
        }
        self.calls.agent_mut().tick(self.now);
    }
}

impl Adapter for Kamailio {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        match input {
            Input::Start(epoch) if epoch > self.epoch => self.start(epoch),
            Input::Stop => self.stop(),
            Input::Opened(link) if self.is_current(link) => self.events_opened(),
            Input::Bytes(link, bytes) if self.is_current(link) => self.event_bytes(bytes),
            Input::Closed(link, error) if self.is_current(link) => self.events_lost(&error),
            Input::Http(id, result) if self.phase != Phase::Off && id.epoch == self.epoch => {
                self.answered(id.number, result);
            }
            Input::Restored(dialogs) => self.calls.agent_mut().restore(dialogs),
            Input::Sip(event) => self.calls.agent_mut().sip_event(event, self.now),
            Input::Persisted(number, well) => self.calls.agent_mut().persisted(number, well, self.now),
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Tick => self.tick(),
            Input::Start(_)
            | Input::Opened(_)
            | Input::Bytes(..)
            | Input::Accepted { .. }
            | Input::Closed(..)
            | Input::HttpPart(..)
            | Input::Http(..) => {}
        }
        self.settle_calls();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.life.timers.first().into_iter().chain(self.calls.agent().deadline()).min()
    }
}
