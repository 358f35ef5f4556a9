//! One connection: frames to requests, and what has to be said to them.

use std::collections::{BTreeMap, VecDeque};

use super::Broken;
use super::budget::Budget;
use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, write,
};
use super::hpack::{Decoder, Field, LIST_MAX};

/// How every client begins (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams that may be open at once.
const STREAMS_MAX: usize = 128;
/// The largest body of a request, in bytes.
const BODY_MAX: usize = 64 * 1024;
/// What all open bodies may hold together, in bytes: also the window of the connection.
const BODIES_MAX: usize = 1024 * 1024;
/// A whole header block, in bytes.
const BLOCK_MAX: usize = 16 * 1024;
/// So much of our words may wait to be taken, in bytes.
const OUTPUT_MAX: usize = 64 * 1024;

/// SETTINGS: most streams, largest header list, no push.
const SETTING_STREAMS: u16 = 0x3;
const SETTING_LIST: u16 = 0x6;
const SETTING_PUSH: u16 = 0x2;

/// A request that was received whole, and answered 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`, `PATCH`.
    pub method: Vec<u8>,
    /// As it came: neither decoded nor checked.
    pub path: Vec<u8>,
    /// All other headers, names in lower case.
    pub headers: Vec<Field>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, if it is there exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name.as_bytes());
        let value = values.next().map(|(_, value)| value.as_slice());
        value.filter(|_| values.next().is_none())
    }
}

/// The server's side of a connection, with prior knowledge: TLS has agreed on `h2`, or nothing was asked.
#[derive(Debug)]
pub struct Connection {
    bytes: Vec<u8>,
    out: Vec<u8>,
    begun: bool,
    /// The first frame was SETTINGS.
    settled: bool,
    broken: Option<Broken>,
    headers: Decoder,
    streams: BTreeMap<u32, Stream>,
    /// Bytes of all bodies.
    bodies: usize,
    newest: u32,
    /// Headers that go on in further frames.
    block: Option<Block>,
    requests: VecDeque<Request>,
    budget: Budget,
    /// What we have not yet given back of the connection's window.
    consumed: u32,
    pings: u64,
}

#[derive(Debug)]
struct Block {
    stream: u32,
    last: bool,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    request: Request,
    length: Option<usize>,
}

