//! The two names of a leg: our 128 bits and the server's channel id, and the variables beside it.
//!
//! Ours: `ib-<instance>-<leg>`, so a leg of this instance is known by its name alone, even if every variable is lost.
//! The rest: [`crate::names`].

use std::fmt;

use ifbus_call::{InstanceId, LegId, RecordingId};

use super::legs::Room;
use crate::names::{conference, ulid};
pub(crate) use crate::names::{digest, foreign, hexadecimal, read, recorded, room, written};

/// The channel variable that holds call, role and party.
pub(crate) const CALL: &str = "IFBUS_CALL";
/// The channel variable that holds `from` and `to`: Asterisk cuts what it shows of a variable at 511 bytes, and three
/// addresses of 200 do not fit into one.
pub(crate) const ENDS: &str = "IFBUS_ENDS";

/// The channel id of a leg of ours.
pub(crate) struct Native(pub(crate) InstanceId, pub(crate) LegId);

impl fmt::Display for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ib-{:016x}-{:032x}", self.0.0, self.1.0)
    }
}

/// The same in digits alone, for a server whose own pages take nothing else: of fixed length, so no id of the server's
/// own looks like it.
pub(super) fn digits(instance: InstanceId, leg: LegId) -> String {
    format!("{:010}.{:039}", short(instance), leg.0)
}

/// As much of an instance as fits beside a leg into the 32 characters that call records keep of a channel id.
const fn short(instance: InstanceId) -> u64 {
    instance.0 % 10_000_000_000
}

/// The leg behind a channel id, if this instance gave it, in either form.
pub(crate) fn ours(instance: InstanceId, native: &[u8]) -> Option<LegId> {
    if native.len() == 50 {
        return from_digits(instance, native);
    }
    let rest = native.strip_prefix(b"ib-")?;
    if rest.len() != 49 || rest[16] != b'-' || hexadecimal(&rest[..16])? != u128::from(instance.0) {
        return None;
    }
    hexadecimal(&rest[17..]).map(LegId)
}

fn from_digits(instance: InstanceId, native: &[u8]) -> Option<LegId> {
    let number = |digits: &[u8]| {
        let sound = digits.iter().all(u8::is_ascii_digit);
        sound.then(|| std::str::from_utf8(digits).ok()?.parse::<u128>().ok()).flatten()
    };
    let is_ours = native[10] == b'.' && number(&native[..10]) == Some(u128::from(short(instance)));
    number(&native[11..]).filter(|_| is_ours).map(LegId)
}

/// Whose conference the room of this name is.
pub(super) fn room_named(instance: InstanceId, name: &str) -> Room {
    conference(instance, name).map_or(Room::Foreign, Room::Ours)
}

/// The channel variable that holds the handle of the recorder of a segment.
pub(super) fn recorder(recording: RecordingId, segment: u16) -> String {
    format!("IFBUS_REC_{}_{segment}", ulid(recording))
}
