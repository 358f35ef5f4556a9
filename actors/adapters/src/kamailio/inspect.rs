//! Whether everything the operator has to configure is there, each line with what to do about it.
//!
//! It changes nothing on the server. What only a call can show, whether `request_route` calls the printed routes, it
//! says that it cannot see.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Nanos, Verdict};

use super::drain::{KEY, NEED, is_missing};
use super::flight::{Purpose, Work};
use super::machine::{Events, Kamailio};
use super::rpc::{Answer, Method, Trouble};
use super::shapes::{Anything, Cell};
use crate::adapter::Ticket;
use crate::key::Tls;
use crate::wire_format::jsonrpc::{Failure, Param};

/// What is there, by the module that brings it, and what is missing without it.
const MODULES: [(Method, &str, &str); 6] = [
    (Method::List, "dialog", "calls of others are not seen"),
    (Method::Terminate, "dialog", "calls of others cannot be ended"),
    (Method::Cancel, "tm", "ringing calls of others cannot be ended"),
    (Method::Active, "dialog", "its load is not known"),
    (Method::Counters, "kex", "how many calls it has carried is not known"),
    (Method::Set, "htable", "a drain closes our side only"),
];

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

impl Kamailio {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut open = BTreeSet::from([Check::Management, Check::Drain, Check::Dialogs]);
        if self.calls.is_wanted() {
            open.insert(Check::Sip);
        }
        let findings = self.known_at_once();
        let inspection = Inspection { began: self.now, open, findings };
        if !self.begin(ticket, Work::Inspect(inspection)) {
            return;
        }
        self.ask_first(Method::Uptime, Purpose::Inspect(ticket, Check::Management));
        let table = self.options.table.clone();
        let params = [Param::Text(&table), Param::Text(KEY)];
        self.ask(Method::Get, &params, Purpose::Inspect(ticket, Check::Drain))
            .expect("a checked name is fit");
        self.ask_plain(Method::Active, Purpose::Inspect(ticket, Check::Dialogs));
        self.calls.ask_sip(ticket, self.now);
    }

    /// What needs no question.
    fn known_at_once(&self) -> Vec<Finding> {
        let version = self.life.version.clone().unwrap_or_default();
        let mut findings = vec![finding("version", Verdict::Ok, version, "")];
        for (method, module, without) in MODULES {
            if !self.has(method.name()) {
                let text = format!("no {}: {without}", method.name());
                findings.push(finding(
                    "modules",
                    Verdict::Fail,
                    text,
                    &format!("loadmodule \"{module}.so\""),
                ));
            }
        }
        if findings.len() == 1 {
            let text = format!("all {} methods are there", MODULES.len());
            findings.push(finding("modules", Verdict::Ok, text, ""));
        }
        findings.push(match self.life.events {
            Events::Heard => finding("events", Verdict::Ok, "a heartbeat was heard".to_owned(), ""),
            Events::Open | Events::Opening => {
                let text = "connected, and nothing was heard yet: the heartbeat comes every five seconds";
                finding(
                    "events",
                    Verdict::Warn,
                    text.to_owned(),
                    "ask again; ifbus setup kamailio --only routes",
                )
            }
            Events::Off => {
                let text = "no events: the server is asked again and again instead";
                finding("events", Verdict::Warn, text.to_owned(), "ifbus setup kamailio, evapi in both files")
            }
        });
        if self.options.tls == Tls::Off && !self.options.is_loopback() {
            let fix = "set tls=pin, or keep JSON-RPC and evapi on an internal network that nobody else reads";
            findings.push(finding(
                "management",
                Verdict::Warn,
                "the link is clear text off this host".to_owned(),
                fix,
            ));
        }
        if !self.calls.is_wanted() {
            let fix = "take sip=off away, and set sip_listen";
            findings.push(finding("sip", Verdict::Warn, "sip=off: no calls are made".to_owned(), fix));
        }
        let text =
            "whether request_route calls route(IFBUS_CALL) and route(IFBUS_IN_CALL) is seen by a call alone";
        findings.push(finding("routes", Verdict::Skip, text.to_owned(), ""));
        findings
    }

    pub(super) fn inspected(&mut self, ticket: Ticket, check: Check, answer: &Answer) {
        let (area, found) = match check {
            Check::Management => ("management", management(&answer.read::<Anything>())),
            Check::Drain => ("drain", drain(answer.read::<Cell>())),
            Check::Dialogs => ("dialogs", dialogs(answer.read::<super::shapes::Active>())),
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
            findings.push(finding(
                "management",
                Verdict::Fail,
                format!("{check:?} was not answered"),
                "look at the server's load",
            ));
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

fn drain(answer: Result<Cell, Trouble>) -> Found {
    match answer {
        Ok(cell) => (Verdict::Ok, format!("the switch is there, and says {}", cell.item.value), ""),
        // nobody has set it yet
        Err(Trouble::Said(Failure::Error { message, .. })) if message.starts_with("Key name") => {
            (Verdict::Ok, "the table of the switch is there".to_owned(), "")
        }
        Err(trouble) if is_missing(&trouble) => {
            (Verdict::Warn, "a drain closes our side only: no table for the switch".to_owned(), NEED)
        }
        Err(trouble) => (Verdict::Warn, format!("the switch cannot be read: {trouble}"), NEED),
    }
}

fn dialogs(answer: Result<super::shapes::Active, Trouble>) -> Found {
    match answer {
        Ok(active) => (Verdict::Ok, format!("{} dialogs are known", active.all), ""),
        Err(trouble) => (
            Verdict::Fail,
            format!("dialogs are not known: {trouble}"),
            "loadmodule \"dialog.so\", dlg_manage()",
        ),
    }
}

fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    let fix = (!fix.is_empty()).then(|| fix.to_owned());
    Finding { area: area.to_owned(), verdict, text, fix }
}
