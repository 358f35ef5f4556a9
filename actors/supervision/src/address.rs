//! How an actor is reached: an address that outlives every instance behind it.
//!
//! Nothing here waits for room in a mailbox: `tell` and `ask` always enqueue at once. Next: `supervised.rs`, where a
//! letter is opened.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Addr, Message};
use tokio::sync::oneshot;

use crate::cell::Cell;
use crate::exit::contain;
use crate::supervised::Supervised;
use crate::{ActorName, Behavior, Down, Exit, On, Standing, World};

/// Reaches one actor, whichever instance is alive. Cheap to clone, usable from any thread.
pub struct Address<B: Behavior> {
    addr: Addr<Supervised<B>>,
    cell: Arc<Cell>,
}

impl<B: Behavior> Address<B> {
    pub(crate) fn new(addr: Addr<Supervised<B>>, cell: Arc<Cell>) -> Self {
        Address { addr, cell }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    /// The actor's path.
    pub fn name(&self) -> &ActorName {
        &self.cell.name
    }

    /// Sends without waiting for anything. To an actor that has given up or stopped it does nothing. An actor may tell
    /// itself: the kernel lets the arbiter breathe every few messages, so a busy actor slows only itself.
    pub fn tell<M: Send + 'static>(&self, message: M)
    where
        B: On<M>,
    {
        self.post(Told { message });
    }

    /// Sends at once and waits for the reply, at most `within` (on the caller's clock). When the asker has gone before
    /// its turn came, the message is not handled. Never awaited inside a handler; give it to `World::spawn`.
    #[must_use = "a request whose asker has gone is not handled"]
    pub fn ask<M: Send + 'static>(
        &self,
        message: M,
        within: Duration,
    ) -> impl Future<Output = Result<<B as On<M>>::Reply, Down>> + Send + use<B, M>
    where
        B: On<M>,
    {
        let (sender, receiver) = oneshot::channel();
        self.post(Asked { message, sender });
        reply(receiver, self.cell.clone(), within)
    }

    /// Asks for something that no single handler can answer: the message carries an [`Answer`] which the actor keeps
    /// until it knows. If the instance dies first, the caller is told so.
    #[must_use = "nobody else gets this answer"]
    pub fn ask_for<T, M, F>(
        &self,
        message: F,
        within: Duration,
    ) -> impl Future<Output = Result<T, Down>> + Send + use<B, T, M, F>
    where
        B: On<M>,
        T: Send + 'static,
        M: Send + 'static,
        F: FnOnce(Answer<T>) -> M,
    {
        let (sender, receiver) = oneshot::channel();
        self.post(Told { message: message(Answer { sender: Some(sender), cell: self.cell.clone() }) });
        reply(receiver, self.cell.clone(), within)
    }

    /// Asks the living instance for its state.
    #[must_use = "observing does nothing else"]
    pub fn observe(&self, within: Duration) -> impl Future<Output = Result<B::State, Down>> + Send + use<B> {
        let (sender, receiver) = oneshot::channel();
        self.post(Observe { sender });
        reply(receiver, self.cell.clone(), within)
    }

    /// Forgets the actor's type: what is left takes this one message.
    pub fn recipient<M: Send + 'static>(&self) -> Recipient<M>
    where
        B: On<M>,
    {
        let address = self.clone();
        Recipient { name: self.name().clone(), tell: Arc::new(move |message| address.tell(message)) }
    }

    /// Where the actor stands now.
    pub fn standing(&self) -> Standing {
        self.cell.standing()
    }

    /// Waits until the actor stands as asked for, and says where it stands.
    pub async fn until(&self, wanted: impl Fn(Standing) -> bool) -> Standing {
        let mut watch = self.cell.watch();
        // the sender lives in the cell which this address holds, so waiting cannot fail
        watch.wait_for(|standing| wanted(*standing)).await.map_or(Standing::Stopped, |standing| *standing)
    }

    /// Waits until the actor is over, and says why.
    pub async fn stopped(&self) -> Exit {
        self.until(|standing| standing == Standing::Stopped).await;
        self.cell.last_exit().unwrap_or(Exit::Stopped)
    }

    pub(crate) fn post<L: Letter<B>>(&self, letter: L) {
        self.addr.do_send(Parcel::new(letter, self.cell.clone()));
    }
}

impl<B: Behavior> Clone for Address<B> {
    fn clone(&self) -> Self {
        Address { addr: self.addr.clone(), cell: self.cell.clone() }
    }
}

impl<B: Behavior> fmt::Debug for Address<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.cell.name)
    }
}

async fn reply<T>(
    receiver: oneshot::Receiver<Result<T, Down>>,
    cell: Arc<Cell>,
    within: Duration,
) -> Result<T, Down> {
    match tokio::time::timeout(within, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_dropped)) => Err(cell.down()),
        Err(_elapsed) => Err(Down::TimedOut { actor: cell.name.clone(), within }),
    }
}

/// Takes one kind of message; whoever listens.
pub struct Recipient<M> {
    name: ActorName,
    tell: Arc<dyn Fn(M) + Send + Sync>,
}

