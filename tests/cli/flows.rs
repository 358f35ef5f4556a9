//! Commands against a pretended orchestrator.

use std::io::{BufRead, BufReader};

use ifbus_call::Cause;
use ifbus_fleet::Code;
use ifbus_fleet::view::{ServerState, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::fake::{self, Fake, ID, Reply, event, list, problem};
use crate::program::{Ended, Home, is_plain};

fn home(fake: &Fake) -> Home {
    Home::new().with("IFBUS_URL", &fake.url).with("IFBUS_TOKEN", "t0ken")
}

fn run(fake: &Fake, line: &str) -> Ended {
    let ended = home(fake).run(line);
    assert!(is_plain(&ended), "{ended:?}");
    ended
}

const HEAD: &str = "retry: 2000\n\nid: b1-0\n\n";

/// An orchestrator on which every call takes the way of these events and is `then` afterwards.
fn placing(events: String, then: Value) -> Fake {
    Fake::new(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/calls") => Reply::Json(202, json!(fake::call(Status::Queued))),
        ("GET", path) if path.starts_with("/v1/events?type=none") => Reply::Stream(HEAD.to_owned()),
        ("GET", path) if path.starts_with("/v1/events?call=") => {
            assert_eq!(request.headers["last-event-id"], "b1-0", "resumed where the journal stood before");
            Reply::Stream(events.clone())
        }
        ("GET", path) if path == format!("/v1/calls/{ID}") => Reply::Json(200, then.clone()),
        _ => problem(Code::UnknownPath, &request.path),
    })
}

fn until_joined() -> String {
    [
        event(1, "call.queued", "00", "pbx1 chosen: the only eligible one"),
        event(2, "call.ringing", "01.540", "1001 rings"),
        event(3, "call.leg_answered", "02.870", "1001 answered"),
        event(4, "call.answered", "05.300", "1001 and 1002 talk, after 5.3 s"),
    ]
    .concat()
}

#[test]
fn point_13_a_call_that_is_joined_is_exit_0_and_told_step_by_step() {
    let fake = placing(until_joined(), json!(fake::call(Status::InProgress)));
    let ended = run(&fake, "call sip pbx1 from=1001 to=1002 caller_id=1000 timeout=20");
    let expected = format!(
        "{ID}\n 0.00  queued    pbx1 chosen: the only eligible one\n 1.54  ringing   1001 rings\n \
         2.87  answered  1001 answered\n 5.30  joined    1001 and 1002 talk, after 5.3 s\n\
         connected: 1001 and 1002 talk on pbx1, after 5.3 s. end it: ifbus hangup sip call_id={ID}\n"
    );
    assert_eq!((ended.code, ended.out, ended.err), (0, expected, String::new()));
    let body =
        json!({"from": "1001", "to": "1002", "server": "pbx1", "caller_id": "1000", "timeout_s": 20.0});
    assert_eq!(fake.posted(), body);
    assert!(fake.requests().iter().all(|request| request.headers["authorization"] == "Bearer t0ken"));
}

#[test]
fn point_13_a_busy_call_is_exit_1_with_cause_servers_words_and_attempts() {
    let events = event(1, "call.queued", "00", "pbx1 chosen: x") + &event(2, "call.ended", "04", "busy");
    let fake = placing(events, json!(fake::ended(Status::Busy, Cause::Busy)));
    let ended = run(&fake, "call sip from=1001 to=1002");
    assert_eq!(ended.code, 1);
    let last = ended.out.lines().last().unwrap();
    let expected = format!(
        "not connected: busy (486 Busy\\x1b[31m Here). 1 attempt (pbx1 busy), 4.0 s. more: ifbus show call {ID}"
    );
    assert_eq!((last, ended.err.as_str()), (expected.as_str(), ""));
}

#[test]
fn point_5_under_json_a_call_is_one_document_as_the_api_tells_it_good_or_bad() {
    let joined = json!(fake::call(Status::InProgress));
    let ended = run(&placing(until_joined(), joined.clone()), "call sip from=1001 to=1002 --json");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), joined);

    let busy = json!(fake::ended(Status::Busy, Cause::Busy));
    let ended =
        run(&placing(event(1, "call.ended", "04", "busy"), busy.clone()), "call sip from=1 to=2 --json");
    assert_eq!((ended.code, ended.err.as_str()), (1, ""));
    assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), busy);
}

