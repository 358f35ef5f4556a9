//! What an operator tells about an Asterisk, checked before anything is connected.
//!
//! One table, [`KEYS`], is the source for the command line, the configuration file and the documentation. How `Dial`
//! uses the templates: [`crate::template`].

use std::collections::BTreeMap;

use ifbus_call::Kind;
use ifbus_call::address::Form;

use super::dialect::{self, Dialect};
use super::files::Files;
use crate::adapter::Secret;
pub use crate::key::{BadOptions, Key, Tls};
use crate::key::{host, is_loopback, key, known, name, port, required, sip, template, text, tls};
use crate::template::Template;

/// The channel technologies a template may name. Everything else could run code or loop: `Local`, `AsyncGoto`.
pub const TECHNOLOGIES: [&str; 4] = ["PJSIP", "SIP", "IAX2", "DAHDI"];

/// Every setting of an Asterisk.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key("port", "port of the manager interface (AMI)", "5038, with TLS 5039", "Asterisk's own defaults"),
    key("user", "AMI user", "ifbus", "the name `ifbus setup asterisk` prints"),
    key("secret", "password of the AMI user", "", "never a default password").required().hidden(),
    key(
        "ari_port",
        "port of the HTTP interface with ARI; 0 = AMI alone",
        "8088, with TLS 8089",
        "Asterisk's own defaults; ARI's event \
         stream cannot be forged by a caller, AMI's can",
    ),
    key("ari_user", "ARI user", "the AMI user", "one name for both is what setup prints"),
    key(
        "ari_secret",
        "password of the ARI user",
        "the AMI secret",
        "one secret for both is what setup prints",
    )
    .hidden(),
    key(
        "tls",
        "how AMI and ARI prove who they are: off, pin, pin:SHA256 or ca:FILE",
        "off",
        "as Asterisk installs itself; off this machine clear text is warned of",
    ),
    key("context", "dialplan context that holds the five waiting places", "ifbus", "the one setup prints"),
    key(
        "dial_extension",
        "how an extension is dialled",
        "PJSIP/{n}",
        "a phone known to the server by that name",
    ),
    key(
        "dial_e164",
        "how a number is dialled, such as PJSIP/{n}@trunk",
        "",
        "the name of a trunk cannot be guessed; \
         {n} keeps the +, {digits} drops it",
    ),
    key(
        "dial_uri",
        "how a SIP URI is dialled, such as PJSIP/trunk/{uri}",
        "",
        "the endpoint decides on codecs and \
         authentication and cannot be guessed",
    ),
    key(
        "sip",
        "where SIP is asked for a sign of life: host:port, or off",
        "the host, port 5060",
        "a server whose \
         management answers but whose SIP is dead is dead",
    ),
];

/// The settings of one Asterisk, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name or address.
    pub host: String,
    /// Port of AMI.
    pub port: u16,
    /// Whether AMI and ARI are TLS, and what is asked of their certificate.
    pub tls: Tls,
    /// AMI user.
    pub user: String,
    /// Its password.
    pub secret: Secret,
    /// Where ARI is, if it is to be used.
    pub ari: Option<Ari>,
    /// Dialplan context of the waiting places.
    pub context: String,
    /// How an extension is dialled.
    pub dial_extension: Option<Template>,
    /// How a number is dialled.
    pub dial_e164: Option<Template>,
    /// How a SIP URI is dialled.
    pub dial_uri: Option<Template>,
    /// Where SIP is asked for a sign of life.
    pub sip: Option<(String, u16)>,
    /// What kind of server the Asterisk is inside of.
    pub dialect: Dialect,
    /// Where the files of recordings are given out, if not by ARI.
    pub files: Option<Files>,
}

/// The ports an Asterisk has if nobody said anything: AMI, HTTP.
const fn ports(tls: &Tls) -> (u16, u16) {
    match tls {
        Tls::Off => (5038, 8088),
        Tls::FirstUse | Tls::Pinned(_) | Tls::Authority(_) => (5039, 8089),
    }
}

/// Where ARI is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ari {
    /// Port of HTTP.
    pub port: u16,
    /// ARI user.
    pub user: String,
    /// Its password.
    pub secret: Secret,
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    ///
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        known(Kind::Asterisk, KEYS, given)?;
        let host = host(given)?;
        let user = name(given, "user", "ifbus")?;
        let secret = required(given, "secret")?;
        let tls = tls(given, "tls", Tls::Off)?;
        let (ami_port, http_port) = ports(&tls);
        let ari = match port(given, "ari_port", http_port, 0)? {
            0 => None,
            port => Some(Ari {
                port,
                user: name(given, "ari_user", &user)?,
                secret: Secret::new(text(given, "ari_secret", &secret)?),
            }),
        };
        Ok(Self {
            port: port(given, "port", ami_port, 1)?,
            tls,
            context: name(given, "context", "ifbus")?,
            dial_extension: template(given, "dial_extension", Some("PJSIP/{n}"), &TECHNOLOGIES)?,
            dial_e164: template(given, "dial_e164", None, &TECHNOLOGIES)?,
            dial_uri: template(given, "dial_uri", None, &TECHNOLOGIES)?,
            sip: sip(given, &host)?,
            host,
            user,
            secret: Secret::new(secret),
            ari,
            dialect: dialect::ASTERISK,
            files: None,
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
