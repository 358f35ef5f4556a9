//! Whether everything the operator has to configure is there, each line with what to do about it.
//!
//! It changes nothing on the server: it lists, asks for modules and settings, and echoes.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Interface, Nanos, Verdict};

use super::flight::{Purpose, Work};
use super::machine::{COMMANDS, FreeSwitch};
use super::options::Fetch;
use crate::adapter::Ticket;
use crate::wire_format::esl::{Command, Frame};

/// What a directory user needs, in `esl-allowed-api`; `system` only where recordings come through the socket.
pub const RIGHTS: [&str; 19] = [
    "bgapi",
    "originate",
    "uuid_bridge",
    "uuid_transfer",
    "uuid_kill",
    "uuid_broadcast",
    "uuid_audio",
    "uuid_send_dtmf",
    "uuid_record",
    "uuid_buglist",
    "uuid_getvar",
    "uuid_setvar",
    "uuid_dump",
    "sched_hangup",
    "sched_del",
    "show",
    "fsctl",
    "json",
    "global_getvar",
];

/// What only probes and inspections need.
const LOOKING: [&str; 2] = ["echo", "module_exists"];

/// The modules without which a verb does not work, and that verb.
const MODULES: [(&str, &str); 4] = [
    ("mod_sofia", "calls"),
    ("mod_dptools", "calls, hold"),
    ("mod_conference", "conference"),
    ("mod_sndfile", "record"),
];

/// The deadline of an inspection: a person waits for it, and a healthy server answers each part within milliseconds.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);

/// An inspection under way.
#[derive(Debug)]
pub(super) struct Inspection {
    began: Nanos,
    pub(super) echo: String,
    open: BTreeSet<Check>,
    findings: Vec<Finding>,
}

/// What is still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    Commands,
    Events,
    Sip,
    /// One of [`MODULES`].
    Module(usize),
    /// The module that plays the music.
    Music,
    Lists,
    Inbound,
}

impl FreeSwitch {
    pub(super) fn inspect(&mut self, ticket: Ticket) {
        let mut open = BTreeSet::from([Check::Commands, Check::Events, Check::Lists, Check::Inbound]);
        open.extend((0..MODULES.len()).map(Check::Module));
        open.extend(self.options.sip.as_ref().map(|_| Check::Sip));
        open.extend(self.music_module().map(|_| Check::Music));
        let echo = format!("{:032x}", self.random.next());
        let findings = self.known_at_once();
        let inspection = Inspection { began: self.now, echo: echo.clone(), open: open.clone(), findings };
        self.running(ticket, Work::Inspect(inspection), INSPECT_WITHIN);
        self.send_echoes(ticket, &echo);
        for check in open {
            let command = match check {
                Check::Commands | Check::Events | Check::Sip => continue,
                Check::Module(place) => Command::api("module_exists").words(MODULES[place].0),
                Check::Music => match self.music_module() {
                    Some(module) => Command::api("module_exists").words(module),
                    None => continue,
                },
                Check::Lists => Command::api("show").words("channels count as json"),
                Check::Inbound => Command::api("fsctl").words("pause_check inbound"),
            };
            self.ask_plain(COMMANDS, command, Purpose::Inspect(ticket, check));
        }
        self.ask_sip(ticket);
    }

