//! The double as a client sees it, beside what was recorded of the real ones.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// As it was recorded of 5.6.3; addresses and sizes are masked.
const SHAPES: &str = include_str!("../data/http-jsonrpc-shapes.txt");

struct Rig {
    machine: Kamailio,
    now: Duration,
    links: u64,
}

const RPC: Link = Link(0);
const LISTENER: Link = Link(1);
const PHONE: ([u8; 4], u16) = ([127, 0, 0, 2], 5060);

impl Rig {
    fn new(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(Profile::V56).with_phones(PHONE.into(), PHONE.into());
        change(&mut options);
        let mut machine = Kamailio::new(options, Duration::ZERO);
        machine.handle(Input::Opened(RPC, Door::Rpc), Duration::ZERO);
        machine.handle(Input::Opened(LISTENER, Door::Events), Duration::ZERO);
        Self { machine, now: Duration::ZERO, links: 2 }
    }

    fn sent(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    fn raw(&mut self, text: &str) -> String {
        self.sent();
        self.machine.handle(Input::Bytes(RPC, text.as_bytes().to_vec()), self.now);
        self.bytes(RPC)
    }

    fn bytes(&mut self, link: Link) -> String {
        let mut text = String::new();
        for output in self.sent() {
            if let Output::Bytes(to, bytes) = output
                && to == link
            {
                text += &String::from_utf8(bytes).expect("it is text");
            }
        }
        text
    }

    fn post(&mut self, body: &str) -> String {
        self.raw(&post(body))
    }

    /// Status line and body of a call.
    fn call(&mut self, method: &str, params: &Value) -> (u16, Value) {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
        let reply = self.post(&body);
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = reply.split("\r\n\r\n").nth(1).expect("a body");
        (status, serde_json::from_str(body).expect("it is JSON"))
    }

    fn result(&mut self, method: &str, params: &Value) -> Value {
        let (status, body) = self.call(method, params);
        assert_eq!(status, 200, "{body}");
        body["result"].clone()
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.handle(Input::Tick, self.now);
        }
        self.now = end;
    }

    fn events(&mut self) -> Vec<Value> {
        let text = self.bytes(LISTENER);
        let mut rest = text.as_str();
        let mut found = Vec::new();
        while let Some((length, more)) = rest.split_once(':') {
            let length: usize = length.parse().expect("a length");
            found.push(serde_json::from_str(&more[..length]).expect("it is JSON"));
            rest = more[length..].strip_prefix(',').expect("a comma");
        }
        found
    }

    /// The phone answers the last INVITE that reached it.
    fn phone_says(&mut self, status: &str) {
        let mut invites = self.sent().into_iter().filter_map(|output| match output {
            Output::Datagram(Door::Sip, to, bytes) if to == SocketAddr::from(PHONE) => {
                String::from_utf8(bytes).ok()
            }
            _ => None,
        });
        let invite = invites.rfind(|text| text.starts_with("INVITE ")).expect("it was called");
        let copied = |line: &&str| {
            ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"].iter().any(|name| line.starts_with(name))
        };
        let head: Vec<&str> = invite.lines().filter(copied).collect();
        let to = invite.lines().find(|line| line.starts_with("To:")).expect("whom");
        let text = format!(
            "SIP/2.0 {status}\r\n{}\r\n{to};tag=tt\r\nContact: <sip:1002@127.0.0.2:5060>\r\nContent-Length: 0\r\n\r\n",
            head.join("\r\n")
        );
        let from = SocketAddr::from(PHONE);
        self.machine.handle(Input::Datagram(Door::Sip, from, text.into_bytes()), self.now);
    }

    fn ringing(&mut self) -> String {
        let call = self.machine.foreign_call("1001", "1002", self.now);
        self.phone_says("180 Ringing");
        call
    }
}

