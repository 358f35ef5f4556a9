//! Requests on their way, and the time that each has.

use std::net::SocketAddr;
use std::time::Duration;

use super::dialog::{LINGERS, State};
use super::message::Message;
use super::{Proxy, What};

/// The first wait of a repetition; it doubles.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long a transaction is remembered after its end: for repetitions.
const WAITS: Duration = Duration::from_secs(32);

/// What a request and its repetitions have in common, and nobody else's (RFC 3261, 17.2.3).
fn mark(request: &Message, method: &str) -> String {
    format!("{method} {} {} {}", request.cseq().0, request.branch(), request.call_id())
}

/// One request that was passed on, or is the proxy's own.
#[derive(Debug)]
pub(super) struct Transaction {
    /// As it came, without our `Via`.
    pub(super) request: Message,
    /// Who sent it; absent for one of the proxy's own, whose replies nobody waits for.
    pub(super) from: Option<SocketAddr>,
    /// As it left, and whereto.
    pub(super) sent: Message,
    pub(super) to: SocketAddr,
    pub(super) dialog: Option<(u32, u32)>,
    /// The last reply that the caller was given.
    pub(super) told: Option<Message>,
    /// The next hop has said something.
    pub(super) replied: bool,
    /// The next hop has said a final word, or nobody waits for one.
    pub(super) over: bool,
    pub(super) canceled: bool,
    /// A provisional reply that is held back until its answer has left.
    pub(super) held: Option<Message>,
    /// When it is repeated next, and by which wait.
    pub(super) again: Option<(Duration, Duration)>,
    /// When it is given up, or forgotten.
    pub(super) until: Duration,
}

impl Transaction {
    pub(super) fn due(&self) -> Duration {
        self.again.map_or(self.until, |(at, _)| at.min(self.until))
    }
}

impl Proxy {
    /// Passes a request on and remembers it.
    pub(super) fn pass(
        &mut self,
        request: Message,
        from: SocketAddr,
        mut sent: Message,
        to: SocketAddr,
        dialog: Option<(u32, u32)>,
    ) {
        let branch = self.leave(&mut sent, to);
        if request.method() != "ACK" {
            self.remember(branch, request, Some(from), sent, to, dialog);
        }
    }

    /// Sends a request of the proxy's own, and repeats it until it is answered.
    pub(super) fn ask(&mut self, request: Message, to: SocketAddr) {
        let mut sent = request.clone();
        let branch = self.leave(&mut sent, to);
        self.remember(branch, request, None, sent, to, None);
    }

    fn leave(&mut self, sent: &mut Message, to: SocketAddr) -> String {
        let branch = self.branch();
        sent.push("Via", format!("SIP/2.0/UDP {};branch={branch}", self.rules.address));
        self.send(to, sent);
        branch
    }

    fn remember(
        &mut self,
        branch: String,
        request: Message,
        from: Option<SocketAddr>,
        sent: Message,
        to: SocketAddr,
        dialog: Option<(u32, u32)>,
    ) {
        let transaction = Transaction {
            request,
            from,
            sent,
            to,
            dialog,
            told: None,
            replied: false,
            over: false,
            canceled: false,
            held: None,
            again: Some((self.now + T1, T1)),
            until: self.now + self.rules.fr_timer,
        };
        if from.is_some() {
            self.came.insert(mark(&transaction.request, transaction.request.method()), branch.clone());
        }
        self.wake_at(transaction.due());
        self.transactions.insert(branch, transaction);
    }

    /// The transaction of a request that came before.
    pub(super) fn repeated(&self, request: &Message) -> Option<String> {
        let method = match request.method() {
            "CANCEL" | "ACK" => "INVITE",
            method => method,
        };
        self.came.get(&mark(request, method)).cloned()
    }

