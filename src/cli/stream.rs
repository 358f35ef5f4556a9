//! The event stream as the command line reads it: parsed, resumed after a break, with gaps told of.
//!
//! Not here: what an event looks like on a screen (`events`, `call`).

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use ifbus::serve::http::body::GapBody;
use ifbus_fleet::journal::EventView;

use super::client::Client;
use super::errors::{Exit, Failure};

/// Silence after which the link is taken for dead: the orchestrator says something every 15 s.
const SILENT_MAX: Duration = Duration::from_secs(45);
/// How long a broken stream is tried to be opened again: a restart of the orchestrator takes less.
const RESUME_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two tries.
const RESUME_EVERY: Duration = Duration::from_millis(250);
/// The largest event: an event is a few hundred bytes.
const EVENT_MAX: usize = 1 << 20;

/// One thing heard.
#[derive(Clone, PartialEq, Debug)]
pub struct Heard {
    /// The JSON as it came.
    pub raw: String,
    /// What it says.
    pub what: What,
}

/// What was heard.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// An event.
    Event(Box<EventView>),
    /// Events that are not kept any more.
    Gap(GapBody),
    /// Something a newer orchestrator says.
    Other,
}

type Body = Pin<Box<dyn Stream<Item = Result<Bytes, awc::error::PayloadError>>>>;

/// The events that match a query, from now on.
pub struct Events {
    client: Client,
    path: String,
    bytes: Option<Body>,
    frames: Frames,
    last: Option<String>,
}

impl Events {
    /// Opens the stream; what happens after this call is not missed.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn open(client: &Client, query: &str, after: Option<String>) -> Result<Self, Failure> {
        let mut events = Self {
            client: client.clone(),
            path: format!("/v1/events{query}"),
            bytes: None,
            frames: Frames::default(),
            last: after,
        };
        events.connect().await?;
        Ok(events)
    }

    /// The id of the newest event of now, from which a stream can be opened later without missing anything.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn newest(client: &Client) -> Result<Option<String>, Failure> {
        // A filter that lets nothing through: the place is told first.
        let mut events = Self::open(client, "?type=none", None).await?;
        while events.last.is_none() {
            let Some(bytes) = events.read().await else { break };
            events.frames.push(&bytes)?;
            while let Some(frame) = events.frames.next() {
                events.last = frame.id.or(events.last);
            }
        }
        Ok(events.last)
    }

    /// What is heard next. A broken stream is resumed where it broke.
    ///
    /// # Errors
    /// The orchestrator is gone, or says no.
    pub async fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            while let Some(frame) = self.frames.next() {
                if let Some(id) = &frame.id {
                    self.last = Some(id.clone());
                }
                if let Some(heard) = heard(frame) {
                    return Ok(heard);
                }
            }
            match self.read().await {
                Some(bytes) => self.frames.push(&bytes)?,
                None => self.resume().await?,
            }
        }
    }

    async fn read(&mut self) -> Option<Bytes> {
        let bytes = self.bytes.as_mut()?;
        tokio::time::timeout(SILENT_MAX, bytes.next()).await.ok()??.ok()
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let response = self.client.open(&self.path, self.last.as_deref()).await?;
        self.bytes = Some(Box::pin(response));
        self.frames = Frames::default();
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), Failure> {
        self.bytes = None;
        let tries = RESUME_WITHIN.as_millis() / RESUME_EVERY.as_millis();
        for _ in 0..tries {
            match self.connect().await {
                Err(failure) if failure.exit == Exit::Unreachable => tokio::time::sleep(RESUME_EVERY).await,
                done => return done,
            }
        }
        Err(Failure::unreachable(format!("the orchestrator at {} is gone", self.client.base())))
    }
}

fn heard(frame: Frame) -> Option<Heard> {
    let raw = frame.data;
    if raw.is_empty() {
        return None;
    }
    let what = if frame.event.as_deref() == Some("stream.gap") {
        serde_json::from_str(&raw).map_or(What::Other, What::Gap)
    } else {
        serde_json::from_str(&raw).map_or(What::Other, |event| What::Event(Box::new(event)))
    };
    Some(Heard { raw, what })
}

/// One block of a stream of server-sent events (WHATWG HTML, section 9.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// The last `id`.
    pub id: Option<String>,
    /// The last `event`.
    pub event: Option<String>,
    /// All `data` lines.
    pub data: String,
}

/// Bytes in any split to whole blocks.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold no end of a block.
    searched: usize,
}

impl Frames {
    /// Takes bytes.
    ///
    /// # Errors
    /// A block has no end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // Our own server ends lines with a line feed; a carriage return beside it means nothing.
        self.buffer.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        if self.searched > EVENT_MAX {
            return Err(Failure::not_understood("an event has no end"));
        }
        Ok(())
    }

    /// The next whole block.
    pub fn next(&mut self) -> Option<Frame> {
        let from = self.searched.saturating_sub(1);
        let Some(end) = self.buffer[from..].windows(2).position(|pair| pair == b"\n\n") else {
            self.searched = self.buffer.len();
            return None;
        };
        let block: Vec<u8> = self.buffer.drain(..from + end + 2).collect();
        self.searched = 0;
        Some(Frame::parse(&String::from_utf8_lossy(&block)))
    }
}

impl Frame {
    fn parse(block: &str) -> Self {
        let mut frame = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => frame.id = Some(value.to_owned()),
                "event" => frame.event = Some(value.to_owned()),
                "data" => {
                    if !frame.data.is_empty() {
                        frame.data.push('\n');
                    }
                    frame.data.push_str(value);
                }
                _ => {} // comments, `retry`
            }
        }
        frame
    }
}
