//! Waiting for what was asked to come true, for clients that prefer that (`Prefer: wait=N`, RFC 7240).

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use ifbus_call::CallId;
use ifbus_fleet::view::CallView;
use ifbus_fleet::{EventView, Read, Reader};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Api, raised};

/// The longest anybody waits: two phones ring no longer than this each.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(120);
/// A call is looked at this often although no event is about it: a guard against a bug.
const LOOK: Duration = Duration::from_secs(1);
/// Events of a busy fleet are taken together, so that a thousand waiting clients do not read each one by one.
const TOGETHER: Duration = Duration::from_millis(5);

/// How long the client prefers to wait, at most [`WAIT_MAX`]. A preference that is not understood is none.
pub(super) fn preference(request: &HttpRequest) -> Option<Duration> {
    let headers = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    let mut preferences = headers.flat_map(|value| value.split([',', ';']));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        if is_wait { value.trim().trim_matches('"').parse::<u64>().ok() } else { None }
    })?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX))
}

/// What a wait ended with.
pub(super) struct Waited {
    /// The call as it is now, unless it is forgotten.
    pub(super) call: Option<Arc<CallView>>,
    /// The latest event about it.
    pub(super) event: Option<Arc<EventView>>,
    /// Whether what was waited for is so.
    pub(super) done: bool,
}

/// Waits until `done` says so of the call, but not longer than `within`. `reader` was made before the call was asked
/// anything, so that nothing is missed.
pub(super) async fn until(
    api: &Api,
    mut reader: Reader,
    id: CallId,
    within: Duration,
    done: impl Fn(&CallView) -> bool,
) -> Waited {
    let deadline = Instant::now() + within;
    let mut event = None;
    let mut take = |read: Read| {
        if let Read::Event(read) = read
            && read.fact.call == Some(id)
        {
            event = Some(read);
        }
    };
    let permit = api.waiting.try_acquire();
    loop {
        while let Some(read) = reader.try_next() {
            take(read);
        }
        let call = api.fleet.board.call(id);
        let is_done = call.as_deref().is_none_or(&done);
        if is_done || Instant::now() >= deadline || permit.is_err() || api.is_stopping() {
            return Waited { call, event, done: is_done };
        }
        let look = sleep_until(deadline.min(Instant::now() + LOOK));
        tokio::select! {
            biased;
            () = raised(api.stopping.clone()) => {}
            read = reader.next() => {
                if let Some(read) = read {
                    take(read);
                }
                sleep(TOGETHER).await;
            }
            () = look => {}
        }
    }
}
