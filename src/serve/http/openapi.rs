//! The OpenAPI document: made from the handlers and their shapes, committed as `openapi.json`, compared in a test.

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    body, calls, conferences, config, detect, error, events, health, matrix, metrics, problems, recordings,
    servers, summary,
};

/// The document as it is committed and served.
pub const COMMITTED: &str = include_str!("../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(title = "ifbus", description = "One control plane over a mixed fleet of SIP servers"),
    paths(
        calls::place,
        calls::list,
        calls::show,
        calls::hangup,
        calls::hold,
        calls::resume,
        calls::mute,
        calls::unmute,
        calls::dtmf,
        calls::transfer,
        calls::transfer_complete,
        calls::transfer_cancel,
        calls::hang_up_foreign,
        recordings::start,
        recordings::list,
        recordings::show,
        recordings::stop,
        recordings::file,
        conferences::create,
        conferences::list,
        conferences::show,
        conferences::end,
        conferences::add,
        conferences::change,
        conferences::remove,
        servers::add,
        servers::list,
        servers::show,
        servers::remove,
        servers::test,
        servers::drain,
        servers::undrain,
        config::reload,
        detect::detect,
        events::stream,
        matrix::show,
        summary::show,
        health::alive,
        health::ready,
        metrics::scrape,
        show,
        problems::show,
    ),
    components(schemas(error::ProblemBody, body::GapBody, ifbus_fleet::view::ForeignView)),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
            "The token in the data folder of ifbus, or one of the configuration with fewer rights.",
        ));
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    }
}

/// The document, made anew.
#[must_use]
pub fn document() -> String {
    let text = Document::openapi().to_pretty_json().expect("the document can be written as JSON");
    format!("{text}\n")
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_document", tag = "health",
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object),
        (status = "default", description = "Refused", body = error::ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(COMMITTED)
}
