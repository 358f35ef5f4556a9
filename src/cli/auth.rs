//! `--auth`: who we are on a server, with secrets by reference.
//!
//! A text is split at a comma or blank only where a known key follows, and each piece at its first `=`, so that a
//! password may hold all of these.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use ifbus_config::Secret;

use super::errors::Failure;
use super::prompt;

/// The keys a comma or blank may be followed by: what the kinds of server take, and what people write for it.
pub const KEYS: &[&str] = &[
    "user",
    "username",
    "secret",
    "password",
    "apikey",
    "api_key",
    "token",
    "ari_user",
    "ari_secret",
    "ari_password",
    "sip_user",
    "sip_secret",
    "api_user",
    "api_secret",
    "recordings_user",
    "recordings_secret",
    "events_secret",
    "realm",
    "cert",
    "key",
    "ca",
];
/// Keys that name somebody and hide nothing.
const OPEN: &[&str] =
    &["user", "username", "ari_user", "sip_user", "api_user", "recordings_user", "realm", "cert", "ca"];
/// The largest secret: a key file fits.
const BYTES_MAX: u64 = 64 << 10;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// It is asked for on the terminal, unseen.
    Prompt,
    /// The environment variable of this name.
    Env(String),
    /// The content of this file.
    File(PathBuf),
    /// The first line of stdin.
    Stdin,
    /// It stands in the command itself.
    Literal(String),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("prompt"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stdin => f.write_str("-"),
            Self::Literal(_) => f.write_str("***"),
        }
    }
}

/// The pairs of all `--auth` of one command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Auth(pub BTreeMap<String, Source>);

impl Auth {
    /// Splits the texts.
    ///
    /// # Errors
    /// A piece without key or value, or a key given twice. No message holds a value.
    pub fn split(texts: &[String]) -> Result<Self, Failure> {
        let mut auth = Self::default();
        for piece in texts.iter().flat_map(|text| pieces(text)) {
            let Some((key, value)) = piece.split_once('=').filter(|(key, _)| is_key(key)) else {
                let failure = Failure::usage("--auth is written key=value[,key=value...]");
                return Err(failure.with("as in: --auth user=ifbus,secret=prompt"));
            };
            if value.is_empty() {
                return Err(Failure::usage(format!("--auth {key}= has no value")));
            }
            if auth.0.insert(key.to_owned(), source(value)).is_some() {
                return Err(Failure::usage(format!("--auth {key}= is given twice")));
            }
        }
        if auth.0.values().filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Failure::usage("stdin (`-`) can give one secret only"));
        }
        Ok(auth)
    }

    /// The keys whose secrets stand in the command, for whoever looks over a shoulder or into `ps`.
    pub fn exposed(&self) -> Vec<&str> {
        let is_exposed = |(key, source): &(&String, &Source)| {
            matches!(source, Source::Literal(_)) && !OPEN.contains(&key.as_str())
        };
        self.0.iter().filter(is_exposed).map(|(key, _)| key.as_str()).collect()
    }

    /// The environment variables that values come from.
    pub fn variables(&self) -> Vec<&str> {
        let values = self.0.values();
        let names = values.filter_map(|source| match source {
            Source::Env(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The values themselves.
    ///
    /// # Errors
    /// A variable is not set, a file cannot be read, nobody is there to be asked, or a value is empty.
    pub fn resolve(&self, server: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        let value = |(key, from): (&String, &Source)| {
            let value = from.read(&format!("{key} of {server}"))?;
            let value = value.trim_end_matches(['\r', '\n']);
            if value.is_empty() {
                return Err(Failure::usage(format!("--auth {key}={from:?} is empty")));
            }
            Ok((key.clone(), Secret::new(value)))
        };
        self.0.iter().map(value).collect()
    }
}

impl Source {
    fn read(&self, what: &str) -> Result<String, Failure> {
        let no = |why: String| Failure::usage(format!("{what}: {why}"));
        match self {
            Self::Prompt => prompt::hidden(what),
            Self::Env(name) => std::env::var(name).map_err(|_| no(format!("the variable {name} is not set"))),
            Self::File(path) => {
                let file = std::fs::File::open(path).and_then(limited);
                file.map_err(|error| no(format!("{}: {error}", path.display())))
            }
            Self::Stdin => {
                let text = limited(std::io::stdin().lock()).map_err(|error| no(format!("stdin: {error}")))?;
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
            Self::Literal(value) => Ok(value.clone()),
        }
    }
}

fn limited(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn source(value: &str) -> Source {
    match value.split_once(':') {
        Some(("env", name)) => Source::Env(name.to_owned()),
        Some(("file", path)) => Source::File(PathBuf::from(path)),
        _ if value == "prompt" => Source::Prompt,
        _ if value == "-" => Source::Stdin,
        _ => Source::Literal(value.to_owned()),
    }
}

/// Whether a word begins like an `--auth` pair: `add sip pbx1 --auth user=x secret=y` is understood, too.
pub fn is_pair(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| KEYS.contains(&key))
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The pieces between separators: a comma with the blanks after it, or blanks, and then a known key.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(found) = text[at..].find([',', ' ']) {
        let separator = at + found;
        let after = text[separator..].strip_prefix(',').unwrap_or(&text[separator..]).trim_start_matches(' ');
        let next = text.len() - after.len();
        if is_pair(after) {
            pieces.push(&text[begin..separator]);
            begin = next;
            at = next;
        } else {
            at = separator + 1;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}
