//! `Refer-To` of a phone (RFC 3515): whom it wants its partner to talk to, and instead of which call (RFC 3891).
//!
//! The text is a stranger's, so nothing of it goes out again that was not read: what stands in a URI may be escaped, and
//! an escaped line end would be a header of his own.
//!
//! Not here: what is done about it (`refer.rs`).

use ifbus_call::Address;

/// The longest `Replaces` that is taken, unescaped.
const REPLACES_MAX: usize = 300;

/// Where a phone sends its partner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ReferTo {
    /// The user part, as an address.
    pub(super) address: Address,
    /// The host, in lower case, without port and brackets.
    pub(super) host: String,
    /// The call that is to be replaced, if the phone has talked to them before.
    pub(super) replaces: Option<Replaces>,
}

/// A call as its far end knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Replaces {
    pub(super) call_id: String,
    /// Tag of whoever is asked to replace it.
    pub(super) to_tag: String,
    /// Tag of the phone.
    pub(super) from_tag: String,
}

impl ReferTo {
    /// Reads the value of the header; `None` if it is nothing that can be called.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let uri = match value.split_once('<') {
            Some((_, rest)) => rest.split_once('>')?.0,
            None => value.trim(),
        };
        let (scheme, rest) = uri.split_once(':')?;
        // `sips:` would be called as `sip:`, which promises less
        if !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let (place, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, host) = place.rsplit_once('@')?;
        let user = unescaped(user.split([';', ':']).next().unwrap_or(user))?;
        let address: Address = user.parse().ok().filter(|_| !user.contains(':'))?;
        let host = without_port(host.split(';').next().unwrap_or(host)).to_ascii_lowercase();
        let named = |header: &&str| {
            header.split_once('=').is_some_and(|(name, _)| name.eq_ignore_ascii_case("replaces"))
        };
        let replaces = match headers.split('&').find(named).and_then(|header| header.split_once('=')) {
            Some((_, value)) => Some(Replaces::parse(&unescaped(value)?)?),
            None => None,
        };
        Some(Self { address, host, replaces })
    }
}

impl Replaces {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let call_id = parts.next()?.to_owned();
        let (mut to_tag, mut from_tag) = (None, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "to-tag" => to_tag = Some(value.trim().to_owned()),
                "from-tag" => from_tag = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let read = Self { call_id, to_tag: to_tag?, from_tag: from_tag? };
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"".contains(&byte))
        };
        let well = text.len() <= REPLACES_MAX
            && [&read.call_id, &read.to_tag, &read.from_tag].map(|t| plain(t)) == [true; 3];
        well.then_some(read)
    }

    /// The header of an INVITE.
    pub(super) fn header(&self) -> String {
        format!("{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)
    }
}

/// The host of `host:port`, `[host]:port`, `host`.
pub(super) fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, _)) => inner,
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    }
}

fn unescaped(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
