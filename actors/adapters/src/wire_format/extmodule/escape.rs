//! The escapes of a field: bytes below a blank, `:` and `%` (sheet yate, section 2; `String.cpp` of Yate).

use std::borrow::Cow;

/// A field as it goes onto the wire. `=` stays as it is: it ends a key, and no key of ours has one.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b':' && byte != b'%';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '%' => out.push_str("%%"),
            ':' => out.push_str("%z"),
            c if c < ' ' => {
                out.push('%');
                out.push(char::from(c as u8 + 64));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A field as it was meant; `None` if it holds an escape that Yate does not write. Bytes that are no UTF-8 are shown
/// as such.
#[must_use]
pub fn decode(field: &[u8]) -> Option<Cow<'_, str>> {
    if !field.contains(&b'%') {
        return Some(String::from_utf8_lossy(field));
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        out.push(match *bytes.next()? {
            b'%' => b'%',
            // `=` in a key: the engine writes it and does not take it back
            b'}' => b'=',
            escaped @ (b'A'..=b'_' | b'z') => escaped - 64,
            _ => return None,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))
}
