//! Everything ifbus can tell a server to do, on one page.
//!
//! Verbs are what a user asks for; orders are what an adapter is told. Verbs are composed of orders once, for all
//! kinds of server, in [`crate::call`]. An order that was accepted is not done: it is done when the server's event
//! proves it, or refused at its deadline after the server was asked what is true.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::cause::{Cause, Said};
use crate::id::{CallId, ConferenceId, LegId, RecordingId};
use crate::leg::Seen;
use crate::load::Load;

/// One instruction to one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// A new leg that lands in a waiting place. Done when the server has made the leg (its fate follows as events).
    Dial(Dial),
    /// `a` and `b` talk. Every former partner of either is released and its end reported; nothing is sent if they
    /// are joined already. Never given for a leg that is still ringing. Done when both are seen together.
    Join {
        /// One leg.
        a: LegId,
        /// The other leg.
        b: LegId,
    },
    /// Both leave the talk but live; `held` hears music where there is music. Done when both are seen apart.
    Park {
        /// The leg that hears music.
        held: LegId,
        /// Its partner, which waits in silence.
        other: LegId,
        /// What for.
        why: ParkReason,
    },
    /// The leg ends. A leg that is gone already is a success.
    Drop {
        /// The leg to end.
        leg: LegId,
        /// What the far end is told, where the server can tell it.
        cause: Cause,
    },
    /// The leg's phone hears these digits, paced as the kind of server needs it.
    Dtmf {
        /// The leg that hears them.
        leg: LegId,
        /// What it hears.
        digits: Digits,
    },
    /// Silences one direction of a leg, or opens it again.
    Mute {
        /// The leg.
        leg: LegId,
        /// Which direction.
        direction: Direction,
        /// `true` silences.
        on: bool,
    },
    /// A leg that waits goes into a conference; the first one opens it. Never given for a leg that talks to a single
    /// partner: it would be released. Done when the leg is seen inside.
    Enter {
        /// The leg.
        leg: LegId,
        /// The conference, a name of this instance: the adapter keeps it apart from those of others.
        conference: ConferenceId,
    },
    /// A leg leaves its conference and waits in silence. Done when it is seen outside.
    Leave {
        /// The leg.
        leg: LegId,
    },
    /// What the leg says and hears is written to a file on the server, whoever it talks to from now on. A segment that
    /// is being written already is a success. It ends with its leg, if nothing ends it before.
    Record {
        /// The leg.
        leg: LegId,
        /// Which recording it is a part of.
        recording: RecordingId,
        /// Which part, counted from 0.
        segment: u16,
    },
    /// The segment ends. One that has ended already is a success.
    StopRecord {
        /// The leg it is on.
        leg: LegId,
        /// Which recording.
        recording: RecordingId,
        /// Which part.
        segment: u16,
    },
    /// The bytes of a segment that has ended: they come as chunks beside the answer, a WAV file of 16 bits, 8000 Hz,
    /// one channel.
    Fetch {
        /// Which recording.
        recording: RecordingId,
        /// Which part.
        segment: u16,
    },
    /// The server takes no new calls from its telephones and trunks either, as far as it can; or takes them again.
    /// Asked for twice is a success.
    Drain {
        /// `true`: no new ones.
        on: bool,
    },
    /// The server's own list of calls, ours and foreign ones.
    List,
    /// How busy the server says it is.
    Load,
    /// Whether orders and events get through. Answered as soon as both did.
    Probe,
    /// Whether the telephones' side answers: apart from [`Order::Probe`], because a network that lets no SIP through to
    /// us says nothing about the rest.
    ProbeSip,
    /// Whether everything the operator has to configure is there. Changes nothing on the server.
    Inspect,
}

/// A new leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    /// The id it will have.
    pub leg: LegId,
    /// What the server is to remember about it.
    pub tag: Tag,
    /// Whom it sees as the caller.
    pub caller: Address,
    /// The leg it will be joined to. Servers that offer one phone's media to the other need it; the rest ignore it.
    pub toward: Option<LegId>,
    /// What the phone hears until it is joined; best effort, never an error.
    pub wait: Wait,
    /// How long it may ring.
    pub within: Duration,
}

/// What a server keeps beside a leg, so that the leg finds its call again after we were killed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tag {
    /// The call it belongs to.
    pub call: CallId,
    /// Its place in the call.
    pub role: Role,
    /// Whom this leg rings.
    pub party: Address,
    /// `from` of the call.
    pub from: Address,
    /// `to` of the call.
    pub to: Address,
}

/// A leg's place in its call. A place that became free by a transfer is used again by the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Rung first: `from`.
    A,
    /// Rung second: `to`.
    B,
    /// The target of a transfer.
    C,
}

impl Role {
    /// The three places.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The letter shown on every surface and carried on the wire.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
            Self::C => 'c',
        }
    }

    /// The place with this letter.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| letter.len() == 1 && letter.starts_with(role.letter()))
    }
}

/// What a waiting leg hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Nothing.
    Silence,
    /// The ringing tone of the country.
    Ringback,
}

/// Why two legs are parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParkReason {
    /// One was put on hold.
    Hold,
    /// One waits while the other asks a third party.
    Consult,
}

/// A direction of a leg, seen from its phone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// What that party says.
    In,
    /// What that party hears.
    Out,
}

