//! Whether everything the operator has to configure is there, each line with what to do about it.
//!
//! It changes nothing on the server: it reads what the engine told at login, and asks the engine, the file server and
//! SIP one question each.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Nanos, Verdict};

use super::flight::Work;
use super::login::MODULES;
use super::machine::{Request, Yate};
use crate::adapter::{HttpReply, LinkError, Ticket};

/// The deadline of an inspection: a person waits for it, and a healthy server answers each part within milliseconds.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);

/// An inspection under way.
#[derive(Debug)]
pub(super) struct Inspection {
    began: Nanos,
    open: BTreeSet<Check>,
    findings: Vec<Finding>,
}

/// What is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Engine,
    Files,
    Sip,
}

impl Yate {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut open = BTreeSet::from([Check::Engine]);
        let mut findings = self.known_at_once();
        let files = self.file_request("");
        match &files {
            Some(_) => drop(open.insert(Check::Files)),
            None => findings.push(finding(
                "recording",
                Verdict::Warn,
                "no `fetch`: calls are recorded, and the files stay on the server".to_owned(),
                "serve the folder of recordings by HTTP and set fetch=http://HOST:PORT",
            )),
        }
        if self.options.sip.is_some() {
            open.insert(Check::Sip);
        }
        let inspection = Inspection { began: self.now, open, findings };
        self.running(ticket, Work::Inspect(inspection), [], INSPECT_WITHIN);
        self.ping(ticket);
        if let Some(request) = files {
            self.request(Request::Files(ticket), request);
        }
        self.ask_sip(ticket);
    }

    /// What needs no question.
    fn known_at_once(&self) -> Vec<Finding> {
        let version = self.life.version.clone().unwrap_or_default();
        let mut findings = vec![version_finding(&version)];
        for module in MODULES {
            let fix = format!("yate.conf, [modules]: {module}.yate=yes");
            findings.push(match self.life.loaded.get(module) {
                Some(true) => finding("modules", Verdict::Ok, format!("{module} is loaded"), ""),
                _ => finding("modules", Verdict::Fail, format!("{module} is not loaded"), &fix),
            });
        }
        let off_host = "the link has no password and is clear text off this host: whoever reaches the port owns the server";
        findings.push(if self.options.is_loopback() {
            finding("management", Verdict::Ok, "the link stays on this host".to_owned(), "")
        } else {
            let fix = "firewall the port to this host alone, or put it into a tunnel";
            finding("management", Verdict::Warn, off_host.to_owned(), fix)
        });
        for (there, file) in [(self.life.sounds.0, "silence.slin"), (self.life.sounds.1, "music.slin")] {
            let path = format!("{}/{file}", self.options.sounds);
            findings.push(match there {
                Some(true) => finding("sounds", Verdict::Ok, format!("{path} is there"), ""),
                Some(false) => {
                    let text = format!("{path} cannot be played: held parties hear nothing, mute is refused");
                    finding("sounds", Verdict::Fail, text, "ifbus setup yate --only sounds")
                }
                None => {
                    let text = format!("{path}: seen with the first call that is joined");
                    finding("sounds", Verdict::Skip, text, "")
                }
            });
        }
        let text = "calls from outside are refused as long as we are connected".to_owned();
        findings.push(finding("drain", Verdict::Ok, text, ""));
        findings
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    fn inspected(&mut self, ticket: Ticket, check: Check, found: impl FnOnce(Duration) -> Finding) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Inspect(inspection) = &mut running.work else { return };
        if !inspection.open.remove(&check) {
            return;
        }
        inspection.findings.push(found(now.since(inspection.began)));
        if inspection.open.is_empty() {
            self.inspection_over(ticket);
        }
    }

    pub(super) fn engine_answered(&mut self, ticket: Ticket) {
        self.inspected(ticket, Check::Engine, |took| {
            finding("management", Verdict::Ok, format!("the engine answers: {:.1} ms", millis(took)), "")
        });
    }

    pub(super) fn sip_inspected(&mut self, ticket: Ticket, failure: Option<&str>) {
        self.inspected(ticket, Check::Sip, |took| match failure {
            None => finding("sip", Verdict::Ok, format!("SIP OPTIONS: {:.1} ms", millis(took)), ""),
            Some(why) => finding("sip", Verdict::Fail, format!("SIP OPTIONS: {why}"), SIP_FIX),
        });
    }

    pub(super) fn files_answered(&mut self, ticket: Ticket, result: Result<HttpReply, LinkError>) {
        let found = match result {
            // a list of files that is longer than we read, or that nobody may see, is an answer all the same
            Err(LinkError::Limit(_)) | Ok(HttpReply { status: 200..=499, .. }) => {
                finding("recording", Verdict::Ok, "the file server answers".to_owned(), "")
            }
            Ok(HttpReply { status, .. }) => finding(
                "recording",
                Verdict::Fail,
                format!("the file server says http status {status}"),
                FILES_FIX,
            ),
            Err(error) => finding("recording", Verdict::Fail, format!("the file server: {error}"), FILES_FIX),
        };
        self.inspected(ticket, Check::Files, |_| found);
    }

    /// Everything was answered, or the time is over.
    pub(super) fn inspection_over(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Inspect(inspection) = &mut running.work else { return };
        let mut findings = std::mem::take(&mut inspection.findings);
        for check in std::mem::take(&mut inspection.open) {
            let (area, what, fix) = match check {
                Check::Engine => ("management", "the engine", "look at the server's load"),
                Check::Files => ("recording", "the file server", FILES_FIX),
                Check::Sip => ("sip", "SIP OPTIONS", SIP_FIX),
            };
            findings.push(finding(
                area,
                Verdict::Fail,
                format!("{what}: no answer within {INSPECT_WITHIN:?}"),
                fix,
            ));
        }
        findings.sort_by(|a, b| a.area.cmp(&b.area));
        self.finish(ticket, Ok(Done::Inspected(findings)));
    }
}

const SIP_FIX: &str = "load ysipchan, or set sip=host:port (sip=off to leave it out)";
const FILES_FIX: &str = "serve the folder of recordings by HTTP at the address of `fetch`";

/// Older engines keep a stuck reader, and crash on a receiver that was destroyed (sheet, section 12).
fn version_finding(version: &str) -> Finding {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if number >= (6, 4) {
        finding("version", Verdict::Ok, version.to_owned(), "")
    } else {
        let text = format!("{version}: nothing older than 6.4 was tried");
        finding("version", Verdict::Warn, text, "update Yate to 6.4")
    }
}

fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    Finding { area: area.to_owned(), verdict, text, fix: (!fix.is_empty()).then(|| fix.to_owned()) }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
