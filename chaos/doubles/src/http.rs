//! Requests of HTTP/1.1, one after the other from a stream. No chunked bodies.

use crate::digest::unbase64;

/// One request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Longest head accepted.
const HEAD: usize = 16_384;
/// Longest body accepted.
const BODY: usize = 65_536;

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn wants_websocket(&self) -> bool {
        self.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// User and password, from `Authorization: Basic` or `api_key`.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        let pair = match self.header("Authorization").and_then(|value| value.strip_prefix("Basic ")) {
            Some(encoded) => String::from_utf8(unbase64(encoded.trim())?).ok()?,
            None => self.parameter("api_key")?.to_owned(),
        };
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }
}

/// Takes the next request off the front of `bytes`; `Err` for what is not HTTP.
pub(crate) fn next(bytes: &mut Vec<u8>) -> Result<Option<Request>, ()> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD { Err(()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(());
    };
    if !version.starts_with("HTTP/1.") {
        return Err(());
    }
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query =
        pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect();
    let mut request = Request { method: method.into(), path: decoded(path), query, headers, body: vec![] };
    let length = request.header("Content-Length").map_or(Ok(0), str::parse).map_err(|_| ())?;
    if length > BODY {
        return Err(());
    }
    if bytes.len() < end + 4 + length {
        return Ok(None);
    }
    request.body = bytes[end + 4..end + 4 + length].to_vec();
    bytes.drain(..end + 4 + length);
    Ok(Some(request))
}

/// Percent-decoding; what is not an escape stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
