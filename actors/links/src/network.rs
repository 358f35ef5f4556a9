//! What the fleet knows of links: it opens them, sends, and is told. Real sockets and simulated ones look the same.

use std::rc::Rc;

use ifbus_adapters::adapter::{Endpoint, HttpReply, HttpRequest, LinkError, LinkId, RequestId};

/// A way to reach servers. Lives on one thread.
pub trait Network {
    /// Opens a link. Reports come to `sink`, never before this returns; the last one is [`Report::Closed`]. Dropping
    /// what is returned closes the link without a report.
    fn open(&self, link: LinkId, endpoint: Endpoint, sink: Sink) -> Box<dyn Link>;

    /// Makes a request. Exactly one [`Report::Http`] comes to `sink`, unless what is returned is dropped before.
    fn request(&self, request: RequestId, http: HttpRequest, sink: Sink) -> Box<dyn Pending>;
}

/// An open or opening link.
pub trait Link {
    /// Sends bytes, in order; one whole message on a WebSocket or datagram link. What is sent before the link is open
    /// waits. More than the link's limit waiting closes it with [`LinkError::Limit`].
    fn send(&self, bytes: Vec<u8>);
}

/// A request under way.
pub trait Pending {}

/// Where reports go.
pub type Sink = Rc<dyn Fn(Report)>;

/// What a link or request reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The link is open.
    Opened(LinkId),
    /// Bytes came; one whole message on a WebSocket or datagram link.
    Bytes(LinkId, Vec<u8>),
    /// The link is closed, or could not be opened.
    Closed(LinkId, LinkError),
    /// What came of a request.
    Http(RequestId, Result<HttpReply, LinkError>),
}
