//! Requests as text, then as the crate's value: what is written here is what goes out.

use ifbus_adapters::sip::Wire;
use rsipstack::sip::{Method, Request, SipMessage};
use rsipstack::transaction::random_text;

use super::stack::Shared;

/// Methods we do.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER";

/// A request that is being put together.
pub(super) struct Draft {
    head: String,
    body: Option<(String, String)>,
}

impl Draft {
    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(super) fn with_all(self, headers: &[(&'static str, String)]) -> Self {
        headers.iter().fold(self, |draft, (name, value)| draft.with(name, value))
    }

    pub(super) fn body(mut self, kind: &str, body: &str) -> Self {
        self.body = Some((kind.to_owned(), body.to_owned()));
        self
    }

    /// The crate's value; `None` if a text of the far end, such as its Contact, makes it unreadable.
    pub(super) fn request(self) -> Option<Request> {
        let (kind, body) = self.body.unwrap_or_default();
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let text = format!("{}{kind}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        match SipMessage::try_from(text.as_bytes()) {
            Ok(SipMessage::Request(request)) => Some(request),
            _ => None,
        }
    }
}

/// A new branch: a name for one transaction.
pub(super) fn branch() -> String {
    format!("z9hG4bK{}", random_text(20))
}

impl Shared {
    /// Our Contact.
    pub(super) fn contact(&self) -> String {
        let wires = &self.0.wires;
        match wires.transport {
            "UDP" => format!("<sip:ifbus@{}>", wires.contact),
            other => format!("<sip:ifbus@{};transport={}>", wires.contact, other.to_ascii_lowercase()),
        }
    }

    fn via(&self, branch: &str) -> String {
        let wires = &self.0.wires;
        let alias = if wires.transport == "UDP" { "" } else { ";alias" };
        format!("SIP/2.0/{} {};branch={branch};rport{alias}", wires.transport, wires.contact)
    }

    /// A request of a dialog, or the one that begins it; with the number that `wire` has now.
    pub(super) fn draft(&self, method: Method, wire: &Wire, branch: &str) -> Draft {
        let to_tag = match wire.remote_tag.as_str() {
            "" => String::new(),
            tag => format!(";tag={tag}"),
        };
        let draft = Draft { head: format!("{method} {} SIP/2.0\r\n", wire.target), body: None }
            .with("Via", self.via(branch))
            .with("Max-Forwards", 70)
            .with("From", format_args!("<{}>;tag={}", wire.local_uri, wire.local_tag))
            .with("To", format_args!("<{}>{to_tag}", wire.remote_uri))
            .with("Call-ID", &wire.call_id)
            .with("CSeq", format_args!("{} {method}", wire.local_cseq))
            .with("User-Agent", "ifbus");
        wire.route.iter().fold(draft, |draft, route| draft.with("Route", route))
    }
}

/// The CANCEL of an invitation: its own Request-URI, branch, From, To, Call-ID and number.
pub(super) fn cancel(invite: &Request) -> Option<Request> {
    let text = super::text::Text::of(invite);
    let number = text.first("cseq")?.split(' ').next()?.to_owned();
    let mut draft = Draft { head: format!("CANCEL {} SIP/2.0\r\n", invite.uri), body: None };
    for (name, key) in
        [("Via", "via"), ("From", "from"), ("To", "to"), ("Call-ID", "call-id"), ("Route", "route")]
    {
        draft = text.all(key).fold(draft, |draft, value| draft.with(name, value));
    }
    draft.with("CSeq", format_args!("{number} CANCEL")).with("Max-Forwards", 70).request()
}
