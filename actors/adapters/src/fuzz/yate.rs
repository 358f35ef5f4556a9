//! An engine that does whatever the bytes say, and a driver that checks what the adapter of Yate promises.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::{Dial, Digits, Direction, ParkReason, Role};
use ifbus_call::{
    CallId, Cause, ConferenceId, Epoch, InstanceId, LegId, Nanos, Order, RecordingId, Tag, Wait,
};

use crate::adapter::{Adapter, HttpReply, Input, LinkError, LinkId, Output, RequestId, Ticket};
use crate::wire_format::extmodule::{Decoder, Line};
use crate::yate::{Options, Yate};

const INSTANCE: InstanceId = InstanceId(0x0123_4567_89ab_cdef);
const CHANNELS: [&str; 8] = ["sip/1", "sip/2", "sip/3", "sip/4", "conf/1", "wave/1", "dumb/1", ""];
const EVENTS: [&str; 8] = [
    "chan.startup",
    "call.ringing",
    "call.answered",
    "chan.connected",
    "chan.disconnected",
    "chan.hangup",
    "chan.dtmf",
    "call.update",
];

/// Lines of an engine: no bytes panic, a split changes nothing, nothing is delivered after an error.
pub fn extmodule(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else { return };
    for greeting in [&b""[..], b"%%<watch:a:true\n"] {
        let bytes = [greeting, rest].concat();
        let whole = lines([&bytes[..]]);
        let (head, tail) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        assert_eq!(whole, lines([head, tail]), "a split changed the lines");
        assert_eq!(whole, lines(bytes.chunks(1)), "single bytes changed the lines");
    }
}

fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    let mut broken = false;
    for piece in pieces {
        decoder.push(piece);
        while let Some(line) = decoder.next() {
            assert!(!broken, "a line after an error");
            broken = line.is_err();
            if let Ok(
                Line::Reply { params, .. } | Line::Watched { params, .. } | Line::Asked { params, .. },
            ) = line
            {
                found.extend(params.iter().map(|(key, value)| format!("{key}={value}")));
            }
            found.push(format!("{line:?}"));
        }
    }
    found
}

/// Yate: every ticket is answered exactly once whatever the engine says and whenever links break; nothing follows the
/// end of a life; what is sent is always whole lines, and never a drop without a channel.
pub fn yate_session(data: &[u8]) {
    run(data);
}

/// How far a session came.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) ready: usize,
    pub(super) proven: usize,
    pub(super) refused: usize,
    pub(super) events: usize,
}

pub(super) fn run(data: &[u8]) -> Reached {
    let mut chaos = Chaos::new(data);
    chaos.start();
    while !chaos.data.is_empty() {
        chaos.step();
    }
    chaos.input(Input::Stop);
    assert!(chaos.open.is_empty(), "tickets without an answer: {:?}", chaos.open);
    assert_eq!(chaos.machine.deadline(), None, "a timer outlives the life");
    assert!(!chaos.alive);
    chaos.reached
}

struct Chaos<'a> {
    data: &'a [u8],
    machine: Yate,
    now: Nanos,
    epoch: Epoch,
    alive: bool,
    tickets: u64,
    open: BTreeSet<Ticket>,
    /// Messages without an answer: id and what they are.
    asked: Vec<(String, String)>,
    http: Vec<RequestId>,
    reached: Reached,
}

