//! Who we are, when somebody asks: digest authentication (RFC 2617, 7616), by realm.
//!
//! The hashes are the crate's. `auth-int` is not offered by anybody.

use ifbus_adapters::sip::SipCredential;
use rsipstack::dialog::authenticate::compute_digest;
use rsipstack::sip::headers::auth::{Algorithm, AuthQop};
use rsipstack::sip::{Method, Response};
use rsipstack::transaction::random_text;

use super::text::{Text, list, parameter};

/// The headers that answer every challenge of a 401 or 407; `None` where we have no name for one of them.
pub(super) fn answers(
    response: &Response,
    credentials: &[SipCredential],
    method: &Method,
    uri: &str,
) -> Option<Vec<(&'static str, String)>> {
    let text = Text::of(response);
    let mut answers = Vec::new();
    for (asked, header) in
        [("www-authenticate", "Authorization"), ("proxy-authenticate", "Proxy-Authorization")]
    {
        let mut realms: Vec<String> = Vec::new();
        for challenge in text.all(asked).filter_map(Challenge::parse) {
            // one realm may be asked for with several algorithms: the first one we know is taken
            if realms.contains(&challenge.realm) {
                continue;
            }
            let fits = |credential: &&SipCredential| {
                credential.realm.as_ref().is_none_or(|realm| *realm == challenge.realm)
            };
            // the one that names the realm before one that is for all
            let named =
                credentials.iter().filter(fits).max_by_key(|credential| credential.realm.is_some())?;
            answers.push((header, challenge.answer(named, method, uri)));
            realms.push(challenge.realm);
        }
    }
    Some(answers).filter(|answers| !answers.is_empty())
}

/// Whether it was only our number that was too old.
pub(super) fn is_stale(response: &Response) -> bool {
    let text = Text::of(response);
    ["www-authenticate", "proxy-authenticate"]
        .into_iter()
        .any(|name| text.all(name).filter_map(Challenge::parse).any(|challenge| challenge.stale))
}

struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Option<String>,
    qop: bool,
    stale: bool,
}

impl Challenge {
    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let joined = list(rest).join(";");
        let get = |name: &str| parameter(&joined, name).map(|value| value.trim_matches('"').to_owned());
        let algorithm = get("algorithm");
        if algorithm.as_deref().is_some_and(|name| known(name).is_none()) {
            return None;
        }
        Some(Self {
            realm: get("realm")?,
            nonce: get("nonce")?,
            opaque: get("opaque"),
            algorithm,
            qop: get("qop").is_some_and(|qop| qop.split(',').any(|word| word.trim() == "auth")),
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    fn answer(&self, credential: &SipCredential, method: &Method, uri: &str) -> String {
        let algorithm = self.algorithm.as_deref().and_then(known).unwrap_or(Algorithm::Md5);
        let cnonce = random_text(16);
        let qop = self.qop.then(|| AuthQop::Auth { cnonce: cnonce.clone(), nc: 1 });
        let (user, password) = (&credential.user, credential.password.expose());
        let response =
            compute_digest(user, password, &self.realm, &self.nonce, method, uri, algorithm, qop.as_ref());
        let mut answer = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\"",
            escaped(user),
            self.realm,
            self.nonce,
        );
        if let Some(algorithm) = &self.algorithm {
            answer.push_str(&format!(", algorithm={algorithm}"));
        }
        if let Some(opaque) = &self.opaque {
            answer.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if qop.is_some() {
            answer.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
        }
        answer
    }
}

fn known(name: &str) -> Option<Algorithm> {
    match name.to_ascii_uppercase().as_str() {
        "MD5" => Some(Algorithm::Md5),
        "SHA-256" => Some(Algorithm::Sha256),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
