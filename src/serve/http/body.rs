//! What goes over the wire beside the views of the fleet: requests, lists, and what was done. Both sides use these.

use std::collections::BTreeMap;

use ifbus_call::ServerName;
use ifbus_config::Secret;
use ifbus_fleet::EventView;
use ifbus_fleet::view::CallView;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListBody<T> {
    /// Always `list`.
    pub object: String,
    /// The page.
    pub data: Vec<T>,
    /// What `cursor` takes for the next page; absent on the last one.
    pub next_cursor: Option<String>,
    /// When it was so.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

impl<T> ListBody<T> {
    /// A page as of now.
    #[must_use]
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { object: "list".to_owned(), data, next_cursor, as_of: Timestamp::now() }
    }
}

/// A call to place.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceBody {
    /// Rung first: an extension, `+` and digits, or a SIP URI.
    pub from: String,
    /// Rung when `from` has answered.
    pub to: String,
    /// The only server allowed; the router chooses if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Whom both parties see as caller, instead of each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// How long each phone may ring, in seconds: 1 to 120, 30 if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Whether it is recorded from the first talk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
}

/// A verb without arguments.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyBody {}

/// A verb about one party.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldBody {
    /// Who hears music: `a` or `b`; the second party if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
}

/// Silencing or opening a direction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteBody {
    /// Who: `a`, `b` or `c`; the first party if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
    /// `in`, what that party says (if nothing is said), or `out`, what it hears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
}

/// Digits to play.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DtmfBody {
    /// 1 to 32 of 0-9, A-D, `*`, `#`.
    pub digits: String,
    /// Whose phone hears them: `a`, `b` or `c`; the second party if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
}

/// A transfer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// Who takes the place of the one that transfers.
    pub to: String,
    /// `blind` (if nothing is said) or `attended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Who transfers and leaves: `a` or `b`; the first party if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<String>,
}

/// How far a verb is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Taken; how it ends comes as an event.
    UnderWay,
    /// It was so already; nothing was sent.
    AlreadySo,
    /// It is so.
    Done,
    /// It failed; the call is as it was. `result` tells why.
    Failed,
}

/// A verb that was taken.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrderBody {
    /// Always `order`.
    pub object: String,
    /// Which verb: `hold`, `blind_transfer`, as in `verb` of a call.
    pub verb: String,
    /// How far it is.
    pub status: OrderStatus,
    /// The call as it is now.
    pub call: CallView,
    /// The event it ended with, if it was waited for.
    pub result: Option<EventView>,
}

/// A conference to create.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConferenceBody {
    /// Its id: 1 to 32 letters, digits, `-` and `_`.
    pub id: String,
    /// Where it is; chosen like for a call if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// Who is to be in a conference: `to` or `call`, one of the two.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberBody {
    /// Whom to call in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The call whose two parties are brought in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Whom the party that is called sees as caller, instead of the conference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// How long its phone may ring, in seconds: 1 to 120, 30 if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Whether what the called party says and hears is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<bool>,
}

/// What is to change about a member.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChangeBody {
    /// Whether nobody is to hear it.
    pub muted: bool,
}

/// A server to add, or to change if it was added before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerBody {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Name or address.
    pub host: String,
    /// The management port; the kind's own default if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Who we are there. Kept in a file for ifbus alone, never told again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    pub auth: BTreeMap<String, Secret>,
    /// Everything else its kind can be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// The most calls of ours it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// The most new calls a second it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cps: Option<f64>,
    /// Labels for policies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A server that was removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RemovedBody {
    /// Always `server`.
    pub object: String,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ServerName,
    /// Always `true`.
    pub removed: bool,
    /// Calls of ours it carried: they live on there, unseen.
    pub calls: u32,
}

/// Events that were not sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GapBody {
    /// Always `stream.gap`.
    pub r#type: String,
    /// When this was seen.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The first event missed; absent if it was of another life of the orchestrator.
    pub from: Option<u64>,
    /// The last event missed; absent if it is not known.
    pub to: Option<u64>,
    /// How many were missed; absent if it is not known.
    pub count: Option<u64>,
    /// A sentence for people.
    pub text: String,
}

/// The fleet in a few figures.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SummaryBody {
    /// Always `summary`.
    pub object: String,
    /// The version that runs.
    pub version: String,
    /// This life of the orchestrator.
    pub boot: String,
    /// Whether the first adoption is done.
    pub ready: bool,
    /// When this life began.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub up_since: Option<Timestamp>,
    /// Actors that died and were born again in this life.
    #[serde(default)]
    pub actor_restarts: u64,
    /// Whether what has to be written down can be.
    #[serde(default)]
    pub store_is_well: Option<bool>,
    /// When it was so.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Servers by state.
    pub servers: BTreeMap<String, u64>,
    /// Living calls by status.
    pub calls: BTreeMap<String, u64>,
    /// Living calls on hold, counted in `in-progress` too.
    pub held: u64,
    /// The most calls all servers together get.
    pub capacity: u64,
    /// Legs on servers that are not ours.
    pub foreign: u64,
}

/// Whether something is alive or ready, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct HealthBody {
    /// `alive`, `ready` or `starting`.
    pub status: String,
}
