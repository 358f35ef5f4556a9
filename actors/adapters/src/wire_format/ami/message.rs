//! One message, borrowed: the fields an adapter asks for all the time are found in one walk over the lines.

use memchr::memchr;

use super::decoder::{LINE_MAX, MESSAGE_MAX};

/// The fields found in the one walk. Each occurs at most once in what Asterisk itself writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named as on the wire")]
pub enum Field {
    Event,
    Response,
    ActionId,
    Channel,
    ChannelState,
    Uniqueid,
    Linkedid,
    DestUniqueid,
    DialStatus,
    Exten,
    Cause,
    TechCause,
    BridgeUniqueid,
    BridgeId,
    Reason,
    Message,
}

const FIELDS: [(Field, &[u8]); 16] = [
    (Field::Event, b"Event: "),
    (Field::Response, b"Response: "),
    (Field::ActionId, b"ActionID: "),
    (Field::Channel, b"Channel: "),
    (Field::ChannelState, b"ChannelState: "),
    (Field::Uniqueid, b"Uniqueid: "),
    (Field::Linkedid, b"Linkedid: "),
    (Field::DestUniqueid, b"DestUniqueid: "),
    (Field::DialStatus, b"DialStatus: "),
    (Field::Exten, b"Exten: "),
    (Field::Cause, b"Cause: "),
    (Field::TechCause, b"TechCause: "),
    (Field::BridgeUniqueid, b"BridgeUniqueid: "),
    (Field::BridgeId, b"BridgeID: "),
    (Field::Reason, b"Reason: "),
    (Field::Message, b"Message: "),
];

/// What the first line makes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It begins with `Event`.
    Event,
    /// It begins with `Response`.
    Response,
    /// It begins with something else: the rest of a message that a forger cut in two.
    Neither,
}

/// One message of a server.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
    found: [Option<&'a [u8]>; FIELDS.len()],
    twice: u32,
}

impl<'a> Message<'a> {
    /// Reads whole lines, each with its CR LF; `None` if one of them or all together are too long.
    ///
    /// Asterisk's own spelling is compared first; a message that begins otherwise is read with the tolerance of
    /// [`Message::parse_general`].
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        if raw.starts_with(b"Event: ") || raw.starts_with(b"Response: ") {
            Self::walk(raw, |line| {
                spelled(line).map(|field| (field, &line[FIELDS[field as usize].1.len()..]))
            })
        } else {
            Self::parse_general(raw)
        }
    }

    /// Reads any spelling: keys without regard to case, with or without a blank after the colon.
    #[must_use]
    pub fn parse_general(raw: &'a [u8]) -> Option<Self> {
        Self::walk(raw, |line| {
            let (key, value) = split(line)?;
            let named = |known: &[u8]| known[..known.len() - 2].eq_ignore_ascii_case(key);
            FIELDS.iter().find(|(_, known)| named(known)).map(|(field, _)| (*field, value))
        })
    }

    fn walk(raw: &'a [u8], mut field_of: impl FnMut(&'a [u8]) -> Option<(Field, &'a [u8])>) -> Option<Self> {
        if raw.len() > MESSAGE_MAX {
            return None;
        }
        let mut message = Self { raw, found: [None; FIELDS.len()], twice: 0 };
        for line in Lines(raw) {
            if line.len() > LINE_MAX {
                return None;
            }
            if let Some((field, value)) = field_of(line) {
                let place = &mut message.found[field as usize];
                if place.is_some() {
                    message.twice |= 1 << field as u32;
                } else {
                    *place = Some(value);
                }
            }
        }
        Some(message)
    }

    /// What the first line makes of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match Lines(self.raw).next().and_then(split) {
            Some((key, _)) if key.eq_ignore_ascii_case(b"Event") => Kind::Event,
            Some((key, _)) if key.eq_ignore_ascii_case(b"Response") => Kind::Response,
            _ => Kind::Neither,
        }
    }

    /// The value of a field, the first one if it occurs twice.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&'a [u8]> {
        self.found[field as usize]
    }

    /// The value of a field as text; absent if it is empty, one of the server's words for nothing, or no UTF-8.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&'a str> {
        self.get(field).and_then(present)
    }

    /// The value of a field as a number.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, field: Field) -> Option<T> {
        self.text(field)?.trim().parse().ok()
    }

    /// Whether a field that Asterisk writes once is there twice: somebody put words into the server's mouth.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.twice != 0
    }

    /// Every value of a key that is not among the fields of the walk.
    pub fn all(&self, key: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Lines(self.raw)
            .filter_map(split)
            .filter(move |(known, _)| known.eq_ignore_ascii_case(key.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The one value of a key as text; absent also if it is there twice.
    #[must_use]
    pub fn only(&self, key: &'static str) -> Option<&'a str> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (Some(value), None) => present(value),
            _ => None,
        }
    }
}

/// Which field a line begins, in Asterisk's own spelling.
fn spelled(line: &[u8]) -> Option<Field> {
    let candidates: &[Field] = match line.first()? {
        b'E' => &[Field::Exten, Field::Event],
        b'R' => &[Field::Response, Field::Reason],
        b'A' => &[Field::ActionId],
        b'C' => &[Field::Channel, Field::ChannelState, Field::Cause],
        b'U' => &[Field::Uniqueid],
        b'L' => &[Field::Linkedid],
        b'D' => &[Field::DestUniqueid, Field::DialStatus],
        b'T' => &[Field::TechCause],
        b'B' => &[Field::BridgeUniqueid, Field::BridgeId],
        b'M' => &[Field::Message],
        _ => return None,
    };
    let found = candidates.iter().copied().find(|field| line.starts_with(FIELDS[*field as usize].1));
    // the same word in another list, as long as the first
    found.or_else(|| line.starts_with(b"BridgeId: ").then_some(Field::BridgeId))
}

/// Key and value of a line; a line without a colon has none.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let value = &line[colon + 1..];
    Some((line[..colon].trim_ascii(), value.strip_prefix(b" ").unwrap_or(value)))
}

fn present(value: &[u8]) -> Option<&str> {
    match value {
        b"" | b"(null)" | b"<unknown>" | b"<null>" => None,
        value => std::str::from_utf8(value).ok(),
    }
}

/// The lines of a message: only CR LF ends one.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(at) = memchr(b'\n', &self.0[from..]) {
            let end = from + at;
            if end > 0 && self.0[end - 1] == b'\r' {
                let line = &self.0[..end - 1];
                self.0 = &self.0[end + 1..];
                return Some(line);
            }
            from = end + 1;
        }
        Some(std::mem::take(&mut self.0))
    }
}
