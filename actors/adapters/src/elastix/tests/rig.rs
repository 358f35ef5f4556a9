//! The machine, a pretended Asterisk, a pretended web server, and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Done};
use ifbus_call::{CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Refused, Role, Tag, Wait};

use crate::adapter::{
    Adapter, Down, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket,
    Warning,
};
use crate::asterisk::machine::{COMMANDS, TONES, WATCH};
use crate::asterisk::tests::pretend::Pretend;
use crate::elastix::{Elastix, Options};

pub(super) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(super) const A: LegId = LegId(0xa000_0000_0000_0000_0000_0000_0000_000a);
pub(super) const B: LegId = LegId(0xb000_0000_0000_0000_0000_0000_0000_000b);

pub(super) const EXTENSIONS: &str = r#"{"status":"success","results":[{"dial":"PJSIP\/1001","secret":"alicepw1","context":"from-internal","extension":"1001","name":"Alice","tech":"pjsip","voicemail":[]},{"dial":"SIP\/1002","secret":"bobpw1","extension":"1002","name":"Bob","tech":"sip","voicemail":[]}]}"#;

pub(super) fn options(more: &[(&str, &str)]) -> Options {
    let base =
        [("host", "127.0.0.1"), ("secret", "ifbus-secret"), ("sip", "off"), ("api_secret", "admin-secret")];
    let given: BTreeMap<String, String> = base
        .iter()
        .chain(more)
        .filter(|(_, value)| *value != "-")
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let given = given.into_iter().filter(|(key, _)| !more.contains(&(key.as_str(), "-"))).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

pub(super) fn dial(leg: LegId, role: Role, party: &str, toward: Option<LegId>) -> Order {
    let address = |text: &str| text.parse().expect("an address");
    let tag = Tag {
        call: CallId::new(1, 7),
        role,
        party: address(party),
        from: address("1001"),
        to: address("1002"),
    };
    let within = Duration::from_secs(20);
    Order::Dial(Dial { leg, tag, caller: address("1002"), toward, wait: Wait::Silence, within })
}

pub(super) fn json(text: &str) -> Result<HttpReply, LinkError> {
    Ok(HttpReply { status: 200, body: text.as_bytes().to_vec() })
}

pub(super) fn page(status: u16) -> Result<HttpReply, LinkError> {
    let body =
        b"<!DOCTYPE html>\n<html><head><title>500 Internal Server Error</title></head></html>".to_vec();
    Ok(HttpReply { status, body })
}

/// One channel that pbxapi shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) linked: String,
    pub(super) state: u8,
    pub(super) bridge: String,
    pub(super) variables: BTreeMap<String, String>,
}

/// The web server.
#[derive(Debug, Default)]
pub(super) struct Web {
    /// How many logins there were; the token of the last one is taken.
    pub(super) logins: u32,
    /// The token is over.
    pub(super) expired: bool,
    /// Every request.
    pub(super) asked: Vec<HttpRequest>,
    /// What the next requests whose path holds the word are answered with instead; nothing of an empty row.
    pub(super) instead: BTreeMap<&'static str, VecDeque<Result<HttpReply, LinkError>>>,
    /// Requests whose path holds the word are not answered.
    pub(super) deaf: Option<&'static str>,
    pub(super) hanging: VecDeque<(RequestId, HttpRequest)>,
    pub(super) channels: BTreeMap<String, Shown>,
}

