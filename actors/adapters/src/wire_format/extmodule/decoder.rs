//! Bytes to lines, in any split.

use super::message::Line;

/// The longest line taken: the list of ten thousand legs is half a megabyte (sheet yate, section 9: 13 kB for 300).
pub const LINE_MAX: usize = 4 * 1024 * 1024;

/// Why a stream cannot be read on. Final: the connection has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line that no external module interface begins with; it is shown escaped and cut.
    #[error("greeted by `{0}`")]
    NotYate(String),
    /// A line beyond the limit.
    #[error("a line over {LINE_MAX} bytes")]
    TooLong,
}

/// The bytes of one connection that are not used up yet.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the line that is being received begins.
    start: usize,
    /// There is no line end before this place.
    seek: usize,
    greeted: bool,
    broken: bool,
}

impl Decoder {
    /// Takes what was read. Call [`Decoder::next`] until it is empty before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.buffer.drain(..self.start);
        self.seek -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line. After an error there is nothing more.
    #[expect(
        clippy::should_implement_trait,
        reason = "a line borrows the decoder, an iterator's item cannot"
    )]
    pub fn next(&mut self) -> Option<Result<Line<'_>, Broken>> {
        if self.broken {
            return None;
        }
        let Some(at) = memchr::memchr(b'\n', &self.buffer[self.seek..]) else {
            self.seek = self.buffer.len();
            return self.unfinished();
        };
        let (from, end) = (self.start, self.seek + at);
        (self.start, self.seek) = (end + 1, end + 1);
        if end - from > LINE_MAX {
            return self.fail(Broken::TooLong);
        }
        if !self.greeted && !is_ours(&self.buffer[from..end]) {
            let shown = shown(&self.buffer[from..end]);
            return self.fail(Broken::NotYate(shown));
        }
        self.greeted = true;
        let line = &self.buffer[from..end];
        Some(Ok(Line::parse(line.strip_suffix(b"\r").unwrap_or(line))))
    }

    /// A line that has not ended: too long, or clearly none of Yate's, is found out before its end.
    fn unfinished(&mut self) -> Option<Result<Line<'_>, Broken>> {
        let begun = &self.buffer[self.start..];
        if begun.len() > LINE_MAX {
            return self.fail(Broken::TooLong);
        }
        if !self.greeted && begun.len() >= SHOWN && !is_ours(begun) {
            let shown = shown(begun);
            return self.fail(Broken::NotYate(shown));
        }
        None
    }

    fn fail(&mut self, why: Broken) -> Option<Result<Line<'_>, Broken>> {
        self.broken = true;
        self.buffer = Vec::new();
        (self.start, self.seek) = (0, 0);
        Some(Err(why))
    }
}

/// How much of a wrong greeting is waited for and shown: the same in any split.
const SHOWN: usize = 60;

/// How the lines of the engine begin.
const STARTS: [&[u8]; 3] = [b"%%<", b"%%>", b"Error in:"];

fn is_ours(line: &[u8]) -> bool {
    STARTS.iter().any(|start| line.starts_with(start))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).escape_debug().to_string()
}
