//! Whether the engine answers, and SIP OPTIONS apart from it; each within two seconds.
//!
//! Orders and events share one connection, and no message of ours comes back as an event: its answer is the proof of
//! both. It measures and reports; only an engine that stays silent for ten seconds is given up here.

use std::time::Duration;

use ifbus_call::order::{Done, Probed};
use ifbus_call::{Interface, Nanos};

use super::flight::{Purpose, Timer, Work};
use super::machine::{Link, SILENT_MAX, SIP, Yate};
use crate::adapter::{Endpoint, LinkError, Output, Ticket};
use crate::wire_format::extmodule::{Command, Name};
use crate::wire_format::sip_options::Question;

/// The deadline of each part: a healthy engine answers within milliseconds (sheet, section 9).
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Datagrams get lost: ask again after SIP's own T1.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A probe under way.
#[derive(Debug)]
pub(super) struct Probing {
    began: Nanos,
    interface: Interface,
}

/// A question to SIP, and the orders that wait for its answer; there is always one.
#[derive(Debug)]
pub(super) struct SipQuestion {
    askers: Vec<Ticket>,
    question: Question,
}

impl Yate {
    pub(super) fn probe(&mut self, ticket: Ticket) {
        let probing = Probing { began: self.now, interface: Interface::Management };
        self.running(ticket, Work::Probe(probing), [], PROBE_WITHIN);
        self.ping(ticket);
    }

    /// Asks the engine for its figures, and from now on expects to hear something.
    pub(super) fn ping(&mut self, ticket: Ticket) {
        if !self.life.timers.is_armed(Timer::Silent) {
            self.life.timers.arm(Timer::Silent, self.now + SILENT_MAX);
        }
        let asked =
            self.ask(Purpose::Ping(ticket), |id| Command::new(id, Name::Status).with("module", "engine"));
        debug_assert!(asked.is_ok(), "it has no value from outside");
    }

    pub(super) fn pinged(&mut self, ticket: Ticket) {
        match self.work(ticket) {
            Some(Work::Probe(_)) => self.probed(ticket, None),
            Some(Work::Inspect(_)) => self.engine_answered(ticket),
            _ => {}
        }
    }

    /// Asks SIP alone; without an address to ask nothing is reported.
    pub(super) fn probe_sip(&mut self, ticket: Ticket) {
        if self.options.sip.is_none() {
            self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(Vec::new()))));
            return;
        }
        let probing = Probing { began: self.now, interface: Interface::Sip };
        self.running(ticket, Work::Probe(probing), [], PROBE_WITHIN);
        self.ask_sip(ticket);
    }

    pub(super) fn probe_over(&mut self, ticket: Ticket) {
        self.probed(ticket, Some(format!("no answer within {PROBE_WITHIN:?}")));
    }

    fn probed(&mut self, ticket: Ticket, failure: Option<String>) {
        let Some(Work::Probe(probing)) = self.work(ticket) else { return };
        let (interface, took) = (probing.interface, self.now.since(probing.began));
        let answered = failure.map_or(Ok(took), Err);
        self.finish(ticket, Ok(Done::Probed(vec![Probed { interface, answered }])));
    }

    // ---- SIP -------------------------------------------------------------------------------------------------------

    /// Asks SIP for a sign of life. A question that is under way serves whoever asks meanwhile.
    pub(super) fn ask_sip(&mut self, ticket: Ticket) {
        let Some((host, port)) = self.options.sip.clone() else { return };
        if let Some(asked) = &mut self.life.sip_question
            && self.life.orders.contains_key(&asked.askers[0])
        {
            asked.askers.push(ticket);
            return;
        }
        let question = Question { id: self.random.next() };
        self.life.sip_question = Some(SipQuestion { askers: vec![ticket], question });
        match self.life.sip {
            Link::Closed => {
                self.life.sip = Link::Opening;
                self.out.push_back(Output::Open(self.link(SIP), Endpoint::Udp { host, port }));
            }
            Link::Opening => {}
            Link::Open => self.send_options(),
        }
    }

    pub(super) fn sip_opened(&mut self) {
        self.life.sip = Link::Open;
        self.send_options();
    }

    fn send_options(&mut self) {
        let Some((host, port)) = &self.options.sip else { return };
        if let Some(asked) = &self.life.sip_question {
            let (first, datagram) = (asked.askers[0], asked.question.datagram(host, *port));
            self.out.push_back(Output::Send(self.link(SIP), datagram));
            self.life.timers.arm(Timer::Retransmit(first), self.now + ASK_AGAIN);
        }
    }

    pub(super) fn ask_sip_again(&mut self, ticket: Ticket) {
        let asked = self.life.sip_question.as_ref();
        if self.life.sip == Link::Open && asked.is_some_and(|asked| asked.askers[0] == ticket) {
            self.send_options();
        }
    }

    pub(super) fn sip_datagram(&mut self, datagram: &[u8]) {
        let asked = self.life.sip_question.as_ref();
        if asked.is_some_and(|asked| asked.question.answered_by(datagram).is_some()) {
            self.sip_answered(None);
        }
    }

    pub(super) fn sip_closed(&mut self, error: &LinkError) {
        self.life.sip = Link::Closed;
        self.sip_answered(Some(&error.to_string()));
    }

    fn sip_answered(&mut self, failure: Option<&str>) {
        let Some(asked) = self.life.sip_question.take() else { return };
        self.life.timers.disarm(Timer::Retransmit(asked.askers[0]));
        for ticket in asked.askers {
            match self.work(ticket) {
                Some(Work::Probe(_)) => self.probed(ticket, failure.map(str::to_owned)),
                Some(Work::Inspect(_)) => self.sip_inspected(ticket, failure),
                _ => {}
            }
        }
    }
}
