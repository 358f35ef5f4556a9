//! Requests of ours inside a dialog. Each runs by itself: whoever asked is answered by his own deadline, and the
//! transaction goes on to its end, because dropping it would stop its repeats (sheet sip-3pcc, W2).

use std::pin::pin;
use std::time::Duration;

use ifbus_adapters::sip::{Ended, Reply, SipEvent, Wire};
use ifbus_call::LegId;
use rsipstack::sip::{Method, Request, Response, SipMessage, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::digest;
use super::invite::{ROUNDS_MAX, is_another, merged, request_has_answer};
use super::reply::reply;
use super::request::{ALLOW, branch};
use super::stack::Shared;
use super::text::Text;

/// What a request inside a dialog carries.
struct Errand {
    method: Method,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, String)>,
}

impl Errand {
    const fn new(method: Method) -> Self {
        Self { method, headers: Vec::new(), body: None }
    }
}

impl Shared {
    pub(super) fn reinvite(
        &self,
        leg: LegId,
        number: u64,
        sdp: String,
        session: Option<u32>,
        within: Duration,
    ) {
        let mut errand = Errand::new(Method::Invite);
        errand.headers =
            vec![("Contact", self.contact()), ("Allow", ALLOW.to_owned()), ("Supported", "timer".to_owned())];
        if let Some(every) = session {
            errand.headers.push(("Session-Expires", format!("{every};refresher=uac")));
        }
        errand.body = Some(("application/sdp", sdp));
        self.replied_later(Some(leg), number, errand, within);
    }

    pub(super) fn info(&self, leg: LegId, number: u64, kind: &'static str, body: String, within: Duration) {
        let errand = Errand { body: Some((kind, body)), ..Errand::new(Method::Info) };
        self.replied_later(Some(leg), number, errand, within);
    }

    pub(super) fn options(&self, leg: Option<LegId>, number: u64, within: Duration) {
        let mut errand = Errand::new(Method::Options);
        errand.headers = vec![("Accept", "application/sdp".to_owned()), ("Contact", self.contact())];
        self.replied_later(leg, number, errand, within);
    }

    pub(super) fn refer(&self, leg: LegId, number: u64, to: &str, within: Duration) {
        let Some(wire) = self.wire(leg) else { return };
        let mut errand = Errand::new(Method::Refer);
        errand.headers = vec![
            ("Refer-To", format!("<{to}>")),
            ("Referred-By", format!("<{}>", wire.local_uri)),
            ("Contact", self.contact()),
        ];
        self.replied_later(Some(leg), number, errand, within);
    }

    /// How a transfer goes that the phone asked for.
    pub(super) fn notify(
        &self,
        leg: LegId,
        number: u64,
        (id, code, last): (Option<u32>, u16, bool),
        within: Duration,
    ) {
        let event = id.map_or_else(|| "refer".to_owned(), |id| format!("refer;id={id}"));
        let state = if last { "terminated;reason=noresource" } else { "active;expires=60" };
        let words =
            StatusCode::try_from((code, "")).map(|status| status.text().to_owned()).unwrap_or_default();
        let mut errand = Errand::new(Method::Notify);
        errand.headers = vec![
            ("Event", event),
            ("Subscription-State", state.to_owned()),
            ("Contact", self.contact()),
            ("Allow", ALLOW.to_owned()),
        ];
        errand.body = Some(("message/sipfrag;version=2.0", format!("SIP/2.0 {code} {words}\r\n")));
        self.replied_later(Some(leg), number, errand, within);
    }

    fn replied_later(&self, leg: Option<LegId>, number: u64, errand: Errand, within: Duration) {
        let shared = self.clone();
        self.spawn(async move {
            let deadline = Instant::now() + within;
            let mut running = pin!(shared.run(leg, errand));
            let reply = tokio::select! {
                biased;
                reply = &mut running => return shared.tell(SipEvent::Replied { leg, number, reply }),
                () = sleep_until(deadline) => Reply::silence(),
            };
            shared.tell(SipEvent::Replied { leg, number, reply });
            running.await;
        });
    }

