//! What is written down of a leg, before the wire hears of it: with it another process can go on.
//!
//! A phone and a proxy do not care which process sends the next request of a dialog (sheet sip-3pcc, sections 3 and 11).

use ifbus_call::{LegId, Tag};
use serde::{Deserialize, Serialize};

use super::sdp::Direction;

/// A leg of a SIP agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dialog {
    /// Which leg.
    pub leg: LegId,
    /// Its call, and its place there.
    pub tag: Tag,
    /// How far it has come.
    pub progress: Progress,
    /// What SIP needs to go on.
    pub wire: Wire,
    /// What was said about media.
    pub media: Media,
    /// Whom it talks to.
    pub partner: Option<LegId>,
    /// It is the one that was put on hold.
    pub waits: bool,
    /// Its phone has put its partner on hold: the direction it asked for then.
    pub holds: Option<Direction>,
    /// It is no phone's but a media anchor's, for this leg.
    #[serde(default)]
    pub lends: Option<LegId>,
    /// No call of ours has it: a phone's own transfer called it for its partner.
    #[serde(default)]
    pub guest: bool,
    /// Where a phone's own transfer sent it.
    #[serde(default)]
    pub moved: Option<String>,
}

/// How far a leg has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Invited; nothing heard.
    Dialing,
    /// It rings.
    Ringing,
    /// Answered.
    Up,
    /// It is being ended.
    Ending,
}

/// A dialog as SIP knows it (RFC 3261, section 12).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Wire {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The far end's tag; empty before the answer.
    pub remote_tag: String,
    /// From, as a URI.
    pub local_uri: String,
    /// To, as a URI.
    pub remote_uri: String,
    /// Number of our last request.
    pub local_cseq: u32,
    /// Number of the far end's last request.
    pub remote_cseq: u32,
    /// Where requests go: the Contact of the last answer or offer.
    pub target: String,
    /// Route headers, in the order in which they are sent.
    pub route: Vec<String>,
    /// Branch of the invitation that is not answered yet: what a CANCEL needs.
    pub invite: Option<String>,
    /// A media anchor made it: it is spoken to directly, not through the server.
    #[serde(default)]
    pub by_anchor: bool,
}

/// Descriptions of both sides.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Media {
    /// Session id of ours, fixed for the leg.
    pub id: u64,
    /// Version of our last description; it only grows.
    pub version: u64,
    /// Our last description, as it was sent.
    pub ours: String,
    /// Whether the phone took it is not known: it is to be offered again after a restart.
    pub unsure: bool,
    /// The phone's own, complete: what others are offered. Never an answer to a held offer once there is a better one.
    pub theirs: String,
}
