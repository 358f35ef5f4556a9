//! HTTP as `xhttp` speaks it: the status is the code of the error, what is broken is never answered.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::Kamailio;
use super::rpc::Said;
use crate::http::{self, Request};

impl Kamailio {
    /// The reply to the next request of a connection; `None` for none: broken JSON, GET, an empty body.
    pub(super) fn http(&mut self, pending: &mut Vec<u8>, now: Duration) -> Vec<Option<Vec<u8>>> {
        let mut replies = Vec::new();
        loop {
            match http::next(pending) {
                Ok(Some(request)) => replies.push(self.answered(&request, now)),
                Ok(None) => return replies,
                Err(()) => {
                    pending.clear();
                    return replies;
                }
            }
        }
    }

    fn answered(&mut self, request: &Request, now: Duration) -> Option<Vec<u8>> {
        self.asked += 1;
        let allowed = match &self.options.login {
            Some((name, value)) => request.header(name) == Some(value),
            None => true,
        };
        if !allowed {
            let more = "WWW-Authenticate: Basic realm=\"kamailio\"\r\n";
            return Some(self.written("401 Unauthorized", more, "text/plain", "denied\n"));
        }
        if !request.path.starts_with("/rpc") {
            return Some(self.written("404 Not Found", "", "text/plain", "no such path\n"));
        }
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let Value::Object(body) = body else {
            // a batch: nothing is done, and that succeeds
            return Some(self.written(
                "200 OK",
                "",
                "application/json",
                "{\"jsonrpc\":\"2.0\",\"result\":{}}",
            ));
        };
        let method = body.get("method").and_then(Value::as_str)?.to_owned();
        let said = self.call(&method, body.get("params").unwrap_or(&Value::Null), now);
        let (status, mut reply) = match said {
            Said::Result(result) => ("200 OK".to_owned(), json!({"jsonrpc": "2.0", "result": result})),
            Said::Error(code, message) => {
                let error = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}});
                (format!("{code} {message}"), error)
            }
            Said::Dead => {
                self.dying = true;
                return None;
            }
        };
        // numbers and texts come back, null as 0, none as none
        match body.get("id") {
            Some(Value::Null) => reply["id"] = json!(0),
            Some(id) => reply["id"] = id.clone(),
            None => {}
        }
        Some(self.written(&status, "", "application/json", &reply.to_string()))
    }

    /// `Connection: close` is not taken notice of.
    fn written(&self, status: &str, more: &str, kind: &str, body: &str) -> Vec<u8> {
        let from = SocketAddr::from(([127, 0, 0, 1], 39_796));
        let version = self.options.profile.version;
        format!(
            "HTTP/1.1 {status}\r\nSia: SIP/2.0/TCP {from}\r\n{more}Content-Type: {kind}\r\n\
             Server: kamailio ({version} (x86_64/linux))\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}
