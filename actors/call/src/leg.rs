//! A leg as a server lists it.

use std::time::Duration;

use crate::id::{ConferenceId, LegId};
use crate::order::Tag;

/// One leg in a server's own list of calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Our id of it; for a foreign leg a hash of server, boot and native id.
    pub leg: LegId,
    /// What we wrote beside it; absent on a foreign leg.
    pub tag: Option<Tag>,
    /// The server's own name of it, for people.
    pub native: String,
    /// How far it has come.
    pub stage: Stage,
    /// The legs it talks to.
    pub partners: Vec<LegId>,
    /// The conference of this instance it is in.
    pub conference: Option<ConferenceId>,
    /// Where a phone's own transfer sent it, in the server's words: it talks to somebody who is no leg of its call, or
    /// runs a part of the server's own configuration. Absent on a foreign leg.
    pub moved: Option<String>,
    /// Whether it sits in the place where one hears music.
    pub hears_music: bool,
    /// The server's word for the party at its far end.
    pub party: String,
    /// How long it has existed.
    pub age: Duration,
}

/// How far a leg has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Made, nothing heard from its phone.
    Dialing,
    /// Its phone rings.
    Ringing,
    /// Answered.
    Up,
}
