//! How a configuration file is read, and how its mistakes are shown: file, line, column, excerpt, what was expected.
//!
//! Secrets are not resolved here, so a file can be checked on a machine that does not have them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ifbus_call::ServerName;
use miette::{Diagnostic, NamedSource, SourceSpan};
use toml::de::DeTable;

use crate::complaint;
use crate::mask::{is_user, masked};
use crate::schema::{Config, Server, Token};
use crate::secrets::Reference;

/// The largest file that is read: a fleet of thousands fits.
const BYTES_MAX: u64 = 4 << 20;
/// The longest host name there is (RFC 1035).
const HOST_MAX: usize = 253;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum BadConfig {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(Box<Mistake>),
}

/// A mistake in a file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{name}:{line}:{column}: {message}")]
pub struct Mistake {
    /// The file, as it was named.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What to write instead.
    #[help]
    pub help: Option<String>,
    #[source_code]
    excerpt: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or something in it is wrong.
pub fn load(path: &Path) -> Result<Config, BadConfig> {
    let unreadable = |source| BadConfig::Unreadable { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("{size} bytes are more than a configuration has"))));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    parse(&text, &path.display().to_string())
}

/// Reads a text; `name` is the file it came from, for messages.
///
/// # Errors
/// Something in it is wrong.
pub fn parse(text: &str, name: &str) -> Result<Config, BadConfig> {
    let file = File { text, name };
    let config: Config = toml::from_str(text).map_err(|error| file.refused(&error))?;
    file.check(&config)?;
    Ok(config)
}

/// Refuses a configuration with a server that was also added by hand: one name, one description.
///
/// # Errors
/// The first name that is in both, shown where the file has it.
pub fn refuse_clash<'a>(
    text: &str,
    name: &str,
    config: &Config,
    added: impl IntoIterator<Item = &'a ServerName>,
) -> Result<(), BadConfig> {
    let file = File { text, name };
    match added.into_iter().find(|added| config.servers.contains_key(*added)) {
        None => Ok(()),
        Some(both) => Err(file.mistake(
            &["servers", both.as_str()],
            format!("the server `{both}` was also added by hand"),
            format!("rename it here, or do: ifbus remove sip {both}"),
        )),
    }
}

struct File<'a> {
    text: &'a str,
    name: &'a str,
}

