//! The contract of an adapter: one server, as a machine without input or output.
//!
//! Whoever drives it calls [`Adapter::handle`], then [`Adapter::poll`] until it is empty, and again at
//! [`Adapter::deadline`]. One change, then all its output, then the next change.
//!
//! Promises, tested for each adapter: every ticket is answered exactly once, also when a link closes; nothing from an
//! older epoch is believed; any split of a byte stream gives the same outputs; no input makes it panic.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ifbus_call::{Boot, Epoch, Event, Interface, LegId, Nanos, Order, Outcome, Seen};

use crate::sip::{Dialog, SipCommand, SipEvent};
use crate::trust::Trust;

/// A server, as whoever drives it sees it.
pub trait Adapter {
    /// Takes one input. `now` never goes back.
    fn handle(&mut self, input: Input<'_>, now: Nanos);

    /// The next thing to do, until there is none.
    fn poll(&mut self) -> Option<Output>;

    /// When [`Input::Tick`] is due, if at all.
    fn deadline(&self) -> Option<Nanos>;
}

/// What an adapter is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// Begin a life: open the links, log in, list the calls, say [`Output::Ready`]. Given once, and again after
    /// [`Output::Down`] with a greater epoch.
    Start(Epoch),
    /// End this life politely: every open ticket is answered, every link closed.
    Stop,
    /// The link is open.
    Opened(LinkId),
    /// Somebody who may has connected to a listener: this link to him is open. It ends as any link, and with its listener.
    Accepted {
        /// Of [`Output::Listen`].
        listener: LinkId,
        /// The link that is open now.
        link: LinkId,
        /// His address.
        from: SocketAddr,
    },
    /// Bytes from a stream in any split; one whole message from a WebSocket or datagram link.
    Bytes(LinkId, &'a [u8]),
    /// The link is closed, or could not be opened. Nothing more comes from it.
    Closed(LinkId, LinkError),
    /// A part of the body of an [`Output::Http`] that was to be streamed.
    HttpPart(RequestId, &'a [u8]),
    /// What came of an [`Output::Http`]; of a streamed one the body is empty here.
    Http(RequestId, Result<HttpReply, LinkError>),
    /// Dialogs that were written down in an earlier life of ours; given before the first [`Input::Start`], to kinds
    /// that have a SIP agent.
    Restored(Vec<Dialog>),
    /// Something happened on the SIP side of the server, where we speak SIP ourselves.
    Sip(SipEvent),
    /// What came of an [`Output::Persist`] of this number: `false` if it is not on the disk.
    Persisted(u64, bool),
    /// Carry this out; answer the ticket exactly once.
    Order(Ticket, Order),
    /// [`Adapter::deadline`] has passed.
    Tick,
}

/// What an adapter wants done.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Open a link; answered by [`Input::Opened`] or [`Input::Closed`].
    Open(LinkId, Endpoint),
    /// Let peers connect to us; answered by [`Input::Opened`] when the port is open, or [`Input::Closed`].
    Listen(LinkId, Listening),
    /// Close a link; nothing more is expected from it.
    Close(LinkId),
    /// Send bytes; one whole message on a WebSocket or datagram link.
    Send(LinkId, Vec<u8>),
    /// Make a request; answered by [`Input::Http`].
    Http(RequestId, HttpRequest),
    /// Ask this of the SIP stack. There is one endpoint for each server; it outlives the lives of the links, because
    /// calls do.
    Sip(SipCommand),
    /// Write this down now; answered by [`Input::Persisted`] with the number. What the wire must not hear of before
    /// waits for that.
    Persist(u64, Box<Dialog>),
    /// What was written down of this leg is not needed any more.
    Forget(LegId),
    /// Something happened to a leg.
    Event(Event),
    /// Bytes of a recording that is fetched, in order. What was given before an answer that refuses is to be forgotten.
    Chunk(Ticket, Vec<u8>),
    /// What came of an order.
    Answer(Ticket, Outcome),
    /// Connected, logged in, all calls listed: orders are taken from now on.
    Ready(Ready),
    /// This life is over; the driver decides when the next begins. All tickets were answered before.
    Down(Down),
    /// Something the operator should know, not fatal.
    Warning(Warning),
    /// Frames that were not understood, for the counter of that name.
    Unknown(u64),
}

/// The moment from which a server can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// The life of the links that has begun.
    pub epoch: Epoch,
    /// The life of the server; another one than before means that every call is gone.
    pub boot: Boot,
    /// The server's version in its own words: `22.10.1`.
    pub version: String,
    /// Every leg on the server; those with a tag of this instance are ours.
    pub seen: Vec<Seen>,
}

/// Why a life of the links is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", interface.as_str())]
pub struct Down {
    /// The interface that failed.
    pub interface: Interface,
    /// How.
    pub reason: DownReason,
}

