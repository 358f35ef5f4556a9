//! A fleet that does what a test says, behind the API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ifbus_call::{By, CallId, Cause, ConferenceId, Kind, LegId, RecordingId, Role, Said, ServerName, Verb};
use ifbus_config::{Scope, Secret};
use ifbus_fleet::conference::Room;
use ifbus_fleet::control::Invitation;
use ifbus_fleet::store::Store;
use ifbus_fleet::view::{
    AttemptView, CallView, ConferenceView, EndView, ForeignView, LegView, LinkView, Origin, RecordingStatus,
    RecordingView, ServerState, ServerView, Status, TestReport,
};
use ifbus_fleet::{Acted, Board, Control, Fact, Fleet, Journal, PlaceCall, Problem, Reply, ServerSpec};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::serve::http::error::ProblemBody;
use crate::serve::http::{self, Options, Serving, Stop, Token};
use crate::serve::metrics::Metrics;

pub(super) const BOOT: &str = "b7";
pub(super) const OWN: &str = "ifbus_0000000000000000000000000000000000000000000000000000000000000001";
pub(super) const CANARY: &str = "hunter2-canary";
/// Against a hanging test; what is waited for comes within milliseconds.
pub(super) const GUARD: Duration = Duration::from_secs(30);

/// What the fleet was asked.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Asked {
    Place(PlaceCall),
    Act(CallId, Verb),
    Record(CallId),
    StopRecording(RecordingId),
    CreateConference(ConferenceId, Option<ServerName>),
    Invite(ConferenceId, Invitation),
    Enter(ConferenceId, CallId),
    EndConference(ConferenceId),
    HangUpForeign(LegId),
    Drain(ServerName, bool),
    Add(ServerSpec, Duration),
    Remove(ServerName, bool),
    Test(ServerName),
}

/// What it does when asked.
#[derive(Default)]
pub(super) struct Script {
    pub(super) refuse: Option<Problem>,
    pub(super) panic: bool,
    pub(super) already_so: bool,
}

pub(super) struct Fake {
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) script: Mutex<Script>,
    pub(super) board: Arc<Board>,
    pub(super) journal: Journal,
}

impl Fake {
    pub(super) fn new(events_max: usize) -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            script: Mutex::default(),
            board: Arc::default(),
            journal: Journal::new(BOOT, events_max),
        })
    }

    pub(super) fn fleet(self: &Arc<Self>) -> Fleet {
        Fleet { control: self.clone(), board: Arc::clone(&self.board), journal: self.journal.clone() }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(super) fn refuse(&self, problem: Problem) {
        self.script.lock().unwrap().refuse = Some(problem);
    }

    /// Shows a call as changed, then tells the event: the order the fleet keeps.
    pub(super) fn change(&self, id: CallId, kind: &str, change: impl FnOnce(&mut CallView)) {
        let mut call = CallView::clone(&self.board.call(id).unwrap());
        change(&mut call);
        call.seq += 1;
        let fact = Fact {
            call: Some(id),
            call_seq: Some(call.seq),
            server: call.server.clone(),
            ..Fact::new(kind, Timestamp::now(), "changed")
        };
        self.board.show_call(call);
        self.journal.append(fact);
    }

    pub(super) fn end(&self, id: CallId, cause: Cause) {
        self.change(id, "call.ended", |call| end(call, cause));
    }

    fn reply<T: Send + 'static>(&self, asked: Asked, answer: impl FnOnce(&Script) -> T) -> Reply<T> {
        self.asked.lock().unwrap().push(asked);
        let script = self.script.lock().unwrap();
        assert!(!script.panic, "as the test asked");
        let reply = match &script.refuse {
            Some(problem) => Err(problem.clone()),
            None => Ok(answer(&script)),
        };
        Box::pin(std::future::ready(reply))
    }
}

impl Control for Fake {
    fn place(&self, call: PlaceCall) -> Reply<CallView> {
        self.reply(Asked::Place(call.clone()), |_| {
            let mut view = view(u64::try_from(Timestamp::now().as_millisecond()).unwrap(), 7);
            (view.from, view.to) = (call.from, call.to);
            view.id = call.id.unwrap_or(view.id);
            self.board.show_call(view.clone());
            view
        })
    }

    fn act(&self, call: CallId, verb: Verb) -> Reply<Acted> {
        self.reply(Asked::Act(call, verb), |script| {
            let mut view = CallView::clone(&self.board.call(call).unwrap());
            if !script.already_so {
                view.verb = Some("hold".to_owned());
                self.board.show_call(view.clone());
            }
            Acted { call: view, already_so: script.already_so }
        })
    }

    fn record(&self, call: CallId) -> Reply<RecordingView> {
        self.reply(Asked::Record(call), |_| {
            let view = recording(call, RecordingStatus::Recording);
            self.board.show_recording(view.clone());
            view
        })
    }

