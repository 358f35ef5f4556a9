//! What an adapter was told, kept to be told again.

use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ifbus_adapters::adapter::{HttpReply, LinkError, LinkId, RequestId, Ticket};
use ifbus_adapters::sip::{Dialog, SipEvent};
use ifbus_adapters::{Adapter, Input, Output};
use ifbus_call::{Epoch, Nanos, Order};

use crate::orchestrator::Wrap;

/// An input that can be kept.
pub enum Kept {
    Start(Epoch),
    Stop,
    Opened(LinkId),
    Bytes(LinkId, Vec<u8>),
    Closed(LinkId, LinkError),
    HttpPart(RequestId, Vec<u8>),
    Http(RequestId, Result<HttpReply, LinkError>),
    Order(Ticket, Order),
    Restored(Vec<Dialog>),
    Sip(SipEvent),
    Persisted(u64, bool),
    Tick,
}

impl Kept {
    fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Start(epoch) => Self::Start(*epoch),
            Input::Stop => Self::Stop,
            Input::Opened(link) => Self::Opened(*link),
            Input::Bytes(link, bytes) => Self::Bytes(*link, bytes.to_vec()),
            Input::Closed(link, error) => Self::Closed(*link, error.clone()),
            Input::HttpPart(id, bytes) => Self::HttpPart(*id, bytes.to_vec()),
            Input::Http(id, reply) => Self::Http(*id, reply.clone()),
            Input::Order(ticket, order) => Self::Order(*ticket, order.clone()),
            Input::Restored(dialogs) => Self::Restored(dialogs.clone()),
            Input::Sip(event) => Self::Sip(event.clone()),
            Input::Persisted(number, well) => Self::Persisted(*number, *well),
            Input::Tick => Self::Tick,
            Input::Accepted { .. } => unreachable!("nobody connects to us in what is replayed"),
        }
    }

    /// The input again.
    pub fn input(&self) -> Input<'_> {
        match self {
            Self::Start(epoch) => Input::Start(*epoch),
            Self::Stop => Input::Stop,
            Self::Opened(link) => Input::Opened(*link),
            Self::Bytes(link, bytes) => Input::Bytes(*link, bytes),
            Self::Closed(link, error) => Input::Closed(*link, error.clone()),
            Self::HttpPart(id, bytes) => Input::HttpPart(*id, bytes),
            Self::Http(id, reply) => Input::Http(*id, reply.clone()),
            Self::Order(ticket, order) => Input::Order(*ticket, order.clone()),
            Self::Restored(dialogs) => Input::Restored(dialogs.clone()),
            Self::Sip(event) => Input::Sip(event.clone()),
            Self::Persisted(number, well) => Input::Persisted(*number, *well),
            Self::Tick => Input::Tick,
        }
    }
}

/// All that an adapter was told.
#[derive(Default)]
pub struct Record {
    /// What its randomness began with.
    pub seed: u64,
    /// When, and what.
    pub inputs: Vec<(Nanos, Kept)>,
}

/// A record that is being made, on whatever thread.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    /// Listens to an adapter; to the last one that is made.
    pub fn wrap(&self) -> Wrap {
        let recorder = self.clone();
        Rc::new(move |seed, adapter| {
            *recorder.lock() = Record { seed, inputs: Vec::new() };
            Box::new(Listening { adapter, recorder: recorder.clone() })
        })
    }

    /// How much was told until now.
    pub fn len(&self) -> usize {
        self.lock().inputs.len()
    }

    /// All of it; what is told later begins a new record.
    pub fn take(&self) -> Record {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to everything an adapter is told.
struct Listening {
    adapter: Box<dyn Adapter>,
    recorder: Recorder,
}

impl Adapter for Listening {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.recorder.lock().inputs.push((now, Kept::of(&input)));
        self.adapter.handle(input, now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.adapter.poll()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.adapter.deadline()
    }
}
