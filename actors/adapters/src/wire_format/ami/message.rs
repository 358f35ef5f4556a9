//! One message, borrowed: the fields an adapter asks for all the time are found in one walk over the lines.

use memchr::{memchr, memchr_iter};

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
    found: Found,
}

/// Where the values of the fields are, from the begin of the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Begin and end; the end is 0 if the field is absent, because every value comes after its key.
    places: [(u32, u32); FIELDS.len()],
    twice: u32,
    /// Every line is within its limit.
    fits: bool,
}

impl<'a> Message<'a> {
    /// Reads whole lines, each with its CR LF; `None` if one of them or all together are too long.
    ///
    /// Asterisk's own spelling is compared first; a message that begins otherwise is read with the tolerance of
    /// [`Message::parse_general`].
    #[must_use]
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let own = is_own_spelling(raw);
        let (found, _) =
            if own { Found::of_lines(raw, false, spelled) } else { Found::of_lines(raw, false, general) };
        Self::new(raw, found)
    }

    /// Reads any spelling: keys without regard to case, with or without a blank after the colon.
    #[must_use]
    pub fn parse_general(raw: &'a [u8]) -> Option<Self> {
        Self::new(raw, Found::of_lines(raw, false, general).0)
    }

    /// The message whose fields were found in these lines; `None` if it is too long.
    pub(super) fn new(raw: &'a [u8], found: Found) -> Option<Self> {
        (found.fits && raw.len() <= MESSAGE_MAX).then_some(Self { raw, found })
    }

    /// What the first line makes of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.raw.first() {
            Some(b'E') if self.raw.starts_with(b"Event: ") => return Kind::Event,
            Some(b'R') if self.raw.starts_with(b"Response: ") => return Kind::Response,
            _ => {}
        }
        match Lines(self.raw).next().and_then(split) {
            Some((key, _)) if key.eq_ignore_ascii_case(b"Event") => Kind::Event,
            Some((key, _)) if key.eq_ignore_ascii_case(b"Response") => Kind::Response,
            _ => Kind::Neither,
        }
    }

    /// The value of a field, the first one if it occurs twice.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&'a [u8]> {
        let (begin, end) = self.found.places[field as usize];
        (end > 0).then(|| &self.raw[begin as usize..end as usize])
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
        self.found.twice != 0
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

impl Found {
    /// The fields of the message at the begin of these bytes, and where its lines end; nothing if its blank line is not
    /// there.
    pub(super) fn of_whole(bytes: &[u8]) -> Option<(Self, usize)> {
        let (found, end) = if is_own_spelling(bytes) {
            Self::of_lines(bytes, true, spelled)
        } else {
            Self::of_lines(bytes, true, general)
        };
        Some((found, end?))
    }

    /// The fields of these lines, and where a blank line was met, if that ends them.
    #[inline]
    fn of_lines(
        bytes: &[u8],
        blank_ends: bool,
        field_of: impl Fn(&[u8]) -> Option<(Field, &[u8])>,
    ) -> (Self, Option<usize>) {
        let mut found = Self { places: [(0, 0); FIELDS.len()], twice: 0, fits: true };
        let mut begin = 0;
        for end in memchr_iter(b'\n', bytes) {
            // A bare LF belongs to the value.
            if end == 0 || bytes[end - 1] != b'\r' {
                continue;
            }
            if end == begin + 1 && blank_ends {
                return (found, Some(begin));
            }
            found.take(bytes, begin, end - 1, &field_of);
            begin = end + 1;
        }
        if !blank_ends {
            found.take(bytes, begin, bytes.len(), &field_of);
        }
        (found, None)
    }

    #[inline]
    fn take(
        &mut self,
        bytes: &[u8],
        begin: usize,
        end: usize,
        field_of: impl Fn(&[u8]) -> Option<(Field, &[u8])>,
    ) {
        self.fits &= end - begin <= LINE_MAX;
        if let Some((field, value)) = field_of(&bytes[begin..end]) {
            let place = &mut self.places[field as usize];
            if place.1 > 0 {
                self.twice |= 1 << field as u32;
            } else {
                // Cut off only in a message that is far too long to be taken.
                *place = ((end - value.len()) as u32, end as u32);
            }
        }
    }
}

/// Whether the keys are to be compared as Asterisk writes them.
fn is_own_spelling(bytes: &[u8]) -> bool {
    bytes.starts_with(b"Event: ") || bytes.starts_with(b"Response: ")
}

fn general(line: &[u8]) -> Option<(Field, &[u8])> {
    let (key, value) = split(line)?;
    let named = |known: &[u8]| known[..known.len() - 2].eq_ignore_ascii_case(key);
    FIELDS.iter().find(|(_, known)| named(known)).map(|(field, _)| (*field, value))
}

/// Which field a line begins, in Asterisk's own spelling, and its value. The keys stand here once more because a
/// comparison with a text of known length is an instruction or two, and one with a text from a table is a call.
#[inline]
fn spelled(line: &[u8]) -> Option<(Field, &[u8])> {
    match line.first()? {
        b'E' => after(line, b"Event: ", Field::Event).or_else(|| after(line, b"Exten: ", Field::Exten)),
        b'R' => {
            after(line, b"Response: ", Field::Response).or_else(|| after(line, b"Reason: ", Field::Reason))
        }
        b'A' => after(line, b"ActionID: ", Field::ActionId),
        b'C' => after(line, b"Channel: ", Field::Channel)
            .or_else(|| after(line, b"ChannelState: ", Field::ChannelState))
            .or_else(|| after(line, b"Cause: ", Field::Cause)),
        b'U' => after(line, b"Uniqueid: ", Field::Uniqueid),
        b'L' => after(line, b"Linkedid: ", Field::Linkedid),
        b'D' => after(line, b"DestUniqueid: ", Field::DestUniqueid)
            .or_else(|| after(line, b"DialStatus: ", Field::DialStatus)),
        b'T' => after(line, b"TechCause: ", Field::TechCause),
        // the same word in another list is `BridgeId`
        b'B' => after(line, b"BridgeUniqueid: ", Field::BridgeUniqueid)
            .or_else(|| after(line, b"BridgeID: ", Field::BridgeId))
            .or_else(|| after(line, b"BridgeId: ", Field::BridgeId)),
        b'M' => after(line, b"Message: ", Field::Message),
        _ => None,
    }
}

#[inline]
fn after<'a, const N: usize>(line: &'a [u8], key: &[u8; N], field: Field) -> Option<(Field, &'a [u8])> {
    line.strip_prefix(key).map(|value| (field, value))
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