    fn stop_recording(&self, recording: RecordingId) -> Reply<RecordingView> {
        self.reply(Asked::StopRecording(recording), |_| {
            let mut view = RecordingView::clone(&self.board.recording(recording).unwrap());
            view.status = RecordingStatus::Stopping;
            view
        })
    }

    fn create_conference(&self, id: ConferenceId, server: Option<ServerName>) -> Reply<ConferenceView> {
        self.reply(Asked::CreateConference(id.clone(), server.clone()), |_| {
            let server = server.unwrap_or_else(|| name("pbx1"));
            self.board.show_room(Room { id: id.clone(), server, created_at: Timestamp::UNIX_EPOCH });
            self.board.conference(&id).unwrap()
        })
    }

    fn invite(&self, conference: ConferenceId, invitation: Invitation) -> Reply<CallView> {
        self.reply(Asked::Invite(conference.clone(), invitation), |_| {
            let mut view = view(u64::try_from(Timestamp::now().as_millisecond()).unwrap(), 9);
            view.conference = Some(conference);
            self.board.show_call(view.clone());
            view
        })
    }

    fn enter(&self, conference: ConferenceId, call: CallId) -> Reply<Acted> {
        self.reply(Asked::Enter(conference, call), |_| {
            let view = CallView::clone(&self.board.call(call).unwrap());
            Acted { call: view, already_so: false }
        })
    }

    fn end_conference(&self, id: ConferenceId) -> Reply<ConferenceView> {
        self.reply(Asked::EndConference(id.clone()), |_| self.board.conference(&id).unwrap())
    }

    fn hang_up_foreign(&self, leg: LegId) -> Reply<ForeignView> {
        self.reply(Asked::HangUpForeign(leg), |_| foreign("PJSIP/1007-00000001", &leg.to_string()))
    }

    fn drain(&self, server: ServerName, on: bool) -> Reply<ServerView> {
        self.reply(Asked::Drain(server.clone(), on), |_| {
            ServerView::clone(&self.board.server(&server).unwrap())
        })
    }

    fn add_server(&self, spec: ServerSpec, wait: Duration) -> Reply<ServerView> {
        self.reply(Asked::Add(spec.clone(), wait), |_| {
            let view = server(spec.name.as_str(), ServerState::Up);
            self.board.show_server(view.clone());
            view
        })
    }

    fn remove_server(&self, name: ServerName, even_with_calls: bool) -> Reply<()> {
        self.reply(Asked::Remove(name, even_with_calls), |_| ())
    }

    fn test_server(&self, name: ServerName) -> Reply<TestReport> {
        self.reply(Asked::Test(name.clone()), |_| TestReport {
            server: name,
            ok: true,
            reachable: true,
            findings: Vec::new(),
            took_s: 0.1,
        })
    }
}

// === views ===

pub(super) fn view(born_ms: u64, random: u128) -> CallView {
    let id = CallId::new(born_ms, random);
    let at = Timestamp::from_millisecond(i64::try_from(born_ms).unwrap()).unwrap();
    CallView {
        server: Some(name("pbx1")),
        legs: vec![leg(Role::A, "dialing")],
        attempts: vec![AttemptView {
            server: name("pbx1"),
            chosen: "the only one".to_owned(),
            at,
            ended: None,
        }],
        seq: 1,
        ..CallView::new(id, "1001".parse().unwrap(), "1002".parse().unwrap(), at)
    }
}

pub(super) fn recording(call: CallId, status: RecordingStatus) -> RecordingView {
    RecordingView {
        id: RecordingId::new(1, 1),
        object: "recording".to_owned(),
        call,
        server: name("pbx1"),
        status,
        segments: 1,
        created_at: Timestamp::UNIX_EPOCH,
        stopped_at: None,
        bytes: None,
        seconds: None,
        sha256: None,
        why: None,
    }
}

pub(super) fn leg(role: Role, stage: &str) -> LegView {
    LegView {
        role,
        party: "1001".parse().unwrap(),
        stage: stage.to_owned(),
        muted: Vec::new(),
        in_conference: false,
    }
}

pub(super) fn end(call: &mut CallView, cause: Cause) {
    let end = EndView { class: cause, by: By::Us, role: None, server_said: Said::default() };
    call.status = Status::of_end(cause);
    call.cause = Some(end.clone());
    if let Some(attempt) = call.attempts.last_mut() {
        attempt.ended = Some(end);
    }
    call.ended_at = Some(Timestamp::now());
    call.legs.clear();
    call.verb = None;
}

pub(super) fn server(called: &str, state: ServerState) -> ServerView {
    ServerView {
        name: name(called),
        object: "server".to_owned(),
        kind: Kind::Asterisk,
        host: "192.0.2.10".to_owned(),
        port: 5038,
        origin: Origin::Cli,
        version: Some("22.10.1".to_owned()),
        state,
        note: None,
        interfaces: Vec::new(),
        calls: 0,
        drain: None,
        foreign: 1,
        capacity: 500,
        cps_max: 50.0,
        load: Default::default(),
        figures: Default::default(),
        link: LinkView { epoch: 1, up_since: None },
        warnings: Vec::new(),
        certificates: Vec::new(),
    }
}

