//! How it is pushed: a client of HTTP/2 with one connection, which is opened when something is to be said.
//!
//! Bytes in clear text, with prior knowledge; a TLS front may stand before the receiver. The real one speaks TLS itself.
//! As there: what cannot be said is dropped, with everything that waits behind it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// What the machine hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// One request.
    Event {
        /// `POST`, `PATCH`.
        method: &'static str,
        /// As it goes on the wire, quotes and brackets included.
        path: String,
        /// JSON.
        body: String,
        /// `x-api-key`.
        key: String,
    },
    /// The process is gone.
    Die,
}

/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often an idle connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Pushes until the machine is gone.
pub(super) fn run(pushes: &Receiver<Push>, to: SocketAddr) {
    let mut line: Option<Line> = None;
    loop {
        match pushes.recv_timeout(LOOK_EVERY) {
            Ok(Push::Die) => line = None,
            Ok(Push::Event { method, path, body, key }) => {
                let said = Line::ready(&mut line, to).and_then(|open| open.say(method, &path, &body, &key));
                if said.is_err() {
                    line = None;
                    while pushes.try_recv().is_ok() {}
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if line.as_mut().is_some_and(|open| open.listen(None).is_err()) {
                    line = None;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Pushes once, as somebody who is no Flexisip may, over a connection of his own; his word is out when it was answered.
///
/// # Errors
///
/// Nobody listens there, or nobody answered.
pub fn push_as(key: &str, to: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<()> {
    Line::ready(&mut None, to)?.say(method, path, body, key)
}

/// A connection.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    bytes: Vec<u8>,
    next: u32,
    /// What was said before and is not said again: the newest first.
    table: Vec<(String, String)>,
}

impl Line {
    fn ready(line: &mut Option<Self>, to: SocketAddr) -> io::Result<&mut Self> {
        if line.is_none() {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
            stream.set_nodelay(true)?;
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
            stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
            *line = Some(Self { stream, bytes: Vec::new(), next: 1, table: Vec::new() });
        }
        line.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn say(&mut self, method: &str, path: &str, body: &str, key: &str) -> io::Result<()> {
        let stream = self.next;
        self.next += 2;
        let length = body.len().to_string();
        let block = self.packed(&[
            (":method", method),
            (":scheme", "https"),
            (":path", path),
            (":authority", "ifbus:8443"),
            ("accept", "application/json"),
            ("x-api-key", key),
            ("content-type", "application/json"),
            ("content-length", &length),
        ]);
        // headers and body leave one after the other (sheet, section 9)
        self.stream.write_all(&frame(HEADERS, 0x4, stream, &block))?;
        self.stream.write_all(&frame(DATA, 0x1, stream, body.as_bytes()))?;
        self.listen(Some(stream))
    }

    /// Reads until a stream is answered, or what is there already.
    fn listen(&mut self, wanted: Option<u32>) -> io::Result<()> {
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            while let Some((kind, flags, stream, payload)) = self.frame() {
                match kind {
                    HEADERS if wanted == Some(stream) => {
                        // `:status: 200` is the eighth entry of the table that everybody knows
                        let well = payload.first() == Some(&0x88);
                        return if well { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
                    }
                    SETTINGS if flags & 1 == 0 => self.stream.write_all(&frame(SETTINGS, 1, 0, &[]))?,
                    PING if flags & 1 == 0 => self.stream.write_all(&frame(PING, 1, 0, &payload))?,
                    GOAWAY => return Err(io::ErrorKind::ConnectionAborted.into()),
                    _ => {}
                }
            }
            self.stream.set_read_timeout(Some(Duration::from_millis(if wanted.is_some() {
                100
            } else {
                1
            })))?;
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if wanted.is_none() {
                        return Ok(());
                    }
                    if Instant::now() > until {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Kind, flags, stream and payload of the next frame, once it is whole.
    fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let (head, rest) = self.bytes.split_first_chunk::<9>()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(..length)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let found = (head[3], head[4], stream, payload.to_vec());
        self.bytes.drain(..9 + length);
        Some(found)
    }

    /// Headers; what stays the same is named by its place from the second request on.
    fn packed(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            let known = self.table.iter().position(|(of, is)| of == name && is == value);
            if let Some(place) = known.and_then(|place| u8::try_from(place).ok()).filter(|place| *place < 60)
            {
                out.push(0x80 | (62 + place));
                continue;
            }
            let changes = matches!(*name, ":path" | "content-length");
            out.push(if changes { 0x00 } else { 0x40 });
            for part in [name, value] {
                text(&mut out, part);
            }
            if !changes {
                self.table.insert(0, ((*name).to_owned(), (*value).to_owned()));
            }
        }
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
        Some(length) => out.push(length),
        None => {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
