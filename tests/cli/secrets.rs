//! A secret given in each allowed way reaches the orchestrator and nothing else.

use std::io::Write;
use std::process::Stdio;

use ifbus_fleet::view::ServerState;
use serde_json::json;

use crate::fake::{self, Fake, Reply};
use crate::program::{Ended, Home};

const CANARY: &str = "hunter2,=canary";

fn orchestrator() -> Fake {
    Fake::new(|_| Reply::Json(201, json!(fake::server("pbx1", ServerState::Up, 0))))
}

fn add(home: &Home, secret: &str, stdin: Option<&str>) -> Ended {
    let auth = format!("user=ifbus,secret={secret}");
    let mut command =
        home.command(&["add", "sip", "pbx1", "asterisk", "--host", "192.0.2.10", "--auth", &auth]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().unwrap();
    if let Some(text) = stdin {
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }
    child.wait_with_output().unwrap().into()
}

#[test]
fn point_8_a_secret_goes_to_the_orchestrator_and_is_never_shown() {
    let home = Home::new();
    let file = home.folder.join("secret");
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    let from_file = format!("file:{}", file.display());
    let stdin = format!("{CANARY}\nmore\n");
    let ways: [(&str, Option<&str>); 4] =
        [(CANARY, None), ("env:PBX1_SECRET", None), (&from_file, None), ("-", Some(&stdin))];
    for (way, stdin) in ways {
        let fake = orchestrator();
        let home = Home::new().with("IFBUS_URL", &fake.url).with("PBX1_SECRET", CANARY);
        let ended = add(&home, way, stdin);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(fake.posted()["auth"], json!({"user": "ifbus", "secret": CANARY}), "{way}");
        assert!(!ended.out.contains(CANARY) && !ended.err.contains(CANARY), "{ended:?}");
        assert_eq!(ended.err.contains("safer: --auth secret=prompt"), way == CANARY, "{}", ended.err);
    }
}

#[test]
fn point_8_a_secret_that_cannot_be_had_adds_nothing() {
    let fake = orchestrator();
    let home = Home::new().with("IFBUS_URL", &fake.url);
    for way in ["env:NOT_SET", "file:/nonexistent", "-"] {
        let ended = add(&home, way, Some(""));
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    }
    assert!(fake.requests().is_empty());
}

#[test]
fn a_literal_for_a_name_is_nothing_to_warn_of() {
    let fake = orchestrator();
    let ended = Home::new().with("IFBUS_URL", &fake.url).run("add sip pbx1 asterisk --auth user=ifbus");
    assert!(ended.code == 0 && !ended.err.contains("warn"), "{ended:?}");
}
