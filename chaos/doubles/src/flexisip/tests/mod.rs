//! The machine against what was recorded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use super::*;

/// Four calls of a 2.7.0-alpha, as they were pushed.
const RECORDED: &str = include_str!("../data/event-push-http2.txt");

fn phone() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 7], 5060))
}

fn server(profile: Profile) -> (Flexisip, Receiver<Push>) {
    let mut machine = Flexisip::new(Options::new(profile).with_phones(phone()), Duration::ZERO);
    let (sender, pushes) = channel();
    machine.push_to(sender);
    (machine, pushes)
}

fn told(pushes: &Receiver<Push>) -> Vec<(String, String, Value)> {
    let events = pushes.try_iter().filter_map(|push| match push {
        Push::Event { method, path, body, .. } => {
            Some((method.to_owned(), path, serde_json::from_str(&body).expect("it is JSON")))
        }
        Push::Die => None,
    });
    events.collect()
}

/// The reply of a phone to the newest request that reached it.
fn replied(machine: &mut Flexisip, code: &str) {
    let mut request = None;
    while let Some(output) = machine.poll() {
        if let Output::Datagram(Door::Sip, to, bytes) = output
            && to == phone()
        {
            request = Some(String::from_utf8(bytes).expect("it is text"));
        }
    }
    let request = request.expect("the phone was reached");
    let mut reply = format!("SIP/2.0 {code}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "Via" | "Record-Route" | "From" | "Call-ID" | "CSeq" => reply.push_str(&format!("{line}\r\n")),
            "To" => reply.push_str(&format!("{line};tag=phone\r\n")),
            _ => {}
        }
    }
    reply.push_str("Contact: <sip:1002@127.0.0.7:5060>\r\nContent-Length: 0\r\n\r\n");
    machine.handle(Input::Datagram(Door::Sip, phone(), reply.into_bytes()), Duration::from_millis(5));
}

/// The keys of every recorded body, by method and end of path.
fn recorded_shapes() -> BTreeMap<String, Vec<String>> {
    let (mut shapes, mut head) = (BTreeMap::new(), String::new());
    for line in RECORDED.lines() {
        if let Some((_, request)) = line.split_once("HTTP/2 ") {
            head = request.to_owned();
        } else if line.starts_with('{') {
            let body: Value = serde_json::from_str(line).expect("it is JSON");
            shapes.insert(shape(&head, &body), keys(&body));
        }
    }
    shapes
}

fn shape(head: &str, body: &Value) -> String {
    let method = head.split(' ').next().unwrap_or_default();
    let first = keys(body).into_iter().find(|key| key.ends_with("_at") || key == "invite_terminated");
    let first = if method == "POST" { None } else { first };
    format!("{method} device={} {}", head.contains("/devices/\"<urn:uuid:"), first.unwrap_or_default())
}

fn keys(body: &Value) -> Vec<String> {
    body.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn what_is_pushed_has_the_shapes_of_the_recording() {
    let (mut machine, pushes) = server(Profile::V27);
    machine.foreign_call("alice", "1002", Duration::ZERO);
    replied(&mut machine, "180 Ringing");
    machine.foreign_call("alice", "1003", Duration::ZERO);
    replied(&mut machine, "486 Busy Here");
    let recorded = recorded_shapes();
    let told = told(&pushes);
    assert_eq!(told.len(), 4, "{told:?}");
    for (method, path, body) in told {
        let shape = shape(&format!("{method} {path}"), &body);
        assert_eq!(recorded.get(&shape), Some(&keys(&body)), "{shape}");
    }
}

#[test]
fn nobody_is_told_of_a_callee_that_is_not_registered() {
    let (mut machine, pushes) = server(Profile::V27);
    machine.foreign_call("alice", "ghost", Duration::ZERO);
    assert!(told(&pushes).is_empty());
}

#[test]
fn an_older_one_names_no_call_id() {
    let (mut machine, pushes) = server(Profile::V23);
    machine.foreign_call("alice", "1002", Duration::ZERO);
    let told = told(&pushes);
    assert!(told[0].2.get("sip_call_id").is_none());
}

#[test]
fn the_account_manager_answers_as_its_routes_do() {
    let (mut machine, _) = server(Profile::V27);
    machine.handle(Input::Opened(Link(1), Door::Api), Duration::ZERO);
    let mut ask = |path: &str, host: &str, header: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n");
        machine.handle(Input::Bytes(Link(1), request.into_bytes()), Duration::ZERO);
        let mut said = Vec::new();
        while let Some(output) = machine.poll() {
            if let Output::Bytes(_, bytes) = output {
                said.extend(bytes);
            }
        }
        String::from_utf8(said).expect("it is text")
    };
    let key = "x-api-key: 0123456789012345678901234567890123456789\r\n";
    let host = "127.0.0.1:8080";
    assert!(ask("/api/ping", host, "").ends_with("pong"));
    assert!(ask("/api/ping", "other", "").ends_with("Host not configured"));
    assert!(ask("/api/accounts", host, "Authorization: Bearer x\r\n").starts_with("HTTP/1.1 302"));
    assert!(ask("/api/accounts", host, "x-api-key: wrong\r\n").ends_with("Invalid API Key"));
    assert!(ask("/api/accounts", host, key).contains("\"total\":1"));
    assert!(ask("/api/accounts/ifbus@lab.test/search", host, key).contains("\"id\":1"));
    assert!(ask("/api/accounts/ghost@lab.test/search", host, key).contains("SIP address not found"));
    assert!(ask("/api/accounts/1/devices", host, key).ends_with("{}"));
}
