//! Point 21: a request with a key is done once, whatever dies.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ifbus_call::{Cause, InstanceId};
use ifbus_config::Scope;
use ifbus_fleet::store::{Claim, Key, Store, WriterThread};
use ifbus_fleet::view::ServerState;
use ifbus_fleet::{Code, Problem};
use serde_json::json;

use super::fixture::{Answer, Asked, OWN, Served, serve_with, server, token_of, view};

const BODY: &str = r#"{"from":"1001","to":"1002"}"#;

/// A file for keys, gone with this.
struct Disk(PathBuf);

impl Disk {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("ifbus-once-{}-{number}.db", std::process::id())))
    }

    /// One life of an orchestrator with this disk.
    fn life(&self) -> (Served, WriterThread) {
        let (store, thread) = open(&self.0);
        (serve_with(1_000, |options| options.store = store), thread)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

fn open(path: &Path) -> (Store, WriterThread) {
    let (store, thread, ..) = Store::open(path, InstanceId(7), Box::new(|_| {})).unwrap();
    (store, thread)
}

async fn place(served: &Served, key: &str, body: &str) -> Answer {
    place_as(served, OWN, key, body).await
}

async fn place_as(served: &Served, token: &str, key: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", key)];
    served.ask_with("POST", "/v1/calls", &headers, body.as_bytes()).await
}

fn placed(served: &Served) -> usize {
    served.fake.asked().iter().filter(|asked| matches!(asked, Asked::Place(_))).count()
}

#[actix_web::test]
async fn point_21_the_same_key_100_times_is_one_call() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    let asked = (0..100).map(|_| place(&served, "k1", BODY));
    let answers = futures_util::future::join_all(asked).await;
    let first = answers[0].json()["id"].clone();
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.json()["id"] == first));
    let replayed =
        answers.iter().filter(|answer| answer.headers.contains_key("idempotency-replayed")).count();
    assert_eq!(replayed, 99, "each but the first says that it placed nothing");
    // The same in another spelling, and afterwards.
    let spelled = place(&served, "k1", "{ \"to\": \"1002\",\n \"from\": \"1001\" }").await;
    assert_eq!(spelled.json()["id"], first);
    assert_eq!(placed(&served), 1);
}

#[actix_web::test]
async fn point_21_the_same_key_with_another_body_is_422() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    assert_eq!(place(&served, "k1", BODY).await.status, 202);
    for body in [r#"{"from":"1001","to":"1003"}"#, r#"{"from":"1001","to":"1002","timeout_s":20}"#] {
        let answer = place(&served, "k1", body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (422, "idempotency_mismatch"));
        assert_eq!(answer.json()["exit"], 2);
    }
    assert_eq!(placed(&served), 1);
}

#[actix_web::test]
async fn point_21_two_tokens_have_keys_of_their_own() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    let own = place(&served, "k1", BODY).await.json()["id"].clone();
    let other = place_as(&served, &token_of(Scope::CallsWrite), "k1", r#"{"from":"1","to":"2"}"#).await;
    assert_eq!(other.status, 202, "{}", other.text);
    assert_ne!(other.json()["id"], own);
}

#[actix_web::test]
async fn point_21_a_refusal_before_anything_began_leaves_the_key_free() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    for code in [Code::NoEligibleServer, Code::CpsExceeded, Code::UnknownServer] {
        served.fake.refuse(Problem::new(code, "as the test asked"));
        assert_eq!(place(&served, "k1", BODY).await.problem(), code.as_str());
    }
    served.fake.script.lock().unwrap().refuse = None;
    let answer = place(&served, "k1", BODY).await;
    assert_eq!(answer.status, 202);
    assert!(!answer.headers.contains_key("idempotency-replayed"));
}

