//! What far ends ask of us: BYE, offers, INFO, REFER, NOTIFY, OPTIONS. Everything is answered (sheet sip-3pcc, W15).

use std::time::Duration;

use ifbus_adapters::sip::{Ended, SipEvent};
use ifbus_call::LegId;
use rsipstack::sip::{Header, Method, Request, SipMessage, StatusCode};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::reply::{description, session};
use super::request::ALLOW;
use super::stack::Shared;
use super::text::{Text, tag};

/// An offer that the agent does not answer by then is refused; it answers at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

impl Shared {
    pub(super) fn incoming(&self, transaction: Transaction) {
        let shared = self.clone();
        self.spawn(async move { shared.answer(transaction).await });
    }

    async fn answer(&self, mut transaction: Transaction) {
        let request = transaction.original.clone();
        let text = Text::of(&request);
        if request.method == Method::Options && text.first("to").and_then(tag).is_none() {
            return self.say(&mut transaction, 200, Vec::new(), None).await;
        }
        if self.0.is_anchors && request.method == Method::Invite && text.first("to").and_then(tag).is_none() {
            return self.invited(&mut transaction, &request, &text).await;
        }
        let Some(leg) = self.leg_of(&text) else {
            return self.say(&mut transaction, 481, Vec::new(), None).await;
        };
        if !self.in_order(leg, &text) {
            return self.say(&mut transaction, 500, Vec::new(), None).await;
        }
        match request.method {
            Method::Invite => self.offered(leg, &mut transaction, &request, &text).await,
            Method::Bye => {
                self.say(&mut transaction, 200, Vec::new(), None).await;
                let reason = text.q850();
                self.tell(SipEvent::Ended { leg, ended: Ended::ByPeer, reason });
                self.forget(leg);
            }
            Method::Info => {
                self.say(&mut transaction, 200, Vec::new(), None).await;
                let body = String::from_utf8_lossy(&request.body).into_owned();
                self.tell(SipEvent::PeerInfo { leg, kind: text.content_type(), body });
            }
            Method::Notify => {
                self.say(&mut transaction, 200, Vec::new(), None).await;
                self.notified(leg, &request, &text);
            }
            Method::Options => self.say(&mut transaction, 200, Vec::new(), None).await,
            Method::Refer => self.referred(leg, &mut transaction, &text).await,
            _ => self.say(&mut transaction, 405, Vec::new(), None).await,
        }
    }

    fn leg_of(&self, text: &Text) -> Option<LegId> {
        let dialogs = self.0.dialogs.borrow();
        let leg = *dialogs.by_call_id.get(text.first("call-id")?)?;
        let wire = dialogs.known.get(&leg)?;
        let (ours, theirs) = (text.first("to").and_then(tag)?, text.first("from").and_then(tag)?);
        (wire.local_tag == ours && (wire.remote_tag.is_empty() || wire.remote_tag == theirs)).then_some(leg)
    }

    /// Whether the request is newer than the last one (RFC 3261, 12.2.2).
    fn in_order(&self, leg: LegId, text: &Text) -> bool {
        let number = text.first("cseq").and_then(|cseq| cseq.split(' ').next()?.parse::<u32>().ok());
        let (Some(number), Some(wire)) = (number, self.wire(leg)) else { return false };
        if number <= wire.remote_cseq {
            return false;
        }
        self.learn(leg, |wire| wire.remote_cseq = number);
        true
    }

