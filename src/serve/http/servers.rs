//! Servers: add or change, list, show, test, remove.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ifbus_adapters::{Settings, adapter};
use ifbus_call::{Kind, ServerName};
use ifbus_config::complaint::printable;
use ifbus_config::file::is_host;
use ifbus_config::nearest;
use ifbus_fleet::view::{Origin, ServerView, TestReport};
use ifbus_fleet::{Problem, ServerSpec};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::body::{ListBody, RemovedBody, ServerBody};
use super::error::{ProblemBody, Refusal};
use super::request::{body, invalid, known_server, no_query, query};
use super::{ANSWER_WITHIN, Api, wait};

/// How long an addition waits for the server to be connected if nothing is said.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest value of a key, in bytes: a certificate fits.
const VALUE_MAX: usize = 16 << 10;

type Answer = Result<HttpResponse, Refusal>;

/// Adds a server, or changes one that was added before. Answered when it is connected, or after the time the client
/// prefers to wait (10 s if nothing is said), as it is then.
#[utoipa::path(
    post, path = "/v1/servers", operation_id = "add_server", tag = "servers", request_body = ServerBody,
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds, at most 120")),
    responses(
        (status = 201, description = "Added", body = ServerView, headers(("Location" = String))),
        (status = 200, description = "Changed", body = ServerView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(api: Data<Api>, request: HttpRequest, payload: Payload) -> Answer {
    let spec = spec(body(&request, payload).await?)?;
    let within = wait::preference(&request).unwrap_or(CONNECT);
    let is_new = api.fleet.board.server(&spec.name).is_none();
    let location = format!("/v1/servers/{}", spec.name);
    let server = api.answer(api.fleet.control.add_server(spec, within), within + ANSWER_WITHIN).await?;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.insert_header((header::LOCATION, location)).json(api.metrics.lately.onto(&server)))
}

fn spec(asked: ServerBody) -> Result<ServerSpec, Problem> {
    let name: ServerName = asked
        .name
        .parse()
        .map_err(|error: ifbus_call::id::BadId| invalid(format!("name: {error}")).about("name"))?;
    let kind = asked.kind.parse::<Kind>().map_err(|_| {
        let hint = match nearest(&asked.kind, Kind::ALL.map(Kind::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", Kind::names()),
        };
        invalid(format!("kind: no kind of server is called `{}`; {hint}", printable(&asked.kind, 40)))
            .about("kind")
    })?;
    if !is_host(&asked.host) {
        return Err(invalid("host: a name or address; the port has a field of its own").about("host"));
    }
    if asked.port == Some(0) {
        return Err(invalid("port: between 1 and 65535").about("port"));
    }
    if asked.capacity == Some(0) {
        return Err(invalid("capacity: at least 1").about("capacity"));
    }
    if asked.cps.is_some_and(|cps| !(cps.is_finite() && cps > 0.0)) {
        return Err(invalid("cps: a number above 0").about("cps"));
    }
    check_values("auth", asked.auth.iter().map(|(key, secret)| (key, secret.expose())))?;
    check_values("set", asked.set.iter().map(|(key, text)| (key, text.as_str())))?;
    check_values("tags", asked.tags.iter().map(|(key, text)| (key, text.as_str())))?;
    let auth = asked.auth.iter().map(|(key, secret)| (key.clone(), adapter::Secret::new(secret.expose())));
    Ok(ServerSpec {
        name,
        kind,
        settings: Settings { host: asked.host, port: asked.port, auth: auth.collect(), set: asked.set },
        capacity: asked.capacity.unwrap_or(ServerSpec::CAPACITY),
        cps: asked.cps.unwrap_or(ServerSpec::CPS),
        tags: asked.tags,
        origin: Origin::Cli,
    })
}

/// No value that could break a wire or a log gets further than here. The value itself is never repeated.
fn check_values<'a>(field: &str, values: impl Iterator<Item = (&'a String, &'a str)>) -> Result<(), Problem> {
    for (key, value) in values {
        let wrong = if key.is_empty() || key.len() > 64 || key.chars().any(char::is_control) {
            "a key has 1 to 64 characters, none of them a control character"
        } else if value.len() > VALUE_MAX {
            "the value is longer than 16 KiB"
        } else if value.chars().any(char::is_control) {
            "the value has a control character"
        } else {
            continue;
        };
        let param = printable(&format!("{field}.{key}"), 80);
        return Err(invalid(format!("{param}: {wrong}")).about(param));
    }
    Ok(())
}

/// Lists the servers by name.
#[utoipa::path(
    get, path = "/v1/servers", operation_id = "list_servers", tag = "servers",
    responses(
        (status = 200, description = "All of them", body = ListBody<ServerView>),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Answer {
    no_query(&request)?;
    let servers = api.fleet.board.servers();
    let servers: Vec<ServerView> = servers.iter().map(|server| api.metrics.lately.onto(server)).collect();
    Ok(HttpResponse::Ok().json(ListBody::new(servers, None)))
}

/// Shows one server.
#[utoipa::path(
    get, path = "/v1/servers/{name}", operation_id = "show_server", tag = "servers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "The server", body = ServerView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(api: Data<Api>, name: Path<String>) -> Answer {
    let name = known_server(&api.fleet.board, &name)?;
    let server = api.fleet.board.server(&name);
    Ok(HttpResponse::Ok().json(server.map(|server| api.metrics.lately.onto(&server))))
}

/// How to remove a server.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveQuery {
    /// `true`: also with calls of ours on it; they live on there, unseen.
    even_with_calls: Option<bool>,
}

