//! A request with an `Idempotency-Key` is done once: the same key gives the same call, however often it is asked.
//!
//! The key and the id its call will have are on the disk before the call is placed. So if we are killed:
//!
//! - before the key was written: nothing was begun, the same request again is the first one;
//! - after the key was written, before, while or after the call was placed: the same request again **places nothing**.
//!   It gets the call if it is known by then (it was placed, and remembered or adopted under the id that was written),
//!   else `idempotency_in_progress` while a server that may carry it has not told yet, else `outcome_unknown`. A call
//!   that was never placed is lost to this key: the price for the promise that nobody rings twice.
//!
//! A request that was refused before anything was begun leaves its key free: the same request may be asked again with
//! it. Keys are kept for 24 hours, apart for each token. Not here: what is done (`calls`), the disk (`store`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use ifbus_call::CallId;
use ifbus_fleet::store::{Change, Claim, Claimed, Key, Store};
use ifbus_fleet::view::CallView;
use ifbus_fleet::{Code, PlaceCall, Problem};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::guard::Bearer;
use super::request::invalid;
use super::{ANSWER_WITHIN, Api};

/// The header.
pub(super) const HEADER: &str = "Idempotency-Key";
/// The longest key, in characters.
const KEY_MAX: usize = 255;
/// How long a key is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// When to ask again while the first request is in work.
const AGAIN_AFTER_S: u64 = 1;

type Outcome = Result<Placed, Problem>;

/// The keys.
pub(super) struct Keys {
    store: Store,
    in_work: Mutex<BTreeMap<Key, InWork>>,
}

/// A first request.
struct InWork {
    request: String,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// The call of a request with a key.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) call: CallView,
    /// It was placed by an earlier request.
    pub(super) again: bool,
}

impl Keys {
    pub(super) fn new(store: Store) -> Self {
        Self { store, in_work: Mutex::default() }
    }

    /// Whether a key could be written down now.
    pub(super) fn is_well(&self) -> bool {
        self.store.is_well()
    }