    /// The phone's offer: the agent answers; the answer is repeated until its ACK.
    async fn offered(&self, leg: LegId, transaction: &mut Transaction, request: &Request, text: &Text) {
        let offer = description(text, &request.body);
        if offer.is_none() && !request.body.is_empty() {
            return self.say(transaction, 488, Vec::new(), None).await;
        }
        if let Some(target) = text.contact() {
            self.learn(leg, |wire| wire.target = target);
        }
        let (token, answered) = self.to_be_answered();
        let wanted = offer.is_none();
        let timer = session(text, 200, false);
        self.tell(SipEvent::PeerOffer { leg, token, sdp: offer, session: timer });
        let (code, sdp) = self.decision(token, answered).await;
        let mut headers = Vec::new();
        if code == 200 {
            headers.push(Header::Contact(self.contact().into()));
            if let Some(timer) = timer {
                let refresher = if timer.ours { "uas" } else { "uac" };
                let value = format!("{};refresher={refresher}", timer.every);
                headers.push(Header::Other("Session-Expires".into(), value));
                headers.push(Header::Other("Require".into(), "timer".into()));
            }
        }
        self.say(transaction, code, headers, sdp).await;
        self.acknowledged(leg, transaction, code, wanted).await;
    }

    /// The phone's own transfer: the agent decides, and tells how it goes.
    async fn referred(&self, leg: LegId, transaction: &mut Transaction, text: &Text) {
        let mut named = text.all("refer-to").chain(text.all("r"));
        let (Some(to), None) = (named.next().map(str::to_owned), named.next()) else {
            // none, or more than one (RFC 3515, 2.4.2)
            return self.say(transaction, 400, Vec::new(), None).await;
        };
        let (token, answered) = self.to_be_answered();
        self.tell(SipEvent::Referred { leg, token, to });
        let (code, _) = self.decision(token, answered).await;
        let headers = if code == 202 { vec![Header::Contact(self.contact().into())] } else { Vec::new() };
        self.say(transaction, code, headers, None).await;
    }

    fn to_be_answered(&self) -> (u64, oneshot::Receiver<(u16, Option<String>)>) {
        let (answer, answered) = oneshot::channel();
        let mut dialogs = self.0.dialogs.borrow_mut();
        dialogs.tokens += 1;
        let token = dialogs.tokens;
        dialogs.offers.insert(token, answer);
        (token, answered)
    }

    async fn decision(
        &self,
        token: u64,
        answered: oneshot::Receiver<(u16, Option<String>)>,
    ) -> (u16, Option<String>) {
        let answer = timeout(ANSWER_WITHIN, answered).await;
        self.0.dialogs.borrow_mut().offers.remove(&token);
        match answer {
            Ok(Ok(answer)) => answer,
            _ => (500, None),
        }
    }

    pub(super) async fn acknowledged(
        &self,
        leg: LegId,
        transaction: &mut Transaction,
        code: u16,
        wanted: bool,
    ) {
        while let Some(message) = transaction.receive().await {
            let SipMessage::Request(request) = message else { continue };
            if request.method == Method::Ack {
                if wanted
                    && code == 200
                    && let Some(sdp) = description(&Text::of(&request), &request.body)
                {
                    self.tell(SipEvent::PeerAnswer { leg, sdp });
                }
                return;
            }
        }
        if code == 200 && self.wire(leg).is_some() {
            // nobody took our answer for 64 T1 (RFC 3261, 13.3.1.4)
            self.bye(leg, Some((102, "no ACK".to_owned())), Duration::from_secs(5));
        }
    }

    fn notified(&self, leg: LegId, request: &Request, text: &Text) {
        let body = String::from_utf8_lossy(&request.body);
        let code = body.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let last = text.first("subscription-state").is_some_and(|state| state.starts_with("terminated"));
        if let Some(code) = code.filter(|_| text.content_type() == "message/sipfrag") {
            self.tell(SipEvent::Notify { leg, code, last });
        }
    }

    pub(super) async fn say(
        &self,
        transaction: &mut Transaction,
        code: u16,
        mut headers: Vec<Header>,
        sdp: Option<String>,
    ) {
        let Ok(status) = StatusCode::try_from((code, "")) else { return };
        headers.push(Header::Other("Allow".into(), ALLOW.into()));
        if sdp.is_some() {
            headers.push(Header::ContentType("application/sdp".to_owned().into()));
        }
        if let Err(error) = transaction.reply_with(status, headers, sdp.map(String::into_bytes)).await {
            tracing::debug!(%error, code, "a SIP reply was not sent");
        }
    }
}
