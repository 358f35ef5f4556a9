//! `ifbus test`: every interface of a server, line by line, with what to do about it.

use ifbus_call::{Finding, ServerName, Verdict};
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::TestReport;
use serde_json::json;

use super::errors::{Exit, Failure};
use super::render::clean;
use super::screen::{Colour, Screen};
use super::session::{Session, unless_interrupted};
use super::{show, words};

/// Which server.
#[derive(Debug)]
pub struct Test {
    name: ServerName,
}

impl Test {
    /// Checks the name.
    pub fn plan(name: &str) -> Result<Self, Failure> {
        Ok(Self { name: words::server(name)? })
    }

    /// Tests it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/servers/{}/test", self.name);
        let body = json!({});
        let last_words = || "interrupted; a test changes nothing".to_owned();
        let asked = unless_interrupted(session.client.post(&path, &body, None), last_words);
        let answer = match session.screen.wait(&format!("testing {}", self.name), asked).await {
            Err(failure) if failure.is(Code::UnknownServer) => {
                return Err(show::unknown_server(session, failure, &self.name, "nothing was tested").await);
            }
            answered => answered?,
        };
        let report: TestReport = answer.parse()?;
        if session.screen.json {
            session.screen.line(answer.text.trim_end())?;
        } else {
            session.screen.lines(lines(&session.screen, &report))?;
        }
        match exit(&report) {
            Exit::Done => Ok(()),
            exit => Err(Failure::said(exit)),
        }
    }
}

/// The exit code of a report.
pub const fn exit(report: &TestReport) -> Exit {
    match (report.reachable, report.ok) {
        (false, _) => Exit::Unreachable,
        (true, false) => Exit::Failed,
        (true, true) => Exit::Done,
    }
}

/// The lines of a report, and the sums.
pub fn lines(screen: &Screen, report: &TestReport) -> Vec<String> {
    let mut lines = findings(screen, &report.findings);
    lines.push(summary(report));
    lines
}

/// A verdict, an area, what was seen, and below it what to do.
pub fn findings(screen: &Screen, findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.area.len()).max().unwrap_or(0).clamp(12, 20);
    let mut lines = Vec::new();
    for finding in findings {
        let (word, colour) = verdict(finding.verdict);
        let painted = screen.paint(colour, &format!("{word:<4}"));
        let (area, text) = (clean(&finding.area), clean(&finding.text));
        lines.push(format!("{painted}  {area:<width$}  {text}").trim_end().to_owned());
        if let Some(fix) = &finding.fix {
            lines.push(format!("      {}: {}", screen.paint(Some(Colour::Cyan), "do"), clean(fix)));
        }
    }
    lines
}

const fn verdict(verdict: Verdict) -> (&'static str, Option<Colour>) {
    match verdict {
        Verdict::Ok => ("ok", Some(Colour::Green)),
        Verdict::Warn => ("warn", Some(Colour::Yellow)),
        Verdict::Fail => ("fail", Some(Colour::Red)),
        Verdict::Skip => ("skip", None),
    }
}

fn summary(report: &TestReport) -> String {
    let n = |verdict: Verdict| report.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let counted = [
        (Verdict::Ok, "ok"),
        (Verdict::Warn, "to know"),
        (Verdict::Fail, "failed"),
        (Verdict::Skip, "skipped"),
    ];
    let words: Vec<String> = counted
        .into_iter()
        .filter(|(verdict, _)| n(*verdict) > 0 || *verdict == Verdict::Ok)
        .map(|(verdict, word)| format!("{} {word}", n(verdict)))
        .collect();
    let reachable = if report.reachable { "" } else { " cannot be reached" };
    format!("{}{reachable}: {}, {:.1} s", report.server, words.join(", "), report.took_s)
}
