//! One leg: what the server knows of it, and what its phone does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::phone::Plan;

/// How far a leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// INVITE sent.
    Dialing,
    /// 180.
    Ringing,
    /// 183.
    Early,
    /// Answered.
    Up,
}

/// One leg.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) uuid: String,
    /// Grows with every leg.
    pub(super) rank: u64,
    /// Whose phone is at its far end.
    pub(super) number: String,
    /// `sofia/lab/1001@127.0.0.1`
    pub(super) name: String,
    /// It called the server.
    pub(super) inbound: bool,
    /// Number of the caller, as the far end sees it.
    pub(super) caller: String,
    /// Number that was called.
    pub(super) dest: String,
    /// Which dialplan it runs: none, `inline` or `XML`.
    pub(super) dialplan: &'static str,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) stage: Stage,
    /// Its phone has answered, or called.
    pub(super) up: bool,
    /// `CS_EXECUTE` and so on.
    pub(super) state: &'static str,
    pub(super) created: Duration,
    pub(super) rang: Option<Duration>,
    pub(super) answered: Option<Duration>,
    /// From when on the lists show it (sheet section 0).
    pub(super) listed: Duration,
    pub(super) partner: Option<String>,
    pub(super) room: Option<String>,
    /// What it runs, as events and lists show it.
    pub(super) app: (String, String),
    pub(super) parked: bool,
    /// What is played to it while it is parked.
    pub(super) playing: Option<String>,
    /// Counts its stays in a park: the end of an older one means nothing.
    pub(super) stay: u64,
    /// What the leg ends with at the limit of its park.
    pub(super) park_cause: String,
    /// The end of the park came while something was played.
    pub(super) park_over: Option<String>,
    /// Scheduled ends that still count.
    pub(super) scheduled: Vec<u64>,
    /// What the server mutes: read (what it says), write (what it hears).
    pub(super) muted: (bool, bool),
    pub(super) phone_holds: bool,
    pub(super) plan: Plan,
    /// The job of its originate, and what it does after the answer.
    pub(super) originate: Option<(Option<String>, String)>,
    /// It was dialled through the directory, and somebody wants it joined before it has landed.
    pub(super) by_directory: bool,
    pub(super) wanted: bool,
    /// The leg whose dialplan calls it.
    pub(super) dialed_by: Option<String>,
    /// Whom its own dialplan calls.
    pub(super) dials: Option<String>,
    /// `ANSWER`, `BLIND_TRANSFER`, `ATTENDED_TRANSFER`
    pub(super) disposition: &'static str,
    /// The SIP status and the words its phone refused with.
    pub(super) refused: Option<u16>,
    /// The phone that sent it away, and waits for the outcome.
    pub(super) sent_by: Option<String>,
}

impl Leg {
    pub(super) fn is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn call_state(&self) -> &'static str {
        match self.stage {
            _ if self.phone_holds => "HELD",
            Stage::Dialing => "DOWN",
            Stage::Ringing => "RINGING",
            Stage::Early => "EARLY",
            Stage::Up => "ACTIVE",
        }
    }

    pub(super) fn answer_state(&self) -> &'static str {
        match self.stage {
            Stage::Dialing | Stage::Ringing => "ringing",
            Stage::Early => "early",
            Stage::Up => "answered",
        }
    }
}
