//! A pretended orchestrator: answers what a test says, remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ifbus_call::{By, CallId, Cause, Kind, Said};
use ifbus_fleet::view::{AttemptView, CallView, EndView, LinkView, Origin, ServerState, ServerView, Status};
use serde_json::{Value, json};

/// What came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// What goes out.
pub enum Reply {
    Json(u16, Value),
    /// The connection ends without an answer.
    Nothing,
    /// A text that is no JSON of ours.
    Text(u16, &'static str),
    /// A stream: its blocks, then silence until the client leaves.
    Stream(String),
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// It, listening until the test ends.
pub struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub fn new(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, seen): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream.unwrap(), &*script, &seen));
            }
        });
        Self { url, asked }
    }

    /// The requests so far, as `METHOD path`.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The body of the only POST.
    pub fn posted(&self) -> Value {
        let posts: Vec<Request> =
            self.requests().into_iter().filter(|request| request.method == "POST").collect();
        assert_eq!(posts.len(), 1, "{posts:?}");
        posts[0].body.clone()
    }
}

fn serve(mut stream: TcpStream, script: &Script, asked: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        asked.lock().unwrap().push(request.clone());
        let (status, kind, body) = match script(&request) {
            Reply::Json(status, body) => (status, "application/json", body.to_string()),
            Reply::Nothing => return,
            Reply::Text(status, body) => (status, "text/html", body.to_owned()),
            Reply::Stream(blocks) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = write!(stream, "{head}{:x}\r\n{blocks}\r\n", blocks.len());
                let _ = reader.read(&mut [0]); // until the client leaves
                return;
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Request { method, path, headers, body })
}

// === what it tells of ===

pub const ID: &str = "c_01KAQ4ZT8M3XHWE9P6S2K5DQ2M";

pub fn call(status: Status) -> CallView {
    let time = "2026-11-22T10:52:00Z".parse().unwrap();
    CallView {
        status,
        server: Some("pbx1".parse().unwrap()),
        attempts: vec![AttemptView {
            server: "pbx1".parse().unwrap(),
            chosen: "the only eligible one".to_owned(),
            at: time,
            ended: None,
        }],
        answered_at: (status == Status::InProgress).then(|| "2026-11-22T10:52:05.300Z".parse().unwrap()),
        seq: 1,
        ..CallView::new(ID.parse::<CallId>().unwrap(), "1001".parse().unwrap(), "1002".parse().unwrap(), time)
    }
}

pub fn ended(status: Status, cause: Cause) -> CallView {
    let end = EndView {
        class: cause,
        by: By::Party,
        role: None,
        server_said: Said::new(Some(486), "Busy\x1b[31m Here"),
    };
    let mut call = call(status);
    call.attempts[0].ended = Some(end.clone());
    call.cause = Some(end);
    call.ended_at = Some("2026-11-22T10:52:04Z".parse().unwrap());
    call
}

pub fn server(name: &str, state: ServerState, calls: u32) -> ServerView {
    ServerView {
        name: name.parse().unwrap(),
        object: "server".to_owned(),
        kind: Kind::Asterisk,
        host: "192.0.2.10".to_owned(),
        port: 5038,
        origin: Origin::Cli,
        version: Some("22.5.1".to_owned()),
        state,
        note: (state == ServerState::Down).then(|| "management: login refused".to_owned()),
        interfaces: Vec::new(),
        drain: None,
        calls,
        foreign: 3,
        capacity: 200,
        cps_max: 50.0,
        load: ifbus_call::Load::default(),
        figures: Default::default(),
        link: LinkView { epoch: 1, up_since: None },
        warnings: Vec::new(),
        certificates: Vec::new(),
    }
}

pub fn list(data: impl serde::Serialize) -> Reply {
    Reply::Json(
        200,
        json!({"object": "list", "data": data, "next_cursor": null, "as_of": "2026-11-22T10:52:07Z"}),
    )
}

pub fn event(seq: u64, kind: &str, time: &str, text: &str) -> String {
    let data = json!({
        "id": format!("b1-{seq}"), "seq": seq, "type": kind, "time": format!("2026-11-22T10:52:{time}Z"),
        "call_seq": seq, "call": ID, "server": "pbx1", "text": text,
    });
    format!("id: b1-{seq}\nevent: {kind}\ndata: {data}\n\n")
}

pub fn order(status: &str, call: &CallView, result: Option<(&str, &str)>) -> Value {
    let result = result.map(|(kind, text)| {
        json!({"id": "b1-9", "seq": 9, "type": kind, "time": "2026-11-22T10:52:06Z", "call": ID, "text": text})
    });
    json!({"object": "order", "verb": "hold", "status": status, "call": call, "result": result})
}

pub fn problem(code: ifbus_fleet::Code, detail: &str) -> Reply {
    let body = json!({
        "type": format!("urn:ifbus:problem:{}", code.as_str().replace('_', "-")), "title": code.title(),
        "status": code.status(), "detail": detail, "code": code.as_str(), "param": null, "suggestions": [],
        "skipped": [], "exit": code.exit(),
    });
    Reply::Json(code.status(), body)
}
