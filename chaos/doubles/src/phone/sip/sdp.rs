//! Session descriptions: one PCMU stream with telephone events.

use std::net::{IpAddr, SocketAddr};

/// Payload type of telephone events in our offers.
pub(super) const EVENTS: u8 = 101;

/// What the far end wants of the audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// Where it takes audio; `None` when it takes none.
    pub(super) to: Option<SocketAddr>,
    /// It sends audio.
    pub(super) sends: bool,
    /// It offers PCMU.
    pub(super) pcmu: bool,
    /// Payload type of its telephone events.
    pub(super) events: Option<u8>,
}

/// Reads an offer or an answer.
pub(super) fn parse(body: &str) -> Option<Remote> {
    let (mut session, mut media) = (None, None);
    let (mut port, mut formats, mut takes, mut sends) = (None, vec![], true, true);
    let mut events = None;
    for line in body.lines().map(str::trim) {
        if let Some(connection) = line.strip_prefix("c=IN IP4 ").or(line.strip_prefix("c=IN IP6 ")) {
            let address: Option<IpAddr> = connection.trim().parse().ok();
            if port.is_some() { media = address } else { session = address }
        } else if let Some(rest) = line.strip_prefix("m=audio ") {
            if port.is_some() {
                break;
            }
            let mut words = rest.split_whitespace();
            port = words.next()?.parse::<u16>().ok();
            formats = words.skip(1).map(str::to_owned).collect();
        } else if line.starts_with("m=") && port.is_some() {
            break;
        } else if let Some(map) = line.strip_prefix("a=rtpmap:") {
            if let Some((kind, "telephone-event/8000")) = map.split_once(' ') {
                events = kind.parse().ok();
            }
        } else if ["a=sendonly", "a=recvonly", "a=inactive"].contains(&line) {
            (takes, sends) = (line == "a=recvonly", line == "a=sendonly");
        }
    }
    let address = media.or(session)?;
    let port = port?;
    let to = (takes && port != 0 && !address.is_unspecified()).then(|| SocketAddr::new(address, port));
    Some(Remote { to, sends, pcmu: formats.iter().any(|format| format == "0"), events })
}

/// Our offer or answer, in which we send and take audio or not.
pub(super) fn describe(local: SocketAddr, version: u32, (sends, takes): (bool, bool), events: u8) -> String {
    let direction = match (sends, takes) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    };
    let (family, ip, port) = (if local.is_ipv4() { "IP4" } else { "IP6" }, local.ip(), local.port());
    format!(
        "v=0\r\no=phone {port} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 {events}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:{events} telephone-event/8000\r\n\
         a=fmtp:{events} 0-16\r\na=ptime:20\r\na={direction}\r\n"
    )
}