#[test]
fn follow_under_json_is_one_document_a_line_until_the_end() {
    let events = until_joined() + &event(5, "call.ended", "42", "completed, 37 s");
    let mut over = fake::ended(Status::Completed, Cause::Answered);
    over.answered_at = Some("2026-11-22T10:52:05.300Z".parse().unwrap());
    let ended = run(&placing(events, json!(over)), "call sip from=1001 to=1002 --follow --json");
    assert_eq!(ended.code, 0);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> =
        lines.iter().map(|line| line["type"].as_str().or(line["object"].as_str()).unwrap()).collect();
    let expected =
        ["call", "call.queued", "call.ringing", "call.leg_answered", "call.answered", "call.ended", "call"];
    assert_eq!(words, expected);
}

#[test]
fn point_21_a_lost_answer_is_asked_for_again_with_the_same_key() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let asked = AtomicU32::new(0);
    let fake = Fake::new(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Nothing,
        1 => problem(Code::IdempotencyInProgress, "in work"),
        _ => Reply::Json(202, json!(fake::call(Status::Queued))),
    });
    let ended = run(&fake, "call sip from=1001 to=1002 --detach");
    assert_eq!((ended.code, ended.out.as_str()), (0, format!("{ID}\n").as_str()));
    let keys: Vec<String> =
        fake.requests().iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0] && key.len() == 32), "{keys:?}");
    run(&fake, "call sip from=1001 to=1002 --detach");
    assert_ne!(fake.requests()[3].headers["idempotency-key"], keys[0], "another call, another key");
}

#[test]
fn detach_prints_the_id_and_nothing_else() {
    let fake = placing(String::new(), Value::Null);
    let ended = run(&fake, "call sip from=1001 to=1002 --detach");
    assert_eq!((ended.code, ended.out, ended.err), (0, format!("{ID}\n"), String::new()));
    assert_eq!(fake.asked(), ["POST /v1/calls"]);
}

#[test]
fn point_14_ctrl_c_stops_the_watching_and_never_the_call() {
    for line in ["call sip from=1001 to=1002", "call sip from=1001 to=1002 --follow"] {
        let events = event(1, "call.queued", "00", "pbx1 chosen: x");
        let fake = placing(events, json!(fake::call(Status::Queued)));
        let home = home(&fake);
        let mut child = home.spawn(line);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("queued") {
            assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130));
        let err = String::from_utf8(ended.stderr).unwrap();
        let last = format!("the call goes on; end it: ifbus hangup sip call_id={ID}");
        assert_eq!(err.lines().last(), Some(last.as_str()));
        assert!(!fake.asked().iter().any(|asked| asked.contains("hangup")), "{:?}", fake.asked());
    }
}

