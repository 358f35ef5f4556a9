//! The audio of one call: a tone out, tones and digits in (RTP, RFC 3550; telephone events, RFC 4733).

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::sdp::Remote;
use crate::phone::plan::DIGIT;
use crate::phone::tone::{Player, Tone, recognise};

/// Time between packets, and samples in one.
pub(super) const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// What is heard is judged over this time.
const WINDOW: Duration = Duration::from_millis(300);
const KEYS: &str = "0123456789*#ABCD";

/// One call's audio.
#[derive(Debug)]
pub(super) struct Audio {
    player: Player,
    source: u32,
    sequence: u16,
    timestamp: u32,
    remote: Option<Remote>,
    /// Packets heard, with their time of arrival.
    heard: VecDeque<(Duration, Vec<u8>)>,
    /// Timestamp of the telephone event that was last counted.
    last_event: Option<u32>,
    keys: VecDeque<char>,
    event: Option<Event>,
    /// Nothing is sent: the phone holds.
    pub(super) quiet: bool,
}

/// A digit on its way out.
#[derive(Debug)]
struct Event {
    code: u8,
    timestamp: u32,
    packets: u32,
}

impl Audio {
    pub(super) fn new(player: Player, seed: u64) -> Self {
        Audio {
            player,
            source: seed as u32,
            sequence: (seed >> 32) as u16,
            timestamp: (seed >> 16) as u32,
            remote: None,
            heard: VecDeque::new(),
            last_event: None,
            keys: VecDeque::new(),
            event: None,
            quiet: false,
        }
    }

    /// What the far end described.
    pub(super) fn connect(&mut self, remote: Remote) {
        self.remote = Some(remote);
    }

    /// Payload type of telephone events that the far end named.
    pub(super) fn events(&self) -> Option<u8> {
        self.remote.as_ref()?.events
    }

    /// Whether the far end takes audio, and whether it sends any.
    pub(super) fn far_end(&self) -> (bool, bool) {
        self.remote.as_ref().map_or((true, true), |remote| (remote.to.is_some(), remote.sends))
    }

    /// What is played from now on.
    pub(super) fn play(&mut self, tones: BTreeSet<Tone>) {
        self.player.change(tones);
    }

    pub(super) fn press(&mut self, digits: &str) {
        self.keys.extend(digits.chars().map(|d| d.to_ascii_uppercase()).filter(|d| KEYS.contains(*d)));
    }

    /// The packet that is due now.
    pub(super) fn next_packet(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let samples = self.player.pcmu(SAMPLES);
        let timestamp = self.timestamp;
        self.timestamp = self.timestamp.wrapping_add(SAMPLES as u32);
        let to = self.remote.as_ref()?.to?;
        if let Some(packet) = self.event_packet(timestamp) {
            return Some((to, packet));
        }
        if self.quiet {
            return None;
        }
        Some((to, self.packet(0, false, timestamp, &samples)))
    }

    fn event_packet(&mut self, timestamp: u32) -> Option<Vec<u8>> {
        let kind = self.events()?;
        if self.event.is_none() {
            let code = KEYS.find(self.keys.pop_front()?)? as u8;
            self.event = Some(Event { code, timestamp, packets: 0 });
        }
        let event = self.event.as_mut()?;
        event.packets += 1;
        let sounding = (DIGIT.0.as_millis() / PACKET.as_millis()) as u32;
        let pause = (DIGIT.1.as_millis() / PACKET.as_millis()) as u32;
        let duration = (event.packets.min(sounding) * SAMPLES as u32) as u16;
        let end = event.packets > sounding;
        let (code, first, started) = (event.code, event.packets == 1, event.timestamp);
        // The end is said three times, in the pause that follows the digit.
        if event.packets >= sounding + pause.max(3) {
            self.event = None;
        }
        let [high, low] = duration.to_be_bytes();
        let payload = [code, if end { 0x80 | 10 } else { 10 }, high, low];
        Some(self.packet(kind, first, started, &payload))
    }

    fn packet(&mut self, kind: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    /// Takes a received packet; a digit when a new one begins.
    pub(super) fn receive(&mut self, packet: &[u8], now: Duration) -> Option<char> {
        let (header, rest) = packet.split_at_checked(12)?;
        let extra = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 6 != 2 || header[0] & 0x10 != 0 {
            return None;
        }
        let payload = rest.get(extra..)?;
        let kind = header[1] & 0x7f;
        if kind == 0 {
            self.heard.push_back((now, payload.to_vec()));
            self.forget(now);
            return None;
        }
        // Each side sends by the number that the other named; ours was our own, or theirs (RFC 3264 section 5.1).
        if ![self.events(), Some(super::sdp::EVENTS)].contains(&Some(kind)) {
            return None;
        }
        let timestamp = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        if self.last_event.replace(timestamp) == Some(timestamp) {
            return None;
        }
        KEYS.chars().nth(usize::from(*payload.first()?))
    }

    fn forget(&mut self, now: Duration) {
        while self.heard.front().is_some_and(|(at, _)| *at + WINDOW < now) {
            self.heard.pop_front();
        }
    }

    /// The tones of the last 300 ms.
    pub(super) fn tones(&mut self, now: Duration) -> BTreeSet<Tone> {
        self.forget(now);
        let sound: Vec<u8> = self.heard.iter().flat_map(|(_, samples)| samples.iter().copied()).collect();
        recognise(&sound)
    }
}
