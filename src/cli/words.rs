//! Words of a command line: `from=1001`, an optional server name, `call_id=...`.

use std::collections::BTreeMap;
use std::str::FromStr;

use ifbus_call::{CallId, LegId, RecordingId, ServerName};

use super::errors::Failure;

/// What follows `sip`: at most one name, and pairs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// The server that was named.
    pub server: Option<ServerName>,
    pairs: BTreeMap<String, String>,
}

impl Words {
    /// Sorts the words of `verb`; `known` are the keys it takes.
    ///
    /// # Errors
    /// A key that is not known or given twice, an empty value, or a second name.
    pub fn sort(verb: &str, words: &[String], known: &[&str]) -> Result<Self, Failure> {
        let mut sorted = Self::default();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => sorted.pair(verb, key, value, known)?,
                None if sorted.server.is_none() => sorted.server = Some(server(word)?),
                None => {
                    let detail = format!("`{word}` is one name too many; values are written key=value");
                    return Err(Failure::usage(detail).with(takes(verb, known)));
                }
            }
        }
        Ok(sorted)
    }

    fn pair(&mut self, verb: &str, key: &str, value: &str, known: &[&str]) -> Result<(), Failure> {
        if !known.contains(&key) {
            let failure = Failure::usage(format!("{verb} takes no `{key}=`; nothing was done"));
            let near = ifbus_config::nearest(key, known.iter().copied());
            let near = near.map(|near| format!("did you mean {near}=?   ")).unwrap_or_default();
            return Err(failure.with(format!("{near}{}", takes(verb, known))));
        }
        if value.is_empty() {
            return Err(Failure::usage(format!("{key}= has no value")));
        }
        if self.pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::usage(format!("{key}= is given twice")));
        }
        Ok(())
    }

    /// Refuses a name among the words of a command that takes none there.
    ///
    /// # Errors
    /// There is one.
    pub fn without_name(self, verb: &str, known: &[&str]) -> Result<Self, Failure> {
        match &self.server {
            Some(name) => {
                Err(Failure::usage(format!("`{name}` is one name too many")).with(takes(verb, known)))
            }
            None => Ok(self),
        }
    }

    /// The value of a key, in its form.
    ///
    /// # Errors
    /// It is not of its form.
    pub fn get<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<Option<T>, Failure> {
        let parse =
            |text: &String| text.parse().map_err(|why| Failure::usage(format!("{key}={text}: {why}")));
        self.pairs.get(key).map(parse).transpose()
    }

    /// The value of a key that has to be there.
    ///
    /// # Errors
    /// It is absent or not of its form.
    pub fn need<T: FromStr<Err: std::fmt::Display>>(&self, verb: &str, key: &str) -> Result<T, Failure> {
        let missing = || {
            let failure = Failure::usage(format!("{verb} needs {key}="));
            failure.with(format!("examples: ifbus help examples {verb}"))
        };
        self.get(key)?.ok_or_else(missing)
    }
}

fn takes(verb: &str, known: &[&str]) -> String {
    let keys: Vec<String> = known.iter().map(|key| format!("{key}=")).collect();
    format!("{verb} takes {}", keys.join(", "))
}

/// A server's name.
///
/// # Errors
/// It is not of its form.
pub fn server(text: &str) -> Result<ServerName, Failure> {
    text.parse().map_err(|why| Failure::usage(format!("`{text}`: {why}")))
}

/// A call's id or its ending, or the id of a foreign leg, as the API takes it in a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallWord(pub String);

impl FromStr for CallWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<LegId>().is_ok() {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let ending = text.strip_prefix("c_").unwrap_or(text);
        let is_ending =
            (1..=26).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let whole = text.starts_with("c_");
        match (is_ending, whole) {
            (true, false) => Ok(Self(ending.to_ascii_uppercase())),
            (true, true) if text.parse::<CallId>().is_ok() => Ok(Self(text.to_owned())),
            _ => Err("a call is named by its id (`c_` and 26 characters) or the last characters of it"),
        }
    }
}

/// A recording's id or its ending, as the API takes it in a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingWord(pub String);

impl FromStr for RecordingWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_ending =
            (1..=26).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_ending {
            Ok(Self(text.to_ascii_uppercase()))
        } else if text.parse::<RecordingId>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err("a recording is named by its id (`rec_` and 26 characters) or the last characters of it")
        }
    }
}

/// A member of a conference: its id (`c_...a`), the ending of it, or a call with one leg in there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberWord(pub String);

impl FromStr for MemberWord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        // A name of dots alone would be another place in a path.
        let has_name = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
        if text.len() <= 40 && has_name && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a member is named by its id (a call's id, a dot and a letter) or the last characters of it")
        }
    }
}

/// `yes` or `no`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct YesNo(pub bool);

impl FromStr for YesNo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "yes" => Ok(Self(true)),
            "no" => Ok(Self(false)),
            _ => Err("yes or no"),
        }
    }
}

/// A time in seconds: `30` or `30s`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Seconds(pub f64);

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>();
        match number {
            Ok(seconds) if (1.0..=120.0).contains(&seconds) => Ok(Self(seconds)),
            _ => Err("seconds from 1 to 120"),
        }
    }
}

/// A party of a call: `a`, `b` or `c`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party(pub String);

impl FromStr for Party {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match ifbus_call::Role::from_letter(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("a party is a (rung first), b (rung second) or c (the target of a transfer)"),
        }
    }
}

/// A direction of a party: `in` or `out`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way(pub String);

impl FromStr for Way {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "in" | "out" => Ok(Self(text.to_owned())),
            _ => Err("a direction is in (what the party says) or out (what it hears)"),
        }
    }
}
