//! The double as a client sees it, beside what was recorded of the real one.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// As it was recorded of 4.0.1.
const RECORDED: &str = include_str!("../data/mi-4.0.1.txt");

const HTTP: Link = Link(0);
const PHONE: ([u8; 4], u16) = ([127, 0, 0, 2], 5060);
const US: ([u8; 4], u16) = ([127, 0, 0, 4], 9001);

struct Rig {
    machine: OpenSips,
    now: Duration,
}

impl Rig {
    fn new(profile: Profile, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(profile).with_phones(PHONE.into(), PHONE.into());
        change(&mut options);
        let mut machine = OpenSips::new(options, Duration::ZERO);
        machine.handle(Input::Opened(HTTP, Door::Http), Duration::ZERO);
        Self { machine, now: Duration::ZERO }
    }

    fn v40() -> Self {
        Self::new(Profile::V40, |_| {})
    }

    fn sent(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    fn raw(&mut self, text: &str) -> String {
        self.machine.handle(Input::Bytes(HTTP, text.as_bytes().to_vec()), self.now);
        let mut said = String::new();
        for output in self.sent() {
            match output {
                Output::Bytes(HTTP, bytes) => said += &String::from_utf8(bytes).expect("text"),
                Output::Close(HTTP) => said += "<closed>",
                _ => {}
            }
        }
        said
    }

    fn post(&mut self, body: &str) -> String {
        let length = body.len();
        self.raw(&format!(
            "POST /mi HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let mut asked = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        if !params.is_null() {
            asked["params"] = params.clone();
        }
        let said = self.post(&asked.to_string());
        let (head, body) = said.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        serde_json::from_str(body).expect("JSON")
    }

    fn datagram(&mut self, body: &str) -> Vec<String> {
        self.machine.handle(Input::Datagram(Door::Mi, US.into(), body.as_bytes().to_vec()), self.now);
        self.datagrams(Door::Mi)
    }

    fn datagrams(&mut self, from: Door) -> Vec<String> {
        let text = |output| match output {
            Output::Datagram(door, _, bytes) if door == from => Some(String::from_utf8(bytes).expect("text")),
            _ => None,
        };
        self.sent().into_iter().filter_map(text).collect()
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.machine.handle(Input::Tick, self.now);
    }

    fn sip(&mut self, from: impl Into<SocketAddr>, text: &str) -> Vec<String> {
        self.machine.handle(Input::Datagram(Door::Sip, from.into(), text.as_bytes().to_vec()), self.now);
        self.datagrams(Door::Sip)
    }

    /// A call of others, as far as its phone has let it come; the events that were told of it.
    fn foreign(&mut self, code: Option<u16>) -> String {
        let call_id = self.machine.foreign_call("1005", "1006", self.now);
        let invite = self.datagrams(Door::Sip).into_iter().find(|text| text.starts_with("INVITE"));
        let invite = invite.expect("it is relayed");
        if let Some(code) = code {
            self.sip(PHONE, &reply(&invite, code));
        }
        call_id
    }

    fn dialogs(&mut self) -> Vec<(String, u64)> {
        let told = self.call("dlg_list", &json!({"index": 0, "counter": 10}));
        let all = told["result"]["Dialogs"].as_array().expect("a list").clone();
        let of = |one: &Value| {
            (one["ID"].as_str().expect("text").to_owned(), one["state"].as_u64().expect("number"))
        };
        all.iter().map(of).collect()
    }
}

fn reply(request: &str, code: u16) -> String {
    let echoed = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"];
    let mut reply = format!("SIP/2.0 {code} x\r\n");
    for line in request.lines() {
        if echoed.iter().any(|name| line.starts_with(name)) {
            reply += &format!("{line}\r\n");
        } else if line.starts_with("To:") {
            reply += &format!("{line};tag=callee\r\n");
        }
    }
    reply + "Contact: <sip:1006@127.0.0.2:5060>\r\nContent-Length: 0\r\n\r\n"
}

#[test]
fn every_recorded_answer_is_given_again() {
    let mut rig = Rig::new(Profile::V40, |options| {
        options.switch = Some("drain".to_owned());
        options.raises = vec!["E_CALL_HOLD", "E_IFBUS_REPLY"];
    });
    let mut seen = 0;
    let mut lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    while let (Some(asked), Some(told)) = (lines.next(), lines.next()) {
        let (asked, told) =
            (asked.strip_prefix(">> ").expect("asked"), told.strip_prefix("<< ").expect("told"));
        let said = rig.post(asked);
        let body = said.split_once("\r\n\r\n").expect("an answer").1;
        let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(parsed(body), parsed(told), "{asked}");
        seen += 1;
    }
    assert_eq!(seen, 33);
}

#[test]
fn http_has_its_oddities() {
    let mut rig = Rig::new(Profile::V40, |options| options.post_max = 1024);
    let version = r#"{"jsonrpc":"2.0","method":"version","id":1}"#;
    assert!(rig.post(r#"{"jsonrpc":"2.0","method":"uptime"}"#).starts_with("HTTP/1.1 202"));
    let long = format!("{version}{}", " ".repeat(1100));
    assert!(rig.post(&long).starts_with("HTTP/1.1 400"));
    assert_eq!(rig.post(&format!("{version}{}", " ".repeat(17_000))), "", "it hangs");
    assert!(rig.raw("GET /mi HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(rig.raw("POST /other HTTP/1.1\r\nContent-Length: 0\r\n\r\n").contains("Unable to parse URL!"));
    assert!(
        rig.raw("POST /mi HTTP/1.1\r\nContent-Type: x/y\r\nContent-Length: 2\r\n\r\n{}")
            .starts_with("HTTP/1.1 400")
    );
    assert_eq!(rig.raw("POST /mi HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), "<closed>");
}

#[test]
fn basic_is_asked_for_from_4_0_on() {
    let login = |options: &mut Options| options.login = Some(("ifbus".to_owned(), "labtoken".to_owned()));
    let version = r#"{"jsonrpc":"2.0","method":"version","id":1}"#;
    assert!(Rig::new(Profile::V40, login).post(version).starts_with("HTTP/1.1 401"));
    assert!(Rig::new(Profile::V36, login).post(version).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_command_that_waits_holds_up_http_and_no_datagram() {
    let mut rig = Rig::v40();
    let wait = r#"{"jsonrpc":"2.0","id":8,"method":"t_uac_dlg","params":{"method":"MESSAGE","ruri":"sip:x@127.0.40.77:5060","headers":"x"}}"#;
    let version = r#"{"jsonrpc":"2.0","method":"version","id":9}"#;
    assert_eq!((rig.post(wait), rig.post(version)), (String::new(), String::new()));
    assert_eq!(rig.datagram(wait), [""; 0]);
    assert!(rig.datagram(version)[0].contains("\"id\":9"));
    rig.pass(Duration::from_millis(5_600));
    let sent = rig.sent();
    let http = sent.iter().filter(|output| matches!(output, Output::Bytes(HTTP, _))).count();
    let late = sent
        .iter()
        .any(|o| matches!(o, Output::Datagram(Door::Mi, _, b) if String::from_utf8_lossy(b).contains("408")));
    assert!(http >= 1 && late, "{sent:?}");
}

#[test]
fn datagrams_say_some_things_in_words() {
    let mut rig = Rig::v40();
    assert_eq!(rig.datagram("{\"jsonrpc\":"), ["400 Parse_error"]);
    assert_eq!(rig.datagram(r#"{"jsonrpc":"2.0","method":"version"}"#), [""; 0]);
    for _ in 0..200 {
        rig.foreign(Some(180));
    }
    let page = |counter: u32| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"dlg_list","params":{{"index":0,"counter":{counter}}},"id":1}}"#
        )
    };
    assert_eq!(rig.datagram(&page(200)), ["500 Internal error"]);
    assert!(rig.datagram(&page(20))[0].contains("\"count\":200"));
}

#[test]
fn old_versions_know_old_names_alone() {
    let mut rig = Rig::new(Profile::V36, |_| {});
    assert_eq!(rig.call("dialog:list", &Value::Null)["error"]["code"], -32_601);
    assert!(rig.call("dlg_list", &Value::Null)["result"].is_object());
    let which = rig.call("which", &Value::Null);
    let names = which["result"].as_array().expect("a list");
    assert!(names.contains(&json!("dlg_list")) && !names.contains(&json!("dialog:list")));
    let mut rig = Rig::v40();
    assert!(rig.call("dialog:list", &Value::Null)["result"].is_object());
}

#[test]
fn a_dialog_goes_through_its_states_and_each_is_told() {
    let mut rig = Rig::v40();
    for event in ["E_DLG_STATE_CHANGED", "E_IFBUS_END"] {
        rig.call("event_subscribe", &json!([event, "udp:127.0.0.4:9001", 60]));
    }
    let call_id = rig.machine.foreign_call("1005", "1006", rig.now);
    let sent = rig.sent();
    let text = |output: &Output| match output {
        Output::Datagram(Door::Sip, _, bytes) => String::from_utf8(bytes.clone()).expect("text"),
        _ => String::new(),
    };
    let all: Vec<String> = sent.iter().map(text).collect();
    assert!(all.iter().any(|text| text.starts_with("SIP/2.0 100 Giving it a try")));
    let invite = all.into_iter().find(|text| text.starts_with("INVITE")).expect("it is relayed");
    let mut steps: Vec<(u64, u64)> = Vec::new();
    let mut ends = 0;
    let mut heard = |rig: &mut Rig| {
        for event in rig.datagrams(Door::Events) {
            let event: Value = serde_json::from_str(&event).expect("JSON");
            assert_eq!(event["params"]["callid"], *call_id);
            match event["method"].as_str() {
                Some("E_DLG_STATE_CHANGED") => {
                    let of = |name: &str| event["params"][name].as_u64().expect("a number");
                    steps.push((of("old_state"), of("new_state")));
                }
                _ => {
                    ends += 1;
                    assert_eq!(event["params"]["reason"], "MI Termination");
                }
            }
        }
    };
    for code in [180, 200] {
        rig.machine
            .handle(Input::Datagram(Door::Sip, PHONE.into(), reply(&invite, code).into_bytes()), rig.now);
        heard(&mut rig);
    }
    let (id, state) = rig.dialogs().remove(0);
    assert_eq!(state, 3, "answered, and nobody acknowledges");
    assert_eq!(rig.call("dlg_end_dlg", &json!({"dialog_id": id}))["result"], "OK");
    rig.pass(Duration::from_millis(1));
    // its end is told between the two
    rig.machine.handle(Input::Tick, rig.now);
    assert_eq!(rig.dialogs()[0].1, 5, "it lingers");
    rig.pass(Duration::from_secs(10));
    assert!(rig.dialogs().is_empty());
    assert_eq!(rig.call("dlg_end_dlg", &json!({"dialog_id": id}))["error"]["code"], 404);
    assert_eq!((steps.as_slice(), ends), (&[(1, 2), (2, 3)][..], 0));
}

#[test]
fn what_is_ended_by_mi_says_so() {
    let mut rig = Rig::v40();
    rig.call("event_subscribe", &json!(["E_IFBUS_END", "udp:127.0.0.4:9001", 60]));
    let call_id = rig.foreign(Some(200));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "dlg_end_dlg", "params": [call_id]}).to_string();
    rig.machine.handle(Input::Datagram(Door::Mi, US.into(), body.into_bytes()), rig.now);
    let sent = rig.sent();
    let has = |door: Door, part: &str| {
        sent.iter().any(|output| {
            matches!(output, Output::Datagram(of, _, bytes)
            if *of == door && String::from_utf8_lossy(bytes).contains(part))
        })
    };
    assert!(has(Door::Mi, "\"OK\"") && has(Door::Events, "MI Termination"), "{sent:?}");
    assert!(has(Door::Sip, "BYE sip:1006@"), "{sent:?}");
}

#[test]
fn a_ringing_call_is_taken_back() {
    let mut rig = Rig::v40();
    let call_id = rig.foreign(Some(180));
    assert_eq!(rig.call("dlg_end_dlg", &json!([call_id]))["result"], "OK");
    let mut rig = Rig::v40();
    let call_id = rig.foreign(Some(180));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "dlg_end_dlg", "params": [call_id]}).to_string();
    rig.machine.handle(Input::Datagram(Door::Mi, US.into(), body.into_bytes()), rig.now);
    assert!(rig.datagrams(Door::Sip).iter().any(|text| text.starts_with("CANCEL")));
}

#[test]
fn subscriptions_end_by_themselves_and_are_forgotten_by_a_restart() {
    let mut rig = Rig::v40();
    rig.call("event_subscribe", &json!(["E_IFBUS_HEARTBEAT", "udp:127.0.0.4:9001", 12]));
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.datagrams(Door::Events).len(), 2);
    let told = rig.call("subscribers_list", &json!({"event": "E_IFBUS_HEARTBEAT"}));
    assert_eq!(told["result"]["Event"]["Subscribers"][0]["ttl"], 2);
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.datagrams(Door::Events).len(), 0, "nobody renewed it");
    let told = rig.call("subscribers_list", &json!({"event": "E_IFBUS_HEARTBEAT"}));
    assert_eq!(told["result"]["Event"]["Subscribers"][0]["ttl"], "expired");
    let since = rig.call("uptime", &Value::Null)["result"]["Up since"].clone();
    rig.machine.kill(rig.now);
    rig.machine.restart(rig.now);
    rig.machine.handle(Input::Opened(HTTP, Door::Http), rig.now);
    let told = rig.call("subscribers_list", &json!({"event": "E_IFBUS_HEARTBEAT"}));
    assert_eq!(told["result"]["Event"]["Subscribers"], json!([]));
    assert_ne!(rig.call("uptime", &Value::Null)["result"]["Up since"], since);
}

#[test]
fn a_drain_refuses_strangers_and_only_where_the_script_asks() {
    let mut rig = Rig::v40();
    assert!(rig.machine.hostile_call("5551234", rig.now));
    rig.call("shv_set", &json!(["ifbus_drain", "int", 1]));
    assert!(!rig.machine.hostile_call("5551234", rig.now));
    rig.call("shv_set", &json!(["ifbus_drain", "int", 0]));
    assert!(rig.machine.hostile_call("5551234", rig.now));
    let mut rig = Rig::new(Profile::V40, |options| options.switch = None);
    assert_eq!(rig.call("shv_get", &json!(["ifbus_drain"]))["error"]["code"], 404);
    rig.call("shv_set", &json!(["ifbus_drain", "int", 1]));
    assert_eq!(rig.call("shv_get", &json!(["ifbus_drain"]))["result"]["VAR"]["value"], 1, "it is made");
    assert!(rig.machine.hostile_call("5551234", rig.now), "and nobody asks for it");
}

#[test]
fn a_503_of_others_goes_through_as_it_is() {
    let mut rig = Rig::v40();
    rig.machine.foreign_call("1005", "1006", rig.now);
    let invite = rig.datagrams(Door::Sip).into_iter().find(|text| text.starts_with("INVITE"));
    let back = rig.sip(PHONE, &reply(&invite.expect("it is relayed"), 503));
    assert!(back.iter().any(|text| text.starts_with("SIP/2.0 503")), "{back:?}");
}
