//! One line of the engine, taken apart where it stands.

use std::borrow::Cow;

use super::escape::decode;

/// What the engine said in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// The result of a message of ours, under the id we gave it.
    Reply {
        /// Our id, as we wrote it.
        id: &'a [u8],
        /// Whether somebody took it; no failure where a message is for everybody.
        processed: bool,
        /// Its name, which may have changed on the way.
        name: &'a [u8],
        /// What its takers answered, still escaped.
        value: &'a [u8],
        /// Its parameters: ours, and those that were added.
        params: Params<'a>,
    },
    /// A copy of a message that others have dealt with.
    Watched {
        /// Its name.
        name: &'a [u8],
        /// Its parameters.
        params: Params<'a>,
    },
    /// A message we have asked for: a worker of the engine waits for the answer.
    Asked {
        /// The engine's id, to be given back byte for byte.
        id: &'a [u8],
        /// Its name.
        name: &'a [u8],
        /// Its parameters.
        params: Params<'a>,
    },
    /// The answer to `install`, `uninstall`, `watch` or `unwatch`.
    Hooked {
        /// Which of them.
        verb: &'a [u8],
        /// The name of the messages.
        name: &'a [u8],
        /// Whether it was done.
        done: bool,
    },
    /// The answer to `setlocal`; the value is not escaped.
    Local {
        /// Which setting.
        name: &'a [u8],
        /// What it is now.
        value: &'a [u8],
        /// Whether there is such a setting, and it could be set.
        done: bool,
    },
    /// The engine did not understand a line of ours.
    ErrorIn(&'a [u8]),
    /// Anything else.
    Other(&'a [u8]),
}

impl<'a> Line<'a> {
    /// Takes a line apart; it has no line end any more. Whatever does not fit is [`Line::Other`].
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        if let Some(rest) = line.strip_prefix(b"%%<") {
            return Self::answer(rest).unwrap_or(Self::Other(line));
        }
        if let Some(rest) = line.strip_prefix(b"%%>message:") {
            return Self::asked(rest).unwrap_or(Self::Other(line));
        }
        match line.strip_prefix(b"Error in: ").or_else(|| line.strip_prefix(b"Error in:")) {
            Some(rest) => Self::ErrorIn(rest),
            None => Self::Other(line),
        }
    }

    fn answer(line: &'a [u8]) -> Option<Self> {
        let (verb, rest) = cut(line)?;
        match verb {
            b"message" => {
                let (id, rest) = cut(rest)?;
                let (processed, rest) = cut(rest)?;
                let (name, rest) = cut(rest)?;
                let (value, params) = cut(rest).unwrap_or((rest, &[]));
                let (processed, params) = (boolean(processed)?, Params(params));
                Some(match id {
                    b"" => Self::Watched { name, params },
                    _ => Self::Reply { id, processed, name, value, params },
                })
            }
            b"setlocal" => {
                let (name, rest) = cut(rest)?;
                let at = rest.iter().rposition(|byte| *byte == b':')?;
                Some(Self::Local { name, value: &rest[..at], done: boolean(&rest[at + 1..])? })
            }
            b"watch" | b"unwatch" => {
                let (name, done) = cut(rest)?;
                Some(Self::Hooked { verb, name, done: boolean(done)? })
            }
            b"install" | b"uninstall" => {
                let (_, rest) = cut(rest)?;
                let (name, done) = cut(rest)?;
                Some(Self::Hooked { verb, name, done: boolean(done)? })
            }
            _ => None,
        }
    }

    fn asked(line: &'a [u8]) -> Option<Self> {
        let (id, rest) = cut(line)?;
        let (_, rest) = cut(rest)?;
        let (name, rest) = cut(rest)?;
        let params = cut(rest).map_or(&[][..], |(_, params)| params);
        (!id.is_empty()).then_some(Self::Asked { id, name, params: Params(params) })
    }
}

/// The parameters of a message, not yet unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// The first value under a key; keys of interest hold nothing that is escaped. `None` also if the value is not
    /// written as Yate writes it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        let fields = self.0.split(|byte| *byte == b':');
        let value = |field: &'a [u8]| field.strip_prefix(key.as_bytes())?.strip_prefix(b"=");
        decode(fields.filter_map(value).next()?)
    }

    /// Whether there is such a key, with whatever value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The fields as they came.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Every key and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split(|byte| *byte == b':').filter_map(|field| {
            let at = field.iter().position(|byte| *byte == b'=')?;
            Some((decode(&field[..at])?, decode(&field[at + 1..])?))
        })
    }
}

/// The part before the first colon, and the rest.
fn cut(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b':', line)?;
    Some((&line[..at], &line[at + 1..]))
}

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}
