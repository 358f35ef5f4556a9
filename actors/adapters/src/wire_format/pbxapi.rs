//! pbxapi, the HTTP interface of Issabel: what an answer is, what is in it, and how a question is written.
//!
//! An HTTP status says little here: an expired token is a 200, a refused call is a 200, a PHP error is HTML of any
//! status (sheet elastix, sections 1 to 3). Not here: tokens and when they are renewed; that is `elastix/api.rs`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

/// The longest token taken: those seen have 170 bytes, and one goes into every request.
const TOKEN_MAX: usize = 4096;
/// The most extensions taken: a large company has a tenth of it.
const EXTENSIONS_MAX: usize = 20_000;
/// The most channels taken: more than an Asterisk carries.
const CHANNELS_MAX: usize = 10_000;
/// The longest value in a question; an address has 200 bytes, a tag of ours has two and a call id.
const VALUE_MAX: usize = 600;

/// What an answer is, before anybody looks into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// JSON, or at least no page.
    Body(&'a [u8]),
    /// Done, nothing to say.
    Empty,
    /// The token is over: told with status 200.
    Expired,
    /// The token, or the password, is not taken.
    Forbidden,
    /// There is no such controller, or no pbxapi at all.
    Absent,
    /// A page for people: a PHP error, a login page, another program.
    Page(u16),
    /// Another status.
    Status(u16),
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It is not what this question is answered with.
    #[error("the answer is not of the expected form")]
    Form,
    /// Something in it goes beyond a limit of ours.
    #[error("limit exceeded: {0}")]
    Limit(&'static str),
    /// The server says that it could not be done.
    #[error("{0}")]
    Refused(String),
}

/// A value that cannot be sent: pbxapi pastes it into a line of AMI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value for pbxapi has at most {VALUE_MAX} bytes and no control characters")]
pub struct Unfit;

/// Says what an answer is.
#[must_use]
pub fn answer(status: u16, body: &[u8]) -> Answer<'_> {
    let text = body.trim_ascii();
    match status {
        404 => Answer::Absent,
        500 if is_page(text) && is_long_expired(text) => Answer::Expired,
        _ if is_page(text) => Answer::Page(status),
        401 | 403 => Answer::Forbidden,
        200..300 if is_expired(text) => Answer::Expired,
        200..300 if text.is_empty() => Answer::Empty,
        200..300 => Answer::Body(text),
        _ => Answer::Status(status),
    }
}

/// Whether this is HTML, whatever its header says: those of pbxapi are not to be trusted (`text/html` for JSON).
fn is_page(text: &[u8]) -> bool {
    text.first() == Some(&b'<')
}

/// A token that is over for more than 200 hours, as after a clock that was set, is an error of PHP with these words.
fn is_long_expired(page: &[u8]) -> bool {
    const WORDS: &[u8] = b"<p>Expired token";
    page.windows(WORDS.len()).any(|window| window == WORDS)
}

/// The two words may stand in any form of JSON.
fn is_expired(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Expired {
        status: Text,
    }
    text.len() < 200 && serde_json::from_slice::<Expired>(text).is_ok_and(|said| said.status.0 == "expired")
}

/// A token, and for how many seconds it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// It goes into a header as it is, so it holds nothing that could leave its line.
    pub access: String,
    /// Seconds.
    pub expires_in: u64,
}

/// Reads the answer to a login.
///
/// # Errors
/// It holds no token that could be sent.
pub fn token(body: &[u8]) -> Result<Token, BadAnswer> {
    #[derive(Deserialize)]
    struct Raw {
        access_token: String,
        #[serde(default)]
        expires_in: u64,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|_| BadAnswer::Form)?;
    let of_token =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'=' | b'+' | b'/');
    if raw.access_token.is_empty() || raw.access_token.len() > TOKEN_MAX {
        return Err(BadAnswer::Limit("length of the token"));
    }
    if !raw.access_token.bytes().all(of_token) {
        return Err(BadAnswer::Form);
    }
    Ok(Token { access: raw.access_token, expires_in: raw.expires_in })
}

/// The body of a login.
#[must_use]
pub fn login(user: &str, secret: &str) -> Vec<u8> {
    serde_json::json!({ "user": user, "password": secret }).to_string().into_bytes()
}

/// How each extension is dialled, as the server says it: `SIP/200` by `200`. An entry that could not be dialled safely is
/// left out.
///
/// # Errors
/// It is no list of extensions, or a longer one than we take.
pub fn extensions(body: &[u8]) -> Result<BTreeMap<String, String>, BadAnswer> {
    #[derive(Deserialize)]
    struct Raw {
        status: Text,
        #[serde(default)]
        results: Vec<Entry>,
    }
    // the passwords of the telephones stand beside it and are not read
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        dial: Text,
        #[serde(default)]
        extension: Text,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|_| BadAnswer::Form)?;
    if raw.status.0 != "success" {
        return Err(BadAnswer::Refused(shown(&raw.status.0)));
    }
    if raw.results.len() > EXTENSIONS_MAX {
        return Err(BadAnswer::Limit("number of extensions"));
    }
    let sound = |entry: Entry| {
        let (extension, dial) = (entry.extension.0, entry.dial.0);
        (is_extension(&extension) && is_dial(&dial)).then_some((extension, dial))
    };
    Ok(raw.results.into_iter().filter_map(sound).collect())
}

