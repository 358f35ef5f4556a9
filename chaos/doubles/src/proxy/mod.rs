//! A SIP proxy without a name: transactions, record routes and a table of dialogs, over UDP, sans-IO.
//!
//! What Kamailio, OpenSIPS and Flexisip have in common and a controller notices: 100 at once, `Record-Route` whose
//! parameters must come back, 407 with a fresh nonce, 408 of its own, in-dialog requests that work without any memory of
//! the dialog. Not here: management interfaces, registrations by REGISTER, TCP, media.
//!
//! The owner calls [`Proxy::datagram`], [`Proxy::tick`] and the orders, then [`Proxy::poll`] and
//! [`Proxy::happening`] until both are empty; [`Proxy::deadline`] says when to come back.

mod dialog;
mod inbound;
mod message;
mod outbound;
mod rules;
mod stranger;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

pub use dialog::{Dialog, State};
pub use rules::Rules;
pub(crate) use stranger::Stranger;

use crate::random::Random;
use transaction::Transaction;

/// Something that an operator's configuration would hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) what: What,
    /// The dialog, as it was then.
    pub(crate) dialog: Dialog,
    /// The method that was seen; one of the proxy's own is OPTIONS, made up (sheet kamailio, section 4).
    pub(crate) method: String,
    /// The status of a reply.
    pub(crate) code: Option<u16>,
    /// Who brought a failure about.
    pub(crate) local: &'static str,
    /// The callee made the request.
    pub(crate) by_callee: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Invite,
    Ringing,
    Answered,
    InDialog,
    Cancel,
    Ended,
    Failed,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) rules: Rules,
    pub(crate) dialogs: BTreeMap<(u32, u32), Dialog>,
    /// By the branch that we gave.
    transactions: BTreeMap<String, Transaction>,
    /// The same by what makes a request a repeated one: there may be thousands, and each message asks.
    came: BTreeMap<String, String>,
    /// Nothing is due before; absent if nothing ever is.
    wake: Option<Duration>,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    happened: VecDeque<Happening>,
    random: Random,
    now: Duration,
    next: u32,
    /// Dialogs that ever began.
    pub(crate) processed: u64,
    pub(crate) failed: u64,
    /// INVITEs that the rules refused because of a drain.
    pub(crate) drained: u64,
}

impl Proxy {
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            dialogs: BTreeMap::new(),
            transactions: BTreeMap::new(),
            came: BTreeMap::new(),
            wake: None,
            out: VecDeque::new(),
            happened: VecDeque::new(),
            random: Random::new(seed ^ 0x0051_b0b0),
            now: Duration::ZERO,
            next: 0,
            processed: 0,
            failed: 0,
            drained: 0,
        }
    }

    /// Everything in memory is gone, as by a restart; what phones and callers remember is not.
    pub(crate) fn forget(&mut self) {
        self.dialogs.clear();
        self.transactions.clear();
        self.came.clear();
        self.wake = None;
        self.out.clear();
        self.happened.clear();
        self.processed = 0;
        self.failed = 0;
    }

    /// The next datagram to send.
    pub(crate) fn poll(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The next thing that happened.
    pub(crate) fn happening(&mut self) -> Option<Happening> {
        self.happened.pop_front()
    }

    /// When [`Proxy::tick`] is due at the latest.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.wake
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let now = self.now;
        if self.wake.is_none_or(|wake| wake > now) {
            return;
        }
        self.run_transactions();
        self.dialogs.retain(|_, dialog| dialog.ended.is_none_or(|at| at + dialog::LINGERS > now));
        let transactions = self.transactions.values().map(Transaction::due);
        let dialogs = self.dialogs.values().filter_map(|dialog| dialog.ended).map(|at| at + dialog::LINGERS);
        self.wake = transactions.chain(dialogs).min();
    }

    /// Something is due then.
    fn wake_at(&mut self, at: Duration) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn happens(&mut self, what: What, key: (u32, u32), method: &str, code: Option<u16>, local: &'static str) {
        let Some(dialog) = self.dialogs.get(&key).cloned() else { return };
        let method = method.to_owned();
        self.happened.push_back(Happening { what, dialog, method, code, local, by_callee: false });
    }

    fn send(&mut self, to: SocketAddr, message: &message::Message) {
        self.out.push_back((to, message.encode()));
    }

    /// A branch of ours, which nobody can guess.
    fn branch(&mut self) -> String {
        format!("z9hG4bK{:016x}", self.random.next())
    }
}
