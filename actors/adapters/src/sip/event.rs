//! What the SIP stack tells an agent, as plain values.
//!
//! Not here: what it means for a leg; that is decided in `heard.rs`.

use ifbus_call::LegId;

use super::dialog::Wire;
use crate::adapter::LinkError;

/// Something that happened on the SIP side of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SipEvent {
    /// The endpoint receives; this is the address phones are told, `host:port`.
    Opened {
        /// `host:port`.
        contact: String,
    },
    /// Media anchors reach us there, `host:port`; before `Opened`.
    AnchorOpened {
        /// `host:port`.
        contact: String,
    },
    /// A media anchor calls us. To be accepted or declined.
    Invited {
        /// To be given back.
        token: u64,
        /// User part of the Request-URI.
        user: String,
        /// The dialog it will be.
        wire: Box<Wire>,
        /// Its offer.
        sdp: Option<String>,
    },
    /// The endpoint could not be made, or broke.
    Closed(LinkError),
    /// A reply to an invitation that is not final.
    Provisional {
        /// Whose.
        leg: LegId,
        /// 100 to 199.
        code: u16,
        /// It described media.
        media: bool,
    },
    /// The phone answered; it was acknowledged already.
    Up {
        /// Whose.
        leg: LegId,
        /// Its answer.
        sdp: String,
        /// The session timer that was imposed.
        session: Option<Session>,
    },
    /// The invitation failed. An answer without a description, or one that makes no dialog, is ended by the stack and
    /// told here.
    Rejected {
        /// Whose.
        leg: LegId,
        /// Why.
        reply: Reply,
    },
    /// A reply to a request inside a dialog, or to OPTIONS.
    Replied {
        /// Whose; absent for the server itself.
        leg: Option<LegId>,
        /// Of the request.
        number: u64,
        /// What it says.
        reply: Reply,
    },
    /// The phone offers a new description: its hold button, a refresh. To be answered.
    PeerOffer {
        /// Whose.
        leg: LegId,
        /// To be given back.
        token: u64,
        /// The offer; absent where it wants one of us.
        sdp: Option<String>,
        /// The session timer it asks for.
        session: Option<Session>,
    },
    /// The phone's answer in an ACK, to an offer that it asked us for.
    PeerAnswer {
        /// Whose.
        leg: LegId,
        /// The answer.
        sdp: String,
    },
    /// INFO from the phone; was answered 200.
    PeerInfo {
        /// Whose.
        leg: LegId,
        /// `Content-Type`, in lower case, without parameters.
        kind: String,
        /// What it carried.
        body: String,
    },
    /// REFER: the phone wants its partner to talk to somebody else. To be answered.
    Referred {
        /// Whose.
        leg: LegId,
        /// To be given back.
        token: u64,
        /// `Refer-To`, as it came.
        to: String,
    },
    /// NOTIFY of a REFER; was answered 200.
    Notify {
        /// Whose.
        leg: LegId,
        /// The status in its fragment.
        code: u16,
        /// The subscription is over.
        last: bool,
    },
    /// The dialog is over.
    Ended {
        /// Whose.
        leg: LegId,
        /// How.
        ended: Ended,
        /// `Reason: Q.850` of the far end's BYE.
        reason: Option<(u16, String)>,
    },
    /// What has to be written down of a dialog is now this.
    Changed(LegId, Box<Wire>),
    /// Something the operator should know.
    Trouble {
        /// A word for machines.
        code: &'static str,
        /// A sentence for people.
        text: String,
    },
}

/// A final reply.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// 200 to 699.
    pub code: u16,
    /// It is our own word: nobody answered in time, or there was no way to ask.
    pub local: bool,
    /// No byte of the request left us.
    pub unsent: bool,
    /// The words behind the number.
    pub text: String,
    /// `Reason: Q.850`, if it was there.
    pub reason: Option<(u16, String)>,
    /// The description it carried.
    pub sdp: Option<String>,
    /// The session timer it imposes; of a 422, the least one in `every`.
    pub session: Option<Session>,
}

impl Reply {
    /// A reply that consists of its number.
    #[must_use]
    pub fn of(code: u16) -> Self {
        Self { code, ..Self::default() }
    }

    /// Nobody answered in time.
    #[must_use]
    pub fn silence() -> Self {
        Self { code: 408, local: true, text: "no answer in time".to_owned(), ..Self::default() }
    }

    /// There was no way to ask.
    #[must_use]
    pub fn unsent(why: String) -> Self {
        Self { code: 503, local: true, unsent: true, text: why, ..Self::default() }
    }

    /// Whether it is a 2xx.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.code / 100 == 2
    }
}

/// A session timer (RFC 4028).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// Seconds after which the call counts as dead without a refresh.
    pub every: u32,
    /// We have to refresh it; else the far end has to.
    pub ours: bool,
}

/// How a dialog ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The far end said BYE.
    ByPeer,
    /// We said BYE, and it was answered or nobody is left who could.
    ByUs,
    /// The far end, when asked for something else, did not know the dialog.
    Unknown,
}
