//! Whether everything the operator has to configure is there, each line with what to do about it.
//!
//! It changes nothing on the server: it lists, pings, sends itself one event, and asks for one call that no server can
//! make. What the AMI user may do and hear: `rights.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Interface, Nanos, Verdict};

use super::drain::{NEED, Sought};
use super::flight::{Purpose, Timer, Work};
use super::machine::{Asterisk, COMMANDS, Request, SILENT_MAX, WATCH};
use super::options::Tls;
use super::probe::Part;
use super::rights::READ;
use crate::adapter::{DownReason, HttpReply, LinkError, Ticket};
use crate::wire_format::ami::Message;

/// The waiting places and the rooms of conferences, and the applications that make each what it is, in order; an operator
/// may have put others between them. All begin with `Answer` and end with `Hangup`: a leg whose partner leaves goes on at the next step, and must
/// end there (sheet, section 3).
const PLACES: [(&str, &[&str]); 6] = [
    ("wait", &["Answer", "Wait", "Hangup"]),
    ("ringback", &["Answer", "Playtones", "Wait", "Hangup"]),
    ("hold", &["Answer", "MusicOnHold", "Hangup"]),
    ("park", &["Answer", "Wait", "Hangup"]),
    ("consult", &["Answer", "Wait", "Wait", "Hangup"]),
    // a plain `_conf-.` would never match: n means a digit there
    ("_co[n]f-.", &["Answer", "Set", "Set", "Set", "ConfBridge", "Hangup"]),
];

/// The deadline of an inspection: a person waits for it, and a healthy server answers each part within milliseconds.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);

/// An inspection under way.
#[derive(Debug)]
pub(super) struct Inspection {
    began: Nanos,
    open: BTreeSet<Check>,
    findings: Vec<Finding>,
    marker: String,
}

/// What is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Commands,
    Watch,
    Rights,
    Hearing,
    Dialplan(usize),
    Inbound,
    Recordings,
    Events,
    Sip,
}

