//! Whether everything the operator has to configure is there, each line with what to do about it.
//!
//! It changes nothing on the server. What only a call can show, whether its script calls the printed routes, it says
//! that it cannot see.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Nanos, Verdict};

use super::drain::{NEED, is_missing};
use super::events::Events;
use super::flight::{Purpose, Work};
use super::machine::OpenSips;
use super::mi::{Answer, Command, Trouble};
use super::shapes::{Anything, Figures, Variable};
use crate::adapter::Ticket;
use crate::wire_format::jsonrpc::Param;

/// What is there, by the module that brings it, and what is missing without it.
const MODULES: [(Command, &str, &str); 5] = [
    (Command::List, "dialog", "calls of others are not seen"),
    (Command::End, "dialog", "calls of others cannot be ended"),
    (Command::Statistics, "statistics", "its load is not known"),
    (Command::Set, "cfgutils", "a drain closes our side only"),
    (Command::Subscribe, "event_datagram", "its events cannot be heard"),
];

/// The oldest version that was run against the sheet's facts.
const OLDEST: (u32, u32) = (3, 4);

/// An inspection under way.
#[derive(Debug)]
pub(super) struct Inspection {
    began: Nanos,
    open: BTreeSet<Check>,
    findings: Vec<Finding>,
}

/// What is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Management,
    Drain,
    Dialogs,
    Sip,
}

impl OpenSips {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut open = BTreeSet::from([Check::Management, Check::Drain, Check::Dialogs]);
        if self.calls.is_wanted() {
            open.insert(Check::Sip);
        }
        let findings = self.known_at_once();
        if !self.begin(ticket, Work::Inspect(Inspection { began: self.now, open, findings })) {
            return;
        }
        self.ask_first(Command::Uptime, Purpose::Inspect(ticket, Check::Management));
        let name = self.options.drain.clone();
        self.ask_in_order(Command::Get, &[Param::Text(&name)], Purpose::Inspect(ticket, Check::Drain))
            .expect("a checked name is fit");
        let params = [("statistics", Param::Texts(&["active_dialogs"]))];
        self.ask(Command::Statistics, &params, Purpose::Inspect(ticket, Check::Dialogs))
            .expect("the name is fit");
        self.calls.ask_sip(ticket, self.now);
    }

    /// What needs no question.
    fn known_at_once(&self) -> Vec<Finding> {
        let version = self.life.version.clone().unwrap_or_default();
        let mut findings = vec![match numbers(&version) {
            Some(numbers) if numbers < OLDEST => {
                let fix = "3.4 or later: events and commands of older ones differ";
                finding("version", Verdict::Warn, version, fix)
            }
            _ => finding("version", Verdict::Ok, version, ""),
        }];
        let missing: Vec<Finding> = MODULES
            .into_iter()
            .filter(|(command, ..)| !self.has(*command))
            .map(|(command, module, without)| {
                let text = format!("no {}: {without}", command.name());
                finding("modules", Verdict::Fail, text, &format!("loadmodule \"{module}.so\""))
            })
            .collect();
        if missing.is_empty() {
            let text = format!("all {} commands are there", Command::ALL.len());
            findings.push(finding("modules", Verdict::Ok, text, ""));
        }
        findings.extend(missing);
        findings.push(self.events_found());
        if self.options.is_in_the_open() {
            let fix = "set tls=pin, or keep it on an internal network that nobody else reads";
            let text = "the link is clear text off this host".to_owned();
            findings.push(finding("management", Verdict::Warn, text, fix));
        }
        if !self.calls.is_wanted() {
            let fix = "take sip=off away, and set sip_listen";
            findings.push(finding("sip", Verdict::Warn, "sip=off: no calls are made".to_owned(), fix));
        }
        let text = "whether its script calls route(ifbus_call) is seen by a call alone";
        findings.push(finding("routes", Verdict::Skip, text.to_owned(), ""));
        findings
    }

    fn events_found(&self) -> Finding {
        match &self.life.events {
            Events::On { beats: true, .. } => {
                finding("events", Verdict::Ok, "subscribed, and a heartbeat was heard".to_owned(), "")
            }
            Events::On { .. } | Events::Binding | Events::Subscribing { .. } => {
                let text = "subscribed, and no heartbeat was heard yet: it comes every five seconds";
                let fix = "ask again; ifbus setup opensips --only routes; let its datagrams through to us";
                finding("events", Verdict::Warn, text.to_owned(), fix)
            }
            Events::Off => {
                let text = "no events: the server is asked again and again instead";
                let fix =
                    "set events=ADDRESS:PORT, one of ours that it reaches; loadmodule \"event_datagram.so\"";
                finding("events", Verdict::Warn, text.to_owned(), fix)
            }
        }
    }

    pub(super) fn inspected(&mut self, ticket: Ticket, check: Check, answer: &Answer) {
        let (area, found) = match check {
            Check::Management => ("management", management(&answer.read::<Anything>())),
            Check::Drain => ("drain", drain(answer.read::<Variable>())),
            Check::Dialogs => ("dialogs", dialogs(answer.read::<Figures>())),
            Check::Sip => return,
        };
        let (verdict, text, fix) = found;
        self.note(ticket, check, |took| {
            let text = if check == Check::Management && verdict == Verdict::Ok {
                format!("{text}: {:.1} ms", took.as_secs_f64() * 1000.0)
            } else {
                text
            };
            finding(area, verdict, text, fix)
        });
    }

    /// SIP answered the agent, or not.
    pub(super) fn sip_inspected(&mut self, ticket: Ticket, answered: Result<Duration, String>) {
        self.note(ticket, Check::Sip, |_| match answered {
            Ok(took) => {
                let text = format!("SIP OPTIONS: {:.1} ms", took.as_secs_f64() * 1000.0);
                finding("sip", Verdict::Ok, text, "")
            }
            Err(why) => {
                let fix = "set sip=host:port; let our address through pike and firewalls";
                finding("sip", Verdict::Fail, format!("SIP OPTIONS: {why}"), fix)
            }
        });
    }

    fn note(&mut self, ticket: Ticket, check: Check, found: impl FnOnce(Duration) -> Finding) {
        let now = self.now;
        let Some(Work::Inspect(inspection)) = self.life.orders.get_mut(&ticket) else { return };
        if inspection.open.remove(&check) {
            inspection.findings.push(found(now.since(inspection.began)));
        }
        if inspection.open.is_empty() {
            self.inspection_over(ticket);
        }
    }

    /// Everything was looked at, or a person has waited long enough.
    pub(super) fn inspection_over(&mut self, ticket: Ticket) {
        let Some(Work::Inspect(inspection)) = self.life.orders.get_mut(&ticket) else { return };
        let mut findings = std::mem::take(&mut inspection.findings);
        for check in &inspection.open {
            let text = format!("{check:?} was not answered");
            findings.push(finding("management", Verdict::Fail, text, "look at the server's load"));
        }
        findings.sort_by(|a, b| a.area.cmp(&b.area));
        self.finish(ticket, Ok(Done::Inspected(findings)));
    }
}