    pub(super) fn bye(&self, leg: LegId, reason: Option<(u16, String)>, within: Duration) {
        let mut errand = Errand::new(Method::Bye);
        if let Some((cause, text)) = reason {
            errand.headers.push(("Reason", format!("Q.850;cause={cause};text=\"{text}\"")));
        }
        let shared = self.clone();
        self.spawn(async move {
            let deadline = Instant::now() + within;
            let mut running = pin!(shared.run(Some(leg), errand));
            let over = SipEvent::Ended { leg, ended: Ended::ByUs, reason: None };
            tokio::select! {
                biased;
                _ = &mut running => return shared.tell(over),
                () = sleep_until(deadline) => {}
            }
            shared.tell(over);
            running.await;
        });
    }

    /// Carries an errand out, challenges included.
    async fn run(&self, leg: Option<LegId>, errand: Errand) -> Reply {
        let mut answers = Vec::new();
        // the dialog as it is now: it may be forgotten while we wait
        let mut alone = leg.is_none().then(|| self.stranger()).or_else(|| leg.and_then(|leg| self.wire(leg)));
        for _ in 0..ROUNDS_MAX {
            let Some(wire) = alone.as_mut() else {
                return Reply { local: true, ..Reply::of(481) };
            };
            match leg.and_then(|leg| self.next_request(leg)) {
                Some(known) => *wire = known,
                None => wire.local_cseq += 1,
            }
            let draft =
                self.draft(errand.method, wire, &branch()).with_all(&errand.headers).with_all(&answers);
            let draft = match &errand.body {
                Some((kind, body)) => draft.body(kind, body),
                None => draft,
            };
            let Some(request) = draft.request() else { return Reply { local: true, ..Reply::of(481) } };
            let response = match errand.method {
                Method::Invite => self.offer(leg, wire, request.clone()).await,
                _ => self.exchanged(request.clone()).await,
            };
            let response = match response {
                Ok(response) => response,
                Err(reply) => return reply,
            };
            match self.challenged(&request, &response) {
                Some(again) => answers = again,
                None => {
                    if matches!(response.status_code.code(), 401 | 407) && leg.is_some() {
                        self.refused_as(&response);
                    }
                    return reply(&response);
                }
            }
        }
        Reply::of(407)
    }

    /// The headers with which to ask again, if that is what is wanted.
    fn challenged(&self, request: &Request, response: &Response) -> Option<Vec<(&'static str, String)>> {
        if !matches!(response.status_code.code(), 401 | 407) {
            return None;
        }
        let again = request_has_answer(request) && !digest::is_stale(response);
        let uri = request.uri.to_string();
        let answers = digest::answers(response, &self.0.settings.credentials, &request.method, &uri)?;
        (!again || is_another(request, &answers)).then(|| merged(request, answers))
    }

    /// A re-INVITE. Its transaction is kept until it ends, so that a repeated answer is acknowledged again.
    async fn offer(&self, leg: Option<LegId>, wire: &Wire, request: Request) -> Result<Response, Reply> {
        if let Err(why) = self.0.wires.connect().await {
            return Err(Reply::unsent(why.to_string()));
        }
        let Some(mut transaction) = self.transaction(request) else { return Err(Reply::silence()) };
        if transaction.send().await.is_err() {
            return Err(Reply::silence());
        }
        while let Some(message) = transaction.receive().await {
            let SipMessage::Response(response) = message else { continue };
            if response.status_code.code() < 200 {
                continue;
            }
            if response.status_code.code() / 100 == 2 {
                let contact = Text::of(&response).contact();
                if let (Some(leg), Some(target)) = (leg, &contact)
                    && self.wire(leg).is_some()
                {
                    // target refresh (W10)
                    self.learn(leg, |wire| wire.target.clone_from(target));
                }
                if contact.is_none() {
                    self.acknowledge(wire, &response);
                }
                self.spawn(async move { while transaction.receive().await.is_some() {} });
            }
            return Ok(response);
        }
        Err(Reply::silence())
    }

    /// A question to the server itself.
    fn stranger(&self) -> Wire {
        let server = &self.0.settings;
        let uri = format!("sip:{}:{}", crate::in_url(&server.host), server.port);
        Wire {
            call_id: branch().replacen("z9hG4bK", "ifbus-", 1),
            local_tag: branch().replacen("z9hG4bK", "", 1),
            local_uri: format!("sip:ifbus@{}", self.0.wires.contact),
            remote_uri: uri.clone(),
            target: uri,
            ..Wire::default()
        }
    }
}