impl Asterisk {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let marker = format!("ifbus-{:032x}", self.random.next());
        let mut open = BTreeSet::from([
            Check::Commands,
            Check::Watch,
            Check::Rights,
            Check::Hearing,
            Check::Inbound,
            Check::Events,
        ]);
        open.extend((0..PLACES.len()).map(Check::Dialplan));
        if self.options.sip.is_some() {
            open.insert(Check::Sip);
        }
        let mut asks: Vec<u128> =
            [COMMANDS, WATCH].map(|slot| self.ping(slot, Purpose::Ping(ticket))).to_vec();
        asks.push(self.ask_plain(WATCH, "ListCommands", Purpose::Rights(ticket)));
        for (place, (name, _)) in PLACES.into_iter().enumerate() {
            let (id, action) = self.action("ShowDialPlan");
            let action = action.with("Context", &self.options.context).with("Extension", name);
            if self.ask(WATCH, id, action, Purpose::Dialplan(ticket, place, Vec::new())).is_ok() {
                asks.push(id);
            }
        }
        asks.extend(self.send_marker(ticket, &marker));
        asks.extend(self.call_nobody(ticket));
        if self.list_recordings(ticket) {
            open.insert(Check::Recordings);
        }
        let findings = self.known_at_once();
        let work = Work::Inspect(Inspection { began: self.now, open, findings, marker });
        self.running(ticket, work, asks, INSPECT_WITHIN);
        self.ask_sip(ticket);
    }

    /// An event that must come back on the way all events come.
    pub(super) fn send_marker(&mut self, ticket: Ticket, marker: &str) -> Option<u128> {
        if self.by_stream() {
            let request = self.marker_request(marker)?;
            self.request(Request::Marker(Some(ticket)), request);
            // From the first question that was not answered: each later one would put the end off.
            if !self.life.timers.is_armed(Timer::Stream) {
                self.life.timers.arm(Timer::Stream, self.now + SILENT_MAX);
            }
            return None;
        }
        let (id, action) = self.action("UserEvent");
        let action = action.with("UserEvent", "IfbusMarker").with("Marker", marker);
        self.ask(COMMANDS, id, action, Purpose::Marker(ticket)).ok()?;
        Some(id)
    }

    /// What needs no question.
    fn known_at_once(&self) -> Vec<Finding> {
        let version = self.life.version.clone().unwrap_or_default();
        let mut findings = vec![match hole(&version) {
            Some(hole) => finding("version", Verdict::Warn, format!("{version}: {hole}"), "update Asterisk"),
            None => finding("version", Verdict::Ok, version, ""),
        }];
        if self.options.tls == Tls::Off && !self.options.is_loopback() {
            findings.push(finding(
                "management",
                Verdict::Warn,
                "the link is clear text off this host".to_owned(),
                "set tls=pin, or keep AMI and ARI on an internal network that nobody else reads",
            ));
        }
        findings.extend(self.known_rights());
        let dialect = self.options.dialect;
        if self.options.ari.is_none() && self.options.files.is_none() {
            let missing = if dialect.misses_ari { "no ARI" } else { "no web server" };
            findings.push(finding(
                "recording",
                Verdict::Warn,
                format!("{missing}: calls are recorded, and the files stay on the server"),
                dialect.files_setup,
            ));
        }
        if !self.by_stream() && dialect.misses_ari {
            findings.push(finding(
                "events",
                Verdict::Warn,
                "no ARI: events come from AMI alone, whose text a caller can forge, so each is asked for again"
                    .to_owned(),
                "ifbus setup asterisk --only ari",
            ));
        }
        findings
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    pub(super) fn note(
        &mut self,
        ticket: Ticket,
        check: Check,
        found: impl FnOnce(Duration) -> Vec<Finding>,
    ) {
        let now = self.now;
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Inspect(inspection) = &mut running.work else { return };
        if !inspection.open.remove(&check) {
            return;
        }
        inspection.findings.extend(found(now.since(inspection.began)));
        if inspection.open.is_empty() {
            self.inspection_over(ticket);
        }
    }

    pub(super) fn inspected_part(&mut self, ticket: Ticket, part: Part, failure: Option<String>) {
        let (check, area, fix) = match part {
            Part::Commands => (Check::Commands, "management", "look at the server's load"),
            Part::Watch => (Check::Watch, "management", "look at the server's load"),
            Part::Stream => (Check::Events, "events", "ifbus setup asterisk: read_only = no, write = user"),
            Part::Sip => {
                (Check::Sip, "sip", "start chan_pjsip, or set sip=host:port (sip=off to leave it out)")
            }
        };
        let name = match part {
            Part::Commands => "command connection",
            Part::Watch => "watch connection",
            Part::Stream => "an event of ours",
            Part::Sip => "SIP OPTIONS",
        };
        self.note(ticket, check, |took| {
            vec![match failure {
                Some(why) => finding(area, Verdict::Fail, format!("{name}: {why}"), fix),
                None => finding(area, Verdict::Ok, format!("{name}: {:.1} ms", millis(took)), ""),
            }]
        });
    }

    pub(super) fn dialplan_item(&mut self, id: u128, message: &Message<'_>) {
        let Some(asked) = self.life.asked.get_mut(&id) else { return };
        match &mut asked.purpose {
            Purpose::Dialplan(_, _, steps) => {
                steps.extend(message.only("Application").map(str::to_owned));
            }
            Purpose::Seek(_, sought, found) => *found |= Self::is_sought(*sought, message),
            _ => {}
        }
    }

    /// How the server itself can refuse calls; `by_command` if it knows a maintenance mode.
    pub(super) fn inbound_by(&mut self, ticket: Ticket, by_command: bool) {
        if !by_command {
            return self.seek(ticket, Sought::Context);
        }
        self.note(ticket, Check::Inbound, |_| {
            let text = "PJSIPSetMaintenance refuses calls from outside, and those of ours too".to_owned();
            vec![finding("drain", Verdict::Ok, text, "")]
        });
    }

    pub(super) fn inbound_found(&mut self, ticket: Ticket, found: bool) {
        self.note(ticket, Check::Inbound, |_| {
            vec![if found {
                finding("drain", Verdict::Ok, "ifbus-inbound is called by the dialplan".to_owned(), "")
            } else {
                let text =
                    "a drain closes our side only: no PJSIPSetMaintenance, ifbus-inbound is not called";
                finding("drain", Verdict::Warn, text.to_owned(), NEED)
            }]
        });
    }

    pub(super) fn dialplan(&mut self, ticket: Ticket, place: usize, steps: &[String]) {
        let Some((name, applications)) = PLACES.get(place) else { return };
        let context = self.options.context.clone();
        let is =
            |step: Option<&String>, known: &str| step.is_some_and(|step| step.eq_ignore_ascii_case(known));
        let mut rest = steps.iter();
        let whole = is(steps.first(), "Answer")
            && applications.iter().all(|known| rest.any(|step| step.eq_ignore_ascii_case(known)))
            && is(steps.last(), "Hangup");
        self.note(ticket, Check::Dialplan(place), |_| {
            let place = format!("{name}@{context}");
            let fix = "ifbus setup asterisk --only dialplan, then dialplan reload";
            vec![if whole {
                finding("dialplan", Verdict::Ok, format!("{place} is there"), "")
            } else if steps.is_empty() {
                finding("dialplan", Verdict::Fail, format!("{place} is missing"), fix)
            } else {
                let text = format!("{place} must be {}; it is {}", applications.join(", "), steps.join(", "));
                finding("dialplan", Verdict::Fail, text, fix)
            }]
        });
    }

    pub(super) fn marker_seen(&mut self, marker: &str) {
        let waiting = self.life.orders.iter().find(|(_, running)| match &running.work {
            Work::Inspect(inspection) => inspection.marker == marker,
            Work::Probe(probing) => probing.marker == marker,
            _ => false,
        });
        let Some(ticket) = waiting.map(|(ticket, _)| *ticket) else { return };
        self.part(ticket, Part::Stream, None);
    }

    pub(super) fn marker_sent(&mut self, ticket: Ticket, result: Result<HttpReply, LinkError>) {
        match result {
            Ok(reply) if reply.status < 300 => {}
            // the application is gone: the stream is open and will never say a word again
            Ok(reply) if reply.status == 404 => {
                let reason = LinkError::Other("the server has forgotten our event application".to_owned());
                self.down(Interface::Events, DownReason::Lost(reason));
            }
            // an ARI user that may not send events: the server has answered, and that is all a probe can see
            Ok(reply) if reply.status < 500 && self.is_probe(ticket) => {
                self.life.timers.disarm(Timer::Stream);
                self.part(ticket, Part::Stream, None);
            }
            Ok(reply) => self.marker_refused(ticket, &format!("http status {}", reply.status)),
            Err(error) => self.marker_refused(ticket, &error.to_string()),
        }
    }

    fn is_probe(&self, ticket: Ticket) -> bool {
        self.life.orders.get(&ticket).is_some_and(|running| matches!(running.work, Work::Probe(_)))
    }

    /// Nothing will come back, so nothing is to be expected.
    pub(super) fn marker_refused(&mut self, ticket: Ticket, why: &str) {
        self.life.timers.disarm(Timer::Stream);
        self.part(ticket, Part::Stream, Some(format!("an event of ours could not be sent: {why}")));
    }

    /// Everything was answered, or the time is over.
    pub(super) fn inspection_over(&mut self, ticket: Ticket) {
        let alone = !self.by_stream();
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Inspect(inspection) = &mut running.work else { return };
        let mut findings = std::mem::take(&mut inspection.findings);
        for check in std::mem::take(&mut inspection.open) {
            findings.push(unanswered(check, alone));
        }
        // the lines are written for one kind; another one has a setup of its own
        for fix in findings.iter_mut().filter_map(|finding| finding.fix.as_mut()) {
            *fix = fix.replace("ifbus setup asterisk", &format!("ifbus setup {}", self.options.dialect.word));
        }
        findings.sort_by(|a, b| a.area.cmp(&b.area));
        self.finish(ticket, Ok(Done::Inspected(findings)));
    }
}

