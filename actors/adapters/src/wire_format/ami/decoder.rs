//! Bytes to messages, in any split.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

use super::message::{Found, Message};

/// The longest line taken: sixty times what Asterisk writes, small enough to buffer for a thousand servers.
pub const LINE_MAX: usize = 64 * 1024;

/// The longest message taken: the output of a long list command fits, an endless one does not.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// The first words of every AMI server.
const GREETING: &[u8] = b"Asterisk Call Manager/";

/// Why a stream cannot be read on. Final: the connection has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The first line was not the greeting of a manager interface; it is shown escaped and cut.
    #[error("greeted by `{0}`")]
    NotAmi(String),
    /// A line or a message beyond the limits.
    #[error("a line over {LINE_MAX} or a message over {MESSAGE_MAX} bytes")]
    TooLong,
}

/// One thing a server said.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// The greeting, without its line end.
    Banner(&'a [u8]),
    /// A response or an event.
    Message(Message<'a>),
}

/// The bytes of one connection that are not used up yet.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the message that is being received begins.
    start: usize,
    /// The lines before this place are within their limit; a line begins here.
    checked: usize,
    /// The end of a message does not begin before this place.
    seek: usize,
    greeted: bool,
    broken: bool,
}

/// Finds the end of a message. Made once: making it costs as much as reading a message does.
static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

impl Decoder {
    /// Takes what was read. Call [`Decoder::next`] until it is empty before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.buffer.drain(..self.start);
        self.checked -= self.start;
        self.seek -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame. After an error there is nothing more.
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame borrows the decoder, an iterator's item cannot"
    )]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        if self.broken {
            return None;
        }
        if !self.greeted {
            return self.banner();
        }
        self.skip_blank();
        // Most messages are whole when they are first looked at: one walk finds their fields and their end. Of the others
        // the end is waited for, so that bytes that come one by one are not walked again each time.
        let is_new = self.seek == self.start;
        let is_whole = is_new || END.find(&self.buffer[self.seek..]).is_some();
        let whole = if is_whole { Found::of_whole(&self.buffer[self.start..]) } else { None };
        let Some((found, length)) = whole else { return self.pending() };
        let raw = self.start..self.start + length;
        self.advance_to(raw.end + 2);
        match Message::new(&self.buffer[raw], found) {
            Some(message) => Some(Ok(Frame::Message(message))),
            None => {
                self.broken = true;
                Some(Err(Broken::TooLong))
            }
        }
    }

    fn banner(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        let end = memmem::find(&self.buffer, b"\r\n");
        let line = &self.buffer[..end.unwrap_or(self.buffer.len())];
        if end.is_none() && line.len() <= GREETING.len() {
            return self.pending();
        }
        if !line.starts_with(GREETING) || line.len() == GREETING.len() {
            let shown = &line[..line.len().min(GREETING.len())];
            let shown = String::from_utf8_lossy(shown).escape_debug().to_string();
            self.broken = true;
            return Some(Err(Broken::NotAmi(shown)));
        }
        match end {
            Some(end) => {
                self.greeted = true;
                self.advance_to(end + 2);
                Some(Ok(Frame::Banner(&self.buffer[..end])))
            }
            None => self.pending(),
        }
    }

    fn advance_to(&mut self, place: usize) {
        self.start = place;
        self.checked = place;
        self.seek = place;
    }

    /// Blank lines between messages mean nothing, and a bare LF there is an old server's blank line.
    fn skip_blank(&mut self) {
        while self.seek == self.start {
            match &self.buffer[self.start..] {
                [b'\r', b'\n', ..] => self.advance_to(self.start + 2),
                [b'\n', ..] => self.advance_to(self.start + 1),
                _ => break,
            }
        }
    }

    /// Nothing whole is here: what is here must still be within the limits.
    fn pending(&mut self) -> Option<Result<Frame<'_>, Broken>> {
        let mut too_long = false;
        while let Some(length) = memmem::find(&self.buffer[self.checked..], b"\r\n") {
            too_long |= length > LINE_MAX;
            self.checked += length + 2;
        }
        let rest = &self.buffer[self.checked..];
        let line = rest.len() - usize::from(rest.ends_with(b"\r"));
        too_long |= line > LINE_MAX || self.checked + line - self.start > MESSAGE_MAX;
        if too_long {
            self.broken = true;
            return Some(Err(Broken::TooLong));
        }
        // the end of a message may have begun in the last three bytes
        self.seek = self.seek.max(self.buffer.len().saturating_sub(3)).min(self.buffer.len());
        None
    }
}
