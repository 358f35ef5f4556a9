//! A server that does whatever the bytes say, and a driver that checks what an adapter promises.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Digits, Direction, ParkReason, Role};
use ifbus_call::{
    CallId, Cause, ConferenceId, Epoch, Event, InstanceId, LegId, Nanos, Order, RecordingId, Tag, Wait,
};

use crate::adapter::{Adapter, HttpReply, Input, LinkError, LinkId, Output, RequestId, Ticket};
use crate::asterisk::{Asterisk, Options};

const INSTANCE: InstanceId = InstanceId(0x0123_4567_89ab_cdef);
const COMMANDS: u8 = 0;
const WATCH: u8 = 1;
const STREAM: u8 = 2;

/// Asterisk: every ticket is answered exactly once whatever the server says and whenever links break; nothing follows
/// the end of a life; what is sent is always one whole action.
pub fn asterisk_session(data: &[u8]) {
    run(data);
}

/// How far a session came: without this nobody would know whether it tests anything.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) ready: usize,
    pub(super) proven: usize,
    pub(super) refused: usize,
    pub(super) events: usize,
    pub(super) entered: usize,
    pub(super) chunks: usize,
}

pub(super) fn run(data: &[u8]) -> Reached {
    let mut chaos = Chaos::new(data);
    chaos.start();
    if data.first().is_some_and(|byte| byte & 0b1110 != 0) {
        chaos.serve();
    }
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
    machine: Asterisk,
    now: Nanos,
    epoch: Epoch,
    alive: bool,
    tickets: u64,
    open: BTreeSet<Ticket>,
    /// Actions without an answer: link, text.
    asked: VecDeque<(LinkId, String)>,
    requests: VecDeque<(RequestId, String)>,
    last: Vec<u8>,
    reached: Reached,
}

