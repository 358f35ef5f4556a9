//! Whether each interface answers: `echo` on the command connection, an `echo` as a job whose end comes around the event
//! connection; SIP OPTIONS apart from them; each within two seconds.
//!
//! It measures and reports; what follows from it is decided elsewhere. Only a connection that stays silent for ten
//! seconds is given up here, or one that answers another question than was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::{Done, Probed};
use ifbus_call::{Interface, Nanos};

use super::flight::{Job, Purpose, Timer, Work};
use super::machine::{COMMANDS, EVENTS, FreeSwitch, Link, SILENT_MAX, SIP};
use crate::adapter::{Endpoint, LinkError, Output, Ticket};
use crate::wire_format::esl::{Command, Frame};
use crate::wire_format::sip_options::Question;

/// The deadline of each part: a healthy server answers within milliseconds (sheet, section 1).
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Datagrams get lost: ask again after SIP's own T1.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A probe under way.
#[derive(Debug)]
pub(super) struct Probing {
    began: Nanos,
    /// What is to come back.
    echo: String,
    answers: BTreeMap<Interface, Option<Result<Duration, String>>>,
}

/// A question to SIP, and the orders that wait for its answer.
#[derive(Debug)]
pub(super) struct SipQuestion {
    askers: Vec<Ticket>,
    question: Question,
}

impl Probing {
    fn new(began: Nanos, echo: String, parts: &[Interface]) -> Self {
        Self { began, echo, answers: parts.iter().map(|part| (*part, None)).collect() }
    }

    fn report(&self) -> Vec<Probed> {
        let late = || Err(format!("no answer within {PROBE_WITHIN:?}"));
        let report = |(interface, answer): (&Interface, &Option<Result<Duration, String>>)| Probed {
            interface: *interface,
            answered: answer.clone().unwrap_or_else(late),
        };
        self.answers.iter().map(report).collect()
    }
}

impl FreeSwitch {
    pub(super) fn probe(&mut self, ticket: Ticket) {
        let echo = format!("{:032x}", self.random.next());
        let parts = [Interface::Management, Interface::Events];
        let probing = Probing::new(self.now, echo.clone(), &parts);
        self.running(ticket, Work::Probe(probing), PROBE_WITHIN);
        self.send_echoes(ticket, &echo);
    }

