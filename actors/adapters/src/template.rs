//! How an address becomes a channel to dial: `PJSIP/{n}`, `PJSIP/{n}@trunk`, `sofia/external/{uri}`.
//!
//! A template comes from the operator, an address from anybody; [`Address`] has refused what could leave its place.

use std::fmt;

use ifbus_call::Address;

/// The longest channel sent: Asterisk cuts silently at 255 bytes (sheet, section 4).
pub const CHANNEL_MAX: usize = 250;

/// Why a template cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It names another technology, or none.
    #[error("a template begins with one of {}, each followed by `/`", .0.join(", "))]
    Technology(&'static [&'static str]),
    /// The place of the address is missing or there twice.
    #[error("a template has exactly one of {{n}}, {{digits}}, {{uri}}")]
    Place,
    /// A character that a channel name cannot carry.
    #[error("a template cannot contain {0:?}")]
    Character(char),
    /// Longer than 100 bytes.
    #[error("a template has at most 100 bytes")]
    TooLong,
}

/// A checked template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    before: String,
    place: Place,
    after: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// The address as it is.
    Whole,
    /// Without the `+`.
    Digits,
}

impl Template {
    /// Checks a template. `technologies` are the only ones it may name: everything else could run code or loop.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(text: &str, technologies: &'static [&'static str]) -> Result<Self, BadTemplate> {
        if text.len() > 100 {
            return Err(BadTemplate::TooLong);
        }
        let technology = text.split('/').next().unwrap_or_default();
        if !technologies.contains(&technology) || technology.len() == text.len() {
            return Err(BadTemplate::Technology(technologies));
        }
        let places = [("{n}", Place::Whole), ("{uri}", Place::Whole), ("{digits}", Place::Digits)];
        let (mark, place) =
            places.into_iter().find(|(mark, _)| text.contains(mark)).ok_or(BadTemplate::Place)?;
        let (before, after) = text.split_once(mark).ok_or(BadTemplate::Place)?;
        if places.iter().any(|(mark, _)| before.contains(mark) || after.contains(mark)) {
            return Err(BadTemplate::Place);
        }
        let allowed = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '_' | '.' | '/' | '@' | ':' | '+' | '*' | '#' | '=')
        };
        match before.chars().chain(after.chars()).find(|c| !allowed(*c)) {
            Some(wrong) => Err(BadTemplate::Character(wrong)),
            None => Ok(Self { before: before.to_owned(), place, after: after.to_owned() }),
        }
    }

    /// The channel to dial; `None` if it would be too long for the server.
    #[must_use]
    pub fn channel(&self, address: &Address) -> Option<String> {
        let text = match self.place {
            Place::Whole => address.as_str(),
            Place::Digits => address.as_str().trim_start_matches('+'),
        };
        let channel = format!("{}{text}{}", self.before, self.after);
        (channel.len() <= CHANNEL_MAX).then_some(channel)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.place {
            Place::Whole => "{n}",
            Place::Digits => "{digits}",
        };
        write!(f, "{}{mark}{}", self.before, self.after)
    }
}
