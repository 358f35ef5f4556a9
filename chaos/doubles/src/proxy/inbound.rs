//! What arrives: requests and replies, and where they go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::dialog::{Dialog, LINGERS, State};
use super::message::{Message, address_of, has_port, parameter, uri_of, user_of};
use super::{Proxy, What};
use crate::digest::md5_hex;

impl Proxy {
    /// A datagram from somebody.
    pub(crate) fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Duration) {
        self.now = self.now.max(now);
        let Some(message) = Message::parse(bytes) else { return };
        match message.code() {
            Some(code) => self.reply(message, code),
            None => self.request(from, message),
        }
    }

    // ---- requests --------------------------------------------------------------------------------------------------

    fn request(&mut self, from: SocketAddr, mut request: Message) {
        received(&mut request, from);
        if let Some(branch) = self.repeated(&request) {
            return self.known(&branch, from, &request);
        }
        let hops = request.get("Max-Forwards").and_then(|hops| hops.parse::<u32>().ok()).unwrap_or(70);
        if hops == 0 {
            return self.refuse(from, &request, 483, "Too Many Hops");
        }
        let to_me = self.is_me(request.uri());
        let of_nobody = matches!(user_of(request.uri()), "" | "ifbus");
        if request.method() == "OPTIONS" && to_me && of_nobody && request.parameter("To", "tag").is_none() {
            return self.refuse(from, &request, 200, "Keepalive");
        }
        match request.method() {
            "CANCEL" => self.refuse(from, &request, 481, "Call/Transaction Does Not Exist"),
            _ if request.parameter("To", "tag").is_some() => self.in_dialog(from, request),
            "INVITE" => self.invite(from, request),
            "ACK" => {}
            "REGISTER" => self.refuse(from, &request, 405, "Method Not Allowed"),
            _ => self.relay(from, request, None),
        }
    }

    /// A reply of our own, outside of any transaction.
    fn refuse(&mut self, from: SocketAddr, request: &Message, code: u16, reason: &str) {
        if request.method() == "ACK" {
            return;
        }
        let tag = format!("{:x}", self.random.next());
        let mut reply = Message::reply(request, code, reason, &tag);
        if code != 200 || request.method() != "OPTIONS" || !self.rules.nameless_keepalive {
            reply.add("Server", self.rules.server.clone());
        }
        if code == 503 {
            reply.add("Retry-After", "30");
        }
        self.send(from, &reply);
    }

    /// It came before, or belongs to one that did.
    fn known(&mut self, branch: &str, from: SocketAddr, request: &Message) {
        match request.method() {
            "ACK" => {}
            "CANCEL" => {
                self.refuse(from, request, 200, "canceling");
                self.cancel(branch);
            }
            _ => {
                let told = self.transactions.get(branch).and_then(|known| known.told.clone());
                if let Some(told) = told {
                    self.send(from, &told);
                }
            }
        }
    }

    /// The caller, or an operator, takes an INVITE back.
    pub(super) fn cancel(&mut self, branch: &str) {
        let Some(transaction) = self.transactions.get_mut(branch).filter(|known| !known.over) else { return };
        transaction.canceled = true;
        let (key, replied) = (transaction.dialog, transaction.replied);
        if let Some(key) = key {
            self.happens(What::Cancel, key, "CANCEL", None, "remote");
        }
        if replied {
            self.cancel_below(branch);
        }
    }

    fn invite(&mut self, from: SocketAddr, request: Message) {
        if !self.is_allowed(&request) {
            return self.challenge(from, &request);
        }
        if self.rules.drained && !self.rules.trusted.contains(&from) {
            self.drained += 1;
            return self.refuse(from, &request, 503, "Draining");
        }
        let user = user_of(request.uri()).to_owned();
        if self.rules.unserved.iter().any(|prefix| user.starts_with(prefix)) {
            return self.refuse(from, &request, 503, "No gateway");
        }
        self.next += 1;
        let key = ((self.random.next() % 4096) as u32, self.next);
        let now = self.now;
        let dialog = Dialog {
            key,
            call_id: request.call_id().to_owned(),
            from_uri: uri_of(request.get("From").unwrap_or_default()).to_owned(),
            from_tag: request.parameter("From", "tag").unwrap_or_default().to_owned(),
            to_uri: uri_of(request.get("To").unwrap_or_default()).to_owned(),
            to_tag: None,
            ruri: request.uri().to_owned(),
            state: State::Unconfirmed,
            caller: (uri_of(request.get("Contact").unwrap_or_default()).to_owned(), request.cseq().0),
            callee: (String::new(), 0),
            began: now,
            started: None,
            ended: None,
        };
        if self.where_to(&request).is_none() {
            return self.refuse(from, &request, 404, "Not registered");
        }
        self.dialogs.insert(key, dialog);
        self.processed += 1;
        self.happens(What::Invite, key, "INVITE", None, "");
        self.relay(from, request, Some(key));
    }

    /// Where a request outside of a dialog goes.
    fn where_to(&self, request: &Message) -> Option<SocketAddr> {
        if self.is_me(request.uri()) {
            return self.rules.route(user_of(request.uri()));
        }
        address_of(request.uri())
    }

    /// Its own address; without a port it is meant whatever its port is.
    fn is_me(&self, uri: &str) -> bool {
        let me = self.rules.address;
        address_of(uri).is_some_and(|at| at == me || (at.ip() == me.ip() && !has_port(uri)))
    }

    fn relay(&mut self, from: SocketAddr, request: Message, key: Option<(u32, u32)>) {
        let Some(to) = self.where_to(&request) else {
            return self.refuse(from, &request, 404, "Not registered");
        };
        let mut sent = request.clone();
        sent.remove("Proxy-Authorization");
        hop(&mut sent);
        if let Some((entry, id)) = key {
            let tag = request.parameter("From", "tag").unwrap_or_default();
            let route = format!("<sip:{};lr=on;ftag={tag};did={:x}.{:x}>", self.rules.address, entry, id);
            sent.push("Record-Route", route);
        }
        let is_invite = request.method() == "INVITE";
        if is_invite {
            let trying = Message::reply(&request, 100, self.rules.trying, "");
            self.send(from, &trying);
        }
        self.pass(request, from, sent, to, key);
    }

    fn in_dialog(&mut self, from: SocketAddr, request: Message) {
        let mut sent = request.clone();
        let mine =
            sent.get("Route").map(uri_of).is_some_and(|uri| address_of(uri) == Some(self.rules.address));
        if !mine {
            return self.refuse(from, &request, 404, "Not here");
        }
        let route = sent.pop("Route").unwrap_or_default();
        // a route that came back without its parameters finds no dialog, and is followed all the same
        let key =
            parameter(uri_of(&route), "did").and_then(key_of).filter(|key| self.dialogs.contains_key(key));
        let next = sent.get("Route").map_or_else(|| sent.uri(), uri_of);
        let Some(to) = address_of(next) else {
            return self.refuse(from, &request, 404, "Not here");
        };
        hop(&mut sent);
        if let Some(key) = key {
            self.dialog_request(key, &request);
        }
        self.pass(request, from, sent, to, key);
    }

    fn dialog_request(&mut self, key: (u32, u32), request: &Message) {
        let now = self.now;
        let Some(dialog) = self.dialogs.get_mut(&key) else { return };
        let by_caller = request.parameter("From", "tag") == Some(dialog.from_tag.as_str());
        let side = if by_caller { &mut dialog.caller } else { &mut dialog.callee };
        match request.method() {
            "ACK" => {
                if dialog.state == State::Answered {
                    dialog.state = State::Confirmed;
                }
            }
            method => {
                side.1 = side.1.max(request.cseq().0);
                let ends = method == "BYE" && dialog.is_live();
                if ends {
                    dialog.state = State::Ended;
                    dialog.ended = Some(now);
                    self.wake_at(now + LINGERS);
                    self.happens(What::Ended, key, "BYE", None, "");
                    if let Some(happening) = self.happened.back_mut() {
                        happening.by_callee = !by_caller;
                    }
                }
                self.happens(What::InDialog, key, method, None, "");
            }
        }
    }

    // ---- who may call ----------------------------------------------------------------------------------------------

    fn is_allowed(&self, request: &Message) -> bool {
        let Some(users) = &self.rules.users else { return true };
        request.get("Proxy-Authorization").is_some_and(|shown| proves(users, shown, request.method()))
    }

    /// Every challenge has a nonce of its own.
    fn challenge(&mut self, from: SocketAddr, request: &Message) {
        let tag = format!("{:x}", self.random.next());
        let mut reply = Message::reply(request, 407, "Proxy Authentication Required", &tag);
        let realm = self.rules.address.ip();
        let nonce = format!("{:016x}{:016x}", self.random.next(), self.random.next());
        reply.add(
            "Proxy-Authenticate",
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5"),
        );
        reply.add("Server", self.rules.server.clone());
        self.send(from, &reply);
    }

    // ---- replies ---------------------------------------------------------------------------------------------------

    fn reply(&mut self, mut reply: Message, code: u16) {
        let branch = reply.branch().to_owned();
        let method = reply.cseq().1.to_owned();
        if method == "CANCEL" {
            return;
        }
        reply.pop("Via");
        let Some(transaction) = self.transactions.get_mut(&branch) else {
            return self.stray(&reply, code, &method);
        };
        if method != transaction.request.cseq().1 {
            return;
        }
        let first = !std::mem::replace(&mut transaction.replied, true);
        if first && code < 200 && method == "INVITE" {
            transaction.again = None;
            transaction.until = self.now + self.rules.fr_inv_timer;
            if transaction.canceled {
                self.cancel_below(&branch);
            }
        }
        match (method.as_str(), code) {
            ("INVITE", 100) => {}
            ("INVITE", ..200) => self.provisional(&branch, reply, code),
            ("INVITE", ..300) => self.answered(&branch, reply, code),
            ("INVITE", _) => self.rejected(&branch, reply, code),
            (_, ..200) => {}
            _ => self.passed_back(&branch, reply),
        }
    }

    /// A repeated answer, or one to nobody: it goes where its `Via` says.
    fn stray(&mut self, reply: &Message, code: u16, method: &str) {
        let to = reply.get("Via").and_then(via_address).filter(|_| method == "INVITE" && code / 100 == 2);
        if let Some(to) = to {
            self.send(to, reply);
        }
    }

    fn passed_back(&mut self, branch: &str, reply: Message) {
        let Some(transaction) = self.transactions.get_mut(branch) else { return };
        if transaction.over && transaction.request.method() != "INVITE" {
            return;
        }
        transaction.told = Some(reply.clone());
        let from = transaction.from;
        self.give_back(from, &reply);
        self.settle(branch);
    }

    fn provisional(&mut self, branch: &str, reply: Message, code: u16) {
        let Some(transaction) = self.transactions.get_mut(branch).filter(|known| !known.over) else { return };
        let (key, from) = (transaction.dialog, transaction.from);
        if self.rules.swaps && transaction.held.is_none() {
            transaction.held = Some(reply.clone());
        } else {
            transaction.told = Some(reply.clone());
            self.give_back(from, &reply);
        }
        if let Some(key) = key.filter(|key| self.is_early(*key)) {
            if let Some(dialog) = self.dialogs.get_mut(&key) {
                dialog.state = State::Early;
            }
            self.happens(What::Ringing, key, "INVITE", Some(code), "");
        }
    }

    fn answered(&mut self, branch: &str, mut reply: Message, code: u16) {
        let now = self.now;
        let Some(transaction) = self.transactions.get_mut(branch) else { return };
        let (key, from, held) = (transaction.dialog, transaction.from, transaction.held.take());
        if let Some(seconds) = self.rules.session_expires.filter(|_| reply.get("Session-Expires").is_none()) {
            reply.add("Session-Expires", format!("{seconds};refresher=uac"));
        }
        transaction.told = Some(reply.clone());
        self.give_back(from, &reply);
        if let Some(held) = held {
            self.give_back(from, &held);
        }
        let contact = reply.get("Contact").map(uri_of).unwrap_or_default().to_owned();
        let tag = reply.parameter("To", "tag").map(str::to_owned);
        if let Some(key) = key.filter(|key| self.is_early(*key)) {
            if let Some(dialog) = self.dialogs.get_mut(&key) {
                dialog.state = State::Answered;
                dialog.started = Some(now);
                dialog.to_tag = tag;
                dialog.callee.0 = contact;
            }
            self.happens(What::Answered, key, "INVITE", Some(code), "");
        }
        self.settle(branch);
    }

    fn rejected(&mut self, branch: &str, mut reply: Message, code: u16) {
        self.acknowledge_below(branch, &reply);
        let Some(transaction) = self.transactions.get_mut(branch).filter(|known| !known.over) else { return };
        let (key, from) = (transaction.dialog, transaction.from);
        // seen: a 503 of somebody behind it says nothing about the proxy
        let made_up = code == 503 && self.rules.hides_503;
        if made_up {
            reply.set_status(500, "Service Unavailable");
        }
        transaction.told = Some(reply.clone());
        self.give_back(from, &reply);
        if let Some(key) = key.filter(|key| self.is_early(*key)) {
            self.end_dialog(key);
            self.failed += 1;
            self.happens(What::Failed, key, if made_up { "OPTIONS" } else { "INVITE" }, Some(code), "remote");
        }
        self.settle(branch);
    }

    fn acknowledge_below(&mut self, branch: &str, reply: &Message) {
        let Some(transaction) = self.transactions.get(branch) else { return };
        let (sent, to) = (&transaction.sent, transaction.to);
        let mut ack = Message::request("ACK", sent.uri());
        for name in ["Via", "From", "Call-ID"] {
            ack.add(name, sent.get(name).unwrap_or_default());
        }
        ack.add("To", reply.get("To").unwrap_or_default());
        ack.add("CSeq", format!("{} ACK", sent.cseq().0));
        ack.add("Max-Forwards", "70");
        self.send(to, &ack);
    }
}

