//! What the fleet knows of links: it opens them, sends, and is told. Real sockets and simulated ones look the same.

use std::net::SocketAddr;
use std::rc::Rc;

use ifbus_adapters::Fingerprint;
use ifbus_adapters::adapter::{Endpoint, HttpReply, HttpRequest, LinkError, LinkId, Listening, RequestId};
use ifbus_adapters::sip::SipEvent;

pub use crate::sip::SipLeg;

/// A way to reach servers. Lives on one thread.
pub trait Network {
    /// Opens a link. Reports come to `sink`, never before this returns; the last one is [`Report::Closed`]. Dropping
    /// what is returned closes the link without a report.
    fn open(&self, link: LinkId, endpoint: Endpoint, sink: Sink) -> Box<dyn Link>;

    /// Opens a port of ours. [`Report::Opened`] comes to `sink` when it is open; what comes from those who connect, after
    /// [`Report::Accepted`] of each; the last one is [`Report::Closed`] of `link`. Dropping what is returned closes the
    /// port and all that is connected to it without a report.
    fn listen(&self, link: LinkId, listening: Listening, sink: Sink) -> Box<dyn Listener>;

    /// Makes a request. Exactly one [`Report::Http`] comes to `sink`, unless what is returned is dropped before.
    fn request(&self, request: RequestId, http: HttpRequest, sink: Sink) -> Box<dyn Pending>;

    /// Makes the SIP side of one server. Reports are [`Report::Sip`] alone; dropping what is returned closes it without
    /// one.
    fn sip(&self, sink: Sink) -> Box<dyn SipLeg>;
}

/// An open or opening link.
pub trait Link {
    /// Sends bytes, in order; one whole message on a WebSocket or datagram link. What is sent before the link is open
    /// waits. More than the link's limit waiting closes it with [`LinkError::Limit`].
    fn send(&self, bytes: Vec<u8>);
}

/// An open or opening port.
pub trait Listener {
    /// Sends bytes to somebody who is connected, in order. More than the limit waiting closes his link.
    fn send(&self, link: LinkId, bytes: Vec<u8>);

    /// Closes the link to him, without a report.
    fn close(&self, link: LinkId);
}

/// A request under way.
pub trait Pending {}

/// Where reports go.
pub type Sink = Rc<dyn Fn(Report)>;

/// What a link or request reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The peer of this link showed a certificate that is trusted; comes before [`Report::Opened`].
    Certificate(LinkId, Certificate),
    /// The link is open.
    Opened(LinkId),
    /// Somebody has connected to a listener, by this link, from this address.
    Accepted(LinkId, LinkId, SocketAddr),
    /// Bytes came; one whole message on a WebSocket or datagram link.
    Bytes(LinkId, Vec<u8>),
    /// The link is closed, or could not be opened.
    Closed(LinkId, LinkError),
    /// What came of a request.
    Http(RequestId, Result<HttpReply, LinkError>),
    /// Something happened on the SIP side of a server.
    Sip(SipEvent),
    /// A part of the body of a streamed answer; [`Report::Http`] follows the last one.
    HttpPart(RequestId, Vec<u8>),
}

/// A certificate that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Where it was shown: `host:port`.
    pub at: String,
    /// What it is known by.
    pub sha256: Fingerprint,
    /// Its last second, since 1970; absent if it does not say so in a known form.
    pub not_after: Option<i64>,
    /// Why it is trusted.
    pub trusted: Trusted,
}

/// Why a certificate is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// An authority of the operator's signed it for this host.
    Authority,
    /// The operator named it.
    Pinned,
    /// It is the one that was seen first.
    AtFirstUse,
}
