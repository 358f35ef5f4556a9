//! What is written beside a leg on a server, as text that comes back unchanged.

use ifbus_call::{Address, CallId, RecordingId, Role, Tag};

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

/// The 26 characters of a recording's id.
pub(crate) fn ulid(recording: RecordingId) -> String {
    recording.to_string().trim_start_matches("rec_").to_owned()
}

/// The two values a tag is written as. `|` is in no address and means nothing to a server; comma, quotes, `$` and
/// backslash, which do, are in no address either.
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
