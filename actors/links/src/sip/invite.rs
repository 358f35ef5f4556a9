//! An invitation, from the first request to the end of its transaction.
//!
//! The crate acknowledges; here is decided what a final reply makes: a dialog, an end, or something that has to be ended
//! by hand (an answer after our CANCEL, a second phone's answer, one without a description; sheet sip-3pcc, W12, W14).

use std::pin::pin;
use std::rc::Rc;

use ifbus_adapters::sip::{Reply, SipEvent, SipInvite, Wire};
use ifbus_call::LegId;
use rsipstack::sip::{Method, Request, Response, SipMessage};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::Notify;

use super::reply::{description, reply, session};
use super::request::{ALLOW, branch};
use super::stack::Shared;
use super::text::{Text, tag};
use super::{digest, request};

/// Challenges answered in a row: one of the server, one of whoever is behind it, and a number that was too old.
pub(super) const ROUNDS_MAX: u32 = 4;

/// How an invitation stands.
#[derive(Default)]
struct State {
    provisional: bool,
    canceled: bool,
    cancel_sent: bool,
    /// Tag of the phone whose answer made the dialog.
    answered: Option<String>,
    /// Other phones whose answers were ended.
    ended: Vec<String>,
    rejected: bool,
    /// The dialog that was begun, also when nobody asks for it any more.
    wire: Wire,
}

