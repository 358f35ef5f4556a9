//! A double, clients of its event socket, and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::double::{Double as _, Link};
use crate::freeswitch::{Door, FreeSwitch, Input, Options, Output};

pub(super) const PASSWORD: &str = "ifbus-secret";

/// All of it.
pub(super) struct Lab {
    pub(super) machine: FreeSwitch,
    pub(super) now: Duration,
    links: u64,
    said: BTreeMap<Link, Vec<u8>>,
    pub(super) closed: Vec<Link>,
}

impl Lab {
    pub(super) fn new(options: Options) -> Self {
        Lab {
            machine: FreeSwitch::new(options, Duration::ZERO),
            now: Duration::ZERO,
            links: 0,
            said: BTreeMap::new(),
            closed: vec![],
        }
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Bytes(link, bytes) => self.said.entry(link).or_default().extend(bytes),
                Output::Close(link) | Output::Reset(link) => self.closed.push(link),
                Output::Datagram(..) => {}
            }
        }
    }

    pub(super) fn open(&mut self) -> Link {
        self.links += 1;
        let link = Link(self.links);
        self.machine.handle(Input::Opened(link, Door::Socket), self.now);
        self.collect();
        link
    }

    pub(super) fn login(&mut self) -> Link {
        let link = self.open();
        self.send(link, &format!("auth {PASSWORD}\n\n"));
        assert!(self.text(link).contains("+OK accepted"));
        link
    }

    /// A client that hears all.
    pub(super) fn listener(&mut self) -> Link {
        let link = self.login();
        self.send(link, "event json ALL\n\n");
        self.text(link);
        link
    }

    pub(super) fn send(&mut self, link: Link, text: &str) {
        self.machine.handle(Input::Bytes(link, text.as_bytes().to_vec()), self.now);
        self.collect();
    }

    /// The body of the answer to an `api`.
    pub(super) fn api(&mut self, link: Link, command: &str) -> String {
        self.text(link);
        self.send(link, &format!("api {command}\n\n"));
        let text = self.text(link);
        text.split_once("\n\n").map_or(String::new(), |(_, body)| body.to_owned())
    }

    /// What was said on a connection since it was asked last.
    pub(super) fn text(&mut self, link: Link) -> String {
        String::from_utf8(self.said.remove(&link).unwrap_or_default()).unwrap()
    }

    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.machine.handle(Input::Tick, self.now);
            self.collect();
        }
        self.now = end;
        self.machine.handle(Input::Tick, self.now);
        self.collect();
    }
}

/// The events in what was said, each as an object.
pub(super) fn events(text: &str) -> Vec<serde_json::Value> {
    let mut found = vec![];
    let mut rest = text;
    while let Some((head, more)) = rest.split_once("\n\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        if head.contains("text/event-json") {
            found.push(serde_json::from_str(&more[..length]).unwrap());
        }
        rest = &more[length..];
    }
    found
}
