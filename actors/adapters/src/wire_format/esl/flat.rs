//! The plainest form of an object, read in one walk: names and texts, and arrays of texts, without blanks but one.
//!
//! That is how the server writes an event, so it is what is read most, and `serde_json` takes four times as long for it.
//! Whatever is written in another way is not judged here: the answer is `None`, and `serde_json` has the word. Both
//! agree on everything that is read here (a test says so).

use std::borrow::Cow;

/// A value, as it stands between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a str,
    /// It has a backslash.
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What it says; `None` if `serde_json` would not take it.
    pub(super) fn read(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.raw));
        }
        serde_json::from_str(&format!("\"{}\"", self.raw)).ok().map(Cow::Owned)
    }
}

/// Hands every name and value to `take`, in order; an array counts as its first text, and not at all if it has none.
/// `None` where the object is not of the plainest form; what was handed over before is to be forgotten.
pub(super) fn walk<'a>(json: &'a [u8], mut take: impl FnMut(&'a str, Text<'a>) -> Option<()>) -> Option<()> {
    // Before the walk, in two that are faster than any: below, every byte is sound.
    let json = std::str::from_utf8(json).ok()?;
    if json.bytes().fold(false, |bad, byte| bad | (byte < b' ')) {
        return None;
    }
    let mut rest = json.strip_prefix('{')?;
    loop {
        let name;
        (name, rest) = text(rest)?;
        rest = after_blank(rest.strip_prefix(':')?);
        if let Some(items) = rest.strip_prefix('[') {
            let first;
            (first, rest) = array(items)?;
            if let Some(first) = first {
                take(plain(name)?, first)?;
            }
        } else {
            let value;
            (value, rest) = text(rest)?;
            take(plain(name)?, value)?;
        }
        rest = match rest.as_bytes().first()? {
            b',' => after_blank(&rest[1..]),
            b'}' => return rest[1..].is_empty().then_some(()),
            _ => return None,
        };
    }
}

fn plain(name: Text<'_>) -> Option<&str> {
    (!name.escaped).then_some(name.raw)
}

fn after_blank(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

/// The first text of an array that has begun, and what follows the array.
fn array(mut rest: &str) -> Option<(Option<Text<'_>>, &str)> {
    if let Some(rest) = rest.strip_prefix(']') {
        return Some((None, rest));
    }
    let mut first = None;
    loop {
        let item;
        (item, rest) = text(rest)?;
        // All of it has to be sound, also what is not read.
        first = first.or(Some(item));
        rest = match rest.as_bytes().first()? {
            b',' => after_blank(&rest[1..]),
            b']' => return Some((first, &rest[1..])),
            _ => return None,
        };
    }
}

/// A text with its quotes, and what follows it.
fn text(json: &str) -> Option<(Text<'_>, &str)> {
    let inside = json.strip_prefix('"')?;
    let bytes = inside.as_bytes();
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some((Text { raw: &inside[..at], escaped }, &inside[at + 1..]));
        }
        escaped = true;
        at += match bytes.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            // Halves of a pair are for `serde_json` to judge.
            b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit)
                && !is_half(&bytes[at + 2..]) =>
            {
                6
            }
            _ => return None,
        };
    }
}

fn is_half(digits: &[u8]) -> bool {
    matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..])
}
