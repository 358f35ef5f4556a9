//! An HTTP answer as Apache and PHP give it.

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Status code.
    pub status: u16,
    /// Its phrase, which pbxapi writes in its own way.
    pub reason: &'static str,
    /// Content type.
    pub kind: &'static str,
    /// A header line more, with its end; or nothing.
    pub extra: String,
    /// Body.
    pub body: Vec<u8>,
}

/// What PHP says of anything that nobody gave a type.
const HTML: &str = "text/html; charset=UTF-8";

impl Page {
    fn new(status: u16, reason: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Page { status, reason, kind, extra: String::new(), body: body.into() }
    }

    /// An answer of `manager` or of a login.
    pub(super) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, "OK", "application/json", body)
    }

    /// An answer of a resource.
    pub(super) fn resource(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            // so it is written there
            422 => "Unprocessabel Entity",
            _ => "Internal Server Error",
        };
        Self::new(status, reason, "application/json;charset=utf-8", body)
    }

    /// Text that calls itself HTML.
    pub(super) fn text(status: u16, reason: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, reason, HTML, body)
    }

    /// 201.
    pub(super) fn created(path: &str) -> Self {
        Page { extra: format!("Location: http://pbx.lab{path}\r\n"), ..Self::text(201, "Created", "") }
    }

    /// A page with a trace of PHP.
    pub(super) fn trace(status: u16, title: &'static str, text: &str, trace: &str) -> Self {
        let phrase = title.split_once(' ').map_or(title, |(_, phrase)| phrase);
        let body = format!(
            "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{phrase}</h1>\n<p>{text}</p>\n\
             <pre>{trace}\n</pre>\n</body>\n</html>\n"
        );
        Self::text(status, phrase, body)
    }

    /// A file.
    pub(super) fn file(bytes: Vec<u8>) -> Self {
        Self::new(200, "OK", "audio/x-wav", bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 {} {}\r\nServer: Apache/2.4\r\n{}Content-Length: {}\r\nContent-Type: {}\r\n\r\n",
            self.status,
            self.reason,
            self.extra,
            self.body.len(),
            self.kind
        );
        [head.as_bytes(), &self.body].concat()
    }
}
