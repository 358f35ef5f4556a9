//! HTTP/1.1 as the real server speaks it: requests in, responses out. No chunked bodies.

use crate::digest::unbase64;

/// One request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Longest head accepted.
const HEAD: usize = 16_384;
/// Longest body accepted.
const BODY: usize = 65_536;

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn wants_websocket(&self) -> bool {
        self.header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    pub(super) fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// User and password, from `Authorization: Basic` or `api_key`.
    pub(super) fn credentials(&self) -> Option<(String, String)> {
        let pair = match self.header("Authorization").and_then(|value| value.strip_prefix("Basic ")) {
            Some(encoded) => String::from_utf8(unbase64(encoded.trim())?).ok()?,
            None => self.parameter("api_key")?.to_owned(),
        };
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }
}

/// Takes the next request off the front of `bytes`; `Err` for what is not HTTP.
pub(super) fn next(bytes: &mut Vec<u8>) -> Result<Option<Request>, ()> {
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

/// One response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: (u16, &'static str),
    /// Header lines between `Cache-Control` and the content's own.
    pub(super) extra: &'static str,
    /// Content type; none for an empty body.
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn json(status: (u16, &'static str), body: String) -> Self {
        Response { status, extra: "", kind: "application/json", body: body.into_bytes() }
    }

    /// 204.
    pub(super) fn nothing() -> Self {
        Response { status: (204, "No Content"), extra: "", kind: "", body: vec![] }
    }

    /// `{"message":"…"}`
    pub(super) fn message(status: (u16, &'static str), message: &str) -> Self {
        Response::json(status, format!("{{\"message\":\"{message}\"}}"))
    }

    /// The server's own error page.
    pub(super) fn page(status: (u16, &'static str), text: &str, version: &str) -> Self {
        let (code, reason) = status;
        let body = format!(
            "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\r\n<html><head>\r\n<title>{code} {reason}</title>\r\n\
             </head><body>\r\n<h1>{reason}</h1>\r\n<p>{text}</p>\r\n<hr />\r\n\
             <address>Asterisk/{version}</address>\r\n</body></html>\r\n"
        );
        Response { status, extra: "", kind: "text/html", body: body.into_bytes() }
    }

    /// The response on the wire; `date` as in HTTP.
    pub(super) fn encode(&self, version: &str, date: &str, closes: bool) -> Vec<u8> {
        let (code, reason) = self.status;
        let connection = if closes { "Connection: close\r\n" } else { "" };
        // A file is sent by another part of the server, which writes the name differently (seen).
        let kind = match self.kind {
            "" => String::new(),
            audio if audio.starts_with("audio/") => format!("Content-Type: {audio}\r\n"),
            other => format!("Content-type: {other}\r\n"),
        };
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\nServer: Asterisk/{version}\r\nDate: {date}\r\n{connection}\
             Cache-Control: no-cache, no-store\r\n{}{kind}Content-Length: {}\r\n\r\n",
            self.extra,
            self.body.len(),
        );
        [head.as_bytes(), &self.body].concat()
    }
}