/// How an interface failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// Nobody listens, or there is no way to the host.
    #[error("{0}")]
    Unreachable(LinkError),
    /// The server does not take our name and password (it does not say which is wrong).
    #[error("login refused: {0}")]
    LoginRefused(String),
    /// The peer speaks, but not this protocol.
    #[error("not the expected server: {0}")]
    NotTheKind(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(LinkError),
    /// No answer within the deadline.
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// The peer broke the rules of its protocol, or a limit of ours.
    #[error("protocol broken: {0}")]
    Protocol(String),
    /// The server said that it is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// We were told to stop.
    #[error("stopped")]
    Stopped,
}

/// Something the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// A word for machines: `ari_off`, `forged_event`.
    pub code: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// The name of an open order: the driver's choice, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// The name of a link: the adapter's choice, with the epoch in it so that late bytes of an older life are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId {
    /// The life it belongs to.
    pub epoch: Epoch,
    /// Which link of that life.
    pub slot: u8,
}

/// The name of an HTTP request: the adapter's choice, with the epoch in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId {
    /// The life it belongs to.
    pub epoch: Epoch,
    /// Which request of that life.
    pub number: u64,
}

/// Where a link leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// A TCP stream.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// TLS, and what is asked of the peer; clear text if nothing.
        tls: Option<Trust>,
        /// Whether what comes is acknowledged at once. A peer that writes a message in two pieces and waits for the
        /// acknowledgement of the first one costs 40 ms a message otherwise (sheet yate, section 1). Not under TLS.
        quickack: bool,
    },
    /// A UDP socket connected to one peer: each message is a datagram.
    Udp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A UDP socket of ours: each message is a datagram of that host, from whichever of its ports. Nothing is sent.
    Listen {
        /// Our own address and port.
        at: SocketAddr,
        /// Name or address of the only host that is heard.
        from: String,
    },
    /// A WebSocket: each message is a whole text or binary frame; pings are answered by the link.
    WebSocket {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Path and query.
        path: String,
        /// User name and password for Basic authentication.
        basic: Option<(String, Secret)>,
        /// The largest message taken, in bytes.
        message_max: usize,
        /// TLS, and what is asked of the peer; clear text if nothing.
        tls: Option<Trust>,
    },
}

/// A port of ours, and who may connect to it. All that is sent to him leaves at once, and when we die he is reset, so that
/// he knows it (sheet flexisip, section 9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listening {
    /// Our own address and port.
    pub at: SocketAddr,
    /// Names or addresses of those who may; everybody else is reset without a word.
    pub peers: Vec<String>,
    /// TLS with this identity, and `h2` agreed on; clear text if nothing.
    pub tls: Option<Identity>,
    /// Slots of the links to them, given in turn so that none is used again soon.
    pub slots: RangeInclusive<u8>,
    /// How many may be connected at once.
    pub most: usize,
}

/// Who we are to those who connect to us: two PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Path of the certificate, with what leads to its authority.
    pub certificate: String,
    /// Path of its private key.
    pub key: String,
}

/// A request to a server's HTTP interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRequest {
    /// `GET`, `PUT`, `POST`, `DELETE`.
    pub method: &'static str,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, encoded.
    pub path: String,
    /// User name and password for Basic authentication.
    pub basic: Option<(String, Secret)>,
    /// A token that the server gave us, for Bearer authentication instead.
    pub bearer: Option<Secret>,
    /// A header that shows who we are in another way: its name and its value.
    pub header: Option<(String, Secret)>,
    /// Body and its type.
    pub body: Option<(&'static str, Vec<u8>)>,
    /// The deadline of the whole exchange.
    pub within: Duration,
    /// The largest body taken, in bytes.
    pub reply_max: usize,
    /// TLS, and what is asked of the peer; clear text if nothing.
    pub tls: Option<Trust>,
    /// Whether the body of a 2xx answer comes in parts, as it arrives.
    pub streamed: bool,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Why a link was closed or could not be opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    /// The peer closed it in an orderly way.
    #[error("closed by the peer")]
    Closed,
    /// The peer reset it.
    #[error("reset by the peer")]
    Reset,
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The name has no address, or there is no route.
    #[error("{0}")]
    NoRoute(String),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// TLS did not come about: the peer does not speak it, or is not who it should be. Nothing of ours was said.
    #[error("{0}")]
    Tls(String),
    /// A WebSocket handshake was answered by this status.
    #[error("http status {0}")]
    Status(u16),
    /// Our own side gave up: a queue or message limit.
    #[error("limit exceeded: {0}")]
    Limit(&'static str),
    /// Anything else, in the words of the system.
    #[error("{0}")]
    Other(String),
}

/// A secret: shown as `***` by every formatter.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of sight.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: to be handed to a wire and to nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
