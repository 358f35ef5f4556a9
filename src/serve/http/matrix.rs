//! Which verb works on which kind of server.

use actix_web::{HttpRequest, HttpResponse};
use ifbus_call::Kind;
use ifbus_config::complaint::printable;
use ifbus_config::nearest;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::error::{ProblemBody, Refusal};
use super::request::{invalid, query};
use crate::serve::matrix::{self, MatrixBody};

/// Which kinds.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MatrixQuery {
    /// Only these, separated by commas.
    kind: Option<String>,
}

/// Which verb works on which kind of server, how, and what was proven when.
#[utoipa::path(
    get, path = "/v1/matrix", operation_id = "show_matrix", tag = "servers", params(MatrixQuery),
    responses(
        (status = 200, description = "The table", body = MatrixBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let asked: MatrixQuery = query(&request)?;
    let kinds = match asked.kind.as_deref() {
        None => Kind::ALL.to_vec(),
        Some(words) => words
            .split(',')
            .map(|word| {
                word.parse::<Kind>().map_err(|_| {
                    let near = nearest(word, Kind::ALL.map(Kind::as_str));
                    let hint = near.map_or_else(
                        || format!("known: {}", Kind::names()),
                        |near| format!("did you mean `{near}`?"),
                    );
                    invalid(format!("kind: this build has no `{}`; {hint}", printable(word, 40)))
                        .about("kind")
                })
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(HttpResponse::Ok().json(matrix::body(&kinds)))
}
