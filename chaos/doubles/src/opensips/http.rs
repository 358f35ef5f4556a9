//! MI over HTTP: one request after the other, status 200 also for errors, and silence where it is overwhelmed (sheet,
//! section 2.1).

use std::time::Duration;

use super::OpenSips;
use super::mi::Said;
use crate::double::Link;
use crate::faults::HttpState;
use crate::http::{self, Request};

/// A body that is longer, in one piece, is never answered.
const BODY_HANGS: usize = 16_500;
/// How often it looks whether a command that waits has its answer.
pub(super) const STEP: Duration = Duration::from_millis(500);

/// A request that waits for SIP.
#[derive(Debug)]
pub(super) struct Waiting {
    link: Link,
    pub(super) until: Duration,
    answer: String,
}

impl OpenSips {
    pub(super) fn receive(&mut self, link: Link, bytes: &[u8]) {
        let Some(pending) = self.pending.get_mut(&link) else { return };
        pending.extend_from_slice(bytes);
        loop {
            match http::next(pending) {
                Ok(Some(request)) => self.queue.push_back((link, request)),
                Ok(None) => return,
                // more than it has room for: it waits for the rest, which is there
                Err(()) => return pending.clear(),
            }
        }
    }

    /// Answers what is its turn.
    pub(super) fn answer_requests(&mut self) {
        loop {
            if let Some(waiting) = self.waiting.take_if(|waiting| waiting.until <= self.now) {
                let reply = written("200 OK", "application/json", &waiting.answer);
                self.wire.reply(waiting.link, reply, self.now);
            }
            if self.waiting.is_some() {
                return;
            }
            let Some((link, request)) = self.queue.pop_front() else { return };
            self.answer_request(link, &request);
        }
    }

    fn answer_request(&mut self, link: Link, request: &Request) {
        if self.wire.faults.http == HttpState::Unavailable {
            return self.wire.reply(link, written("503 Service Unavailable", "text/html", ""), self.now);
        }
        if !self.may(request) {
            let page = "<html><body>Unauthorized</body></html>";
            let head = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Basic realm=\"OpenSIPS MI\"";
            let reply = format!("{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
            self.wire.reply(link, reply.into_bytes(), self.now);
            return self.wire.close(link, self.now);
        }
        if request.path != "/mi" {
            let page = "<html><body>Unable to parse URL!</body></html>";
            return self.wire.reply(link, written("400 Bad Request", "text/html", page), self.now);
        }
        if request.method != "POST" {
            // a chunked body that never ends
            return self.wire.reply(link, chunked("405 Method Not Allowed", ""), self.now);
        }
        let Some(kind) = request.header("Content-Type") else { return self.wire.close(link, self.now) };
        if request.body.len() > BODY_HANGS {
            return;
        }
        if !kind.starts_with("application/json") || request.body.len() > self.options.post_max {
            return self.wire.reply(link, chunked("400 Bad Request", "0\r\n\r\n"), self.now);
        }
        match self.asked(&request.body) {
            Said::Nothing => self.wire.reply(link, written("202 Accepted", "application/json", ""), self.now),
            Said::Now(answer) => {
                self.wire.reply(link, written("200 OK", "application/json", &answer), self.now)
            }
            Said::Later(wait, answer) => {
                let steps = wait.as_millis() / STEP.as_millis() + 1;
                let until = self.now + STEP * u32::try_from(steps).unwrap_or(1);
                self.waiting = Some(Waiting { link, until, answer });
            }
        }
    }

    fn may(&self, request: &Request) -> bool {
        match &self.options.login {
            Some(pair) if self.options.profile.basic => request.credentials().as_ref() == Some(pair),
            _ => true,
        }
    }
}

fn written(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn chunked(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
        .into_bytes()
}
