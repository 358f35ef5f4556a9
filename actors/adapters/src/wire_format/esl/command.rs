//! Orders as lines: one word after the other, each checked, so that no value becomes a second word or a second line.
//!
//! A value is refused, never mended: a newline would cut the line and a blank line would begin another command (sheet
//! freeswitch, section 6).

use std::fmt::{self, Write as _};

/// The longest line sent: the longest of ours has three addresses of 200 bytes in it.
pub const LINE_MAX: usize = 4096;

/// Why a line cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A control character.
    #[error("a value has a control character")]
    Control,
    /// A word that would be none, or two.
    #[error("a value is empty or has a blank")]
    Word,
    /// A character that means something inside the braces of an originate.
    #[error("a value has a character that the server would take for its own")]
    Special,
    /// Longer than is sent.
    #[error("a command longer than {LINE_MAX} bytes")]
    TooLong,
    /// The server replaces a line with both of these words by another one.
    #[error("the server would take the line for a reload of its event socket")]
    Reload,
}

/// One command.
#[derive(Debug, Clone)]
pub struct Command {
    line: String,
    job: Option<Uuid>,
    unfit: Option<Unfit>,
}

impl Command {
    /// A command of the connection itself: `auth`, `event`.
    #[must_use]
    pub fn plain(name: &'static str) -> Self {
        Self { line: name.to_owned(), job: None, unfit: None }
    }

    /// A command that is answered when it is done; the next one waits for it.
    #[must_use]
    pub fn api(name: &'static str) -> Self {
        Self { line: format!("api {name}"), job: None, unfit: None }
    }

    /// A command that is answered at once and done later; an event under the id `job` tells.
    #[must_use]
    pub fn background(name: &'static str, job: Uuid) -> Self {
        Self { line: format!("bgapi {name}"), job: Some(job), unfit: None }
    }

    /// Adds one word.
    #[must_use]
    pub fn word(mut self, word: impl fmt::Display) -> Self {
        let before = self.line.len() + 1;
        write!(self.line, " {word}").expect("a string takes everything");
        let word = &self.line[before..];
        if word.is_empty() || word.chars().any(char::is_whitespace) {
            self.unfit.get_or_insert(Unfit::Word);
        }
        self
    }

    /// Adds words of ours: blanks are meant.
    #[must_use]
    pub fn words(mut self, words: &'static str) -> Self {
        self.line.push(' ');
        self.line.push_str(words);
        self
    }

    /// Adds the variables and the destination of an originate as one word.
    #[must_use]
    pub fn leg(mut self, variables: &[(&str, &dyn fmt::Display)], destination: &str) -> Self {
        self.line.push_str(" {");
        for (place, (name, value)) in variables.iter().enumerate() {
            let value = value.to_string();
            if !value.bytes().all(is_harmless) || value.is_empty() {
                self.unfit.get_or_insert(Unfit::Special);
            }
            let comma = if place == 0 { "" } else { "," };
            let quote = if value.bytes().all(is_plain) { "" } else { "'" };
            write!(self.line, "{comma}{name}={quote}{value}{quote}").expect("a string takes everything");
        }
        self.line.push('}');
        self.line.push_str(destination);
        let sound = |byte: u8| is_harmless(byte) || matches!(byte, b'/' | b'%');
        if !destination.bytes().all(sound) || destination.is_empty() || destination.contains('|') {
            self.unfit.get_or_insert(Unfit::Special);
        }
        self
    }

    /// The bytes to send in one piece: while half a line is there, the server sends no events (sheet, section 1).
    ///
    /// # Errors
    ///
    /// If a value cannot be sent as it is.
    pub fn finish(self) -> Result<Vec<u8>, Unfit> {
        let Self { mut line, job, unfit } = self;
        if line.chars().any(char::is_control) {
            return Err(Unfit::Control);
        }
        if let Some(unfit) = unfit {
            return Err(unfit);
        }
        if line.len() > LINE_MAX {
            return Err(Unfit::TooLong);
        }
        if line.contains("mod_event_socket") && (line.contains("reload") || line.contains("unload")) {
            return Err(Unfit::Reload);
        }
        if let Some(job) = job {
            write!(line, "\nJob-UUID: {job}").expect("a string takes everything");
        }
        line.push_str("\n\n");
        Ok(line.into_bytes())
    }
}

/// What needs no quotes inside braces.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'+' | b'@' | b'/')
}

/// What comes back as it was sent, in quotes.
const fn is_harmless(byte: u8) -> bool {
    is_plain(byte) || matches!(byte, b'*' | b'#' | b'|' | b'[' | b']' | b'=' | b';')
}

/// 128 bits as the server writes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Uuid(pub u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xffff,
            (n >> 64) & 0xffff,
            (n >> 48) & 0xffff,
            n & 0xffff_ffff_ffff
        )
    }
}

impl Uuid {
    /// Reads one in the spelling that is written here, and in no other.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut value = 0_u128;
        for (place, byte) in bytes.iter().enumerate() {
            let digit = match (place, byte) {
                (8 | 13 | 18 | 23, b'-') => continue,
                (8 | 13 | 18 | 23, _) => return None,
                (_, b'0'..=b'9') => byte - b'0',
                (_, b'a'..=b'f') => byte - b'a' + 10,
                _ => return None,
            };
            value = (value << 4) | u128::from(digit);
        }
        Some(Self(value))
    }
}
