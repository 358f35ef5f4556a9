//! What a request holds, taken apart: every mistake names its field and never repeats a value.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{self, Payload};
use futures_util::StreamExt;
use ifbus_call::{Address, CallId, Role, ServerName};
use ifbus_config::complaint::{self, printable};
use ifbus_config::nearest;
use ifbus_fleet::board::Match;
use ifbus_fleet::{Board, Code, Problem};
use serde::de::DeserializeOwned;

/// The largest body taken, in bytes: a server with certificates by reference has less than a hundredth.
pub(super) const BODY_MAX: usize = 64 << 10;
/// The longest a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A request that is not valid.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

/// Reads a JSON body; none at all is an empty object. The media type is not looked at: a token in a header is needed,
/// which no foreign page can send.
pub(super) async fn body<T: DeserializeOwned>(request: &HttpRequest, payload: Payload) -> Result<T, Problem> {
    let too_large = || invalid(format!("the body has more than {BODY_MAX} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > BODY_MAX) {
        return Err(too_large());
    }
    let read = read_all(payload, BODY_MAX);
    let late = || invalid(format!("the body did not come within {} s", BODY_WITHIN.as_secs()));
    let bytes = tokio::time::timeout(BODY_WITHIN, read).await.map_err(|_| late())??.ok_or_else(too_large)?;
    parse(if bytes.is_empty() { b"{}" } else { &bytes })
}

/// The whole body, or `None` if it is larger than `max`.
async fn read_all(mut payload: Payload, max: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| invalid("the body broke off"))?;
        if bytes.len() + chunk.len() > max {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() { refused(&error.to_string(), "field", &path) } else { not_json(&error) }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(parsed)
}

fn not_json(error: &serde_json::Error) -> Problem {
    invalid(format!("the body is not JSON: see line {}, column {}", error.line(), error.column()))
}

/// What serde refused, with the nearest known word and without the value.
fn refused(message: &str, what: &str, path: &str) -> Problem {
    if let Some(unknown) = complaint::unknown(message) {
        return invalid(unknown.sentence(what)).about(unknown.word);
    }
    let said = complaint::without_value(message);
    let field = ["missing field `", "duplicate field `"].iter().find_map(|start| said.strip_prefix(start));
    if let Some(field) = field {
        let field = field.trim_end_matches('`').to_owned();
        return invalid(said).about(field);
    }
    match printable(path, 80) {
        path if path == "." || path.is_empty() => invalid(said),
        path => invalid(format!("{path}: {said}")).about(path),
    }
}

/// The parameters of the query.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let parsed = web::Query::<T>::from_query(request.query_string());
    parsed.map(web::Query::into_inner).map_err(|error| match error {
        actix_web::error::QueryPayloadError::Deserialize(error) => {
            refused(&error.to_string(), "parameter", "")
        }
        _ => invalid("the query is not of its form"),
    })
}

/// A list that takes no parameters.
pub(super) fn no_query(request: &HttpRequest) -> Result<(), Problem> {
    let given: BTreeMap<String, String> = query(request)?;
    match given.keys().next() {
        None => Ok(()),
        Some(key) => Err(invalid("this list takes no parameters").about(printable(key, 40))),
    }
}

/// An address in field `param`.
pub(super) fn address(text: &str, param: &str) -> Result<Address, Problem> {
    text.parse().map_err(|error| invalid(format!("{param}: {error}")).about(param))
}

/// A party in field `leg`.
pub(super) fn role(text: Option<&str>) -> Result<Option<Role>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match Role::from_letter(text) {
        Some(role) => Ok(Some(role)),
        None => Err(invalid("leg: a party is a, b or c").about("leg")),
    }
}

/// A server that is there, by its name.
pub(super) fn known_server(board: &Board, text: &str) -> Result<ServerName, Problem> {
    if let Ok(name) = text.parse()
        && board.server(&name).is_some()
    {
        return Ok(name);
    }
    let servers = board.servers();
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    let shown = printable(text, 40);
    let detail = match (nearest(text, names.iter().copied()), names.as_slice()) {
        (Some(near), _) => format!("no server is called `{shown}`; did you mean {near}?"),
        (None, []) => format!("no server is called `{shown}`; none is configured"),
        (None, _) => format!("no server is called `{shown}`"),
    };
    let problem = Problem::new(Code::UnknownServer, detail).about("server");
    Err(match names.as_slice() {
        [] => problem.suggest("ifbus add sip NAME KIND --host HOST"),
        names => problem.suggest(format!("configured: {}", names.join(", "))),
    })
}

/// A call that is there, by its id or any unique ending of it.
pub(super) fn known_call(board: &Board, text: &str) -> Result<CallId, Problem> {
    match board.find_call(text) {
        Match::One(id) => Ok(id),
        Match::Several(ids) => {
            let detail = format!("several calls end in `{}`; say more of the id", printable(text, 40));
            let problem = Problem::new(Code::UnknownCall, detail).about("id");
            Err(ids.iter().fold(problem, |problem, id| problem.suggest(id.to_string())))
        }
        Match::Nothing if board.foreign().iter().any(|leg| leg.id == text.to_ascii_lowercase()) => {
            let detail = "this leg was not placed by this ifbus: it is listed, and can be hung up by its id, nothing else";
            Err(Problem::new(Code::NotOurs, detail).about("id"))
        }
        Match::Nothing => {
            let detail = format!("no call has the id `{}` or one that ends so", printable(text, 40));
            Err(Problem::new(Code::UnknownCall, detail).about("id").suggest("ifbus calls"))
        }
    }
}
