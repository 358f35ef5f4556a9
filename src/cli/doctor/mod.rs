//! `ifbus doctor`: one screen on whether everything around ifbus is well: files, the orchestrator, every server.
//!
//! It looks and changes nothing, and starts nothing. What is wrong with a server is found by the same test as
//! `ifbus test`. Not here: what is put into a report for others (`bundle`).

mod bundle;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use ifbus::serve::http::body::{ListBody, SummaryBody};
use ifbus_call::{Finding, Verdict};
use ifbus_config::Paths;
use ifbus_fleet::view::{ServerView, TestReport};
use jiff::Timestamp;
use serde_json::json;

use super::client::Client;
use super::errors::{Exit, Failure};
use super::grammar::DoctorArgs;
use super::render::{count, seconds_between, span};
use super::screen::Screen;
use super::{session, test};

/// This program's version.
const OURS: &str = env!("CARGO_PKG_VERSION");

/// What was seen.
struct Seen {
    findings: Vec<Finding>,
    /// The class of what kept the orchestrator from answering, if something did.
    failure: Option<Exit>,
    client: Option<Client>,
}

/// Looks at everything.
pub async fn run(screen: &Screen, on: Option<&str>, args: &DoctorArgs) -> Result<(), Failure> {
    let paths = session::paths()?;
    let seen = screen.wait("looking", look(&paths, on)).await?;
    let n = |verdict: Verdict| seen.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (to_fix, to_know) = (n(Verdict::Fail), n(Verdict::Warn));
    let body = json!({
        "object": "doctor", "ok": to_fix == 0, "as_of": Timestamp::now(), "findings": seen.findings,
    });
    if screen.json {
        screen.line(&body.to_string())?;
    } else {
        screen.lines(test::findings(screen, &seen.findings))?;
        let hint = if args.bundle.is_some() {
            ""
        } else {
            ". report without secrets or numbers: ifbus doctor --bundle report.tar"
        };
        screen.line(&format!("{to_fix} to fix, {to_know} to know{hint}"))?;
    }
    if let Some(file) = &args.bundle {
        let bytes = bundle::write(file, &paths, &body, seen.client.as_ref()).await?;
        screen.note(&format!(
            "wrote {} ({bytes} bytes), for you to look at before anybody else does",
            file.display()
        ));
    }
    match (seen.failure, to_fix) {
        (Some(exit), _) => Err(Failure::said(exit)),
        (None, 0) => Ok(()),
        (None, _) => Err(Failure::said(Exit::Failed)),
    }
}

async fn look(paths: &Paths, on: Option<&str>) -> Result<Seen, Failure> {
    let mut seen = Seen { findings: configuration(paths), failure: None, client: None };
    seen.findings.extend(files(paths));
    let Some(client) = session::existing(on).await? else {
        seen.findings.push(finding(
            "orchestrator",
            Verdict::Warn,
            "none runs here".to_owned(),
            "any command that needs one starts it: ifbus list sip",
        ));
        return Ok(seen);
    };
    match orchestrator(&client).await {
        Ok(findings) => {
            seen.findings.extend(findings);
            match servers(&client).await {
                Ok(findings) => seen.findings.extend(findings),
                Err(failure) => seen.fail("servers", &failure),
            }
        }
        Err(failure) => seen.fail("orchestrator", &failure),
    }
    seen.client = Some(client);
    Ok(seen)
}

impl Seen {
    fn fail(&mut self, area: &str, failure: &Failure) {
        let fix = failure.problem.suggestions.first().map_or("ifbus version", String::as_str);
        self.findings.push(finding(area, Verdict::Fail, failure.problem.detail.clone(), fix));
        self.failure = Some(failure.exit);
    }
}

fn finding(area: &str, verdict: Verdict, text: String, fix: &str) -> Finding {
    Finding { area: area.to_owned(), verdict, text, fix: (!fix.is_empty()).then(|| fix.to_owned()) }
}

fn configuration(paths: &Paths) -> Vec<Finding> {
    let area = "config";
    if !paths.config.exists() {
        return vec![finding(area, Verdict::Ok, "no file; servers are added by hand".to_owned(), "")];
    }
    match ifbus_config::load(&paths.config) {
        Err(error) => {
            vec![finding(
                area,
                Verdict::Fail,
                error.to_string(),
                &format!("ifbus config check {}", paths.config.display()),
            )]
        }
        Ok(config) => {
            let servers = count(config.servers.len(), "server");
            let mut found =
                vec![finding(area, Verdict::Ok, format!("{}: {servers}", paths.config.display()), "")];
            if !config.listen.ip().is_loopback() {
                let text =
                    format!("the API listens on {}, beyond this machine, in clear text", config.listen);
                found.push(finding(
                    "api",
                    Verdict::Warn,
                    text,
                    "put TLS in front of it, or set listen = \"127.0.0.1:7070\"",
                ));
            }
            found
        }
    }
}