fn is_extension(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A technology that rings a telephone, and a name of one: nothing that runs a dialplan or rings two.
fn is_dial(text: &str) -> bool {
    let Some((technology, name)) = text.split_once('/') else { return false };
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    matches!(technology, "SIP" | "PJSIP" | "IAX2" | "DAHDI")
        && (1..=80).contains(&name.len())
        && name.bytes().all(of_name)
}

/// One channel of `manager/status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Channel {
    /// `SIP/200-00000001`
    #[serde(rename = "Channel", default)]
    pub name: Text,
    /// The channel id.
    #[serde(rename = "Uniqueid", default)]
    pub id: Text,
    /// The id of the first channel of its call.
    #[serde(rename = "Linkedid", default)]
    pub linked: Text,
    /// 4, 5: rings; 6: up.
    #[serde(rename = "ChannelState", default)]
    pub state: Text,
    /// Empty if it is in none.
    #[serde(rename = "BridgeID", default)]
    pub bridge: Text,
    /// The party.
    #[serde(rename = "CallerIDNum", default)]
    pub party: Text,
    /// Age in seconds.
    #[serde(rename = "Seconds", default)]
    pub seconds: Text,
}

/// A scalar of pbxapi: all are strings, but an empty one is `false`, and some controllers give numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true, false or null")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
                Ok(Text(if value { "1".to_owned() } else { String::new() }))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
        }
        from.deserialize_any(Scalar)
    }
}

/// The channels of `manager/status`. An Asterisk that cannot be reached is an object with a reason, and status 200.
///
/// # Errors
/// It is no such list, or the server says why there is none.
pub fn channels(body: &[u8]) -> Result<Vec<Channel>, BadAnswer> {
    if body.first() != Some(&b'[') {
        return Err(match manager(body) {
            Err(why) => why,
            Ok(_) => BadAnswer::Form,
        });
    }
    let found: Vec<Channel> = serde_json::from_slice(body).map_err(|_| BadAnswer::Form)?;
    if found.len() > CHANNELS_MAX { Err(BadAnswer::Limit("number of channels")) } else { Ok(found) }
}

/// The answer of any other action of `manager`, in the server's words.
///
/// # Errors
/// It is no such answer, or the server says that it could not be done.
pub fn manager(body: &[u8]) -> Result<String, BadAnswer> {
    #[derive(Deserialize)]
    struct Raw {
        status: Text,
        #[serde(default)]
        message: Text,
        #[serde(default)]
        reason: Text,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|_| BadAnswer::Form)?;
    let said = if raw.message.0.is_empty() { &raw.reason.0 } else { &raw.message.0 };
    match raw.status.0.as_str() {
        "ok" => Ok(shown(said)),
        "error" | "fail" => Err(BadAnswer::Refused(shown(said))),
        _ => Err(BadAnswer::Form),
    }
}

/// The value in an answer of `manager/getvar`; the server does not escape it, so it is cut out where it does not parse.
///
/// # Errors
/// It is no such answer, or the server says that it could not be done.
pub fn value(body: &[u8]) -> Result<String, BadAnswer> {
    #[derive(Deserialize)]
    struct Raw {
        status: Text,
        value: Text,
    }
    if let Ok(raw) = serde_json::from_slice::<Raw>(body) {
        return if raw.status.0 == "ok" {
            Ok(raw.value.0)
        } else {
            Err(BadAnswer::Refused(shown(&raw.status.0)))
        };
    }
    if let Err(refused @ BadAnswer::Refused(_)) = manager(body) {
        return Err(refused);
    }
    let text = std::str::from_utf8(body).map_err(|_| BadAnswer::Form)?;
    let rest = text.strip_prefix("{\"status\":\"ok\"").and_then(|rest| rest.split_once("\"value\":\""));
    let value = rest.and_then(|(_, rest)| rest.strip_suffix("\"}"));
    value.map(str::to_owned).ok_or(BadAnswer::Form)
}

/// A path with its question: `manager/hangup?channel=SIP%2F200-00000000`.
///
/// # Errors
/// A value could break the line of AMI that it becomes.
pub fn question(path: &str, values: &[(&str, &str)]) -> Result<String, Unfit> {
    let mut text = format!("/pbxapi/{path}");
    for (at, (name, value)) in values.iter().enumerate() {
        if value.len() > VALUE_MAX || value.chars().any(char::is_control) {
            return Err(Unfit);
        }
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        encode(value, &mut text);
    }
    Ok(text)
}

fn encode(value: &str, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Words of the server, cut to a line.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
