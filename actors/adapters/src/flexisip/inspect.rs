//! Whether everything the operator has to configure is there, each line with what to do about it. Changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Verdict};

use super::api::{Account, PING, Page, Trouble, devices, escaped, pong, read};
use super::flight::{Look, Purpose, Work};
use super::machine::Flexisip;
use super::options::Login;
use super::orders::{NO_DRAIN, NO_END, NO_PAST};
use super::push::Port;
use crate::adapter::Ticket;

/// An inspection under way.
#[derive(Debug)]
pub(super) struct Inspection {
    open: BTreeSet<Look>,
    findings: Vec<Finding>,
}

/// A good answer, in words.
pub(super) enum Seen {
    /// It took so long.
    Took(Duration),
    /// It said so.
    Said(Verdict, String, &'static str),
}

impl From<Duration> for Seen {
    fn from(took: Duration) -> Self {
        Self::Took(took)
    }
}

impl Flexisip {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut open = BTreeSet::from([Look::Sip]);
        let mut findings = vec![self.how_events_stand(), self.who_we_are()];
        findings.extend(self.what_it_showed());
        findings.extend(what_it_cannot());
        match &self.options.api {
            None => findings.push(finding(
                "accounts",
                Verdict::Skip,
                "api=off: accounts, devices and statistics are not looked at".to_owned(),
                "",
            )),
            Some(api) => {
                open.insert(Look::Api);
                match &api.login {
                    Some(Login::Key(_)) => drop(open.insert(Look::Accounts)),
                    Some(Login::Token(_)) => findings.push(finding(
                        "accounts",
                        Verdict::Skip,
                        "a token of OpenID Connect sees its own account alone".to_owned(),
                        "make an API key in the admin panel, and set auth.apikey",
                    )),
                    None => findings.push(finding(
                        "accounts",
                        Verdict::Skip,
                        "no API key is set".to_owned(),
                        "make one in the admin panel, and set auth.apikey",
                    )),
                }
            }
        }
        let asks: Vec<Look> = open.iter().copied().collect();
        if !self.begin(ticket, Work::Inspect(Inspection { open, findings })) {
            return;
        }
        for look in asks {
            match look {
                Look::Sip => self.calls.ask_sip(ticket, self.now),
                Look::Api => drop(self.ask_api(PING.to_owned(), Purpose::Inspect(ticket, look))),
                _ => drop(self.ask_api("/api/accounts?page=1".to_owned(), Purpose::Inspect(ticket, look))),
            }
        }
    }

    fn how_events_stand(&self) -> Finding {
        let push = &self.life.push;
        let fix =
            "[event-logs] enabled, logger=flexiapi, flexiapi-host and -port of ours: ifbus setup flexisip";
        let (verdict, text, fix) = match (push.port, push.heard, push.strangers) {
            (Port::Off, ..) if self.options.events.is_none() => {
                (Verdict::Skip, "events=off: calls of others are not seen".to_owned(), fix)
            }
            (Port::Off | Port::Opening, ..) => {
                (Verdict::Fail, "our port for pushes is not open".to_owned(), "set events to a free port")
            }
            (Port::Open, 0, 0) => (Verdict::Warn, "nothing was pushed yet: place a call".to_owned(), fix),
            (Port::Open, heard, 0) => (Verdict::Ok, format!("{heard} events were pushed"), ""),
            (Port::Open, heard, strangers) => {
                let text = format!("{strangers} pushes with another key, {heard} with ours");
                (Verdict::Fail, text, "flexiapi-api-key (flexiapi-token before 2.6) is events_secret")
            }
        };
        finding("events", verdict, text, fix)
    }

    fn who_we_are(&self) -> Finding {
        match self.options.sip.user {
            Some(_) => finding(
                "trust",
                Verdict::Warn,
                "by digest: every hold costs a challenge (section 3 of the sheet)".to_owned(),
                "add our address to trusted-hosts, and take sip_user away",
            ),
            None => finding("trust", Verdict::Skip, "trusted-hosts is seen by a call alone".to_owned(), ""),
        }
    }