/// Files that nobody else may read: what they hold would let others in, or tells who called whom.
fn files(paths: &Paths) -> Vec<Finding> {
    let files = [paths.token(), paths.secrets(), paths.store(), paths.log()];
    let exposed = files.iter().filter(|path| is_exposed(path));
    let mut found: Vec<Finding> = exposed
        .map(|path| {
            finding(
                "files",
                Verdict::Fail,
                format!("{} can be read by others", path.display()),
                &format!("chmod 600 {}", path.display()),
            )
        })
        .collect();
    if found.is_empty() {
        let there: Vec<&PathBuf> = files.iter().filter(|path| path.exists()).collect();
        let text = format!("{} in {}, for this user alone", count(there.len(), "file"), paths.data.display());
        found.push(finding("files", Verdict::Ok, text, ""));
    }
    found
}

/// A file that others could open, in a folder that lets them get there.
fn is_exposed(path: &Path) -> bool {
    let mode = |path: &Path| std::fs::metadata(path).map(|of| of.permissions().mode() & 0o777).unwrap_or(0);
    let folder = path.parent().map_or(0, mode);
    mode(path) & 0o077 != 0 && folder & 0o011 != 0
}

async fn orchestrator(client: &Client) -> Result<Vec<Finding>, Failure> {
    let area = "orchestrator";
    let summary: SummaryBody = client.get("/v1/summary").await?.parse()?;
    let up = summary.up_since.map(|since| format!("up {}, ", span(seconds_between(since, summary.as_of))));
    let restarts = count(summary.actor_restarts as usize, "actor restart");
    let text =
        format!("{}{restarts}, version {}, at {}", up.unwrap_or_default(), summary.version, client.base());
    let verdict = if summary.actor_restarts > 0 { Verdict::Warn } else { Verdict::Ok };
    let fix = if summary.actor_restarts > 0 {
        "the log says what died; report it: ifbus doctor --bundle report.tar"
    } else {
        ""
    };
    let mut found = vec![finding(area, verdict, text, fix)];
    if summary.version != OURS {
        let text = format!("this program is {OURS}, the orchestrator {}", summary.version);
        found.push(finding(area, Verdict::Warn, text, "ifbus stop, then any command; calls go on meanwhile"));
    }
    if !summary.ready {
        found.push(finding(
            area,
            Verdict::Warn,
            "not every server was looked at yet".to_owned(),
            "ifbus list sip",
        ));
    }
    found.push(match summary.store_is_well {
        Some(false) => finding(
            "store",
            Verdict::Fail,
            "cannot be written: transfers and added servers are refused".to_owned(),
            "make room on the disk of the data folder",
        ),
        _ => finding("store", Verdict::Ok, "is written".to_owned(), ""),
    });
    Ok(found)
}

/// Tests every server, all at once.
async fn servers(client: &Client) -> Result<Vec<Finding>, Failure> {
    let list: ListBody<ServerView> = client.get("/v1/servers").await?.parse()?;
    if list.data.is_empty() {
        let fix = "ifbus add sip NAME KIND --host HOST --auth user=NAME,secret=prompt";
        return Ok(vec![finding("servers", Verdict::Skip, "none is configured".to_owned(), fix)]);
    }
    let body = json!({});
    let test = |server: ServerView| {
        let (client, body) = (client.clone(), &body);
        async move {
            let path = format!("/v1/servers/{}/test", server.name);
            let report = client.post(&path, body, None).await.and_then(|answer| answer.parse::<TestReport>());
            one_server(&server, report)
        }
    };
    Ok(join_all(list.data.into_iter().map(test)).await.into_iter().flatten().collect())
}

fn one_server(server: &ServerView, report: Result<TestReport, Failure>) -> Vec<Finding> {
    let name = server.name.as_str();
    let report = match report {
        Ok(report) => report,
        Err(failure) => {
            return vec![finding(
                name,
                Verdict::Fail,
                failure.problem.detail.clone(),
                &format!("ifbus test sip {name}"),
            )];
        }
    };
    let told =
        report.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Warn | Verdict::Fail));
    let mut found: Vec<Finding> = told
        .map(|told| Finding {
            area: name.to_owned(),
            text: match told.text.starts_with(&format!("{}: ", told.area)) {
                true => told.text.clone(),
                false => format!("{}: {}", told.area, told.text),
            },
            ..told.clone()
        })
        .collect();
    if found.is_empty() {
        let calls = count(server.calls as usize, "call");
        let text = format!(
            "{}, {calls}, {} ok in {:.1} s",
            server.state.as_str(),
            report.findings.len(),
            report.took_s
        );
        found.push(finding(name, Verdict::Ok, text, ""));
    }
    found
}
