//! Alive and ready, for whoever watches the process; nothing else is told, because no token is needed.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::Api;
use super::body::HealthBody;

/// Whether the process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "is_alive", tag = "health", security(()),
    responses((status = 200, description = "It does", body = HealthBody))
)]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(HealthBody { status: "alive".to_owned() })
}

/// Whether the calls of every server that could be reached were adopted.
#[utoipa::path(
    get, path = "/readyz", operation_id = "is_ready", tag = "health", security(()),
    responses(
        (status = 200, description = "They were", body = HealthBody),
        (status = 503, description = "Not yet", body = HealthBody),
    )
)]
pub(super) async fn ready(api: Data<Api>) -> HttpResponse {
    let ready = *api.ready.borrow() && !api.is_stopping();
    let (mut answer, status) =
        if ready { (HttpResponse::Ok(), "ready") } else { (HttpResponse::ServiceUnavailable(), "starting") };
    answer.json(HealthBody { status: status.to_owned() })
}
