//! The names of things on a server: of foreign legs, of rooms and recordings; and the tag beside a leg of ours.
//!
//! Foreign legs are named by a hash of server, boot and the server's own id, because such ids repeat after a restart. How
//! a leg of ours is named is each kind's own affair.

use ifbus_call::{
    Address, Boot, CallId, ConferenceId, InstanceId, LegId, RecordingId, Role, ServerName, Tag,
};

/// The name of a channel that is not ours.
pub(crate) fn foreign(server: &ServerName, boot: &Boot, native: &[u8]) -> LegId {
    let parts = [server.as_str().as_bytes(), boot.0.as_bytes(), native];
    LegId(parts.iter().fold(BASIS, |hash, part| fold(fold(hash, part), &[0])))
}

/// A short name for a text that is only ever compared, such as a bridge id.
pub(crate) fn digest(text: &[u8]) -> u128 {
    fold(BASIS, text)
}

// FNV-1a with 128 bits: stable over versions of this program, which the standard hasher is not
const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fold(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// Lower-case digits only: what we write is what must come back.
pub(crate) fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(digit))
    })
}

/// The room of a conference: the instance is in its name, so that two of them share no room.
pub(crate) fn room(instance: InstanceId, conference: &ConferenceId) -> String {
    format!("{instance}-{conference}")
}

/// The conference of this instance whose room this is.
pub(crate) fn conference(instance: InstanceId, room: &str) -> Option<ConferenceId> {
    room.strip_prefix(&instance.to_string())?.strip_prefix('-')?.parse().ok()
}

/// The name of the file of a segment of a recording, without its suffix.
pub(crate) fn recorded(recording: RecordingId, segment: u16) -> String {
    format!("ifbus-{}-{segment}", ulid(recording).to_ascii_lowercase())
}

/// The 26 characters of a recording's id.
pub(crate) fn ulid(recording: RecordingId) -> String {
    recording.to_string().trim_start_matches("rec_").to_owned()
}

/// The two values a tag is written as. `|` is in no address and means nothing to a server; comma, quotes, `$`
/// and backslash, which do, are in no address either.
pub(crate) fn written(tag: &Tag) -> (String, String) {
    let call = format!("1|{}|{}|{}", tag.call, tag.role.letter(), tag.party);
    (call, format!("1|{}|{}", tag.from, tag.to))
}

/// A tag as it was read back; `None` if it is not whole, not ours, or of a later version.
pub(crate) fn read(call: &str, ends: &str) -> Option<Tag> {
    let call: Vec<&str> = call.split('|').collect();
    let ends: Vec<&str> = ends.split('|').collect();
    let (["1", id, role, party], ["1", from, to]) = (call.as_slice(), ends.as_slice()) else { return None };
    let address = |text: &str| text.parse::<Address>().ok();
    Some(Tag {
        call: id.parse::<CallId>().ok()?,
        role: Role::from_letter(role)?,
        party: address(party)?,
        from: address(from)?,
        to: address(to)?,
    })
}
