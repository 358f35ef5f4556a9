//! The event stream: server-sent events that a client can take up again where it lost them.
//!
//! A stream reads the journal at the pace of its client. One that is too slow is told how many events it missed and goes
//! on; nobody else notices. Events that a filter hides still move the client's place, so that a resume does not ask for
//! what is long gone.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use ifbus_call::{CallId, ServerName};
use ifbus_fleet::{EventView, Problem, Read, Reader};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::body::GapBody;
use super::error::{ProblemBody, Refusal};
use super::request::{invalid, known_call, known_server, query};
use super::{Api, raised};

/// How often a silent stream says that it is alive: below the idle limit of common proxies.
const ALIVE: Duration = Duration::from_secs(15);
/// How many bytes of events are sent together.
const CHUNK_MAX: usize = 16 << 10;
/// How many events are looked at before others get their turn.
const TURN: usize = 1_000;
/// The most patterns of one filter.
const TYPES_MAX: usize = 20;

/// Which events to send.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only these types, separated by commas: `call.answered`, `call.*`.
    r#type: Option<String>,
    /// Only those about this server.
    server: Option<String>,
    /// Only those about this call.
    call: Option<String>,
    /// The id of the last event that was seen; `Last-Event-ID` says the same and wins.
    after: Option<String>,
}

/// Streams events as they happen. Resumes after `Last-Event-ID`; if that is too old, of another life of the
/// orchestrator, or the client too slow, `stream.gap` tells first what is missing.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "stream_events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, description = "`id`, `event`, and in `data` an event; `stream.gap` carries a GapBody", body = EventView, content_type = "text/event-stream"),
        (status = "default", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stream(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let asked: EventsQuery = query(&request)?;
    let filter = Filter {
        types: asked.r#type.as_deref().map(patterns).transpose()?.unwrap_or_default(),
        server: asked.server.map(|server| known_server(&api.fleet.board, &server)).transpose()?,
        call: asked.call.map(|call| known_call(&api.fleet.board, &call)).transpose()?,
    };
    let resumed = request.headers().get("Last-Event-ID").map(|id| id.to_str().unwrap_or("?").to_owned());
    let stream = Stream::new(api, filter, resumed.or(asked.after).as_deref());
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(stream, |mut stream| async {
            let chunk = stream.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(chunk)), stream))
        })))
}

fn patterns(text: &str) -> Result<Vec<String>, Problem> {
    let patterns: Vec<String> = text.split(',').map(str::to_owned).collect();
    let is_pattern = |pattern: &String| {
        let stem = pattern.strip_suffix('*').unwrap_or(pattern);
        !pattern.is_empty()
            && stem.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'))
    };
    if patterns.len() <= TYPES_MAX && patterns.iter().all(is_pattern) {
        Ok(patterns)
    } else {
        Err(invalid("type: up to 20 of call.answered or call.*, separated by commas").about("type"))
    }
}

#[derive(Debug, Default)]
struct Filter {
    types: Vec<String>,
    server: Option<ServerName>,
    call: Option<CallId>,
}

impl Filter {
    fn takes(&self, event: &EventView) -> bool {
        let of_type = |pattern: &String| match pattern.strip_suffix('*') {
            Some(stem) => event.fact.kind.starts_with(stem),
            None => event.fact.kind == *pattern,
        };
        (self.types.is_empty() || self.types.iter().any(of_type))
            && (self.server.is_none() || self.server == event.fact.server)
            && (self.call.is_none() || self.call == event.fact.call)
    }
}

/// One client's stream.
struct Stream {
    api: Data<Api>,
    filter: Filter,
    reader: Reader,
    /// What is to be sent before any event.
    head: Option<String>,
    /// The id of the last event that was not sent because of the filter.
    hidden: Option<String>,
    alive: Instant,
    ended: bool,
}

impl Stream {
    fn new(api: Data<Api>, filter: Filter, after: Option<&str>) -> Self {
        let journal = &api.fleet.journal;
        let newest = journal.newest();
        let known = after.and_then(|id| journal.number(id)).filter(|number| *number <= newest);
        let mut head = "retry: 2000\n\n".to_owned();
        let start = match (after, known) {
            (None, _) => newest,
            (Some(_), Some(number)) => number,
            (Some(_), None) => {
                head.push_str(&gap(
                    None,
                    None,
                    "the orchestrator was restarted; what happened before is not known",
                ));
                0
            }
        };
        if after.is_none() {
            head.push_str(&format!("id: {}-{newest}\n\n", api.boot)); // a place to come back to before the first event
        }
        let reader = journal.reader(Some(start));
        Self {
            reader,
            api,
            filter,
            head: Some(head),
            hidden: None,
            alive: Instant::now() + ALIVE,
            ended: false,
        }
    }

    /// What to send next; `None` when the stream is over.
    async fn next(&mut self) -> Option<String> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        if self.ended {
            return None;
        }
        loop {
            if self.api.is_stopping() {
                return Some(self.last_words());
            }
            let mut chunk = String::new();
            for _ in 0..TURN {
                let Some(read) = (if chunk.len() < CHUNK_MAX { self.reader.try_next() } else { None }) else {
                    break;
                };
                self.take(read, &mut chunk);
            }
            if chunk.is_empty() {
                chunk = self.wait().await?;
            }
            if !chunk.is_empty() {
                self.alive = Instant::now() + ALIVE;
                return Some(chunk);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Waits for one event, for the time to say that we are alive, or for the end.
    async fn wait(&mut self) -> Option<String> {
        let mut chunk = String::new();
        tokio::select! {
            biased;
            () = raised(self.api.stopping.clone()) => {}
            read = self.reader.next() => {
                let read = read?;
                self.take(read, &mut chunk);
            }
            () = sleep_until(self.alive) => {
                chunk.push_str(": alive\n");
                if let Some(id) = self.hidden.take() {
                    chunk.push_str(&format!("id: {id}\n"));
                }
                chunk.push('\n');
            }
        }
        Some(chunk)
    }

    fn take(&mut self, read: Read, chunk: &mut String) {
        match read {
            Read::Event(event) if self.filter.takes(&event) => {
                self.hidden = None;
                let data = serde_json::to_string(&*event).expect("an event can be written as JSON");
                chunk.push_str(&format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.fact.kind));
            }
            Read::Event(event) => self.hidden = Some(event.id.clone()),
            Read::Gap { from, to } => {
                let count = to - from + 1;
                self.api.metrics.stream_dropped(count);
                let text = format!("{count} events not sent, this reader was too slow or away too long");
                chunk.push_str(&format!("id: {}-{to}\n", self.api.boot));
                chunk.push_str(&gap(Some(from), Some(to), &text));
            }
        }
    }

    fn last_words(&mut self) -> String {
        self.ended = true;
        ": the orchestrator is stopping\n\n".to_owned()
    }
}

fn gap(from: Option<u64>, to: Option<u64>, text: &str) -> String {
    let gap = GapBody {
        r#type: "stream.gap".to_owned(),
        time: Timestamp::now(),
        from,
        to,
        count: from.zip(to).map(|(from, to)| to - from + 1),
        text: text.to_owned(),
    };
    let data = serde_json::to_string(&gap).expect("a gap can be written as JSON");
    format!("event: stream.gap\ndata: {data}\n\n")
}
