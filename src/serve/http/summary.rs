//! The fleet in a few figures: the last line of a list, the head of a page.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use ifbus_fleet::view::{ServerState, Status};
use jiff::Timestamp;

use super::Api;
use super::body::SummaryBody;
use super::error::ProblemBody;

/// The fleet in a few figures.
#[utoipa::path(
    get, path = "/v1/summary", operation_id = "show_summary", tag = "health",
    responses(
        (status = 200, description = "The figures", body = SummaryBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(api: Data<Api>) -> HttpResponse {
    let board = &api.fleet.board;
    let mut servers: BTreeMap<String, u64> =
        ServerState::ALL.into_iter().map(|state| (state.as_str().to_owned(), 0)).collect();
    let (mut capacity, mut foreign) = (0, 0);
    for server in board.servers() {
        *servers.entry(server.state.as_str().to_owned()).or_default() += 1;
        capacity += u64::from(server.capacity);
        foreign += u64::from(server.foreign);
    }
    let living = [Status::Queued, Status::Ringing, Status::InProgress];
    let mut calls: BTreeMap<String, u64> = living.map(|status| (status.as_str().to_owned(), 0)).into();
    let mut held = 0;
    for call in board.calls().iter().filter(|call| !call.status.is_terminal()) {
        *calls.entry(call.status.as_str().to_owned()).or_default() += 1;
        held += u64::from(call.held);
    }
    HttpResponse::Ok().json(SummaryBody {
        object: "summary".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: api.boot.clone(),
        ready: *api.ready.borrow(),
        up_since: Some(api.up_since),
        actor_restarts: api.metrics.actor_restarts(),
        store_is_well: Some(api.keys.is_well()),
        as_of: Timestamp::now(),
        servers,
        calls,
        held,
        capacity,
        foreign,
    })
}
