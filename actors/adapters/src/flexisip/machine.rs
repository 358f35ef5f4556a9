//! The machine: what it holds, how inputs reach its parts, how a life begins and ends.
//!
//! What an order becomes: `orders.rs`. Calls of ours: `calls.rs`. What is pushed: `push.rs`, `pushed.rs`.

use std::collections::{BTreeMap, VecDeque};

use ifbus_call::{Boot, Epoch, InstanceId, Interface, Nanos, Outcome, Refused, ServerName};

use super::api::Questions;
use super::calls::MENDING;
use super::flight::{Timer, Work};
use super::foreign::Foreign;
use super::options::Options;
use super::push::Push;
use super::release::{LINK, Release};
use crate::adapter::{Adapter, Down, DownReason, Input, LinkId, Output, Ready, Ticket, Warning};
use crate::proxied::Calls;
use crate::random::Random;
use crate::timers::Timers;

/// A life of the server's that never changes: calls of ours are between us and the phones, and go on when the proxy
/// begins anew (sheet, section 7).
const BOOT: &str = "calls outlive the proxy";

/// Flexisip, as a machine without input or output.
#[derive(Debug)]
pub struct Flexisip {
    pub(super) options: Options,
    pub(super) server: ServerName,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) random: Random,
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) life: Life,
    /// Calls of ours, which outlive the lives of the links.
    pub(super) calls: Calls,
    /// Calls of others, as far as they were pushed.
    pub(super) foreign: Foreign,
    /// A life broke off: relays of the server may be gone.
    pub(super) broke_off: bool,
    /// When calls were offered again last.
    pub(super) mended: Option<Nanos>,
}

/// Where in its life a server's links are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or over.
    Off,
    /// The endpoint is opened, the server is asked whether it is there.
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
    pub(super) push: Push,
    pub(super) release: Release,
    /// The server was asked whether it is there.
    pub(super) asked: bool,
    /// It is.
    pub(super) sip_answers: bool,
}

impl Flexisip {
    /// A machine that does nothing before [`Input::Start`]. `seed` should be unguessable: names of calls are made of it.
    #[must_use]
    pub fn new(options: Options, instance: InstanceId, server: ServerName, seed: u64) -> Self {
        Self {
            calls: Calls::new(Some(&options.sip), instance, seed),
            options,
            server,
            now: Nanos::ZERO,
            out: VecDeque::new(),
            random: Random::new(!seed),
            epoch: Epoch(0),
            phase: Phase::Off,
            life: Life::default(),
            foreign: Foreign::default(),
            broke_off: false,
            mended: None,
        }
    }

    pub(super) const fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    /// Answers a ticket, for the one time, and forgets the order.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.life.orders.remove(&ticket).is_some() {
            self.life.timers.disarm(Timer::Order(ticket));
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
        self.ask_release();
        self.open_port();
        self.ping_api();
    }

    /// SIP answers: orders are taken.
    pub(super) fn ready(&mut self) {
        self.phase = Phase::Ready;
        let seen = self.seen();
        let boot = Boot(BOOT.to_owned());
        let version = self.version();
        self.out.push_back(Output::Ready(Ready { epoch: self.epoch, boot, version, seen }));
        if std::mem::take(&mut self.broke_off) {
            self.mend();
        }
    }

    /// Ends the life: every ticket is answered, the port closed, then the reason is told. Calls of ours go on.
    pub(super) fn down(&mut self, interface: Interface, reason: DownReason) {
        if self.phase == Phase::Off {
            return;
        }
        self.end_life();
        self.out.push_back(Output::Down(Down { interface, reason }));
    }

    fn end_life(&mut self) {
        self.broke_off |= self.phase == Phase::Ready;
        self.phase = Phase::Off;
        for (ticket, _) in std::mem::take(&mut self.life.orders) {
            self.out.push_back(Output::Answer(ticket, Err(Refused::link_lost())));
        }
        self.calls.agent_mut().release_orders(self.now);
        self.forward_calls();
        self.close_port();
        self.drop_question();
        self.life = Life::default();
    }

    fn stop(&mut self) {
        self.down(Interface::Sip, DownReason::Stopped);
        self.calls.agent_mut().stop(self.now);
        self.forward_calls();
    }

    fn tick(&mut self) {
        while let Some(timer) = self.life.timers.pop(self.now) {
            match timer {
                Timer::Reopen => self.open_port(),
                Timer::Ping => self.ping_peers(),
                Timer::AskAgain => self.send_question(),
                Timer::Unnamed => self.settle_release(),
                Timer::Mend => self.calls.ask_sip(MENDING, self.now),
                Timer::Order(ticket) => self.order_late(ticket),
            }
        }
        self.calls.agent_mut().tick(self.now);
    }

    fn is_current(&self, link: LinkId) -> bool {
        self.phase != Phase::Off && link.epoch == self.epoch
    }
}

impl Adapter for Flexisip {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        match input {
            Input::Start(epoch) if epoch > self.epoch => self.start(epoch),
            Input::Stop => self.stop(),
            Input::Opened(link) if self.is_current(link) && link.slot == LINK => self.send_question(),
            Input::Opened(link) if self.is_current(link) => self.port_opened(link.slot),
            Input::Accepted { listener, link, from } if self.is_current(link) => {
                self.peer_came(listener.slot, link.slot, from);
            }
            Input::Bytes(link, bytes) if self.is_current(link) && link.slot == LINK => {
                self.question_answered(bytes);
            }
            Input::Closed(link, _) if self.is_current(link) && link.slot == LINK => self.settle_release(),
            Input::Bytes(link, bytes) if self.is_current(link) => self.peer_said(link.slot, bytes),
            Input::Closed(link, error) if self.is_current(link) => self.link_closed(link.slot, &error),
            Input::Http(id, result) if self.phase != Phase::Off && id.epoch == self.epoch => {
                self.api_answered(id.number, result);
            }
            Input::Restored(dialogs) => self.calls.agent_mut().restore(dialogs),
            Input::Sip(event) => self.calls.agent_mut().sip_event(event, self.now),
            Input::Persisted(number, well) => self.calls.agent_mut().persisted(number, well, self.now),
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Tick => self.tick(),
            Input::Start(_)
            | Input::Opened(_)
            | Input::Accepted { .. }
            | Input::Bytes(..)
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
