//! Every path of the API, the right it needs, and the function that answers: the one table from which the server is
//! built, against which the OpenAPI document is compared.

use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Route, body::BoxBody, web};
use ifbus_config::{Scope, nearest};
use ifbus_fleet::{Code, Problem};

use super::error::Refusal;
use super::guard::{self, Bearer, Needs};
use super::{
    calls, conferences, config, detect, events, gate, health, matrix, metrics, openapi, problems, recordings,
    servers, summary,
};

/// One path with one method.
pub struct Entry {
    /// The method.
    pub method: &'static str,
    /// The path, parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub needs: Needs,
    answer: fn() -> Route,
}

macro_rules! entries {
    ($($method:ident $path:literal $needs:expr => $handler:path;)*) => {
        &[$(Entry { method: stringify!($method), path: $path, needs: $needs, answer: || $method!($handler) }),*]
    };
}

macro_rules! GET {
    ($handler:path) => {
        web::get().to($handler)
    };
}

macro_rules! POST {
    ($handler:path) => {
        web::post().to($handler)
    };
}

macro_rules! PATCH {
    ($handler:path) => {
        web::patch().to($handler)
    };
}

macro_rules! DELETE {
    ($handler:path) => {
        web::delete().to($handler)
    };
}

const READ_CALLS: Needs = Needs::Right(Scope::CallsRead);
const WRITE_CALLS: Needs = Needs::Right(Scope::CallsWrite);
const READ_SERVERS: Needs = Needs::Right(Scope::ServersRead);
const WRITE_SERVERS: Needs = Needs::Right(Scope::ServersWrite);

/// All of them, those of one path together.
pub const ENTRIES: &[Entry] = entries! {
    POST "/v1/calls" WRITE_CALLS => calls::place;
    GET "/v1/calls" READ_CALLS => calls::list;
    GET "/v1/calls/{id}" READ_CALLS => calls::show;
    POST "/v1/calls/{id}/hangup" WRITE_CALLS => calls::hangup;
    POST "/v1/calls/{id}/hold" WRITE_CALLS => calls::hold;
    POST "/v1/calls/{id}/resume" WRITE_CALLS => calls::resume;
    POST "/v1/calls/{id}/mute" WRITE_CALLS => calls::mute;
    POST "/v1/calls/{id}/unmute" WRITE_CALLS => calls::unmute;
    POST "/v1/calls/{id}/dtmf" WRITE_CALLS => calls::dtmf;
    POST "/v1/calls/{id}/transfer" WRITE_CALLS => calls::transfer;
    POST "/v1/calls/{id}/transfer/complete" WRITE_CALLS => calls::transfer_complete;
    POST "/v1/calls/{id}/transfer/cancel" WRITE_CALLS => calls::transfer_cancel;
    POST "/v1/foreign/{id}/hangup" WRITE_CALLS => calls::hang_up_foreign;
    POST "/v1/calls/{id}/recordings" WRITE_CALLS => recordings::start;
    GET "/v1/recordings" READ_CALLS => recordings::list;
    GET "/v1/recordings/{id}" READ_CALLS => recordings::show;
    POST "/v1/recordings/{id}/stop" WRITE_CALLS => recordings::stop;
    GET "/v1/recordings/{id}/file" READ_CALLS => recordings::file;
    POST "/v1/conferences" WRITE_CALLS => conferences::create;
    GET "/v1/conferences" READ_CALLS => conferences::list;
    GET "/v1/conferences/{id}" READ_CALLS => conferences::show;
    DELETE "/v1/conferences/{id}" WRITE_CALLS => conferences::end;
    POST "/v1/conferences/{id}/members" WRITE_CALLS => conferences::add;
    PATCH "/v1/conferences/{id}/members/{member}" WRITE_CALLS => conferences::change;
    DELETE "/v1/conferences/{id}/members/{member}" WRITE_CALLS => conferences::remove;
    POST "/v1/servers" WRITE_SERVERS => servers::add;
    GET "/v1/servers" READ_SERVERS => servers::list;
    GET "/v1/servers/{name}" READ_SERVERS => servers::show;
    DELETE "/v1/servers/{name}" WRITE_SERVERS => servers::remove;
    POST "/v1/servers/{name}/test" WRITE_SERVERS => servers::test;
    POST "/v1/servers/{name}/drain" WRITE_SERVERS => servers::drain;
    POST "/v1/servers/{name}/undrain" WRITE_SERVERS => servers::undrain;
    GET "/v1/events" Needs::Right(Scope::Events) => events::stream;
    POST "/v1/config/reload" WRITE_SERVERS => config::reload;
    POST "/v1/detect" WRITE_SERVERS => detect::detect;
    GET "/v1/matrix" Needs::AnyToken => matrix::show;
    GET "/v1/summary" Needs::AnyToken => summary::show;
    GET "/healthz" Needs::Nothing => health::alive;
    GET "/readyz" Needs::Nothing => health::ready;
    GET "/metrics" Needs::Right(Scope::Metrics) => metrics::scrape;
    GET "/openapi.json" Needs::AnyToken => openapi::show;
    GET "/problems/{code}" Needs::AnyToken => problems::show;
};

/// Adds every route to an app.
pub(super) fn add(app: &mut web::ServiceConfig) {
    for entries in ENTRIES.chunk_by(|a, b| a.path == b.path) {
        let mut resource = web::resource(entries[0].path).default_service(web::to(method_not_allowed));
        for entry in entries {
            let needs = entry.needs;
            let check =
                move |request: ServiceRequest, next: Next<BoxBody>| guard::check(needs, request, next);
            resource = resource.route((entry.answer)().wrap(from_fn(gate::contain)).wrap(from_fn(check)));
        }
        app.service(resource);
    }
    app.default_service(web::to(nothing_here));
}

/// The path of the table that a request matched; `other` for one that matched none. A closed set, fit for a label.
pub(super) fn of(pattern: Option<&str>) -> &'static str {
    let entry = pattern.and_then(|pattern| ENTRIES.iter().find(|entry| entry.path == pattern));
    entry.map_or("other", |entry| entry.path)
}

/// The methods that a path takes.
pub(super) fn methods(path: &str) -> Vec<&'static str> {
    ENTRIES.iter().filter(|entry| entry.path == path).map(|entry| entry.method).collect()
}

async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Needs::AnyToken.of(request.extensions().get::<Bearer>())?;
    let problem = Problem::new(Code::UnknownPath, format!("there is nothing at {}", request.path()));
    let near = nearest(request.path(), ENTRIES.iter().map(|entry| entry.path));
    Err(near.map_or(problem.clone(), |near| problem.suggest(near)).into())
}

async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Needs::AnyToken.of(request.extensions().get::<Bearer>())?;
    let path = of(request.match_pattern().as_deref());
    let detail = format!("{path} takes {}, not {}", methods(path).join(" and "), request.method());
    Err(Problem::new(Code::MethodNotAllowed, detail).into())
}
