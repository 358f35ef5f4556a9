//! Hostile text in every field that takes one: refused in words, or carried without harm. Never a byte on a wire that
//! changes its framing, never raw in a log or on a terminal.
//!
//! What was said to the server is recorded on the way and read again by a parser of this test's own.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use serde_json::{Value, json};

use crate::process::{self, Ran};
use crate::rig::{Rig, SECRET, words_of, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("injection_by_every_field_of_the_api", On::OneDouble, by_api),
    ("injection_by_every_word_of_the_command_line", On::OneDouble, by_command_line),
    ("injection_by_every_key_of_the_configuration", On::OneDouble, by_configuration),
    ("injection_by_callers_is_shown_and_not_obeyed", On::OneDouble, by_callers),
];

/// What nobody writes in good faith. Each begins like something valid, so that only the rest can be its fault.
const CORPUS: &[&str] = &[
    "1001\r\nAction: Originate\r\nApplication: System",
    "1001\r\n\r\nAction: Logoff\r\n\r\n",
    "1001\nX-Smuggled: yes",
    "1001\rX",
    "1001\tup\tX",
    "1001\0",
    "\0",
    "1001\u{1b}[2J\u{1b}]0;owned\u{7}",
    "1001\u{8}\u{8}\u{8}\u{8}root",
    "1001\u{7f}",
    "1001\u{9b}2J",
    "1001\u{202e}0001",
    "10\u{200b}01\u{feff}",
    "\u{2066}1001\u{2069}",
    "1001\u{2028}X",
    "\u{ff11}\u{ff10}\u{ff10}\u{ff11}",
    "\u{0430}dmin",
    "1001\"",
    "1001'; DROP TABLE calls; --",
    "1001\\",
    "${SHELL(id)}",
    "1001,20,b(x)",
    "1001&PJSIP/1002",
    "1001|1002",
    "1001;1002",
    "`id`",
    "$(id)",
    "1001 1002",
    "%0d%0aX: y",
    "%zz%",
    "../../etc/passwd",
    "/^PJSIP/",
    "-1001",
    "--json",
    "<script>alert(1)</script>",
    "{\"a\":1}",
    "sip:a@b\r\nX: y",
    "sip:a@b;x=y?z=1",
    "sip:%0d%0a@b",
    "Local/1001@ifbus",
    "",
    " ",
];

fn corpus() -> Vec<String> {
    let long = ["1", "a", "\u{1f4a9}"].map(|one| one.repeat(5000 / one.len()));
    CORPUS.iter().map(|text| (*text).to_owned()).chain(long).collect()
}

