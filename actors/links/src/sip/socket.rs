//! The UDP socket under the crate: the only place in front of its parser (sheet sip-3pcc, W3).
//!
//! What the parser would mishandle is put right or dropped here: strangers, floods, datagrams beyond its buffer, a header
//! that is not UTF-8 (it and all after it would vanish), a missing `Content-Length` (the body would).

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::platform::net::UdpSocket as Socket;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The crate reads no more of a datagram.
pub(super) const DATAGRAM_MAX: usize = 8_192;
/// What may wait unread, in bytes.
const BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams taken in a second: ten times what 200 calls in a second need (sheet, section 11).
const RATE_MAX: u32 = 40_000;

/// A socket that hears one server alone.
pub(super) struct Guarded {
    socket: UdpSocket,
    peers: Vec<IpAddr>,
    inside: Mutex<Inside>,
    dropped: AtomicU64,
}

struct Inside {
    buffer: Vec<u8>,
    second: Instant,
    taken: u32,
}

impl Guarded {
    pub(super) fn new(socket: UdpSocket, peers: Vec<IpAddr>) -> Self {
        // a burst of one server's calls; the system gives less if it is told to
        if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER) {
            tracing::debug!(%error, "the receive buffer of a SIP socket stays as it is");
        }
        let inside = Inside { buffer: vec![0; 65_535], second: Instant::now(), taken: 0 };
        Self { socket, peers, inside: Mutex::new(inside), dropped: AtomicU64::new(0) }
    }

    fn drop_one(&self, why: &'static str) {
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if dropped.is_power_of_two() {
            tracing::debug!(dropped, why, "a SIP datagram was dropped");
        }
    }
}

impl Inside {
    /// Whether another datagram may be taken in this second.
    fn admits(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.taken) = (now, 0);
        }
        self.taken += 1;
        self.taken <= RATE_MAX
    }
}

#[async_trait]
impl Socket for Guarded {
    async fn recv_from(&self, into: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        let mut inside = self.inside.lock().await;
        loop {
            let (count, from) = match self.socket.recv_from(&mut inside.buffer).await {
                Ok(received) => received,
                // the refusal of an earlier datagram, told here by the system
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            if !self.peers.contains(&from.ip().to_canonical()) {
                self.drop_one("not from the server");
            } else if !inside.admits() {
                self.drop_one("too many at once");
            } else if count > DATAGRAM_MAX {
                self.drop_one("too long");
            } else {
                let whole = mended(&inside.buffer[..count]);
                if whole.len() <= into.len() {
                    into[..whole.len()].copy_from_slice(&whole);
                    return Ok((whole.len(), from));
                }
                self.drop_one("too long");
            }
        }
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.socket.send_to(bytes, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// The datagram with a header part that the parser reads to its end, and the length of its body said.
pub(super) fn mended(datagram: &[u8]) -> Vec<u8> {
    let end = datagram.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else { return datagram.to_vec() };
    let (head, body) = (&datagram[..end], &datagram[end + 4..]);
    let mut whole = match std::str::from_utf8(head) {
        Ok(_) => head.to_vec(),
        Err(_) => String::from_utf8_lossy(head).replace(char::REPLACEMENT_CHARACTER, "?").into_bytes(),
    };
    let says_length = whole.split(|byte| *byte == b'\n').any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l")
    });
    if !says_length {
        whole.extend_from_slice(format!("\r\nContent-Length: {}", body.len()).as_bytes());
    }
    whole.extend_from_slice(b"\r\n\r\n");
    whole.extend_from_slice(body);
    whole
}
