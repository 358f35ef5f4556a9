//! Beginning and end of the API.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::fixture::{Fake, GUARD, OWN, eventually, options, serve};
use crate::serve::http;

#[actix_web::test]
async fn it_is_ready_when_the_first_adoption_is_done() {
    let served = serve();
    assert_eq!(served.ask_with("GET", "/healthz", &[], b"").await.text, r#"{"status":"alive"}"#);
    let early = served.ask_with("GET", "/readyz", &[], b"").await;
    assert_eq!((early.status, early.text.as_str()), (503, r#"{"status":"starting"}"#));
    served.ready.send_replace(true);
    let late = served.ask_with("GET", "/readyz", &[], b"").await;
    assert_eq!((late.status, late.text.as_str()), (200, r#"{"status":"ready"}"#));
    let summary = served.ask("GET", "/v1/summary", "").await.json();
    assert_eq!((&summary["ready"], &summary["servers"]["up"]), (&true.into(), &1.into()));
}

#[test]
fn beyond_this_machine_there_is_a_warning() {
    let fake = Fake::new(10);
    let mut options = options(&fake);
    assert_eq!(options.warning(), None);
    options.listen = "[::1]:7070".parse().unwrap();
    assert_eq!(options.warning(), None);
    options.listen = "0.0.0.0:7070".parse().unwrap();
    assert!(options.warning().unwrap().contains("0.0.0.0:7070"));
}

#[actix_web::test]
async fn a_port_in_use_is_an_error_of_the_start() {
    let fake = Fake::new(10);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(&fake);
    options.listen = taken.local_addr().unwrap();
    let error = http::server(fake.fleet(), watch::channel(true).1, options).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[actix_web::test]
async fn at_the_end_streams_get_their_last_line_and_connections_close() {
    let served = Arc::new(serve());
    let token = format!("Bearer {OWN}");
    let mut streaming = served.begin("GET", "/v1/events", &[("Authorization", &token)], None).await;
    let mut idle = tokio::net::TcpStream::connect(served.address).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", served.address);
    idle.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 4096];
    assert!(timeout(GUARD, idle.read(&mut first)).await.unwrap().unwrap() > 0);
    assert!(timeout(GUARD, streaming.read(&mut first)).await.unwrap().unwrap() > 0);
    let (mut rest, mut nothing) = (Vec::new(), Vec::new());
    let stop = served.stop.clone();
    let stopping = actix_web::rt::spawn(async move { stop.stop().await });
    timeout(GUARD, streaming.read_to_end(&mut rest)).await.expect("the stream ends").unwrap();
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains(": the orchestrator is stopping\n\n"), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "it ends in an orderly way: {rest:?}");
    timeout(GUARD, idle.read_to_end(&mut nothing)).await.expect("idle connections close").unwrap();
    timeout(GUARD, stopping).await.expect("the server ends").unwrap();
}

#[actix_web::test]
async fn a_request_that_waits_is_answered_when_the_orchestrator_stops() {
    let served = Arc::new(serve());
    let asking = actix_web::rt::spawn({
        let served = Arc::clone(&served);
        async move {
            let headers = [("Authorization", &*format!("Bearer {OWN}")), ("Prefer", "wait=100")];
            served.ask_with("POST", "/v1/calls", &headers, br#"{"from":"1001","to":"1002"}"#).await
        }
    });
    eventually("the call was placed", || !served.fake.board.calls().is_empty()).await;
    served.stop.stop().await;
    let answer = timeout(GUARD, asking).await.unwrap().unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.headers["connection"], "close");
}