/// What is to be done after a message.
enum Next {
    Wait,
    /// Once more, with these headers.
    Again(Vec<(&'static str, String)>),
    Over,
}

impl Shared {
    pub(super) fn invite(&self, invite: SipInvite) {
        let leg = invite.leg;
        let cancel = Rc::new(Notify::new());
        self.0.dialogs.borrow_mut().inviting.insert(leg, Rc::clone(&cancel));
        let shared = self.clone();
        self.spawn(async move {
            shared.run_invite(&invite, &cancel).await;
            shared.0.dialogs.borrow_mut().inviting.remove(&leg);
        });
    }

    async fn run_invite(&self, invite: &SipInvite, cancel: &Notify) {
        let leg = invite.leg;
        self.learn(leg, |wire| {
            *wire = Wire {
                call_id: invite.call_id.clone(),
                local_tag: invite.tag.clone(),
                local_uri: invite.caller.clone(),
                remote_uri: invite.target.clone(),
                target: invite.target.clone(),
                ..Wire::default()
            };
        });
        if let Err(why) = self.0.wires.connect().await {
            return self.reject(leg, Reply::unsent(why.to_string()));
        }
        let (mut state, mut answers) = (State::default(), Vec::new());
        for _ in 0..ROUNDS_MAX {
            let branch = branch();
            self.learn(leg, |wire| {
                wire.local_cseq += 1;
                wire.invite = Some(branch.clone());
            });
            let Some(wire) = self.wire(leg) else { return };
            let draft = self.draft(Method::Invite, &wire, &branch);
            state.provisional = false;
            state.wire = wire;
            let draft = draft
                .with("Contact", self.contact())
                .with("Allow", ALLOW)
                .with("Supported", "timer")
                .with_all(&answers)
                .with_all(&invite.headers)
                .body("application/sdp", &invite.sdp);
            let Some(request) = draft.request() else {
                return self.reject(leg, Reply::unsent("this address cannot be called".to_owned()));
            };
            let Some(mut transaction) = self.transaction(request) else { return };
            if transaction.send().await.is_err() {
                return self.reject(leg, Reply::unsent("the request was not taken".to_owned()));
            }
            match self.hear_invite(leg, &mut transaction, cancel, &mut state).await {
                Next::Again(headers) => answers = headers,
                Next::Wait | Next::Over => return,
            }
        }
        self.reject(leg, Reply { text: "asked for a password again and again".to_owned(), ..Reply::of(407) });
    }

    /// Everything that is said to one request, until its transaction ends.
    async fn hear_invite(
        &self,
        leg: LegId,
        transaction: &mut Transaction,
        cancel: &Notify,
        state: &mut State,
    ) -> Next {
        let request = transaction.original.clone();
        loop {
            let message = {
                let mut receive = pin!(transaction.receive());
                loop {
                    tokio::select! {
                        biased;
                        message = &mut receive => break message,
                        () = cancel.notified() => {
                            state.canceled = true;
                            self.cancel_if_allowed(&request, state);
                        }
                    }
                }
            };
            let Some(SipMessage::Response(response)) = message else {
                if state.answered.is_none() && !state.rejected {
                    self.reject(leg, Reply::silence());
                }
                return Next::Over;
            };
            match self.invite_replied(leg, &request, &response, state) {
                Next::Wait => {}
                next => return next,
            }
        }
    }

    fn invite_replied(&self, leg: LegId, request: &Request, response: &Response, state: &mut State) -> Next {
        let code = response.status_code.code();
        match code {
            100..=199 => {
                state.provisional = true;
                self.cancel_if_allowed(request, state);
                if state.answered.is_none() && !state.rejected {
                    let media = description(&Text::of(response), &response.body).is_some();
                    self.tell(SipEvent::Provisional { leg, code, media });
                }
                Next::Wait
            }
            200..=299 => {
                self.invite_answered(leg, request, response, state);
                Next::Wait
            }
            401 | 407 if !state.canceled => {
                let again = request_has_answer(request) && !digest::is_stale(response);
                let credentials = &self.0.settings.credentials;
                let uri = request.uri.to_string();
                let answers = digest::answers(response, credentials, &Method::Invite, &uri);
                match answers.filter(|answers| !again || is_another(request, answers)) {
                    Some(answers) => Next::Again(merged(request, answers)),
                    None => {
                        self.refused_as(response);
                        self.reject(leg, reply(response));
                        Next::Over
                    }
                }
            }
            _ => {
                state.rejected = true;
                self.reject(leg, reply(response));
                Next::Over
            }
        }
    }

    fn invite_answered(&self, leg: LegId, request: &Request, response: &Response, state: &mut State) {
        let text = Text::of(response);
        let from = text.first("to").and_then(tag).unwrap_or_default().to_owned();
        if state.answered.as_ref() == Some(&from) || state.ended.contains(&from) {
            // said again; the crate has acknowledged it again
            return;
        }
        let wire = dialog_of(&state.wire, request, response);
        let sdp = description(&text, &response.body);
        let wanted = state.answered.is_none() && !state.canceled && !from.is_empty();
        if text.contact().is_none() {
            // the crate does not know where to send its ACK
            self.acknowledge(&wire, response);
        }
        match sdp {
            Some(sdp) if wanted => {
                state.answered = Some(from);
                self.learn(leg, |known| *known = wire);
                self.tell(SipEvent::Up { leg, sdp, session: session(&text, 200, true) });
            }
            sdp => {
                let first = state.answered.is_none() && !state.rejected;
                state.ended.push(from);
                self.end_by_hand(wire);
                if first {
                    state.rejected = true;
                    let why = if state.canceled { 487 } else { 488 };
                    let text = match sdp {
                        _ if state.canceled => "answered after it was taken back",
                        None => "answered without a description",
                        Some(_) => "answered without a tag",
                    };
                    self.reject(leg, Reply { text: text.to_owned(), ..Reply::of(why) });
                }
            }
        }
    }

    pub(super) fn reject(&self, leg: LegId, reply: Reply) {
        self.tell(SipEvent::Rejected { leg, reply });
    }

    /// Somebody does not take our name and password: people should know.
    pub(super) fn refused_as(&self, response: &Response) {
        let text = Text::of(response);
        let realm = ["proxy-authenticate", "www-authenticate"].into_iter().find_map(|name| {
            let asked = text.first(name)?.split_once(' ')?.1.to_owned();
            let joined = super::text::list(&asked).join(";");
            super::text::parameter(&joined, "realm").map(|realm| realm.trim_matches('"').to_owned())
        });
        let realm = realm.unwrap_or_else(|| "an unnamed realm".to_owned());
        let text = format!("{realm} does not take our SIP user name and password, or we have none for it");
        self.tell(SipEvent::Trouble { code: "sip_credentials", text });
    }

    // ---- CANCEL ------------------------------------------------------------------------------------------------------

    pub(super) fn cancel(&self, leg: LegId) {
        let inviting = self.0.dialogs.borrow().inviting.get(&leg).cloned();
        match inviting {
            Some(cancel) => cancel.notify_one(),
            None => self.cancel_restored(leg),
        }
    }

    /// Only after the server has said something (RFC 3261, 9.1).
    fn cancel_if_allowed(&self, request: &Request, state: &mut State) {
        if state.canceled && state.provisional && !state.cancel_sent && state.answered.is_none() {
            state.cancel_sent = true;
            if let Some(cancel) = request::cancel(request) {
                self.send_alone(cancel);
            }
        }
    }

    /// An invitation of an earlier life: CANCEL is made of what was written down; its replies come as orphans.
    fn cancel_restored(&self, leg: LegId) {
        let Some(wire) = self.wire(leg) else { return };
        self.0.dialogs.borrow_mut().canceled.insert(leg);
        let Some(branch) = wire.invite.clone() else { return };
        let early = Wire { remote_tag: String::new(), route: Vec::new(), ..wire };
        if let Some(cancel) = self.draft(Method::Cancel, &early, &branch).request() {
            let shared = self.clone();
            self.spawn(async move {
                let reply = shared.exchange(cancel).await;
                // the server knows of no such invitation: it is over, or never arrived
                if reply.code == 481 || reply.local {
                    shared.reject(leg, reply);
                }
            });
        }
    }

    // ---- parts -------------------------------------------------------------------------------------------------------

    /// A transaction that goes to the server.
    pub(super) fn transaction(&self, request: Request) -> Option<Transaction> {
        let wires = &self.0.wires;
        let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
        let mut transaction = Transaction::new_client(key, request, wires.endpoint.clone(), None);
        transaction.destination = Some(wires.server.clone());
        Some(transaction)
    }

    /// Sends a request whose reply matters to nobody.
    pub(super) fn send_alone(&self, request: Request) {
        let shared = self.clone();
        self.spawn(async move {
            shared.exchange(request).await;
        });
    }

    /// Sends a request that is no INVITE and waits for its final reply.
    pub(super) async fn exchange(&self, request: Request) -> Reply {
        self.exchanged(request).await.map_or_else(|reply| reply, |response| reply(&response))
    }

    pub(super) async fn exchanged(&self, request: Request) -> Result<Response, Reply> {
        if let Err(why) = self.0.wires.connect().await {
            return Err(Reply::unsent(why.to_string()));
        }
        let Some(mut transaction) = self.transaction(request) else { return Err(Reply::silence()) };
        if transaction.send().await.is_err() {
            return Err(Reply::silence());
        }
        while let Some(message) = transaction.receive().await {
            if let SipMessage::Response(response) = message
                && response.status_code.code() >= 200
            {
                return Ok(response);
            }
        }
        Err(Reply::silence())
    }

    /// BYE to a phone that is no leg of anybody.
    pub(super) fn end_by_hand(&self, mut wire: Wire) {
        wire.local_cseq += 1;
        if let Some(bye) = self.draft(Method::Bye, &wire, &branch()).request() {
            self.send_alone(bye);
        }
    }

    /// ACK of an answer that the crate does not acknowledge.
    pub(super) fn acknowledge(&self, wire: &Wire, response: &Response) {
        let text = Text::of(response);
        let number = text.first("cseq").and_then(|cseq| cseq.split(' ').next()?.parse().ok());
        let acked = Wire { local_cseq: number.unwrap_or(wire.local_cseq), ..wire.clone() };
        if let Some(ack) = self.draft(Method::Ack, &acked, &branch()).request() {
            let shared = self.clone();
            self.spawn(async move { shared.0.wires.send(ack).await });
        }
    }
}

/// The dialog that an answer makes of what was begun.
fn dialog_of(begun: &Wire, request: &Request, response: &Response) -> Wire {
    let text = Text::of(response);
    Wire {
        remote_tag: text.first("to").and_then(tag).unwrap_or_default().to_owned(),
        route: text.entries("record-route").into_iter().rev().collect(),
        target: text.contact().unwrap_or_else(|| request.uri.to_string()),
        invite: None,
        ..begun.clone()
    }
}

/// Whether a request answered a challenge already.
pub(super) fn request_has_answer(request: &Request) -> bool {
    let text = Text::of(request);
    text.first("authorization").or_else(|| text.first("proxy-authorization")).is_some()
}

/// Whether another one asks than the one that was answered: the server first, then whoever is behind it.
pub(super) fn is_another(request: &Request, answers: &[(&'static str, String)]) -> bool {
    let text = Text::of(request);
    answers.iter().any(|(name, _)| text.first(&name.to_ascii_lowercase()).is_none())
}

/// The new answers, and those to whom nobody has asked again.
pub(super) fn merged(
    request: &Request,
    mut answers: Vec<(&'static str, String)>,
) -> Vec<(&'static str, String)> {
    let text = Text::of(request);
    for name in ["Authorization", "Proxy-Authorization"] {
        if !answers.iter().any(|(known, _)| *known == name) {
            answers.extend(text.all(&name.to_ascii_lowercase()).map(|value| (name, value.to_owned())));
        }
    }
    answers
}
