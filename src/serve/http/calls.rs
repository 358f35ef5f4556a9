//! Calls: place, list, show, and every verb.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use ifbus_call::order::Direction;
use ifbus_call::{CallId, Digits, Mode, Verb};
use ifbus_config::nearest;
use ifbus_fleet::view::{CallView, ForeignView, Status};
use ifbus_fleet::{Acted, PlaceCall, Problem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::body::{
    DtmfBody, EmptyBody, HoldBody, ListBody, MuteBody, OrderBody, OrderStatus, PlaceBody, TransferBody,
};
use super::error::{ProblemBody, Refusal};
use super::request::{address, body, invalid, known_call, known_server, query, role};
use super::{ANSWER_WITHIN, Api, once, wait};

/// How long each phone may ring if nothing is said.
const RING: Duration = Duration::from_secs(30);
/// The most entries of one page.
const PAGE_MAX: usize = 500;
/// The entries of a page if nothing is said.
const PAGE: usize = 50;
const STATUSES: [Status; 8] = [
    Status::Queued,
    Status::Ringing,
    Status::InProgress,
    Status::Completed,
    Status::Busy,
    Status::Failed,
    Status::NoAnswer,
    Status::Canceled,
];

type Answer = Result<HttpResponse, Refusal>;

/// Places a call. Answered when a server was chosen; with `Prefer: wait=N` when it was answered or is over. The same
/// `Idempotency-Key` with the same body gives the same call for 24 hours, and nobody rings twice.
#[utoipa::path(
    post, path = "/v1/calls", operation_id = "place_call", tag = "calls", request_body = PlaceBody,
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds, at most 120"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; the answer to a request that places nothing again has the header `Idempotency-Replayed`"),
    ),
    responses(
        (status = 202, description = "Under way", body = CallView, headers(("Location" = String))),
        (status = 200, description = "Answered, or over, within the time the client waited", body = CallView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn place(api: Data<Api>, request: HttpRequest, payload: Payload) -> Answer {
    let key = once::key(&request)?;
    let asked: PlaceBody = body(&request, payload).await?;
    let text = serde_json::to_string(&asked).expect("a body can be written as JSON");
    let timeout = ring_time(asked.timeout_s)?;
    let call = PlaceCall {
        from: address(&asked.from, "from")?,
        to: address(&asked.to, "to")?,
        server: asked.server.map(|server| known_server(&api.fleet.board, &server)).transpose()?,
        caller_id: asked.caller_id.map(|caller| address(&caller, "caller_id")).transpose()?,
        timeout,
        record: asked.record.unwrap_or(false),
        conference: None,
        id: None,
    };
    let within = wait::preference(&request);
    let reader = api.fleet.journal.reader(None);
    let (placed, again) = match key {
        None => (api.answer(api.fleet.control.place(call), ANSWER_WITHIN).await?, false),
        Some(key) => {
            let once::Placed { call, again } = once::place(&api, key, text, call).await?;
            (call, again)
        }
    };
    let location = format!("/v1/calls/{}", placed.id);
    let with = |mut answer: HttpResponseBuilder| {
        answer.insert_header((header::LOCATION, location));
        if again {
            answer.insert_header(("Idempotency-Replayed", "true"));
        }
        answer
    };
    let Some(within) = within else {
        return Ok(with(HttpResponse::Accepted()).json(placed));
    };
    let id = placed.id;
    let settled = |call: &CallView| call.answered_at.is_some() || call.status.is_terminal();
    let waited = wait::until(&api, reader, id, within, settled).await;
    let answer = if waited.done { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(with(answer).insert_header(applied(within)).json(waited.call.unwrap_or_else(|| Arc::new(placed))))
}

/// How long a phone may ring.
pub(super) fn ring_time(seconds: Option<f64>) -> Result<Duration, Problem> {
    match seconds {
        None => Ok(RING),
        Some(seconds) if (1.0..=120.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        Some(_) => Err(invalid("timeout_s: between 1 and 120 seconds").about("timeout_s")),
    }
}

/// Which calls to list.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// Only these statuses, separated by commas.
    status: Option<String>,
    /// Only those that this server carries.
    server: Option<String>,
    /// Only those born at or after this moment.
    #[param(format = DateTime)]
    since: Option<String>,
    /// `true`: legs that are not ours, instead.
    foreign: Option<bool>,
    /// How many at most: 1 to 500, 50 if nothing is said.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists calls, the newest first; pages stay in step while calls come and go.
#[utoipa::path(
    get, path = "/v1/calls", operation_id = "list_calls", tag = "calls", params(CallsQuery),
    responses(
        (status = 200, description = "One page; with `foreign=true` of foreign legs", body = ListBody<CallView>),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Answer {
    let asked: CallsQuery = query(&request)?;
    let limit = match asked.limit.as_deref().map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(limit)) if (1..=PAGE_MAX).contains(&limit) => limit,
        Some(_) => return Err(invalid("limit: a number from 1 to 500").about("limit").into()),
    };
    let board = &api.fleet.board;
    let server = asked.server.map(|server| known_server(board, &server)).transpose()?;
    let on_server = |of: Option<&ifbus_call::ServerName>| server.is_none() || of == server.as_ref();
    let after = asked.cursor.as_deref().map(position).transpose()?;
    if asked.foreign == Some(true) {
        let key = |leg: &ForeignView| format!("{} {} {}", leg.server, leg.native, leg.id);
        let mut legs = board.foreign();
        legs.sort_by_key(key);
        legs.retain(|leg| {
            on_server(Some(&leg.server)) && after.as_ref().is_none_or(|after| key(leg) > *after)
        });
        return Ok(HttpResponse::Ok().json(page(legs, limit, key)));
    }
    let statuses = asked.status.as_deref().map(statuses).transpose()?;
    let since = asked.since.as_deref().map(moment).transpose()?;
    let after = after.map(|after| after.parse::<CallId>().map_err(|_| bad_cursor())).transpose()?;
    let mut calls = board.calls();
    calls.retain(|call| {
        after.is_none_or(|after| call.id < after)
            && statuses.as_ref().is_none_or(|statuses| statuses.contains(&call.status))
            && since.is_none_or(|since| call.created_at >= since)
            && on_server(call.server.as_ref())
    });
    Ok(HttpResponse::Ok().json(page(calls, limit, |call| call.id.to_string())))
}

/// The first `limit` of what is left, and the place of the last one if there are more.
fn page<T>(mut left: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> ListBody<T> {
    let more = left.len() > limit;
    left.truncate(limit);
    let cursor = left.last().filter(|_| more).map(|last| hexadecimal(&key(last)));
    ListBody::new(left, cursor)
}

fn hexadecimal(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes every text");
        hex
    })
}

fn position(cursor: &str) -> Result<String, Problem> {
    let digits = cursor.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect::<Option<Vec<u8>>>().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad_cursor)
}

fn bad_cursor() -> Problem {
    invalid("cursor: not one that a list gave").about("cursor")
}

fn statuses(text: &str) -> Result<Vec<Status>, Problem> {
    text.split(',')
        .map(|word| {
            STATUSES.into_iter().find(|status| status.as_str() == word).ok_or_else(|| {
                let known = STATUSES.map(Status::as_str);
                let detail = match nearest(word, known) {
                    Some(near) => format!("status: did you mean `{near}`?"),
                    None => format!("status: known are {}", known.join(", ")),
                };
                invalid(detail).about("status")
            })
        })
        .collect()
}

fn moment(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| invalid("since: a moment as in 2026-11-22T10:52:39Z").about("since"))
}

