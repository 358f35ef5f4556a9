//! Calls that a media anchor makes to us, for legs that are lent to it.
//!
//! They come to an endpoint of their own, which hears nobody else and speaks to the anchor directly. Who is wanted is the
//! agent's to say: the name that is called cannot be guessed.

use std::time::Duration;

use ifbus_adapters::sip::{SipAnchor, SipEndpoint, SipEvent, SipTransport, Wire};
use ifbus_call::LegId;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Request};
use rsipstack::transaction::random_text;
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::reply::description;
use super::stack::Shared;
use super::text::{Text, tag, uri};

/// A call that the agent does not answer by then is refused; it answers at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the agent says to a call: the leg it becomes and the answer, or why not.
pub(super) type Said = Result<(LegId, String), u16>;

/// The endpoint for an anchor, beside that of the server.
pub(super) fn endpoint(server: &SipEndpoint, anchor: &SipAnchor) -> SipEndpoint {
    SipEndpoint {
        host: anchor.host.clone(),
        port: anchor.port,
        transport: SipTransport::Udp,
        listen: anchor.listen,
        advertise: server.advertise.as_ref().map(|(host, _)| (host.clone(), anchor.listen.port())),
        credentials: Vec::new(),
        anchor: None,
    }
}

impl Shared {
    /// Somebody calls; what it becomes is asked of the agent.
    pub(super) async fn invited(&self, transaction: &mut Transaction, request: &Request, text: &Text) {
        let Some((user, wire)) = self.begun(transaction, request, text) else {
            return self.say(transaction, 400, Vec::new(), None).await;
        };
        let (answer, answered) = oneshot::channel();
        let token = {
            let mut dialogs = self.0.dialogs.borrow_mut();
            dialogs.tokens += 1;
            let token = dialogs.tokens;
            dialogs.calls.insert(token, answer);
            token
        };
        let sdp = description(text, &request.body);
        self.tell(SipEvent::Invited { token, user, wire: Box::new(wire.clone()), sdp });
        let said: Said = match timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(said)) => said,
            _ => Err(480),
        };
        self.0.dialogs.borrow_mut().calls.remove(&token);
        match said {
            Ok((leg, sdp)) => {
                self.learn(leg, |known| *known = wire);
                let headers = vec![Header::Contact(self.contact().into())];
                self.say(transaction, 200, headers, Some(sdp)).await;
                self.acknowledged(leg, transaction, 200, false).await;
            }
            Err(code) => self.say(transaction, code, Vec::new(), None).await,
        }
    }

    /// Who is called, and the dialog it would be: we are the one that is called (RFC 3261, section 12.1.1).
    fn begun(&self, transaction: &mut Transaction, request: &Request, text: &Text) -> Option<(String, Wire)> {
        let local_tag = random_text(16);
        let to = request.to_header().ok()?.clone().with_tag(local_tag.clone().into());
        // the reply is made of it
        transaction.original.headers.unique_push(to.into());
        let wire = Wire {
            call_id: text.first("call-id")?.to_owned(),
            local_tag,
            remote_tag: text.first("from").and_then(tag)?.to_owned(),
            local_uri: uri(text.first("to")?).to_owned(),
            remote_uri: uri(text.first("from")?).to_owned(),
            local_cseq: 0,
            remote_cseq: text.first("cseq")?.split(' ').next()?.parse().ok()?,
            target: text.contact()?,
            route: text.entries("record-route"),
            invite: None,
            by_anchor: true,
        };
        Some((request.uri.user()?.to_owned(), wire))
    }

    /// The agent has decided on a call.
    pub(super) fn decided(&self, token: u64, said: Said) {
        let waiting = self.0.dialogs.borrow_mut().calls.remove(&token);
        if let Some(waiting) = waiting {
            // the call may have been given up
            let _ = waiting.send(said);
        }
    }
}
