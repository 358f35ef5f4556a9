//! What an operator tells about a Yate, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation. How `Dial`
//! uses the templates: [`Party::of`].

use std::collections::BTreeMap;

use ifbus_call::address::Form;
use ifbus_call::{Address, Kind};

use crate::key::{self, BadOptions, Key, key, shown};
use crate::template::Template;

/// Where a template may lead: the server's own routing, an account it has registered, and drivers that lead to a
/// telephone. Others play files or start programs.
const WAYS: [&str; 5] = ["route", "line", "sip", "iax", "h323"];

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
        "fetch",
        "where that folder is served: http://HOST:PORT/PATH, or off",
        "off",
        "Yate has no way to hand out a file; without a file server recordings stay there",
    ),
    key(
        "dial_extension",
        "how an extension is called",
        "route/{n}",
        "the server's own routing knows its phones; \
         sip/sip:{n}@host:port goes past it",
    ),
    key(
        "dial_e164",
        "how a number is called, such as line/account/{n}",
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

/// Whom to call, in the engine's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The party, where the server's routing is not asked.
    pub direct: Option<String>,
    /// What is called: the number the server's routing is asked for.
    pub called: String,
    /// The account of the server to call through.
    pub line: Option<String>,
}

impl Party {
    /// Whom a template makes of an address; `None` if it would be too long.
    #[must_use]
    pub fn of(template: &Template, address: &Address) -> Option<Self> {
        let filled = template.channel(address)?;
        if let Some(called) = filled.strip_prefix("route/") {
            return Some(Self { direct: None, called: called.to_owned(), line: None });
        }
        let called = address.as_str().to_owned();
        let account = filled.strip_prefix("line/").and_then(|rest| rest.split_once('/'));
        Some(match account {
            Some((line, number)) => {
                Self { direct: Some(format!("line/{number}")), called, line: Some(line.to_owned()) }
            }
            None => Self { direct: Some(filled), called, line: None },
        })
    }
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        key::known(Kind::Yate, KEYS, given)?;
        let host = key::host(given)?;
        let template = |name, default| key::template(given, name, default, &WAYS);
        Ok(Self {
            port: key::port(given, "port", PORT, 1)?,
            sounds: folder(given, "sounds", "/var/lib/yate/ifbus")?,
            recordings: folder(given, "recordings", "/var/spool/yate/ifbus")?,
            files: fetch(given)?,
            dial_extension: template("dial_extension", Some("route/{n}"))?,
            dial_e164: template("dial_e164", None)?,
            dial_uri: template("dial_uri", None)?,
            sip: key::sip(given, &host)?,
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
        key::is_loopback(&self.host)
    }
}

fn folder(given: &BTreeMap<String, String>, key: &'static str, default: &str) -> Result<String, BadOptions> {
    let value = given.get(key).map_or(default, String::as_str).trim_end_matches('/');
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let is_folder = value.starts_with('/')
        && value.len() <= 100
        && value.bytes().all(sound)
        && value.split('/').all(|part| part != "..");
    if is_folder { Ok(value.to_owned()) } else { Err(BadOptions::Path(key)) }
}

fn fetch(given: &BTreeMap<String, String>) -> Result<Option<Files>, BadOptions> {
    match given.get("fetch").map(String::as_str) {
        None | Some("off") => Ok(None),
        Some(url) => files(url).map(Some).ok_or_else(|| BadOptions::Fetch(shown(url, 80))),
    }
}

fn files(url: &str) -> Option<Files> {
    let rest = url.strip_prefix("http://").filter(|rest| rest.len() <= 200)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (authority, 80),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    // an address with colons is told from a port by its brackets alone
    if bare.is_none() && host.contains(':') {
        return None;
    }
    let host = bare.unwrap_or(host);
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'~');
    let is_sound = !host.is_empty()
        && host.bytes().all(key::is_of_host)
        && path.bytes().all(sound)
        && path.split('/').all(|part| part != "..");
    is_sound.then(|| Files { host: host.to_owned(), port, path: path.trim_end_matches('/').to_owned() })
}