/// Characters that a terminal obeys or that make text look like another; our own columns and lines apart.
fn is_raw(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[track_caller]
fn is_harmless(what: &str, text: &str) {
    if let Some(c) = text.chars().find(|c| is_raw(*c)) {
        panic!("{c:?} came raw in {what}: {text:?}");
    }
}

// --- the wire ---

/// A port before another one, that remembers what clients say.
struct Tap {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    fn before(inside: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let at = listener.local_addr().expect("it is bound");
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let all = Arc::clone(&heard);
        // Ends with the program; a connection ends with its ends.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(inside) else { continue };
                let number = {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(Vec::new());
                    all.len() - 1
                };
                let [from, to] =
                    [&client, &server].map(|end| end.try_clone().expect("a socket can be shared"));
                let all = Arc::clone(&all);
                std::thread::spawn(move || {
                    carry(from, to, |bytes| {
                        all.lock().unwrap_or_else(PoisonError::into_inner)[number].extend_from_slice(bytes);
                    });
                });
                std::thread::spawn(move || carry(server, client, |_| {}));
            }
        });
        Self { at, heard }
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8])) {
    let mut buffer = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        note(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other direction ends with it, if it has not.
    let _ = to.shutdown(Shutdown::Both);
}

/// A double behind two taps.
struct Wire {
    rig: Rig,
    _double: AsteriskServer,
    ami: Tap,
    http: Tap,
    /// The manager port of another double, for servers that are added on the way.
    other: Tap,
    _other: AsteriskServer,
}

impl Wire {
    fn open() -> Self {
        let double =
            AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports");
        let (ami, http) = (Tap::before(double.ami()), Tap::before(double.http()));
        let second =
            AsteriskServer::start(Bind::default(), Options::new(Profile::V16)).expect("loopback has ports");
        let other = Tap::before(second.ami());
        let rig = Rig::simple();
        let wire = Self { rig, _double: double, ami, http, other, _other: second };
        wire.rig.ifbus(&wire.add("pbx1")).ends(0);
        wire
    }

    fn add(&self, name: &str) -> String {
        let auth = format!("user=ifbus,secret={SECRET}");
        let words = words_of(name, self.ami.at, self.http.at.port(), &auth);
        format!("{words} --set sip=off --set dial_uri=PJSIP/trunk/{{uri}} --set dial_e164=PJSIP/{{n}}@trunk")
    }

    /// Every byte that went to the server is an action or a request of ours, whole and with known keys.
    fn is_framed(&self) {
        let mut actions = 0;
        for connection in self.ami.heard().into_iter().chain(self.other.heard()) {
            let text = String::from_utf8(connection).expect("actions are UTF-8");
            // The last one may be on its way.
            let whole = text.rfind("\r\n\r\n").map_or("", |end| &text[..end + 4]);
            for action in whole.split_terminator("\r\n\r\n") {
                actions += 1;
                is_an_action(action);
            }
        }
        assert!(actions > 10, "something was said");
        for connection in self.http.heard() {
            is_a_request(&connection);
        }
    }

    /// The log has no character that a terminal obeys.
    fn is_logged_harmlessly(&self) {
        let log = fs::read_to_string(self.rig.data().join("orchestrator.log")).expect("there is a log");
        assert!(!log.is_empty());
        is_harmless("the log", &log);
        assert!(!log.contains("panicked"), "{log}");
    }
}

fn is_an_action(action: &str) {
    const KEYS: [&str; 43] = [
        "Action",
        "ActionID",
        "AuthType",
        "Username",
        "Key",
        "Secret",
        "Events",
        "EventMask",
        "Operation",
        "Filter",
        "Channel",
        "ChannelId",
        "Context",
        "Exten",
        "Priority",
        "Timeout",
        "Async",
        "CallerID",
        "Variable",
        "Codecs",
        "Channel1",
        "Channel2",
        "Tone",
        "ExtraChannel",
        "ExtraContext",
        "ExtraExten",
        "ExtraPriority",
        "Cause",
        "Digit",
        "Duration",
        "Direction",
        "State",
        "Variables",
        "Extension",
        "UserEvent",
        "Marker",
        "AllVariables",
        "Receive",
        "Conference",
        "File",
        "Options",
        "MixMonitorID",
        "Value",
    ];
    for (number, line) in action.split("\r\n").enumerate() {
        let (key, value) =
            line.split_once(": ").unwrap_or_else(|| panic!("no key in {line:?} of {action:?}"));
        assert!(KEYS.contains(&key), "{key:?} in {action:?}");
        assert_eq!(number == 0, key == "Action", "{action:?}");
        assert!(!value.chars().any(char::is_control), "{action:?}");
        assert!(!value.contains("${") && !value.contains("SHELL("), "{action:?}");
    }
}

/// One or more requests of HTTP, up to the first WebSocket frame.
fn is_a_request(bytes: &[u8]) {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let words: Vec<&str> = first.split(' ').collect();
    assert!(
        matches!(words[..], ["GET" | "PUT" | "POST" | "DELETE", path, "HTTP/1.1"] if path.starts_with("/ari/")),
        "{head}"
    );
    const NAMES: [&str; 12] = [
        "host",
        "accept",
        "authorization",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "content-type",
        "content-length",
        "date",
        "accept-encoding",
        "user-agent",
    ];
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no name in {line:?}"));
        assert!(NAMES.contains(&name.to_ascii_lowercase().as_str()), "{name:?} in {head}");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().expect("a length");
        }
    }
    if !head.to_ascii_lowercase().contains("upgrade: websocket") && bytes.len() >= end + 4 + length {
        is_a_request(&bytes[end + 4 + length..]);
    }
}

