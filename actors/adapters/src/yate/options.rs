//! What an operator tells about a Yate, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation. How `Dial`
//! uses the templates: [`super::template`].

use std::collections::BTreeMap;

use ifbus_call::address::Form;

use super::template::{BadTemplate, Template};
use crate::key::{Key, key};

/// The port `ifbus setup yate` prints; Yate itself has none.
pub const PORT: u16 = 5039;

/// Every setting of a Yate.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key(
        "port",
        "port of the external module listener",
        "5039",
        "the one `ifbus setup yate` prints; Yate itself has none",
    ),
    key(
        "sounds",
        "folder on the server with silence.slin and music.slin",
        "/var/lib/yate/ifbus",
        "the one setup prints",
    ),
    key(
        "recordings",
        "folder on the server that recordings are written to",
        "/var/spool/yate/ifbus",
        "the one setup prints",
    ),
    key(
        "files",
        "where that folder is served, such as http://10.0.0.5:8088/ifbus",
        "",
        "Yate has no way to hand out a file; without it recordings stay on the server",
    ),
    key(
        "dial_extension",
        "how an extension is called",
        "{n}",
        "the server's own routing knows its phones; \
         sip/sip:{n}@host:port goes past it",
    ),
    key(
        "dial_e164",
        "how a number is called, such as line:account/{n}",
        "",
        "the name of an account cannot be guessed; {n} keeps the +, {digits} drops it",
    ),
    key(
        "dial_uri",
        "how a SIP URI is called, such as sip/{uri}",
        "",
        "whether the server may call anywhere is the operator's to say",
    ),
    key(
        "sip",
        "where SIP is asked for a sign of life: host:port, or off",
        "the host, port 5060",
        "a server whose \
         management answers but whose SIP is dead is dead",
    ),
];

/// Why settings are not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOptions {
    /// A required key is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// There is no such key.
    #[error("yate has no setting `{0}`")]
    UnknownKey(String),
    /// A port that is none.
    #[error("`port` is a port from 1 to 65535, not `{0}`")]
    Port(String),
    /// Neither a name nor an address.
    #[error("`host` is a name or an address")]
    Host,
    /// No folder.
    #[error("`{0}` is an absolute path of at most 100 letters, digits, and any of - _ . /")]
    Folder(&'static str),
    /// No URL of ours.
    #[error("`files` is http://HOST[:PORT][/PATH], not `{0}`")]
    Files(String),
    /// A template that cannot work.
    #[error("`{key}`: {why}")]
    Template {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        why: BadTemplate,
    },
    /// Neither `host:port` nor `off`.
    #[error("`sip` is host:port or off, not `{0}`")]
    Sip(String),
}

/// The settings of one Yate, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address.
    pub host: String,
    /// Port of the listener.
    pub port: u16,
    /// Folder of the two sounds, without a slash at its end.
    pub sounds: String,
    /// Folder of recordings, without a slash at its end.
    pub recordings: String,
    /// Where recordings are served.
    pub files: Option<Files>,
    /// How an extension is called.
    pub dial_extension: Option<Template>,
    /// How a number is called.
    pub dial_e164: Option<Template>,
    /// How a SIP URI is called.
    pub dial_uri: Option<Template>,
    /// Where SIP is asked for a sign of life.
    pub sip: Option<(String, u16)>,
}

/// A file server of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the folder, without a slash at its end.
    pub path: String,
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        if let Some(unknown) = given.keys().find(|name| KEYS.iter().all(|key| key.name != name.as_str())) {
            return Err(BadOptions::UnknownKey(shown(unknown, 60)));
        }
        let host = given.get("host").ok_or(BadOptions::Missing("host"))?.clone();
        if !is_host(&host) {
            return Err(BadOptions::Host);
        }
        Ok(Self {
            port: port(given)?,
            sounds: folder(given, "sounds", "/var/lib/yate/ifbus")?,
            recordings: folder(given, "recordings", "/var/spool/yate/ifbus")?,
            files: given.get("files").map(|url| files(url)).transpose()?,
            dial_extension: Some(template(given, "dial_extension")?.unwrap_or_else(Template::routed)),
            dial_e164: template(given, "dial_e164")?,
            dial_uri: template(given, "dial_uri")?,
            sip: sip(given, &host)?,
            host,
        })
    }

    /// The template for a form of address, if the operator gave one.
    #[must_use]
    pub fn template(&self, form: Form) -> Option<&Template> {
        match form {
            Form::Extension => self.dial_extension.as_ref(),
            Form::E164 => self.dial_e164.as_ref(),
            Form::Uri => self.dial_uri.as_ref(),
        }
    }

    /// Whether the server is on this machine, where clear text is read by nobody else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

fn port(given: &BTreeMap<String, String>) -> Result<u16, BadOptions> {
    let Some(value) = given.get("port") else { return Ok(PORT) };
    let port = value.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| BadOptions::Port(shown(value, 20)))
}

fn folder(given: &BTreeMap<String, String>, key: &'static str, default: &str) -> Result<String, BadOptions> {
    let value = given.get(key).map_or(default, String::as_str);
    let value = value.trim_end_matches('/');
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let is_folder = value.starts_with('/')
        && value.len() <= 100
        && value.bytes().all(sound)
        && value.split('/').all(|part| part != "..");
    if is_folder { Ok(value.to_owned()) } else { Err(BadOptions::Folder(key)) }
}

fn files(url: &str) -> Result<Files, BadOptions> {
    let bad = || BadOptions::Files(shown(url, 80));
    let rest = url.strip_prefix("http://").filter(|rest| rest.len() <= 200).ok_or_else(bad)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority, 80).ok_or_else(bad)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'~');
    if !path.bytes().all(sound) || path.split('/').any(|part| part == "..") {
        return Err(bad());
    }
    Ok(Files { host, port, path: path.trim_end_matches('/').to_owned() })
}

/// The beginning of a value, so that an error can be printed whatever it holds.
fn shown(value: &str, most: usize) -> String {
    value.chars().take(most).flat_map(char::escape_debug).collect()
}

fn template(given: &BTreeMap<String, String>, key: &'static str) -> Result<Option<Template>, BadOptions> {
    let parsed = given.get(key).map(|value| value.parse::<Template>()).transpose();
    parsed.map_err(|why| BadOptions::Template { key, why })
}

/// A name, an IPv4 or an IPv6 address.
fn is_host(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'_');
    (1..=100).contains(&text.len()) && text.bytes().all(sound)
}

fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let inner =
        |name: &str| name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (name, port.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        _ => (text, default),
    };
    let bare = inner(name);
    // an address with colons is known from its brackets alone
    let name = match bare {
        Some(name) => name,
        None if name.contains(':') => return None,
        None => name.to_owned(),
    };
    is_host(&name).then_some((name, port))
}

fn sip(given: &BTreeMap<String, String>, host: &str) -> Result<Option<(String, u16)>, BadOptions> {
    match given.get("sip").map(String::as_str) {
        None => Ok(Some((host.to_owned(), 5060))),
        Some("off") => Ok(None),
        Some(value) => {
            let named = value.rsplit_once(':').is_some().then(|| host_and_port(value, 5060)).flatten();
            named.map(Some).ok_or_else(|| BadOptions::Sip(shown(value, 60)))
        }
    }
}
