//! What pbxapi is for while AMI works: how telephones are dialled, and whether it is alive.
//!
//! A pbxapi that fails costs no call: it is told once, and told again when something else is wrong with it.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Nanos, Outcome, Verdict};

use super::api::{Trouble, WITHIN};
use super::machine::{Elastix, Purpose};
use crate::adapter::{Output, Ticket};
use crate::wire_format::pbxapi::{self, BadAnswer};

/// How often it is asked for a sign of life (sheet elastix, section 5).
const EVERY: Duration = Duration::from_secs(60);

/// Every so many signs of life the telephones are asked for again: an operator may have made one.
const EXTENSIONS_EVERY: u32 = 5;

/// What to do about it.
const FIX: &str = "ifbus setup elastix --only pbxapi";

/// What is known of pbxapi.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// What was wrong when it was asked last.
    pub(super) trouble: Option<Trouble>,
    /// The telephones it has told about, and how each is dialled.
    pub(super) phones: BTreeMap<String, String>,
    /// It has told about them in this life, or has failed to.
    pub(super) told: bool,
    asked: u32,
}

/// An inspection: the lines of the Asterisk inside, and those of pbxapi.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    pub(super) inside: Option<Vec<Finding>>,
    api: Option<Vec<Finding>>,
}

impl Elastix {
    /// Asks how telephones are dialled, unless the operator has said it.
    pub(super) fn ask_extensions(&mut self) {
        if self.options.dials_itself {
            return self.ask_alive(Purpose::Health);
        }
        self.ask(Purpose::Extensions, "/pbxapi/extensions".to_owned(), WITHIN);
    }

    /// A question that changes nothing and reaches database and Asterisk.
    fn ask_alive(&mut self, purpose: Purpose) {
        let path = pbxapi::question("manager/dbget", &[("family", "AMPUSER"), ("key", "ifbus")]);
        self.ask(purpose, path.expect("it has no value from outside"), WITHIN);
    }

    pub(super) fn next_health(&self) -> Nanos {
        self.now + EVERY
    }

    pub(super) fn health_due(&mut self) {
        self.due = Some(self.next_health());
        self.health.asked += 1;
        if self.health.asked.is_multiple_of(EXTENSIONS_EVERY) {
            self.ask_extensions();
        } else {
            self.ask_alive(Purpose::Health);
        }
    }

    pub(super) fn extensions_told(&mut self, told: Result<Vec<u8>, Trouble>) {
        let read = told.and_then(|body| pbxapi::extensions(&body).map_err(Trouble::Answer));
        match read {
            Ok(phones) => {
                self.inside.know_phones(phones.clone());
                self.health.phones = phones;
                self.stands(None);
            }
            // what was told before holds
            Err(trouble) => self.stands(Some(trouble)),
        }
        self.api_told();
    }

    pub(super) fn extensions_late(&mut self) {
        self.stands(Some(Trouble::Link(crate::adapter::LinkError::TimedOut)));
    }

    /// That there is no such key is an answer too; that the Asterisk is not reached is seen by AMI itself.
    pub(super) fn health_told(&mut self, told: Result<Vec<u8>, Trouble>) {
        let read = told.and_then(|body| alive(&body));
        self.stands(read.err());
        self.api_told();
    }

    fn stands(&mut self, trouble: Option<Trouble>) {
        if trouble == self.health.trouble {
            return;
        }
        if let Some(trouble) = &trouble {
            let text = format!("pbxapi: {trouble}; calls go on by AMI, telephones are dialled as last known");
            self.warn("pbxapi_down", text);
        }
        self.health.trouble = trouble;
    }

    // ---- inspection ------------------------------------------------------------------------------------------------

    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut inspection = Inspection::default();
        if self.api.is_some() {
            self.ask_alive(Purpose::Inspection(ticket));
        } else {
            let text = "pbxapi is not used: telephones are dialled by the template";
            inspection.api = Some(vec![finding(Verdict::Skip, text.to_owned(), FIX)]);
        }
        self.inspections.insert(ticket, inspection);
    }

    pub(super) fn inspected_inside(&mut self, ticket: Ticket, mut inspection: Inspection, outcome: Outcome) {
        match outcome {
            Ok(Done::Inspected(findings)) => {
                inspection.inside = Some(findings);
                self.inspected(ticket, inspection);
            }
            other => self.out.push_back(Output::Answer(ticket, other)),
        }
    }

    pub(super) fn inspected_api(&mut self, ticket: Ticket, told: Result<Vec<u8>, Trouble>) {
        let Some(mut inspection) = self.inspections.remove(&ticket) else { return };
        let known = self.health.phones.len();
        inspection.api = Some(vec![match told.and_then(|body| alive(&body)) {
            Ok(()) if self.options.dials_itself => finding(Verdict::Ok, "pbxapi answers".to_owned(), ""),
            Ok(()) => finding(Verdict::Ok, format!("pbxapi answers and knows {known} telephones"), ""),
            Err(trouble) => finding(Verdict::Warn, format!("pbxapi: {trouble}"), FIX),
        }]);
        self.inspected(ticket, inspection);
    }

    fn inspected(&mut self, ticket: Ticket, inspection: Inspection) {
        match inspection {
            Inspection { inside: Some(mut findings), api: Some(api) } => {
                findings.extend(api);
                findings.sort_by(|a, b| a.area.cmp(&b.area));
                self.out.push_back(Output::Answer(ticket, Ok(Done::Inspected(findings))));
            }
            other => drop(self.inspections.insert(ticket, other)),
        }
    }
}

fn alive(body: &[u8]) -> Result<(), Trouble> {
    match pbxapi::manager(body) {
        Ok(_) | Err(BadAnswer::Refused(_)) => Ok(()),
        // the value itself may be all there is
        Err(_) if body.first().is_some_and(|first| matches!(first, b'{' | b'[')) => Ok(()),
        Err(bad) => Err(Trouble::Answer(bad)),
    }
}

pub(super) fn finding(verdict: Verdict, text: String, fix: &str) -> Finding {
    Finding { area: "pbxapi".to_owned(), verdict, text, fix: (!fix.is_empty()).then(|| fix.to_owned()) }
}
