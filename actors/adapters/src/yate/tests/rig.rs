//! The machine, a pretended engine that does what it is told, and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Role};
use ifbus_call::{CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Tag, Wait};

use crate::adapter::{
    Adapter, Down, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket,
    Warning,
};
use crate::yate::machine::{ENGINE, SIP};
use crate::yate::{Options, Yate};

pub(crate) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(crate) const A: LegId = LegId(0xa000_0000_0000_0000_0000_0000_0000_000a);
pub(crate) const B: LegId = LegId(0xb000_0000_0000_0000_0000_0000_0000_000b);
pub(crate) const C: LegId = LegId(0xc000_0000_0000_0000_0000_0000_0000_000c);

pub(crate) fn options(more: &[(&str, &str)]) -> Options {
    let base = [("host", "127.0.0.1"), ("dial_e164", "line/acme/{n}"), ("dial_uri", "sip/{uri}")];
    let given: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

pub(crate) fn call(number: u128) -> CallId {
    CallId::new(1, number)
}

pub(crate) fn tag(role: Role, party: &str) -> Tag {
    let address = |text: &str| text.parse().expect("an address");
    Tag { call: call(7), role, party: address(party), from: address("1001"), to: address("1002") }
}

pub(crate) fn dial(leg: LegId, role: Role, to: &str) -> Order {
    let (caller, within) = ("1002".parse().expect("an address"), Duration::from_secs(20));
    Order::Dial(Dial { leg, tag: tag(role, to), caller, toward: None, wait: Wait::Silence, within })
}

/// A message that the machine has sent and that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Message {
    fn value(&self, key: &str) -> Option<String> {
        let field = self.text.split(':').find_map(|field| field.strip_prefix(&format!("{key}=")))?;
        Some(field.to_owned())
    }
}