/// Removes a server.
#[utoipa::path(
    delete, path = "/v1/servers/{name}", operation_id = "remove_server", tag = "servers", params(("name" = String, Path), RemoveQuery),
    responses(
        (status = 200, description = "Removed", body = RemovedBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(api: Data<Api>, request: HttpRequest, name: Path<String>) -> Answer {
    let asked: RemoveQuery = query(&request)?;
    let name = known_server(&api.fleet.board, &name)?;
    let calls = api.fleet.board.server(&name).map_or(0, |server| server.calls);
    let removing = api.fleet.control.remove_server(name.clone(), asked.even_with_calls.unwrap_or(false));
    api.answer(removing, ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(RemovedBody { object: "server".to_owned(), name, removed: true, calls }))
}

/// Looks at every interface of a server, step by step; changes nothing on it.
#[utoipa::path(
    post, path = "/v1/servers/{name}/test", operation_id = "test_server", tag = "servers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "What was found", body = TestReport),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn test(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    let super::body::EmptyBody {} = body(&request, payload).await?;
    let name = known_server(&api.fleet.board, &name)?;
    let report = api.answer(api.fleet.control.test_server(name), ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(report))
}

/// The server takes no new calls: none of ours from now on, none from its telephones and trunks where the answer says
/// so. Calls that are there go on.
#[utoipa::path(
    post, path = "/v1/servers/{name}/drain", operation_id = "drain_server", tag = "servers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "It drains", body = ServerView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drain(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    set_drain(&api, &request, &name, payload, true).await
}

/// The server takes calls again.
#[utoipa::path(
    post, path = "/v1/servers/{name}/undrain", operation_id = "undrain_server", tag = "servers", params(("name" = String, Path)),
    responses(
        (status = 200, description = "It takes calls", body = ServerView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn undrain(
    api: Data<Api>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Answer {
    set_drain(&api, &request, &name, payload, false).await
}

async fn set_drain(api: &Api, request: &HttpRequest, name: &str, payload: Payload, on: bool) -> Answer {
    let super::body::EmptyBody {} = body(request, payload).await?;
    let name = known_server(&api.fleet.board, name)?;
    let server = api.answer(api.fleet.control.drain(name, on), ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(server))
}