impl Default for Connection {
    fn default() -> Self {
        let mut connection = Self {
            bytes: Vec::new(),
            out: Vec::new(),
            begun: false,
            settled: false,
            broken: None,
            headers: Decoder::default(),
            streams: BTreeMap::new(),
            bodies: 0,
            newest: 0,
            block: None,
            requests: VecDeque::new(),
            budget: Budget::default(),
            consumed: 0,
            pings: 0,
        };
        let mut settings = Vec::new();
        let most = u32::try_from(STREAMS_MAX).expect("a small number");
        let list = u32::try_from(LIST_MAX).expect("a small number");
        for (setting, value) in [(SETTING_STREAMS, most), (SETTING_LIST, list), (SETTING_PUSH, 0)] {
            settings.extend_from_slice(&setting.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        write(&mut connection.out, SETTINGS, 0, 0, &settings);
        // every connection begins with a window of 65,535 bytes: more of it, so that many small bodies never wait
        let more = u32::try_from(BODIES_MAX - 65_535).expect("a small number");
        write(&mut connection.out, WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        connection
    }
}

impl Connection {
    /// Takes bytes in any split. After an error nothing more is taken.
    ///
    /// # Errors
    ///
    /// The connection is to be closed, after [`Connection::output`] was sent.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.bytes.extend_from_slice(bytes);
        let taken = self.take();
        if let Err(broken) = taken {
            self.broken = Some(broken);
            self.bytes = Vec::new();
            if broken != Broken::Preface {
                let mut words = self.newest.to_be_bytes().to_vec();
                words.extend_from_slice(&broken.code().to_be_bytes());
                write(&mut self.out, GOAWAY, 0, 0, &words);
            }
        }
        taken
    }

    /// The next request that is whole.
    #[expect(clippy::should_implement_trait, reason = "more may come after none")]
    pub fn next(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// What is to be sent, in order.
    pub fn output(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// Asks for a sign of life; a client that hears nothing for a minute goes away (sheet flexisip, section 9).
    pub fn ping(&mut self) {
        if self.settled && self.broken.is_none() {
            self.pings += 1;
            let mark = self.pings.to_be_bytes();
            write(&mut self.out, PING, 0, 0, &mark);
        }
    }

    fn take(&mut self) -> Result<(), Broken> {
        if !self.begun {
            let length = self.bytes.len().min(PREFACE.len());
            if self.bytes[..length] != PREFACE[..length] {
                return Err(Broken::Preface);
            }
            if length < PREFACE.len() {
                return Ok(());
            }
            self.begun = true;
            self.bytes.drain(..length);
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut at = 0;
        while let Some((frame, length)) = Frame::first(&bytes[at..])? {
            at += length;
            self.budget.frame()?;
            self.frame(frame)?;
            if self.out.len() > OUTPUT_MAX {
                return Err(Broken::Limit("words of ours that nobody takes"));
            }
        }
        self.bytes = bytes;
        self.bytes.drain(..at);
        Ok(())
    }

    fn frame(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        if self.block.is_some() && frame.kind != CONTINUATION {
            return Err(Broken::Protocol("something between the parts of headers"));
        }
        if !self.settled && frame.kind != SETTINGS {
            return Err(Broken::Protocol("does not begin with settings"));
        }
        match frame.kind {
            DATA => self.data(frame),
            HEADERS => self.headers_begin(frame),
            CONTINUATION => self.headers_go_on(frame),
            PRIORITY if frame.payload.len() != 5 => Err(Broken::FrameSize("priority")),
            PRIORITY if frame.stream == 0 => Err(Broken::Protocol("priority of no stream")),
            RST_STREAM => self.taken_back(frame),
            SETTINGS => self.settings(frame),
            PUSH_PROMISE => Err(Broken::Protocol("a client cannot push")),
            PING => self.asked(frame),
            GOAWAY if frame.stream != 0 => Err(Broken::Protocol("goaway of a stream")),
            GOAWAY => Err(Broken::GoneAway),
            WINDOW_UPDATE => self.window(frame),
            // priority of a stream, and frames of a later version
            _ => Ok(()),
        }
    }

    // ---- about the connection ----------------------------------------------------------------------------------------

    fn settings(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        if frame.stream != 0 {
            return Err(Broken::Protocol("settings of a stream"));
        }
        if frame.has(ACK) {
            let well = frame.payload.is_empty() && self.settled;
            return if well { Ok(()) } else { Err(Broken::FrameSize("settings")) };
        }
        if !frame.payload.len().is_multiple_of(6) {
            return Err(Broken::FrameSize("settings"));
        }
        // nothing a client may set concerns somebody who sends no data and packs no headers
        self.settled = true;
        write(&mut self.out, SETTINGS, ACK, 0, &[]);
        Ok(())
    }

    fn asked(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        if frame.stream != 0 {
            return Err(Broken::Protocol("ping of a stream"));
        }
        if frame.payload.len() != 8 {
            return Err(Broken::FrameSize("ping"));
        }
        if !frame.has(ACK) {
            write(&mut self.out, PING, ACK, 0, frame.payload);
        }
        Ok(())
    }

    fn window(&self, frame: Frame<'_>) -> Result<(), Broken> {
        let bytes: [u8; 4] = frame.payload.try_into().map_err(|_| Broken::FrameSize("window update"))?;
        let is_idle = frame.stream > self.newest;
        match u32::from_be_bytes(bytes) & 0x7fff_ffff {
            _ if is_idle => Err(Broken::Protocol("window of a stream that is not open")),
            0 => Err(Broken::Protocol("window update of nothing")),
            _ => Ok(()),
        }
    }

    // ---- about a request ---------------------------------------------------------------------------------------------

    fn headers_begin(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        let content = frame.content()?;
        if frame.stream.is_multiple_of(2) {
            return Err(Broken::Protocol("a stream that a client cannot open"));
        }
        let is_new = frame.stream > self.newest;
        if is_new && self.streams.len() >= STREAMS_MAX {
            return Err(Broken::Limit("open streams"));
        }
        if !is_new && !self.streams.contains_key(&frame.stream) {
            return Err(Broken::Protocol("headers of a stream that is closed"));
        }
        self.newest = self.newest.max(frame.stream);
        let block = Block { stream: frame.stream, last: frame.has(END_STREAM), bytes: content.to_vec() };
        self.block_taken(block, frame.has(END_HEADERS))
    }

    fn headers_go_on(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        let block = self.block.take().filter(|block| block.stream == frame.stream);
        let mut block = block.ok_or(Broken::Protocol("a part of headers that were not begun"))?;
        block.bytes.extend_from_slice(frame.payload);
        self.block_taken(block, frame.has(END_HEADERS))
    }

    fn block_taken(&mut self, block: Block, whole: bool) -> Result<(), Broken> {
        if block.bytes.len() > BLOCK_MAX {
            return Err(Broken::Limit("bytes of headers"));
        }
        if !whole {
            self.block = Some(block);
            return Ok(());
        }
        let fields = self.headers.read(&block.bytes)?;
        if self.streams.contains_key(&block.stream) {
            // what comes after a body only ends it
            let ends = block.last && fields.iter().all(|(name, _)| !name.starts_with(b":"));
            let broken = Err(Broken::Protocol("headers within a request"));
            return if ends { self.complete(block.stream) } else { broken };
        }
        let Some(stream) = Stream::of(fields) else {
            return self.refuse(block.stream);
        };
        self.streams.insert(block.stream, stream);
        if block.last { self.complete(block.stream) } else { Ok(()) }
    }

    fn data(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        let content = frame.content()?;
        if frame.stream == 0 || frame.stream > self.newest {
            return Err(Broken::Protocol("data of no stream"));
        }
        self.give_back(frame.payload.len());
        let Some(stream) = self.streams.get_mut(&frame.stream) else {
            // of a stream that we have refused a moment ago
            return Ok(());
        };
        stream.request.body.extend_from_slice(content);
        self.bodies += content.len();
        if stream.request.body.len() > BODY_MAX || self.bodies > BODIES_MAX {
            return Err(Broken::Limit("bytes of a body"));
        }
        if frame.has(END_STREAM) { self.complete(frame.stream) } else { Ok(()) }
    }

    /// The window of the connection is opened again by what was read; that of a stream holds a whole body.
    fn give_back(&mut self, length: usize) {
        self.consumed += u32::try_from(length).expect("a frame is short");
        if self.consumed >= 32_768 {
            let consumed = std::mem::take(&mut self.consumed);
            write(&mut self.out, WINDOW_UPDATE, 0, 0, &consumed.to_be_bytes());
        }
    }

    fn taken_back(&mut self, frame: Frame<'_>) -> Result<(), Broken> {
        if frame.payload.len() != 4 {
            return Err(Broken::FrameSize("reset"));
        }
        if frame.stream == 0 || frame.stream > self.newest {
            return Err(Broken::Protocol("reset of no stream"));
        }
        if let Some(gone) = self.streams.remove(&frame.stream) {
            self.bodies -= gone.request.body.len();
        }
        self.budget.reset()
    }

    /// A request without method or path: its stream alone is of no use.
    fn refuse(&mut self, stream: u32) -> Result<(), Broken> {
        write(&mut self.out, RST_STREAM, 0, stream, &0x1u32.to_be_bytes());
        self.budget.reset()
    }

    /// Answers at once and always the same: anything else makes the client forget what it has to say of this call.
    fn complete(&mut self, id: u32) -> Result<(), Broken> {
        let Some(stream) = self.streams.remove(&id) else { return Ok(()) };
        self.bodies -= stream.request.body.len();
        if stream.length.is_some_and(|length| length != stream.request.body.len()) {
            return self.refuse(id);
        }
        // `:status: 200`, the eighth entry of the table that everybody knows
        write(&mut self.out, HEADERS, END_HEADERS | END_STREAM, id, &[0x88]);
        self.budget.request();
        self.requests.push_back(stream.request);
        Ok(())
    }
}

impl Stream {
    /// What the headers say; nothing for a request that is none (RFC 9113, section 8.3).
    fn of(fields: Vec<Field>) -> Option<Self> {
        let (mut method, mut path, mut length) = (None, None, None);
        let mut headers = Vec::new();
        for (name, value) in fields {
            if !name.starts_with(b":") {
                if name == b"content-length" {
                    length = Some(std::str::from_utf8(&value).ok()?.parse().ok()?);
                }
                headers.push((name, value));
                continue;
            }
            if !headers.is_empty() {
                return None;
            }
            let twice = match name.as_slice() {
                b":method" => method.replace(value).is_some(),
                b":path" => path.replace(value).is_some(),
                b":scheme" | b":authority" => false,
                _ => true,
            };
            if twice {
                return None;
            }
        }
        let path = path.filter(|path| !path.is_empty())?;
        Some(Self { request: Request { method: method?, path, headers, body: Vec::new() }, length })
    }
}
