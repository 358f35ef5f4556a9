//! The headers of a message as text: all that is read of one, without the crate's types for each of them.

use rsipstack::sip::{HasHeaders, Header, Headers};

/// Names and values, in order.
pub(super) struct Text(Vec<(String, String)>);

impl Text {
    pub(super) fn of(message: &impl HasHeaders) -> Self {
        Self::from_headers(message.headers())
    }

    fn from_headers(headers: &Headers) -> Self {
        let line = |header: &Header| (header.name().to_ascii_lowercase(), header.value().trim().to_owned());
        Self(headers.iter().map(line).collect())
    }

    /// The first header of this name, in lower case.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every entry of the headers of this name, split at the commas between them.
    pub(super) fn entries(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).flat_map(|(_, value)| list(value)).collect()
    }

    /// Every header of this name, whole.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The URI of the first `Contact`.
    pub(super) fn contact(&self) -> Option<String> {
        let contact = self.entries("contact").into_iter().next()?;
        Some(uri(&contact).to_owned()).filter(|uri| uri.contains(':') && !uri.contains(char::is_whitespace))
    }

    /// `Content-Type`, without parameters.
    pub(super) fn content_type(&self) -> String {
        let kind = self.first("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// `Reason: Q.850;cause=16;text="..."`.
    pub(super) fn q850(&self) -> Option<(u16, String)> {
        self.entries("reason").iter().find_map(|reason| {
            let (protocol, rest) = reason.split_once(';')?;
            let cause = parameter(rest, "cause")?.parse().ok()?;
            let text = parameter(rest, "text").unwrap_or_default().trim_matches('"').to_owned();
            protocol.trim().eq_ignore_ascii_case("q.850").then_some((cause, text))
        })
    }
}

/// `tag` of a From or To.
pub(super) fn tag(value: &str) -> Option<&str> {
    let after = value
        .rsplit_once('>')
        .map_or_else(|| value.split_once(';').map_or("", |(_, rest)| rest), |(_, rest)| rest);
    parameter(after, "tag").filter(|tag| !tag.is_empty())
}

/// The URI in `"name" <uri>;parameters` or `uri;parameters`.
pub(super) fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// A parameter in `a=1;b="2;3"`.
pub(super) fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    pieces(text, ';').into_iter().find_map(|piece| {
        let (known, value) = piece.split_once('=')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Entries of a header that may hold several.
pub(super) fn list(value: &str) -> Vec<String> {
    pieces(value, ',')
        .into_iter()
        .map(|piece| piece.trim().to_owned())
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Splits where the separator stands outside of quotes and angle brackets.
fn pieces(text: &str, separator: char) -> Vec<&str> {
    let (mut pieces, mut begin, mut quoted, mut angle, mut escaped) = (Vec::new(), 0, false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            _ if c == separator && !quoted && !angle => {
                pieces.push(&text[begin..at]);
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    pieces
}
