//! The machine, a pretended server behind HTTP or datagrams, and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::{Epoch, InstanceId, LegId, Nanos, Order, Outcome};
use serde_json::{Value, json};

use crate::adapter::{
    Adapter, Down, Endpoint, HttpReply, Input, LinkError, LinkId, Output, Ready, RequestId, Ticket, Warning,
};
use crate::opensips::machine::{EVENTS, MI};
use crate::opensips::{OpenSips, Options};
use crate::sip::{SipCommand, SipEvent};

pub(super) const INSTANCE: InstanceId = InstanceId(0x1234_5678_9abc_def0);

pub(super) fn options(more: &[(&str, &str)]) -> Options {
    let base = [("host", "127.0.0.1"), ("sip", "off")];
    let given: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).expect("the settings of the tests are sound")
}

/// What is pretended.
#[derive(Debug)]
pub(super) struct Pretend {
    pub(super) version: &'static str,
    pub(super) up_since: &'static str,
    pub(super) which: Vec<&'static str>,
    pub(super) events: Vec<&'static str>,
    pub(super) dialogs: Vec<Value>,
    /// Shared variables.
    pub(super) variables: BTreeMap<String, i64>,
    /// Event, socket, expiry.
    pub(super) subscriptions: Vec<(String, String, i64)>,
    /// Dialogs that were told to end, by what they were called.
    pub(super) ended: Vec<String>,
    /// Told to end, a dialog ends at once.
    pub(super) obeys: bool,
    /// The next words about ends are these errors.
    pub(super) refusals: VecDeque<(i64, &'static str)>,
    /// HTTP status, where it is not 200.
    pub(super) status: u16,
    /// Commands that are not answered.
    pub(super) deaf: Vec<&'static str>,
    /// Pages longer than this are too long for a datagram.
    pub(super) page_max: usize,
}

/// A dialog as `dlg_list` tells it.
pub(super) fn dialog(id: &str, call_id: &str, state: u8) -> Value {
    json!({"ID": id, "db_id": "1", "state": state, "user_flags": "", "timestart": 0, "callid": call_id,
        "from_uri": "sip:alice@127.0.40.1", "to_uri": "sip:bob@127.0.40.1", "caller_tag": "t1", "caller_sdp": "",
        "CALLEES": []})
}

impl Default for Pretend {
    fn default() -> Self {
        Self {
            version: "OpenSIPS (4.0.1 (x86_64/linux))",
            up_since: "Sun Nov 22 09:46:08 2026",
            which: vec![
                "statistics:get",
                "core:uptime",
                "core:version",
                "core:which",
                "evi:subscribe",
                "evi:list",
                "evi:subscribers",
                "cfgutils:shv_get",
                "cfgutils:shv_set",
                "dialog:list",
                "dialog:end_dlg",
            ],
            events: vec!["E_CORE_THRESHOLD", "E_DLG_STATE_CHANGED", "E_IFBUS_END", "E_IFBUS_HEARTBEAT"],
            dialogs: Vec::new(),
            variables: BTreeMap::from([("ifbus_drain".to_owned(), 0)]),
            subscriptions: Vec::new(),
            ended: Vec::new(),
            obeys: true,
            refusals: VecDeque::new(),
            status: 200,
            deaf: Vec::new(),
            page_max: usize::MAX,
        }
    }
}

type Result = std::result::Result<Value, (i64, &'static str)>;

impl Pretend {
    fn answer(&mut self, asked: &Value) -> Option<Vec<u8>> {
        let method = asked["method"].as_str().expect("a method");
        if self.deaf.contains(&method) {
            return None;
        }
        let params = &asked["params"];
        let result = match method {
            "version" => Ok(json!({"Server": self.version})),
            "which" => Ok(json!(self.which)),
            "uptime" => Ok(json!({"Now": "x", "Up since": self.up_since, "Up time": "11 [sec]"})),
            "events_list" => {
                let told: Vec<_> = self.events.iter().map(|name| json!({"name": name, "id": 1})).collect();
                Ok(json!({ "Events": told }))
            }
            "event_subscribe" => self.subscribe(params),
            "subscribers_list" => Ok(self.subscribers(&params["event"])),
            "get_statistics" => Ok(json!({"dialog:active_dialogs": self.dialogs.len(),
                "dialog:early_dialogs": 1, "dialog:processed_dialogs": 77})),
            "shv_get" => match self.variables.get(params[0].as_str().expect("a name")) {
                Some(value) => Ok(json!({"VAR": {"type": "integer", "value": value}})),
                None => Err((404, "Not found")),
            },
            "shv_set" => {
                let name = params[0].as_str().expect("a name").to_owned();
                self.variables.insert(name, params[2].as_i64().expect("a number"));
                Ok(json!("OK"))
            }
            "dlg_list" => return Some(self.list(asked)),
            "dlg_end_dlg" => self.end(params),
            _ => Err((-32601, "Method not found")),
        };
        Some(whole(result, &asked["id"]))
    }

    fn subscribe(&mut self, params: &Value) -> Result {
        let text = |place: usize| params[place].as_str().expect("a text").to_owned();
        if !self.events.contains(&text(0).as_str()) {
            return Err((400, "Bad parameter value"));
        }
        self.subscriptions.retain(|(event, socket, _)| *event != text(0) || *socket != text(1));
        self.subscriptions.push((text(0), text(1), params[2].as_i64().expect("a number")));
        Ok(json!("OK"))
    }

    fn subscribers(&self, wanted: &Value) -> Value {
        let hears = self.subscriptions.iter().filter(|(event, ..)| *wanted == **event);
        let told: Vec<_> =
            hears.map(|(_, socket, span)| json!({"socket": socket, "expire": span, "ttl": span})).collect();
        json!({"Event": {"name": wanted, "id": 15, "Subscribers": told}})
    }

    fn list(&self, asked: &Value) -> Vec<u8> {
        let params = &asked["params"];
        if let Some(call_id) = params["callid"].as_str() {
            let is_it = |d: &&Value| d["callid"] == call_id && d["caller_tag"] == params["from_tag"];
            let found = self.dialogs.iter().find(is_it).map(|found| json!({ "Dialog": found }));
            return whole(found.ok_or((404, "No such dialog")), &asked["id"]);
        }
        let number = |name: &str| usize::try_from(params[name].as_u64().expect("a number")).expect("fits");
        if number("counter") > self.page_max {
            return b"500 Internal error".to_vec();
        }
        let page: Vec<&Value> = self.dialogs.iter().skip(number("index")).take(number("counter")).collect();
        whole(Ok(json!({"count": self.dialogs.len(), "Dialogs": page})), &asked["id"])
    }

    fn end(&mut self, params: &Value) -> Result {
        let named = params["dialog_id"].as_str().expect("a text").to_owned();
        self.ended.push(named.clone());
        if let Some(refusal) = self.refusals.pop_front() {
            return Err(refusal);
        }
        let obeys = self.obeys;
        let found =
            self.dialogs.iter_mut().find(|dialog| dialog["ID"] == *named || dialog["callid"] == *named);
        let dialog = found.ok_or((404, "Requested Dialog not found"))?;
        if obeys {
            dialog["state"] = json!(5);
        }
        Ok(json!("OK"))
    }
}

fn whole(result: Result, id: &Value) -> Vec<u8> {
    let answer = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err((code, message)) => {
            json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id})
        }
    };
    answer.to_string().into_bytes()
}