impl Web {
    fn answer(&mut self, request: &HttpRequest) -> Option<Result<HttpReply, LinkError>> {
        let path = request.path.clone();
        if self.deaf.is_some_and(|word| path.contains(word)) {
            return None;
        }
        if let Some(row) =
            self.instead.iter_mut().find(|(word, row)| path.contains(**word) && !row.is_empty())
        {
            return row.1.pop_front();
        }
        let empty = |status| Some(Ok(HttpReply { status, body: Vec::new() }));
        if path == "/pbxapi/authenticate" {
            let (kind, body) = request.body.clone().expect("a login has a body");
            assert_eq!((request.method, kind), ("POST", "application/json"));
            if body != br#"{"password":"admin-secret","user":"admin"}"# {
                return empty(403);
            }
            self.logins += 1;
            self.expired = false;
            let token = self.logins;
            return Some(json(&format!(
                r#"{{"access_token":"t{token}","expires_in":3600,"refresh_token":"r","token_type":"Bearer"}}"#
            )));
        }
        if !path.starts_with("/pbxapi/") {
            return if request.streamed { None } else { empty(403) };
        }
        if self.expired {
            return Some(json(r#"{"status": "expired"}"#));
        }
        if request.bearer.as_ref().is_none_or(|token| token.expose() != format!("t{}", self.logins)) {
            return empty(403);
        }
        let get = |key: &str| {
            let query = path.split_once('?').map_or("", |(_, query)| query);
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            decoded(value.unwrap_or_default())
        };
        match path.split('?').next().unwrap_or_default() {
            "/pbxapi/extensions" => Some(json(EXTENSIONS)),
            "/pbxapi/manager/dbget" => Some(json(r#"{"result":""}"#)),
            "/pbxapi/manager/status" => Some(json(&self.status())),
            "/pbxapi/manager/getvar" => {
                let known = self.channels.values().find(|channel| channel.name == get("channel"));
                let Some(known) = known else {
                    return Some(json(r#"{"status":"error", "message":"No such channel"}"#));
                };
                let value = get("variable").trim_start_matches("EVAL(").trim_end_matches(')').to_owned();
                let value = ["IFBUS_CALL", "IFBUS_ENDS", "IFBUS_LEG"].iter().fold(value, |value, name| {
                    let is = known.variables.get(*name).cloned().unwrap_or_default();
                    value.replace(&format!("${{{name}}}"), &is)
                });
                Some(json(&format!(r#"{{"status":"ok", "variable":"x","value":"{value}"}}"#)))
            }
            "/pbxapi/manager/originate" => None,
            "/pbxapi/manager/hangup" => {
                let told = if self.channels.remove(&get("channel")).is_some() {
                    r#"{"status":"ok", "message":"Channel Hungup"}"#
                } else {
                    r#"{"status":"error", "message":"No such channel"}"#
                };
                Some(json(told))
            }
            other => panic!("the adapter asked for {other}"),
        }
    }

    fn status(&self) -> String {
        let value = |text: &str| if text.is_empty() { "false".to_owned() } else { format!("\"{text}\"") };
        let of = |(id, channel): (&String, &Shown)| {
            format!(
                r#"{{"Event":"Status","Channel":"{}","ChannelState":"{}","CallerIDNum":"1001","Uniqueid":"{id}","Linkedid":{},"BridgeID":{},"Seconds":"2"}}"#,
                channel.name,
                channel.state,
                value(&channel.linked),
                value(&channel.bridge)
            )
        };
        format!("[{}]", self.channels.iter().map(of).collect::<Vec<_>>().join(","))
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next().expect("two digits")).to_digit(16).expect("a digit") as u8;
        bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
    }
    String::from_utf8(bytes).expect("text")
}

/// All of it.
pub(super) struct Rig {
    pub(super) machine: Elastix,
    pub(super) server: Pretend,
    pub(super) web: Web,
    pub(super) now: Nanos,
    pub(super) epoch: Epoch,
    pub(super) events: Vec<Event>,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) warnings: Vec<Warning>,
    pub(super) ready: Vec<Ready>,
    pub(super) down: Vec<Down>,
    pub(super) sent: Vec<String>,
    pub(super) chunks: Vec<u8>,
    /// AMI cannot be opened, for this reason.
    pub(super) ami: Option<LinkError>,
    tickets: u64,
}

impl Rig {
    pub(super) fn with(more: &[(&str, &str)]) -> Self {
        Self {
            machine: Elastix::new(options(more), INSTANCE, "pbx".parse().expect("a name"), 7),
            server: Pretend::new(false),
            web: Web::default(),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            events: Vec::new(),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            ready: Vec::new(),
            down: Vec::new(),
            sent: Vec::new(),
            chunks: Vec::new(),
            ami: None,
            tickets: 0,
        }
    }

    /// Connected and ready, by AMI.
    pub(super) fn ready(more: &[(&str, &str)]) -> Self {
        let mut rig = Self::with(more);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    /// Connected and ready, by pbxapi alone.
    pub(super) fn narrow() -> Self {
        let mut rig = Self::with(&[]);
        rig.ami = Some(LinkError::Refused);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    pub(super) fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.input(Input::Start(self.epoch));
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        self.pump();
    }

    pub(super) fn give(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.input(Input::Order(Ticket(self.tickets), order));
        self.tickets
    }

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

    pub(super) fn refused(&mut self, order: Order) -> Refused {
        self.outcome(order).expect_err("it should be refused")
    }

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

    pub(super) fn codes(&self) -> Vec<&str> {
        self.warnings.iter().map(|warning| warning.code).collect()
    }

    /// The requests whose path holds the word.
    pub(super) fn asked(&self, word: &str) -> Vec<&HttpRequest> {
        self.web.asked.iter().filter(|request| request.path.contains(word)).collect()
    }

    /// Answers the oldest request that nobody has answered.
    pub(super) fn reply(&mut self, result: Result<HttpReply, LinkError>) {
        let (id, _) = self.web.hanging.pop_front().expect("something was asked");
        self.input(Input::Http(id, result));
    }

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
            Output::Close(_) | Output::Unknown(_) => {}
            Output::Send(link, bytes) => {
                self.sent.push(String::from_utf8(bytes.clone()).expect("actions are text"));
                self.server.take(link.slot, &bytes);
            }
            Output::Http(id, request) => self.http(id, request),
            Output::Event(event) => self.events.push(event),
            Output::Answer(ticket, outcome) => {
                let before = self.answers.insert(ticket.0, outcome);
                assert_eq!(before, None, "{ticket:?} was answered twice");
            }
            Output::Ready(ready) => self.ready.push(ready),
            Output::Down(down) => self.down.push(down),
            Output::Warning(warning) => self.warnings.push(warning),
            Output::Chunk(_, bytes) => self.chunks.extend(bytes),
            Output::Sip(_) | Output::Persist(..) | Output::Forget(_) | Output::Listen(..) => {
                panic!("no SIP of its own: {output:?}")
            }
        }
    }

    fn opened(&mut self, link: LinkId) {
        if let Some(error) = &self.ami {
            return self.machine.handle(Input::Closed(link, error.clone()), self.now);
        }
        self.machine.handle(Input::Opened(link), self.now);
        if matches!(link.slot, COMMANDS | WATCH | TONES) {
            self.server.greet(link.slot);
        }
    }

    fn http(&mut self, id: RequestId, request: HttpRequest) {
        let answer = self.web.answer(&request);
        self.web.asked.push(request.clone());
        match answer {
            Some(result) => self.machine.handle(Input::Http(id, result), self.now),
            None => self.web.hanging.push_back((id, request)),
        }
    }
}
