//! Recordings: begin, stop, list, show, and the file itself.

use actix_files::NamedFile;
use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ifbus_call::RecordingId;
use ifbus_config::complaint::printable;
use ifbus_fleet::archive::Files;
use ifbus_fleet::view::{RecordingStatus, RecordingView};
use ifbus_fleet::{Code, Problem};

use super::body::{EmptyBody, ListBody};
use super::error::{ProblemBody, Refusal};
use super::request::{body, known_call, no_query};
use super::{ANSWER_WITHIN, Api};

/// Recordings listed at once, newest first.
const LISTED_MAX: usize = 500;

type Answer = Result<HttpResponse, Refusal>;

/// Records a call from now, or from its first talk, until it is stopped or the call is over.
#[utoipa::path(
    post, path = "/v1/calls/{id}/recordings", operation_id = "record_call", tag = "recordings", params(("id" = String, Path)),
    responses(
        (status = 202, description = "Taken", body = RecordingView, headers(("Location" = String))),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let EmptyBody {} = body(&request, payload).await?;
    let call = known_call(&api.fleet.board, &id)?;
    let recording = api.answer(api.fleet.control.record(call), ANSWER_WITHIN).await?;
    let location = format!("/v1/recordings/{}", recording.id);
    Ok(HttpResponse::Accepted().insert_header((header::LOCATION, location)).json(recording))
}

/// Stops a recording. One that is over stays as it is.
#[utoipa::path(
    post, path = "/v1/recordings/{id}/stop", operation_id = "stop_recording", tag = "recordings", params(("id" = String, Path)),
    responses(
        (status = 202, description = "Under way", body = RecordingView),
        (status = 200, description = "It was over already", body = RecordingView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stop(api: Data<Api>, request: HttpRequest, id: Path<String>, payload: Payload) -> Answer {
    let EmptyBody {} = body(&request, payload).await?;
    let known = known(&api, &id)?;
    let stopped = api.answer(api.fleet.control.stop_recording(known.id), ANSWER_WITHIN).await?;
    let over = known.status != RecordingStatus::Recording;
    let mut answer = if over { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(answer.json(stopped))
}

/// Lists the newest recordings.
#[utoipa::path(
    get, path = "/v1/recordings", operation_id = "list_recordings", tag = "recordings",
    responses(
        (status = 200, description = "The newest 500", body = ListBody<RecordingView>),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Answer {
    no_query(&request)?;
    let mut recordings = api.fleet.board.recordings();
    recordings.truncate(LISTED_MAX);
    Ok(HttpResponse::Ok().json(ListBody::new(recordings, None)))
}

/// Shows one recording.
#[utoipa::path(
    get, path = "/v1/recordings/{id}", operation_id = "show_recording", tag = "recordings", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The recording", body = RecordingView),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(api: Data<Api>, id: Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(known(&api, &id)?))
}

/// The file of a recording: WAV, 16 bits, 8000 Hz, one channel. Ranges are taken (RFC 9110, section 14).
#[utoipa::path(
    get, path = "/v1/recordings/{id}/file", operation_id = "fetch_recording", tag = "recordings", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "audio/wav", headers(("Repr-Digest" = String))),
        (status = 206, description = "A part of it", body = Vec<u8>, content_type = "audio/wav"),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn file(api: Data<Api>, request: HttpRequest, id: Path<String>) -> Answer {
    let recording = known(&api, &id)?;
    if recording.status != RecordingStatus::Stored {
        let why = recording.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let detail = format!("the recording is {}{why}", recording.status.as_str());
        return Err(Problem::new(Code::WrongState, detail).of_call(recording.call).into());
    }
    let path = Files::path(&api.recordings, recording.id);
    let file = NamedFile::open_async(&path).await.map_err(|_| {
        let detail = "its file was removed from the folder of recordings";
        Problem::new(Code::UnknownRecording, detail).of_call(recording.call)
    })?;
    let file = file.set_content_type("audio/wav".parse().expect("a media type")).prefer_utf8(false);
    let mut answer = file.into_response(&request).map_into_boxed_body();
    if let Some(digest) = recording.sha256.as_deref().and_then(repr_digest) {
        answer.headers_mut().insert(header::HeaderName::from_static("repr-digest"), digest);
    }
    Ok(answer)
}

/// `Repr-Digest` of RFC 9530: base 64 of the digest of the whole file, also beside a part of it.
fn repr_digest(hexadecimal: &str) -> Option<header::HeaderValue> {
    use base64::Engine;
    let bytes: Option<Vec<u8>> = (0..hexadecimal.len())
        .step_by(2)
        .map(|at| hexadecimal.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let text = base64::engine::general_purpose::STANDARD.encode(bytes?);
    header::HeaderValue::from_str(&format!("sha-256=:{text}:")).ok()
}

/// A recording that is there, by its id or any unique ending of it.
fn known(api: &Api, text: &str) -> Result<RecordingView, Problem> {
    if let Ok(id) = text.parse::<RecordingId>()
        && let Some(view) = api.fleet.board.recording(id)
    {
        return Ok(view.as_ref().clone());
    }
    let ending = text.to_ascii_uppercase();
    let ends_so = |view: &RecordingView| !ending.is_empty() && view.id.to_string().ends_with(&ending);
    let mut matching: Vec<_> =
        api.fleet.board.recordings().into_iter().filter(|view| ends_so(view)).collect();
    match (matching.pop(), matching.as_slice()) {
        (Some(only), []) => Ok(only.as_ref().clone()),
        (Some(one), others) => {
            let detail = format!("several recordings end in `{}`; say more of the id", printable(text, 40));
            let problem =
                Problem::new(Code::UnknownRecording, detail).about("id").suggest(one.id.to_string());
            Err(others.iter().take(9).fold(problem, |problem, view| problem.suggest(view.id.to_string())))
        }
        (None, _) => {
            let detail = format!("no recording has the id `{}` or one that ends so", printable(text, 40));
            Err(Problem::new(Code::UnknownRecording, detail).about("id"))
        }
    }
}