    fn in_work(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, InWork>> {
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a request, if it has one.
pub(super) fn key(request: &HttpRequest) -> Result<Option<Key>, Problem> {
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let is_key =
        |text: &&str| (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match value.to_str().ok().filter(is_key) {
        Some(key) if values.next().is_none() => {
            let owner = request.extensions().get::<Bearer>().map(|bearer| bearer.name.clone());
            Ok(Some(Key { owner: owner.unwrap_or_default(), key: key.to_owned() }))
        }
        _ => {
            let detail = format!("{HEADER}: one of 1 to {KEY_MAX} visible ASCII characters, without blanks");
            Err(invalid(detail).about(HEADER))
        }
    }
}

/// Places the call, unless a request with this key did.
pub(super) async fn place(
    api: &Data<Api>,
    key: Key,
    request: String,
    call: PlaceCall,
) -> Result<Placed, Problem> {
    let (mut outcome, again) = {
        let mut in_work = api.keys.in_work();
        match in_work.get(&key) {
            Some(first) if first.request != request => return Err(mismatch()),
            Some(first) => (first.outcome.clone(), true),
            None => {
                let (told, outcome) = watch::channel(None);
                in_work.insert(key.clone(), InWork { request: request.clone(), outcome: outcome.clone() });
                // On its own: a client that leaves does not take the work along.
                actix_web::rt::spawn(first(Data::clone(api), key, request, call, told));
                (outcome, false)
            }
        }
    };
    let waited = tokio::time::timeout(ANSWER_WITHIN, outcome.wait_for(Option::is_some)).await;
    match waited {
        Ok(Ok(outcome)) => match outcome.clone() {
            Some(outcome) => outcome.map(|placed| Placed { again: again || placed.again, ..placed }),
            None => Err(in_progress(None)), // it was waited for
        },
        Ok(Err(_)) => Err(Problem::new(Code::Internal, "the first request with this key broke off")),
        Err(_) => Err(in_progress(None)),
    }
}

/// Takes the key out of what is in work, however the work ends.
struct Ends {
    api: Data<Api>,
    key: Key,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.api.keys.in_work().remove(&self.key);
    }
}

async fn first(
    api: Data<Api>,
    key: Key,
    request: String,
    call: PlaceCall,
    told: watch::Sender<Option<Outcome>>,
) {
    let _ends = Ends { api: Data::clone(&api), key: key.clone() };
    let outcome = settle(&api, key, request, call).await;
    told.send_replace(Some(outcome));
}

/// Writes the key down, then does what it stands for; or tells what was done.
async fn settle(api: &Api, key: Key, request: String, mut call: PlaceCall) -> Outcome {
    let now_ms = Timestamp::now().as_millisecond();
    let random = || getrandom::u64().map(u128::from);
    let random = random().and_then(|high| Ok(high << 64 | random()?));
    let random =
        random.map_err(|error| Problem::new(Code::Internal, format!("no random numbers: {error}")))?;
    let id = CallId::new(u64::try_from(now_ms).unwrap_or_default(), random);
    let kept_ms = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let claim = Claim { key: key.clone(), request: request.clone(), call: id, now_ms, kept_ms };
    let (written, claimed) = oneshot::channel();
    // Nobody listens any more if the orchestrator ends.
    api.keys.store.claim(claim, Box::new(move |claimed| drop(written.send(claimed))));
    match claimed.await.ok().flatten() {
        None => {
            let detail = "a request with a key has to be written down first, and the store cannot be written";
            Err(Problem::new(Code::StoreUnavailable, detail))
        }
        Some(Claimed::Before { request: before, .. }) if before != request => Err(mismatch()),
        Some(Claimed::Before { call, answer, .. }) => {
            before(api, call, answer.as_deref()).map(|call| Placed { call, again: true })
        }
        Some(Claimed::First) => {
            call.id = Some(id);
            let outcome = api.answer(api.fleet.control.place(call), ANSWER_WITHIN).await;
            remember(&api.keys.store, key, &outcome).await;
            let placed = outcome.map(|call| Placed { call, again: false });
            placed.map_err(|problem| if began(&problem) { problem.of_call(id) } else { problem })
        }
    }
}

/// What an earlier request with this key was about.
fn before(api: &Api, call: CallId, answer: Option<&str>) -> Result<CallView, Problem> {
    if let Some(view) = api.fleet.board.call(call) {
        return Ok(CallView::clone(&view));
    }
    // It is over and forgotten: what was answered then still holds.
    if let Some(view) = answer.and_then(|answer| serde_json::from_str(answer).ok()) {
        return Ok(view);
    }
    let servers = api.fleet.board.servers();
    if !*api.ready.borrow() || servers.iter().any(|server| !server.state.takes_calls()) {
        return Err(in_progress(Some(call)));
    }
    let detail = format!(
        "ifbus ended before it was certain that {call} was placed, and no server knows it now; \
         nothing was dialed again. another call takes another key"
    );
    Err(Problem::new(Code::OutcomeUnknown, detail).of_call(call))
}

/// Whether something may have been begun although the answer is a problem.
const fn began(problem: &Problem) -> bool {
    !matches!(
        problem.code,
        Code::UnknownServer
            | Code::NoEligibleServer
            | Code::CpsExceeded
            | Code::StoreUnavailable
            | Code::InvalidRequest
    )
}

/// Writes down how it went, before anybody is told.
async fn remember(store: &Store, key: Key, outcome: &Result<CallView, Problem>) {
    let change = match outcome {
        Ok(view) => {
            Change::Answered(key, serde_json::to_string(view).expect("a view can be written as JSON"))
        }
        Err(problem) if began(problem) => return,
        Err(_) => Change::NoKey(key),
    };
    let (told, written) = oneshot::channel();
    store.write(
        change,
        Box::new(move |well| {
            let _ = told.send(well);
        }),
    );
    // A disk that fails now leaves the key as it was written before: nobody rings twice.
    let _ = written.await;
}

fn mismatch() -> Problem {
    let detail = "this key was used for another request in the last 24 hours; nothing was done";
    Problem::new(Code::IdempotencyMismatch, detail).about(HEADER)
}

fn in_progress(call: Option<CallId>) -> Problem {
    let detail = match call {
        None => "the first request with this key is still in work; nothing was done again".to_owned(),
        Some(call) => format!(
            "whether {call} was placed is not known until every server has told; nothing was done again"
        ),
    };
    let mut problem = Problem::new(Code::IdempotencyInProgress, detail).about(HEADER);
    problem.call = call;
    problem.retry_after_s = Some(AGAIN_AFTER_S);
    problem
}
