//! Calls: placing, listing, showing, verbs, waiting.

use std::sync::Arc;

use ifbus_call::order::Direction;
use ifbus_call::{CallId, Cause, Mode, Role, Verb};
use ifbus_fleet::view::{CallView, ServerState, Status};
use ifbus_fleet::{Code, Problem};
use serde_json::{Value, json};

use super::fixture::{Asked, Served, foreign, name, serve, server, view};
use crate::serve::http::body::{OrderBody, OrderStatus};

#[actix_web::test]
async fn a_call_is_placed_and_its_id_told_at_once() {
    let served = serve();
    let body = r#"{"from":"1001","to":"sip:bob@example.net","server":"pbx1","caller_id":"+49891234","timeout_s":20}"#;
    let answer = served.ask("POST", "/v1/calls", body).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let call: CallView = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(answer.headers["location"], format!("/v1/calls/{}", call.id));
    let [Asked::Place(asked)] = &served.fake.asked()[..] else { panic!("not asked once") };
    assert_eq!((asked.from.as_str(), asked.to.as_str()), ("1001", "sip:bob@example.net"));
    assert_eq!(asked.server, Some(name("pbx1")));
    assert_eq!(asked.caller_id.as_ref().map(|caller| caller.as_str()), Some("+49891234"));
    assert_eq!(asked.timeout.as_secs(), 20);
    let shown = served.ask("GET", &answer.headers["location"], "").await;
    assert_eq!(shown.json()["id"], call.id.to_string());
}

#[actix_web::test]
async fn a_client_that_waits_hears_when_the_call_is_answered() {
    let served = Arc::new(serve());
    let asking = ask_waiting(&served, "/v1/calls", r#"{"from":"1001","to":"1002"}"#, 60);
    let id = placed(&served).await;
    served.fake.change(id, "call.ringing", |call| call.status = Status::Ringing);
    served.fake.change(id, "call.answered", |call| {
        call.status = Status::InProgress;
        call.answered_at = Some(jiff::Timestamp::now());
    });
    let answer = asking.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["status"], "in-progress");
    assert_eq!(answer.headers["preference-applied"], "wait=60");
}

#[actix_web::test]
async fn a_client_that_waits_hears_when_the_call_is_over() {
    let served = Arc::new(serve());
    let asking = ask_waiting(&served, "/v1/calls", r#"{"from":"1001","to":"1002"}"#, 999);
    let id = placed(&served).await;
    served.fake.end(id, Cause::Busy);
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("busy")));
    assert_eq!(answer.headers["preference-applied"], "wait=120");
}

