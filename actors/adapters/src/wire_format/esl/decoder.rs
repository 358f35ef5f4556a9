//! Bytes to frames: header lines, a blank line, then as many bytes as `Content-Length` says.
//!
//! Nothing follows a body, the next header begins at the very next byte. A framing error is fatal: after it nobody
//! knows where a header begins (sheet freeswitch, sections 1 and 5). What a frame means: `freeswitch/session.rs`.

/// The longest head: a reply with every right of a user in it is under 2 kB.
pub const HEAD_MAX: usize = 64 * 1024;

/// The longest body: what the server itself takes, and 20 000 legs in one list (sheet freeswitch, sections 1 and 4).
pub const BODY_MAX: usize = 16 * 1024 * 1024;

/// The most of a peer's words that is shown.
const SHOWN_MAX: usize = 60;

/// Every server's first header, be it a question for the password or a refusal.
const FIRST: &[u8] = b"Content-Type:";

/// Why nothing more can be read from a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The first bytes are no header of an event socket.
    #[error("not an event socket: {0}")]
    NotEsl(String),
    /// The head does not end.
    #[error("a head longer than {HEAD_MAX} bytes")]
    HeadTooLong,
    /// A line of a head has no name.
    #[error("a header line without a name: {0}")]
    BadHeader(String),
    /// A length that is none, or two that differ.
    #[error("a body of an impossible length: {0}")]
    BadLength(String),
    /// A length beyond the limit.
    #[error("a body of {0} bytes, and {BODY_MAX} are allowed")]
    BodyTooLong(u64),
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server asks who we are.
    AuthRequest,
    /// The answer to a command.
    Reply,
    /// The answer to an `api`.
    Response,
    /// An event as JSON.
    Event,
    /// The server closes this connection.
    Disconnect,
    /// The server talks to us not at all.
    Rejection,
    /// Something else: an event in another form, a line of a log.
    Other,
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    head: &'a [u8],
    /// Its body; empty if it has none.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first header of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        headers(self.head).find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.get("Content-Type") {
            Some(b"auth/request") => Kind::AuthRequest,
            Some(b"command/reply") => Kind::Reply,
            Some(b"api/response") => Kind::Response,
            Some(b"text/event-json") => Kind::Event,
            Some(b"text/disconnect-notice") => Kind::Disconnect,
            Some(b"text/rude-rejection") => Kind::Rejection,
            _ => Kind::Other,
        }
    }

    /// What the server says: `Reply-Text` of a reply, the body of everything else. Cut at the first line's end.
    #[must_use]
    pub fn said(&self) -> String {
        let text = if self.kind() == Kind::Reply { self.get("Reply-Text") } else { Some(self.body) };
        let text = text.unwrap_or_default();
        let line = text.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
        String::from_utf8_lossy(line).trim().to_owned()
    }
}

fn headers(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    head.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// Collects bytes until a frame is whole.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    /// Up to where the end of its head was looked for.
    looked: usize,
    /// Where its body begins and how long it is, once the head is whole.
    whole: Option<(usize, usize)>,
    greeted: bool,
    broken: bool,
}

impl Decoder {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        // what was handed out goes in one move, when it is worth one
        if self.start > 0 && (self.start == self.buffer.len() || self.start > 64 * 1024) {
            self.buffer.drain(..self.start);
            self.looked -= self.start;
            self.whole = self.whole.map(|(body, length)| (body - self.start, length));
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, if one is whole. After an error there is nothing more.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the decoder")]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        if self.broken {
            return None;
        }
        match self.find() {
            Ok(None) => None,
            Ok(Some((head, body, end))) => {
                self.start = end;
                self.looked = end;
                self.whole = None;
                Some(Ok(Frame { head: &self.buffer[head..body], body: &self.buffer[body..end] }))
            }
            Err(broken) => {
                self.broken = true;
                self.buffer = Vec::new();
                Some(Err(broken))
            }
        }
    }

    /// Where the next frame is: head, body, end.
    fn find(&mut self) -> Result<Option<(usize, usize, usize)>, Broken> {
        if self.whole.is_none() {
            self.whole = self.head()?;
        }
        let Some((body, length)) = self.whole else { return Ok(None) };
        let end = body + length;
        Ok((self.buffer.len() >= end).then_some((self.start, body, end)))
    }

    /// Where the body begins and how long it is, if the head is whole.
    fn head(&mut self) -> Result<Option<(usize, usize)>, Broken> {
        // a blank line before a head means nothing
        while self.greeted && self.buffer.get(self.start) == Some(&b'\n') {
            self.start += 1;
            self.looked = self.looked.max(self.start);
        }
        if !self.greeted {
            let begun = &self.buffer[..self.buffer.len().min(FIRST.len())];
            if !FIRST.starts_with(begun) {
                // what is shown must not depend on how the bytes were split
                let line = memchr::memchr(b'\n', &self.buffer);
                let end = line.unwrap_or(self.buffer.len()).min(SHOWN_MAX);
                let told = line.is_some() || self.buffer.len() >= SHOWN_MAX;
                return if told { Err(Broken::NotEsl(shown(&self.buffer[..end]))) } else { Ok(None) };
            }
        }
        let from = self.looked.max(self.start);
        let found = end_of_head(&self.buffer[self.start..], from - self.start);
        let Some((head, body)) = found.map(|(head, body)| (self.start + head, self.start + body)) else {
            // a head may end in the middle of what is still to come
            self.looked = self.buffer.len().saturating_sub(3).max(self.start);
            let too_long = self.buffer.len() - self.start > HEAD_MAX;
            return if too_long { Err(Broken::HeadTooLong) } else { Ok(None) };
        };
        if head - self.start > HEAD_MAX {
            return Err(Broken::HeadTooLong);
        }
        self.greeted = true;
        let length = length(&self.buffer[self.start..head])?;
        Ok(Some((body, length)))
    }
}

/// The end of the lines and the beginning of the body, in a buffer that was looked through up to `from`.
fn end_of_head(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from.saturating_sub(3);
    while let Some(found) = memchr::memchr(b'\n', &bytes[at..]).map(|place| at + place) {
        match &bytes[found + 1..] {
            [b'\n', ..] => return Some((found, found + 2)),
            [b'\r', b'\n', ..] => return Some((found, found + 3)),
            _ => at = found + 1,
        }
    }
    None
}

/// How long the body is; every line is looked at, so that nothing is read into a broken head.
fn length(head: &[u8]) -> Result<usize, Broken> {
    let mut length = None;
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0);
        let Some(colon) = colon else { return Err(Broken::BadHeader(shown(line))) };
        if !line[..colon].eq_ignore_ascii_case(b"Content-Length") {
            continue;
        }
        let digits = line[colon + 1..].trim_ascii();
        let sound = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let bad = || Broken::BadLength(shown(digits));
        let number = std::str::from_utf8(digits).ok().filter(|_| sound).and_then(|text| text.parse().ok());
        let number: u64 = number.ok_or_else(bad)?;
        if length.is_some_and(|known| known != number) {
            return Err(bad());
        }
        length = Some(number);
    }
    let length = length.unwrap_or(0);
    usize::try_from(length).ok().filter(|length| *length <= BODY_MAX).ok_or(Broken::BodyTooLong(length))
}

/// The beginning of what a peer said, made printable.
fn shown(bytes: &[u8]) -> String {
    let begun = &bytes[..bytes.len().min(SHOWN_MAX)];
    String::from_utf8_lossy(begun).chars().flat_map(char::escape_debug).collect()
}