// --- the API ---

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn by_api(_: &Target) -> Result<(), Skipped> {
    let wire = Wire::open();
    let api = wire.rig.api();
    let call = wire.rig.talk_on("pbx1", "1001", "1002");
    let place = json!({ "from": "1003", "to": "1004", "server": "pbx1", "caller_id": "1005" });
    let server = json!({
        "name": "x", "kind": "asterisk", "host": "127.0.0.1", "port": wire.other.at.port(),
        "auth": { "user": "ifbus", "secret": SECRET }, "set": { "sip": "off", "ari_port": "0" }, "tags": {},
    });
    let conference = json!({ "id": "standup", "server": "pbx1" });
    assert_eq!(api.post("/v1/conferences", &conference).status, 201);
    let verbs = [
        ("hold", json!({ "leg": "b" })),
        ("mute", json!({ "leg": "a", "direction": "in" })),
        ("unmute", json!({ "leg": "a", "direction": "in" })),
        ("dtmf", json!({ "digits": "1", "leg": "b" })),
        ("transfer", json!({ "to": "1009", "mode": "blind", "leg": "a" })),
    ];
    let mut carried = BTreeSet::new();
    for text in corpus() {
        let mut asked = Vec::new();
        let fields = |path: &str, body: &Value| {
            let keys: Vec<String> = body.as_object().expect("an object").keys().cloned().collect();
            let texts = keys.into_iter().filter(|key| body[key.as_str()].is_string());
            texts
                .map(|key| {
                    let mut bad = body.clone();
                    bad[&key] = json!(text);
                    (path.to_owned(), key, bad)
                })
                .collect::<Vec<_>>()
        };
        asked.extend(fields("/v1/calls", &place));
        asked.extend(fields("/v1/servers", &server));
        asked.extend(fields("/v1/conferences", &conference));
        asked
            .extend(fields("/v1/conferences/standup/members", &json!({ "to": "1003", "caller_id": "1005" })));
        asked.extend(fields("/v1/conferences/standup/members", &json!({ "call": call })));
        asked.push((
            "/v1/conferences/standup/members".to_owned(),
            "a key".to_owned(),
            json!({ &text: "1003" }),
        ));
        for (verb, body) in &verbs {
            asked.extend(fields(&format!("/v1/calls/{call}/{verb}"), body));
        }
        // keys, and values of maps
        for map in ["auth", "set", "tags"] {
            for (key, value) in [
                (text.as_str(), "x"),
                ("secret", &text),
                ("context", &text),
                ("tls", &text),
                ("dial_uri", &text),
            ] {
                let mut bad = server.clone();
                bad[map][key] = json!(value);
                asked.push(("/v1/servers".to_owned(), format!("{map}.{key}"), bad));
            }
        }
        let mut strange = place.clone();
        strange[&text] = json!("x");
        asked.push(("/v1/calls".to_owned(), "a key".to_owned(), strange));
        for (path, field, body) in asked {
            let answer = api.ask("POST", &path, "Prefer: wait=0\r\n", Some(&body));
            let what = format!("{field} of {path} with {text:?}");
            assert!(answer.status < 500, "{what}: {}", answer.raw);
            is_harmless(&what, &answer.raw.replace("\r\n", "\n"));
            if answer.status < 300 {
                carried.insert(field.clone());
                if field == "set.context" {
                    // The one setting that goes out by itself: every waiting place is asked for in it.
                    let tested = api.post("/v1/servers/x/test", &json!({}));
                    assert_eq!(tested.status, 200, "{what}: {}", tested.raw);
                    is_harmless(&what, &tested.raw.replace("\r\n", "\n"));
                }
            } else {
                assert!(answer.json()["code"].is_string(), "{what}: {}", answer.raw);
            }
        }
        let bits = encoded(&text);
        for path in [
            format!("/v1/calls/{bits}"),
            format!("/v1/servers/{bits}"),
            format!("/v1/calls?status={bits}"),
            format!("/v1/calls?server={bits}&cursor={bits}&limit={bits}"),
            format!("/v1/events?type={bits}"),
            format!("/v1/events?call={bits}&server={bits}"),
            format!("/problems/{bits}"),
            format!("/{bits}"),
            format!("/v1/calls?{bits}=1"),
            format!("/v1/conferences/{bits}"),
            format!("/v1/recordings/{bits}"),
            format!("/v1/recordings/{bits}/file"),
        ] {
            if text.len() > 1000 {
                continue; // longer than a request line may be: refused by the server before any code of ours
            }
            // The empty one may mean a list.
            let answer = api.get(&path);
            assert!(answer.status < 500, "{path}: {}", answer.raw);
            if answer.status >= 400 {
                is_harmless(&path, &answer.raw.replace("\r\n", "\n"));
            }
        }
        for method in ["DELETE", "POST"] {
            if text.is_empty() || text.len() > 1000 {
                continue;
            }
            let answer = api.ask(
                method,
                &format!("/v1/servers/{bits}{}", if method == "POST" { "/test" } else { "" }),
                "",
                Some(&json!({})),
            );
            assert!((400..500).contains(&answer.status), "{method} {text:?}: {}", answer.raw);
            for (method, path, body) in [
                ("DELETE", format!("/v1/conferences/standup/members/{bits}"), json!({})),
                ("PATCH", format!("/v1/conferences/standup/members/{bits}"), json!({ "muted": true })),
                ("DELETE", format!("/v1/conferences/{bits}/members/x"), json!({})),
                ("POST", format!("/v1/recordings/{bits}/stop"), json!({})),
                ("POST", format!("/v1/calls/{bits}/recordings"), json!({})),
                ("POST", format!("/v1/servers/{bits}/drain"), json!({})),
                ("POST", format!("/v1/servers/{bits}/undrain"), json!({})),
            ] {
                let answer = api.ask(method, &path, "", Some(&body));
                let what = format!("{method} {path}");
                assert!((400..500).contains(&answer.status), "{what}: {}", answer.raw);
                is_harmless(&what, &answer.raw.replace("\r\n", "\n"));
            }
        }
    }
    // Labels and secrets are nobody's framing; the rest of what was taken was a valid value after all.
    let free = |field: &String| {
        field.starts_with("tags.")
            || matches!(
                field.as_str(),
                "host"
                    | "auth.secret"
                    | "auth.context"
                    | "set.context"
                    | "set.dial_uri"
                    | "to"
                    | "from"
                    | "caller_id"
                    | "name"
            )
    };
    let surprising: Vec<&String> = carried.iter().filter(|field| !free(field)).collect();
    assert!(surprising.is_empty(), "{surprising:?}");
    assert_eq!(wire.rig.call(&call)["status"], "in-progress", "the call noticed nothing");
    wire.is_framed();
    wire.is_logged_harmlessly();
    Ok(())
}

