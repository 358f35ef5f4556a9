//! Conferences: create, list, show, end; members: bring in, mute, remove.

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ifbus_call::order::Direction;
use ifbus_call::{ConferenceId, Verb};
use ifbus_config::complaint::printable;
use ifbus_fleet::control::Invitation;
use ifbus_fleet::view::{CallView, ConferenceView, MemberView};
use ifbus_fleet::{Acted, Code, Problem};

use super::body::{
    ConferenceBody, EmptyBody, ListBody, MemberBody, MemberChangeBody, OrderBody, OrderStatus,
};
use super::calls::ring_time;
use super::error::{ProblemBody, Refusal};
use super::request::{address, body, invalid, known_call, known_server, no_query};
use super::{ANSWER_WITHIN, Api};

type Answer = Result<HttpResponse, Refusal>;

/// Names a conference and the server it is on. One that is there already stays as it is.
#[utoipa::path(
    post, path = "/v1/conferences", operation_id = "create_conference", tag = "conferences", request_body = ConferenceBody,
    responses(
        (status = 201, description = "Created", body = ConferenceView, headers(("Location" = String))),
        (status = 200, description = "It was there already", body = ConferenceView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(api: Data<Api>, request: HttpRequest, payload: Payload) -> Answer {
    let asked: ConferenceBody = body(&request, payload).await?;
    let id: ConferenceId = asked
        .id
        .parse()
        .map_err(|error: ifbus_call::id::BadId| invalid(format!("id: {error}")).about("id"))?;
    let server = asked.server.map(|server| known_server(&api.fleet.board, &server)).transpose()?;
    let is_new = api.fleet.board.conference(&id).is_none();
    let location = format!("/v1/conferences/{id}");
    let view = api.answer(api.fleet.control.create_conference(id, server), ANSWER_WITHIN).await?;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.insert_header((header::LOCATION, location)).json(view))
}

/// Lists the conferences by name.
#[utoipa::path(
    get, path = "/v1/conferences", operation_id = "list_conferences", tag = "conferences",
    responses(
        (status = 200, description = "All of them", body = ListBody<ConferenceView>),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Answer {
    no_query(&request)?;
    Ok(HttpResponse::Ok().json(ListBody::new(api.fleet.board.conferences(), None)))
}

/// Shows one conference with its members.
#[utoipa::path(
    get, path = "/v1/conferences/{id}", operation_id = "show_conference", tag = "conferences", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The conference", body = ConferenceView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(api: Data<Api>, id: Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(known(&api, &id)?))
}

/// Hangs up every member of ours and forgets the conference. The answer shows it as it was.
#[utoipa::path(
    delete, path = "/v1/conferences/{id}", operation_id = "end_conference", tag = "conferences", params(("id" = String, Path)),
    responses(
        (status = 200, description = "Ended", body = ConferenceView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end(api: Data<Api>, id: Path<String>) -> Answer {
    let id = known(&api, &id)?.id;
    let view = api.answer(api.fleet.control.end_conference(id), ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(view))
}

/// Brings a party into the conference: one that is called (`to`), or both parties of a call (`call`).
#[utoipa::path(
    post, path = "/v1/conferences/{id}/members", operation_id = "add_member", tag = "conferences", request_body = MemberBody,
    params(("id" = String, Path)),
    responses(
        (status = 202, description = "Under way: the call whose legs become members", body = CallView, headers(("Location" = String))),
        (status = 200, description = "The call is in it already", body = CallView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(api: Data<Api>, request: HttpRequest, id: Path<String>, payload: Payload) -> Answer {
    let asked: MemberBody = body(&request, payload).await?;
    let conference = known(&api, &id)?.id;
    let control = &api.fleet.control;
    let (call, already_so) = match (&asked.to, &asked.call) {
        (Some(to), None) => {
            let invitation = Invitation {
                to: address(to, "to")?,
                caller_id: asked.caller_id.map(|caller| address(&caller, "caller_id")).transpose()?,
                timeout: ring_time(asked.timeout_s)?,
                record: asked.record.unwrap_or(false),
            };
            (api.answer(control.invite(conference, invitation), ANSWER_WITHIN).await?, false)
        }
        (None, Some(call)) => {
            let call = known_call(&api.fleet.board, call)?;
            let Acted { call, already_so } =
                api.answer(control.enter(conference, call), ANSWER_WITHIN).await?;
            (call, already_so)
        }
        _ => {
            return Err(
                invalid("a member is `to`, whom to call, or `call`, whose parties to bring in").into()
            );
        }
    };
    let location = format!("/v1/calls/{}", call.id);
    let mut answer = if already_so { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(answer.insert_header((header::LOCATION, location)).json(call))
}

/// Mutes a member, or lets it be heard again.
#[utoipa::path(
    patch, path = "/v1/conferences/{id}/members/{member}", operation_id = "change_member", tag = "conferences",
    request_body = MemberChangeBody, params(("id" = String, Path), ("member" = String, Path)),
    responses(
        (status = 202, description = "Under way", body = OrderBody),
        (status = 200, description = "It was so already", body = OrderBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answer {
    let asked: MemberChangeBody = body(&request, payload).await?;
    let (id, member) = path.into_inner();
    let member = known_member(&known(&api, &id)?, &member)?;
    let verb = Verb::Mute { role: Some(member.role), direction: Direction::In, on: asked.muted };
    act(&api, &member, verb, if asked.muted { "mute" } else { "unmute" }).await
}

/// Removes a member: its leg is hung up.
#[utoipa::path(
    delete, path = "/v1/conferences/{id}/members/{member}", operation_id = "remove_member", tag = "conferences",
    params(("id" = String, Path), ("member" = String, Path)),
    responses(
        (status = 202, description = "Under way", body = OrderBody),
        (status = 200, description = "It was so already", body = OrderBody),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answer {
    let EmptyBody {} = body(&request, payload).await?;
    let (id, member) = path.into_inner();
    let member = known_member(&known(&api, &id)?, &member)?;
    act(&api, &member, Verb::Kick { role: Some(member.role) }, "kick").await
}

async fn act(api: &Api, member: &MemberView, verb: Verb, word: &str) -> Answer {
    let acted = api.answer(api.fleet.control.act(member.call, verb), ANSWER_WITHIN).await?;
    let status = if acted.already_so { OrderStatus::AlreadySo } else { OrderStatus::UnderWay };
    let (object, verb) = ("order".to_owned(), word.to_owned());
    let order = OrderBody { object, verb, status, call: acted.call, result: None };
    let mut answer = if acted.already_so { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(answer.json(order))
}

fn known(api: &Api, text: &str) -> Result<ConferenceView, Problem> {
    let found = text.parse().ok().and_then(|id: ConferenceId| api.fleet.board.conference(&id));
    found.ok_or_else(|| {
        let detail = format!("no conference is called `{}`", printable(text, 40));
        Problem::new(Code::UnknownConference, detail).about("id").suggest("ifbus conference list sip")
    })
}

/// A member, by its id or any unique ending of it; a call with one leg in it is enough.
fn known_member(conference: &ConferenceView, text: &str) -> Result<MemberView, Problem> {
    let wanted = text.to_ascii_lowercase();
    let is_meant = |member: &&MemberView| {
        let (id, call) = (member.id.to_ascii_lowercase(), member.call.to_string().to_ascii_lowercase());
        !wanted.is_empty() && (id.ends_with(&wanted) || call.ends_with(&wanted))
    };
    let mut meant = conference.members.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only.clone()),
        (found, _) => {
            let word = if found.is_some() { "several members" } else { "no member" };
            let detail = format!("{word} of {} match `{}`", conference.id, printable(text, 60));
            let problem = Problem::new(Code::UnknownCall, detail).about("member");
            Err(conference
                .members
                .iter()
                .take(10)
                .fold(problem, |problem, member| problem.suggest(&*member.id)))
        }
    }
}
