//! What waits to be sent on a link, with a limit: a peer that does not read must not fill our memory.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The side that sends.
pub(crate) struct Outbox {
    messages: UnboundedSender<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
    max: usize,
}

/// The side that writes to the socket.
pub(crate) struct Mail {
    messages: UnboundedReceiver<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
    max: usize,
}

/// An empty outbox for at most `max` bytes.
pub(crate) fn outbox(max: usize) -> (Outbox, Mail) {
    let (sender, receiver) = unbounded_channel();
    let waiting = Rc::new(Cell::new(0));
    (
        Outbox { messages: sender, waiting: Rc::clone(&waiting), max },
        Mail { messages: receiver, waiting, max },
    )
}

impl Outbox {
    /// Puts a message in. Beyond the limit it is dropped, and the other side finds that out.
    pub(crate) fn put(&self, message: Vec<u8>) {
        let waiting = self.waiting.get() + message.len();
        self.waiting.set(waiting);
        if waiting <= self.max {
            // The writer may have ended with the link; then nobody sends any more.
            let _ = self.messages.send(message);
        }
    }
}

impl Mail {
    /// The next message. Never ends while the link lives.
    pub(crate) async fn next(&mut self) -> Vec<u8> {
        match self.messages.recv().await {
            Some(message) => self.took(message),
            None => std::future::pending().await,
        }
    }

    /// A further message that is there already.
    pub(crate) fn try_next(&mut self) -> Option<Vec<u8>> {
        let message = self.messages.try_recv().ok()?;
        Some(self.took(message))
    }

    /// Whether more waited than allowed: something was dropped, so the link cannot go on.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.waiting.get() > self.max
    }

    fn took(&self, message: Vec<u8>) -> Vec<u8> {
        self.waiting.set(self.waiting.get().saturating_sub(message.len()));
        message
    }
}
