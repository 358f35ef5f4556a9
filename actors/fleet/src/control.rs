//! What can be asked of the fleet: the seam between the actors and every surface.
//!
//! Reading goes to the [`Board`] and the [`Journal`] and never waits; asking goes through [`Control`] and is answered
//! exactly once, in bounded time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ifbus_adapters::Settings;
use ifbus_call::{Address, CallId, ConferenceId, Kind, LegId, RecordingId, ServerName, Verb};

use crate::board::Board;
use crate::journal::Journal;
use crate::problem::Problem;
use crate::view::{CallView, ConferenceView, ForeignView, Origin, RecordingView, ServerView, TestReport};

/// An answer that is on its way.
pub type Reply<T> = Pin<Box<dyn Future<Output = Result<T, Problem>> + Send>>;

/// What can be asked.
pub trait Control: Send + Sync {
    /// Places a call; answered when a server was chosen, long before a phone rings.
    fn place(&self, call: PlaceCall) -> Reply<CallView>;

    /// Does something to a call; answered when it is under way, or refused. How it ends comes as an event.
    fn act(&self, call: CallId, verb: Verb) -> Reply<Acted>;

    /// Records a call from now, or from the first talk, until it is stopped or over.
    fn record(&self, call: CallId) -> Reply<RecordingView>;

    /// Stops a recording; one that is over is a success.
    fn stop_recording(&self, recording: RecordingId) -> Reply<RecordingView>;

    /// Names a conference and the server it is on; nothing is sent before its first member comes. One that is there
    /// already is a success.
    fn create_conference(&self, id: ConferenceId, server: Option<ServerName>) -> Reply<ConferenceView>;

    /// Calls a party into a conference.
    fn invite(&self, conference: ConferenceId, invitation: Invitation) -> Reply<CallView>;

    /// Brings both parties of a call into a conference on the call's server.
    fn enter(&self, conference: ConferenceId, call: CallId) -> Reply<Acted>;

    /// Hangs up every member of ours and forgets the conference.
    fn end_conference(&self, id: ConferenceId) -> Reply<ConferenceView>;

    /// Ends a leg that is not ours, as it is listed.
    fn hang_up_foreign(&self, leg: LegId) -> Reply<ForeignView>;

    /// The server takes no new calls, or takes them again. Answered when the server was told, as far as it is connected.
    fn drain(&self, server: ServerName, on: bool) -> Reply<ServerView>;

    /// Adds a server, or changes one that was added before; answered when it is connected, or after `wait` as it is then.
    fn add_server(&self, server: ServerSpec, wait: Duration) -> Reply<ServerView>;

    /// Removes a server. With calls of ours on it this is refused unless `even_with_calls`; the calls live on there.
    fn remove_server(&self, name: ServerName, even_with_calls: bool) -> Reply<()>;

    /// Looks at every interface of a server, step by step; changes nothing on it.
    fn test_server(&self, name: ServerName) -> Reply<TestReport>;
}

/// A call to place.
#[derive(Clone, PartialEq, Debug)]
pub struct PlaceCall {
    /// Rung first.
    pub from: Address,
    /// Rung second.
    pub to: Address,
    /// The only server allowed; the router chooses if nothing is said.
    pub server: Option<ServerName>,
    /// Whom both parties see as caller, instead of each other.
    pub caller_id: Option<Address>,
    /// How long each phone may ring.
    pub timeout: Duration,
    /// The id it gets, chosen by whoever had to write it down before; the router chooses one if nothing is said.
    pub id: Option<CallId>,
    /// Whether it is recorded from the first talk.
    pub record: bool,
    /// The party goes into this conference instead of talking to another; `to` is its name then.
    pub conference: Option<ConferenceId>,
}

/// A party that is called into a conference.
#[derive(Clone, PartialEq, Debug)]
pub struct Invitation {
    /// Who is rung.
    pub to: Address,
    /// Whom it sees as caller, instead of the conference.
    pub caller_id: Option<Address>,
    /// How long its phone may ring.
    pub timeout: Duration,
    /// Whether its part is recorded.
    pub record: bool,
}

/// A verb was taken.
#[derive(Clone, PartialEq, Debug)]
pub struct Acted {
    /// The call as it is now.
    pub call: CallView,
    /// It was so already; nothing was sent.
    pub already_so: bool,
}

/// A server as it is described to us.
#[derive(Clone, PartialEq, Debug)]
pub struct ServerSpec {
    /// Its name.
    pub name: ServerName,
    /// Its kind.
    pub kind: Kind,
    /// How it is reached.
    pub settings: Settings,
    /// The most calls of ours it gets.
    pub capacity: u32,
    /// The most new calls a second it gets.
    pub cps: f64,
    /// Labels for policies.
    pub tags: BTreeMap<String, String>,
    /// Where the description comes from.
    pub origin: Origin,
}

impl ServerSpec {
    /// The capacity of a server nobody said anything about: what a small machine carries (sheet asterisk, section 12).
    pub const CAPACITY: u32 = 500;
    /// New calls a second on a server nobody said anything about: half of where a small machine begins to slow down.
    pub const CPS: f64 = 50.0;

    /// The server among `servers` that lends its media to this one, if one is named.
    ///
    /// # Errors
    /// The one that is named is not among them.
    pub fn anchor<'a>(
        &self,
        mut servers: impl Iterator<Item = &'a Self>,
    ) -> Result<Option<&'a Self>, ifbus_adapters::BadSetting> {
        let Some(named) = ifbus_adapters::settings::anchor_of(&self.settings) else { return Ok(None) };
        let found = servers.find(|server| server.name.as_str() == named);
        found.map(Some).ok_or_else(|| ifbus_adapters::BadSetting {
            key: "set.anchor".to_owned(),
            why: format!(
                "no server is called `{}`: add the one that lends its media first",
                named.escape_debug()
            ),
        })
    }

    /// It, as the one that helps another.
    #[must_use]
    pub fn as_helper(&self) -> ifbus_adapters::settings::Helper<'_> {
        ifbus_adapters::settings::Helper { name: &self.name, kind: self.kind, settings: &self.settings }
    }

    /// Whether both are one server: the same management port of the same host, as they are written. Two names on one
    /// server would fight over its event stream and its calls.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        let at = |spec: &Self| {
            let port = ifbus_adapters::settings::port_of(spec.kind, &spec.settings);
            (spec.settings.host.to_ascii_lowercase(), port)
        };
        at(self) == at(other)
    }
}

/// The fleet, as surfaces hold it. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    /// For questions that change something.
    pub control: Arc<dyn Control>,
    /// For looking.
    pub board: Arc<Board>,
    /// For listening.
    pub journal: Journal,
}
