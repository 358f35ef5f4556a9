//! Actions to bytes; a value that could become a line of its own never leaves.

use std::fmt::{self, Write as _};

/// The longest line sent, key included: Asterisk refuses 1024 and then answers without our ActionID (sheet, section 2).
pub const SENT_LINE_MAX: usize = 1000;

/// Why an action was not built. The value itself is not shown: it may be hostile or secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A control character would end the line, cut the value or begin another action.
    #[error("{key} holds a control character")]
    Control {
        /// The key of the line.
        key: &'static str,
    },
    /// The server would refuse the whole action.
    #[error("the line {key} would have {bytes} bytes, {SENT_LINE_MAX} are allowed")]
    TooLong {
        /// The key of the line.
        key: &'static str,
        /// How long it would be.
        bytes: usize,
    },
}

/// An action that is being written.
#[derive(Debug)]
pub struct Action {
    bytes: Text,
    unfit: Option<Unfit>,
}

/// So that `write!` needs no second buffer.
#[derive(Debug)]
struct Text(Vec<u8>);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Action {
    /// Begins the action `name`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { bytes: Text(Vec::with_capacity(512)), unfit: None }.with("Action", name)
    }

    /// Adds a line. Control characters and over-long lines are remembered and refused by [`Action::finish`].
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let line = self.bytes.0.len();
        let begin = line + key.len() + 2;
        write!(self.bytes, "{key}: {value}").expect("a vector takes everything");
        let written = &self.bytes.0[begin..];
        let length = self.bytes.0.len() - line;
        if written.iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
            self.unfit.get_or_insert(Unfit::Control { key });
        } else if length > SENT_LINE_MAX {
            self.unfit.get_or_insert(Unfit::TooLong { key, bytes: length });
        }
        self.bytes.0.extend_from_slice(b"\r\n");
        self
    }

    /// The bytes, or why they must not be sent.
    ///
    /// # Errors
    ///
    /// The first line that was unfit.
    pub fn finish(mut self) -> Result<Vec<u8>, Unfit> {
        if let Some(unfit) = self.unfit {
            return Err(unfit);
        }
        self.bytes.0.extend_from_slice(b"\r\n");
        Ok(self.bytes.0)
    }
}
