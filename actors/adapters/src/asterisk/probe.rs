//! Whether each interface answers: `Ping` on both AMI connections, and an event of ours once around ARI and back over
//! the stream; SIP OPTIONS apart from them; each within two seconds.
//!
//! It measures and reports; what follows from it is decided elsewhere. Only a connection that stays silent for ten
//! seconds is given up here.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::{Done, Probed};
use ifbus_call::{Interface, Nanos};

use super::flight::{Purpose, Timer, Work};
use super::machine::{Asterisk, COMMANDS, Link, SILENT_MAX, SIP, Stream, WATCH};
use crate::adapter::{Endpoint, LinkError, Output, Ticket};
use crate::wire_format::sip_options::Question;

/// The deadline of each part: a healthy server answers within milliseconds (sheet, section 9).
pub(super) const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// Datagrams get lost: ask again after SIP's own T1.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A probe under way.
#[derive(Debug)]
pub(super) struct Probing {
    began: Nanos,
    pub(super) marker: String,
    answers: BTreeMap<Part, Option<Result<Duration, String>>>,
}

/// A question to SIP, and the orders that wait for its answer; there is always one.
#[derive(Debug)]
pub(super) struct SipQuestion {
    askers: Vec<Ticket>,
    question: Question,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Commands,
    Watch,
    Stream,
    Sip,
}

impl Probing {
    fn new(began: Nanos, marker: String, parts: impl IntoIterator<Item = Part>) -> Self {
        Self { began, marker, answers: parts.into_iter().map(|part| (part, None)).collect() }
    }

    fn is_over(&self) -> bool {
        self.answers.values().all(Option::is_some)
    }

    /// One line per interface; of two parts the worse one.
    fn report(&self) -> Vec<Probed> {
        let mut worst: BTreeMap<Interface, Result<Duration, String>> = BTreeMap::new();
        for (part, answer) in &self.answers {
            let interface = match part {
                Part::Commands => Interface::Management,
                Part::Watch if self.answers.contains_key(&Part::Stream) => Interface::Management,
                Part::Watch | Part::Stream => Interface::Events,
                Part::Sip => Interface::Sip,
            };
            let answer = answer.clone().unwrap_or_else(|| Err(format!("no answer within {PROBE_WITHIN:?}")));
            let worse = match (worst.get(&interface), &answer) {
                (Some(Err(_)), _) => false,
                (Some(Ok(known)), Ok(new)) => new > known,
                _ => true,
            };
            if worse {
                worst.insert(interface, answer);
            }
        }
        worst.into_iter().map(|(interface, answered)| Probed { interface, answered }).collect()
    }
}

impl Asterisk {
    pub(super) fn probe(&mut self, ticket: Ticket) {
        let mut parts = vec![Part::Commands, Part::Watch];
        if self.life.stream == Stream::Up {
            parts.push(Part::Stream);
        }
        let asks = [COMMANDS, WATCH].map(|slot| self.ping(slot, Purpose::Ping(ticket)));
        let marker = format!("ifbus-{:032x}", self.random.next());
        let probing = Probing::new(self.now, marker.clone(), parts.iter().copied());
        self.running(ticket, Work::Probe(probing), asks.to_vec(), PROBE_WITHIN);
        if parts.contains(&Part::Stream) {
            self.send_marker(ticket, &marker);
        }
    }

    /// Asks SIP alone; without an address to ask nothing is reported.
    pub(super) fn probe_sip(&mut self, ticket: Ticket) {
        if self.options.sip.is_none() {
            self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(Vec::new()))));
            return;
        }
        let probing = Probing::new(self.now, String::new(), [Part::Sip]);
        self.running(ticket, Work::Probe(probing), Vec::new(), PROBE_WITHIN);
        self.ask_sip(ticket);
    }

    /// Pings, and from now on expects to hear something on that connection.
    pub(super) fn ping(&mut self, slot: u8, purpose: Purpose) -> u128 {
        if !self.life.timers.is_armed(Timer::Silent(slot)) {
            self.life.timers.arm(Timer::Silent(slot), self.now + SILENT_MAX);
        }
        self.ask_plain(slot, "Ping", purpose)
    }

    pub(super) fn pinged(&mut self, ticket: Ticket, slot: u8, success: bool) {
        let part = if slot == COMMANDS { Part::Commands } else { Part::Watch };
        let failure = (!success).then(|| "ping was refused".to_owned());
        self.part(ticket, part, failure);
    }

    pub(super) fn part(&mut self, ticket: Ticket, part: Part, failure: Option<String>) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        match &mut running.work {
            Work::Probe(probing) => {
                let answer = failure.map_or_else(|| Ok(now.since(probing.began)), Err);
                if let Some(place) = probing.answers.get_mut(&part) {
                    place.get_or_insert(answer);
                }
                if probing.is_over() {
                    self.probe_over(ticket);
                }
            }
            Work::Inspect(_) => self.inspected_part(ticket, part, failure),
            _ => {}
        }
    }

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
        if let Some(asked) = &self.life.sip_question {
            let (first, datagram) = (asked.askers[0], asked.question.datagram(host, *port));
            self.out.push_back(Output::Send(self.link(SIP), datagram));
            self.life.timers.arm(Timer::Retransmit(first), self.now + ASK_AGAIN);
        }
    }

    pub(super) fn ask_sip_again(&mut self, ticket: Ticket) {
        if self.life.sip_question.as_ref().is_some_and(|asked| asked.askers[0] == ticket)
            && self.life.sip == Link::In
        {
            self.send_options();
        }
    }

    pub(super) fn sip_datagram(&mut self, datagram: &[u8]) {
        if self.life.sip_question.as_ref().is_some_and(|asked| asked.question.answered_by(datagram).is_some())
        {
            self.sip_answered(None);
        }
    }

    pub(super) fn sip_closed(&mut self, error: &LinkError) {
        self.life.sip = Link::Closed;
        self.sip_answered(Some(error.to_string()));
    }

    fn sip_answered(&mut self, failure: Option<String>) {
        let Some(asked) = self.life.sip_question.take() else { return };
        self.life.timers.disarm(Timer::Retransmit(asked.askers[0]));
        for ticket in asked.askers {
            self.part(ticket, Part::Sip, failure.clone());
        }
    }
}