impl<'a> Chaos<'a> {
    fn new(data: &'a [u8]) -> Self {
        let given = [("host", "h"), ("fetch", "http://h/"), ("dial_uri", "sip/{uri}")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let options = Options::new(&given).expect("sound settings");
        let machine = Yate::new(options, INSTANCE, "pbx".parse().expect("a name"), 7);
        Self {
            data,
            machine,
            now: Nanos::ZERO,
            epoch: Epoch(0),
            alive: false,
            tickets: 0,
            open: BTreeSet::new(),
            asked: Vec::new(),
            http: Vec::new(),
            reached: Reached::default(),
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        *first
    }

    fn link(&self) -> LinkId {
        LinkId { epoch: self.epoch, slot: 0 }
    }

    fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.alive = true;
        self.asked.clear();
        self.http.clear();
        self.input(Input::Start(self.epoch));
        let link = self.link();
        self.input(Input::Opened(link));
        // the way to be ready, as an engine goes it
        for name in [
            "engine.version:6.4.1",
            "engine.runid:1",
            "config.telephony.maxchans:",
            "bufsize:1",
            "timeout:1",
            "timebomb:true",
        ] {
            self.says(&format!("%%<setlocal:{name}:true"));
        }
        for module in
            ["pbx", "dumbchan", "conference", "wavefile", "cdrbuild", "ysipchan", "yrtpchan", "tonegen"]
        {
            self.says(&format!("%%<setlocal:loaded.{module}:true:true"));
        }
        for name in [
            "chan.startup",
            "call.progress",
            "call.ringing",
            "call.answered",
            "chan.connected",
            "chan.disconnected",
            "chan.hangup",
            "chan.dtmf",
            "call.update",
            "engine.stop",
            "engine.halt",
        ] {
            self.says(&format!("%%<watch:{name}:true"));
        }
        self.says("%%<install:50:chan.disconnected:true");
        if self.byte() & 7 != 0 {
            for (id, _) in std::mem::take(&mut self.asked) {
                self.says(&format!("%%<message:{id}:false:engine.status:"));
            }
        }
    }

    fn says(&mut self, line: &str) {
        let link = self.link();
        self.input(Input::Bytes(link, format!("{line}\n").as_bytes()));
    }

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Open(..) => {}
                Output::Answer(ticket, outcome) => {
                    assert!(self.open.remove(&ticket), "{ticket:?} was answered twice, or never given");
                    match outcome {
                        Ok(_) => self.reached.proven += 1,
                        Err(_) => self.reached.refused += 1,
                    }
                }
                Output::Down(_) => {
                    assert!(self.alive, "a second end");
                    assert!(self.open.is_empty(), "an end before the answers: {:?}", self.open);
                    self.alive = false;
                }
                Output::Send(link, bytes) => {
                    assert!(self.alive && link.epoch == self.epoch, "words after the end");
                    if link.slot == 0 {
                        self.sent(&bytes);
                    }
                }
                Output::Http(id, _) => self.http.push(id),
                Output::Ready(_) => self.reached.ready += 1,
                Output::Event(_) => self.reached.events += 1,
                Output::Sip(_) | Output::Persist(..) | Output::Forget(_) | Output::Listen(..) => {
                    panic!("no SIP of its own")
                }
                Output::Close(_) | Output::Chunk(..) | Output::Warning(_) | Output::Unknown(_) => {}
            }
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("we write text");
        assert!(text.ends_with('\n'), "half a line: {text:?}");
        for line in text.lines() {
            assert!(line.starts_with("%%"), "{line:?}");
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
            if line.contains(":call.drop:") {
                assert!(line.contains(":id=sip/"), "a drop without a channel: {line}");
            }
            if let Some((id, rest)) = line.strip_prefix("%%>message:").and_then(|rest| rest.split_once(':')) {
                self.asked.push((id.to_owned(), rest.to_owned()));
            }
        }
    }

    fn step(&mut self) {
        match self.byte() % 12 {
            0..=2 => self.reply(),
            3 | 4 => self.event(),
            5..=7 => self.order(),
            8 => self.http(),
            9 => {
                let wait = Duration::from_millis(u64::from(self.byte()) * 50);
                self.now = self.now + wait;
                self.input(Input::Tick);
            }
            10 => {
                let size = usize::from(self.byte() % 40).min(self.data.len());
                let (bytes, rest) = self.data.split_at(size);
                self.data = rest;
                let link = self.link();
                self.input(Input::Bytes(link, bytes));
            }
            _ => match self.byte() % 6 {
                0 if self.alive => {
                    let link = self.link();
                    self.input(Input::Closed(link, LinkError::Reset));
                }
                1 if !self.alive => self.start(),
                2 => {
                    let channel = self.channel();
                    self.says(&format!(
                        "%%>message:0x1:0:chan.disconnected::ifbus_leg={INSTANCE}-{}:id={channel}",
                        leg(1)
                    ));
                }
                3 => self.says("%%>message:0x2:0:call.preroute::id=sip/9:module=sip:direction=incoming"),
                4 => self.says("%%<install:5:call.preroute:true"),
                _ => {}
            },
        }
    }

    fn channel(&mut self) -> &'static str {
        CHANNELS[usize::from(self.byte()) % CHANNELS.len()]
    }

    fn reply(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let at = usize::from(self.byte()) % self.asked.len();
        let (id, rest) = self.asked.swap_remove(at);
        let name = rest.split(':').nth(1).unwrap_or_default().to_owned();
        let kind = self.byte();
        let (one, two) = (self.channel(), self.channel());
        let processed = kind & 3 != 0;
        let name = if kind & 16 == 0 { name } else { "call.execute".to_owned() };
        let list =
            if kind & 32 == 0 { "" } else { "name=sip;x;sip/1=answered|a|sip/2,sip/2=answered|a|sip/1%M%J" };
        let tag = if kind & 64 == 0 { String::new() } else { format!(":ifbus_leg={INSTANCE}-{}", leg(kind)) };
        self.says(&format!(
            "%%<message:{id}:{processed}:{name}:{list}:id={one}:peerid={two}:targetid={one}:answered=true{tag}"
        ));
    }

    fn event(&mut self) {
        let (name, number) = (EVENTS[usize::from(self.byte()) % EVENTS.len()], self.byte());
        let (one, two) = (self.channel(), self.channel());
        let tag =
            if number & 64 == 0 { format!("ifbus_leg={INSTANCE}-{}:", leg(number)) } else { String::new() };
        self.says(&format!(
            "%%<message::false:{name}::{tag}id={one}:peerid={two}:lastpeerid={two}:cause_sip=4{number}:text=5:operation=notify"
        ));
    }

    fn http(&mut self) {
        let Some(id) = self.http.pop() else { return };
        let kind = self.byte();
        let status = if kind & 1 == 0 { 200 } else { 404 };
        if kind & 2 == 0 {
            let size = usize::from(kind).min(self.data.len());
            let (bytes, rest) = self.data.split_at(size);
            self.data = rest;
            let body =
                [&b".snd\0\0\0\x20\0\0\0\x04\0\0\0\x01\0\0\x1f\x40\0\0\0\x01\0\0\0\0\0\0\0\0"[..], bytes]
                    .concat();
            self.input(Input::HttpPart(id, &body));
        }
        let reply =
            if kind & 4 == 0 { Ok(HttpReply { status, body: Vec::new() }) } else { Err(LinkError::TimedOut) };
        self.input(Input::Http(id, reply));
    }

    fn order(&mut self) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket);
        let order = self.an_order();
        self.input(Input::Order(ticket, order));
    }

    fn an_order(&mut self) -> Order {
        let (kind, a, b) = (self.byte(), self.byte(), self.byte());
        let (one, other, on) = (leg(a), leg(b), b & 4 == 0);
        let conference: ConferenceId = "room".parse().expect("an id");
        let (recording, segment) = (RecordingId::new(1, 2), u16::from(b & 1));
        match kind % 17 {
            0..=2 => {
                let address = |text: &str| text.parse().expect("an address");
                let party = address(if b & 1 == 0 { "1001" } else { "sip:x@example.org" });
                let (from, to) = (address("1001"), address("1002"));
                let tag = Tag { call: CallId::new(1, 7), role: Role::A, party, from, to };
                let wait = if on { Wait::Silence } else { Wait::Ringback };
                let within = Duration::from_secs(u64::from(b));
                Order::Dial(Dial { leg: one, tag, caller: address("1002"), toward: None, wait, within })
            }
            3 | 4 => Order::Join { a: one, b: other },
            5 => {
                Order::Park { held: one, other, why: if on { ParkReason::Hold } else { ParkReason::Consult } }
            }
            6 => Order::Drop { leg: one, cause: Cause::Answered },
            7 => Order::Dtmf { leg: one, digits: "15#".parse::<Digits>().expect("digits") },
            8 => Order::Mute {
                leg: one,
                direction: if b & 8 == 0 { Direction::In } else { Direction::Out },
                on,
            },
            9 => Order::Enter { leg: one, conference },
            10 => Order::Leave { leg: one },
            11 => Order::Record { leg: one, recording, segment },
            12 => Order::StopRecord { leg: one, recording, segment },
            13 => Order::Fetch { recording, segment },
            14 => Order::Drain { on },
            15 => Order::List,
            _ if on => Order::Inspect,
            _ => [Order::Load, Order::Probe, Order::ProbeSip][usize::from(b % 3)].clone(),
        }
    }
}

fn leg(number: u8) -> LegId {
    LegId(u128::from(number % 4) + 1)
}