fn post(body: &str) -> String {
    format!(
        "POST /rpc HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer labtoken\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The recorded answers by the title of their question, headers and body.
fn recorded(title: &str) -> String {
    let text = SHAPES.replace("\r\n", "\n");
    let part = text.split("=== ").find(|part| part.lines().next() == Some(title)).expect("it was recorded");
    part.split("<<< reply\n").nth(1).unwrap_or_default().trim().to_owned()
}

/// Without what differs between two runs.
fn masked(reply: &str) -> String {
    let lines =
        reply.lines().filter(|line| !line.starts_with("Sia:") && !line.starts_with("Content-Length:"));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn answers_are_those_that_were_recorded() {
    for (title, body) in [
        ("auth: Basic", r#"{"jsonrpc":"2.0","method":"core.version","id":1}"#),
        ("unknown method", r#"{"jsonrpc": "2.0", "method": "no.such", "id": 1}"#),
        ("missing parameters", r#"{"jsonrpc": "2.0", "method": "dlg.end_dlg", "id": 1}"#),
        (
            "wrong parameter type",
            r#"{"jsonrpc": "2.0", "method": "dlg.end_dlg", "id": 1, "params": ["x", "y"]}"#,
        ),
        ("not found", r#"{"jsonrpc": "2.0", "method": "dlg.end_dlg", "id": 1, "params": [99, 99]}"#),
        (
            "dlg.dlg_list not found",
            r#"{"jsonrpc": "2.0", "method": "dlg.dlg_list", "id": 1, "params": ["nocall", "notag"]}"#,
        ),
        (
            "params as an object",
            r#"{"jsonrpc":"2.0","method":"ul.lookup","params":{"table":"location","aor":"nobody@x"},"id":1}"#,
        ),
        ("batch", r#"[{"jsonrpc":"2.0","method":"core.uptime","id":1}]"#),
    ] {
        let mut rig = Rig::new(|_| {});
        let said = masked(&rig.post(body));
        let (said, recorded) = (sorted(&said), sorted(&masked(&recorded(title))));
        assert_eq!(said, recorded, "{title}");
    }
}

/// Headers in any order, members of the body in any order.
fn sorted(reply: &str) -> (Vec<String>, Value) {
    let mut lines: Vec<String> = reply.lines().map(str::to_owned).collect();
    let body = lines.pop().and_then(|body| serde_json::from_str(&body).ok()).unwrap_or_default();
    lines.sort();
    (lines, body)
}

#[test]
fn what_is_broken_is_never_answered_and_the_connection_stays() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.post("{\"jsonrpc\":\"2.0\","), "");
    assert_eq!(rig.post(""), "");
    assert_eq!(rig.raw("GET /rpc HTTP/1.1\r\nAuthorization: Bearer labtoken\r\n\r\n"), "");
    assert!(rig.post(r#"{"method":"core.uptime","id":1}"#).starts_with("HTTP/1.1 200 OK\r\nSia: "));
}

#[test]
fn ids_come_back_and_two_in_one_piece_are_answered_in_order() {
    let mut rig = Rig::new(|_| {});
    for (id, shown) in [(r#","id":"abc""#, json!("abc")), (r#","id":null"#, json!(0)), ("", Value::Null)] {
        let reply = rig.post(&format!("{{\"method\":\"core.uptime\"{id}}}"));
        let body: Value =
            serde_json::from_str(reply.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
        assert_eq!(body["id"], shown);
    }
    let two =
        [post(r#"{"method":"core.uptime","id":1}"#), post(r#"{"method":"core.uptime","id":2}"#)].concat();
    let replies = rig.raw(&two);
    let (first, second) = (replies.find("\"id\":1"), replies.find("\"id\":2"));
    assert!(first.is_some() && first < second);
}

#[test]
fn who_has_no_right_hears_so_in_plain_text() {
    let mut rig = Rig::new(|_| {});
    let said = masked(&rig.raw(&post("{}").replace("labtoken", "x")));
    assert_eq!(sorted(&said).0, sorted(&masked(&recorded("auth: no credentials"))).0);
    assert_eq!(
        Rig::new(|options| options.login = None).call("core.echo", &json!([1, "x"])).1["result"],
        json!(["1", "x"])
    );
}

#[test]
fn texts_are_no_numbers() {
    let mut rig = Rig::new(|_| {});
    let state = |group: Value| json!(["d", group, "sip:127.0.30.5:5060"]);
    assert_eq!(rig.call("dispatcher.set_state", &state(json!(1))).0, 200);
    assert_eq!(rig.call("dispatcher.set_state", &state(json!("1"))).0, 500);
    let stats = json!(["dialog:"]);
    assert!(rig.result("stats.fetchn", &stats)["dialog.processed_dialogs"].is_u64());
    assert!(rig.result("stats.fetch", &stats)["dialog.processed_dialogs"].is_string());
}

#[test]
fn an_end_of_a_ringing_call_does_nothing_and_tells_of_a_failure() {
    let mut rig = Rig::new(|_| {});
    let call = rig.ringing();
    rig.events();
    let dialog = rig.result("dlg.dlg_list", &json!([call]));
    assert_eq!((&dialog["state"], &dialog["callee"]["tag"]), (&json!(2), &Value::Null));
    rig.sent();
    let body =
        json!({"method": "dlg.end_dlg", "params": [dialog["h_entry"], dialog["h_id"]], "id": 1}).to_string();
    rig.machine.handle(Input::Bytes(RPC, post(&body).into_bytes()), rig.now);
    assert_eq!(rig.events()[0]["event"], "failed");
    assert_eq!(rig.result("dlg.dlg_list", &json!([call]))["state"], 2, "it rings on");
    let cancel = json!([call, dialog["caller"]["cseq"]]);
    assert_eq!(rig.result("tm.cancel", &cancel), json!("branches remaining (waiting for timeout)"));
    assert_eq!(rig.call("tm.cancel", &json!([call, 1])).0, 400, "a number is no text");
}

#[test]
fn an_answered_call_is_ended_on_both_sides_and_lingers() {
    let mut rig = Rig::new(|_| {});
    let call = rig.ringing();
    let again = rig.machine.foreign_call("1001", "1002", rig.now);
    rig.phone_says("200 OK");
    let dialog = rig.result("dlg.dlg_list", &json!([again]));
    assert_eq!(dialog["state"], 3);
    let names = json!([again, dialog["caller"]["tag"], dialog["callee"]["tag"]]);
    rig.sent();
    let body = json!({"method": "dlg.terminate_dlg", "params": names, "id": 1}).to_string();
    rig.machine.handle(Input::Bytes(RPC, post(&body).into_bytes()), rig.now);
    let byes = rig
        .sent()
        .into_iter()
        .filter(|output| matches!(output, Output::Datagram(_, _, bytes) if bytes.starts_with(b"BYE ")));
    assert_eq!(byes.count(), 2);
    assert_eq!(rig.call("dlg.terminate_dlg", &names).0, 404, "a second time there is none");
    assert_eq!(rig.result("dlg.dlg_list", &json!([again]))["state"], 5);
    let briefing = rig.result("dlg.briefing", &json!([]));
    assert_eq!(briefing[0]["from_tag"], briefing[0]["to_tag"], "as on every version that was seen");
    rig.wait(Duration::from_secs(6));
    assert_eq!(rig.result("dlg.dlg_list", &json!([again])), json!({}));
    assert_ne!(call, again);
}

#[test]
fn one_word_kills_it_and_a_restart_forgets_everything_but_routes() {
    let mut rig = Rig::new(|_| {});
    rig.ringing();
    rig.result("htable.seti", &json!(["ifbus", "drain", 1]));
    rig.raw(&post(r#"{"method":"dlg.list_ctx","id":1}"#));
    assert!(!rig.machine.is_open(Door::Rpc) && !rig.machine.is_open(Door::Sip));
    rig.machine.restart(Duration::from_secs(30));
    rig.now = Duration::from_secs(30);
    rig.machine.handle(Input::Opened(Link(9), Door::Rpc), rig.now);
    assert_eq!((rig.machine.live(), rig.machine.proxy.rules.drained), (0, false));
    assert!(rig.machine.is_open(Door::Sip));
}

#[test]
fn a_client_that_does_not_read_stops_sip_and_nothing_else() {
    let mut rig = Rig::new(|_| {});
    rig.machine.handle(Input::Stalled(LISTENER), rig.now);
    rig.machine.foreign_call("1001", "1002", rig.now);
    assert!(rig.sent().iter().all(|output| !matches!(output, Output::Datagram(..))));
    assert_eq!(rig.call("core.uptime", &json!([])).0, 200, "it says that all is well");
    rig.machine.handle(Input::Closed(LISTENER), rig.now);
    rig.machine.foreign_call("1001", "1003", rig.now);
    assert!(rig.sent().iter().any(|output| matches!(output, Output::Datagram(..))));
}

#[test]
fn the_ninth_listener_is_let_in_and_closed() {
    let mut rig = Rig::new(|_| {});
    for _ in 0..8 {
        rig.machine.handle(Input::Opened(Link(rig.links), Door::Events), rig.now);
        rig.links += 1;
    }
    let last = Link(rig.links - 1);
    assert_eq!(rig.sent(), [Output::Close(last)]);
}

#[test]
fn events_are_netstrings_with_a_heartbeat_and_a_restart_is_another_boot() {
    let mut rig = Rig::new(|_| {});
    rig.wait(Duration::from_secs(11));
    let beats = rig.events();
    assert_eq!(beats.len(), 2);
    assert_eq!((&beats[0]["event"], &beats[0]["dialogs"]), (&json!("heartbeat"), &json!("0")));
    rig.ringing();
    let words: Vec<Value> = rig.events().iter().map(|told| told["event"].clone()).collect();
    assert_eq!(words, ["ringing"], "the INVITE was told before");
    rig.machine.kill(rig.now);
    rig.machine.restart(rig.now);
    rig.sent();
    rig.machine.handle(Input::Opened(Link(77), Door::Events), rig.now);
    rig.wait(Duration::from_secs(6));
    let text = rig.bytes(Link(77));
    assert!(
        text.contains("heartbeat") && !text.contains(beats[0]["boot"].as_str().expect("a text")),
        "{text}"
    );
}

#[test]
fn a_frozen_one_answers_later_and_a_refusing_one_resets() {
    let mut rig = Rig::new(|_| {});
    rig.machine.set_faults(Faults { freeze: true, ..Faults::default() }, rig.now);
    assert_eq!(rig.post(r#"{"method":"core.uptime","id":1}"#), "");
    rig.machine.set_faults(Faults::default(), rig.now);
    assert!(rig.bytes(RPC).contains("\"id\":1"));
    rig.machine.set_faults(Faults { refuse: true, ..Faults::default() }, rig.now);
    rig.machine.handle(Input::Opened(Link(50), Door::Rpc), rig.now);
    assert_eq!(rig.sent(), [Output::Reset(Link(50))]);
}

#[test]
fn the_newer_one_knows_more_methods() {
    let count = |profile| {
        let mut rig = Rig::new(|options| options.profile = profile);
        rig.result("system.listMethods", &json!([])).as_array().map_or(0, Vec::len)
    };
    assert!(count(Profile::V61) > count(Profile::V56));
}
