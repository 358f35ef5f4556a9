//! The names of things on a Yate: tags, rooms, files.
//!
//! A leg of ours is known by the parameter [`LEG`], which the engine repeats in every message about it. The engine's own
//! name (`sip/12`) is given by the engine and begins anew with each of its lives.

use ifbus_call::{ConferenceId, InstanceId, LegId, RecordingId};

use super::legs::Room;
use crate::names::{hexadecimal, ulid};

/// What stands before the names of parameters that are to be kept with a leg.
pub(super) const PREFIX: &str = "ifb.";
/// Instance and leg.
pub(super) const LEG: &str = "ifbus_leg";
/// Call, role and party.
pub(super) const CALL: &str = "ifbus_call";
/// `from` and `to` of the call.
pub(super) const ENDS: &str = "ifbus_ends";
/// The directions that are muted: `i`, `o`, `io`, or `-`.
pub(super) const MUTE: &str = "ifbus_mute";
/// The recording that is being written, or `-`.
pub(super) const RECORD: &str = "ifbus_rec";
/// The channel that plays music to it.
pub(super) const MUSIC: &str = "ifbus_music";
/// `yes` while it has to outlive its partner.
pub(super) const KEEP: &str = "ifbus_keep";

/// What a leg of ours is called in its tag.
pub(super) fn tagged(instance: InstanceId, leg: LegId) -> String {
    format!("{instance}-{leg}")
}

/// The leg behind that name, if this instance gave it.
pub(super) fn ours(instance: InstanceId, tagged: &str) -> Option<LegId> {
    let (before, leg) = tagged.split_once('-')?;
    if before != instance.to_string() || leg.len() != 32 {
        return None;
    }
    hexadecimal(leg.as_bytes()).map(LegId)
}

/// The room of a conference: the instance is in its name, so that two of them share no room.
pub(super) fn room(instance: InstanceId, conference: &ConferenceId) -> String {
    format!("ifb-{instance}-{conference}")
}

/// Whose conference the room of this name is.
pub(super) fn room_named(instance: InstanceId, name: &str) -> Room {
    let rest = name.strip_prefix(&format!("ifb-{instance}-"));
    rest.and_then(|rest| rest.parse().ok()).map_or(Room::Foreign, Room::Ours)
}

/// A segment, as it is written into a tag and into names of files.
pub(super) fn segment(recording: RecordingId, number: u16) -> String {
    format!("{}-{number}", ulid(recording).to_ascii_lowercase())
}

/// The two files of a segment: what the leg says, and what it hears.
pub(super) fn files(segment: &str) -> [String; 2] {
    [format!("ifbus-{segment}-says.au"), format!("ifbus-{segment}-hears.au")]
}