#[actix_web::test]
async fn point_21_an_answer_that_is_not_certain_keeps_the_key() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    served.ready.send_replace(true);
    served.fake.refuse(Problem::new(Code::ServerTimeout, "as the test asked"));
    let first = place(&served, "k1", BODY).await;
    assert_eq!(first.problem(), "server_timeout");
    served.fake.script.lock().unwrap().refuse = None;
    let again = place(&served, "k1", BODY).await;
    assert_eq!((again.status, again.problem().as_str()), (409, "outcome_unknown"));
    assert_eq!(again.json()["call"], first.json()["call"], "the same id in every answer");
    // Its view came late: then it is the answer.
    let mut late = view(1_000, 1);
    late.id = first.json()["call"].as_str().unwrap().parse().unwrap();
    served.fake.board.show_call(late);
    assert_eq!(place(&served, "k1", BODY).await.json()["id"], first.json()["call"]);
    assert_eq!(placed(&served), 1);
}

#[actix_web::test]
async fn point_21_another_life_gives_the_same_call_also_when_it_is_forgotten() {
    let disk = Disk::new();
    let first = {
        let (served, _thread) = disk.life();
        place(&served, "k1", BODY).await.json()["id"].clone()
    };
    let (served, _thread) = disk.life();
    let again = place(&served, "k1", BODY).await;
    assert_eq!((again.status, &again.json()["id"]), (202, &first));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(place(&served, "k1", r#"{"from":"1","to":"2"}"#).await.problem(), "idempotency_mismatch");
    assert_eq!(placed(&served), 0);
}

#[actix_web::test]
async fn point_21_killed_between_the_key_and_the_call_nobody_rings_twice() {
    let disk = Disk::new();
    let id = view(1_000, 9).id;
    {
        let (store, _thread) = open(&disk.0);
        let key = Key { owner: "own".to_owned(), key: "k1".to_owned() };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let request = json!({"from": "1001", "to": "1002"}).to_string();
        let (told, claimed) = std::sync::mpsc::channel();
        let claim = Claim { key, request, call: id, now_ms, kept_ms: 60_000 };
        store.claim(claim, Box::new(move |claimed| told.send(claimed).unwrap()));
        claimed.recv().unwrap();
    }
    let (served, _thread) = disk.life();
    // While servers have not told yet, and as long as one cannot.
    let early = place(&served, "k1", BODY).await;
    assert_eq!((early.problem().as_str(), &early.json()["call"]), ("idempotency_in_progress", &json!(id)));
    assert_eq!(early.headers["retry-after"], "1");
    served.ready.send_replace(true);
    served.fake.board.show_server(server("pbx2", ServerState::Down));
    assert_eq!(place(&served, "k1", BODY).await.problem(), "idempotency_in_progress");
    served.fake.board.show_server(server("pbx2", ServerState::Up));
    let unknown = place(&served, "k1", BODY).await;
    assert_eq!((unknown.problem().as_str(), &unknown.json()["call"]), ("outcome_unknown", &json!(id)));
    // It was placed, and is adopted.
    let mut adopted = view(1_000, 9);
    super::fixture::end(&mut adopted, Cause::Answered);
    served.fake.board.show_call(adopted);
    assert_eq!(place(&served, "k1", BODY).await.json()["id"], json!(id));
    assert_eq!(placed(&served), 0, "nobody was dialed");
}

#[actix_web::test]
async fn a_key_that_is_none_is_refused_and_nothing_placed() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    for key in ["", "two words", "k\u{e9}", &"x".repeat(256)] {
        let answer = place(&served, key, BODY).await;
        assert_eq!(answer.problem(), "invalid_request", "{key}");
        assert_eq!(answer.json()["param"], "Idempotency-Key");
    }
    assert_eq!(placed(&served), 0);
}

#[actix_web::test]
async fn a_client_that_leaves_does_not_take_its_call_along() {
    let disk = Disk::new();
    let (served, _thread) = disk.life();
    let bearer = format!("Bearer {OWN}");
    let headers = [("Authorization", bearer.as_str()), ("Idempotency-Key", "k1")];
    let mut connection = served.begin("POST", "/v1/calls", &headers, Some(BODY.len())).await;
    tokio::io::AsyncWriteExt::write_all(&mut connection, BODY.as_bytes()).await.unwrap();
    drop(connection);
    let answer = place(&served, "k1", BODY).await;
    assert_eq!(answer.status, 202);
    assert_eq!(placed(&served), 1, "one call, whoever was first");
}