/// All of it.
pub(super) struct Rig {
    pub(super) machine: OpenSips,
    pub(super) server: Pretend,
    pub(super) now: Nanos,
    pub(super) epoch: Epoch,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) warnings: Vec<Warning>,
    pub(super) ready: Vec<Ready>,
    pub(super) down: Vec<Down>,
    pub(super) unknown: u64,
    /// Every question, as text.
    pub(super) asked: Vec<String>,
    pub(super) opened: Vec<Endpoint>,
    pub(super) closed: Vec<u8>,
    pub(super) sip: Vec<SipCommand>,
    /// Our own socket cannot be had.
    pub(super) unbindable: bool,
    tickets: u64,
}

impl Rig {
    pub(super) fn new(more: &[(&str, &str)]) -> Self {
        Self {
            machine: OpenSips::new(options(more), INSTANCE, "edge".parse().expect("a name"), 7),
            server: Pretend::default(),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            ready: Vec::new(),
            down: Vec::new(),
            unknown: 0,
            asked: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            sip: Vec::new(),
            unbindable: false,
            tickets: 0,
        }
    }

    /// Connected and ready.
    pub(super) fn ready(more: &[(&str, &str)]) -> Self {
        let mut rig = Self::new(more);
        rig.start();
        assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
        rig
    }