/// One hop less.
fn hop(message: &mut Message) {
    let hops = message.get("Max-Forwards").and_then(|hops| hops.parse::<u32>().ok()).unwrap_or(70);
    message.remove("Max-Forwards");
    message.add("Max-Forwards", hops.saturating_sub(1).to_string());
}

/// Where a reply has to go, whatever the sender believes of his own address (RFC 3581).
fn received(request: &mut Message, from: SocketAddr) {
    let Some(via) = request.pop("Via") else { return };
    let mut via = via.replace(";rport;", &format!(";rport={};", from.port()));
    if let Some(head) = via.strip_suffix(";rport") {
        via = format!("{head};rport={}", from.port());
    }
    if !via.contains(";received=") {
        via = format!("{via};received={}", from.ip());
    }
    request.push("Via", via);
}

fn via_address(via: &str) -> Option<SocketAddr> {
    let sent_by = via.split_whitespace().nth(1)?.split(';').next()?;
    let plain = || Some(SocketAddr::new(sent_by.parse().ok()?, 5060));
    let sent_by: SocketAddr = sent_by.parse().ok().or_else(plain)?;
    let ip = parameter(via, "received").and_then(|ip| ip.parse().ok()).unwrap_or(sent_by.ip());
    let port = parameter(via, "rport").and_then(|port| port.parse().ok()).unwrap_or(sent_by.port());
    Some(SocketAddr::new(ip, port))
}

/// `b36.122d`, in hexadecimal.
fn key_of(did: &str) -> Option<(u32, u32)> {
    let (entry, id) = did.split_once('.')?;
    Some((u32::from_str_radix(entry, 16).ok()?, u32::from_str_radix(id, 16).ok()?))
}

/// Digest authentication (RFC 2617), with and without `qop`.
fn proves(users: &BTreeMap<String, String>, shown: &str, method: &str) -> bool {
    let Some(shown) = shown.strip_prefix("Digest ") else { return false };
    let fields: BTreeMap<&str, &str> = shown
        .split(',')
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(key, value)| (key, value.trim_matches('"')))
        .collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let Some(password) = users.get(field("username")) else { return false };
    let a1 = md5_hex(format!("{}:{}:{password}", field("username"), field("realm")).as_bytes());
    let a2 = md5_hex(format!("{method}:{}", field("uri")).as_bytes());
    let proof = if field("qop").is_empty() {
        format!("{a1}:{}:{a2}", field("nonce"))
    } else {
        format!("{a1}:{}:{}:{}:{}:{a2}", field("nonce"), field("nc"), field("cnonce"), field("qop"))
    };
    md5_hex(proof.as_bytes()) == field("response")
}
