//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What is said at login: `login.rs`. What an order becomes: `orders.rs`. Calls of ours: `calls.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ifbus_call::{Epoch, InstanceId, Interface, LegId, Nanos, Outcome, Refused, ServerName, Why};

use super::events::Events;
use super::flight::{Purpose, Timer, Work};
use super::listing::{Foreign, Listing};
use super::mi::{Answer, Command, Questions};
use super::options::{Mi, Options};
use crate::adapter::{
    Adapter, Down, DownReason, Endpoint, Input, LinkError, LinkId, Output, Ticket, Warning,
};
use crate::proxied::Calls;
use crate::timers::Timers;

/// The management by datagrams; by HTTP there is no such link.
pub(super) const MI: u8 = 0;
/// Where events arrive.
pub(super) const EVENTS: u8 = 1;

/// OpenSIPS, as a machine without input or output.
#[derive(Debug)]
pub struct OpenSips {
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
    /// The link of datagrams is there, or on its way.
    pub(super) linked: bool,
    pub(super) events: Events,
    pub(super) version: Option<String>,
    pub(super) commands: Option<BTreeSet<String>>,
    /// When the server began, in its own words; another text, another life of it.
    pub(super) up_since: Option<String>,
    pub(super) listing: bool,
    pub(super) lists: BTreeMap<u64, Listing>,
    pub(super) lists_ever: u64,
    pub(super) foreign: BTreeMap<LegId, Foreign>,
}

impl OpenSips {
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

    pub(super) const fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    /// Whether the server has a command, as far as it has told, under its old name or its new one.
    pub(super) fn has(&self, command: Command) -> bool {
        let (old, new) = command.names();
        self.life.commands.as_ref().is_none_or(|told| told.contains(old) || told.contains(new))
    }

    /// What came of a question.
    pub(super) fn heard(&mut self, purpose: Purpose, answer: &Answer) {
        match purpose {
            Purpose::Version => self.version_told(answer),
            Purpose::Which => self.commands_told(answer),
            Purpose::Boot => self.boot_told(answer),
            Purpose::SameBoot => self.boot_again(answer),
            Purpose::Events => self.events_told(answer),
            Purpose::Subscribe(place) => self.subscribed(place, answer),
            Purpose::Subscribers => self.subscribers_told(answer),
            Purpose::Unheard => {}
            Purpose::Page(list) => self.page_told(list, answer),
            Purpose::Look(ticket) => self.looked(ticket, answer),
            Purpose::End(ticket) => self.told_to_end(ticket, answer),
            Purpose::Orphan(leg) => self.orphan_told(leg, answer),
            Purpose::Load(ticket) => self.figures_told(ticket, answer),
            Purpose::Probe(ticket) => self.probed(ticket, answer),
            Purpose::Switch(ticket) => self.switch_told(ticket, answer),
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
        self.calls.start(self.now);
        if self.options.mi == Mi::Udp {
            self.life.linked = true;
            self.life.timers.arm(Timer::Opening, self.now + super::mi::ASK_WITHIN);
            let endpoint = Endpoint::Udp { host: self.options.host.clone(), port: self.options.port };
            self.out.push_back(Output::Open(self.link(MI), endpoint));
        } else {
            self.rise();
        }
    }

    /// Ends the life: every ticket is answered, the links closed, then the reason is told. Calls of ours go on.
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
        for (slot, open) in [(MI, self.life.linked), (EVENTS, self.life.events.is_bound())] {
            if open {
                self.out.push_back(Output::Close(self.link(slot)));
            }
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
        self.phase != Phase::Off && link.epoch == self.epoch
    }

    fn opened(&mut self, slot: u8) {
        match slot {
            MI if self.life.timers.is_armed(Timer::Opening) => {
                self.life.timers.disarm(Timer::Opening);
                self.rise();
            }
            EVENTS => self.events_opened(),
            _ => {}
        }
    }

    fn bytes(&mut self, slot: u8, bytes: &[u8]) {
        match slot {
            MI => self.datagram(bytes),
            EVENTS => self.event(bytes),
            _ => {}
        }
    }

    fn closed(&mut self, slot: u8, error: LinkError) {
        match slot {
            MI if self.life.linked => {
                self.life.linked = false;
                let opening = self.life.timers.is_armed(Timer::Opening);
                let reason = if opening { DownReason::Unreachable(error) } else { DownReason::Lost(error) };
                self.down(Interface::Management, reason);
            }
            EVENTS => self.events_lost(&error),
            _ => {}
        }
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::Asked(number) => self.answered(number, Err(LinkError::TimedOut)),
                Timer::Opening => {
                    self.down(Interface::Management, DownReason::Unreachable(LinkError::TimedOut));
                }
                Timer::Subscribing => self.events_lost(&LinkError::TimedOut),
                Timer::EventsSilent => self.events_silent(),
                Timer::Reopen => self.open_events(),
                Timer::Renew => self.renew(),
                Timer::Poll => self.ask_same_boot(),
                Timer::Look(ticket) => self.look(ticket),
                Timer::Order(ticket) => self.order_late(ticket),
            }
        }
        self.calls.agent_mut().tick(self.now);
    }
}

impl Adapter for OpenSips {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        match input {
            Input::Start(epoch) if epoch > self.epoch => self.start(epoch),
            Input::Stop => self.stop(),
            Input::Opened(link) if self.is_current(link) => self.opened(link.slot),
            Input::Bytes(link, bytes) if self.is_current(link) => self.bytes(link.slot, bytes),
            Input::Closed(link, error) if self.is_current(link) => self.closed(link.slot, error),
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
