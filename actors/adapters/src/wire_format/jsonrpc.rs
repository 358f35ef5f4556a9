//! JSON-RPC 2.0 as Kamailio and OpenSIPS speak it: one request in one message, errors as HTTP status too, or not.
//!
//! Strict on what goes out, because Kamailio tells `1` from `"1"`, answers a batch with an empty result and a broken
//! request with nothing at all (sheet kamailio, section 1), and OpenSIPS takes only the exact names that a command has
//! (sheet opensips, section 2.2). Not here: what carries the messages, and what a result means.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest text of a parameter: a Call-ID, a URI or a tag, each of which fits into a SIP header line.
pub const TEXT_MAX: usize = 1024;

/// The code of JSON-RPC for a method that is not there.
const NO_METHOD: i64 = -32601;

/// The longest part of an error message that is kept.
const MESSAGE_MAX: usize = 200;

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// A number; never in quotes.
    Number(i64),
    /// A text; always in quotes, also if it looks like a number.
    Text(&'a str),
    /// A list of texts.
    Texts(&'a [&'a str]),
}

/// Why a request is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The server takes it apart line by line in some transports, and logs it.
    #[error("a parameter has a control character")]
    Control,
    /// Longer than [`TEXT_MAX`].
    #[error("a parameter is longer than {TEXT_MAX} bytes")]
    TooLong,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// HTTP 401 or 403: who we are is not believed.
    #[error("http status {0}")]
    Denied(u16),
    /// The method answered with an error.
    #[error("{code} {message}")]
    Error {
        /// SIP-like: 400, 404, 500; never the codes of JSON-RPC itself.
        code: i64,
        /// The server's words, cut.
        message: String,
    },
    /// Whatever answered speaks HTTP, and not this.
    #[error("http status {0} without json-rpc")]
    NotJsonRpc(u16),
    /// It answers another question.
    #[error("an answer to another question")]
    WrongId,
    /// A result of another form than this method has.
    #[error("a result that is not understood: {0}")]
    NotUnderstood(String),
}

impl Failure {
    /// Whether the server has no such method: a module is not loaded. Kamailio tells it by the text alone, as everything
    /// is 500 there.
    #[must_use]
    pub fn is_no_method(&self) -> bool {
        matches!(self, Self::Error { code, message } if *code == NO_METHOD || message == "Method Not Found")
    }
}

/// A request, its parameters known by their order: Kamailio takes members of an object so, too (sheet, section 1). The
/// id is a number always: without one the answer could not be told from another.
///
/// # Errors
/// A parameter that must not reach the wire.
pub fn request(method: &str, params: &[Param<'_>], id: u64) -> Result<Vec<u8>, Unfit> {
    let values: Vec<String> = params.iter().map(value).collect::<Result<_, _>>()?;
    whole(method, (!values.is_empty()).then(|| format!("[{}]", values.join(","))), id)
}

/// A request, its parameters known by their names: some commands of OpenSIPS take no others.
///
/// # Errors
/// A parameter that must not reach the wire.
pub fn request_by_name(method: &str, params: &[(&str, Param<'_>)], id: u64) -> Result<Vec<u8>, Unfit> {
    let member = |(name, param): &(&str, Param<'_>)| Ok(format!("{}:{}", quoted(name)?, value(param)?));
    let members: Vec<String> = params.iter().map(member).collect::<Result<_, _>>()?;
    whole(method, (!members.is_empty()).then(|| format!("{{{}}}", members.join(","))), id)
}

fn whole(method: &str, params: Option<String>, id: u64) -> Result<Vec<u8>, Unfit> {
    let params = params.map(|params| format!(",\"params\":{params}")).unwrap_or_default();
    let method = quoted(method)?;
    Ok(format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}{params},\"id\":{id}}}").into_bytes())
}

fn value(param: &Param<'_>) -> Result<String, Unfit> {
    Ok(match param {
        Param::Number(number) => number.to_string(),
        Param::Text(text) => quoted(text)?,
        Param::Texts(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect::<Result<_, _>>()?;
            format!("[{}]", texts.join(","))
        }
    })
}

fn quoted(text: &str) -> Result<String, Unfit> {
    if text.len() > TEXT_MAX {
        return Err(Unfit::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(Unfit::Control);
    }
    Ok(serde_json::Value::from(text).to_string())
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    error: Option<Trouble>,
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

/// The result of the request with this id.
///
/// # Errors
/// An error of the method, or an answer that is none.
pub fn reply<T: DeserializeOwned>(status: u16, body: &[u8], id: u64) -> Result<T, Failure> {
    if matches!(status, 401 | 403) {
        return Err(Failure::Denied(status));
    }
    let envelope = match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(envelope) => envelope,
        // another result than expected, or no JSON-RPC at all
        Err(error) => {
            return Err(match serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(body) {
                Ok(envelope) if envelope.id.is_some() => Failure::NotUnderstood(cut(&error.to_string())),
                _ => Failure::NotJsonRpc(status),
            });
        }
    };
    if envelope.id != Some(id) {
        return Err(if envelope.id.is_none() { Failure::NotJsonRpc(status) } else { Failure::WrongId });
    }
    match (envelope.error, envelope.result) {
        (Some(error), _) => Err(Failure::Error { code: error.code, message: cut(&error.message) }),
        (None, Some(result)) => Ok(result),
        (None, None) => Err(Failure::NotUnderstood("neither result nor error".to_owned())),
    }
}

/// Which question a message answers, where several are on their way and nothing else tells.
#[must_use]
pub fn answers(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Envelope<serde::de::IgnoredAny>>(body).ok()?.id
}

/// Something that nobody asked for: what it is called, and what it says. One without parameters has no such member.
///
/// # Errors
/// No notification, or one of another form.
pub fn notice<T: DeserializeOwned + Default>(body: &[u8]) -> Result<(String, T), Failure> {
    #[derive(Deserialize)]
    struct Notice<T> {
        method: String,
        #[serde(default = "Option::default")]
        params: Option<T>,
    }
    let notice: Notice<T> =
        serde_json::from_slice(body).map_err(|e| Failure::NotUnderstood(cut(&e.to_string())))?;
    Ok((cut(&notice.method), notice.params.unwrap_or_default()))
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect()
}

#[cfg(test)]
mod tests;