#[test]
fn point_14_ctrl_c_is_the_normal_end_of_events() {
    let fake = Fake::new(|_| {
        Reply::Stream(HEAD.to_owned() + &event(1, "call.ringing", "01", "x rings\x1b[2J\u{202e}"))
    });
    let home = home(&fake);
    let mut child = home.spawn("events --type call.* --server pbx1");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.lines().count() < 2 {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let expected = format!(
        "TIME\tTYPE\tABOUT\tTEXT\n2026-11-22T10:52:01Z\tcall.ringing\t{ID}\tx rings\\x1b[2J\\u{{202e}}\n"
    );
    assert_eq!(text, expected);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(fake.asked(), ["GET /v1/events?type=call.*&server=pbx1"]);
}

#[test]
fn events_are_told_as_they_come_with_gaps_and_resumed_where_they_broke() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let first = AtomicBool::new(true);
    let fake = Fake::new(move |request| {
        if first.swap(false, Ordering::Relaxed) {
            return Reply::Text(200, "id: b1-1\ndata: {\"type\":\"call.ringing\",\"id\":\"b1-1\"}\n\n"); // and breaks off
        }
        assert_eq!(request.headers["last-event-id"], "b1-1");
        let gap = json!({"type": "stream.gap", "time": "2026-11-22T10:52:02Z", "from": 2, "to": 813, "count": 812,
                         "text": "812 events not sent, this reader was too slow"});
        Reply::Stream(
            format!("event: stream.gap\ndata: {gap}\n\n") + &event(814, "call.held", "03", "on hold"),
        )
    });
    let home = home(&fake);
    let mut child = home.spawn("events");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("call.held") {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    assert!(
        text.contains("stream.gap\t\t812 events not sent, this reader was too slow; state now: ifbus calls"),
        "{text}"
    );
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_events_quietly() {
    let many: String = (1..2000).map(|seq| event(seq, "call.ringing", "01", "1001 rings")).collect();
    let fake = Fake::new(move |_| Reply::Stream(many.clone()));
    let home = home(&fake);
    let mut child = home.spawn("events");
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_verb_is_done_only_when_the_orchestrator_says_so() {
    let call = fake::call(Status::InProgress);
    let cases = [
        (200, "done", Some(("call.held", "on hold")), 0, "on hold, "),
        (200, "already_so", None, 0, "on hold; it was so already, nothing was sent"),
        (
            200,
            "failed",
            Some(("call.verb_failed", "hold failed: the server refused")),
            1,
            "hold failed: the server refused",
        ),
        (202, "under_way", None, 1, "no end of it was seen"),
    ];
    for (http, status, result, code, says) in cases {
        let body = fake::order(status, &call, result);
        let answer = body.clone();
        let fake = Fake::new(move |_| Reply::Json(http, answer.clone()));
        let ended = run(&fake, "hold sip call_id=k5dq2m leg=a");
        assert_eq!(ended.code, code, "{status}: {ended:?}");
        let (good, bad) = if code == 0 { (&ended.out, &ended.err) } else { (&ended.err, &ended.out) };
        assert!(good.contains(says), "{status}: {ended:?}");
        assert!(code == 0 || bad.is_empty(), "{status}: {ended:?}");
        let request = &fake.requests()[0];
        assert_eq!((request.path.as_str(), &request.body), ("/v1/calls/K5DQ2M/hold", &json!({"leg": "a"})));
        assert_eq!(request.headers["prefer"], "wait=120");

        let json = run(&fake, "hold sip call_id=K5DQ2M --json");
        assert_eq!((json.code, json.err.as_str()), (code, ""), "{status}");
        assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap(), body);
    }
}

#[test]
fn every_verb_asks_for_what_it_says() {
    let cases = [
        ("hangup sip call_id=K5DQ2M", "hangup", json!({})),
        ("resume sip call_id=K5DQ2M", "resume", json!({})),
        ("mute sip call_id=K5DQ2M leg=b direction=out", "mute", json!({"leg": "b", "direction": "out"})),
        ("unmute sip call_id=K5DQ2M", "unmute", json!({})),
        ("dtmf sip call_id=K5DQ2M digits=12a# leg=b", "dtmf", json!({"digits": "12A#", "leg": "b"})),
        ("transfer sip call_id=K5DQ2M to=1003", "transfer", json!({"to": "1003", "mode": "blind"})),
        (
            "transfer sip call_id=K5DQ2M to=1003 --attended",
            "transfer",
            json!({"to": "1003", "mode": "attended"}),
        ),
        ("transfer sip call_id=K5DQ2M --complete", "transfer/complete", json!({})),
        ("transfer sip call_id=K5DQ2M --cancel", "transfer/cancel", json!({})),
    ];
    for (line, path, body) in cases {
        let call = fake::call(Status::InProgress);
        let fake = Fake::new(move |_| Reply::Json(200, fake::order("done", &call, None)));
        assert_eq!(run(&fake, line).code, 0, "{line}");
        assert_eq!(fake.asked(), [format!("POST /v1/calls/K5DQ2M/{path}")], "{line}");
        assert_eq!(fake.posted(), body, "{line}");
    }
}

#[test]
fn a_call_on_another_server_than_was_said_is_left_alone() {
    let fake = Fake::new(|_| Reply::Json(200, json!(fake::call(Status::InProgress))));
    let ended = run(&fake, "hold sip pbx2 call_id=K5DQ2M");
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    assert!(ended.err.contains("is on pbx1, not on pbx2; nothing was done"), "{}", ended.err);
    assert_eq!(fake.asked(), ["GET /v1/calls/K5DQ2M"]);
}

#[test]
fn point_4_every_problem_gives_its_exit_code_and_is_passed_on_under_json() {
    for code in Code::ALL {
        let fake = Fake::new(move |_| problem(code, "what \x1b[31mhappened"));
        let ended = run(&fake, "calls");
        assert_eq!((ended.code, ended.out.as_str()), (i32::from(code.exit()), ""), "{}", code.as_str());
        assert_eq!(ended.err.lines().next(), Some("error: what \\x1b[31mhappened"));
        let json = run(&fake, "calls --json");
        assert_eq!((json.code, json.out.as_str()), (i32::from(code.exit()), ""));
        let body: Value = serde_json::from_str(&json.err).unwrap();
        assert_eq!(body["code"], code.as_str());
        assert_eq!(body["detail"], "what \x1b[31mhappened");
    }
    let fake = Fake::new(|_| Reply::Text(500, "<html>"));
    assert_eq!(run(&fake, "calls").code, 1);
    let fake = Fake::new(|_| Reply::Text(200, "<html>"));
    assert_eq!(run(&fake, "calls").code, 1);
}

#[test]
fn point_2_an_unknown_server_is_answered_with_the_nearest_and_all() {
    let fake = Fake::new(|request| match request.path.as_str() {
        "/v1/servers" => {
            list([fake::server("pbx1", ServerState::Up, 0), fake::server("fs1", ServerState::Up, 0)])
        }
        path if path.starts_with("/v1/events") => Reply::Stream(HEAD.to_owned()),
        _ => problem(Code::UnknownServer, "no server is called `pbx-1`"),
    });
    let cases = [
        ("call sip pbx-1 from=1 to=2", "; nothing was dialled"),
        ("test sip pbx-1", "; nothing was tested"),
        ("remove sip pbx-1", "; nothing was removed"),
        ("show server pbx-1", ""),
    ];
    for (line, so) in cases {
        let ended = run(&fake, line);
        let text =
            format!("error: no server is called `pbx-1`{so}\n  did you mean pbx1?   configured: pbx1, fs1\n");
        assert_eq!((ended.code, ended.out, ended.err), (3, String::new(), text), "{line}");
    }
}

#[test]
fn lists_are_tabs_with_a_header_and_under_json_the_body_itself() {
    let body = json!({"object": "list", "data": [fake::server("pbx1", ServerState::Up, 42)], "next_cursor": null,
                      "as_of": "2026-11-22T10:52:07Z", "new_field": 1});
    let answer = body.clone();
    let fake = Fake::new(move |_| Reply::Json(200, answer.clone()));
    let ended = run(&fake, "list sip");
    assert_eq!(
        ended.out,
        "NAME\tKIND\tSTATE\tCALLS\tCAP\tCPS\tASR 5m\tPDD p95\tLINK\tNOTE\npbx1\tasterisk\tup\t42\t200\t0.0\t–\t–\t–\t\n"
    );
    assert_eq!(run(&fake, "list sip --json").out, format!("{body}\n"));

    let fake = Fake::new(|_| list([fake::ended(Status::Busy, Cause::Busy)]));
    let ended = run(&fake, "calls --status busy --server pbx1 --limit 3");
    assert_eq!(fake.asked(), ["GET /v1/calls?status=busy&server=pbx1&limit=3"]);
    assert!(
        ended.out.contains(&format!("{ID}\tbusy\t1001\t1002\tpbx1\t00:04\tbusy: 486 Busy\\x1b[31m Here")),
        "{}",
        ended.out
    );
}

#[test]
fn point_15_hangup_all_asks_and_without_anybody_to_ask_does_nothing() {
    let script = |request: &fake::Request| match request.method.as_str() {
        "GET" => list([fake::call(Status::InProgress)]),
        _ => Reply::Json(202, fake::order("under_way", &fake::call(Status::InProgress), None)),
    };
    let fake = Fake::new(script);
    let ended = run(&fake, "hangup sip pbx1 --all");
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(
        ended
            .err
            .contains("hang up 1 call of ours on pbx1; nobody can be asked here, so nothing was changed")
    );
    let dry = run(&fake, "hangup sip pbx1 --all --dry-run");
    assert_eq!(
        (dry.code, dry.out.as_str()),
        (0, "hang up 1 call of ours on pbx1 (dry run: nothing was changed)\n")
    );
    assert!(fake.requests().iter().all(|request| request.method == "GET"));
    assert_eq!(run(&fake, "hangup sip --all --yes").code, 0);
    assert_eq!(fake.asked().last().unwrap(), &format!("POST /v1/calls/{ID}/hangup"));
}

#[test]
fn point_15_removing_a_server_with_calls_asks_and_without_calls_does_not() {
    let script = |calls| {
        move |request: &fake::Request| match request.method.as_str() {
            "GET" => Reply::Json(200, json!(fake::server("pbx1", ServerState::Up, calls))),
            _ => {
                Reply::Json(200, json!({"object": "server", "name": "pbx1", "removed": true, "calls": calls}))
            }
        }
    };
    let fake = Fake::new(script(2));
    let text = "remove pbx1 (asterisk, 192.0.2.10:5038): 2 calls of ours live on there without us";
    let ended = run(&fake, "remove sip pbx1");
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains(text));
    assert_eq!(
        run(&fake, "remove sip pbx1 --dry-run").out,
        format!("{text} (dry run: nothing was changed)\n")
    );
    assert!(fake.requests().iter().all(|request| request.method == "GET"));
    assert_eq!(run(&fake, "remove sip pbx1 --yes").out, "removed pbx1\n");
    assert_eq!(fake.asked().last().unwrap(), "DELETE /v1/servers/pbx1?even_with_calls=true");

    let fake = Fake::new(script(0));
    assert_eq!(run(&fake, "remove sip pbx1").out, "removed pbx1\n");
    assert_eq!(fake.asked().last().unwrap(), "DELETE /v1/servers/pbx1");
}

#[test]
fn point_12_a_test_has_an_exit_code_for_each_way_to_end() {
    for (ok, reachable, code) in [(true, true, 0), (false, true, 1), (false, false, 4)] {
        let report = json!({"server": "pbx1", "ok": ok, "reachable": reachable, "took_s": 0.4, "findings": [
            {"area": "management", "verdict": if ok { "ok" } else { "fail" }, "text": "5038", "fix": null}]});
        let fake = Fake::new(move |_| Reply::Json(200, report.clone()));
        assert_eq!(run(&fake, "test sip pbx1").code, code);
        assert_eq!(run(&fake, "test sip pbx1 --json").code, code);
    }
}

#[test]
fn a_server_that_was_added_and_is_not_up_is_no_success() {
    for (state, reachable, code) in
        [(ServerState::Up, true, 0), (ServerState::Down, true, 1), (ServerState::Down, false, 4)]
    {
        let report =
            json!({"server": "pbx1", "ok": false, "reachable": reachable, "took_s": 0.1, "findings": []});
        let fake = Fake::new(move |request| match request.path.as_str() {
            "/v1/servers" => Reply::Json(201, json!(fake::server("pbx1", state, 0))),
            _ => Reply::Json(200, report.clone()),
        });
        let ended = run(
            &fake,
            "add sip pbx1 asterisk --host 192.0.2.10 --set capacity=20 --set tag.site=n --set context=x",
        );
        assert_eq!(ended.code, code, "{ended:?}");
        let body = &fake.requests()[0].body;
        let expected = json!({"name": "pbx1", "kind": "asterisk", "host": "192.0.2.10", "auth": {},
                              "set": {"context": "x"}, "tags": {"site": "n"}, "capacity": 20});
        assert_eq!(body, &expected);
        let start = if code == 0 {
            "added pbx1: up, asterisk 22.5.1"
        } else {
            "added pbx1, but it is down: management: login refused"
        };
        assert!(ended.out.starts_with(start), "{}", ended.out);
    }
}

#[test]
fn an_orchestrator_is_named_by_a_file_with_a_token_of_its_own() {
    let fake = Fake::new(|_| list([fake::server("pbx1", ServerState::Up, 42)]));
    let home = Home::new();
    let folder = home.folder.join(".config/ifbus");
    std::fs::create_dir_all(&folder).unwrap();
    let file = format!(
        "[lab]\nurl = \"{}\"\ntoken = \"file:lab-token\"\n[prod]\nurl = \"http://127.0.0.1:9\"\n",
        fake.url
    );
    std::fs::write(folder.join("orchestrators.toml"), file).unwrap();
    std::fs::write(folder.join("lab-token"), "t0ken-of-the-lab\n").unwrap();
    let ended = home.run("list sip --on lab");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(fake.requests()[0].headers["authorization"], "Bearer t0ken-of-the-lab");
    let home = home.with("IFBUS_URL", "lab").with("IFBUS_TOKEN", "0ther");
    assert_eq!(home.run("list sip").code, 0);
    assert_eq!(fake.requests()[1].headers["authorization"], "Bearer 0ther", "the environment beats the file");
    assert_eq!(home.run("list sip --on prod").code, 4);
    let unknown = home.run("list sip --on labb");
    assert_eq!((unknown.code, unknown.out.as_str()), (3, ""));
    assert!(
        unknown.err.contains("no orchestrator is called `labb`") && unknown.err.contains("did you mean lab?")
    );
    let json = home.run("list sip --on labb --json");
    let problem: Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(
        (&problem["code"], &problem["help"]),
        (&json!("unknown_orchestrator"), &json!("/problems/unknown_orchestrator"))
    );
}