/// Shows one call. Any unique ending of an id will do.
#[utoipa::path(
    get, path = "/v1/calls/{id}", operation_id = "show_call", tag = "calls", params(("id" = String, Path, description = "Id, or a unique ending of it")),
    responses(
        (status = 200, description = "The call", body = CallView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(api: Data<Api>, id: Path<String>) -> Answer {
    let id = known_call(&api.fleet.board, &id)?;
    let call = api.fleet.board.call(id).ok_or_else(|| forgotten(id))?;
    Ok(HttpResponse::Ok().json(call))
}

fn forgotten(id: CallId) -> Problem {
    Problem::new(ifbus_fleet::Code::UnknownCall, "this call ended long ago and is forgotten").of_call(id)
}

macro_rules! verb {
    ($(#[$doc:meta])* $name:ident $path:literal $body:ty, $asked:pat => $verb:expr) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "calls", request_body = $body,
            params(
                ("id" = String, Path, description = "Id, or a unique ending of it"),
                ("Prefer" = Option<String>, Header, description = "`wait=N`: hold the answer up to N seconds, at most 120"),
            ),
            responses(
                (status = 202, description = "Under way", body = OrderBody),
                (status = 200, description = "Already so; or done or failed within the time the client waited", body = OrderBody),
                (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
            )
        )]
        pub(super) async fn $name(api: Data<Api>, request: HttpRequest, id: Path<String>, payload: Payload) -> Answer {
            let $asked: $body = body(&request, payload).await?;
            act(&api, &request, &id, $verb).await
        }
    };
}

verb! {
    /// Ends the call; before the answer this cancels it.
    hangup "/v1/calls/{id}/hangup" EmptyBody, _ => Verb::Hangup
}
verb! {
    /// Puts one party on hold.
    hold "/v1/calls/{id}/hold" HoldBody, asked => Verb::Hold { role: role(asked.leg.as_deref())? }
}
verb! {
    /// Lets the two talk again.
    resume "/v1/calls/{id}/resume" EmptyBody, _ => Verb::Resume
}
verb! {
    /// Silences a direction of a party.
    mute "/v1/calls/{id}/mute" MuteBody, asked => muting(&asked, true)?
}
verb! {
    /// Opens a direction of a party again.
    unmute "/v1/calls/{id}/unmute" MuteBody, asked => muting(&asked, false)?
}
verb! {
    /// Plays digits to a phone.
    dtmf "/v1/calls/{id}/dtmf" DtmfBody, asked => {
        let digits: Digits = asked.digits.parse().map_err(|error| invalid(format!("digits: {error}")).about("digits"))?;
        Verb::Dtmf { digits, role: role(asked.leg.as_deref())? }
    }
}
verb! {
    /// Puts another party in the place of the one that transfers. A transfer that fails leaves the old pair joined.
    transfer "/v1/calls/{id}/transfer" TransferBody, asked => {
        let mode = match asked.mode.as_deref() {
            None | Some("blind") => Mode::Blind,
            Some("attended") => Mode::Attended,
            Some(_) => return Err(invalid("mode: blind or attended").about("mode").into()),
        };
        Verb::Transfer { to: address(&asked.to, "to")?, mode, role: role(asked.leg.as_deref())? }
    }
}
verb! {
    /// Completes an attended transfer: the transferring party leaves.
    transfer_complete "/v1/calls/{id}/transfer/complete" EmptyBody, _ => Verb::CompleteTransfer
}
verb! {
    /// Takes a transfer back: the old pair talks.
    transfer_cancel "/v1/calls/{id}/transfer/cancel" EmptyBody, _ => Verb::CancelTransfer
}

fn muting(asked: &MuteBody, on: bool) -> Result<Verb, Problem> {
    let direction = match asked.direction.as_deref() {
        None | Some("in") => Direction::In,
        Some("out") => Direction::Out,
        Some(_) => {
            return Err(
                invalid("direction: in, what the party says, or out, what it hears").about("direction")
            );
        }
    };
    Ok(Verb::Mute { role: role(asked.leg.as_deref())?, direction, on })
}

async fn act(api: &Api, request: &HttpRequest, id: &str, verb: Verb) -> Answer {
    let id = known_call(&api.fleet.board, id)?;
    let within = wait::preference(request);
    let reader = api.fleet.journal.reader(None);
    let (name, ends) = (word(&verb), verb == Verb::Hangup);
    let Acted { call, already_so } = api.answer(api.fleet.control.act(id, verb), ANSWER_WITHIN).await?;
    let mut order = OrderBody {
        object: "order".to_owned(),
        verb: name.to_owned(),
        status: if already_so { OrderStatus::AlreadySo } else { OrderStatus::UnderWay },
        call,
        result: None,
    };
    let (Some(within), false) = (within, already_so) else {
        let mut answer = if already_so { HttpResponse::Ok() } else { HttpResponse::Accepted() };
        return Ok(answer.json(order));
    };
    let taken = order.call.seq;
    // Done when nothing is under way any more, and something was told since.
    let settled =
        |call: &CallView| call.status.is_terminal() || (!ends && call.verb.is_none() && call.seq > taken);
    let waited = wait::until(api, reader, id, within, settled).await;
    if let Some(call) = waited.call {
        order.call = CallView::clone(&call);
    }
    if !waited.done {
        return Ok(HttpResponse::Accepted().insert_header(applied(within)).json(order));
    }
    let failed = waited.event.as_ref().is_some_and(|event| event.fact.kind.ends_with("failed"));
    let cut_off = order.call.status.is_terminal() && !ends;
    order.status = if failed || cut_off { OrderStatus::Failed } else { OrderStatus::Done };
    order.result = waited.event.map(|event| (*event).clone());
    Ok(HttpResponse::Ok().insert_header(applied(within)).json(order))
}

/// Hangs up a leg that was not placed by this ifbus, by its id in the list of foreign legs. Its partner is the server's.
#[utoipa::path(
    post, path = "/v1/foreign/{id}/hangup", operation_id = "hang_up_foreign", tag = "calls", params(("id" = String, Path)),
    responses(
        (status = 200, description = "It has ended: the leg as it was", body = ForeignView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn hang_up_foreign(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let EmptyBody {} = body(&request, payload).await?;
    let leg = id.parse().map_err(|_| invalid("id: a foreign leg has 32 hexadecimal digits").about("id"))?;
    let ended = api.answer(api.fleet.control.hang_up_foreign(leg), ANSWER_WITHIN).await?;
    Ok(HttpResponse::Ok().json(ended))
}

/// The word for a verb, the same as in `verb` of a call.
const fn word(verb: &Verb) -> &'static str {
    match verb {
        Verb::Hangup => "hangup",
        Verb::Hold { .. } => "hold",
        Verb::Resume => "resume",
        Verb::Transfer { mode: Mode::Blind, .. } => "blind_transfer",
        Verb::Transfer { mode: Mode::Attended, .. } => "attended_transfer",
        Verb::CompleteTransfer => "transfer_complete",
        Verb::CancelTransfer => "transfer_cancel",
        Verb::Dtmf { .. } => "dtmf",
        Verb::Mute { on: true, .. } => "mute",
        Verb::Mute { on: false, .. } => "unmute",
        Verb::Enter { .. } => "enter",
        Verb::Kick { .. } => "kick",
        Verb::Record { .. } => "record",
        Verb::StopRecord => "stop_record",
    }
}

fn applied(within: Duration) -> (&'static str, String) {
    ("Preference-Applied", format!("wait={}", within.as_secs()))
}
