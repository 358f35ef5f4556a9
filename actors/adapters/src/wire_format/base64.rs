//! Base64 (RFC 4648 section 4), read only: how a file comes through a text connection.
//!
//! Without line breaks, with its padding; anything else is no base64.

/// The bytes behind a text.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text[..text.len() - padding].chunks(4) {
        let mut value = 0_u32;
        for byte in four {
            value = (value << 6) | u32::from(digit(*byte)?);
        }
        let [_, a, b, c] = (value << (6 * (4 - four.len()))).to_be_bytes();
        bytes.extend(&[a, b, c][..(four.len() * 6) / 8]);
    }
    Some(bytes)
}

const fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
