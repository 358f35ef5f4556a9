//! Session descriptions, line by line: what two phones say to each other through us, with as little changed as possible.
//!
//! Changed are `o=` (ours for each leg), the direction, and the number of streams; everything else goes across byte for
//! byte. No negotiation: that is the phones' (sheet sip-3pcc, section 3, 14 to 18).

use serde::{Deserialize, Serialize};

/// The longest description taken, in bytes: with headers it must fit into a datagram of 8192 (sheet, section 11).
pub const BYTES_MAX: usize = 6_000;
/// The most streams in one description.
pub const STREAMS_MAX: usize = 16;

/// Lines of a stream that say where it goes and how it is protected: with another one of them it is another stream.
const TRANSPORT: [&str; 6] =
    ["c=", "a=candidate:", "a=ice-ufrag:", "a=fingerprint:", "a=crypto:", "a=setup:"];

/// Why a text is no description that can be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSdp {
    /// Longer than [`BYTES_MAX`].
    #[error("longer than {BYTES_MAX} bytes")]
    TooLong,
    /// A line that is not `x=text`, or a control character.
    #[error("a line is not of the form x=text")]
    Line,
    /// It does not begin with `v=0`, or has no `o=`.
    #[error("no v=0 or no o=")]
    Header,
    /// It describes no stream, or more than [`STREAMS_MAX`].
    #[error("it describes no stream, or more than {STREAMS_MAX}")]
    Streams,
}

/// Which way media flows, as the side that says it sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only listens.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];

    /// The attribute's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the one who says so sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the one who says so listens.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow, seen from the other side.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Whether the one who says so does not listen: the other one is on hold.
    #[must_use]
    pub const fn is_hold(self) -> bool {
        !self.receives()
    }
}

/// The `o=` line of one leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// Session id, fixed for the leg.
    pub id: u64,
    /// Version; one more for every other description.
    pub version: u64,
    /// Our own address, without a port.
    pub host: &'a str,
}

/// A description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sdp {
    /// Lines before the first stream.
    session: Vec<String>,
    /// Each begins with its `m=` line.
    streams: Vec<Vec<String>>,
}

