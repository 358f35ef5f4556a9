//! HTTP/1.1 as the real server speaks it: responses. Requests are read by [`crate::http`].

pub(crate) use crate::http::{Request, next};

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
