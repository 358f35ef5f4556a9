//! A double in virtual time with clients attached.

use crate::double::Double as _;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::asterisk::{Asterisk, Door, Input, Link, Options, Output};

/// One message from the server: its lines as pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said(pub(super) Vec<(String, String)>);

impl Said {
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }

    pub(super) fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(k, _)| k.as_str()).collect()
    }

    /// `Event` or `Response`, with its value.
    pub(super) fn name(&self) -> String {
        format!("{}: {}", self.0[0].0, self.0[0].1)
    }
}

/// Splits text into messages, on CR LF only.
pub(super) fn messages(text: &str) -> Vec<Said> {
    let blocks = text.split("\r\n\r\n").map(|block| block.trim_start_matches("\r\n"));
    blocks
        .filter(|block| !block.trim().is_empty())
        .map(|block| {
            let lines = block.split("\r\n").filter(|line| !line.is_empty());
            Said(
                lines
                    .map(|line| line.split_once(": ").or(line.split_once(':')).unwrap_or((line, "")))
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .collect(),
            )
        })
        .collect()
}

pub(super) struct Lab {
    pub(super) machine: Asterisk,
    pub(super) now: Duration,
    pub(super) inbox: BTreeMap<Link, Vec<u8>>,
    pub(super) ended: BTreeMap<Link, Output>,
    links: u64,
}

impl Lab {
    pub(super) fn new(options: Options) -> Self {
        let machine = Asterisk::new(options, Duration::ZERO);
        Lab { machine, now: Duration::ZERO, inbox: BTreeMap::new(), ended: BTreeMap::new(), links: 0 }
    }

    pub(super) fn open(&mut self, door: Door) -> Link {
        self.links += 1;
        let link = Link(self.links);
        self.machine.handle(Input::Opened(link, door), self.now);
        self.collect();
        link
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Bytes(link, bytes) => {
                    assert!(!self.ended.contains_key(&link), "bytes after the end of {link:?}");
                    self.inbox.entry(link).or_default().extend(bytes);
                }
                Output::Datagram(..) => {}
                Output::Close(link) | Output::Reset(link) => {
                    self.ended.insert(link, output);
                }
            }
        }
    }

    pub(super) fn send(&mut self, link: Link, bytes: impl AsRef<[u8]>) {
        self.machine.handle(Input::Bytes(link, bytes.as_ref().to_vec()), self.now);
        self.collect();
    }

    /// Lets time pass, tick by tick as the machine asks for it.
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

    pub(super) fn raw(&mut self, link: Link) -> Vec<u8> {
        self.inbox.remove(&link).unwrap_or_default()
    }

    pub(super) fn text(&mut self, link: Link) -> String {
        String::from_utf8_lossy(&self.raw(link)).into_owned()
    }

    pub(super) fn heard(&mut self, link: Link) -> Vec<Said> {
        messages(&self.text(link))
    }

    /// A logged-in session.
    pub(super) fn login(&mut self, user: &str, events: &str) -> Link {
        let link = self.open(Door::Ami);
        let secret = if user == "md5user" { "md5" } else { user };
        let login = format!(
            "Action: Login\r\nUsername: {user}\r\nSecret: {secret}-secret\r\nEvents: {events}\r\n\r\n"
        );
        self.send(link, login);
        let text = self.text(link);
        assert!(text.contains("Authentication accepted"), "{text}");
        link
    }

    /// Forgets what was said, sends an action, and hands back everything said at once, the response
    /// first.
    pub(super) fn act(&mut self, link: Link, lines: &str) -> Vec<Said> {
        self.inbox.remove(&link);
        let lines = lines.trim().lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
        self.send(link, format!("{lines}\r\n\r\n"));
        self.heard(link)
    }

    /// Originates one leg into `ifbus,wait` and lets it be answered.
    pub(super) fn leg(&mut self, link: Link, number: &str, id: &str) {
        let said = self.act(link, &originate(number, id));
        assert_eq!(said[0].get("Message"), "Originate successfully queued");
        self.pass(200);
    }

    /// Two legs, joined.
    pub(super) fn pair(&mut self, link: Link) {
        self.leg(link, "1001", "a");
        self.leg(link, "1002", "b");
        let said = self.act(link, "Action: Bridge\nChannel1: a\nChannel2: b\nTone: no");
        assert_eq!(said[0].get("Message"), "Channels have been bridged");
        self.pass(50);
        self.inbox.remove(&link);
    }
}

pub(super) fn originate(number: &str, id: &str) -> String {
    format!(
        "Action: Originate\nActionID: o-{id}\nChannel: PJSIP/{number}\nTimeout: 10000\nAsync: true\n\
         ChannelId: {id}\nContext: ifbus\nExten: wait\nPriority: 1"
    )
}

/// The events of one leg, by name.
pub(super) fn events(said: &[Said]) -> Vec<&str> {
    said.iter().map(|message| message.get("Event")).filter(|name| !name.is_empty()).collect()
}
