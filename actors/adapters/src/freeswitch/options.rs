//! What an operator tells about a FreeSWITCH, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation. How `Dial`
//! uses the templates: [`crate::template`].

use std::collections::BTreeMap;

use ifbus_call::Kind;
use ifbus_call::address::Form;

use crate::adapter::Secret;
pub use crate::key::{BadOptions, Key};
use crate::key::{
    host, is_loopback, is_of_host, key, known, name, port, required, shown, sip, template, text,
};
use crate::template::Template;

/// The endpoints a template may name. Everything else could run code or loop: `loopback`, `error`, `group`.
pub const TECHNOLOGIES: [&str; 2] = ["sofia", "user"];

/// The longest path or sound.
const PATH_MAX: usize = 200;

/// Every setting of a FreeSWITCH.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key("port", "port of the event socket", "8021", "FreeSWITCH's own default"),
    key(
        "user",
        "name@domain of a directory user with rights of its own; without one the password of the event socket counts",
        "",
        "a server has an event socket password, and only some have such users",
    ),
    key("secret", "password of the event socket, or of that user", "", "never a default password")
        .required()
        .hidden(),
    key(
        "dial_extension",
        "how an extension is dialled",
        "user/{n}",
        "a phone known to the directory by that name",
    ),
    key(
        "dial_e164",
        "how a number is dialled, such as sofia/gateway/trunk/{n}",
        "",
        "the name of a gateway cannot be guessed; {n} keeps the +, {digits} drops it",
    ),
    key(
        "dial_uri",
        "how a SIP URI is dialled, such as sofia/external/{uri}",
        "",
        "the profile decides on address and codecs and cannot be guessed",
    ),
    key("conference", "conference profile of the rooms", "default", "the one FreeSWITCH installs"),
    key(
        "music",
        "what a party on hold hears: local_stream://NAME, tone_stream://TONES or a file on the server",
        "local_stream://moh",
        "what FreeSWITCH installs as music on hold",
    ),
    key(
        "ring",
        "what the first party hears while the second phone rings",
        "tone_stream://%(2000,4000,440,480)",
        "a ringing tone needs no file on the server",
    ),
    key(
        "recordings",
        "folder on the server for recordings",
        "the server's own recordings_dir",
        "it is there and the server may write it",
    ),
    key(
        "fetch",
        "how a recording is fetched: off, socket (a shell command of the server), or http://HOST:PORT/FOLDER",
        "off",
        "the event socket moves no files, and a shell on the server is the operator's choice",
    ),
    key(
        "sip",
        "where SIP is asked for a sign of life: host:port, or off",
        "the host, port 5060",
        "a server whose management answers but whose SIP is dead is dead",
    ),
];

/// How a recording comes here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// Not at all.
    Off,
    /// By `system base64` on a connection of its own.
    Socket,
    /// From a web server beside it.
    Http {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// The path before the file's name, with a slash at its end.
        path: String,
    },
}

/// The settings of one FreeSWITCH, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address.
    pub host: String,
    /// Port of the event socket.
    pub port: u16,
    /// A directory user, if not the password of the event socket counts.
    pub user: Option<String>,
    /// The password.
    pub secret: Secret,
    /// How an extension is dialled.
    pub dial_extension: Option<Template>,
    /// How a number is dialled.
    pub dial_e164: Option<Template>,
    /// How a SIP URI is dialled.
    pub dial_uri: Option<Template>,
    /// Conference profile of the rooms.
    pub conference: String,
    /// What a party on hold hears.
    pub music: String,
    /// What one hears who waits for another phone.
    pub ring: String,
    /// Folder of recordings on the server; the server's own if nothing is said.
    pub recordings: Option<String>,
    /// How a recording comes here.
    pub fetch: Fetch,
    /// Where SIP is asked for a sign of life.
    pub sip: Option<(String, u16)>,
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        known(Kind::FreeSwitch, KEYS, given)?;
        let host = host(given)?;
        let secret = required(given, "secret")?;
        let user = given.get("user").map(|_| name(given, "user", "")).transpose()?;
        if user.as_ref().is_some_and(|user| user.matches('@').count() != 1) {
            return Err(BadOptions::Name("user"));
        }
        Ok(Self {
            port: port(given, "port", 8021, 1)?,
            user,
            secret: Secret::new(secret),
            dial_extension: template(given, "dial_extension", Some("user/{n}"), &TECHNOLOGIES)?,
            dial_e164: template(given, "dial_e164", None, &TECHNOLOGIES)?,
            dial_uri: template(given, "dial_uri", None, &TECHNOLOGIES)?,
            conference: name(given, "conference", "default")
                .ok()
                .filter(|profile| !profile.contains('@'))
                .ok_or(BadOptions::Name("conference"))?,
            music: sound(given, "music", "local_stream://moh")?,
            ring: sound(given, "ring", "tone_stream://%(2000,4000,440,480)")?,
            recordings: given.get("recordings").map(|folder| path(folder)).transpose()?,
            fetch: fetch(given)?,
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
        is_loopback(&self.host)
    }
}

/// A sound that the server plays as often as it has to: the end of a wait is not left to it.
fn sound(given: &BTreeMap<String, String>, key: &'static str, default: &str) -> Result<String, BadOptions> {
    let value = text(given, key, default).map_err(|_| BadOptions::Sound(key))?;
    let known = ["tone_stream://", "local_stream://", "/"].iter().any(|form| value.starts_with(form));
    // `::` would name an application, `$` a variable, and a quote would hold words together
    let means_more = value.contains("::") || value.contains(['$', '\'', '"', '\\', '`']) || !value.is_ascii();
    if !known || means_more {
        return Err(BadOptions::Sound(key));
    }
    let endless = value.starts_with("tone_stream://") && !value.contains(";loops=");
    Ok(if endless { format!("{value};loops=-1") } else { value })
}

/// A path that needs no quotes anywhere, not even in a shell.
pub(super) fn path(folder: &str) -> Result<String, BadOptions> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let folder = folder.trim_end_matches('/');
    let is_path = folder.starts_with('/') && folder.len() <= PATH_MAX && folder.bytes().all(allowed);
    if is_path { Ok(folder.to_owned()) } else { Err(BadOptions::Path("recordings")) }
}

fn fetch(given: &BTreeMap<String, String>) -> Result<Fetch, BadOptions> {
    let value = given.get("fetch").map_or("off", String::as_str);
    match value {
        "off" => return Ok(Fetch::Off),
        "socket" => return Ok(Fetch::Socket),
        _ => {}
    }
    let bad = || BadOptions::Fetch(shown(value, 60));
    let rest = value.strip_prefix("http://").filter(|rest| rest.len() <= PATH_MAX).ok_or_else(bad)?;
    let (at, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match at.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?),
        None => (at, 80),
    };
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'~' | b'%');
    if host.is_empty() || !host.bytes().all(is_of_host) || !path.bytes().all(plain) {
        return Err(bad());
    }
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
    Ok(Fetch::Http { host: host.to_owned(), port, path })
}
