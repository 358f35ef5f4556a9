//! The HTTP client of the command line: one orchestrator on this machine, asked and answered in JSON.
//!
//! Loopback and clear text only: a token never leaves the machine by this way. Redirects are not followed. Not here:
//! which orchestrator (`session`), the event stream's form (`stream`).

use std::net::IpAddr;
use std::time::Duration;

use awc::http::header;
use awc::{ClientRequest, ClientResponse};
use ifbus_config::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::errors::Failure;

/// Every answer of the API comes within this: its slowest, a test of a server, takes 10 s at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer: a page of 500 calls with all their attempts fits many times.
const ANSWER_MAX: usize = 16 << 20;

/// Where an orchestrator is: `http://127.0.0.1:7070`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base(String);

impl Base {
    /// The orchestrator that listens there.
    pub fn of(address: std::net::SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }

    /// Reads what `--on` or `IFBUS_URL` says.
    ///
    /// # Errors
    /// It is not `http://HOST:PORT` with a host of this machine.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            let failure =
                Failure::usage(format!("`{text}` is not the address of an orchestrator on this machine"));
            failure
                .with("as in: --on http://127.0.0.1:7070")
                .with("on another machine: ssh -L 7070:127.0.0.1:7070 HOST")
                .with("by a name: a section of orchestrators.toml, see ifbus help environment")
        };
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (rest, "80"),
        };
        let name = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let is_here = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if is_here && port.parse::<u16>().is_ok_and(|port| port > 0) {
            Ok(Self(format!("http://{host}:{port}")))
        } else {
            Err(wrong())
        }
    }
}

impl std::fmt::Display for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A good answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status: 200 done or so already, 201 made, 202 under way.
    pub status: u16,
    /// The body as it came; what `--json` prints.
    pub text: String,
}

impl Answer {
    /// The body as a value.
    ///
    /// # Errors
    /// It is of another version.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.text).map_err(|error| {
            let failure =
                Failure::not_understood(format!("the orchestrator's answer is not understood: {error}"));
            failure.with("is it of another version? ifbus version")
        })
    }
}

/// One orchestrator.
#[derive(Clone)]
pub struct Client {
    http: awc::Client,
    base: Base,
    token: Option<Secret>,
}

impl Client {
    /// A client of the orchestrator at `base`; nothing is sent yet.
    pub fn new(base: Base, token: Option<Secret>) -> Self {
        let http = awc::Client::builder().disable_timeout().disable_redirects().finish();
        Self { http, base, token }
    }

    /// Where it is.
    pub const fn base(&self) -> &Base {
        &self.base
    }

    /// Looks at something.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.answer(self.request(awc::http::Method::GET, path), None).await
    }

    /// Asks for something to be done. `wait` is how long the answer may be held until it is.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn post(&self, path: &str, body: &Value, wait: Option<Duration>) -> Result<Answer, Failure> {
        let mut request = self.request(awc::http::Method::POST, path);
        if let Some(wait) = wait {
            request = request.insert_header(("Prefer", format!("wait={}", wait.as_secs())));
        }
        self.answer(request, Some(body)).await
    }

    /// Asks for something to be done once, however often this is asked with the same key.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Result<Answer, Failure> {
        let request = self.request(awc::http::Method::POST, path).insert_header(("Idempotency-Key", key));
        self.answer(request, Some(body)).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.answer(self.request(awc::http::Method::PATCH, path), Some(body)).await
    }

    /// Removes something.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.answer(self.request(awc::http::Method::DELETE, path), None).await
    }

    /// Opens an endless answer; `after` is the id of the last event that was read.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn open(&self, path: &str, after: Option<&str>) -> Result<ClientResponse, Failure> {
        let mut request = self.request(awc::http::Method::GET, path);
        request = request.insert_header((header::ACCEPT, "text/event-stream"));
        if let Some(after) = after {
            request = request.insert_header(("Last-Event-ID", after));
        }
        self.opened(request).await
    }

    /// Begins to read a file.
    ///
    /// # Errors
    /// Every way to say no.
    pub async fn file(&self, path: &str) -> Result<ClientResponse, Failure> {
        self.opened(self.request(awc::http::Method::GET, path)).await
    }

    async fn opened(&self, request: ClientRequest) -> Result<ClientResponse, Failure> {
        let mut response = self.in_time(request.send()).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        Err(self.refused(status, &self.body(&mut response).await?))
    }

    /// Whether an orchestrator answers. Asked without the token.
    pub async fn is_alive(&self) -> bool {
        let asked = self.http.get(format!("{}/healthz", self.base)).send();
        let within = Duration::from_secs(1); // it is on this machine
        tokio::time::timeout(within, asked)
            .await
            .is_ok_and(|answer| answer.is_ok_and(|a| a.status().is_success()))
    }

    fn request(&self, method: awc::http::Method, path: &str) -> ClientRequest {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn answer(&self, request: ClientRequest, body: Option<&Value>) -> Result<Answer, Failure> {
        let sent = match body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let mut response = self.in_time(sent).await?;
        let status = response.status().as_u16();
        let text = self.body(&mut response).await?;
        if response.status().is_success() {
            Ok(Answer { status, text })
        } else {
            Err(self.refused(status, &text))
        }
    }

    async fn in_time<T, E: std::fmt::Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(ANSWER_WITHIN, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                Err(Failure::unreachable(format!("no orchestrator answers at {}: {error}", self.base)))
            }
            Err(_) => {
                let seconds = ANSWER_WITHIN.as_secs();
                Err(Failure::unreachable(format!(
                    "the orchestrator at {} was silent for {seconds} s",
                    self.base
                )))
            }
        }
    }

    async fn body(&self, response: &mut ClientResponse) -> Result<String, Failure> {
        let bytes = self.in_time(response.body().limit(ANSWER_MAX)).await?;
        String::from_utf8(bytes.into())
            .map_err(|_| Failure::not_understood("the orchestrator's answer is not UTF-8"))
    }

    fn refused(&self, status: u16, body: &str) -> Failure {
        let failure = Failure::of_answer(status, body);
        if status == 401 && self.token.is_none() {
            return failure.with("the token: IFBUS_TOKEN, or the file `token` in the data folder");
        }
        failure
    }
}

/// A query: `?key=value&...`, with everything that is not plain percent-encoded. Absent values are left out.
pub fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        let Some(value) = value else { continue };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' | b',' => {
                    text.push(char::from(byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}