    fn music_module(&self) -> Option<&'static str> {
        let music = &self.options.music;
        let streams = [("local_stream://", "mod_local_stream"), ("tone_stream://", "mod_tone_stream")];
        streams.into_iter().find(|(form, _)| music.starts_with(form)).map(|(_, module)| module)
    }

    /// What needs no question.
    fn known_at_once(&self) -> Vec<Finding> {
        let version = self.life.version.clone().unwrap_or_default();
        let mut findings = vec![finding("version", Verdict::Ok, version, "")];
        if !self.options.is_loopback() {
            findings.push(finding(
                "management",
                Verdict::Warn,
                "the event socket is clear text, password included".to_owned(),
                "keep it on a network that nobody else reads",
            ));
        }
        findings.push(self.known_rights());
        findings.push(match (&self.life.folder, &self.options.fetch) {
            (None, _) => {
                let text = "the server names no recordings_dir: nothing can be recorded".to_owned();
                finding("recording", Verdict::Fail, text, "set recordings=/FOLDER")
            }
            (Some(folder), Fetch::Off) => {
                let text = format!("calls are recorded in {folder}, and the files stay on the server");
                finding("recording", Verdict::Warn, text, "set fetch=socket, or fetch=http://HOST/FOLDER")
            }
            (Some(folder), Fetch::Socket) => {
                finding("recording", Verdict::Ok, format!("{folder}, fetched by system"), "")
            }
            (Some(folder), Fetch::Http { host, .. }) => {
                finding("recording", Verdict::Ok, format!("{folder}, fetched from {host}"), "")
            }
        });
        findings
    }

    /// A password of the event socket has every right; a directory user has those that are written down.
    fn known_rights(&self) -> Finding {
        let Some(rights) = &self.life.rights else {
            let text = "the password of the event socket may do everything".to_owned();
            return finding("rights", Verdict::Ok, text, "");
        };
        let may = |right: &str| rights.iter().any(|known| known == right || known == "all");
        let mut missing: Vec<&str> = RIGHTS.into_iter().filter(|right| !may(right)).collect();
        if self.options.fetch == Fetch::Socket && !may("system") {
            missing.push("system");
        }
        let looking: Vec<&str> = LOOKING.into_iter().filter(|right| !may(right)).collect();
        let fix = "esl-allowed-api of the directory user: ifbus setup freeswitch";
        match (missing.is_empty(), looking.is_empty()) {
            (true, true) => finding("rights", Verdict::Ok, "all rights are there".to_owned(), ""),
            (true, false) => finding(
                "rights",
                Verdict::Warn,
                format!("only for tests: {} missing", looking.join(", ")),
                fix,
            ),
            (false, _) => finding("rights", Verdict::Fail, format!("missing: {}", missing.join(", ")), fix),
        }
    }

    // ---- answers ---------------------------------------------------------------------------------------------------

    fn note(&mut self, ticket: Ticket, check: Check, found: impl FnOnce(Duration) -> Finding) {
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

    pub(super) fn inspected_part(&mut self, ticket: Ticket, part: Interface, failure: Option<String>) {
        let (check, area, name, fix) = match part {
            Interface::Management => {
                (Check::Commands, "management", "command connection", "look at the server's load")
            }
            Interface::Events => (
                Check::Events,
                "events",
                "an event of ours",
                "esl-allowed-api: bgapi echo; or another client holds up the event socket",
            ),
            Interface::Sip => (
                Check::Sip,
                "sip",
                "SIP OPTIONS",
                "start the sofia profile, or set sip=host:port (sip=off to leave it out)",
            ),
        };
        self.note(ticket, check, |took| match failure {
            Some(why) => finding(area, Verdict::Fail, format!("{name}: {why}"), fix),
            None => finding(area, Verdict::Ok, format!("{name}: {:.1} ms", took.as_secs_f64() * 1000.0), ""),
        });
    }

    pub(super) fn inspected(&mut self, ticket: Ticket, check: Check, frame: &Frame<'_>) {
        let said = frame.said();
        let music = self.music_module().unwrap_or_default();
        self.note(ticket, check, |_| match check {
            Check::Module(place) => module(MODULES[place].0, MODULES[place].1, &said),
            Check::Music => module(music, "hold (music)", &said),
            Check::Lists if said.starts_with('{') => {
                finding("list", Verdict::Ok, "calls can be listed".to_owned(), "")
            }
            Check::Lists => {
                let fix = "switch.conf: leave the core database on; esl-allowed-api: show";
                finding("list", Verdict::Fail, format!("show channels: {said}"), fix)
            }
            Check::Inbound if matches!(said.as_str(), "true" | "false") => {
                let text = "fsctl pause inbound refuses calls from outside".to_owned();
                finding("drain", Verdict::Ok, text, "")
            }
            _ => finding(
                "drain",
                Verdict::Fail,
                format!("fsctl pause_check: {said}"),
                "esl-allowed-api: fsctl",
            ),
        });
    }

    /// Everything was answered, or the time is over.
    pub(super) fn inspection_over(&mut self, ticket: Ticket) {
        let Some(running) = self.life.orders.get_mut(&ticket) else { return };
        let Work::Inspect(inspection) = &mut running.work else { return };
        let mut findings = std::mem::take(&mut inspection.findings);
        for check in std::mem::take(&mut inspection.open) {
            findings.push(unanswered(check));
        }
        findings.sort_by(|a, b| a.area.cmp(&b.area));
        self.finish(ticket, Ok(Done::Inspected(findings)));
    }
}

/// Whether a module is loaded; who may not ask is told so, and then it may be there all the same.
fn module(name: &str, verbs: &str, said: &str) -> Finding {
    match said {
        "true" => finding("modules", Verdict::Ok, format!("{name} is loaded"), ""),
        "false" => {
            let text = format!("{name} is not loaded: {verbs}");
            finding("modules", Verdict::Fail, text, &format!("load {name}, and name it in modules.conf.xml"))
        }
        _ => finding("modules", Verdict::Skip, format!("{name}: {said}"), "esl-allowed-api: module_exists"),
    }
}

fn unanswered(check: Check) -> Finding {
    let (area, what, fix) = match check {
        Check::Commands => ("management", "an echo", "look at the server's load"),
        Check::Events => {
            ("events", "an event of ours", "another client may hold up the event socket: restart it")
        }
        Check::Sip => {
            ("sip", "SIP OPTIONS", "start the sofia profile, or set sip=host:port (sip=off to leave it out)")
        }
        Check::Module(_) | Check::Music => ("modules", "a module", "look at the server's load"),
        Check::Lists => ("list", "the list of calls", "look at the server's load"),
        Check::Inbound => ("drain", "fsctl pause_check", "look at the server's load"),
    };
    finding(area, Verdict::Fail, format!("{what}: no answer within {INSPECT_WITHIN:?}"), fix)
}

fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    Finding { area: area.to_owned(), verdict, text, fix: (!fix.is_empty()).then(|| fix.to_owned()) }
}