    /// Asks SIP alone; without an address to ask nothing is reported.
    pub(super) fn probe_sip(&mut self, ticket: Ticket) {
        if self.options.sip.is_none() {
            return self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(Vec::new()))));
        }
        let probing = Probing::new(self.now, String::new(), &[Interface::Sip]);
        self.running(ticket, Work::Probe(probing), PROBE_WITHIN);
        self.ask_sip(ticket);
    }

    /// Both echoes, and from now on expects to hear something on both connections.
    pub(super) fn send_echoes(&mut self, ticket: Ticket, echo: &str) {
        let command = Command::api("echo").word(echo);
        self.ask(COMMANDS, command, Purpose::Echo(ticket)).expect("hexadecimal digits are fit");
        let job = self.job("echo", Job::Echo(ticket)).word(echo);
        self.ask(COMMANDS, job, Purpose::EchoJob(ticket)).expect("hexadecimal digits are fit");
        if let Some(id) = self.life.jobs.iter().find(|(_, job)| **job == Job::Echo(ticket)).map(|(id, _)| *id)
        {
            self.life.timers.arm(Timer::Job(id), self.now + 2 * SILENT_MAX);
        }
        // from the first question that was not answered: each later one would put the end off
        if !self.life.timers.is_armed(Timer::Silent(EVENTS)) {
            self.life.timers.arm(Timer::Silent(EVENTS), self.now + SILENT_MAX);
        }
    }

    /// An answer that belongs to another question means that all later ones do too.
    pub(super) fn echoed(&mut self, ticket: Ticket, frame: &Frame<'_>) {
        let said = frame.said();
        let denied = said.starts_with("-ERR");
        let asked = match self.life.orders.get(&ticket).map(|running| &running.work) {
            Some(Work::Probe(probing)) => Some(&probing.echo),
            Some(Work::Inspect(inspection)) => Some(&inspection.echo),
            _ => None,
        };
        if !denied && asked.is_some_and(|asked| *asked != said) {
            return self.out_of_step(COMMANDS, format!("the answer to another question: {said}"));
        }
        // who may not use `echo` was answered all the same
        self.part(ticket, Interface::Management, None);
    }

    /// The server has taken the job whose end is to come around.
    pub(super) fn echo_taken(&mut self, ticket: Ticket, ok: bool, frame: &Frame<'_>) {
        if !ok {
            self.life.timers.disarm(Timer::Silent(EVENTS));
            self.life.jobs.retain(|_, job| *job != Job::Echo(ticket));
            self.part(ticket, Interface::Events, Some(format!("bgapi echo: {}", frame.said())));
        }
    }

    pub(super) fn stream_answered(&mut self, ticket: Ticket) {
        self.part(ticket, Interface::Events, None);
    }

    pub(super) fn part(&mut self, ticket: Ticket, part: Interface, failure: Option<String>) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        match &mut running.work {
            Work::Probe(probing) => {
                let answer = failure.map_or_else(|| Ok(now.since(probing.began)), Err);
                if let Some(place) = probing.answers.get_mut(&part) {
                    place.get_or_insert(answer);
                }
                if probing.answers.values().all(Option::is_some) {
                    self.probe_over(ticket);
                }
            }
            Work::Inspect(_) => self.inspected_part(ticket, part, failure),
            _ => {}
        }
    }

    /// Everything was answered, or the time is over.
    pub(super) fn probe_over(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get(&ticket) else { return };
        if let Work::Probe(probing) = &running.work {
            let report = probing.report();
            self.finish(ticket, Ok(Done::Probed(report)));
        }
    }

    // ---- SIP -------------------------------------------------------------------------------------------------------

    /// Asks SIP for a sign of life. A question that is under way serves whoever asks meanwhile.
    pub(super) fn ask_sip(&mut self, ticket: Ticket) {
        let Some((host, port)) = self.options.sip.clone() else { return };
        if let Some(asked) = &mut self.life.sip_question {
            return asked.askers.push(ticket);
        }
        let question = Question { id: self.random.next() };
        self.life.sip_question = Some(SipQuestion { askers: vec![ticket], question });
        match self.life.sip {
            Link::Closed => {
                self.life.sip = Link::Opening;
                self.open(SIP, Endpoint::Udp { host, port });
            }
            Link::Opening => {}
            Link::Open | Link::In => self.send_options(),
        }
    }

    pub(super) fn sip_opened(&mut self) {
        self.life.sip = Link::In;
        self.send_options();
    }

    fn send_options(&mut self) {
        let Some((host, port)) = &self.options.sip else { return };
        let Some(asked) = &self.life.sip_question else { return };
        let datagram = asked.question.datagram(host, *port);
        self.out.push_back(Output::Send(self.link(SIP), datagram));
        self.life.timers.arm(Timer::Retransmit, self.now + ASK_AGAIN);
    }

    /// The same question as long as anybody waits for it; after that nobody asks.
    pub(super) fn ask_sip_again(&mut self) {
        let Some(asked) = &mut self.life.sip_question else { return };
        asked.askers.retain(|ticket| self.life.orders.contains_key(ticket));
        if asked.askers.is_empty() {
            self.life.sip_question = None;
        } else if self.life.sip == Link::In {
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
        self.sip_answered(Some(error.to_string()));
    }

    fn sip_answered(&mut self, failure: Option<String>) {
        let Some(asked) = self.life.sip_question.take() else { return };
        self.life.timers.disarm(Timer::Retransmit);
        for ticket in asked.askers {
            self.part(ticket, Interface::Sip, failure.clone());
        }
    }
}
