//! What can be made to go wrong, while it runs. Chances are drawn from the double's seed.

use std::time::Duration;

/// Faults that last until they are taken back. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// The process stops (as by SIGSTOP): TCP stays up, nothing is read, nothing happens. On release it
    /// goes on where it was.
    pub freeze: bool,
    /// The network swallows everything both ways; the server itself goes on. On release, what was sent
    /// meanwhile arrives.
    pub black_hole: bool,
    /// New connections are refused.
    pub refuse: bool,
    /// Everything goes out byte by byte, one per this time.
    pub slow: Option<Duration>,
    /// Replies go out this much later.
    pub late: Option<Duration>,
    /// Chance that a reply is lost.
    pub lose_replies: f64,
    /// Chance that a reply is sent twice.
    pub duplicate_replies: f64,
    /// Chance that an event is sent twice.
    pub double_events: f64,
    /// Chance that a reply carries the id of another request.
    pub wrong_ids: f64,
    /// The next message is cut in the middle and the connection closed. Disarms itself.
    pub cut_next: bool,
    /// How the HTTP interface is, where there is one.
    pub http: HttpState,
    /// The SIP stack is dead: no INVITE goes out, no answer, BYE or OPTIONS comes in.
    pub sip_dead: bool,
}

/// State of the HTTP server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpState {
    /// Works.
    #[default]
    On,
    /// Answers 503 to everything; open WebSockets are closed.
    Unavailable,
    /// Connections are refused or reset.
    Closed,
}

impl Faults {
    /// Bytes neither come in nor go out.
    pub(crate) fn cut_off(&self) -> bool {
        self.freeze || self.black_hole
    }
}
