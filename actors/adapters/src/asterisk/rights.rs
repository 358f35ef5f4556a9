//! What the AMI user may do, which the server lists, and what it may hear, which it tells nobody.
//!
//! The second is found out by listening. `FullyBooted` at login needs `system`. The end of an originate needs `call`: one
//! for a technology that no server has makes no channel and rings nowhere (seen on 16 and 22), and its failure is told.
//! `user` is shown by the event of ours that comes back (`inspect.rs`). `dtmf` cannot be seen without a telephone.

use ifbus_call::{Finding, Verdict};

use super::flight::Purpose;
use super::inspect::{Check, finding};
use super::machine::{Asterisk, COMMANDS};
use crate::adapter::Ticket;
use crate::wire_format::ami::Message;

/// Actions without which a verb does not work. `ListCommands` names only what the user may do.
const ACTIONS: [&str; 15] = [
    "Bridge",
    "CoreStatus",
    "Filter",
    "Getvar",
    "Hangup",
    "MixMonitor",
    "MuteAudio",
    "Originate",
    "PlayDTMF",
    "Redirect",
    "Setvar",
    "ShowDialPlan",
    "Status",
    "StopMixMonitor",
    "UserEvent",
];

/// Actions that ifbus never sends and a manager user of it should not have.
const DANGEROUS: [&str; 2] = ["Command", "UpdateConfig"];

/// What makes a server refuse calls from outside.
const MAINTENANCE: &str = "PJSIPSetMaintenance";

/// What to do about a right to hear that is missing.
pub(super) const READ: &str =
    "ifbus setup asterisk --only manager: read = system,call,agent,user,dtmf,reporting";

/// A technology that is none.
const NOBODY: &str = "Ifbus/nobody";

impl Asterisk {
    pub(super) fn rights(&mut self, ticket: Ticket, success: bool, message: &Message<'_>) {
        let has = |action: &&'static str| message.all(action).next().is_some();
        let missing: Vec<&str> = ACTIONS.into_iter().filter(|action| !has(action)).collect();
        let dangerous: Vec<&str> = DANGEROUS.into_iter().filter(has).collect();
        let maintenance = has(&MAINTENANCE);
        self.note(ticket, Check::Rights, |_| {
            if !success {
                let text = "the list of permitted actions was refused".to_owned();
                return vec![finding("rights", Verdict::Skip, text, "")];
            }
            let mut found = vec![if missing.is_empty() {
                finding("rights", Verdict::Ok, format!("all {} actions are permitted", ACTIONS.len()), "")
            } else {
                let text = format!("not permitted: {}", missing.join(", "));
                finding("rights", Verdict::Fail, text, "ifbus setup asterisk --only manager")
            }];
            if !dangerous.is_empty() {
                let text = format!("the AMI user may also use {}", dangerous.join(", "));
                found.push(finding("rights", Verdict::Warn, text, "ifbus setup asterisk --only manager"));
            }
            found
        });
        self.inbound_by(ticket, maintenance);
    }

    /// What is known without a question.
    pub(super) fn known_rights(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !self.life.told_booted {
            let text = "read = system is missing: the end and the restart of the server are not heard";
            findings.push(finding("rights", Verdict::Warn, text.to_owned(), READ));
        }
        if !self.by_stream() {
            let text = "read = dtmf cannot be seen from here: without it no key is heard";
            findings.push(finding("rights", Verdict::Skip, text.to_owned(), READ));
        }
        findings
    }

    /// Asks for a call that cannot be made, to hear that it was not.
    pub(super) fn call_nobody(&mut self, ticket: Ticket) -> Option<u128> {
        let (id, action) = self.action("Originate");
        let action = action
            .with("Channel", NOBODY)
            .with("Context", &self.options.context)
            .with("Exten", "wait")
            .with("Priority", 1)
            .with("Timeout", 1000)
            .with("Async", "true");
        self.ask(COMMANDS, id, action, Purpose::Ghost(ticket)).ok()?;
        Some(id)
    }

    /// Its end was heard; or it was refused at once, and then what is missing is in other lines.
    pub(super) fn ghost(&mut self, ticket: Ticket, heard: bool) {
        self.note(ticket, Check::Hearing, |_| {
            vec![if heard {
                finding("rights", Verdict::Ok, "the ends of calls are heard".to_owned(), "")
            } else {
                let text = "what may be heard cannot be seen: no call may be placed".to_owned();
                finding("rights", Verdict::Skip, text, "")
            }]
        });
    }
}