    /// Takes the transaction to its end: it is remembered for repetitions alone.
    pub(super) fn settle(&mut self, branch: &str) {
        let until = self.now + WAITS;
        if let Some(transaction) = self.transactions.get_mut(branch) {
            transaction.over = true;
            transaction.again = None;
            transaction.until = until;
            self.wake_at(until);
        }
    }

    pub(super) fn run_transactions(&mut self) {
        let now = self.now;
        let due: Vec<String> = self
            .transactions
            .iter()
            .filter(|(_, transaction)| transaction.due() <= now)
            .map(|(branch, _)| branch.clone())
            .collect();
        for branch in due {
            let Some(transaction) = self.transactions.get_mut(&branch) else { continue };
            if transaction.until <= now {
                if transaction.over {
                    if let Some(gone) = self.transactions.remove(&branch) {
                        self.came.remove(&mark(&gone.request, gone.request.method()));
                    }
                } else {
                    self.given_up(&branch);
                }
            } else if let Some((_, wait)) = transaction.again {
                let wait = (wait * 2).min(T2);
                transaction.again = Some((now + wait, wait));
                let (to, sent) = (transaction.to, transaction.sent.clone());
                self.send(to, &sent);
            }
        }
    }

    /// Nobody answered in time: 408, and an INVITE that rang is taken back.
    fn given_up(&mut self, branch: &str) {
        let Some(transaction) = self.transactions.get(branch) else { return };
        let (replied, dialog, canceled) = (transaction.replied, transaction.dialog, transaction.canceled);
        let is_invite = transaction.request.method() == "INVITE";
        if is_invite && replied {
            self.cancel_below(branch);
        }
        let local = if replied { "no-answer" } else { "unreachable" };
        self.tell(
            branch,
            if canceled { 487 } else { 408 },
            if canceled { "Request Terminated" } else { "Request Timeout" },
        );
        if is_invite && let Some(key) = dialog.filter(|key| self.is_early(*key)) {
            self.end_dialog(key);
            self.failed += 1;
            self.happens(What::Failed, key, "OPTIONS", Some(408), local);
        }
        self.settle(branch);
    }

    /// Gives the caller a reply of our own.
    pub(super) fn tell(&mut self, branch: &str, code: u16, reason: &str) {
        let tag = format!("{:x}", self.random.next());
        let server = self.rules.server.clone();
        let Some(transaction) = self.transactions.get_mut(branch) else { return };
        let mut reply = Message::reply(&transaction.request, code, reason, &tag);
        reply.add("Server", server);
        transaction.told = Some(reply.clone());
        let from = transaction.from;
        self.give_back(from, &reply);
    }

    /// Whoever sent the request is told.
    pub(super) fn give_back(&mut self, from: Option<SocketAddr>, reply: &Message) {
        if let Some(from) = from {
            self.send(from, reply);
        }
    }

    /// CANCEL to the next hop, with the branch of the INVITE.
    pub(super) fn cancel_below(&mut self, branch: &str) {
        let Some(transaction) = self.transactions.get(branch) else { return };
        let (sent, to) = (&transaction.sent, transaction.to);
        let mut cancel = Message::request("CANCEL", sent.uri());
        for name in ["Via", "From", "To", "Call-ID", "Route"] {
            if let Some(value) = sent.get(name) {
                cancel.add(name, value);
            }
        }
        cancel.add("CSeq", format!("{} CANCEL", sent.cseq().0));
        cancel.add("Max-Forwards", "70");
        self.send(to, &cancel);
    }

    pub(super) fn is_early(&self, key: (u32, u32)) -> bool {
        self.dialogs.get(&key).is_some_and(|dialog| dialog.state < State::Answered)
    }

    pub(super) fn end_dialog(&mut self, key: (u32, u32)) {
        let now = self.now;
        if let Some(dialog) = self.dialogs.get_mut(&key) {
            dialog.state = State::Ended;
            dialog.ended.get_or_insert(now);
            self.wake_at(now + LINGERS);
        }
    }
}