impl<M: 'static> Recipient<M> {
    /// A listener that is no actor: a channel, a log, a test.
    pub fn new(name: &str, tell: impl Fn(M) + Send + Sync + 'static) -> Self {
        Recipient { name: name.into(), tell: Arc::new(tell) }
    }

    /// Hands the message over without waiting for anything.
    pub fn tell(&self, message: M) {
        (self.tell)(message);
    }

    /// Who listens.
    pub fn name(&self) -> &ActorName {
        &self.name
    }
}

impl<M> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Recipient { name: self.name.clone(), tell: self.tell.clone() }
    }
}

impl<M> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.name)
    }
}

/// An answer owed: given once, and if it is dropped the asker is told that it will not come.
pub struct Answer<T> {
    sender: Option<oneshot::Sender<Result<T, Down>>>,
    cell: Arc<Cell>,
}

impl<T> Answer<T> {
    /// Answers. False if the asker no longer waits.
    pub fn give(mut self, answer: T) -> bool {
        self.sender.take().is_some_and(|sender| sender.send(Ok(answer)).is_ok())
    }

    /// True while someone waits for it: work for nobody may be dropped.
    pub fn is_wanted(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(Err(self.cell.down()));
        }
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer(owed by {})", self.cell.name)
    }
}

// === letters ===

/// What lies in a mailbox.
pub(crate) trait Letter<B: Behavior>: Send + 'static {
    /// True if nobody wants it handled any more.
    fn is_stale(&self, life: u64) -> bool;

    /// Lets the behavior handle it. The error is a panic's words.
    fn open(self, behavior: &mut B, world: &mut World<B>) -> Result<(), String>;

    /// Answers without handling.
    fn refuse(self, down: Down);
}

/// A letter on its way, counted while it waits.
pub(crate) struct Parcel<L> {
    letter: Option<L>,
    cell: Arc<Cell>,
}

impl<L> Message for Parcel<L> {
    type Result = ();
}

impl<L> Parcel<L> {
    fn new(letter: L, cell: Arc<Cell>) -> Self {
        cell.waiting.fetch_add(1, Ordering::Relaxed);
        Parcel { letter: Some(letter), cell }
    }

    pub(crate) fn take(mut self) -> Option<L> {
        self.letter.take()
    }
}

impl<L> Drop for Parcel<L> {
    fn drop(&mut self) {
        self.cell.waiting.fetch_sub(1, Ordering::Relaxed);
        let letter = self.letter.take();
        // a message may panic in its own drop while a mailbox is cleared
        if let Err(said) = contain(|| drop(letter)) {
            tracing::error!(actor = %self.cell.name, said, "a message panicked in drop");
        }
    }
}

struct Told<M> {
    message: M,
}

impl<B: On<M>, M: Send + 'static> Letter<B> for Told<M> {
    fn is_stale(&self, _life: u64) -> bool {
        false
    }

    fn open(self, behavior: &mut B, world: &mut World<B>) -> Result<(), String> {
        contain(|| drop(behavior.on(self.message, world)))
    }

    fn refuse(self, _down: Down) {}
}

struct Asked<M, R> {
    message: M,
    sender: oneshot::Sender<Result<R, Down>>,
}

impl<B: On<M>, M: Send + 'static> Letter<B> for Asked<M, B::Reply> {
    fn is_stale(&self, _life: u64) -> bool {
        self.sender.is_closed()
    }

    fn open(self, behavior: &mut B, world: &mut World<B>) -> Result<(), String> {
        match contain(|| behavior.on(self.message, world)) {
            // a late reply comes back from the channel and is dropped here
            Ok(reply) => contain(|| drop(self.sender.send(Ok(reply)))),
            Err(said) => {
                let down = Down::Panicked { actor: world.name().clone(), said: said.clone() };
                let _ = self.sender.send(Err(down));
                Err(said)
            }
        }
    }

    fn refuse(self, down: Down) {
        let _ = self.sender.send(Err(down));
    }
}

struct Observe<S> {
    sender: oneshot::Sender<Result<S, Down>>,
}

impl<B: Behavior> Letter<B> for Observe<B::State> {
    fn is_stale(&self, _life: u64) -> bool {
        self.sender.is_closed()
    }

    fn open(self, behavior: &mut B, world: &mut World<B>) -> Result<(), String> {
        match contain(|| behavior.state()) {
            Ok(state) => contain(|| drop(self.sender.send(Ok(state)))),
            Err(said) => {
                let down = Down::Panicked { actor: world.name().clone(), said: said.clone() };
                let _ = self.sender.send(Err(down));
                Err(said)
            }
        }
    }

    fn refuse(self, down: Down) {
        let _ = self.sender.send(Err(down));
    }
}

/// A timer's or a future's message to the instance that asked for it.
pub(crate) struct Own<M> {
    pub(crate) message: M,
    pub(crate) life: u64,
    pub(crate) canceled: Arc<AtomicBool>,
}

impl<B: On<M>, M: Send + 'static> Letter<B> for Own<M> {
    fn is_stale(&self, life: u64) -> bool {
        self.life != life || self.canceled.load(Ordering::Relaxed)
    }

    fn open(self, behavior: &mut B, world: &mut World<B>) -> Result<(), String> {
        contain(|| drop(behavior.on(self.message, world)))
    }

    fn refuse(self, _down: Down) {}
}