impl Sdp {
    /// Reads a description; line ends may be CRLF or LF.
    ///
    /// # Errors
    /// It is too long, not well formed, or describes nothing.
    pub fn parse(text: &str) -> Result<Self, BadSdp> {
        if text.len() > BYTES_MAX {
            return Err(BadSdp::TooLong);
        }
        let (mut session, mut streams) = (Vec::new(), Vec::<Vec<String>>::new());
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if line.is_empty() {
                continue;
            }
            let bytes = line.as_bytes();
            let well_formed = bytes[0].is_ascii_lowercase() && bytes.get(1) == Some(&b'=');
            if !well_formed || line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(BadSdp::Line);
            }
            if line.starts_with("o=") && !streams.is_empty() {
                return Err(BadSdp::Header);
            }
            if line.starts_with("m=") {
                port_of(line).ok_or(BadSdp::Line)?;
                streams.push(Vec::new());
            }
            streams.last_mut().unwrap_or(&mut session).push(line.to_owned());
        }
        if session.first().map(String::as_str) != Some("v=0")
            || session.iter().filter(|line| line.starts_with("o=")).count() != 1
        {
            return Err(BadSdp::Header);
        }
        if !(1..=STREAMS_MAX).contains(&streams.len()) {
            return Err(BadSdp::Streams);
        }
        Ok(Self { session, streams })
    }

    /// The offer of somebody who is not there yet: everybody accepted this one (sheet, section 1).
    #[must_use]
    pub fn held() -> Self {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        Self {
            session: lines(&["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "c=IN IP4 0.0.0.0", "t=0 0"]),
            streams: vec![lines(&[
                "m=audio 9 RTP/AVP 0 8 101",
                "a=rtpmap:0 PCMU/8000",
                "a=rtpmap:8 PCMA/8000",
                "a=rtpmap:101 telephone-event/8000",
                "a=fmtp:101 0-16",
                "a=inactive",
            ])],
        }
    }

    /// How many streams it describes, refused ones among them.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The direction of its first stream that is not refused.
    #[must_use]
    pub fn direction(&self) -> Direction {
        let live = self.streams.iter().find(|stream| port_of(&stream[0]) != Some(0));
        let stream = live.unwrap_or(&self.streams[0]);
        if self.is_nowhere(stream) {
            // the old way to say hold (RFC 2543)
            return direction_in(stream).unwrap_or(Direction::SendRecv).and(Direction::SendOnly);
        }
        direction_in(stream).or_else(|| direction_in(&self.session)).unwrap_or(Direction::SendRecv)
    }

    /// Whether media can be sent to it: a real address, and a stream that is not refused.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.streams.iter().any(|stream| port_of(&stream[0]).is_some_and(|port| port != 0 && port != 9))
            && !self.streams.iter().all(|stream| self.is_nowhere(stream))
    }

    fn is_nowhere(&self, stream: &[String]) -> bool {
        let connection = |lines: &[String]| {
            lines.iter().find(|line| line.starts_with("c=")).map(|line| line.trim_end().ends_with(" 0.0.0.0"))
        };
        connection(stream).or_else(|| connection(&self.session)).unwrap_or(false)
    }

    /// The same with this direction in every stream.
    #[must_use]
    pub fn directed(mut self, direction: Direction) -> Self {
        self.session.retain(|line| !is_direction(line));
        for stream in &mut self.streams {
            stream.retain(|line| !is_direction(line));
            stream.push(format!("a={}", direction.as_str()));
        }
        self
    }

    /// As an offer in a session whose last description had `streams` of these: a stream that is not there any more is
    /// refused, never left out (RFC 3264, section 8).
    #[must_use]
    pub fn grown_like(mut self, before: &Self) -> Self {
        for gone in before.streams.iter().skip(self.streams.len()) {
            self.streams.push(refused(&gone[0]));
        }
        self
    }

    /// As an answer to `offer`: as many streams, in its order; those we have none for are refused.
    #[must_use]
    pub fn answering(mut self, offer: &Self) -> Self {
        let mut streams = Vec::new();
        for (at, asked) in offer.streams.iter().enumerate() {
            let kind = |line: &str| line.split(' ').next().map(str::to_owned);
            match self.streams.get(at) {
                Some(stream) if kind(&stream[0]) == kind(&asked[0]) && port_of(&asked[0]) != Some(0) => {
                    streams.push(stream.clone());
                }
                _ => streams.push(refused(&asked[0])),
            }
        }
        self.streams = streams;
        self
    }

    /// Whether both lead to the same place.
    #[must_use]
    pub fn same_transport(&self, other: &Self) -> bool {
        let told = |sdp: &Self| -> Vec<(Option<u16>, Vec<String>)> {
            let wanted = |line: &&String| TRANSPORT.iter().any(|prefix| line.starts_with(prefix));
            let of = |lines: &[String]| lines.iter().filter(wanted).cloned().collect::<Vec<_>>();
            let session = (None, of(&sdp.session));
            let streams = sdp.streams.iter().filter(|stream| port_of(&stream[0]) != Some(0));
            std::iter::once(session).chain(streams.map(|stream| (port_of(&stream[0]), of(stream)))).collect()
        };
        told(self) == told(other)
    }

    /// Whether both say the same, whoever says it.
    #[must_use]
    pub fn same_words(&self, other: &Self) -> bool {
        let session = |sdp: &Self| -> Vec<String> {
            sdp.session.iter().filter(|line| !line.starts_with("o=")).cloned().collect()
        };
        session(self) == session(other) && self.streams == other.streams
    }

    /// The text, under this origin.
    #[must_use]
    pub fn write(&self, origin: Origin<'_>) -> String {
        let family = if origin.host.contains(':') { "IP6" } else { "IP4" };
        let ours = format!("o=ifbus {} {} IN {family} {}", origin.id, origin.version, origin.host);
        let mut text = String::new();
        for line in self.session.iter().chain(self.streams.iter().flatten()) {
            text.push_str(if line.starts_with("o=") { &ours } else { line });
            text.push_str("\r\n");
        }
        text
    }
}

/// `m=audio 4000/2 RTP/AVP 0`: the port, if the line is one.
fn port_of(line: &str) -> Option<u16> {
    let mut words = line.strip_prefix("m=")?.split(' ');
    let kind = words.next().filter(|kind| !kind.is_empty());
    let port = words.next()?.split('/').next()?.parse().ok()?;
    kind.and(words.next()).and(words.next()).map(|_| port)
}

fn refused(line: &str) -> Vec<String> {
    let mut words: Vec<&str> = line.split(' ').collect();
    words[1] = "0";
    vec![words.join(" ")]
}

fn is_direction(line: &str) -> bool {
    named(line).is_some()
}

fn direction_in(lines: &[String]) -> Option<Direction> {
    lines.iter().find_map(|line| named(line))
}

fn named(line: &str) -> Option<Direction> {
    let name = line.strip_prefix("a=")?.trim_end();
    Direction::ALL.into_iter().find(|direction| direction.as_str() == name)
}
