//! What users see: calls, servers and events as plain values, the same in the API, the command line and the page.
//!
//! Not here: how they change. One vocabulary on all surfaces; fields are only ever added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use ifbus_call::order::Direction;
use ifbus_call::{
    Address, By, CallId, Cause, ConferenceId, Finding, Inbound, Kind, Load, RecordingId, Role, Said,
    ServerName,
};

/// Where a call stands. The last five are terminal; a call has exactly one of them in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Taken, no phone rings yet.
    Queued,
    /// A phone rings.
    Ringing,
    /// The two have talked.
    InProgress,
    /// Over, after a talk.
    Completed,
    /// The far end was busy.
    Busy,
    /// Rejected, unreachable, congestion or server failure: the cause tells.
    Failed,
    /// Nobody answered.
    NoAnswer,
    /// Hung up by us before the answer.
    Canceled,
}

impl Status {
    /// The terminal status that belongs to a cause.
    #[must_use]
    pub const fn of_end(cause: Cause) -> Self {
        match cause {
            Cause::Answered => Self::Completed,
            Cause::Busy => Self::Busy,
            Cause::NoAnswer => Self::NoAnswer,
            Cause::Canceled => Self::Canceled,
            Cause::Rejected | Cause::Unreachable | Cause::Congestion | Cause::ServerFailure => Self::Failed,
        }
    }

    /// Whether the call is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }

    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
        }
    }
}

/// A call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Its id: `c_` and 26 characters.
    #[schema(value_type = String)]
    pub id: CallId,
    /// Always `call`.
    pub object: String,
    /// Where it stands.
    pub status: Status,
    /// Rung first.
    #[schema(value_type = String)]
    pub from: Address,
    /// Rung second.
    #[schema(value_type = String)]
    pub to: Address,
    /// The server that carries it; absent until one is chosen.
    #[schema(value_type = Option<String>)]
    pub server: Option<ServerName>,
    /// Its living parties.
    pub legs: Vec<LegView>,
    /// Why it ended.
    pub cause: Option<EndView>,
    /// Every server it was tried on, in order.
    pub attempts: Vec<AttemptView>,
    /// Whether one party hears music by an order of ours.
    pub held: bool,
    /// The conference its parties are in, or on their way to.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub conference: Option<ConferenceId>,
    /// Where a party's own phone sent its partner: the call goes on with that partner alone. Empty where the server does
    /// not say whom it talks to.
    #[serde(default)]
    pub moved_to: Option<String>,
    /// The recording that is being made.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub recording: Option<RecordingId>,
    /// What is under way on it: `hold`, `blind_transfer`.
    pub verb: Option<String>,
    /// Born.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// First ring.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ringing_at: Option<Timestamp>,
    /// First talk.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// Over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Seconds from the first talk to the end, or to the moment of this view.
    pub duration_s: Option<f64>,
    /// The number of its latest event.
    pub seq: u64,
}

impl CallView {
    /// A call that was just asked for.
    #[must_use]
    pub fn new(id: CallId, from: Address, to: Address, created_at: Timestamp) -> Self {
        Self {
            id,
            object: "call".to_owned(),
            status: Status::Queued,
            from,
            to,
            server: None,
            legs: Vec::new(),
            cause: None,
            attempts: Vec::new(),
            held: false,
            conference: None,
            moved_to: None,
            recording: None,
            verb: None,
            created_at,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            duration_s: None,
            seq: 0,
        }
    }
}

/// A party of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LegView {
    /// Its place: `a`, `b` or `c`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Whom it rings.
    #[schema(value_type = String)]
    pub party: Address,
    /// `planned`, `dialing`, `ringing` or `up`.
    pub stage: String,
    /// The directions silenced by an order of ours: `in`, `out`.
    #[schema(value_type = Vec<String>)]
    pub muted: Vec<Direction>,
    /// Whether it is in a conference.
    #[serde(default)]
    pub in_conference: bool,
}

/// A recording of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecordingView {
    /// Its id: `rec_` and 26 characters.
    #[schema(value_type = String)]
    pub id: RecordingId,
    /// Always `recording`.
    pub object: String,
    /// The call it belongs to.
    #[schema(value_type = String)]
    pub call: CallId,
    /// The server that makes it.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// How far it is.
    pub status: RecordingStatus,
    /// Parts begun: a new one for each leg that carries it.
    pub segments: u16,
    /// Asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Over: nothing more is recorded.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub stopped_at: Option<Timestamp>,
    /// The size of the file, once it is stored.
    pub bytes: Option<u64>,
    /// Its playing time, once it is stored.
    pub seconds: Option<f64>,
    /// The SHA-256 of the file, once it is stored.
    pub sha256: Option<String>,
    /// Why it failed, or why it is not stored yet.
    pub why: Option<String>,
}

/// How far a recording is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordingStatus {
    /// It is being made, or will be from the first talk.
    Recording,
    /// It is over and on its way from the server.
    Stopping,
    /// Its file can be fetched from us.
    Stored,
    /// There is no file, and there will be none.
    Failed,
}

impl RecordingStatus {
    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Stopping => "stopping",
            Self::Stored => "stored",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Stored | Self::Failed)
    }
}

/// A conference: a name, and the server it is on. Its members are legs of calls.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConferenceView {
    /// Its id, chosen by whoever created it.
    #[schema(value_type = String)]
    pub id: ConferenceId,
    /// Always `conference`.
    pub object: String,
    /// Where it is.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// Created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who is in it, or on the way.
    pub members: Vec<MemberView>,
    /// Legs in it that are not ours, as last listed: phones that dialled in by themselves.
    pub foreign: u32,
}