type Found = (Verdict, String, &'static str);

fn management(answer: &Result<Anything, Trouble>) -> Found {
    match answer {
        Ok(_) => (Verdict::Ok, "JSON-RPC".to_owned(), ""),
        Err(trouble) => (Verdict::Fail, format!("JSON-RPC: {trouble}"), "look at the server's load"),
    }
}

fn drain(answer: Result<Variable, Trouble>) -> Found {
    match answer {
        Ok(told) => (Verdict::Ok, format!("the switch is there, and says {}", told.var.value), ""),
        Err(trouble) if is_missing(&trouble) => {
            (Verdict::Warn, "a drain closes our side only: nobody asks for the switch".to_owned(), NEED)
        }
        Err(trouble) => (Verdict::Warn, format!("the switch cannot be read: {trouble}"), NEED),
    }
}

fn dialogs(answer: Result<Figures, Trouble>) -> Found {
    let fix = "loadmodule \"dialog.so\", create_dialog() for each INVITE";
    match answer {
        Ok(Figures { active: Some(active), .. }) => (Verdict::Ok, format!("{active} dialogs are known"), ""),
        Ok(_) => (Verdict::Fail, "dialogs are not counted".to_owned(), fix),
        Err(trouble) => (Verdict::Fail, format!("dialogs are not known: {trouble}"), fix),
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    Some((parts.next()?, parts.next()?))
}

fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    let fix = (!fix.is_empty()).then(|| fix.to_owned());
    Finding { area: area.to_owned(), verdict, text, fix }
}
