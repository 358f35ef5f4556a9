//! One page for each problem code: what it means and what to do, in plain text. The same text is in
//! `docs/operating/problems.md`.

use actix_web::HttpResponse;
use actix_web::web::Path;
use ifbus_config::complaint::printable;
use ifbus_config::nearest;
use ifbus_fleet::{Code, Problem};

use super::error::{ProblemBody, Refusal};

const PAGES: &str = include_str!("../../../docs/operating/problems.md");

/// Codes that only the command line gives: what goes wrong before a request, or beside it.
pub const OF_THE_COMMAND_LINE: [&str; 8] = [
    "unknown_orchestrator",
    "orchestrator_unreachable",
    "answer_not_understood",
    "nothing_detected",
    "not_started",
    "not_done",
    "local_failure",
    "interrupted",
];

/// What a problem code means and what to do.
#[utoipa::path(
    get, path = "/problems/{code}", operation_id = "show_problem", tag = "health", params(("code" = String, Path)),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/markdown"),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(code: Path<String>) -> Result<HttpResponse, Refusal> {
    let known = || Code::ALL.map(Code::as_str).into_iter().chain(OF_THE_COMMAND_LINE);
    match known().find(|known| *known == code.as_str()).and_then(page) {
        Some(page) => Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(page)),
        None => {
            let detail = format!("no problem has the code `{}`", printable(&code, 40));
            let problem = Problem::new(Code::UnknownPath, detail).about("code");
            let near = nearest(&code, known()).map(|near| format!("/problems/{near}"));
            Err(near.map_or(problem.clone(), |near| problem.suggest(near)).into())
        }
    }
}

/// The page of a code: its section, heading included.
#[must_use]
pub fn page(code: &str) -> Option<&'static str> {
    let heading = format!("## {code}\n");
    let start = PAGES.find(&format!("\n{heading}"))? + 1;
    let rest = &PAGES[start..];
    Some(rest[heading.len()..].find("\n## ").map_or(rest, |end| &rest[..heading.len() + end + 1]))
}
