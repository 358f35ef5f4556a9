//! The metrics, for whoever scrapes them.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::Api;
use super::error::ProblemBody;
use crate::serve::metrics::CONTENT_TYPE;

/// Every metric, as OpenMetrics text.
#[utoipa::path(
    get, path = "/metrics", operation_id = "scrape_metrics", tag = "health",
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn scrape(api: Data<Api>) -> HttpResponse {
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(api.metrics.text())
}
