//! The same commands where people sit: a pseudo-terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use ifbus_fleet::view::{ServerState, Status};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::fake::{self, Fake, Reply, list};
use crate::program::Home;

/// Both ends of a new pseudo-terminal.
fn pair() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (File::from(master), slave)
}

/// What a terminal shows of a command at which `typed` is typed, and the exit code.
fn shown(home: &Home, line: &str, typed: &str) -> (i32, String) {
    let (mut master, slave) = pair();
    let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut child = home.command(&words).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(slave);
    master.write_all(typed.as_bytes()).unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    // A terminal whose other end is gone gives an error, not an end.
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(text).unwrap().replace("\r\n", "\n"))
}

/// A terminal of its own, at which `typed` is typed when `question` is seen.
fn asked(home: &Home, words: &[&str], question: &str, typed: &str) -> (i32, String) {
    let (mut master, slave) = pair();
    let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
    let words: Vec<&str> = ["-c", "-w", env!("CARGO_BIN_EXE_ifbus")].iter().chain(words).copied().collect();
    let mut command = home.command_as("setsid".as_ref(), &words);
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop((slave, command)); // both hold the other end open
    let (mut text, mut buffer, mut answered) = (Vec::new(), [0; 4096], false);
    while let Ok(n @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
        if !answered && String::from_utf8_lossy(&text).contains(question) {
            master.write_all(typed.as_bytes()).unwrap();
            answered = true;
        }
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(text).unwrap().replace("\r\n", "\n"))
}

fn orchestrator() -> Fake {
    Fake::new(|request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/servers") => {
            list([fake::server("pbx1", ServerState::Up, 42), fake::server("old", ServerState::Down, 0)])
        }
        ("GET", "/v1/servers/pbx1") => Reply::Json(200, json!(fake::server("pbx1", ServerState::Up, 2))),
        ("GET", path) if path.starts_with("/v1/calls") => list([fake::call(Status::InProgress)]),
        _ => Reply::Json(200, json!({"object": "server", "name": "pbx1", "removed": true, "calls": 2})),
    })
}

#[test]
fn tables_are_aligned_coloured_and_summed_up() {
    let fake = orchestrator();
    let home = Home::new().with("IFBUS_URL", &fake.url).with("COLUMNS", "80");
    let (code, text) = shown(&home, "list sip", "");
    let expected = "NAME  KIND      STATE   CALLS  CAP  LINK  NOTE\n\
                    pbx1  asterisk  \x1b[32m● up\x1b[0m       42  200  –\n\
                    old   asterisk  \x1b[31m× down\x1b[0m      0  200  –     management: login refused\n\
                    1 up, 1 down. 42 calls, 0.0 CPS. as of 10:52:07\n";
    assert_eq!((code, text.as_str()), (0, expected));
    let (_, calls) = shown(&home, "calls", "");
    assert!(calls.contains("\nK5DQ2M  \x1b[32min-progress\x1b[0m  1001  1002  pbx1    00:01\n"), "{calls:?}");
}

#[test]
fn point_6_no_color_in_any_form_means_no_escape_code() {
    let fake = orchestrator();
    for (name, value, line) in
        [("NO_COLOR", "1", "list sip"), ("TERM", "dumb", "list sip"), ("X", "", "list sip --no-color")]
    {
        let home = Home::new().with("IFBUS_URL", &fake.url).with(name, value);
        let (code, text) = shown(&home, line, "");
        assert!(code == 0 && text.contains("● up") && !text.contains('\x1b'), "{name} {line}: {text:?}");
    }
}

#[test]
fn point_15_a_question_takes_no_for_an_answer_unless_it_is_yes() {
    for (typed, code, asked) in [("\n", 1, 1), ("n\n", 1, 1), ("nonsense\n", 1, 1), ("y\n", 0, 2)] {
        let fake = orchestrator();
        let home = Home::new().with("IFBUS_URL", &fake.url).with("NO_COLOR", "1");
        let (ended, text) = shown(&home, "remove sip pbx1", typed);
        assert!(text.contains("2 calls of ours live on there without us. Go on? [y/N] "), "{text:?}");
        assert_eq!((ended, fake.asked().len()), (code, asked), "{typed:?}: {text:?}");
    }
}

#[test]
fn point_15_a_drain_of_the_last_of_a_kind_takes_no_for_an_answer_unless_it_is_yes() {
    let question = "42 calls of ours go on; no other asterisk takes calls. Go on? [y/N] ";
    for (typed, code, asked) in [("\n", 1, 1), ("n\n", 1, 1), ("y\n", 0, 2)] {
        let fake = Fake::new(|request| match request.path.as_str() {
            "/v1/servers" => {
                list([fake::server("pbx1", ServerState::Up, 42), fake::server("old", ServerState::Down, 0)])
            }
            _ => Reply::Json(200, json!(fake::server("pbx1", ServerState::Draining, 42))),
        });
        let home = Home::new().with("IFBUS_URL", &fake.url).with("NO_COLOR", "1");
        let (ended, text) = shown(&home, "drain sip pbx1", typed);
        assert!(text.contains(question), "{text:?}");
        assert_eq!((ended, fake.asked().len()), (code, asked), "{typed:?}: {text:?}");
    }
}

#[test]
fn a_secret_that_is_typed_is_not_shown_and_ctrl_c_adds_nothing() {
    let fake = Fake::new(|_| Reply::Json(201, json!(fake::server("pbx1", ServerState::Up, 0))));
    let home = Home::new().with("IFBUS_URL", &fake.url).with("NO_COLOR", "1");
    let words = ["add", "sip", "pbx1", "asterisk", "--auth", "user=ifbus,secret=prompt"];
    let (code, text) = asked(&home, &words, "secret of pbx1: ", "half\x03");
    assert_eq!((code, fake.asked().len()), (130, 0), "{text:?}");
    let (code, text) = asked(&home, &words, "secret of pbx1: ", "hunter2-canarx\x7fy\n");
    assert_eq!(code, 0, "{text:?}");
    assert!(!text.contains("hunter2") && !text.contains("canar"), "{text:?}");
    assert_eq!(fake.posted()["auth"], json!({"user": "ifbus", "secret": "hunter2-canary"}));
}

#[test]
fn point_14_ctrl_c_takes_the_spinner_away_and_leaves_the_call() {
    let fake = Fake::new(|request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/calls") => Reply::Json(202, json!(fake::call(Status::Queued))),
        _ => Reply::Stream("retry: 2000\n\nid: b1-0\n\n".to_owned()),
    });
    let home = Home::new().with("IFBUS_URL", &fake.url);
    let words = ["call", "sip", "from=1001", "to=1002"];
    let (code, text) = asked(&home, &words, "waiting for the phones", "\x03");
    assert_eq!(code, 130, "{text:?}");
    assert!(
        text.ends_with("\r\x1b[Kthe call goes on; end it: ifbus hangup sip call_id=K5DQ2M\n"),
        "{text:?}"
    );
    assert!(!fake.asked().iter().any(|asked| asked.contains("hangup")));
}
