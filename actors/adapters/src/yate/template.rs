//! How an address becomes a party to call: `{n}`, `sip/sip:{n}@host:port`, `line:account/{n}`.
//!
//! A template comes from the operator, an address from anybody; [`Address`] has refused what could leave its place.

use std::fmt;
use std::str::FromStr;

use ifbus_call::Address;

/// The drivers a template may name: those that lead to a telephone. Others play files or start programs.
pub const DRIVERS: [&str; 3] = ["sip/", "iax/", "h323/"];

/// The longest party sent: a line of ours stays far below what the engine takes.
pub const PARTY_MAX: usize = 250;

/// Why a template cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It names another driver, or none.
    #[error("a template is {{n}}, line:ACCOUNT/{{n}}, or begins with one of {}", DRIVERS.join(", "))]
    Driver,
    /// The place of the address is missing or there twice.
    #[error("a template has exactly one of {{n}}, {{digits}}, {{uri}}")]
    Place,
    /// A character that a party cannot carry.
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
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// The address as it is.
    Whole,
    /// Without the `+`.
    Digits,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Way {
    /// The server's own routing.
    Routed,
    /// A party named whole.
    Direct,
    /// Through an account the server has registered.
    Line(String),
}

/// Whom to call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The party, where the server's routing is not asked.
    pub direct: Option<String>,
    /// What is called: the number the server's routing is asked for.
    pub called: String,
    /// The account of the server to call through.
    pub line: Option<String>,
}

impl Template {
    /// `{n}`: the server's own routing knows its phones.
    #[must_use]
    pub fn routed() -> Self {
        Self { before: String::new(), place: Place::Whole, after: String::new(), way: Way::Routed }
    }

    /// Whether the server's own routing decides.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.way == Way::Routed
    }

    /// Whom to call; `None` if it would be too long.
    #[must_use]
    pub fn party(&self, address: &Address) -> Option<Party> {
        let text = match self.place {
            Place::Whole => address.as_str(),
            Place::Digits => address.as_str().trim_start_matches('+'),
        };
        let filled = format!("{}{text}{}", self.before, self.after);
        if filled.len() > PARTY_MAX {
            return None;
        }
        Some(match &self.way {
            Way::Routed => Party { direct: None, called: filled, line: None },
            Way::Direct => Party { direct: Some(filled), called: text.to_owned(), line: None },
            Way::Line(account) => Party {
                direct: Some(format!("line/{filled}")),
                called: text.to_owned(),
                line: Some(account.clone()),
            },
        })
    }
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        if text.len() > 100 {
            return Err(BadTemplate::TooLong);
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
                || matches!(c, '-' | '_' | '.' | '/' | '@' | ':' | '+' | '*' | '#' | '=' | '[' | ']')
        };
        if let Some(wrong) = before.chars().chain(after.chars()).find(|c| !allowed(*c)) {
            return Err(BadTemplate::Character(wrong));
        }
        let (before, way) = match before.strip_prefix("line:").map(|rest| rest.split_once('/')) {
            Some(Some((account, rest))) if !account.is_empty() => (rest, Way::Line(account.to_owned())),
            Some(_) => return Err(BadTemplate::Driver),
            None if before.is_empty() && after.is_empty() => ("", Way::Routed),
            None if DRIVERS.iter().any(|driver| before.starts_with(driver)) => (before, Way::Direct),
            None => return Err(BadTemplate::Driver),
        };
        Ok(Self { before: before.to_owned(), place, after: after.to_owned(), way })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.place {
            Place::Whole => "{n}",
            Place::Digits => "{digits}",
        };
        if let Way::Line(account) = &self.way {
            write!(f, "line:{account}/")?;
        }
        write!(f, "{}{mark}{}", self.before, self.after)
    }
}