// --- the command line ---

fn run(rig: &Rig, words: &[&[u8]]) -> Ran {
    let mut command = rig.command();
    command.args(words.iter().map(|word| std::ffi::OsStr::from_bytes(word)));
    process::run(&mut command, "")
}

fn by_command_line(_: &Target) -> Result<(), Skipped> {
    let wire = Wire::open();
    let call = wire.rig.talk_on("pbx1", "1001", "1002");
    let id = format!("call_id={call}");
    let port = wire.other.at.port().to_string();
    // `@` is where the text goes
    let lines: Vec<Vec<&str>> = vec![
        vec!["@"],
        vec!["add", "sip", "@", "asterisk"],
        vec!["add", "sip", "x", "@"],
        vec!["add", "sip", "x", "asterisk", "--host", "@", "--auth", "user=a,secret=b"],
        vec!["add", "sip", "x", "asterisk", "--port", "@"],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "user=@,secret=b"],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "@=b"],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "user=a,secret=env:@"],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "user=a,secret=file:@"],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "user=a,secret=b", "--set", "@=1"],
        vec![
            "add",
            "sip",
            "x",
            "asterisk",
            "--port",
            &port,
            "--auth",
            "user=a,secret=b",
            "--set",
            "context=@",
        ],
        vec!["add", "sip", "x", "asterisk", "--port", &port, "--auth", "user=a,secret=b", "--set", "tls=@"],
        vec![
            "add",
            "sip",
            "x",
            "asterisk",
            "--port",
            &port,
            "--auth",
            "user=a,secret=b",
            "--set",
            "tls=ca:@",
        ],
        vec![
            "add",
            "sip",
            "x",
            "asterisk",
            "--port",
            &port,
            "--auth",
            "user=a,secret=b",
            "--set",
            "capacity=@",
        ],
        vec!["call", "sip", "from=@", "to=1002", "--detach"],
        vec!["call", "sip", "from=1003", "to=@", "--detach"],
        vec!["call", "sip", "from=1003", "to=1009", "caller_id=@", "--detach"],
        vec!["call", "sip", "from=1003", "to=1009", "timeout=@", "--detach"],
        vec!["call", "sip", "@", "from=1003", "to=1009", "--detach"],
        vec!["call", "sip", "from=1003", "to=1009", "@=1", "--detach"],
        vec!["hangup", "sip", "call_id=@"],
        vec!["hold", "sip", &id, "leg=@"],
        vec!["dtmf", "sip", &id, "digits=@"],
        vec!["mute", "sip", &id, "direction=@"],
        vec!["transfer", "sip", &id, "to=@"],
        vec!["list", "@"],
        vec!["remove", "sip", "@", "--yes"],
        vec!["test", "sip", "@"],
        vec!["show", "call", "@"],
        vec!["show", "server", "@"],
        vec!["show", "@", "x"],
        vec!["conference", "@", "sip", "standup"],
        vec!["conference", "create", "sip", "@"],
        vec!["conference", "create", "sip", "standup", "server=@"],
        vec!["conference", "list", "sip", "@"],
        vec!["conference", "add", "sip", "@", "to=1009", "--detach"],
        vec!["conference", "add", "sip", "standup", "to=@", "--detach"],
        vec!["conference", "add", "sip", "standup", "to=1009", "caller_id=@", "--detach"],
        vec!["conference", "add", "sip", "standup", "call_id=@", "--detach"],
        vec!["conference", "kick", "sip", "standup", "member=@"],
        vec!["conference", "mute", "sip", "@", "member=x"],
        vec!["conference", "end", "sip", "@", "--yes"],
        vec!["record", "start", "sip", "call_id=@"],
        vec!["record", "start", "sip", "@", &id],
        vec!["record", "stop", "sip", "rec_id=@"],
        vec!["record", "fetch", "sip", "rec_id=@"],
        vec!["record", "fetch", "sip", &id, "out=@"],
        vec!["drain", "sip", "@", "--yes"],
        vec!["undrain", "sip", "@"],
        vec!["calls", "--status", "@"],
        vec!["calls", "--server", "@"],
        vec!["events", "--server", "@"],
        vec!["events", "--call", "@"],
        vec!["setup", "@"],
        vec!["setup", "asterisk", "--for", "@"],
        vec!["setup", "asterisk", "--only", "@"],
        vec!["help", "@"],
        vec!["completion", "@"],
        vec!["config", "check", "@"],
        vec!["config", "example", "@"],
        vec!["serve", "--config", "@"],
        vec!["serve", "--listen", "@"],
    ];
    // Enough of each sort; a word of the system holds no NUL.
    let texts = [
        "1001\r\nX: y",
        "1001\u{1b}[2J\u{7}",
        "1001\u{202e}0001",
        "1001\u{9b}2J\u{feff}",
        "`id`;$(id)",
        "-x",
    ];
    let texts = texts.map(str::as_bytes).into_iter().chain([&b"10\xff\xfe01"[..]]);
    for text in texts {
        std::thread::scope(|scope| {
            for half in lines.chunks(lines.len().div_ceil(2)) {
                let rig = &wire.rig;
                scope.spawn(move || {
                    for line in half {
                        let words: Vec<Vec<u8>> = line.iter().map(|word| filled(word, text)).collect();
                        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                        let ran = run(rig, &words);
                        is_harmless(&format!("stdout of {line:?} with {}", text.escape_ascii()), &ran.out);
                        is_harmless(&format!("stderr of {line:?} with {}", text.escape_ascii()), &ran.err);
                        assert!(!ran.err.contains("panicked"), "{ran:#?}");
                        assert!(matches!(ran.code, Some(0..=5)), "{line:?}: {ran:#?}");
                    }
                });
            }
        });
    }
    assert_eq!(wire.rig.call(&call)["status"], "in-progress", "the call noticed nothing");
    wire.is_framed();
    wire.is_logged_harmlessly();
    Ok(())
}

