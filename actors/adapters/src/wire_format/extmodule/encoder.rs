//! Lines of ours. A value that is unfit never becomes a line.

use std::fmt;

use super::escape::encode;

/// The longest line of ours: the engine closes the connection at 8192 bytes before its buffer is set larger (sheet
/// yate, section 1), and nothing of ours comes near.
const LINE_MAX: usize = 8000;

/// Why a message cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A control character in a value.
    #[error("`{0}` holds a control character")]
    Control(&'static str),
    /// Longer than the engine takes.
    #[error("the message is longer than {LINE_MAX} bytes")]
    TooLong,
}

/// The engine's name of a channel: a driver, a slash and something after it. A drop without one, or with the name of
/// a driver alone, ends every call of the switch: no such value can be made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Channel(Box<str>);

impl Channel {
    /// The longest name taken; real ones have ten characters, rooms are named by us.
    const LENGTH_MAX: usize = 120;

    /// Reads a name of a channel.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let (driver, rest) = name.split_once('/')?;
        let sound = !driver.is_empty()
            && driver.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && !rest.is_empty()
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
            && name.len() <= Self::LENGTH_MAX;
        sound.then(|| Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the slash.
    #[must_use]
    pub fn driver(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The messages we send. A drop is not among them: see [`Command::drop`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// `call.execute`
    Execute,
    /// `chan.connect`
    Connect,
    /// `chan.control`
    Control,
    /// `chan.dtmf`
    Dtmf,
    /// `engine.status`
    Status,
}

impl Name {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "call.execute",
            Self::Connect => "chan.connect",
            Self::Control => "chan.control",
            Self::Dtmf => "chan.dtmf",
            Self::Status => "engine.status",
        }
    }
}

/// A message that is being written.
#[derive(Debug)]
pub struct Command {
    line: String,
    unfit: Option<Unfit>,
}

impl Command {
    /// Begins a message under an id of ours, to be carried out now.
    #[must_use]
    pub fn new(id: u128, name: Name) -> Self {
        Self::begin(id, name.as_str())
    }

    /// Begins a message to be carried out as if `channel` had sent it.
    #[must_use]
    pub fn of(id: u128, channel: &Channel, message: &'static str) -> Self {
        Self::begin(id, "chan.masquerade").with("id", channel).with("message", message)
    }

    /// Ends one channel.
    #[must_use]
    pub fn drop(id: u128, channel: &Channel, reason: &str) -> Self {
        Self::begin(id, "call.drop").with("id", channel).with("reason", reason)
    }

    fn begin(id: u128, name: &str) -> Self {
        Self { line: format!("%%>message:{id:032x}:0:{name}:"), unfit: None }
    }

    /// Adds a parameter. Keys are our own words: none holds what would have to be escaped.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        if value.chars().any(char::is_control) {
            self.unfit = self.unfit.or(Some(Unfit::Control(key)));
            return self;
        }
        self.line.push(':');
        self.line.push_str(key);
        self.line.push('=');
        self.line.push_str(&encode(&value));
        self
    }

    /// The same message under another id.
    #[must_use]
    pub fn under(mut self, id: u128) -> Self {
        let begun = "%%>message:".len();
        self.line.replace_range(begun..begun + 32, &format!("{id:032x}"));
        self
    }

    /// The line to send.
    ///
    /// # Errors
    ///
    /// If a value is unfit or the line too long.
    pub fn finish(mut self) -> Result<Vec<u8>, Unfit> {
        if let Some(unfit) = self.unfit {
            return Err(unfit);
        }
        self.line.push('\n');
        if self.line.len() > LINE_MAX { Err(Unfit::TooLong) } else { Ok(self.line.into_bytes()) }
    }
}

/// Sets something about this connection.
#[must_use]
pub fn local(name: &'static str, value: &'static str) -> Vec<u8> {
    format!("%%>setlocal:{name}:{value}\n").into_bytes()
}

/// Asks for something about the engine.
#[must_use]
pub fn query(name: &str) -> Vec<u8> {
    format!("%%>setlocal:{name}:\n").into_bytes()
}

/// Asks for copies of the messages of a name.
#[must_use]
pub fn watch(name: &'static str) -> Vec<u8> {
    format!("%%>watch:{name}\n").into_bytes()
}

/// Asks to be asked about the messages of a name, if a parameter has a value.
#[must_use]
pub fn install(priority: u8, name: &'static str, filter: Option<(&'static str, &'static str)>) -> Vec<u8> {
    match filter {
        Some((key, value)) => format!("%%>install:{priority}:{name}:{key}:{value}\n"),
        None => format!("%%>install:{priority}:{name}\n"),
    }
    .into_bytes()
}

/// Takes that back.
#[must_use]
pub fn uninstall(name: &'static str) -> Vec<u8> {
    format!("%%>uninstall:{name}\n").into_bytes()
}

/// Answers a message we were asked about. The id goes back as it came; the engine takes the short form only with the
/// last colon (sheet yate, section 2), so the long one is used.
#[must_use]
pub fn answer(id: &[u8], processed: bool, rest: &'static str) -> Vec<u8> {
    let mut line = b"%%<message:".to_vec();
    line.extend_from_slice(id);
    line.extend_from_slice(if processed { b":true::" } else { b":false::" });
    line.extend_from_slice(rest.as_bytes());
    line.push(b'\n');
    line
}
