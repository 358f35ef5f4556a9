//! A WebSocket. Each message is whole; pings are answered here.

use actix_http::ws::Item;
use awc::ws::{Frame, Message};
use futures_util::{SinkExt, StreamExt};
use ifbus_adapters::adapter::{LinkError, LinkId, Secret};
use tokio::time::timeout;

use crate::http::{Clients, HANDSHAKE_WITHIN, of_websocket};
use crate::outbox::Mail;
use crate::tls::Tls;
use crate::{Report, Sink};

/// Where it leads.
pub(crate) struct To<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) path: &'a str,
    pub(crate) basic: Option<&'a (String, Secret)>,
    pub(crate) message_max: usize,
    pub(crate) tls: Option<Tls>,
}

/// Runs the WebSocket to its end and says why it ended.
pub(crate) async fn run(id: LinkId, clients: &Clients, to: To<'_>, mut mail: Mail, sink: &Sink) -> LinkError {
    let mut request = clients.websocket(to.tls.as_ref(), to.host, to.port, to.path, to.message_max);
    if let Some((user, password)) = to.basic {
        request = request.basic_auth(user, Some(password.expose()));
    }
    let mut framed = match timeout(HANDSHAKE_WITHIN, request.connect()).await {
        Ok(Ok((_, framed))) => framed,
        Ok(Err(error)) => return of_websocket(&error),
        Err(_) => return LinkError::TimedOut,
    };
    if let Some(certificate) = to.tls.and_then(|tls| tls.certificate()) {
        sink(Report::Certificate(id, certificate));
    }
    sink(Report::Opened(id));
    let mut parts = Parts { whole: Vec::new(), max: to.message_max };
    loop {
        let outgoing = tokio::select! {
            biased;
            frame = framed.next() => match frame {
                Some(Ok(frame)) => match parts.take(frame) {
                    Ok(Taken::Message(bytes)) => { sink(Report::Bytes(id, bytes)); continue; }
                    Ok(Taken::Answer(answer)) => answer,
                    Ok(Taken::Nothing) => continue,
                    Err(why) => return why,
                },
                Some(Err(error)) => return LinkError::Other(error.to_string()),
                None => return LinkError::Closed,
            },
            message = mail.next() => text_or_binary(message),
        };
        if let Err(error) = framed.send(outgoing).await {
            return LinkError::Other(error.to_string());
        }
        if mail.is_over_limit() {
            return LinkError::Limit("bytes waiting to be sent");
        }
    }
}

fn text_or_binary(bytes: Vec<u8>) -> Message {
    match String::from_utf8(bytes) {
        Ok(text) => Message::Text(text.into()),
        Err(error) => Message::Binary(error.into_bytes().into()),
    }
}

#[cfg(test)]
mod tests;

/// What a frame comes to.
enum Taken {
    Message(Vec<u8>),
    Answer(Message),
    Nothing,
}

/// A message in parts.
struct Parts {
    whole: Vec<u8>,
    max: usize,
}

impl Parts {
    fn take(&mut self, frame: Frame) -> Result<Taken, LinkError> {
        match frame {
            Frame::Text(bytes) | Frame::Binary(bytes) => Ok(Taken::Message(bytes.to_vec())),
            Frame::Continuation(Item::FirstText(bytes) | Item::FirstBinary(bytes)) => {
                self.whole.clear();
                self.add(&bytes)
            }
            Frame::Continuation(Item::Continue(bytes)) => self.add(&bytes),
            Frame::Continuation(Item::Last(bytes)) => {
                self.add(&bytes)?;
                Ok(Taken::Message(std::mem::take(&mut self.whole)))
            }
            Frame::Ping(payload) => Ok(Taken::Answer(Message::Pong(payload))),
            Frame::Pong(_) => Ok(Taken::Nothing),
            Frame::Close(_) => Err(LinkError::Closed),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<Taken, LinkError> {
        if self.whole.len() + bytes.len() > self.max {
            return Err(LinkError::Limit("bytes of a message"));
        }
        self.whole.extend_from_slice(bytes);
        Ok(Taken::Nothing)
    }
}