fn filled(word: &str, text: &[u8]) -> Vec<u8> {
    match word.split_once('@') {
        Some((before, after)) => [before.as_bytes(), text, after.as_bytes()].concat(),
        None => word.as_bytes().to_vec(),
    }
}

// --- the configuration ---

fn by_configuration(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let file = rig.folder.join("hostile.toml");
    let server =
        |name: &str, rest: &str| format!("[servers.{name}]\nkind = \"asterisk\"\nhost = \"h\"\n{rest}\n");
    for text in corpus() {
        // A JSON text is a TOML text, but for these.
        let quoted = json!(text).to_string().replace('\u{7f}', "\\u007f");
        for config in [
            format!("listen = {quoted}\n"),
            format!("hosts = [{quoted}]\n"),
            format!("store = {quoted}\n"),
            format!("{quoted} = 1\n"),
            format!("[limits]\n{quoted} = 1\n"),
            format!("[tokens.{quoted}]\nsecret = \"env:X\"\nscopes = [\"events\"]\n"),
            format!("[tokens.t]\nsecret = {quoted}\nscopes = [\"events\"]\n"),
            format!("[tokens.t]\nsecret = \"env:X\"\nscopes = [{quoted}]\n"),
            format!("[servers.{quoted}]\nkind = \"asterisk\"\nhost = \"h\"\n"),
            format!("[servers.a]\nkind = {quoted}\nhost = \"h\"\n"),
            format!("[servers.a]\nkind = \"asterisk\"\nhost = {quoted}\n"),
            server("a", &format!("auth = {{ user = {quoted} }}")),
            server("a", &format!("auth = {{ secret = {quoted} }}")),
            server("a", &format!("auth = {{ {quoted} = \"env:X\" }}")),
            server("a", &format!("set = {{ context = {quoted} }}")),
            server("a", &format!("set = {{ tls = {quoted} }}")),
            server("a", &format!("set = {{ {quoted} = \"x\" }}")),
            server("a", &format!("tags = {{ site = {quoted} }}")),
            server("a", &format!("{quoted} = 1")),
            text.clone(),
        ] {
            write(&file, &config);
            let ran = run(&rig, &[b"config", b"check", file.as_os_str().as_bytes()]);
            is_harmless(&format!("{config:?}"), &ran.out);
            is_harmless(&format!("{config:?}"), &ran.err);
            assert!(matches!(ran.code, Some(0..=2)) && !ran.err.contains("panicked"), "{config:?}: {ran:#?}");
        }
    }
    Ok(())
}

