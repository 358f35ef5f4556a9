//! SIP messages (RFC 3261) as the phone needs them: lenient in, strict out.

use std::fmt::Write;

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) start: Start,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request { method: String, uri: String },
    Response { status: u16 },
}

/// Long names of the compact header forms.
const COMPACT: [(&str, &str); 8] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("k", "Supported"),
];

impl Message {
    /// Reads one datagram; `None` for what is not SIP (keep-alives among them).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = unfolded.split("\r\n");
        let first = lines.next()?;
        let start = match first.strip_prefix("SIP/2.0 ") {
            Some(rest) => Start::Response { status: rest.split(' ').next()?.parse().ok()? },
            None => {
                let mut words = first.split(' ');
                let (method, uri) = (words.next()?.to_owned(), words.next()?.to_owned());
                if words.next()? != "SIP/2.0" {
                    return None;
                }
                Start::Request { method, uri }
            }
        };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (long(name.trim()).to_owned(), value.trim().to_owned()))
            .collect();
        let message = Message { start, headers, body: body.to_owned() };
        message.get("Call-ID").is_some().then_some(message)
    }

    pub(super) fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.to_owned(), uri: uri.to_owned() };
        Message { start, headers: vec![], body: String::new() }
    }

    /// A response to a request: copies what must be copied; `tag` goes into To if it has none.
    pub(super) fn response(request: &Message, status: u16, tag: &str) -> Self {
        let start = Start::Response { status };
        let mut response = Message { start, headers: vec![], body: String::new() };
        for (name, value) in &request.headers {
            match name.as_str() {
                "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => response.add(name, value),
                "To" if status > 100 && parameter(value, "tag").is_none() => {
                    response.add("To", format!("{value};tag={tag}"));
                }
                "To" => response.add(name, value),
                _ => {}
            }
        }
        response
    }

    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.add(name, value);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let of_name = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn call_id(&self) -> &str {
        self.get("Call-ID").unwrap_or_default()
    }

    /// Number and method of CSeq.
    pub(super) fn cseq(&self) -> (u32, &str) {
        let mut words = self.get("CSeq").unwrap_or_default().split_whitespace();
        (words.next().and_then(|n| n.parse().ok()).unwrap_or(0), words.next().unwrap_or_default())
    }

    pub(super) fn tag(&self, header: &str) -> Option<&str> {
        parameter(self.get(header)?, "tag")
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status } => format!("SIP/2.0 {status} {}\r\n", reason(*status)),
        };
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("writing to a string cannot fail");
        }
        if !self.body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)
            .expect("writing to a string cannot fail");
        text.into_bytes()
    }
}

fn long(name: &str) -> &str {
    COMPACT
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map_or_else(|| canonical(name), |(_, long)| *long)
}

/// The names that are copied into responses, in one spelling.
fn canonical(name: &str) -> &str {
    const KNOWN: [&str; 6] = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name)
}

/// A parameter of a header value, after the address.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
    after
        .split(';')
        .skip(1)
        .filter_map(|p| p.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, v)| v.trim())
}

/// The URI in a From, To, Contact or Route value.
pub(super) fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// User part of a URI, without password and parameters.
pub(super) fn user(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user.split([';', ':']).next().unwrap_or(user))
}

/// Host and port of a URI, when the host is a literal address.
pub(crate) fn address(uri: &str) -> Option<std::net::SocketAddr> {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host).split([';', '?', '>']).next()?;
    host.parse().ok().or_else(|| Some((host.parse::<std::net::IpAddr>().ok()?, 5060).into()))
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Other",
    }
}
