//! Every way a command can end without being done: what, why, what to do next, and the exit code.
//!
//! A problem of the API is passed on as it came; what goes wrong on this side has the same form. People read
//! `error: ...` and indented lines, `--json` gets the one problem object on stderr.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use ifbus::serve::http::problems;
use ifbus_fleet::problem::{Code, Skipped};

use super::render::clean;

/// How a command ends, as scripts see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Refused or failed, with a cause.
    Failed = 1,
    /// Not a command we know, or not in its form.
    Usage = 2,
    /// No server has this name, no call has this id.
    Unknown = 3,
    /// A server or the orchestrator cannot be reached.
    Unreachable = 4,
    /// Our token lacks the right.
    Forbidden = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The exit of a number in a problem object; a number nobody knows is a failure.
    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Unknown,
            4 => Self::Unreachable,
            5 => Self::Forbidden,
            130 => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// A problem object, as the API sends it and `--json` prints it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// `urn:ifbus:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short sentence, the same for every occurrence.
    pub title: String,
    /// The HTTP status; absent if no request was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What happened here.
    pub detail: String,
    /// The word for machines.
    pub code: String,
    /// The field or argument it is about.
    pub param: Option<String>,
    /// Commands that would help.
    pub suggestions: Vec<String>,
    /// Servers that were passed over, and why.
    pub skipped: Vec<Skipped>,
    /// The exit code that belongs to it.
    pub exit: u8,
    /// What a newer orchestrator adds.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Why a command ends without being done.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// What is shown to machines, and its sentence to people.
    pub problem: Box<Problem>,
    /// The sentence for people, if it is not the detail of the problem.
    pub headline: Option<String>,
    /// Lines for people, below the sentence.
    pub next: Vec<String>,
    /// The exit code.
    pub exit: Exit,
    /// Everything was said already, or nobody listens any more.
    pub is_silent: bool,
}

impl Failure {
    /// A failure on this side.
    fn new(code: &str, title: &str, exit: Exit, detail: impl Into<String>) -> Self {
        debug_assert!(code == "said" || problems::page(code).is_some(), "{code} has a page");
        let problem = Problem {
            kind: format!("urn:ifbus:problem:{}", code.replace('_', "-")),
            title: title.to_owned(),
            detail: detail.into(),
            code: code.to_owned(),
            more: Map::from_iter([("help".to_owned(), Value::from(format!("/problems/{code}")))]),
            exit: exit as u8,
            ..Problem::default()
        };
        Self { problem: Box::new(problem), headline: None, next: Vec::new(), exit, is_silent: false }
    }

    /// The command is not in its form.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest.as_str(), Code::InvalidRequest.title(), Exit::Usage, detail)
    }

    /// No call has this id.
    pub fn unknown_call(detail: impl Into<String>) -> Self {
        Self::new(Code::UnknownCall.as_str(), Code::UnknownCall.title(), Exit::Unknown, detail)
    }

    /// No recording has this id.
    pub fn unknown_recording(detail: impl Into<String>) -> Self {
        Self::new(Code::UnknownRecording.as_str(), Code::UnknownRecording.title(), Exit::Unknown, detail)
    }

    /// No server has this name, as far as a list tells.
    pub fn unknown_server(detail: impl Into<String>) -> Self {
        Self::new(Code::UnknownServer.as_str(), Code::UnknownServer.title(), Exit::Unknown, detail)
    }

    /// No orchestrator has this name.
    pub fn unknown_orchestrator(detail: impl Into<String>) -> Self {
        Self::new("unknown_orchestrator", "no orchestrator has this name", Exit::Unknown, detail)
    }

    /// A host said nothing that is known.
    pub fn nothing_detected(detail: impl Into<String>) -> Self {
        Self::new("nothing_detected", "the host is of no kind that is known", Exit::Unreachable, detail)
    }

    /// No orchestrator answers.
    pub fn unreachable(detail: impl Into<String>) -> Self {
        let title = "the orchestrator cannot be reached";
        Self::new("orchestrator_unreachable", title, Exit::Unreachable, detail)
    }

    /// The orchestrator answers what it should not.
    pub fn not_understood(detail: impl Into<String>) -> Self {
        let title = "the answer is not of this version";
        Self::new("answer_not_understood", title, Exit::Failed, detail)
    }

    /// The orchestrator did not start.
    pub fn not_started(detail: impl Into<String>) -> Self {
        Self::new("not_started", "the orchestrator did not start", Exit::Failed, detail)
    }

    /// The verb was taken and then failed.
    pub fn not_done(detail: impl Into<String>) -> Self {
        Self::new("not_done", "it was tried and failed", Exit::Failed, detail)
    }

    /// Something on this machine said no: a file, the terminal.
    pub fn here(detail: impl Into<String>) -> Self {
        Self::new("local_failure", "this machine said no", Exit::Failed, detail)
    }

    /// Ctrl-C; `next` is the line that names what would end what goes on.
    pub fn interrupted(next: impl Into<String>) -> Self {
        Self::new("interrupted", "interrupted", Exit::Interrupted, next)
    }

    /// The result was printed and is not a good one.
    pub fn said(exit: Exit) -> Self {
        Self { is_silent: true, ..Self::new("said", "", exit, "") }
    }

    /// A problem object in an answer with this status.
    pub fn of_answer(status: u16, body: &str) -> Self {
        match serde_json::from_str::<Problem>(body) {
            Ok(problem) if !problem.code.is_empty() => {
                let exit = Exit::from_number(if problem.exit == 0 { 1 } else { problem.exit });
                let next = lines(&problem);
                Self { problem: Box::new(problem), headline: None, next, exit, is_silent: false }
            }
            _ => {
                let detail = format!("the orchestrator answered {status} without a problem object");
                Self::not_understood(detail).with("is it of another version? ifbus version")
            }
        }
    }

    /// Adds a line for people.
    pub fn with(mut self, line: impl Into<String>) -> Self {
        self.next.push(line.into());
        self
    }

    /// Adds a command that would help.
    pub fn suggest(mut self, command: impl Into<String>) -> Self {
        let command = command.into();
        self.next.push(format!("do: {command}"));
        self.problem.suggestions.push(command);
        self
    }

    /// Whether no answer came: what was asked may have been done.
    pub fn was_lost(&self) -> bool {
        self.problem.code == "orchestrator_unreachable"
    }

    /// Whether the problem has this code.
    pub fn is(&self, code: Code) -> bool {
        self.problem.code == code.as_str()
    }
}

/// What a problem of the API gives people beside its sentence.
fn lines(problem: &Problem) -> Vec<String> {
    let mut lines: Vec<String> = problem
        .skipped
        .iter()
        .map(|skip| {
            let detail = skip.detail.as_deref().map(|detail| format!("  {detail}")).unwrap_or_default();
            format!("{}  {}{detail}", skip.server, skip.reason)
        })
        .collect();
    lines.extend(problem.suggestions.iter().map(|suggestion| match suggestion.starts_with("ifbus ") {
        true => format!("do: {suggestion}"),
        false => suggestion.clone(),
    }));
    lines
}

/// `error: ...` and the indented lines, without colour.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headline = clean(self.headline.as_deref().unwrap_or(&self.problem.detail));
        if self.exit == Exit::Interrupted {
            return f.write_str(&headline);
        }
        write!(f, "error: {headline}")?;
        self.next.iter().try_for_each(|line| write!(f, "\n  {}", clean(line)))
    }
}

impl std::error::Error for Failure {}