/// All of it.
pub(crate) struct Rig {
    pub(crate) machine: Yate,
    pub(crate) now: Nanos,
    pub(crate) epoch: Epoch,
    pub(crate) events: Vec<Event>,
    pub(crate) answers: BTreeMap<u64, Outcome>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) ready: Vec<Ready>,
    pub(crate) down: Vec<Down>,
    pub(crate) unknown: u64,
    /// Every line, ids masked.
    pub(crate) sent: Vec<String>,
    pub(crate) closed: Vec<u8>,
    pub(crate) http: VecDeque<(RequestId, HttpRequest)>,
    pub(crate) chunks: BTreeMap<u64, Vec<u8>>,
    /// Messages by these names wait to be answered by hand.
    pub(crate) held: Vec<&'static str>,
    pub(crate) waiting: VecDeque<Message>,
    /// Legs the engine has, and the rest of their status.
    pub(crate) legs: BTreeMap<String, String>,
    /// Channels in rooms: channel, room, leg.
    pub(crate) rooms: Vec<(String, String, String)>,
    /// Files that are not there.
    pub(crate) missing: bool,
    pub(crate) runid: &'static str,
    tickets: u64,
    count: u32,
    split: usize,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(more: &[(&str, &str)]) -> Self {
        Self {
            machine: Yate::new(options(more), INSTANCE, "pbx".parse().expect("a name"), 7),
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
            http: VecDeque::new(),
            chunks: BTreeMap::new(),
            held: Vec::new(),
            waiting: VecDeque::new(),
            legs: BTreeMap::new(),
            rooms: Vec::new(),
            missing: false,
            runid: "1795340303",
            tickets: 0,
            count: 0,
            split: usize::MAX,
        }
    }

    /// Connected and ready.
    pub(crate) fn ready() -> Self {
        let mut rig = Self::new();
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    /// What the engine says comes in pieces of so many bytes.
    pub(crate) fn in_pieces(mut self, size: usize) -> Self {
        self.split = size;
        self
    }

    pub(crate) fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.give(Input::Start(self.epoch));
    }

    pub(crate) fn engine(&self) -> LinkId {
        LinkId { epoch: self.epoch, slot: ENGINE }
    }

    pub(crate) fn give(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        self.settle();
    }

    pub(crate) fn order(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.give(Input::Order(Ticket(self.tickets), order));
        self.tickets
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.give(Input::Tick);
        }
        self.now = until;
        self.give(Input::Tick);
    }

    /// The engine says something.
    pub(crate) fn says(&mut self, line: &str) {
        let bytes = format!("{line}\n").into_bytes();
        let link = self.engine();
        for piece in bytes.chunks(self.split.max(1)) {
            self.machine.handle(Input::Bytes(link, piece), self.now);
        }
        self.settle();
    }

    /// An event about a leg of ours.
    pub(crate) fn event(&mut self, name: &str, leg: LegId, native: &str, more: &str) {
        let more = if more.is_empty() { String::new() } else { format!(":{more}") };
        self.says(&format!("%%<message::false:{name}::ifbus_leg={INSTANCE}-{leg}:id={native}{more}"));
    }

    /// Answers the oldest message that waits.
    pub(crate) fn reply(&mut self, processed: bool, name: &str, rest: &str) -> Message {
        let message = self.waiting.pop_front().expect("a message waits");
        let rest = if rest.is_empty() { String::new() } else { format!(":{rest}") };
        self.says(&format!("%%<message:{}:{processed}:{name}:{rest}", message.id));
        message
    }

    fn settle(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Open(link, _) => self.machine.handle(Input::Opened(link), self.now),
                Output::Close(link) => self.closed.push(link.slot),
                Output::Send(link, bytes) if link.slot == ENGINE => self.heard(&bytes),
                Output::Send(link, _) => assert_eq!(link.slot, SIP),
                Output::Http(id, request) => self.http.push_back((id, request)),
                Output::Event(event) => self.events.push(event),
                Output::Chunk(ticket, bytes) => self.chunks.entry(ticket.0).or_default().extend(bytes),
                Output::Answer(ticket, outcome) => {
                    assert!(self.answers.insert(ticket.0, outcome).is_none(), "{ticket:?} answered twice");
                }
                Output::Ready(ready) => self.ready.push(ready),
                Output::Down(down) => self.down.push(down),
                Output::Warning(warning) => self.warnings.push(warning),
                Output::Unknown(frames) => self.unknown += frames,
                Output::Sip(_) | Output::Persist(..) | Output::Forget(_) | Output::Listen(..) => {
                    panic!("no SIP of its own")
                }
            }
        }
    }

    /// What the machine has said, and what an engine that obliges answers.
    fn heard(&mut self, bytes: &[u8]) {
        let text = String::from_utf8(bytes.to_vec()).expect("we write text");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("%%>message:") {
                let (id, rest) = rest.split_once(':').expect("an id");
                let name = rest.split(':').nth(1).expect("a name").to_owned();
                self.sent.push(masked(rest));
                let message = Message { id: id.to_owned(), name, text: rest.to_owned() };
                if self.held.contains(&&*message.name) {
                    self.waiting.push_back(message);
                } else {
                    self.oblige(&message);
                }
            } else if let Some(rest) = line.strip_prefix("%%>setlocal:") {
                let (name, value) = rest.split_once(':').expect("a value");
                let value = match name {
                    "engine.version" => "6.4.1",
                    "engine.runid" => self.runid,
                    loaded if loaded.starts_with("loaded.") => "true",
                    _ => value,
                };
                self.answer(&format!("%%<setlocal:{name}:{value}:true"));
            } else if let Some(name) = line.strip_prefix("%%>watch:") {
                self.answer(&format!("%%<watch:{name}:true"));
            } else if let Some(rest) = line.strip_prefix("%%>install:") {
                self.sent.push(line.to_owned());
                let mut parts = rest.split(':');
                let (priority, name) = (parts.next().expect("a priority"), parts.next().expect("a name"));
                self.answer(&format!("%%<install:{priority}:{name}:true"));
            } else {
                self.sent.push(line.to_owned());
                if let Some(name) = line.strip_prefix("%%>uninstall:") {
                    self.answer(&format!("%%<uninstall:5:{name}:true"));
                }
            }
        }
    }

    fn answer(&mut self, line: &str) {
        let bytes = format!("{line}\n").into_bytes();
        let link = self.engine();
        for piece in bytes.chunks(self.split.max(1)) {
            self.machine.handle(Input::Bytes(link, piece), self.now);
        }
    }

    fn oblige(&mut self, message: &Message) {
        let id = &message.id;
        self.count += 1;
        let number = self.count;
        let inner = message.value("message").unwrap_or_else(|| message.name.clone());
        let of = message.value("id").unwrap_or_default();
        let rest = match inner.as_str() {
            "engine.status" => return self.status(message),
            "call.execute" if message.name == "call.execute" => {
                let native = format!("sip/{number}");
                self.legs.insert(native.clone(), "status=outgoing:answered=false".to_owned());
                format!(":id=dumb/{number}:peerid={native}:targetid={native}")
            }
            "call.execute" => {
                let callto = message.value("callto").unwrap_or_default();
                let driver = callto.split('/').next().unwrap_or_default();
                self.set_peer(&of, &format!("{driver}/{number}"));
                format!(":id={of}:peerid={driver}/{number}:room={callto}")
            }
            "call.conference" => format!(":id={of}:peerid=conf/{number}:users=2"),
            "chan.connect" => {
                let to = message.value("targetid").unwrap_or_default();
                self.set_peer(&of, &to);
                self.set_peer(&to, &of);
                String::new()
            }
            "chan.attach" if self.missing && message.text.contains("wave/play") => {
                return self.answer(&format!("%%<message:{id}:false:chan.attach::id={of}"));
            }
            "chan.control" => {
                let mute = message.text.contains(":mute=");
                return self.answer(&format!("%%<message:{id}:{mute}:chan.control::handlers=x"));
            }
            _ => format!(":id={of}"),
        };
        self.answer(&format!("%%<message:{id}:true:{inner}:{rest}"));
    }

    fn set_peer(&mut self, native: &str, peer: &str) {
        let status = self.legs.entry(native.to_owned()).or_default();
        let kept: Vec<&str> = status.split(':').filter(|field| !field.starts_with("peerid=")).collect();
        *status = format!("{}:peerid={peer}", kept.join(":"));
    }

    fn status(&mut self, message: &Message) {
        let id = &message.id;
        let head = |name: &str, items: Vec<String>| {
            format!("name={name},format=Status|Address|Peer;chans={};{}%M%J", items.len(), items.join(","))
        };
        let line = match message.value("module").as_deref() {
            Some("sip") => {
                let items = self.legs.keys().map(|native| format!("{native}=answered|x|")).collect();
                format!("%%<message:{id}:false:engine.status:{}", head("sip", items))
            }
            Some("cdrbuild") => {
                let items =
                    self.legs.keys().map(|native| format!("{native}=answered|1005|1006|b|42")).collect();
                format!("%%<message:{id}:false:engine.status:{}", head("cdrbuild", items))
            }
            Some("conf") => {
                let item = |(channel, room, leg): &(String, String, String)| {
                    format!("{channel}=outgoing|{room}|{leg}")
                };
                format!(
                    "%%<message:{id}:true:engine.status:{}",
                    head("conf", self.rooms.iter().map(item).collect())
                )
            }
            Some(native) if self.legs.contains_key(native) => {
                format!("%%<message:{id}:true:engine.status:x:id={native}:{}", self.legs[native])
            }
            Some("engine") => format!("%%<message:{id}:false:engine.status:name=engine,version=6.4.1%M%J"),
            Some(_) => format!("%%<message:{id}:false:engine.status:"),
            None => format!(
                "%%<message:{id}:false:engine.status:name=engine,acceptcalls=accept%M%Jname=sip;total=506,chans=3%M%J"
            ),
        };
        self.answer(&line);
    }

    // ---- shorter -----------------------------------------------------------------------------------------------------

    /// A leg of ours that was dialled and answered; gives its native name.
    pub(crate) fn up(&mut self, leg: LegId, role: Role, to: &str) -> String {
        let ticket = self.order(dial(leg, role, to));
        assert_eq!(self.answers.get(&ticket), Some(&Ok(Done::Proven)));
        let native = self.machine.channel(leg).expect("it has a name").to_string();
        self.set_status(&native, leg, "status=answered:answered=true");
        self.event("call.answered", leg, &native, "status=answered");
        native
    }

    pub(crate) fn set_status(&mut self, native: &str, leg: LegId, status: &str) {
        let text = format!(
            "ifbus_leg={INSTANCE}-{leg}:ifbus_call=1|{}|a|1001:ifbus_ends=1|1001|1002:{status}",
            call(7)
        );
        self.legs.insert(native.to_owned(), text);
    }

    /// Two legs of ours that talk.
    pub(crate) fn talk(&mut self) -> (String, String) {
        let a = self.up(A, Role::A, "1001");
        let b = self.up(B, Role::B, "1002");
        let ticket = self.order(Order::Join { a: A, b: B });
        assert_eq!(self.answers.get(&ticket), Some(&Ok(Done::Proven)));
        (a, b)
    }

    pub(crate) fn proven(&self, ticket: u64) {
        assert_eq!(self.answers.get(&ticket), Some(&Ok(Done::Proven)), "{:#?}", self.sent);
    }

    /// What was said since then.
    pub(crate) fn since(&self, mark: usize) -> Vec<&str> {
        self.sent[mark..].iter().map(String::as_str).collect()
    }

    /// The oldest request for a file is answered whole.
    pub(crate) fn file(&mut self, status: u16, body: &[u8]) -> String {
        let (id, request) = self.http.pop_front().expect("a request waits");
        if request.streamed && status == 200 {
            self.give(Input::HttpPart(id, body));
        }
        let body = if request.streamed { Vec::new() } else { body.to_vec() };
        self.give(Input::Http(id, Ok(HttpReply { status, body })));
        request.path
    }

    pub(crate) fn close(&mut self, error: LinkError) {
        let link = self.engine();
        self.give(Input::Closed(link, error));
    }
}

/// The line without its time, and with short names for what is random or ours.
fn masked(rest: &str) -> String {
    let rest = rest.strip_prefix("0:").expect("now");
    let mut text = rest.to_owned();
    for (leg, short) in [(A, "A"), (B, "B"), (C, "C")] {
        text = text.replace(&format!("{INSTANCE}-{leg}"), short);
    }
    if let Some(at) = text.find("conf/ifbp-") {
        text.replace_range(at + 10..at + 42, "*");
    }
    text
}
