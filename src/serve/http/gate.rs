//! What every request passes, and every answer: an id, Host and Origin, whose token it is, a problem object for every
//! refusal, a line in the log, a figure in the metrics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
use futures_util::FutureExt;
use ifbus_call::CallId;
use ifbus_fleet::{Code, Problem};

use super::error::{self, ProblemBody, Refusal};
use super::{Api, routes};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Lets a request through, or refuses it.
pub(super) async fn pass(
    api: web::Data<Api>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let (id, began) = (request_id(), Instant::now());
    let method = request.method().clone();
    let bearer = api.tokens.bearer(request.headers());
    let who = bearer.as_ref().map_or_else(|| "-".to_owned(), |bearer| bearer.name.clone());
    if let Some(bearer) = bearer {
        request.extensions_mut().insert(bearer);
    }
    let authority = request.uri().authority().map(ToString::to_string);
    let mut response = match admit(&api, &request, authority.as_deref()) {
        Ok(()) => next.call(request).await?,
        Err(problem) => request.error_response(Refusal(problem)),
    };
    let route = routes::of(response.request().match_pattern().as_deref());
    if let Some(problem) = problem_of(&response) {
        if problem.code == Code::Internal {
            tracing::error!(event = "internal", request_id = %id, route, "{}", problem.detail);
        }
        let body = tell(&problem, &id, route);
        response = response.into_response(body);
    }
    dress(&mut response, &id, api.is_stopping());
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.metrics.requested(method.as_str(), route, status, took);
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if method == Method::GET {
        tracing::debug!(event = "request", request_id = %id, %method, route, status, token = %who, elapsed_ms);
    } else {
        tracing::info!(event = "request", request_id = %id, %method, route, status, token = %who, elapsed_ms);
    }
    Ok(response)
}

fn admit(api: &Api, request: &ServiceRequest, authority: Option<&str>) -> Result<(), Problem> {
    api.hosts.check(request.headers(), authority)?;
    if api.is_stopping() && request.method() != Method::GET {
        return Err(Problem::new(Code::Stopping, "the orchestrator is stopping; its calls live on"));
    }
    Ok(())
}

/// The problem that this response stands for, if it stands for one.
fn problem_of(response: &ServiceResponse) -> Option<Problem> {
    let error = response.response().error()?;
    Some(match error.as_error::<Refusal>() {
        Some(refusal) => refusal.0.clone(),
        None => error::of_framework(response.status()),
    })
}

fn tell(problem: &Problem, id: &str, route: &str) -> HttpResponse {
    let refusal = Refusal(problem.clone());
    let mut response = HttpResponse::build(actix_web::ResponseError::status_code(&refusal));
    response.insert_header((header::CONTENT_TYPE, error::CONTENT_TYPE));
    if let Some(seconds) = problem.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    match problem.code {
        Code::Unauthenticated => {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"ifbus\""));
        }
        Code::MethodNotAllowed => {
            response.insert_header((header::ALLOW, routes::methods(route).join(", ")));
        }
        _ => {}
    }
    let body = ProblemBody::new(problem, id);
    response.body(serde_json::to_vec(&body).expect("a problem can be written as JSON"))
}

/// What every answer wears.
fn dress(response: &mut ServiceResponse, id: &str, stopping: bool) {
    if stopping {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("ids are ASCII"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Contains a panic of the handler. Stands behind the routing, where the request may be kept aside.
pub(super) async fn contain(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let aside = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(event = "panic", "a handler panicked: {text}");
            let problem = Problem::new(Code::Internal, "a handler panicked; the log has more under this id");
            Ok(ServiceResponse::from_err(Refusal(problem), aside))
        }
    }
}

/// `r_` and the last 26 characters of what a call's id would be: ordered by time, told apart by chance.
fn request_id() -> String {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    // Not a secret: without the system's generator ids repeat, and nothing else happens.
    let random = getrandom::u64().unwrap_or_default();
    let id = CallId::new(now, u128::from(random) << 16).to_string();
    id.replacen("c_", "r_", 1)
}