impl File<'_> {
    /// What the parser or a type refused.
    fn refused(&self, error: &toml::de::Error) -> BadConfig {
        let span = error.span().unwrap_or(0..0);
        match complaint::unknown(error.message()) {
            Some(unknown) => {
                let what = if error.message().contains("variant") { "value" } else { "key" };
                self.at(span, format!("there is no {what} `{}` here", unknown.word), Some(unknown.hint()))
            }
            None => self.at(span, complaint::without_value(error.message()), None),
        }
    }

    /// What only the whole can tell.
    fn check(&self, config: &Config) -> Result<(), BadConfig> {
        let mut folded = BTreeMap::new();
        for (name, server) in &config.servers {
            if let Some(other) = folded.insert(name.as_str().to_ascii_lowercase(), name) {
                let message = format!("`{other}` and `{name}` differ in capitals only");
                return Err(self.mistake(
                    &["servers", name.as_str()],
                    message,
                    "rename one of them".to_owned(),
                ));
            }
            self.check_server(name.as_str(), server)?;
        }
        for (name, token) in &config.tokens {
            self.check_token(name, token)?;
        }
        for host in &config.hosts {
            if !is_host(
                host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name.trim_matches(['[', ']'])),
            ) {
                let help = "a Host header: name or address, with `:port` where clients send one".to_owned();
                return Err(self.mistake(&["hosts"], "a host is not of its form".to_owned(), help));
            }
        }
        for (key, value) in [("events", config.limits.events), ("connections", config.limits.connections)] {
            if value == 0 {
                let message = format!("limits.{key} cannot be 0");
                return Err(self.mistake(
                    &["limits", key],
                    message,
                    "leave it out for the default".to_owned(),
                ));
            }
        }
        Ok(())
    }

    fn check_server(&self, name: &str, server: &Server) -> Result<(), BadConfig> {
        let at = |key: &str, message: &str, help: &str| {
            Err(self.mistake(&["servers", name, key], message.to_owned(), help.to_owned()))
        };
        if !is_host(&server.host) {
            return at("host", "host is not a name or address", "the port has a key of its own: port");
        }
        if server.port == Some(0) {
            return at("port", "port cannot be 0", "leave it out for the kind's own default");
        }
        if server.capacity == Some(0) {
            return at("capacity", "capacity cannot be 0", "to place no call there, leave the server out");
        }
        if server.cps.is_some_and(|cps| !(cps.is_finite() && cps > 0.0)) {
            return at("cps", "cps is a number above 0", "new calls a second, as in cps = 2.5");
        }
        for (key, reference) in &server.auth {
            self.check_reference(&["servers", name, "auth", key], reference, is_user(key))?;
        }
        Ok(())
    }

    fn check_token(&self, name: &str, token: &Token) -> Result<(), BadConfig> {
        let path = ["tokens", name];
        if name.is_empty() || name.len() > ServerName::LENGTH_MAX || name.chars().any(char::is_control) {
            let help = "1 to 40 characters; it is shown in logs".to_owned();
            return Err(self.mistake(&path, "a token's name is not of its form".to_owned(), help));
        }
        if token.scopes.is_empty() {
            let all = crate::schema::Scope::ALL.map(crate::schema::Scope::as_str).join(", ");
            return Err(self.mistake(
                &path,
                format!("the token `{name}` has no scopes"),
                format!("known: {all}"),
            ));
        }
        self.check_reference(&["tokens", name, "secret"], &token.secret, false)
    }

    fn check_reference(&self, path: &[&str], reference: &Reference, literal: bool) -> Result<(), BadConfig> {
        let key = path[path.len() - 1];
        let (message, help) = match reference {
            Reference::Literal(_) if !literal => (
                format!("`{key}` is written out; a configuration file holds no secrets"),
                format!("{key} = \"env:NAME\" for an environment variable, \"file:PATH\" for a file"),
            ),
            Reference::Env(name) if !is_variable(name) => (
                format!("`{key}` names no environment variable"),
                "env:NAME, as in env:PBX1_SECRET".to_owned(),
            ),
            Reference::File(file) if file.as_os_str().is_empty() => {
                (format!("`{key}` names no file"), "file:PATH, relative to this file".to_owned())
            }
            _ => return Ok(()),
        };
        Err(self.mistake(path, message, help))
    }

    // --- pointing ---

    fn mistake(&self, path: &[&str], message: String, help: String) -> BadConfig {
        self.at(self.find(path), message, Some(help))
    }

    fn at(&self, span: Range<usize>, message: String, help: Option<String>) -> BadConfig {
        let start = span.start.min(self.text.len());
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        BadConfig::Wrong(Box::new(Mistake {
            name: self.name.to_owned(),
            message,
            line: before.matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            help,
            excerpt: NamedSource::new(self.name, masked(self.text)).with_language("TOML"),
            span: (start..span.end.clamp(start, self.text.len())).into(),
        }))
    }

    /// Where the file has this path, or as much of it as it has.
    fn find(&self, path: &[&str]) -> Range<usize> {
        let Ok(document) = DeTable::parse(self.text) else { return 0..0 };
        let mut table = Some(document.get_ref());
        let mut span = 0..0;
        for part in path {
            let found = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref().as_ref() == *part));
            let Some((key, value)) = found else { break };
            span = key.span();
            table = value.get_ref().as_table();
        }
        span
    }
}

/// Whether this is a name, an IPv4 address or an IPv6 address without brackets.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let named = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    !text.is_empty() && text.len() <= HOST_MAX && (named || text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
