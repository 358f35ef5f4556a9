//! What an agent asks of the SIP stack, as plain values: the stack behind it can be another one, or none.
//!
//! Not here: what a request becomes on the wire (`ifbus-links`, `sip/`). Facts: `docs/adr/0011-sip-agent.md`.

use std::net::SocketAddr;
use std::time::Duration;

use ifbus_call::LegId;

use super::dialog::Wire;
use crate::adapter::Secret;
use crate::trust::Trust;

/// One request to the stack. Nothing here waits: what comes of it is told by a [`super::SipEvent`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SipCommand {
    /// Make the endpoint of this server; nothing is received before [`SipCommand::Bind`].
    Open(Box<SipEndpoint>),
    /// Take up a dialog of an earlier life, before anything can arrive for it.
    Restore(LegId, Box<Wire>),
    /// From now on messages are received; answered by `Opened` or `Closed`.
    Bind,
    /// Call a phone through the server.
    Invite(Box<SipInvite>),
    /// Offer a new session description, or the same one again.
    Reinvite {
        /// Whose dialog.
        leg: LegId,
        /// Comes back with the reply.
        number: u64,
        /// The offer.
        sdp: String,
        /// `Session-Expires` of a refresh, in seconds.
        session: Option<u32>,
        /// After so long the reply is given as a local 408; the transaction goes on by itself.
        within: Duration,
    },
    /// A request inside the dialog that carries something.
    Info {
        /// Whose dialog.
        leg: LegId,
        /// Comes back with the reply.
        number: u64,
        /// `Content-Type`.
        kind: &'static str,
        /// What it carries.
        body: String,
        /// As above.
        within: Duration,
    },
    /// Ask whether the far end of a dialog lives; without a leg, whether the server does.
    Options {
        /// Whose dialog.
        leg: Option<LegId>,
        /// Comes back with the reply.
        number: u64,
        /// As above.
        within: Duration,
    },
    /// Ask a phone to call somebody else.
    Refer {
        /// Whose dialog.
        leg: LegId,
        /// Comes back with the reply; the outcome follows as `Notify`.
        number: u64,
        /// `Refer-To`.
        to: String,
        /// As above.
        within: Duration,
    },
    /// Tell a phone how the transfer goes that it asked for (RFC 3515, 2.4.5).
    Notify {
        /// Whose dialog.
        leg: LegId,
        /// Comes back with the reply.
        number: u64,
        /// The number of its REFER, if it was not the first in this dialog.
        id: Option<u32>,
        /// How the call stands that it asked for: 100, or what came of it.
        code: u16,
        /// There is no more to tell.
        last: bool,
        /// As above.
        within: Duration,
    },
    /// End a dialog.
    Bye {
        /// Whose.
        leg: LegId,
        /// Q.850 cause and text, told to the far end.
        reason: Option<(u16, String)>,
        /// As above; the end is told by then in any case.
        within: Duration,
    },
    /// End an invitation that was not answered: at once, or as soon as SIP allows it. A late answer is acknowledged and
    /// ended.
    Cancel {
        /// Whose.
        leg: LegId,
    },
    /// Answer an offer of the phone's, or its REFER.
    Answer {
        /// Whose dialog.
        leg: LegId,
        /// Which offer or REFER.
        token: u64,
        /// 200, of a REFER 202; or why not.
        code: u16,
        /// The answer, with 200.
        sdp: Option<String>,
    },
    /// Take a call of a media anchor; its dialog has this name from now on.
    Accept {
        /// Whose dialog it becomes.
        leg: LegId,
        /// Which call.
        token: u64,
        /// The answer.
        sdp: String,
    },
    /// Refuse a call.
    Decline {
        /// Which.
        token: u64,
        /// Why not.
        code: u16,
    },
    /// Nothing more will be said in this dialog.
    Forget(LegId),
    /// The endpoint ends; dialogs are left alone.
    Close,
}

/// Where and as whom SIP is spoken to one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipEndpoint {
    /// Name or address of the server's SIP side; everything goes there.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How.
    pub transport: SipTransport,
    /// Our own address and port. It must be the same after a restart, or phones do not find us again.
    pub listen: SocketAddr,
    /// What the far ends are told of it, if that is another one (behind NAT).
    pub advertise: Option<(String, u16)>,
    /// Names and passwords, by realm.
    pub credentials: Vec<SipCredential>,
    /// The server with media that may call us, if there is one.
    pub anchor: Option<SipAnchor>,
}

/// A server with media that calls us for legs that are lent to it. It is spoken to directly; nobody else is heard there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipAnchor {
    /// Name or address of its SIP side.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our own address and port for it: not the one that the phones' server knows.
    pub listen: SocketAddr,
}

/// How SIP travels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// One connection for all calls.
    Tcp,
    /// The same under TLS.
    Tls(Trust),
}

impl SipTransport {
    /// The word in `Via` and `transport=`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls(_) => "tls",
        }
    }
}

/// Who we are when a server or somebody behind it asks (401, 407).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipCredential {
    /// Only where this realm is named; anywhere if nothing is said.
    pub realm: Option<String>,
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// A call to a phone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipInvite {
    /// The leg it makes.
    pub leg: LegId,
    /// Request-URI and To: `sip:1001@example.org`.
    pub target: String,
    /// From, as a URI.
    pub caller: String,
    /// The name of the dialog, chosen by the agent so that it is written down before the wire hears of it.
    pub call_id: String,
    /// Our tag.
    pub tag: String,
    /// The offer.
    pub sdp: String,
    /// Further headers, checked by the agent.
    pub headers: Vec<(&'static str, String)>,
}
