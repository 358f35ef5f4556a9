//! Every way to say no, each with what, why and what to do next.
//!
//! The command line, the API and the page show the same problem; the exit code and the HTTP status follow from its
//! code alone.

use ifbus_call::{CallId, ServerName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The closed set of problems.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A value is not of its form, or a field is unknown.
    InvalidRequest,
    /// No or no valid token.
    Unauthenticated,
    /// The token lacks the right.
    MissingScope,
    /// The Host or Origin header names somebody else.
    ForeignHost,
    /// No server has this name.
    UnknownServer,
    /// No call has this id.
    UnknownCall,
    /// No recording has this id.
    UnknownRecording,
    /// No conference has this id.
    UnknownConference,
    /// No such path.
    UnknownPath,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The verb does not fit where the call stands.
    WrongState,
    /// Another verb is under way on the call.
    VerbUnderWay,
    /// The call is not ours, and the verb is only for calls of ours.
    NotOurs,
    /// The key of the request was used for another request.
    IdempotencyMismatch,
    /// The first request with this key is still in work.
    IdempotencyInProgress,
    /// It is not known whether the first request with this key placed its call.
    OutcomeUnknown,
    /// The server comes from the configuration file.
    ReadOnlyServer,
    /// The server carries calls.
    ServerHasCalls,
    /// The server at this address has another name already.
    SameServer,
    /// The configuration file is not right, or there is none.
    BadConfiguration,
    /// More new calls a second than allowed.
    CpsExceeded,
    /// The server said no.
    ServerRefused,
    /// No server can take the call now.
    NoEligibleServer,
    /// The server of the call is not connected.
    ServerDown,
    /// What must be written down first cannot be written.
    StoreUnavailable,
    /// The server gave no answer in time.
    ServerTimeout,
    /// The orchestrator is stopping.
    Stopping,
    /// A bug of ours, contained.
    Internal,
}

impl Code {
    /// Every code, each with its page in the documentation.
    pub const ALL: [Self; 28] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::MissingScope,
        Self::ForeignHost,
        Self::UnknownServer,
        Self::UnknownCall,
        Self::UnknownRecording,
        Self::UnknownConference,
        Self::UnknownPath,
        Self::MethodNotAllowed,
        Self::WrongState,
        Self::VerbUnderWay,
        Self::NotOurs,
        Self::IdempotencyMismatch,
        Self::IdempotencyInProgress,
        Self::OutcomeUnknown,
        Self::ReadOnlyServer,
        Self::ServerHasCalls,
        Self::SameServer,
        Self::BadConfiguration,
        Self::CpsExceeded,
        Self::ServerRefused,
        Self::NoEligibleServer,
        Self::ServerDown,
        Self::StoreUnavailable,
        Self::ServerTimeout,
        Self::Stopping,
        Self::Internal,
    ];

    /// The word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.facts().1
    }

    /// The exit code of the command line.
    #[must_use]
    pub const fn exit(self) -> u8 {
        self.facts().2
    }

    /// A short sentence, the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.facts().3
    }

    /// Whether the same request may succeed later without a change.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::VerbUnderWay
                | Self::IdempotencyInProgress
                | Self::CpsExceeded
                | Self::NoEligibleServer
                | Self::ServerDown
                | Self::StoreUnavailable
                | Self::ServerTimeout
                | Self::Stopping
        )
    }

    const fn facts(self) -> (&'static str, u16, u8, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid_request", 400, 2, "the request is not valid"),
            Self::Unauthenticated => ("unauthenticated", 401, 5, "a valid token is needed"),
            Self::MissingScope => ("missing_scope", 403, 5, "the token lacks the right"),
            Self::ForeignHost => ("foreign_host", 403, 5, "the request is addressed to somebody else"),
            Self::UnknownServer => ("unknown_server", 404, 3, "no server has this name"),
            Self::UnknownCall => ("unknown_call", 404, 3, "no call has this id"),
            Self::UnknownRecording => ("unknown_recording", 404, 3, "no recording has this id"),
            Self::UnknownConference => ("unknown_conference", 404, 3, "no conference has this id"),
            Self::UnknownPath => ("unknown_path", 404, 3, "there is nothing at this path"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, 2, "the path does not take this method"),
            Self::WrongState => ("wrong_state", 409, 1, "the call is not in a state for this"),
            Self::VerbUnderWay => ("verb_under_way", 409, 1, "another verb is under way on this call"),
            Self::NotOurs => ("not_ours", 409, 1, "the call was not placed by this ifbus"),
            Self::IdempotencyMismatch => {
                ("idempotency_mismatch", 422, 2, "the key was used for another request")
            }
            Self::IdempotencyInProgress => {
                ("idempotency_in_progress", 409, 1, "the first request with this key is still in work")
            }
            Self::OutcomeUnknown => {
                ("outcome_unknown", 409, 1, "what became of the first request with this key is not known")
            }
            Self::ReadOnlyServer => {
                ("read_only_server", 409, 1, "the server comes from the configuration file")
            }
            Self::ServerHasCalls => ("server_has_calls", 409, 1, "the server carries calls"),
            Self::SameServer => ("same_server", 409, 1, "this server has another name already"),
            Self::BadConfiguration => ("bad_configuration", 422, 1, "the configuration file is not right"),
            Self::CpsExceeded => ("cps_exceeded", 429, 1, "more new calls a second than allowed"),
            Self::ServerRefused => ("server_refused", 502, 1, "the server refused"),
            Self::NoEligibleServer => ("no_eligible_server", 503, 4, "no server can take this call now"),
            Self::ServerDown => ("server_down", 503, 4, "the server of this call is not connected"),
            Self::StoreUnavailable => ("store_unavailable", 503, 1, "nothing can be written down now"),
            Self::ServerTimeout => ("server_timeout", 504, 4, "the server gave no answer in time"),
            Self::Stopping => ("stopping", 503, 4, "the orchestrator is stopping"),
            Self::Internal => ("internal", 500, 1, "a bug in ifbus, contained"),
        }
    }
}

/// A problem: what, why, what to do next.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// Which of the closed set.
    pub code: Code,
    /// What happened here, with the values needed to act.
    pub detail: String,
    /// The field or argument it is about.
    pub param: Option<String>,
    /// Commands that would help.
    pub suggestions: Vec<String>,
    /// Every server that was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// The call it is about.
    pub call: Option<CallId>,
    /// When a retry makes sense, in seconds.
    pub retry_after_s: Option<u64>,
}

/// A server that was passed over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// Which.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// Why: `down`, `connecting`, `suspect`, `draining`, `drained`, `at_capacity`, `cps_exceeded`, `tried`, `removed`, `not_named`.
    pub reason: String,
    /// More words, if there are any.
    pub detail: Option<String>,
}

impl Problem {
    /// A problem with nothing but its sentence.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            param: None,
            suggestions: Vec::new(),
            skipped: Vec::new(),
            call: None,
            retry_after_s: None,
        }
    }

    /// Names the field or argument it is about.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds a command that would help.
    #[must_use]
    pub fn suggest(mut self, command: impl Into<String>) -> Self {
        self.suggestions.push(command.into());
        self
    }

    /// Names the call it is about.
    #[must_use]
    pub const fn of_call(mut self, call: CallId) -> Self {
        self.call = Some(call);
        self
    }
}
