//! The machine, the pretended server and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Role};
use ifbus_call::{CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Tag, Wait};

use super::pretend::Pretend;
use crate::adapter::{
    Adapter, Down, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket,
};
use crate::freeswitch::machine::SIP;
use crate::freeswitch::{FreeSwitch, Options};
use crate::wire_format::esl::Uuid;

pub(super) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(super) const A: LegId = LegId(0xa000_0000_0000_0000_0000_0000_0000_000a);
pub(super) const B: LegId = LegId(0xb000_0000_0000_0000_0000_0000_0000_000b);
pub(super) const C: LegId = LegId(0xc000_0000_0000_0000_0000_0000_0000_000c);

/// Settings that reach every form of address.
pub(super) fn options(more: &[(&str, &str)]) -> Options {
    let base = [
        ("host", "127.0.0.1"),
        ("secret", "ifbus-secret"),
        ("dial_e164", "sofia/gateway/trunk/{n}"),
        ("dial_uri", "sofia/lab/{uri}"),
    ];
    let given: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

pub(super) fn native(leg: LegId) -> String {
    Uuid(leg.0).to_string()
}

pub(super) fn dial(leg: LegId, to: &str) -> Order {
    let Order::Dial(dial) = dial_hearing(leg, to, Wait::Silence) else { unreachable!("it is a dial") };
    Order::Dial(dial)
}

pub(super) fn dial_hearing(leg: LegId, to: &str, wait: Wait) -> Order {
    let address = |text: &str| text.parse().expect("an address");
    let tag = Tag {
        call: CallId::new(1, 7),
        role: Role::A,
        party: address(to),
        from: address("1001"),
        to: address(to),
    };
    let within = Duration::from_secs(20);
    Order::Dial(Dial { leg, tag, caller: address("1002"), toward: None, wait, within })
}

/// All of it.
pub(super) struct Rig {
    pub(super) machine: FreeSwitch,
    pub(super) server: Pretend,
    pub(super) now: Nanos,
    pub(super) epoch: Epoch,
    pub(super) events: Vec<Event>,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) ready: Vec<Ready>,
    pub(super) down: Vec<Down>,
    pub(super) unknown: u64,
    /// Every command that was sent.
    pub(super) sent: Vec<(u8, String)>,
    pub(super) datagrams: usize,
    pub(super) closed: Vec<u8>,
    /// Links that do not open.
    pub(super) dead: Vec<u8>,
    pub(super) asked: VecDeque<(RequestId, HttpRequest)>,
    pub(super) chunks: BTreeMap<u64, Vec<u8>>,
    tickets: u64,
}

impl Rig {
    pub(super) fn with(more: &[(&str, &str)]) -> Self {
        Self {
            machine: FreeSwitch::new(options(more), INSTANCE, "pbx".parse().expect("a name"), 7),
            server: Pretend::new(),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            events: Vec::new(),
            answers: BTreeMap::new(),
            ready: Vec::new(),
            down: Vec::new(),
            unknown: 0,
            sent: Vec::new(),
            datagrams: 0,
            closed: Vec::new(),
            dead: Vec::new(),
            asked: VecDeque::new(),
            chunks: BTreeMap::new(),
            tickets: 0,
        }
    }

    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// Connected and ready.
    pub(super) fn ready() -> Self {
        Self::new().up()
    }

    /// This one, connected and ready.
    pub(super) fn up(mut self) -> Self {
        self.start();
        self.advance(Duration::from_secs(1));
        assert_eq!(self.ready.len(), 1, "{:?}", self.down);
        self.sent.clear();
        self
    }

    /// Ready, with A and B answered and joined.
    pub(super) fn joined() -> Self {
        let mut rig = Self::ready();
        for leg in [A, B] {
            rig.proven(dial(leg, "1001"));
        }
        rig.proven(Order::Join { a: A, b: B });
        rig.sent.clear();
        rig.events.clear();
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
            Output::Send(link, _) if link.slot == SIP => self.datagrams += 1,
            Output::Send(link, bytes) => {
                let text = String::from_utf8(bytes).expect("commands are text");
                assert_eq!(text.find("\n\n"), Some(text.len() - 2), "one whole command: {text:?}");
                self.server.take(link.slot, &text);
                self.sent.push((link.slot, text));
            }
            Output::Http(id, request) => self.asked.push_back((id, request)),
            Output::Event(event) => self.events.push(event),
            Output::Answer(ticket, outcome) => {
                let before = self.answers.insert(ticket.0, outcome);
                assert_eq!(before, None, "{ticket:?} was answered twice");
            }
            Output::Ready(ready) => self.ready.push(ready),
            Output::Down(down) => self.down.push(down),
            Output::Warning(warning) => panic!("nothing warns here: {warning:?}"),
            Output::Unknown(frames) => self.unknown += frames,
            Output::Sip(_) | Output::Persist(..) | Output::Forget(_) | Output::Listen(..) => {
                panic!("no SIP of its own")
            }
            Output::Chunk(ticket, bytes) => {
                assert!(!self.answers.contains_key(&ticket.0), "a chunk after the answer");
                self.chunks.entry(ticket.0).or_default().extend(bytes);
            }
        }
    }

    fn opened(&mut self, link: LinkId) {
        if self.dead.contains(&link.slot) {
            return self.machine.handle(Input::Closed(link, LinkError::Refused), self.now);
        }
        self.machine.handle(Input::Opened(link), self.now);
        if link.slot != SIP {
            self.server.greet(link.slot);
        }
    }

    /// Answers the oldest request for a file.
    pub(super) fn serve(&mut self, result: Result<u16, LinkError>, body: &[u8]) {
        let (id, _) = self.asked.pop_front().expect("a file was asked for");
        for part in body.chunks(1000) {
            self.input(Input::HttpPart(id, part));
        }
        self.input(Input::Http(id, result.map(|status| HttpReply { status, body: Vec::new() })));
    }

    /// The end that was told of a leg, if it was told once.
    pub(super) fn end(&self, leg: LegId) -> Option<&Event> {
        let ends = |event: &&Event| matches!(event, Event::Ended { leg: ended, .. } | Event::Vanished(ended) if *ended == leg);
        let mut found = self.events.iter().filter(ends);
        let first = found.next();
        assert!(found.next().is_none(), "{leg} ended twice");
        first
    }
}

impl Rig {
    /// Gives an order that the server never answers.
    pub(super) fn give_muted(&mut self, order: Order) -> u64 {
        self.server.mute = vec!["api", "bgapi"];
        self.give(order)
    }

    pub(super) fn machine_deadline(&self) -> Option<Nanos> {
        self.machine.deadline()
    }
}
