//! The double beside what was recorded from a real Issabel.

mod pbxapi;
mod transcripts;

use std::time::Duration;

use super::{Door, Elastix};
use crate::double::{Double, Input, Link, Output};

/// The machine, and one browser.
pub(super) struct Rig {
    pub(super) machine: Elastix,
    pub(super) now: Duration,
    link: u64,
    pub(super) token: String,
}

/// What a browser got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    /// `200 OK`
    pub(super) status: String,
    pub(super) kind: String,
    pub(super) body: String,
}

impl Rig {
    pub(super) fn new() -> Self {
        let (options, web) = Elastix::issabel(7);
        Self::of(Elastix::new(options, web, Duration::ZERO))
    }

    pub(super) fn of(machine: Elastix) -> Self {
        let mut rig = Rig { machine, now: Duration::ZERO, link: 0, token: String::new() };
        let got = rig.ask(
            "POST",
            "authenticate",
            "Content-Type: application/json",
            "{\"user\":\"admin\",\"password\":\"admin-secret\"}",
        );
        let token = got.body.split('"').nth(3).expect("a token");
        rig.token = token.to_owned();
        rig
    }

    /// Asks on a connection of its own, and lets time pass until there is an answer.
    pub(super) fn ask(&mut self, method: &str, path: &str, header: &str, body: &str) -> Got {
        let link = Link(self.link);
        self.link += 1;
        self.machine.handle(Input::Opened(link, Door::Web), self.now);
        let (length, path) = (body.len(), path.replace(' ', "%20").replace("\r\n", "%0D%0A"));
        let gap = if header.is_empty() { "" } else { "\r\n" };
        let request = format!(
            "{method} /pbxapi/{path} HTTP/1.1\r\nHost: pbx{gap}{header}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.machine.handle(Input::Bytes(link, request.into_bytes()), self.now);
        for _ in 0..1000 {
            while let Some(output) = self.machine.poll() {
                if let Output::Bytes(to, bytes) = output
                    && to == link
                {
                    return got(&bytes);
                }
            }
            let due = self.machine.deadline().expect("something comes");
            self.now = self.now.max(due);
            self.machine.handle(Input::Tick, self.now);
        }
        panic!("no answer to {method} {path}");
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.handle(Input::Tick, self.now);
            while self.machine.poll().is_some() {}
        }
        self.now = end;
    }

    /// With the token.
    pub(super) fn get(&mut self, path: &str) -> Got {
        let header = format!("Authorization: Bearer {}", self.token);
        self.ask("GET", path, &header, "")
    }
}

fn got(bytes: &[u8]) -> Got {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
    let kind = lines.find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
    Got { status: status.to_owned(), kind: kind.to_owned(), body: body.to_owned() }
}
