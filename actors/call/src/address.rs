//! Whom to call: an extension, an E.164 number or a SIP URI.
//!
//! An `Address` cannot hold a value that would break a wire: control characters, blanks, separators of any of the
//! servers' languages and over-long texts are refused here, once, for all kinds (sheet asterisk, sections 4 and 11).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// There is nothing to call.
    #[error("an address cannot be empty")]
    Empty,
    /// Longer than any server takes unharmed.
    #[error("an address has at most {max} bytes, this one has {0}", max = Address::LENGTH_MAX)]
    TooLong(usize),
    /// A character that an address cannot have; shown escaped.
    #[error("an address cannot contain {0:?}")]
    Character(char),
    /// It begins like a SIP URI but is none.
    #[error("a SIP URI is `sip:user@host` or `sips:user@host`, with an optional `:port`")]
    NotAUri,
}

/// Whom to call, checked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address(Box<str>);

/// The three forms of an address; each server has a dial template for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A name or short number known to the server: `1001`, `alice`.
    Extension,
    /// `+` and up to 15 digits.
    E164,
    /// `sip:` or `sips:`, user, host, optional port.
    Uri,
}

impl Address {
    /// Asterisk cuts a channel name silently at 255 bytes and mishandles long request URIs; 200 is safe on all kinds.
    pub const LENGTH_MAX: usize = 200;

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of the three forms it has.
    #[must_use]
    pub fn form(&self) -> Form {
        if is_uri(&self.0) {
            Form::Uri
        } else if self.0.starts_with('+') {
            Form::E164
        } else {
            Form::Extension
        }
    }

    /// What a phone shows as caller: the user part of a URI, else the address itself.
    #[must_use]
    pub fn user(&self) -> &str {
        match self.0.split_once(':') {
            Some((_, rest)) if is_uri(&self.0) => rest.split('@').next().unwrap_or(rest),
            _ => &self.0,
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.is_empty() {
            return Err(BadAddress::Empty);
        }
        if text.len() > Self::LENGTH_MAX {
            return Err(BadAddress::TooLong(text.len()));
        }
        let uri = is_uri(text);
        let allowed = |c: char| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '_' | '.' | '*' | '#')
                || (uri && matches!(c, ':' | '@' | '[' | ']'))
        };
        let digits = text.strip_prefix('+').unwrap_or(text);
        if let Some(wrong) = digits.chars().find(|c| !allowed(*c)) {
            return Err(BadAddress::Character(wrong));
        }
        if uri && !well_formed_uri(text) {
            return Err(BadAddress::NotAUri);
        }
        if !uri
            && text.starts_with('+')
            && !(digits.bytes().all(|b| b.is_ascii_digit()) && (1..=15).contains(&digits.len()))
        {
            return Err(BadAddress::Character('+'));
        }
        Ok(Self(text.into()))
    }
}

fn is_uri(text: &str) -> bool {
    text.starts_with("sip:") || text.starts_with("sips:")
}

/// `user@host` with an optional port, the host a name, an IPv4 address or an IPv6 address in brackets.
fn well_formed_uri(text: &str) -> bool {
    let Some((_, rest)) = text.split_once(':') else { return false };
    let Some((user, host)) = rest.split_once('@') else { return false };
    let (host, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, port)) => {
            return !user.is_empty() && inner.parse::<std::net::Ipv6Addr>().is_ok() && port_ok(port);
        }
        None => host.split_once(':').map_or((host, ""), |(name, _)| (name, &host[name.len()..])),
    };
    let user_ok = !user.is_empty() && !user.contains([':', '[', ']', '@']);
    let host_ok =
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    user_ok && host_ok && port_ok(port)
}

fn port_ok(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok_and(|n| n > 0))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.into()
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}
