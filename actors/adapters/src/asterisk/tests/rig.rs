//! The machine, the pretended server and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Role};
use ifbus_call::{CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Tag, Wait};

use super::pretend::Pretend;
use crate::adapter::{
    Adapter, Down, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket,
    Warning,
};
use crate::asterisk::machine::{COMMANDS, SIP, STREAM, TONES, WATCH};
use crate::asterisk::{Asterisk, Options};

pub(super) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(super) const A: LegId = LegId(0xa000_0000_0000_0000_0000_0000_0000_000a);
pub(super) const B: LegId = LegId(0xb000_0000_0000_0000_0000_0000_0000_000b);
pub(super) const C: LegId = LegId(0xc000_0000_0000_0000_0000_0000_0000_000c);

/// Settings that reach every form of address.
pub(super) fn options(more: &[(&str, &str)]) -> Options {
    let base = [
        ("host", "127.0.0.1"),
        ("secret", "ifbus-secret"),
        ("dial_e164", "PJSIP/{n}@trunk"),
        ("dial_uri", "PJSIP/trunk/{uri}"),
    ];
    let given: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

pub(super) fn native(leg: LegId) -> String {
    format!("ib-{INSTANCE}-{leg}")
}

pub(super) fn dial(leg: LegId, to: &str) -> Order {
    let address = |text: &str| text.parse().expect("an address");
    let tag = Tag {
        call: CallId::new(1, 7),
        role: Role::A,
        party: address(to),
        from: address("1001"),
        to: address(to),
    };
    let within = Duration::from_secs(20);
    Order::Dial(Dial { leg, tag, caller: address("1002"), toward: None, wait: Wait::Silence, within })
}

/// All of it.
pub(super) struct Rig {
    pub(super) machine: Asterisk,
    pub(super) server: Pretend,
    pub(super) now: Nanos,
    pub(super) epoch: Epoch,
    pub(super) events: Vec<Event>,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) warnings: Vec<Warning>,
    pub(super) ready: Vec<Ready>,
    pub(super) down: Vec<Down>,
    pub(super) unknown: u64,
    /// Every action that was sent, as text.
    pub(super) sent: Vec<(u8, String)>,
    pub(super) closed: Vec<u8>,
    /// Links that do not open.
    pub(super) dead: Vec<u8>,
    /// Why not.
    pub(super) why: LinkError,
    /// What HTTP requests are answered with.
    pub(super) status: u16,
    /// What the next ones are answered with, before that.
    pub(super) replies: VecDeque<u16>,
    /// Whether events of ours come back.
    pub(super) echo: bool,
    pub(super) tickets: u64,
    /// Every request that asks for something else than an event of ours or the filter, and still waits.
    pub(super) asked: VecDeque<(RequestId, HttpRequest)>,
    /// What was handed on of files.
    pub(super) chunks: BTreeMap<u64, Vec<u8>>,
}

impl Rig {
    pub(super) fn new(ari: bool) -> Self {
        Self::with(ari, if ari { &[] } else { &[("ari_port", "0")] })
    }

    /// With settings of its own.
    pub(super) fn with(ari: bool, more: &[(&str, &str)]) -> Self {
        let machine = Asterisk::new(options(more), INSTANCE, "pbx".parse().expect("a name"), 7);
        Self {
            machine,
            server: Pretend::new(ari),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            events: Vec::new(),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            ready: Vec::new(),
            down: Vec::new(),
            unknown: 0,
            sent: Vec::new(),
            closed: Vec::new(),
            dead: Vec::new(),
            why: LinkError::Refused,
            status: 200,
            replies: VecDeque::new(),
            echo: true,
            tickets: 0,
            asked: VecDeque::new(),
            chunks: BTreeMap::new(),
        }
    }

