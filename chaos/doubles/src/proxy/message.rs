//! SIP messages as a proxy handles them: nearly untouched, in their order.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// A request or a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The first line.
    pub(super) start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

const COMPACT: [(&str, &str); 7] = [
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
];

impl Message {
    /// `None` for what is no SIP.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        if !start.starts_with("SIP/2.0 ") && !start.ends_with(" SIP/2.0") {
            return None;
        }
        let full = |name: &str| {
            let known = COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
            known.map_or_else(|| name.to_owned(), |(_, long)| (*long).to_owned())
        };
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (full(name.trim()), value.trim().to_owned()))
            .collect();
        let message = Self { start, headers, body: bytes[end + 4..].to_vec() };
        let whole = ["Via", "From", "To", "Call-ID", "CSeq"].iter().all(|name| message.get(name).is_some());
        whole.then_some(message)
    }

    pub(super) fn request(method: &str, uri: &str) -> Self {
        Self { start: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: Vec::new() }
    }

    /// A reply of the proxy's own.
    pub(super) fn reply(request: &Self, code: u16, reason: &str, tag: &str) -> Self {
        let mut reply =
            Self { start: format!("SIP/2.0 {code} {reason}"), headers: Vec::new(), body: Vec::new() };
        for (name, value) in &request.headers {
            let value = value.clone();
            match name.to_ascii_lowercase().as_str() {
                "via" | "from" | "call-id" | "cseq" => reply.add(name, value),
                "to" if code > 100 && !value.contains("tag=") => {
                    reply.add(name, format!("{value};tag={tag}"))
                }
                "to" => reply.add(name, value),
                _ => {}
            }
        }
        reply
    }

    pub(super) fn code(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub(super) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(super) fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn set_status(&mut self, code: u16, reason: &str) {
        self.start = format!("SIP/2.0 {code} {reason}");
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Puts a header before all others of its name.
    pub(super) fn push(&mut self, name: &str, value: impl Into<String>) {
        let at = self.headers.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap_or(0);
        self.headers.insert(at, (name.to_owned(), value.into()));
    }

    /// Takes the first value of a header away; one header may hold several, separated by commas.
    pub(super) fn pop(&mut self, name: &str) -> Option<String> {
        let at = self.headers.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let value = self.headers[at].1.clone();
        match value.split_once(',') {
            Some((first, rest)) => {
                self.headers[at].1 = rest.trim().to_owned();
                Some(first.trim().to_owned())
            }
            None => {
                self.headers.remove(at);
                Some(value)
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub(super) fn call_id(&self) -> &str {
        self.get("Call-ID").unwrap_or_default()
    }

    /// Number and method.
    pub(super) fn cseq(&self) -> (u32, &str) {
        let mut words = self.get("CSeq").unwrap_or_default().split_whitespace();
        (words.next().and_then(|number| number.parse().ok()).unwrap_or(0), words.next().unwrap_or_default())
    }

    /// The parameter of a header, behind its address.
    pub(super) fn parameter(&self, header: &str, name: &str) -> Option<&str> {
        let value = self.get(header)?;
        let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
        parameter(after, name)
    }

    pub(super) fn branch(&self) -> &str {
        self.get("Via").and_then(|via| parameter(via, "branch")).unwrap_or_default()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.start);
        let mut length = false;
        for (name, value) in &self.headers {
            length |= name.eq_ignore_ascii_case("Content-Length");
            write!(head, "{name}: {value}\r\n").expect("a string takes everything");
        }
        if !length {
            write!(head, "Content-Length: {}\r\n", self.body.len()).expect("a string takes everything");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// `name=value` among parameters.
pub(super) fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.split(';').skip(1).filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The URI in a header with or without angle brackets.
pub(super) fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// User part.
pub(super) fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or("", |(user, _)| user)
}

/// Host and port of a URI with a literal address.
pub(super) fn address_of(uri: &str) -> Option<SocketAddr> {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host).split([';', '?', '>']).next()?;
    host.parse().ok().or_else(|| Some((host.parse::<IpAddr>().ok()?, 5060).into()))
}

/// Whether a URI names a port.
pub(super) fn has_port(uri: &str) -> bool {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let host = rest
        .rsplit_once('@')
        .map_or(rest, |(_, host)| host)
        .split([';', '?', '>'])
        .next()
        .unwrap_or_default();
    host.parse::<SocketAddr>().is_ok()
}