    pub(super) fn api_looked(&mut self, ticket: Ticket, look: Look, answer: Result<Vec<u8>, Trouble>) {
        let seen = match look {
            Look::Api => pong(answer).map(|()| said("the account manager answers")),
            Look::Accounts => {
                let page = answer.and_then(|body| read::<Page>(&body));
                if page.is_ok() {
                    self.look_at_account(ticket);
                }
                page.map(|page| said(&format!("the API key sees {} accounts", page.total)))
            }
            Look::Account => answer.and_then(|body| read::<Account>(&body)).map(|account| {
                self.look_at_belongings(ticket, account.id);
                self.account_words(&account)
            }),
            Look::Devices => answer.and_then(|body| devices(&body)).map(|count| {
                said(&format!("{count} devices are registered (also none while its Redis is away)"))
            }),
            Look::Statistics => answer
                .and_then(|body| read::<Page>(&body))
                .map(|page| said(&format!("{} calls in its statistics", page.total))),
            Look::Sip => return,
        };
        self.looked(ticket, look, seen.map_err(|trouble| trouble.to_string()));
    }

    /// Our own account, if we have one: `sip_user` in the domain.
    fn look_at_account(&mut self, ticket: Ticket) {
        let Some((user, _)) = &self.options.sip.user else { return };
        let account = format!("{user}@{}", self.options.sip.domain);
        let path = format!("/api/accounts/{}/search", escaped(&account));
        self.expect(ticket, Look::Account, path);
    }

    fn look_at_belongings(&mut self, ticket: Ticket, id: u64) {
        self.expect(ticket, Look::Devices, format!("/api/accounts/{id}/devices"));
        self.expect(ticket, Look::Statistics, format!("/api/accounts/{id}/statistics/calls"));
    }

    fn expect(&mut self, ticket: Ticket, look: Look, path: String) {
        if let Some(Work::Inspect(inspection)) = self.life.orders.get_mut(&ticket) {
            inspection.open.insert(look);
            self.ask_api(path, Purpose::Inspect(ticket, look));
        }
    }

    fn account_words(&self, account: &Account) -> Seen {
        let fix = "activate it in the admin panel";
        match (account.activated, account.blocked) {
            (_, true) => Seen::Said(Verdict::Fail, "our account is blocked".to_owned(), fix),
            (false, _) => Seen::Said(Verdict::Fail, "our account is not activated".to_owned(), fix),
            (true, false) => said("our account is there and activated"),
        }
    }

    /// One look is done.
    pub(super) fn looked(&mut self, ticket: Ticket, look: Look, answer: Result<Seen, String>) {
        let Some(Work::Inspect(inspection)) = self.life.orders.get_mut(&ticket) else { return };
        if !inspection.open.remove(&look) {
            return;
        }
        let (area, fix) = area(look);
        inspection.findings.push(match answer {
            Ok(Seen::Took(took)) => {
                let text = format!("SIP OPTIONS: {:.1} ms", took.as_secs_f64() * 1000.0);
                finding(area, Verdict::Ok, text, "")
            }
            Ok(Seen::Said(verdict, text, fix)) => finding(area, verdict, text, fix),
            Err(why) => finding(area, Verdict::Fail, why, fix),
        });
        if inspection.open.is_empty() {
            self.inspection_over(ticket);
        }
    }

    /// Everything was looked at, or a person has waited long enough.
    pub(super) fn inspection_over(&mut self, ticket: Ticket) {
        let Some(Work::Inspect(inspection)) = self.life.orders.get_mut(&ticket) else { return };
        let mut findings = std::mem::take(&mut inspection.findings);
        for look in &inspection.open {
            let (area, fix) = area(*look);
            findings.push(finding(area, Verdict::Fail, "no answer in time".to_owned(), fix));
        }
        findings.sort_by(|a, b| a.area.cmp(&b.area));
        self.finish(ticket, Ok(Done::Inspected(findings)));
    }
}

/// What no Flexisip can, before somebody finds out.
fn what_it_cannot() -> [Finding; 3] {
    [("drain", NO_DRAIN), ("hangup", NO_END), ("list", NO_PAST)]
        .map(|(area, text)| finding(area, Verdict::Skip, text.to_owned(), ""))
}

const fn area(look: Look) -> (&'static str, &'static str) {
    match look {
        Look::Sip => {
            ("sip", "set port and sip_transport to one of global/transports; let our address through")
        }
        Look::Api => ("api", "set api to the host name of the space, and api_port"),
        Look::Accounts => ("accounts", "make an API key of an administrator in the admin panel"),
        Look::Account => ("account", "make the account of sip_user, or trust our address instead"),
        Look::Devices => ("devices", "look at the account manager's Redis"),
        Look::Statistics => ("statistics", "update the account manager"),
    }
}

fn said(text: &str) -> Seen {
    Seen::Said(Verdict::Ok, text.to_owned(), "")
}

pub(super) fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    let fix = (!fix.is_empty()).then(|| fix.to_owned());
    Finding { area: area.to_owned(), verdict, text, fix }
}