fn unanswered(check: Check, alone: bool) -> Finding {
    let (area, what, fix) = match check {
        Check::Commands | Check::Watch => ("management", "a ping", "look at the server's load"),
        Check::Rights => ("rights", "the list of permitted actions", ""),
        Check::Hearing => ("rights", "the end of a call that nobody can make", READ),
        Check::Inbound => ("drain", "the dialplan", "ifbus setup asterisk: read = reporting"),
        Check::Recordings => ("recording", "the list of recordings", "ifbus setup asterisk --only ari"),
        Check::Dialplan(_) => ("dialplan", "the dialplan", "ifbus setup asterisk: read = reporting"),
        Check::Events if alone => ("events", "an event of ours", "ifbus setup asterisk: read = user"),
        Check::Events => ("events", "an event of ours", "ifbus setup asterisk --only ari"),
        Check::Sip => {
            ("sip", "SIP OPTIONS", "start chan_pjsip, or set sip=host:port (sip=off to leave it out)")
        }
    };
    let verdict = match check {
        Check::Rights => Verdict::Skip,
        Check::Inbound => Verdict::Warn,
        _ => Verdict::Fail,
    };
    finding(area, verdict, format!("{what}: no answer within {INSPECT_WITHIN:?}"), fix)
}

pub(super) fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    Finding { area: area.to_owned(), verdict, text, fix: (!fix.is_empty()).then(|| fix.to_owned()) }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// A known hole of a version: a manager user with `originate` could write files through `SET(FILE())`
/// (CVE-2024-42365, mended in 18.24.2, 20.9.2, 21.4.2 and the certified 18.9-cert11 and 20.7-cert2).
pub(super) fn hole(version: &str) -> Option<&'static str> {
    let [major, minor, patch] = numbers(version)?;
    if let Some((_, certified)) = version.split_once("-cert") {
        let [number, ..] = numbers(certified).unwrap_or_default();
        let mended = match (major, minor) {
            (18, 9) => number >= 11,
            (20, 7) => number >= 2,
            (major, minor) => (major, minor) > (20, 7),
        };
        return (!mended).then_some(OPEN);
    }
    let mended = match major {
        0..18 | 19 => return Some("no longer maintained, CVE-2024-42365 is open"),
        18 => (18, 24, 2),
        20 => (20, 9, 2),
        21 => (21, 4, 2),
        _ => return None,
    };
    ((major, minor, patch) < mended).then_some(OPEN)
}

const OPEN: &str = "CVE-2024-42365 is open";

/// The first three numbers of a version, whatever word stands before them; a build from git has none.
fn numbers(version: &str) -> Option<[u32; 3]> {
    if version.starts_with("GIT") {
        return None;
    }
    let version = &version[version.find(|c: char| c.is_ascii_digit())?..];
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    Some([parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)])
}
