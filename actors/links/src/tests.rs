//! Links against sockets of the test's own on loopback.

mod hostile;

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::{Endpoint, HttpRequest, LinkError, LinkId, RequestId, Secret};
use ifbus_call::Epoch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Notify;

use crate::{Network, Report, Sink, Sockets};

/// A guard against hanging; every test is done in milliseconds.
pub(crate) const GUARD: Duration = Duration::from_secs(20);
pub(crate) const ID: LinkId = LinkId { epoch: Epoch(1), slot: 0 };

/// Keeps what was reported.
#[derive(Clone, Default)]
pub(crate) struct Reports {
    pub(crate) reports: Rc<RefCell<Vec<Report>>>,
    more: Rc<Notify>,
}

impl Reports {
    pub(crate) fn sink(&self) -> Sink {
        let this = self.clone();
        Rc::new(move |report| {
            this.reports.borrow_mut().push(report);
            this.more.notify_waiters();
        })
    }

    pub(crate) async fn until<T>(&self, found: impl Fn(&[Report]) -> Option<T>) -> T {
        let looked = async {
            loop {
                let more = self.more.notified();
                if let Some(value) = found(&self.reports.borrow()) {
                    return value;
                }
                more.await;
            }
        };
        let reports = self.reports.clone();
        tokio::time::timeout(GUARD, looked)
            .await
            .unwrap_or_else(|_| panic!("not seen in {:?}", reports.borrow()))
    }

    pub(crate) async fn opened(&self) {
        self.until(|reports| reports.contains(&Report::Opened(ID)).then_some(())).await;
    }

    pub(crate) async fn closed(&self) -> LinkError {
        self.until(|reports| {
            reports.iter().find_map(|report| match report {
                Report::Closed(_, why) => Some(why.clone()),
                _ => None,
            })
        })
        .await
    }

    fn bytes(&self) -> Vec<u8> {
        let reports = self.reports.borrow();
        let bytes = reports.iter().filter_map(|report| match report {
            Report::Bytes(_, bytes) => Some(bytes.clone()),
            _ => None,
        });
        bytes.flatten().collect()
    }

    pub(crate) async fn got(&self, wanted: &[u8]) {
        self.until(|_| (self.bytes() == wanted).then_some(())).await;
    }
}

pub(crate) fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story);
}

fn tcp(port: u16) -> Endpoint {
    Endpoint::Tcp { host: "127.0.0.1".into(), port, tls: None, quickack: false }
}

pub(crate) async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

pub(crate) async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    while !got.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        got.push(byte[0]);
    }
    got
}

#[test]
fn what_is_sent_before_the_link_is_open_arrives_in_order() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let link = Sockets::default().open(ID, tcp(port), reports.sink());
        for word in ["one ", "two ", "three\n"] {
            link.send(word.into());
        }
        let (mut peer, _) = listener.accept().await.unwrap();
        assert_eq!(read_until(&mut peer, b"\n").await, b"one two three\n");
        peer.write_all(b"answer").await.unwrap();
        reports.got(b"answer").await;
    });
}

#[test]
fn the_end_of_a_stream_is_reported_once_with_its_reason() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let _link = Sockets::default().open(ID, tcp(port), reports.sink());
        let (peer, _) = listener.accept().await.unwrap();
        reports.opened().await;
        drop(peer);
        assert_eq!(reports.closed().await, LinkError::Closed);
    });
}

#[test]
fn a_reset_is_told_apart_from_an_orderly_end() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let _link = Sockets::default().open(ID, tcp(port), reports.sink());
        let (peer, _) = listener.accept().await.unwrap();
        reports.opened().await;
        peer.set_zero_linger().unwrap();
        drop(peer);
        assert_eq!(reports.closed().await, LinkError::Reset);
    });
}

#[test]
fn nobody_listening_is_a_refusal() {
    run(async {
        let (listener, port) = listener().await;
        drop(listener);
        let reports = Reports::default();
        let _link = Sockets::default().open(ID, tcp(port), reports.sink());
        assert_eq!(reports.closed().await, LinkError::Refused);
    });
}

#[test]
fn a_name_without_an_address_is_no_route_or_a_word_of_the_system() {
    run(async {
        let reports = Reports::default();
        let endpoint =
            Endpoint::Tcp { host: "no-such-host.invalid".into(), port: 1, tls: None, quickack: false };
        let _link = Sockets::default().open(ID, endpoint, reports.sink());
        assert!(!reports.closed().await.to_string().is_empty());
    });
}

#[test]
fn a_peer_that_does_not_read_ends_the_link_and_not_our_memory() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let link = Sockets::default().open(ID, tcp(port), reports.sink());
        let (mut peer, _) = listener.accept().await.unwrap();
        reports.opened().await;
        for _ in 0..100 {
            link.send(vec![0; 1024 * 1024]);
        }
        // The writer finds out when it gets through; the peer reads as slowly as it likes.
        let mut buffer = vec![0; 1024 * 1024];
        let reading = async {
            while peer.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            why = reports.closed() => assert!(matches!(why, LinkError::Limit(_)), "{why:?}"),
            () = reading => {}
        }
    });
}

