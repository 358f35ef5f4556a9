//! What kind of server a host is.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use ifbus_config::file::is_host;

use super::error::{ProblemBody, Refusal};
use super::request::{body, invalid};
use crate::serve::detect::{self, DetectBody, DetectionBody};

/// Asks a few ports of a host what it is; nobody is logged in and nothing is changed. Answered within 3 s.
#[utoipa::path(
    post, path = "/v1/detect", operation_id = "detect", tag = "servers", request_body = DetectBody,
    responses(
        (status = 200, description = "What it is, or that nobody knows", body = DetectionBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn detect(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Refusal> {
    let asked: DetectBody = body(&request, payload).await?;
    if !is_host(&asked.host) {
        let detail = "host: a name or address; the port has a field of its own";
        return Err(invalid(detail).about("host").into());
    }
    if asked.port == Some(0) {
        return Err(invalid("port: between 1 and 65535").about("port").into());
    }
    Ok(HttpResponse::Ok().json(detect::detect(&asked).await))
}