impl<'a> Chaos<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut chaos = Self {
            data,
            machine: machine(data.first().is_some_and(|byte| byte & 1 == 1)),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            alive: false,
            tickets: 0,
            open: BTreeSet::new(),
            asked: VecDeque::new(),
            requests: VecDeque::new(),
            last: Vec::new(),
            reached: Reached::default(),
        };
        chaos.byte();
        chaos
    }

    fn byte(&mut self) -> u8 {
        match self.data.split_first() {
            Some((byte, rest)) => {
                self.data = rest;
                *byte
            }
            None => 0,
        }
    }

    fn one_in(&mut self, many: u8) -> bool {
        self.byte().is_multiple_of(many)
    }

    fn leg(&mut self) -> LegId {
        LegId(0xa0 + u128::from(self.byte() % 4))
    }

    fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.asked.clear();
        self.alive = true;
        self.input(Input::Start(self.epoch));
    }

    fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    fn feed(&mut self, slot: u8, bytes: &[u8]) {
        self.last = bytes.to_vec();
        let link = self.link(slot);
        self.input(Input::Bytes(link, bytes));
    }

    fn step(&mut self) {
        match self.byte() % 22 {
            0..=2 => self.answer(true),
            3 | 4 => self.serve(),
            5 => self.answer(false),
            6 => drop(self.asked.pop_front()),
            7 | 8 => self.order(),
            9 => self.manager_event(),
            10 | 11 => self.stream_event(),
            12 => self.tick(),
            13 => self.now = self.now + Duration::from_millis(u64::from(self.byte()) * 20),
            14 => self.reply(),
            15 => {
                let raw: Vec<u8> = (0..self.byte() % 40).map(|_| self.byte()).collect();
                let slot = self.byte() % 6;
                self.feed(slot, &raw);
            }
            16 if self.one_in(4) => {
                let (slot, old) = (self.byte() % 5, self.one_in(8));
                let epoch = if old { Epoch(self.epoch.0.saturating_sub(1)) } else { self.epoch };
                let error = if self.one_in(2) { LinkError::Reset } else { LinkError::Status(401) };
                self.input(Input::Closed(LinkId { epoch, slot }, error));
            }
            17 => {
                let (slot, last) = (self.byte() % 3, self.last.clone());
                self.feed(slot, &last);
            }
            18 => self.part(),
            19 if self.one_in(16) => self.input(Input::Stop),
            _ if !self.alive => {
                self.start();
                self.serve();
            }
            _ => self.answer(true),
        }
    }

    fn tick(&mut self) {
        if let Some(at) = self.machine.deadline() {
            self.now = self.now.max(at);
            self.input(Input::Tick);
            let next = self.machine.deadline();
            assert!(next.is_none_or(|next| next > self.now), "a timer that is due was not taken");
        }
    }

    fn conference(&mut self) -> ConferenceId {
        let names = ["room", "Room", "a-b"];
        names[usize::from(self.byte()) % names.len()].parse().expect("it is a conference")
    }

    fn order(&mut self) {
        let kind = self.byte() % 18;
        let (a, b) = (self.leg(), self.leg());
        let order = match kind {
            0 | 1 => dial(a),
            2 | 3 => Order::Join { a, b },
            4 => Order::Park { held: a, other: b, why: ParkReason::Hold },
            5 => Order::Drop { leg: a, cause: Cause::Answered },
            6 => Order::Dtmf { leg: a, digits: "1#".parse::<Digits>().expect("they are digits") },
            7 => Order::Mute { leg: a, direction: Direction::Out, on: true },
            8 => Order::List,
            9 | 10 => Order::Enter { leg: a, conference: self.conference() },
            11 => Order::Leave { leg: a },
            12 => Order::Record { leg: a, recording: RecordingId::new(0, 0), segment: 0 },
            13 => Order::StopRecord { leg: a, recording: RecordingId::new(0, 0), segment: 0 },
            14 | 15 => Order::Fetch { recording: RecordingId::new(0, 0), segment: 0 },
            16 => Order::Drain { on: self.one_in(2) },
            _ if self.one_in(2) => Order::Probe,
            _ => Order::Inspect,
        };
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.open.insert(ticket);
        self.input(Input::Order(ticket, order));
    }

    // ---- the server ------------------------------------------------------------------------------------------------

    /// Is a good server for a while.
    fn serve(&mut self) {
        for _ in 0..30 {
            match (self.requests.pop_front(), self.asked.is_empty()) {
                (Some((id, path)), _) => self.replied(id, &path, 200),
                (None, false) => self.answer(true),
                (None, true) => return,
            }
        }
    }

    fn answer(&mut self, success: bool) {
        let Some((link, action)) = self.asked.pop_front() else { return };
        let get = |key: &str| {
            let line = action.split("\r\n").find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let id = get("ActionID");
        let mut text = if success {
            format!("Response: Success\r\nActionID: {id}\r\n")
        } else {
            let words = [
                "No such channel",
                "Permission denied",
                "Invalid/unknown command",
                "Could not stop monitoring channel",
            ][usize::from(self.byte() % 4)];
            format!("Response: Error\r\nActionID: {id}\r\nMessage: {words}\r\n\r\n")
        };
        if success {
            text += match get("Action").as_str() {
                "Challenge" => "Challenge: 1\r\n\r\n".to_owned(),
                "CoreSettings" => "AsteriskVersion: 22.1\r\n\r\n".to_owned(),
                "CoreStatus" => "CoreStartupDate: d\r\nCoreStartupTime: t\r\n\r\n".to_owned(),
                "Login" => "\r\nEvent: FullyBooted\r\n\r\n".to_owned(),
                "Status" => self.status(&get("Channel"), &id),
                "Originate" => self.originated(&id),
                "Getvar" => self.variable(),
                "ShowDialPlan" => {
                    let line = if self.one_in(2) { "Context: ifbus-inbound\r\n" } else { "Application: Gosub\r\n" };
                    format!(
                        "\r\nEvent: ListDialplan\r\n{line}AppData: ifbus-inbound,s,1\r\nActionID: {id}\r\n\r\n\
                         Event: ShowDialPlanComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n"
                    )
                }
                _ => "\r\n".to_owned(),
            }
            .as_str();
        }
        self.last = text.clone().into_bytes();
        self.input(Input::Bytes(link, text.as_bytes()));
    }

    fn status(&mut self, channel: &str, id: &str) -> String {
        let mut text = "\r\n".to_owned();
        let which = self.byte();
        for place in 0..4 {
            let native = native(LegId(0xa0 + place));
            if (!channel.is_empty() && channel != native) || which >> place & 1 == 1 {
                continue;
            }
            let state = self.byte();
            let bridge = if state & 8 == 8 { "b1" } else { "" };
            let app = ["Wait", "Answer", "ConfBridge", "Wait"][usize::from(state >> 4 & 3)];
            let exten = room(state >> 6);
            text += &format!(
                "Event: Status\r\nChannel: c\r\nChannelState: {}\r\nUniqueid: {native}\r\nPriority: 2\r\n\
                 BridgeID: {bridge}\r\nApplication: {app}\r\nData: {exten},x\r\nActionID: {id}\r\n\r\n",
                4 + state % 3
            );
        }
        text + &format!("Event: StatusComplete\r\nActionID: {id}\r\n\r\n")
    }

    fn variable(&mut self) -> String {
        let values = ["", "0x7f36", "ended", "junk", "0x1\r\nValue: 0x2"];
        format!("Value: {}\r\n\r\n", values[usize::from(self.byte()) % values.len()])
    }

    fn originated(&mut self, id: &str) -> String {
        match self.byte() % 4 {
            0 => format!(
                "\r\nEvent: OriginateResponse\r\nActionID: {id}\r\nResponse: Success\r\nReason: 4\r\n\r\n"
            ),
            1 => format!(
                "\r\nEvent: OriginateResponse\r\nActionID: {id}\r\nResponse: Failure\r\nReason: 0\r\n\r\n"
            ),
            _ => "\r\n".to_owned(),
        }
    }

    fn manager_event(&mut self) {
        let names = [
            "Newchannel",
            "Newstate",
            "DialState",
            "DialEnd",
            "BridgeEnter",
            "BridgeLeave",
            "ConfbridgeJoin",
            "ConfbridgeLeave",
            "Hangup",
            "HangupRequest",
            "DTMFEnd",
            "Shutdown",
            "Reload",
            "FullyBooted",
            "UserEvent",
            "Nonsense",
        ];
        let name = names[usize::from(self.byte()) % names.len()];
        let native = native(self.leg());
        let twice = if self.one_in(8) { "Uniqueid: victim\r\n" } else { "" };
        let text = format!(
            "Event: {name}\r\nChannel: c\r\n{twice}Uniqueid: {native}\r\nLinkedid: {native}\r\nCause: {}\r\n\
             BridgeUniqueid: b1\r\nDirection: Received\r\nDigit: 5\r\n\r\n",
            self.byte() % 40
        );
        let slot = self.byte() % 4;
        self.feed(if slot == STREAM { WATCH } else { slot }, text.as_bytes());
    }

    fn stream_event(&mut self) {
        let kinds = [
            "ChannelCreated",
            "ChannelStateChange",
            "ChannelDestroyed",
            "ChannelEnteredBridge",
            "ChannelLeftBridge",
            "ChannelHangupRequest",
            "Dial",
            "ChannelDtmfReceived",
            "ApplicationReplaced",
            "Nonsense",
        ];
        let kind = kinds[usize::from(self.byte()) % kinds.len()];
        let (leg, other) = (native(self.leg()), native(self.leg()));
        let state = ["Down", "Ringing", "Up"][usize::from(self.byte() % 3)];
        let json = format!(
            "{{\"type\":\"{kind}\",\"channel\":{{\"id\":\"{leg}\",\"state\":\"{state}\"}},\"cause\":{},\
             \"bridge\":{{\"id\":\"b{}\",{}\"channels\":[\"{other}\",\"x\"]}},\"dialstatus\":\"ANSWER\"}}",
            self.byte() % 40,
            self.byte() % 3,
            self.origin()
        );
        self.feed(STREAM, json.as_bytes());
    }

    fn origin(&mut self) -> String {
        match self.byte() % 4 {
            0 | 1 => String::new(),
            which => format!("\"creator\":\"ConfBridge\",\"name\":\"{}\",", room(which)),
        }
    }

    /// A piece of a file, or what is none.
    fn part(&mut self) {
        let Some((id, _)) = self.requests.front().cloned() else { return };
        let body = match self.byte() % 4 {
            0 => (0..self.byte() % 60).map(|_| self.byte()).collect(),
            1 => wav(0, 0),
            2 => wav(36, 0),
            _ => wav(40, 4),
        };
        let from = usize::from(self.byte()) % 8;
        self.input(Input::HttpPart(id, &body[from.min(body.len())..]));
        self.input(Input::HttpPart(id, &body[..from.min(body.len())]));
    }

    fn reply(&mut self) {
        let Some((id, path)) = self.requests.pop_front() else { return };
        let status = [200, 200, 200, 204, 403, 404, 500][usize::from(self.byte() % 7)];
        self.replied(id, &path, status);
    }

    fn replied(&mut self, id: RequestId, path: &str, status: u16) {
        if status == 200 && path.ends_with("/file") {
            self.input(Input::HttpPart(id, &wav(40, 4)));
            self.input(Input::HttpPart(id, &[0; 4]));
        }
        self.input(Input::Http(id, Ok(HttpReply { status, body: Vec::new() })));
        if let Some(marker) = path.strip_prefix("/ari/events/user/").and_then(|rest| rest.split('?').next()) {
            let json = format!("{{\"type\":\"ChannelUserevent\",\"eventname\":\"{marker}\"}}");
            self.feed(STREAM, json.as_bytes());
        }
    }

    // ---- what is promised --------------------------------------------------------------------------------------------

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        let mut opened = Vec::new();
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Open(link, _) => opened.push(link),
                Output::Send(link, bytes) => self.sent(link, bytes),
                Output::Http(id, request) => self.requests.push_back((id, request.path)),
                Output::Answer(ticket, outcome) => {
                    match outcome {
                        Ok(_) => self.reached.proven += 1,
                        Err(_) => self.reached.refused += 1,
                    }
                    assert!(self.open.remove(&ticket), "{ticket:?} was answered twice or never asked");
                }
                Output::Event(event) => {
                    assert!(self.alive, "{event:?} after the end");
                    self.reached.events += 1;
                    self.reached.entered += usize::from(matches!(event, Event::Entered(..)));
                }
                Output::Ready(ready) => {
                    assert!(self.alive && ready.epoch == self.epoch);
                    self.reached.ready += 1;
                }
                Output::Down(_) => {
                    assert!(self.alive, "the end came twice");
                    assert!(self.open.is_empty(), "open tickets at the end");
                    self.alive = false;
                }
                Output::Chunk(ticket, bytes) => {
                    assert!(self.open.contains(&ticket), "a chunk for {ticket:?}, which is not open");
                    assert!(!bytes.is_empty());
                    self.reached.chunks += 1;
                }
                Output::Listen(..) | Output::Sip(_) | Output::Persist(..) | Output::Forget(_) => {
                    panic!("this kind has no SIP agent and no port of ours")
                }
                Output::Close(_) | Output::Warning(_) | Output::Unknown(_) => {}
            }
        }
        for link in opened {
            self.opened(link);
        }
    }

    fn opened(&mut self, link: LinkId) {
        if self.byte() % 32 == 31 {
            return self.input(Input::Closed(link, LinkError::Refused));
        }
        self.input(Input::Opened(link));
        if matches!(link.slot, COMMANDS | WATCH | 3) {
            self.input(Input::Bytes(link, b"Asterisk Call Manager/11.0.0\r\n"));
        }
    }

    fn sent(&mut self, link: LinkId, bytes: Vec<u8>) {
        assert_eq!(link.epoch, self.epoch, "sent into another life");
        if link.slot > 3 {
            return;
        }
        let text = String::from_utf8(bytes).expect("an action is text");
        let body = text.strip_suffix("\r\n\r\n").expect("an action ends with a blank line");
        for line in body.split("\r\n") {
            assert!(line.contains(": ") && line.bytes().all(|byte| byte >= 0x20 && byte != 0x7f), "{text:?}");
        }
        self.asked.push_back((link, text));
    }
}

fn machine(ari: bool) -> Asterisk {
    let given = [("host", "127.0.0.1"), ("secret", "s"), ("ari_port", if ari { "8088" } else { "0" })];
    let given: BTreeMap<String, String> =
        given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let options = Options::new(&given).expect("they are sound");
    Asterisk::new(options, INSTANCE, "pbx".parse().expect("it is a name"), 1)
}

fn room(which: u8) -> String {
    let name = ["room", "Room", "a-b", ""][usize::from(which % 4)];
    format!("{INSTANCE}-{name}")
}

/// The header of a file with these two lengths.
fn wav(riff: u32, data: u32) -> Vec<u8> {
    let format = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data";
    [&b"RIFF"[..], &riff.to_le_bytes(), format, &data.to_le_bytes()].concat()
}

fn native(leg: LegId) -> String {
    format!("ib-{INSTANCE}-{leg}")
}

fn dial(leg: LegId) -> Order {
    let address = || "1001".parse().expect("it is an address");
    let tag =
        Tag { call: CallId::new(0, 0), role: Role::B, party: address(), from: address(), to: address() };
    let within = Duration::from_secs(3);
    Order::Dial(Dial { leg, tag, caller: address(), toward: None, wait: Wait::Silence, within })
}
