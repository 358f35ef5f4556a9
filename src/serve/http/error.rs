//! A problem as the API tells it: RFC 9457, with what to do next.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use ifbus_call::CallId;
use ifbus_config::complaint::printable;
use ifbus_fleet::{Code, Problem, Skipped};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";
/// The longest detail told: enough for every sentence of ours, with what a server said.
const DETAIL_MAX: usize = 1_000;

/// A refusal, as handlers give it.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Only the status: the gate, which knows the id of the request, writes the body.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// A problem: what, why, what to do next.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:ifbus:problem:` and the code, with hyphens.
    pub r#type: String,
    /// A short sentence, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here.
    pub detail: String,
    /// Which of the closed set.
    pub code: Code,
    /// The field, argument or header it is about.
    pub param: Option<String>,
    /// Where more is written.
    pub help: String,
    /// Whether the same request may succeed later without a change.
    pub retryable: bool,
    /// When a retry makes sense, in seconds.
    pub retry_after_s: Option<u64>,
    /// Commands that would help.
    pub suggestions: Vec<String>,
    /// Every server that was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// The call it is about.
    #[schema(value_type = Option<String>)]
    pub call: Option<CallId>,
    /// The request that met it: what to look for in the log.
    pub request_id: String,
    /// The exit code of the command line.
    pub exit: u8,
}

impl ProblemBody {
    /// A problem met by a request.
    #[must_use]
    pub fn new(problem: &Problem, request_id: &str) -> Self {
        let code = problem.code;
        Self {
            r#type: format!("urn:ifbus:problem:{}", code.as_str().replace('_', "-")),
            title: code.title().to_owned(),
            status: code.status(),
            detail: printable(&problem.detail, DETAIL_MAX),
            code,
            param: problem.param.as_deref().map(|param| printable(param, DETAIL_MAX)),
            help: format!("/problems/{}", code.as_str()),
            retryable: code.is_retryable(),
            retry_after_s: problem.retry_after_s,
            suggestions: problem.suggestions.clone(),
            skipped: problem.skipped.clone(),
            call: problem.call,
            request_id: request_id.to_owned(),
            exit: code.exit(),
        }
    }

    /// The problem itself, as a client hands it on.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        Problem {
            code: self.code,
            detail: self.detail,
            param: self.param,
            suggestions: self.suggestions,
            skipped: self.skipped,
            call: self.call,
            retry_after_s: self.retry_after_s,
        }
    }
}

/// What the framework itself refuses, in our words.
pub(super) fn of_framework(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(Code::UnknownPath, "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(Code::MethodNotAllowed, "the path does not take this method")
        }
        _ if status.is_client_error() => Problem::new(Code::InvalidRequest, "the request is not of its form"),
        _ => Problem::new(Code::Internal, "the request could not be answered; the log has more under its id"),
    }
}
