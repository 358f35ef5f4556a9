//! The machine, a pretended server around it, and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::{Dial, Tag, Wait};
use ifbus_call::{Address, CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Role, Seen};

use crate::adapter::{
    Adapter, Down, Endpoint, HttpReply, HttpRequest, Input, LinkError, LinkId, Listening, Output, Ready,
    Ticket, Warning,
};
use crate::flexisip::{Flexisip, Options};
use crate::sip::{Dialog, Reply, SipCommand, SipEvent};
use crate::wire_format::http2::tests::{beginning, frame, packed};

pub(super) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(super) const A: LegId = LegId(0xa);
pub(super) const B: LegId = LegId(0xb);
pub(super) const KEY: &str = "LABKEY123";
/// Everything a Flexisip can have.
pub(super) const ALL: &[(&str, &str)] = &[
    ("events", "127.0.0.1:8443"),
    ("events_secret", KEY),
    ("api", "127.0.0.1"),
    ("api_tls", "off"),
    ("secret", "0123456789012345678901234567890123456789"),
];

pub(super) fn options(more: &[(&str, &str)]) -> Options {
    Options::new(&given(more)).expect("the settings of the tests are sound")
}

pub(super) fn given(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("host", "127.0.0.1")];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(super) struct Rig {
    pub(super) machine: Flexisip,
    pub(super) now: Nanos,
    pub(super) epoch: u64,
    /// SIP is answered.
    pub(super) sip_answers: bool,
    /// How it refuses OPTIONS to somebody whom it does not know: status line and headers; silence if absent.
    pub(super) refuses: Option<&'static str>,
    /// What was asked there.
    pub(super) questions: Vec<String>,
    pub(super) opened: Vec<Endpoint>,
    /// What the account manager answers, by path.
    pub(super) api: BTreeMap<&'static str, (u16, &'static str)>,
    pub(super) requests: Vec<HttpRequest>,
    pub(super) sip: Vec<SipCommand>,
    pub(super) listening: Vec<(LinkId, Listening)>,
    pub(super) closed: Vec<LinkId>,
    pub(super) sent: Vec<(LinkId, Vec<u8>)>,
    pub(super) ready: Vec<Ready>,
    pub(super) down: Vec<Down>,
    pub(super) warnings: Vec<Warning>,
    pub(super) events: Vec<Event>,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) persisted: Vec<Dialog>,
    pub(super) unknown: u64,
    tickets: u64,
    stream: u32,
}

impl Rig {
    pub(super) fn with(more: &[(&str, &str)]) -> Self {
        let name = "proxy1".parse().expect("a name");
        Self {
            machine: Flexisip::new(options(more), INSTANCE, name, 7),
            now: Nanos::ZERO,
            epoch: 0,
            sip_answers: true,
            refuses: Some("404 Not Found\r\nServer: Flexisip/2.3.3 (sofia-sip-nta/2.0)"),
            questions: Vec::new(),
            opened: Vec::new(),
            api: BTreeMap::from([("/api/ping", (200, "pong"))]),
            requests: Vec::new(),
            sip: Vec::new(),
            listening: Vec::new(),
            closed: Vec::new(),
            sent: Vec::new(),
            ready: Vec::new(),
            down: Vec::new(),
            warnings: Vec::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            persisted: Vec::new(),
            unknown: 0,
            tickets: 0,
            stream: 1,
        }
    }