/// DTMF digits, checked: some servers answer `Success` to digits that do not exist (sheet asterisk, section 5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digits(Box<str>);

/// Why a text is not a row of digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digits are 1 to {} characters of 0-9, A-D, * and #", Digits::LENGTH_MAX)]
pub struct BadDigits;

impl Digits {
    /// The most digits in one order: at one in 160 ms this is five seconds of tones.
    pub const LENGTH_MAX: usize = 32;

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Digits {
    type Err = BadDigits;

    fn from_str(text: &str) -> Result<Self, BadDigits> {
        let well_formed = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b.to_ascii_uppercase(), b'0'..=b'9' | b'A'..=b'D' | b'*' | b'#'));
        if well_formed { Ok(Self(text.to_ascii_uppercase().into())) } else { Err(BadDigits) }
    }
}

impl TryFrom<String> for Digits {
    type Error = BadDigits;

    fn try_from(text: String) -> Result<Self, BadDigits> {
        text.parse()
    }
}

impl From<Digits> for String {
    fn from(digits: Digits) -> Self {
        digits.0.into()
    }
}

/// What came of an order: every ticket gets exactly one.
pub type Outcome = Result<Done, Refused>;

/// An order that was carried out.
#[derive(Clone, PartialEq, Debug)]
pub enum Done {
    /// The event that proves it was seen.
    Proven,
    /// The answer to [`Order::List`].
    Listed(Vec<Seen>),
    /// The answer to [`Order::Load`].
    Loaded(Load),
    /// The answer to [`Order::Probe`] and [`Order::ProbeSip`]: the time each interface took; an interface that was not asked is absent.
    Probed(Vec<Probed>),
    /// The answer to [`Order::Inspect`].
    Inspected(Vec<Finding>),
    /// The answer to [`Order::Drain`]: what the server does with calls from outside.
    Drained(Inbound),
}

/// What a server does with calls that come in from its telephones and trunks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "inbound", rename_all = "lowercase")]
pub enum Inbound {
    /// It takes them.
    Open {
        /// What the operator would have to provide for it to be able to refuse them; absent when it was not asked to.
        need: Option<String>,
    },
    /// It refuses them.
    Closed,
}

/// How one interface of a server answered a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probed {
    /// Which one.
    pub interface: Interface,
    /// The time from question to answer, or why there was none.
    pub answered: Result<Duration, String>,
}

/// An interface of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// Where orders go.
    Management,
    /// Where events come from, if that is another connection.
    Events,
    /// The telephones' side.
    Sip,
}

impl Interface {
    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Events => "events",
            Self::Sip => "sip",
        }
    }
}

/// One line of an inspection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at: `management`, `rights`, `dialplan`, `events`, `sip`, `version`.
    pub area: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// What to do about it, a command or a line of configuration.
    pub fix: Option<String>,
}

/// How a line of an inspection ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but should be known.
    Warn,
    /// A verb will not work.
    Fail,
    /// Could not be looked at.
    Skip,
}

/// An order that was not carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}{}", said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// What a leg of this order would have ended with.
    pub cause: Cause,
    /// What is known about whether it took effect.
    pub evidence: Evidence,
    /// What the server said, if it said something.
    pub said: Option<Said>,
}

/// Why an order was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// The links are not up, or the calls are not listed yet.
    #[error("the server is not connected")]
    NotReady,
    /// The link broke while the order was under way.
    #[error("the connection was lost while the order was under way")]
    LinkLost,
    /// The server said no.
    #[error("the server refused")]
    Refused,
    /// The server knows no such leg.
    #[error("the server knows no such leg")]
    NoSuchLeg,
    /// No proof came in time, and the server, when asked, could not give it.
    #[error("the server gave no proof in time")]
    Unproven,
    /// This server has no way to reach an address of this form.
    #[error("the server has no dial template for this form of address")]
    NoTemplate,
    /// The server is there and could, but something the operator has to provide is missing; what, is in `said`.
    #[error("the server lacks a prerequisite")]
    Prerequisite,
    /// Too many orders are under way.
    #[error("too many orders are under way on this server")]
    Overloaded,
}

/// What is known of an order that was refused: the base of "nobody rings twice" (design section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// No byte of it left us.
    NothingSent,
    /// The server refused it, or says that there is no such leg.
    NotDone,
    /// It may have taken effect.
    Unknown,
}

impl Refused {
    /// Whether it is certain that the order had no effect, so that another server may be told instead.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        matches!(self.evidence, Evidence::NothingSent | Evidence::NotDone)
    }

    /// Whether the link is the reason: what is true will be read from the server's list when it is back.
    #[must_use]
    pub const fn is_of_the_link(&self) -> bool {
        matches!(self.why, Why::NotReady | Why::LinkLost)
    }

    /// A refusal of ours before a byte was sent.
    #[must_use]
    pub const fn unsent(why: Why) -> Self {
        Self { why, cause: Cause::ServerFailure, evidence: Evidence::NothingSent, said: None }
    }

    /// The link broke with the order under way.
    #[must_use]
    pub const fn link_lost() -> Self {
        Self { why: Why::LinkLost, cause: Cause::ServerFailure, evidence: Evidence::Unknown, said: None }
    }
}