// --- what others write ---

fn by_callers(_: &Target) -> Result<(), Skipped> {
    let double =
        AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports");
    let rig = Rig::simple();
    let auth = format!("user=ifbus,secret={SECRET}");
    let add = |name: &str, ari: u16| {
        rig.ifbus(&format!("{} --set sip=off", words_of(name, double.ami(), ari, &auth))).ends(0);
    };
    add("pbx1", double.http().port());
    let id = rig.talk_on("pbx1", "1001", "1002");
    for text in corpus().into_iter().filter(|text| text.len() < 500) {
        double.hostile_call(&text);
    }
    // a second look at the same server, by AMI alone, which lists what is there when it connects; under the first name
    // it is not ours any more by then, because one server has one name
    assert_eq!(rig.call(&id)["status"], "in-progress");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    let shown = ["calls --foreign", "calls", "show server pbx1", "conference list sip"];
    for words in shown {
        let ran = rig.ifbus(words);
        is_harmless(words, &ran.out);
        is_harmless(words, &ran.err);
    }
    rig.ifbus("remove sip pbx1 --yes").ends(0);
    add("pbx2", 0);
    rig.until("they are listed", |rig| {
        let list = rig.api().get("/v1/servers/pbx2").json();
        list["foreign"].as_u64().is_some_and(|legs| legs > 5)
    });
    for words in ["calls --foreign", "calls", "list sip", "show server pbx2", "test sip pbx2"] {
        let ran = rig.ifbus(words);
        is_harmless(words, &ran.out);
        is_harmless(words, &ran.err);
    }
    let log = fs::read_to_string(rig.data().join("orchestrator.log")).expect("there is a log");
    is_harmless("the log", &log);
    Ok(())
}
