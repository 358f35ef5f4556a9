//! The configuration file, read again.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::body::EmptyBody;
use super::error::{ProblemBody, Refusal};
use super::request::body;
use super::{ANSWER_WITHIN, Api};
use crate::serve::reload::ReloadBody;

/// Reads the configuration file again and does what changed: servers are added, changed and removed. A file with a
/// mistake changes nothing; a server that carries calls stays as it was and is named in `kept`.
#[utoipa::path(
    post, path = "/v1/config/reload", operation_id = "reload_config", tag = "servers", request_body = EmptyBody,
    responses(
        (status = 200, description = "What changed, and what stays", body = ReloadBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reload(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let EmptyBody {} = body(&request, payload).await?;
    let done = api.answer((api.reload)(), ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(done))
}