/// A party of a conference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// The call's id, a dot, and its place in the call: `c_....a`.
    pub id: String,
    /// The call it is a leg of.
    #[schema(value_type = String)]
    pub call: CallId,
    /// Its place in the call.
    #[schema(value_type = String)]
    pub role: Role,
    /// Who it is.
    #[schema(value_type = String)]
    pub party: Address,
    /// `planned`, `dialing`, `ringing` or `up`.
    pub stage: String,
    /// Whether it has arrived.
    pub inside: bool,
    /// Whether nobody hears it, by an order of ours.
    pub muted: bool,
}

/// Why a call ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EndView {
    /// One of our eight words.
    #[schema(value_type = String)]
    pub class: Cause,
    /// Who ended it: `party`, `us`, `server`, `unknown`.
    #[schema(value_type = String)]
    pub by: By,
    /// The party the cause comes from.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// The server's own words.
    #[schema(value_type = Object)]
    pub server_said: Said,
}

/// One server a call was tried on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// Which.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// Why this one.
    pub chosen: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How it ended there; absent while it goes on.
    pub ended: Option<EndView>,
}

/// How a server stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Connecting, logging in, or listing the calls.
    Connecting,
    /// Takes calls.
    Up,
    /// Takes calls, but one interface does not answer or is missing.
    Degraded,
    /// A probe went unanswered: no new calls until the next one is answered.
    Suspect,
    /// Takes no new calls by an order of ours; those it has go on.
    Draining,
    /// The same, and it carries none of ours any more.
    Drained,
    /// Not reachable, or refused us.
    Down,
}

impl ServerState {
    /// Every state, for metrics that must know them all in advance.
    pub const ALL: [Self; 7] = [
        Self::Connecting,
        Self::Up,
        Self::Degraded,
        Self::Suspect,
        Self::Draining,
        Self::Drained,
        Self::Down,
    ];

    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Down => "down",
        }
    }

    /// Whether new calls may be placed.
    #[must_use]
    pub const fn takes_calls(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

/// Where a server's description comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration file: read-only to everybody else.
    Config,
    /// `ifbus add`, or the API.
    Cli,
}

/// A server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ServerName,
    /// Always `server`.
    pub object: String,
    /// Its kind.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Where it is.
    pub host: String,
    /// Its management port.
    pub port: u16,
    /// Where its description comes from.
    pub origin: Origin,
    /// Its version in its own words, once it was connected.
    pub version: Option<String>,
    /// How it stands.
    pub state: ServerState,
    /// A word on why, and when the next try is.
    pub note: Option<String>,
    /// Its interfaces, as last probed.
    pub interfaces: Vec<InterfaceView>,
    /// Since when it takes no new calls by an order of ours, and whether its telephones still can call.
    #[serde(default)]
    pub drain: Option<DrainView>,
    /// Calls of ours it carries.
    pub calls: u32,
    /// Legs on it that are not ours, as last listed.
    pub foreign: u32,
    /// The most calls of ours it gets.
    pub capacity: u32,
    /// The most new calls a second it gets.
    pub cps_max: f64,
    /// How busy the server itself says it is, as last asked.
    #[schema(value_type = Object)]
    pub load: Load,
    /// How calls went lately; zeroes until a surface that counts has filled it in.
    #[serde(default)]
    pub figures: FiguresView,
    /// The life of the links.
    pub link: LinkView,
    /// What the operator should know.
    pub warnings: Vec<WarningView>,
    /// The certificates it showed on its links; none without TLS.
    pub certificates: Vec<CertificateView>,
}

/// A certificate of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// Where it was shown: `host:port`.
    pub at: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Why it is trusted: `authority`, `pinned` or `first-use`.
    pub trusted: String,
    /// When it expires.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// A server that takes no new calls by an order of ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DrainView {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What it does with calls from its telephones and trunks; absent until it was told and has answered.
    #[schema(value_type = Option<Object>)]
    pub inbound: Option<Inbound>,
}

/// How calls went lately on a server.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct FiguresView {
    /// Attempts a second, over the last 10 s.
    pub cps: f64,
    /// Attempts that ended in the last 5 min: what the ratio stands on.
    pub ended_5min: u32,
    /// The answered ones among them, from 0 to 1; absent if none ended.
    pub asr_5min: Option<f64>,
    /// From dialing the second party to its ring, the 95th percentile of the last 5 min, in seconds; absent if none rang.
    pub pdd_p95_s: Option<f64>,
}

/// The life of the links to a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// How many lives there were.
    pub epoch: u64,
    /// When this one became ready; absent while it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub up_since: Option<Timestamp>,
}

/// An interface of a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct InterfaceView {
    /// `management`, `events` or `sip`.
    pub interface: String,
    /// Whether it answered the last probe.
    pub up: bool,
    /// The time the answer took, in milliseconds.
    pub answered_ms: Option<f64>,
    /// Why there was none.
    pub why: Option<String>,
}

/// Something the operator should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WarningView {
    /// A word for machines.
    pub code: String,
    /// A sentence for people.
    pub text: String,
}

/// The result of testing a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TestReport {
    /// Which server.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// Whether nothing failed.
    pub ok: bool,
    /// Whether the server could be reached at all.
    pub reachable: bool,
    /// Line by line.
    #[schema(value_type = Vec<Object>)]
    pub findings: Vec<Finding>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

/// A leg on a server that is not ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ForeignView {
    /// Our id of it: 32 hexadecimal digits.
    pub id: String,
    /// Which server.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// The server's own name of it.
    pub native: String,
    /// The server's word for its far end.
    pub party: String,
    /// `dialing`, `ringing` or `up`.
    pub stage: String,
    /// The conference of ours it dialled into by itself.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub conference: Option<ConferenceId>,
}
