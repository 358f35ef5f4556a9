//! Following one call from a place in the journal until what was asked for is so, or is known not to come.
//!
//! For commands whose answer is "under way": accepted is never shown as done. Not here: `call`, which tells every step
//! of a call from its birth.

use std::time::Duration;

use ifbus_call::CallId;
use ifbus_fleet::journal::EventView;

use super::client::query;
use super::errors::Failure;
use super::session::Session;
use super::stream::{Events, What};

/// What is waited for comes within this, or is not waited for any longer.
pub const WITHIN: Duration = Duration::from_secs(120);

/// What an event means for the one who waits.
#[derive(Clone, Copy, Debug)]
pub enum Sign<'a> {
    /// Something happened to the call.
    Event(&'a EventView),
    /// Something may have been missed: only a look can tell.
    Missed,
}

/// The place in the journal before anything is asked for.
pub type Before = Option<String>;

/// Where the journal stands now.
///
/// # Errors
/// Every way to say no.
pub async fn before(session: &Session) -> Result<Before, Failure> {
    Events::newest(&session.client).await
}

/// Hears of `call` from `before` on, until `judge` gives a verdict; `None` if none came in time. `what` is shown while
/// it takes.
///
/// # Errors
/// The orchestrator is gone or says no, and what `judge` fails with.
pub async fn until<T>(
    session: &Session,
    call: CallId,
    before: Before,
    what: &str,
    mut judge: impl AsyncFnMut(Sign<'_>) -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let hearing = async {
        let path = query(&[("call", Some(call.to_string()))]);
        let mut events = Events::open(&session.client, &path, before).await?;
        loop {
            let heard = session.screen.wait(what, events.next()).await?;
            let verdict = match &heard.what {
                What::Event(event) => judge(Sign::Event(event)).await?,
                What::Gap(_) => judge(Sign::Missed).await?,
                What::Other => None,
            };
            if let Some(verdict) = verdict {
                return Ok(verdict);
            }
        }
    };
    tokio::time::timeout(WITHIN, hearing).await.ok().transpose()
}