    pub(super) fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.give(Input::Start(self.epoch));
    }

    /// One input, and everything that follows from it.
    pub(super) fn give(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        self.settle();
    }

    pub(super) fn event(&mut self, json: &str) {
        self.give(Input::Bytes(self.link(EVENTS), json.as_bytes()));
    }

    pub(super) fn link(&self, slot: u8) -> LinkId {
        LinkId { epoch: self.epoch, slot }
    }

    fn settle(&mut self) {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Open(link, endpoint) => self.open(link, endpoint),
                Output::Close(link) => self.closed.push(link.slot),
                Output::Http(id, request) => self.http(id, &request.body.expect("a body").1),
                Output::Send(link, bytes) => {
                    assert_eq!(link.slot, MI);
                    if let Some(answer) = self.answer(&bytes) {
                        self.machine.handle(Input::Bytes(link, &answer), self.now);
                    }
                }
                Output::Sip(command) => {
                    let opens = command == SipCommand::Bind;
                    self.sip.push(command);
                    if opens {
                        let opened = SipEvent::Opened { contact: "127.0.0.1:5070".to_owned() };
                        self.machine.handle(Input::Sip(opened), self.now);
                    }
                }
                Output::Answer(ticket, outcome) => {
                    let before = self.answers.insert(ticket.0, outcome);
                    assert_eq!(before, None, "a ticket was answered twice");
                }
                Output::Ready(ready) => self.ready.push(ready),
                Output::Down(down) => self.down.push(down),
                Output::Warning(warning) => self.warnings.push(warning),
                Output::Unknown(frames) => self.unknown += frames,
                Output::Persist(number, _) => self.machine.handle(Input::Persisted(number, true), self.now),
                Output::Listen(..) | Output::Event(_) | Output::Chunk(..) | Output::Forget(_) => {}
            }
        }
    }

    fn open(&mut self, link: LinkId, endpoint: Endpoint) {
        let refuse = matches!(endpoint, Endpoint::Listen { .. }) && self.unbindable;
        self.opened.push(endpoint);
        let input = if refuse {
            Input::Closed(link, LinkError::Other("address in use".to_owned()))
        } else {
            Input::Opened(link)
        };
        self.machine.handle(input, self.now);
    }

    fn answer(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let asked: Value = serde_json::from_str(&text).expect("JSON");
        self.asked.push(text);
        self.server.answer(&asked)
    }

    fn http(&mut self, id: RequestId, body: &[u8]) {
        let status = self.server.status;
        let result = match self.answer(body) {
            Some(_) if status != 200 => Ok(HttpReply { status, body: b"<html></html>".to_vec() }),
            Some(body) => Ok(HttpReply { status, body }),
            None => Err(LinkError::TimedOut),
        };
        self.machine.handle(Input::Http(id, result), self.now);
    }

    /// Time goes on in steps, as the machine wants it.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.give(Input::Tick);
        }
        self.now = end;
    }

    pub(super) fn order(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.give(Input::Order(Ticket(ticket), order));
        ticket
    }

    /// Tickets that were given.
    pub(super) fn given(&self) -> u64 {
        self.tickets
    }

    /// What came of an order, at last.
    pub(super) fn outcome(&mut self, order: Order) -> Outcome {
        let ticket = self.order(order);
        for _ in 0..200 {
            if let Some(outcome) = self.answers.get(&ticket) {
                return outcome.clone();
            }
            self.pass(Duration::from_millis(250));
        }
        panic!("an order was never answered");
    }

    pub(super) fn count(&self, word: &str) -> usize {
        self.asked.iter().filter(|asked| asked.contains(word)).count()
    }

    pub(super) fn warned(&self, code: &str) -> usize {
        self.warnings.iter().filter(|warning| warning.code == code).count()
    }

    /// The leg of the dialog with this Call-ID, as it was listed.
    pub(super) fn leg(&self, call_id: &str) -> LegId {
        let seen = &self.ready.last().expect("it was ready").seen;
        seen.iter().find(|seen| seen.native == call_id).expect("it is listed").leg
    }
}