#[actix_web::test]
async fn a_wait_that_runs_out_says_how_the_call_stands() {
    let served = Arc::new(serve());
    let answer = ask_waiting(&served, "/v1/calls", r#"{"from":"1001","to":"1002"}"#, 0).await.unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("queued")));
}

#[actix_web::test]
async fn each_verb_reaches_the_fleet_as_it_was_asked() {
    let served = serve();
    let call = view(1_000, 1);
    let id = call.id;
    served.fake.board.show_call(call);
    let to = || "1003".parse().unwrap();
    let mute = |role, direction, on| Verb::Mute { role, direction, on };
    let transfer = |mode, role| Verb::Transfer { to: to(), mode, role };
    let (a, b) = (Some(Role::A), Some(Role::B));
    for (path, body, verb) in [
        ("hangup", "", Verb::Hangup),
        ("hangup", "{}", Verb::Hangup),
        ("hold", "{}", Verb::Hold { role: None }),
        ("hold", r#"{"leg":"a"}"#, Verb::Hold { role: a }),
        ("resume", "{}", Verb::Resume),
        ("mute", "{}", mute(None, Direction::In, true)),
        ("mute", r#"{"leg":"b","direction":"out"}"#, mute(b, Direction::Out, true)),
        ("unmute", r#"{"direction":"in"}"#, mute(None, Direction::In, false)),
        ("dtmf", r#"{"digits":"12#"}"#, Verb::Dtmf { digits: "12#".parse().unwrap(), role: None }),
        ("transfer", r#"{"to":"1003"}"#, transfer(Mode::Blind, None)),
        ("transfer", r#"{"to":"1003","mode":"attended","leg":"b"}"#, transfer(Mode::Attended, b)),
        ("transfer/complete", "{}", Verb::CompleteTransfer),
        ("transfer/cancel", "{}", Verb::CancelTransfer),
    ] {
        let answer = served.ask("POST", &format!("/v1/calls/{id}/{path}"), body).await;
        assert_eq!(answer.status, 202, "{path}: {}", answer.text);
        assert_eq!(served.fake.asked(), [Asked::Act(id, verb)], "{path} {body}");
        let order: OrderBody = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((order.status, order.call.id), (OrderStatus::UnderWay, id));
        assert!(order.verb.contains(path.split('/').next().unwrap()), "{path}: {}", order.verb);
    }
}

#[actix_web::test]
async fn asking_for_what_is_so_already_is_no_error() {
    let served = serve();
    let call = view(1_000, 1);
    served.fake.board.show_call(call.clone());
    served.fake.script.lock().unwrap().already_so = true;
    let answer = served.ask("POST", &format!("/v1/calls/{}/hold", call.id), "{}").await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("already_so")));
}

#[actix_web::test]
async fn a_client_that_waits_hears_how_a_verb_ended() {
    for (kind, status) in [("call.held", OrderStatus::Done), ("call.verb_failed", OrderStatus::Failed)] {
        let served = Arc::new(serve());
        let call = view(1_000, 1);
        served.fake.board.show_call(call.clone());
        let asking = ask_waiting(&served, &format!("/v1/calls/{}/hold", call.id), "{}", 60);
        super::fixture::eventually("the verb is under way", || {
            served.fake.board.call(call.id).unwrap().verb.is_some()
        })
        .await;
        served.fake.change(call.id, "call.digit", |_| {}); // about the call, but not the end of the verb
        served.fake.change(call.id, kind, |call| call.verb = None);
        let answer = asking.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        let order: OrderBody = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(order.status, status);
        assert_eq!(order.result.unwrap().fact.kind, kind);
    }
}

#[actix_web::test]
async fn point_2_a_call_is_found_by_any_unique_ending_and_never_guessed() {
    let served = serve();
    let (one, two) = (view(1_000, 5), view(2_000, 5)); // the random part, which is the ending, is the same
    let other = view(3_000, 77);
    for call in [&one, &two, &other] {
        served.fake.board.show_call(call.clone());
    }
    let found = served.ask("GET", &format!("/v1/calls/{}", other.id.ending().to_lowercase()), "").await;
    assert_eq!(found.json()["id"], other.id.to_string());
    let ambiguous = served.ask("POST", &format!("/v1/calls/{}/hangup", one.id.ending()), "").await;
    assert_eq!(ambiguous.problem(), "unknown_call");
    let suggested: Vec<String> = serde_json::from_value(ambiguous.json()["suggestions"].clone()).unwrap();
    assert_eq!(suggested, [two.id.to_string(), one.id.to_string()]);
    assert_eq!(served.ask("GET", "/v1/calls/ZZZZZZ", "").await.problem(), "unknown_call");
    assert_eq!(served.fake.asked(), []);
}

#[actix_web::test]
async fn a_foreign_leg_is_left_alone() {
    let served = serve();
    let id = "0123456789abcdef0123456789abcdef";
    served.fake.board.show_foreign(&name("pbx1"), vec![foreign("SIP/1-1", id)]);
    let answer = served.ask("POST", &format!("/v1/calls/{id}/hangup"), "").await;
    assert_eq!((answer.status, answer.problem().as_str()), (409, "not_ours"));
}

#[actix_web::test]
async fn a_list_shows_what_was_asked_for() {
    let served = serve();
    served.fake.board.show_server(server("pbx2", ServerState::Up));
    let born = |ms, random| view(ms, random);
    let (old, mut new, mut elsewhere) = (born(1_000, 1), born(100_000, 2), born(200_000, 3));
    new.status = Status::InProgress;
    elsewhere.server = Some(name("pbx2"));
    for call in [&old, &new, &elsewhere] {
        served.fake.board.show_call(call.clone());
    }
    for (query, expected) in [
        ("", vec![elsewhere.id, new.id, old.id]),
        ("?status=in-progress", vec![new.id]),
        ("?status=queued,in-progress&server=pbx1", vec![new.id, old.id]),
        ("?server=pbx2", vec![elsewhere.id]),
        ("?since=1970-01-01T00:01:40Z", vec![elsewhere.id, new.id]),
        ("?since=1970-01-01T01:01:40%2B01:00", vec![elsewhere.id, new.id]),
        ("?status=busy", vec![]),
        ("?limit=1", vec![elsewhere.id]),
    ] {
        let answer = served.ask("GET", &format!("/v1/calls{query}"), "").await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        assert_eq!(ids(&answer.json()), expected, "{query}");
    }
    for (query, param) in [
        ("?status=in_progress", "status"),
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?limit=many", "limit"),
        ("?since=yesterday", "since"),
        ("?cursor=zz", "cursor"),
        ("?cursor=aa", "cursor"),
        ("?cursor=%C3%A4", "cursor"),
        ("?statsu=busy", "statsu"),
    ] {
        let answer = served.ask("GET", &format!("/v1/calls{query}"), "").await;
        assert_eq!(answer.problem(), "invalid_request", "{query}");
        assert_eq!(answer.json()["param"], param, "{query}");
    }
    let answer = served.ask("GET", "/v1/calls?server=pbx3", "").await;
    assert_eq!(answer.problem(), "unknown_server");
    assert!(answer.detail().contains("did you mean pbx1?"), "{}", answer.detail());
}

#[actix_web::test]
async fn pages_stay_in_step_while_calls_come_and_go() {
    let served = serve();
    let calls: Vec<CallView> = (1..=25).map(|n| view(n * 1_000, u128::from(n))).collect();
    for call in &calls {
        served.fake.board.show_call(call.clone());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for turn in 0.. {
        let answer = served.ask("GET", &format!("/v1/calls?limit=4{cursor}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        seen.extend(ids(&page));
        served.fake.board.show_call(view(1_000_000 + turn, 1)); // newer than where any page is
        served.fake.end(calls[usize::try_from(turn).unwrap()].id, Cause::Answered);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<CallId> = calls.iter().rev().map(|call| call.id).collect();
    assert_eq!(seen, expected, "each call that was there at the start, once, in order");
}

#[actix_web::test]
async fn foreign_legs_are_listed_by_pages_too() {
    let served = serve();
    let legs: Vec<_> = (0..5).map(|n| foreign(&format!("SIP/{n}"), &format!("{n:032x}"))).collect();
    served.fake.board.show_foreign(&name("pbx1"), legs);
    let first = served.ask("GET", "/v1/calls?foreign=true&limit=3&server=pbx1", "").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second =
        served.ask("GET", &format!("/v1/calls?foreign=true&limit=3&cursor={cursor}"), "").await.json();
    let natives = [&first, &second].into_iter().flat_map(|page| page["data"].as_array().unwrap());
    let natives: Vec<_> = natives.map(|leg| leg["native"].as_str().unwrap()).collect();
    assert_eq!(natives, ["SIP/0", "SIP/1", "SIP/2", "SIP/3", "SIP/4"]);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[actix_web::test]
async fn point_22_a_refusal_of_the_fleet_is_told_with_everything_it_holds() {
    let served = serve();
    let mut problem = Problem::new(Code::NoEligibleServer, "1 server configured, none eligible");
    problem.retry_after_s = Some(8);
    problem.skipped =
        vec![ifbus_fleet::Skipped { server: name("pbx1"), reason: "down".into(), detail: None }];
    served.fake.refuse(problem.suggest("ifbus test sip pbx1"));
    let answer = served.ask("POST", "/v1/calls", r#"{"from":"1001","to":"1002"}"#).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "no_eligible_server"));
    assert_eq!(answer.headers["retry-after"], "8");
    let body = answer.json();
    assert_eq!(body["skipped"], json!([{"server": "pbx1", "reason": "down", "detail": null}]));
    assert_eq!((&body["retryable"], &body["exit"]), (&json!(true), &json!(4)));
    assert_eq!(body["suggestions"], json!(["ifbus test sip pbx1"]));
}

// --- supporting ---

fn ids(page: &Value) -> Vec<CallId> {
    let calls = page["data"].as_array().unwrap();
    calls.iter().map(|call| call["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// The id of the call that the fleet was just asked to place.
async fn placed(served: &Served) -> CallId {
    super::fixture::eventually("a call was placed", || !served.fake.board.calls().is_empty()).await;
    served.fake.board.calls()[0].id
}

fn ask_waiting(
    served: &Arc<Served>,
    path: &str,
    body: &str,
    seconds: u64,
) -> actix_web::rt::task::JoinHandle<super::fixture::Answer> {
    let (served, path, body) = (Arc::clone(served), path.to_owned(), body.to_owned());
    actix_web::rt::spawn(async move {
        let token = format!("Bearer {}", super::fixture::OWN);
        let prefer = format!("respond-async, wait={seconds}");
        let headers = [("Authorization", token.as_str()), ("Prefer", &prefer)];
        served.ask_with("POST", &path, &headers, body.as_bytes()).await
    })
}
