use ifbus_fleet::problem::Code;
use serde_json::{Value, json};

use crate::cli::errors::{Exit, Failure};

fn body(code: Code) -> Value {
    json!({
        "type": format!("urn:ifbus:problem:{}", code.as_str().replace('_', "-")), "title": code.title(),
        "status": code.status(), "detail": "what happened", "code": code.as_str(), "param": null,
        "help": "/problems/x", "retryable": code.is_retryable(), "retry_after_s": null, "suggestions": [],
        "skipped": [], "call": null, "request_id": "r_1", "exit": code.exit(),
    })
}

#[test]
fn point_4_every_problem_of_the_api_has_its_exit_code() {
    for code in Code::ALL {
        let failure = Failure::of_answer(code.status(), &body(code).to_string());
        assert_eq!(failure.exit as u8, code.exit(), "{}", code.as_str());
        assert!(failure.is(code));
        assert_eq!(failure.to_string(), "error: what happened");
    }
}

#[test]
fn point_5_a_problem_object_is_passed_on_with_every_field() {
    let mut sent = body(Code::ServerDown);
    sent["new_in_a_later_version"] = json!({"a": 1});
    let failure = Failure::of_answer(503, &sent.to_string());
    assert_eq!(serde_json::to_value(&failure.problem).unwrap(), sent);
}

#[test]
fn point_22_servers_passed_over_and_commands_stand_below_the_sentence() {
    let mut sent = body(Code::NoEligibleServer);
    sent["detail"] = json!("2 servers configured, none can take the call now");
    sent["suggestions"] = json!(["ifbus list sip", "configured: a, b"]);
    sent["skipped"] = json!([{"server": "pbx1", "reason": "down", "detail": "login \u{1b}[31mrefused"},
                             {"server": "fs1", "reason": "at_capacity", "detail": null}]);
    let failure = Failure::of_answer(503, &sent.to_string());
    let text = "error: 2 servers configured, none can take the call now\n  pbx1  down  login \\x1b[31mrefused\n  fs1  at_capacity\n  do: ifbus list sip\n  configured: a, b";
    assert_eq!(failure.to_string(), text);
    assert_eq!(failure.exit, Exit::Unreachable);
}

#[test]
fn an_answer_without_a_problem_is_a_failure_too() {
    let failure = Failure::of_answer(502, "<html>");
    assert_eq!(failure.exit, Exit::Failed);
    assert!(failure.to_string().contains("answered 502"));
}

#[test]
fn an_exit_nobody_knows_yet_is_a_failure() {
    let sent = r#"{"code":"new_thing","detail":"d","exit":77}"#;
    assert_eq!(Failure::of_answer(418, sent).exit, Exit::Failed);
}