pub(super) fn foreign(native: &str, id: &str) -> ForeignView {
    ForeignView {
        id: id.to_owned(),
        server: name("pbx1"),
        native: native.to_owned(),
        party: "1007".to_owned(),
        stage: "up".to_owned(),
        conference: None,
    }
}

pub(super) fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

pub(super) fn fact(kind: &str, call: Option<CallId>, server: &str) -> Fact {
    Fact { call, server: Some(name(server)), ..Fact::new(kind, Timestamp::now(), "told") }
}

// === the API ===

pub(super) fn tokens() -> Vec<Token> {
    let mut tokens = vec![Token::with_every_right("own", Secret::new(OWN))];
    for scope in Scope::ALL {
        tokens.push(Token::new(scope.as_str(), Secret::new(token_of(scope)), &[scope]));
    }
    tokens
}

/// The token that has this right and no other.
pub(super) fn token_of(scope: Scope) -> String {
    format!("token-with-{}", scope.as_str())
}

pub(super) fn options(fake: &Fake) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        hosts: vec!["ifbus.example.net".to_owned()],
        tokens: tokens(),
        connections: 100,
        boot: BOOT.to_owned(),
        metrics: Metrics::new(Arc::clone(&fake.board), "0.0.0"),
        store: Store::forgetful(),
        recordings: std::env::temp_dir().join("ifbus-no-recordings"),
        reload: http::reloading(None),
    }
}

/// The API on a socket of its own, gone when dropped.
pub(super) struct Served {
    pub(super) fake: Arc<Fake>,
    pub(super) address: SocketAddr,
    pub(super) stop: Stop,
    pub(super) ready: watch::Sender<bool>,
    pub(super) metrics: Arc<Metrics>,
}

pub(super) fn serve() -> Served {
    serve_keeping(1_000)
}

pub(super) fn serve_keeping(events_max: usize) -> Served {
    serve_with(events_max, |_| {})
}

pub(super) fn serve_with(events_max: usize, change: impl FnOnce(&mut Options)) -> Served {
    let fake = Fake::new(events_max);
    fake.board.show_server(server("pbx1", ServerState::Up));
    let ready = watch::Sender::new(false);
    let mut options = options(&fake);
    change(&mut options);
    let metrics = Arc::clone(&options.metrics);
    let Serving { address, server, stop } = http::server(fake.fleet(), ready.subscribe(), options).unwrap();
    actix_web::rt::spawn(server);
    Served { fake, address, stop, ready, metrics }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of the problem this answer is; everything a problem must have is there.
    pub(super) fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        let body: ProblemBody = serde_json::from_str(&self.text).unwrap();
        assert_eq!(body.status, self.status, "{}", self.text);
        assert_eq!(body.request_id, self.headers["x-request-id"], "{}", self.text);
        assert!(body.request_id.starts_with("r_"));
        let code = body.code.as_str().to_owned();
        assert_eq!(body.r#type, format!("urn:ifbus:problem:{}", code.replace('_', "-")));
        assert_eq!(body.help, format!("/problems/{code}"));
        assert!(!body.detail.is_empty() && !body.detail.contains('\u{1b}'), "{}", body.detail);
        code
    }

    pub(super) fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

impl Served {
    /// Sends a request with our own token.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &[("Authorization", &format!("Bearer {OWN}"))], body.as_bytes()).await
    }

    /// Sends a request with these headers; a Host header is added if there is none.
    pub(super) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut connection = self.begin(method, path, headers, Some(body.len())).await;
        // A refusal may come, and the connection end, before all of a body was taken.
        let _ = connection.write_all(body).await;
        let read = timeout(GUARD, read_answer(&mut connection)).await;
        let bytes = read.expect("the answer came");
        answer(&bytes)
    }

    /// Connects and sends the head of a request.
    pub(super) async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> TcpStream {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        connection.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        connection
    }
}

/// Reads until the length that was announced, or the end: after a refusal the server keeps its side open for a while.
async fn read_answer(connection: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut more) = (Vec::new(), vec![0; 65_536]);
    loop {
        let whole = bytes.windows(4).position(|four| four == b"\r\n\r\n").is_some_and(|_| {
            let answer = answer(&bytes);
            answer.headers.get("content-length").is_some_and(|length| length.parse() == Ok(answer.text.len()))
        });
        let read = if whole { 0 } else { connection.read(&mut more).await.unwrap_or(0) };
        if read == 0 {
            return bytes;
        }
        bytes.extend_from_slice(&more[..read]);
    }
}

/// Takes an HTTP/1.1 answer apart that ends with the connection or its length.
pub(super) fn answer(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, text: body.to_owned() }
}

/// Waits until something is so.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + GUARD;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        sleep(Duration::from_millis(2)).await;
    }
}
