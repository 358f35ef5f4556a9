//! The line protocol: what a session has received, what it may see, and how replies are written.
//!
//! Faithful to the real reader (sheet section 2, checked on 22.10.1): CR LF or a bare LF ends a line, a
//! NUL cuts it, 1024 bytes without an end are thrown away, more than 128 lines spoil a message, an empty
//! line without a message before it is an error of its own. What actions mean is in [`super::actions`].

use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// Input longer than this without an end of line is discarded.
const LINE: usize = 1024;
/// Lines of one message.
const LINES: usize = 128;

/// A set of permission classes, as in `read =` and `write =` of `manager.conf` and in `EventMask`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Classes {
    all: bool,
    named: BTreeSet<String>,
}

impl Classes {
    /// From a comma-separated list; `all` and `on` mean every class.
    pub fn parse(list: &str) -> Self {
        let named: BTreeSet<String> = list.split(',').map(|class| class.trim().to_lowercase()).collect();
        Classes { all: named.contains("all") || named.contains("on"), named }
    }

    /// Whether any of these classes (or no class at all is needed) is in the set.
    pub fn any(&self, needed: &[&str]) -> bool {
        self.all || needed.is_empty() || needed.iter().any(|class| self.named.contains(*class))
    }

    /// Whether the set has a class that Asterisk knows.
    pub(super) fn meaningful(&self) -> bool {
        const KNOWN: [&str; 17] = [
            "system",
            "call",
            "log",
            "verbose",
            "command",
            "agent",
            "user",
            "config",
            "dtmf",
            "reporting",
            "cdr",
            "dialplan",
            "originate",
            "agi",
            "cc",
            "aoc",
            "security",
        ];
        self.any(&KNOWN) && (self.all || !self.named.is_empty())
    }
}

/// One message from a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    headers: Vec<(String, String)>,
    lines: usize,
    fault: Option<&'static str>,
}

impl Message {
    /// First header of this name, whatever its case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The same, with a missing and an empty header alike.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every header but these.
    pub(super) fn others<'a>(&'a self, known: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_known = |key: &str| known.iter().any(|name| name.eq_ignore_ascii_case(key));
        self.headers
            .iter()
            .filter(move |(key, _)| !is_known(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether a header means yes, as `ast_true` reads it.
    pub(super) fn yes(&self, name: &str) -> bool {
        matches!(
            self.get(name).map(str::to_ascii_lowercase).as_deref(),
            Some("yes" | "true" | "y" | "t" | "1" | "on")
        )
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    fn push(&mut self, line: &str) {
        self.lines += 1;
        if self.lines > LINES {
            self.fault = Some("Too many lines in message or allocation failure");
        } else if let Some((key, value)) = line.split_once(':') {
            self.headers.push((key.to_owned(), value.trim_start_matches([' ', '\t']).to_owned()));
        }
    }
}

/// Turns bytes into messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pending: Vec<u8>,
    message: Message,
}

impl Reader {
    /// Adds received bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next complete message.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let window = &self.pending[..self.pending.len().min(LINE)];
            let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
                if window.len() < LINE {
                    return None;
                }
                self.pending.drain(..LINE);
                self.message.fault = Some("Failed to parse message: line too long");
                continue;
            };
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
            if line.is_empty() {
                return Some(std::mem::take(&mut self.message));
            }
            let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
            self.message.push(&String::from_utf8_lossy(line));
        }
    }
}

/// A message to a client under construction.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    /// `Response: …` with the ActionID echoed.
    pub(super) fn response(kind: &str, request: &Message) -> Self {
        let mut text = Text::default();
        text.line("Response", kind);
        text.id(request);
        text
    }

    /// A successful response.
    pub(super) fn success(request: &Message) -> Self {
        Text::response("Success", request)
    }

    /// The complete error response.
    pub(super) fn error(request: &Message, message: impl fmt::Display) -> String {
        let mut text = Text::response("Error", request);
        text.line("Message", message);
        text.end()
    }

    /// The complete response with nothing but a message.
    pub(super) fn done(request: &Message, message: impl fmt::Display) -> String {
        let mut text = Text::success(request);
        text.line("Message", message);
        text.end()
    }

    /// The response that opens a list.
    pub(super) fn list(request: &Message, message: &str) -> Self {
        let mut text = Text::success(request);
        text.line("EventList", "start");
        text.line("Message", message);
        text.gap();
        text
    }

    /// The event that closes a list, with further lines by `more`.
    pub(super) fn close(&mut self, request: &Message, name: &str, items: usize) -> &mut Self {
        self.line("Event", name);
        self.id(request);
        self.line("EventList", "Complete");
        self.line("ListItems", items);
        self
    }

    pub(super) fn id(&mut self, request: &Message) {
        if let Some(id) = request.text("ActionID") {
            self.line("ActionID", id);
        }
    }

    pub(super) fn line(&mut self, key: &str, value: impl fmt::Display) {
        write!(self.0, "{key}: {value}\r\n").expect("writing to a string cannot fail");
    }

    /// Ends one message, for another to follow.
    pub(super) fn gap(&mut self) {
        self.0.push_str("\r\n");
    }

    /// Ends the last message.
    pub(super) fn end(mut self) -> String {
        self.gap();
        self.0
    }
}
