//! What an operator tells about an Elastix or Issabel, checked before anything is connected.
//!
//! Its Asterisk is told about like any other, see [`crate::asterisk::options`]; what is added is the web server beside
//! it: pbxapi, and the folder of recordings.

use std::collections::BTreeMap;

use ifbus_call::Kind;

use crate::adapter::Secret;
use crate::asterisk::Options as Inside;
use crate::asterisk::dialect;
use crate::asterisk::files::Files;
use crate::key::{self, BadOptions, Key, Tls, key};

/// Every setting of an Elastix.
pub const KEYS: &[Key] = &[
    key("host", "name or address of the server", "", "there is nothing to guess").required(),
    key("port", "port of the manager interface (AMI)", "5038, with TLS 5039", "Asterisk's own defaults"),
    key("user", "AMI user", "ifbus", "the name `ifbus setup elastix` prints"),
    key("secret", "password of the AMI user", "", "never a default password").required().hidden(),
    key(
        "tls",
        "how AMI proves who it is: off, pin, pin:SHA256 or ca:FILE",
        "off",
        "as the server installs itself; off this machine clear text is warned of",
    ),
    key("context", "dialplan context that holds the five waiting places", "ifbus", "the one setup prints"),
    key(
        "dial_extension",
        "how an extension is dialled",
        "as pbxapi says, else SIP/{n}",
        "a phone is on chan_sip or on PJSIP; the server knows, and older ones have chan_sip alone",
    ),
    key(
        "dial_e164",
        "how a number is dialled, such as SIP/trunk/{digits}",
        "",
        "the name of a trunk cannot be guessed; {n} keeps the +, {digits} drops it",
    ),
    key(
        "dial_uri",
        "how a SIP URI is dialled, such as PJSIP/trunk/{uri}",
        "",
        "chan_sip has no endpoint to dial one through",
    ),
    key(
        "sip",
        "where SIP is asked for a sign of life: host:port, or off",
        "the host, port 5060",
        "a server whose management answers but whose SIP is dead is dead",
    ),
    key(
        "web_port",
        "port of the web server with pbxapi and the recordings; 0 = AMI alone",
        "443",
        "as the server installs itself",
    ),
    key(
        "web_tls",
        "how the web server proves who it is: pin, pin:SHA256, ca:FILE, or off for plain HTTP",
        "pin",
        "its certificate is one that it has signed itself",
    ),
    key(
        "api_secret",
        "password of the account `admin` of pbxapi (amiadminpwd)",
        "",
        "without it pbxapi is not used: extensions are dialled by the template, and a closed AMI is the end",
    )
    .hidden(),
    key("api_user", "account of pbxapi", "admin", "the only one there is"),
    key(
        "recordings",
        "folder of the web server that shows our recordings, or off",
        "/ifbus-recordings/",
        "the one setup prints; neither AMI nor pbxapi gives out a file",
    ),
    key("recordings_user", "who we are there", "the AMI user", "one name for both is what setup prints"),
    key(
        "recordings_secret",
        "the password for it",
        "the AMI secret",
        "one secret for both is what setup prints",
    )
    .hidden(),
];

/// The settings of one Elastix, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its Asterisk.
    pub inside: Inside,
    /// Its pbxapi, if it is to be used.
    pub api: Option<Api>,
    /// The web server, if there is one.
    pub web: Option<(u16, Tls)>,
    /// The operator has said how extensions are dialled: the server is not asked.
    pub dials_itself: bool,
}

/// Where pbxapi is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it is TLS, and what is asked of its certificate.
    pub tls: Tls,
    /// Account.
    pub user: String,
    /// Its password.
    pub secret: Secret,
}

impl Options {
    /// Checks settings given as name and value; [`KEYS`] names them.
    ///
    /// # Errors
    /// The first setting that is missing, unknown or malformed.
    pub fn new(given: &BTreeMap<String, String>) -> Result<Self, BadOptions> {
        key::known(Kind::Elastix, KEYS, given)?;
        let mut inside = Inside::new(&of_asterisk(given))?;
        inside.dialect = dialect::ISSABEL;
        let tls = key::tls(given, "web_tls", Tls::FirstUse).map_err(|bad| match bad {
            BadOptions::Tls(given) => BadOptions::WebTls(given),
            other => other,
        })?;
        let web = match key::port(given, "web_port", 443, 0)? {
            0 => None,
            port => Some((port, tls)),
        };
        inside.files = files(given, &inside, web.as_ref())?;
        let api = match (&web, given.contains_key("api_secret")) {
            (Some((port, tls)), true) => Some(Api {
                host: inside.host.clone(),
                port: *port,
                tls: tls.clone(),
                user: key::name(given, "api_user", "admin")?,
                secret: Secret::new(key::text(given, "api_secret", "")?),
            }),
            _ => None,
        };
        Ok(Self { inside, api, web, dials_itself: given.contains_key("dial_extension") })
    }
}

/// The part that any Asterisk has; without ARI, which Issabel does not set up.
fn of_asterisk(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let of_both = |name: &str| crate::asterisk::KEYS.iter().any(|key| key.name == name);
    let mut inside: BTreeMap<String, String> =
        given.iter().filter(|(name, _)| of_both(name)).map(|(a, b)| (a.clone(), b.clone())).collect();
    inside.insert("ari_port".to_owned(), "0".to_owned());
    inside.entry("dial_extension".to_owned()).or_insert_with(|| "SIP/{n}".to_owned());
    inside
}

fn files(
    given: &BTreeMap<String, String>,
    inside: &Inside,
    web: Option<&(u16, Tls)>,
) -> Result<Option<Files>, BadOptions> {
    let path = key::text(given, "recordings", "/ifbus-recordings/")?;
    let user = key::name(given, "recordings_user", &inside.user)?;
    let secret = Secret::new(key::text(given, "recordings_secret", inside.secret.expose())?);
    if path == "off" {
        return Ok(None);
    }
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    if !path.starts_with('/') || !path.ends_with('/') || path.contains("..") || !path.bytes().all(of_path) {
        return Err(BadOptions::Path("recordings"));
    }
    let (host, user) = (inside.host.clone(), user.clone());
    Ok(web.map(|(port, tls)| Files { host, port: *port, tls: tls.clone(), path, user, secret }))
}