    /// Connected and ready.
    pub(super) fn ready(ari: bool) -> Self {
        let mut rig = Self::new(ari);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    /// Ready, with A and B answered and joined.
    pub(super) fn joined(ari: bool) -> Self {
        let mut rig = Self::ready(ari);
        for leg in [A, B] {
            rig.proven(dial(leg, "1001"));
        }
        rig.proven(Order::Join { a: A, b: B });
        rig
    }

    pub(super) fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.input(Input::Start(self.epoch));
    }

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        self.pump();
    }

    /// Bytes of the server.
    pub(super) fn feed(&mut self, slot: u8, bytes: &[u8]) {
        self.input(Input::Bytes(self.link(slot), bytes));
    }

    pub(super) fn close(&mut self, slot: u8, error: LinkError) {
        self.input(Input::Closed(self.link(slot), error));
    }

    pub(super) fn give(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.input(Input::Order(Ticket(self.tickets), order));
        self.tickets
    }

    /// Gives an order and returns what came of it, moving the clock as far as needed.
    pub(super) fn outcome(&mut self, order: Order) -> Outcome {
        let ticket = self.give(order);
        for _ in 0..1000 {
            match self.answers.get(&ticket) {
                Some(outcome) => return outcome.clone(),
                None => assert!(self.tick(), "nobody will ever answer ticket {ticket}"),
            }
        }
        panic!("ticket {ticket} was not answered");
    }

    pub(super) fn proven(&mut self, order: Order) {
        let shown = format!("{order:?}");
        assert_eq!(self.outcome(order), Ok(Done::Proven), "{shown}");
    }

    /// Moves the clock to the next deadline.
    pub(super) fn tick(&mut self) -> bool {
        let Some(at) = self.machine.deadline() else { return false };
        self.now = self.now.max(at);
        self.input(Input::Tick);
        true
    }

    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while self.machine.deadline().is_some_and(|at| at <= end) {
            self.tick();
        }
        self.now = end;
    }

    /// The last action of this name, and its id.
    pub(super) fn last(&self, name: &str) -> Option<(u8, String)> {
        let head = format!("Action: {name}\r\n");
        let (slot, text) = self.sent.iter().rev().find(|(_, text)| text.starts_with(&head))?;
        Some((*slot, super::transcript::value(text.as_bytes(), "ActionID")?))
    }

    pub(super) fn count(&self, name: &str) -> usize {
        let head = format!("Action: {name}\r\n");
        self.sent.iter().filter(|(_, text)| text.starts_with(&head)).count()
    }

    /// Carries out what the machine wants until it is quiet.
    pub(super) fn pump(&mut self) {
        loop {
            while let Some(output) = self.machine.poll() {
                self.output(output);
            }
            let Some((slot, bytes)) = self.server.out.pop_front() else { return };
            self.machine.handle(Input::Bytes(LinkId { epoch: self.epoch, slot }, &bytes), self.now);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Open(link, _) => self.opened(link),
            Output::Close(link) => self.closed.push(link.slot),
            Output::Send(link, bytes) if link.slot == SIP => drop((link, bytes)),
            Output::Send(link, bytes) => {
                self.sent.push((link.slot, String::from_utf8(bytes.clone()).expect("actions are text")));
                self.server.take(link.slot, &bytes);
            }
            Output::Http(id, request) if request.streamed => self.asked.push_back((id, request)),
            Output::Http(id, request) => self.http(id, &request.path),
            Output::Event(event) => self.events.push(event),
            Output::Answer(ticket, outcome) => {
                let before = self.answers.insert(ticket.0, outcome);
                assert_eq!(before, None, "{ticket:?} was answered twice");
            }
            Output::Ready(ready) => self.ready.push(ready),
            Output::Down(down) => self.down.push(down),
            Output::Warning(warning) => self.warnings.push(warning),
            Output::Unknown(frames) => self.unknown += frames,
            Output::Listen(..) | Output::Sip(_) | Output::Persist(..) | Output::Forget(_) => {
                panic!("this kind has no SIP agent")
            }
            Output::Chunk(ticket, bytes) => {
                assert!(!self.answers.contains_key(&ticket.0), "a chunk after the answer");
                assert!(!bytes.is_empty(), "a chunk of nothing");
                self.chunks.entry(ticket.0).or_default().extend(bytes);
            }
        }
    }

    fn opened(&mut self, link: LinkId) {
        if self.dead.contains(&link.slot) {
            return self.machine.handle(Input::Closed(link, self.why.clone()), self.now);
        }
        self.machine.handle(Input::Opened(link), self.now);
        if matches!(link.slot, COMMANDS | WATCH | TONES) {
            self.server.greet(link.slot);
        }
    }

    /// Answers the oldest request for a file, in pieces of this size.
    pub(super) fn serve(&mut self, body: &[u8], piece: usize) {
        let (id, _) = self.asked.pop_front().expect("a file was asked for");
        for part in body.chunks(piece) {
            self.input(Input::HttpPart(id, part));
        }
        self.input(Input::Http(id, Ok(HttpReply { status: 200, body: Vec::new() })));
    }

    /// Answers the oldest request for a file without a byte of it.
    pub(super) fn deny(&mut self, result: Result<u16, LinkError>) {
        let (id, _) = self.asked.pop_front().expect("a file was asked for");
        self.input(Input::Http(id, result.map(|status| HttpReply { status, body: Vec::new() })));
    }

    fn http(&mut self, id: RequestId, path: &str) {
        let marker = path.strip_prefix("/ari/events/user/").and_then(|rest| rest.split('?').next());
        let status = self.replies.pop_front().unwrap_or(self.status);
        if let Some(marker) = marker.filter(|_| self.echo && status < 300) {
            let json = format!("{{\"type\":\"ChannelUserevent\",\"eventname\":\"{marker}\"}}");
            self.server.out.push_back((STREAM, json.into_bytes()));
        }
        let reply = HttpReply { status, body: Vec::new() };
        self.machine.handle(Input::Http(id, Ok(reply)), self.now);
    }

    /// The end that was told of a leg.
    pub(super) fn end(&self, leg: LegId) -> Option<&Event> {
        let ends = |event: &&Event| matches!(event, Event::Ended { leg: ended, .. } | Event::Vanished(ended) if *ended == leg);
        let mut found = self.events.iter().filter(ends);
        let first = found.next();
        assert!(found.next().is_none(), "{leg} ended twice");
        first
    }
}
