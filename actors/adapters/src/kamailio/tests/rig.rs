//! The machine, a pretended server and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Role};
use ifbus_call::{CallId, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Tag, Wait};
use serde_json::{Value, json};

use crate::adapter::{
    Adapter, Down, HttpReply, HttpRequest, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket,
    Warning,
};
use crate::kamailio::{Kamailio, Options};
use crate::sip::{Dialog, Reply, SipCommand, SipEvent};
use crate::wire_format::netstring;

pub(crate) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);
pub(crate) const A: LegId = LegId(0xa000_0000_0000_0000_0000_0000_0000_000a);
pub(crate) const B: LegId = LegId(0xb000_0000_0000_0000_0000_0000_0000_000b);

/// Settings of the tests, with more of their own.
pub(crate) fn options(more: &[(&str, &str)]) -> Options {
    let base = [("host", "127.0.0.1"), ("secret", "labtoken")];
    let given: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

pub(crate) fn dial(leg: LegId, to: &str) -> Order {
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

/// A dialog as `dlg.list` has it.
pub(crate) fn dialog(call_id: &str, state: u8) -> Value {
    let callee = if state < 3 {
        json!({"tag": null, "contact": null, "cseq": "0"})
    } else {
        json!({"tag": "totag", "contact": "sip:1002@127.0.0.3", "cseq": "0"})
    };
    json!({"h_entry": 1, "h_id": 2, "ref": 2, "call-id": call_id, "from_uri": "sip:1001@127.0.0.1",
           "to_uri": "sip:1002@127.0.0.1", "state": state, "start_ts": 1, "init_ts": 1, "end_ts": 0, "duration": 9,
           "caller": {"tag": "fromtag", "contact": "sip:1001@127.0.0.2", "cseq": "102"},
           "callee": callee, "profiles": [{"callee": "1002"}, "all"], "variables": [{"leg": "b"}]})
}

/// All of it.
pub(crate) struct Rig {
    pub(crate) machine: Kamailio,
    pub(crate) now: Nanos,
    pub(crate) epoch: Epoch,
    pub(crate) events: Vec<Event>,
    pub(crate) answers: BTreeMap<u64, Outcome>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) ready: Vec<Ready>,
    pub(crate) down: Vec<Down>,
    pub(crate) unknown: u64,
    pub(crate) sip: Vec<SipCommand>,
    pub(crate) persisted: Vec<Dialog>,
    pub(crate) opened: u32,
    pub(crate) closed: u32,
    /// Every request that was made: its method and parameters.
    pub(crate) said: Vec<(String, Value)>,
    pub(crate) requests: Vec<HttpRequest>,
    /// Requests that wait, because nobody answers.
    pub(crate) held: VecDeque<(RequestId, Value)>,
    /// Nobody answers.
    pub(crate) mute: bool,
    /// What links and requests come to, if not to themselves.
    pub(crate) dead: Option<LinkError>,
    pub(crate) no_events: bool,
    /// What is said instead of the usual, by method: HTTP status and body without id.
    pub(crate) instead: BTreeMap<&'static str, (u16, Value)>,
    pub(crate) dialogs: Vec<Value>,
    pub(crate) up_since: &'static str,
    pub(crate) table: bool,
    /// Dialogs go when they are told to.
    pub(crate) obeys: bool,
    tickets: u64,
}

impl Rig {
    pub(crate) fn with(more: &[(&str, &str)]) -> Self {
        Self {
            machine: Kamailio::new(options(more), INSTANCE, "edge".parse().expect("a name"), 7),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            events: Vec::new(),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            ready: Vec::new(),
            down: Vec::new(),
            unknown: 0,
            sip: Vec::new(),
            persisted: Vec::new(),
            opened: 0,
            closed: 0,
            said: Vec::new(),
            requests: Vec::new(),
            held: VecDeque::new(),
            mute: false,
            dead: None,
            no_events: false,
            instead: BTreeMap::new(),
            dialogs: Vec::new(),
            up_since: "Sun Nov 22 09:34:47 2026",
            table: true,
            obeys: true,
            tickets: 0,
        }
    }

    /// Connected and ready.
    pub(crate) fn ready(more: &[(&str, &str)]) -> Self {
        let mut rig = Self::with(more);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    pub(crate) fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.input(Input::Start(self.epoch));
    }

    pub(crate) fn link(&self) -> LinkId {
        LinkId { epoch: self.epoch, slot: 0 }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        self.pump();
    }

    /// An event of the server.
    pub(crate) fn tell(&mut self, json: &str) {
        self.input(Input::Bytes(self.link(), &netstring::encode(json.as_bytes())));
    }

    pub(crate) fn give(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.input(Input::Order(Ticket(self.tickets), order));
        self.tickets
    }

    /// Gives an order and returns what came of it, moving the clock as far as needed.
    pub(crate) fn outcome(&mut self, order: Order) -> Outcome {
        let ticket = self.give(order);
        for _ in 0..1000 {
            match self.answers.get(&ticket) {
                Some(outcome) => return outcome.clone(),
                None => assert!(self.tick(), "nobody will ever answer ticket {ticket}"),
            }
        }
        panic!("ticket {ticket} was not answered");
    }

    pub(crate) fn listed(&mut self) -> Vec<ifbus_call::Seen> {
        match self.outcome(Order::List) {
            Ok(Done::Listed(seen)) => seen,
            other => panic!("{other:?}"),
        }
    }

    /// Moves the clock to the next deadline.
    pub(crate) fn tick(&mut self) -> bool {
        let Some(at) = self.machine.deadline() else { return false };
        self.now = self.now.max(at);
        self.input(Input::Tick);
        true
    }

    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while self.machine.deadline().is_some_and(|at| at <= end) {
            self.tick();
        }
        self.now = end;
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.said.iter().filter(|(said, _)| said == method).count()
    }

    pub(crate) fn last(&self, method: &str) -> &Value {
        let (_, params) = self.said.iter().rev().find(|(said, _)| said == method).expect("it was said");
        params
    }

    /// Carries out what the machine wants until it is quiet.
    pub(crate) fn pump(&mut self) {
        while let Some(output) = self.machine.poll() {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Open(link, _) => {
                self.opened += 1;
                let closed = self.dead.clone().or_else(|| self.no_events.then_some(LinkError::Refused));
                match closed {
                    Some(error) => self.machine.handle(Input::Closed(link, error), self.now),
                    None => self.machine.handle(Input::Opened(link), self.now),
                }
            }
            Output::Close(_) => self.closed += 1,
            Output::Http(id, request) => self.http(id, request),
            Output::Sip(command) => self.stack(command),
            Output::Persist(number, dialog) => {
                self.persisted.push(*dialog);
                self.machine.handle(Input::Persisted(number, true), self.now);
            }
            Output::Event(event) => self.events.push(event),
            Output::Answer(ticket, outcome) => {
                let before = self.answers.insert(ticket.0, outcome);
                assert_eq!(before, None, "{ticket:?} was answered twice");
            }
            Output::Ready(ready) => self.ready.push(ready),
            Output::Down(down) => self.down.push(down),
            Output::Warning(warning) => self.warnings.push(warning),
            Output::Unknown(frames) => self.unknown += frames,
            Output::Listen(..) | Output::Send(..) | Output::Chunk(..) => {
                panic!("nothing is sent but requests: {output:?}")
            }
            Output::Forget(_) => {}
        }
    }

    /// A stack whose server answers every question.
    fn stack(&mut self, command: SipCommand) {
        let said = match &command {
            SipCommand::Bind => Some(SipEvent::Opened { contact: "127.0.0.9:5070".to_owned() }),
            SipCommand::Options { leg, number, .. } => {
                Some(SipEvent::Replied { leg: *leg, number: *number, reply: Reply::of(200) })
            }
            _ => None,
        };
        self.sip.push(command);
        if let Some(event) = said {
            self.machine.handle(Input::Sip(event), self.now);
        }
    }

    fn http(&mut self, id: RequestId, request: HttpRequest) {
        let body: Value =
            serde_json::from_slice(&request.body.as_ref().expect("a body").1).expect("it is JSON");
        self.requests.push(request);
        let method = body["method"].as_str().expect("a method").to_owned();
        self.said.push((method, body["params"].clone()));
        assert_eq!(body["id"], json!(id.number));
        if let Some(error) = self.dead.clone() {
            return self.machine.handle(Input::Http(id, Err(error)), self.now);
        }
        if self.mute {
            return self.held.push_back((id, body));
        }
        self.reply(id, &body);
    }

    /// Answers the oldest request that waits.
    pub(crate) fn release(&mut self) {
        let (id, body) = self.held.pop_front().expect("a request waits");
        self.reply(id, &body);
        self.pump();
    }

    fn reply(&mut self, id: RequestId, body: &Value) {
        let (method, params) = (body["method"].as_str().expect("a method"), &body["params"]);
        let (status, mut reply) = match self.instead.get(method) {
            Some((status, body)) => (*status, body.clone()),
            None => self.usual(method, params),
        };
        let body = match &mut reply {
            Value::Object(object) => {
                object.insert("id".to_owned(), json!(id.number));
                reply.to_string()
            }
            Value::String(raw) => raw.clone(),
            other => panic!("{other}"),
        };
        let reply = HttpReply { status, body: body.into_bytes() };
        self.machine.handle(Input::Http(id, Ok(reply)), self.now);
    }

    fn usual(&mut self, method: &str, params: &Value) -> (u16, Value) {
        let ok = |result: Value| (200, json!({"jsonrpc": "2.0", "result": result}));
        let of = |params: &Value| params[0].as_str().map(str::to_owned);
        let at =
            |dialogs: &[Value], call: &Value| dialogs.iter().position(|dialog| dialog["call-id"] == *call);
        match method {
            "core.version" => ok(json!("kamailio 5.6.3 (x86_64/linux) ")),
            "system.listMethods" => ok(json!(METHODS)),
            "core.uptime" => ok(json!({"now": "x", "up_since": self.up_since, "uptime": 38})),
            "dlg.list" => ok(json!(self.dialogs)),
            "dlg.dlg_list" => {
                ok(at(&self.dialogs, &params[0]).map_or(json!({}), |at| self.dialogs[at].clone()))
            }
            "dlg.terminate_dlg" | "tm.cancel" => match at(&self.dialogs, &params[0]) {
                None if method == "tm.cancel" => error(400, "Transaction not found"),
                None => error(404, "Dialog not found"),
                Some(at) => {
                    let early = self.dialogs[at]["state"].as_u64().is_some_and(|state| state < 3);
                    if self.obeys && early == (method == "tm.cancel") {
                        self.dialogs[at]["state"] = json!(5);
                    }
                    ok(json!({}))
                }
            },
            "dlg.stats_active" => {
                ok(json!({"starting": 0, "connecting": 1, "answering": 0, "ongoing": 2, "all": 3}))
            }
            "stats.fetchn" => ok(json!({"dialog.active_dialogs": 3, "dialog.processed_dialogs": 77})),
            "htable.seti" | "htable.get" if !self.table => error(500, "No such htable"),
            "htable.seti" => ok(json!("Ok. Key set to new value.")),
            "htable.get" => {
                assert_eq!(of(params).as_deref(), Some("ifbus"));
                ok(json!({"item": {"name": "drain", "value": 0, "flags": 0, "expire": "NEVER"}}))
            }
            other => panic!("nobody asks for {other}"),
        }
    }
}

/// An error of a method.
pub(crate) fn error(code: u16, message: &str) -> (u16, Value) {
    (code, json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}}))
}

/// As many as are needed, and the one that kills.
pub(crate) const METHODS: [&str; 12] = [
    "core.version",
    "core.uptime",
    "system.listMethods",
    "dlg.list",
    "dlg.list_ctx",
    "dlg.dlg_list",
    "dlg.terminate_dlg",
    "dlg.stats_active",
    "tm.cancel",
    "stats.fetchn",
    "htable.seti",
    "htable.get",
];