#[test]
fn a_dropped_link_closes_without_a_word() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let link = Sockets::default().open(ID, tcp(port), reports.sink());
        let (mut peer, _) = listener.accept().await.unwrap();
        reports.opened().await;
        drop(link);
        let mut rest = Vec::new();
        // An end or a reset, but an end.
        let _ =
            tokio::time::timeout(GUARD, peer.read_to_end(&mut rest)).await.expect("the peer sees the end");
        assert_eq!(*reports.reports.borrow(), [Report::Opened(ID)]);
    });
}

#[test]
fn a_datagram_stays_one_message() {
    run(async {
        let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = peer.local_addr().unwrap().port();
        let reports = Reports::default();
        let endpoint = Endpoint::Udp { host: "127.0.0.1".into(), port };
        let link = Sockets::default().open(ID, endpoint, reports.sink());
        link.send(b"OPTIONS".to_vec());
        let mut buffer = [0; 100];
        let (count, from) = tokio::time::timeout(GUARD, peer.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer[..count], b"OPTIONS");
        peer.send_to(b"200", from).await.unwrap();
        peer.send_to(b"OK", from).await.unwrap();
        reports.got(b"200OK").await;
        assert!(reports.reports.borrow().contains(&Report::Bytes(ID, b"200".to_vec())));
    });
}

#[test]
fn a_listening_socket_hears_its_host_from_every_port() {
    run(async {
        // a port that was free a moment ago
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let reports = Reports::default();
        let endpoint = Endpoint::Listen { at: free, from: "127.0.0.1".into() };
        let _link = Sockets::default().open(ID, endpoint, reports.sink());
        reports.opened().await;
        for word in [b"one", b"two"] {
            let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            peer.send_to(word, free).await.unwrap();
        }
        reports.got(b"onetwo").await;
    });
}

pub(crate) fn request(port: u16, reply_max: usize) -> HttpRequest {
    HttpRequest {
        method: "PUT",
        host: "127.0.0.1".into(),
        port,
        path: "/ari/x?y=1".into(),
        basic: Some(("u".into(), Secret::new("p"))),
        bearer: None,
        header: None,
        body: Some(("application/json", b"{}".to_vec())),
        within: GUARD,
        reply_max,
        streamed: false,
        tls: None,
    }
}

pub(crate) const REQUEST: RequestId = RequestId { epoch: Epoch(1), number: 7 };

pub(crate) async fn reply_of(reports: &Reports) -> Result<ifbus_adapters::adapter::HttpReply, LinkError> {
    reports
        .until(|reports| {
            reports.iter().find_map(|report| match report {
                Report::Http(REQUEST, reply) => Some(reply.clone()),
                _ => None,
            })
        })
        .await
}

#[test]
fn a_request_carries_its_body_and_who_we_are() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let _pending = Sockets::default().request(REQUEST, request(port, 100), reports.sink());
        let (mut peer, _) = listener.accept().await.unwrap();
        let head = String::from_utf8(read_until(&mut peer, b"\r\n\r\n").await).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("put /ari/x?y=1 http/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: basic dtpw"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        peer.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope").await.unwrap();
        let reply = reply_of(&reports).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (404, &b"nope"[..]));
    });
}

#[test]
fn an_answer_beyond_the_limit_is_not_read() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let _pending = Sockets::default().request(REQUEST, request(port, 10), reports.sink());
        let (mut peer, _) = listener.accept().await.unwrap();
        read_until(&mut peer, b"\r\n\r\n").await;
        peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901").await.unwrap();
        assert!(matches!(reply_of(&reports).await, Err(LinkError::Limit(_))));
    });
}

#[test]
fn a_websocket_that_is_refused_tells_the_status() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let endpoint = Endpoint::WebSocket {
            host: "127.0.0.1".into(),
            port,
            path: "/ari/events?app=x".into(),
            basic: None,
            message_max: 1000,
            tls: None,
        };
        let _link = Sockets::default().open(ID, endpoint, reports.sink());
        let (mut peer, _) = listener.accept().await.unwrap();
        read_until(&mut peer, b"\r\n\r\n").await;
        peer.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(reports.closed().await, LinkError::Status(401));
    });
}

/// Runs this with chance of a seed each, `IFBUS_FUZZ_RUNS` times if that is set; a failing run is told by its number.
pub(crate) fn fuzzed(short: u64, mut target: impl FnMut(&mut dyn FnMut() -> u64)) {
    let runs = std::env::var("IFBUS_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(short);
    for run in 0..runs {
        let mut state: u64 = run;
        // SplitMix64
        let mut chance = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&mut chance)));
        assert!(result.is_ok(), "run {run} broke a promise");
    }
}