    pub(super) fn ready(more: &[(&str, &str)]) -> Self {
        let mut rig = Self::with(more);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?} {:?}", rig.down, rig.warnings);
        rig
    }

    pub(super) fn start(&mut self) {
        self.epoch += 1;
        self.input(Input::Start(Epoch(self.epoch)));
    }

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: Epoch(self.epoch), slot }
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        while let Some(output) = self.machine.poll() {
            self.take(output);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Listen(link, listening) => {
                self.listening.push((link, listening));
                self.machine.handle(Input::Opened(link), self.now);
            }
            Output::Close(link) if link.slot == 101 => {}
            Output::Close(link) => self.closed.push(link),
            Output::Send(link, bytes) if link.slot == 101 => self.asked(link, &bytes),
            Output::Send(link, bytes) => self.sent.push((link, bytes)),
            Output::Http(id, request) => {
                let told = self.api.get(request.path.as_str()).copied();
                let reply = match told {
                    Some((status, body)) => Ok(HttpReply { status, body: body.into() }),
                    None => Err(LinkError::Refused),
                };
                self.requests.push(request);
                self.machine.handle(Input::Http(id, reply), self.now);
            }
            Output::Sip(command) => self.sip_asked(command),
            Output::Persist(number, dialog) => {
                self.persisted.push(*dialog);
                self.machine.handle(Input::Persisted(number, true), self.now);
            }
            Output::Answer(ticket, outcome) => {
                assert!(self.answers.insert(ticket.0, outcome).is_none(), "{ticket:?} was answered twice");
            }
            Output::Ready(ready) => self.ready.push(ready),
            Output::Down(down) => self.down.push(down),
            Output::Warning(warning) => self.warnings.push(warning),
            Output::Event(event) => self.events.push(event),
            Output::Unknown(count) => self.unknown += count,
            Output::Open(link, endpoint) => {
                self.opened.push(endpoint);
                self.machine.handle(Input::Opened(link), self.now);
            }
            Output::Chunk(..) | Output::Forget(_) => {}
        }
    }

    fn asked(&mut self, link: LinkId, bytes: &[u8]) {
        let question = String::from_utf8(bytes.to_vec()).expect("a request is text");
        if let Some(words) = self.refuses {
            let call_id = question.lines().find(|line| line.starts_with("Call-ID: ")).expect("it has one");
            let answer = format!("SIP/2.0 {words}\r\n{call_id}\r\nContent-Length: 0\r\n\r\n");
            self.machine.handle(Input::Bytes(link, answer.as_bytes()), self.now);
        }
        self.questions.push(question);
    }

    fn sip_asked(&mut self, command: SipCommand) {
        self.sip.push(command.clone());
        let event = match command {
            SipCommand::Bind => SipEvent::Opened { contact: "127.0.0.1:5070".to_owned() },
            SipCommand::Options { leg, number, .. } => {
                let reply = if self.sip_answers { Reply::of(200) } else { Reply::silence() };
                SipEvent::Replied { leg, number, reply }
            }
            _ => return,
        };
        self.machine.handle(Input::Sip(event), self.now);
    }

    pub(super) fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = until;
    }

    pub(super) fn give(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.input(Input::Order(Ticket(self.tickets), order));
        self.tickets
    }

    pub(super) fn listed(&mut self) -> Vec<Seen> {
        let ticket = self.give(Order::List);
        match &self.answers[&ticket] {
            Ok(ifbus_call::order::Done::Listed(seen)) => seen.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// How many legs it says that the server carries.
    pub(super) fn load(&mut self) -> Option<u32> {
        let ticket = self.give(Order::Load);
        match &self.answers[&ticket] {
            Ok(ifbus_call::order::Done::Loaded(load)) => load.legs,
            other => panic!("{other:?}"),
        }
    }

    /// Two calls of ours that talk.
    pub(super) fn talk(&mut self) {
        for (leg, number) in [(A, "1001"), (B, "1002")] {
            self.give(dial(leg, number));
            let sdp = phone(leg);
            self.input(Input::Sip(SipEvent::Up { leg, sdp, session: None }));
        }
        let ticket = self.give(Order::Join { a: A, b: B });
        self.answer_offers();
        assert!(self.answers[&ticket].is_ok(), "{:?}", self.answers[&ticket]);
    }

    /// Every phone takes what it was offered last.
    pub(super) fn answer_offers(&mut self) -> usize {
        let offers: Vec<_> = std::mem::take(&mut self.sip);
        let mut taken = 0;
        for offer in offers {
            if let SipCommand::Reinvite { leg, number, .. } = offer {
                taken += 1;
                let reply = Reply { sdp: Some(phone(leg)), ..Reply::of(200) };
                self.input(Input::Sip(SipEvent::Replied { leg: Some(leg), number, reply }));
            }
        }
        taken
    }

    // ---- pushes -----------------------------------------------------------------------------------------------------

    /// The server connects.
    pub(super) fn connect(&mut self, slot: u8) {
        let (listener, link) = (self.link(0), self.link(slot));
        let from = "127.0.0.1:40000".parse().expect("an address");
        self.input(Input::Accepted { listener, link, from });
        self.stream = 1;
        self.input(Input::Bytes(link, &beginning()));
    }

    pub(super) fn push(&mut self, slot: u8, method: &str, path: &str, body: &str) {
        self.push_as(slot, KEY, method, path, body);
    }

    pub(super) fn push_as(&mut self, slot: u8, key: &str, method: &str, path: &str, body: &str) {
        let fields = packed(&[(":method", method), (":path", path), ("x-api-key", key)]);
        let bytes = [frame(1, 4, self.stream, &fields), frame(0, 1, self.stream, body.as_bytes())].concat();
        self.stream += 2;
        self.input(Input::Bytes(self.link(slot), &bytes));
    }
}

/// What the phone of a leg says of itself.
fn phone(leg: LegId) -> String {
    let port = 4000 + 2 * leg.0;
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

pub(super) fn dial(leg: LegId, number: &str) -> Order {
    let address: Address = number.parse().expect("an address");
    let tag = Tag {
        call: CallId::new(1, 1),
        role: Role::A,
        party: address.clone(),
        from: address.clone(),
        to: address.clone(),
    };
    let within = Duration::from_secs(30);
    Order::Dial(Dial { leg, tag, caller: address, toward: None, wait: Wait::Silence, within })
}
