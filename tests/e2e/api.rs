//! The API as a program without any library of ours would use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::rig::PATIENCE;

/// One orchestrator and a token.
#[derive(Clone, Debug)]
pub struct Api {
    pub address: SocketAddr,
    pub token: String,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// As it came, head included.
    pub raw: String,
    /// The body.
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.raw))
    }
}

impl Api {
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "", Some(body))
    }

    /// A request with a head of its own (`Prefer: wait=5\r\n`).
    pub fn ask(&self, method: &str, path: &str, head: &str, body: Option<&Value>) -> Answer {
        let mut stream = self.send(method, path, &format!("{head}Connection: close\r\n"), body);
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).expect("an answer, whole");
        let raw = String::from_utf8(raw).expect("an answer is UTF-8");
        let (head, text) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {raw:?}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let text = text.to_owned();
        Answer { status: status.unwrap_or_else(|| panic!("no status: {head}")), text, raw }
    }

    /// A request to an orchestrator that may die meanwhile: nothing without a whole answer.
    pub fn try_ask(&self, method: &str, path: &str, head: &str, body: Option<&Value>) -> Option<Answer> {
        let mut stream = self.try_send(method, path, &format!("{head}Connection: close\r\n"), body).ok()?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).ok()?;
        let raw = String::from_utf8(raw).ok()?;
        let (head, text) = raw.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        serde_json::from_str::<Value>(text).ok()?;
        Some(Answer { status, text: text.to_owned(), raw: raw.clone() })
    }

    /// Opens the event stream, after the event `after` if one is named.
    pub fn events(&self, query: &str, after: Option<&str>) -> Events {
        let after = after.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let stream = self.send("GET", &format!("/v1/events{query}"), &after, None);
        let mut events = Events { lines: BufReader::new(stream) };
        let status = events.line().unwrap_or_default();
        assert!(status.contains(" 200 "), "{status}");
        while events.line().is_some_and(|line| !line.is_empty()) {}
        events
    }

    fn send(&self, method: &str, path: &str, head: &str, body: Option<&Value>) -> TcpStream {
        self.try_send(method, path, head, body).expect("the API listens and reads")
    }

    fn try_send(
        &self,
        method: &str,
        path: &str,
        head: &str,
        body: Option<&Value>,
    ) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = if method == "GET" {
            String::new()
        } else {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{head}{length}\r\n{body}",
            self.address, self.token
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }
}

/// An event stream, line by line. Lengths of chunks stand between the lines, and never within one.
#[derive(Debug)]
pub struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    /// The next line without its end; `None` when the stream is over.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("the stream goes on or ends");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next line that begins so, without that beginning.
    pub fn next(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("the stream ended before `{beginning}`"));
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim_start().to_owned();
            }
        }
    }
}
