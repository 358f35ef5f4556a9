//! HTTP and WebSocket peers that break the rules, on real sockets: each ends with a reason, and none is read for ever.

use std::time::Duration;

use actix_http::ws::hash_key;
use ifbus_adapters::adapter::{Endpoint, HttpReply, LinkError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{ID, REQUEST, Reports, listener, read_until, reply_of, request, run};
use crate::{Network, Report, Sockets};

/// More than the system keeps for a peer that is not read any more.
const ENDLESS: usize = 64 * 1024 * 1024;
const MESSAGE_MAX: usize = 64 * 1024;

/// Asks, and lets the peer answer like this. Says what came of it, and how much the peer got rid of.
async fn asked(head: &str, body: &[u8], again: bool) -> (Result<HttpReply, LinkError>, usize) {
    let (listener, port) = listener().await;
    let reports = Reports::default();
    let mut asked = request(port, MESSAGE_MAX);
    asked.within = Duration::from_secs(2);
    let pending = Sockets::default().request(REQUEST, asked, reports.sink());
    let (mut peer, _) = listener.accept().await.unwrap();
    read_until(&mut peer, b"\r\n\r\n{}").await;
    peer.write_all(head.as_bytes()).await.unwrap();
    let mut said = 0;
    let babble = async {
        while (said == 0 || again) && peer.write_all(body).await.is_ok() {
            said += body.len();
            assert!(said < ENDLESS, "it reads for ever");
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let reply = tokio::select! {
        biased;
        reply = reply_of(&reports) => reply,
        () = babble => unreachable!("it never ends by itself"),
    };
    drop(pending);
    (reply, said)
}

#[test]
fn a_body_that_is_longer_than_allowed_or_never_ends_is_not_read_to_its_end() {
    run(async {
        let piece = vec![b'x'; 16 * 1024];
        let chunk = [b"4000\r\n", &piece[..], b"\r\n"].concat();
        for (head, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", &piece),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunk),
        ] {
            let (reply, _) = asked(head, body, true).await;
            assert!(matches!(reply, Err(LinkError::Limit(_))), "{head:?}: {reply:?}");
        }
    });
}

#[test]
fn an_answer_without_a_length_has_no_body_however_much_follows() {
    run(async {
        let piece = vec![b'x'; 16 * 1024];
        let (reply, _) = asked("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &piece, true).await;
        assert_eq!(reply.unwrap().body.len(), 0);
    });
}

#[test]
fn a_body_that_stops_in_the_middle_is_given_up_at_the_deadline() {
    run(async {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: ",
        ] {
            let (reply, _) = asked(head, b"5", false).await;
            assert_eq!(reply, Err(LinkError::TimedOut), "{head:?}");
        }
    });
}

#[test]
fn an_answer_that_is_none_is_an_error_with_words() {
    run(async {
        for head in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "\0\0\0\0\r\n\r\n",
        ] {
            let (reply, _) = asked(head, b" ", false).await;
            let words = reply.expect_err(head).to_string();
            assert!(!words.is_empty() && words != LinkError::TimedOut.to_string(), "{head:?}: {words}");
        }
    });
}

#[test]
fn a_head_without_an_end_is_not_read_to_its_end() {
    run(async {
        let lines = "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(500).into_bytes();
        let (reply, said) = asked("HTTP/1.1 200 OK\r\n", &lines, true).await;
        assert!(reply.is_err(), "{reply:?} after {said} bytes");
    });
}

/// A WebSocket that is open, and its peer.
async fn upgraded() -> (Reports, Box<dyn crate::Link>, TcpStream) {
    let (listener, port) = listener().await;
    let reports = Reports::default();
    let endpoint = Endpoint::WebSocket {
        host: "127.0.0.1".into(),
        port,
        path: "/ari/events".into(),
        basic: None,
        message_max: MESSAGE_MAX,
        tls: None,
    };
    let link = Sockets::default().open(ID, endpoint, reports.sink());
    let (mut peer, _) = listener.accept().await.unwrap();
    let head = String::from_utf8(read_until(&mut peer, b"\r\n\r\n").await).unwrap();
    let key = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key: ").then(|| &line[19..]));
    let accept = hash_key(key.expect("a key").as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    peer.write_all(answer.as_bytes()).await.unwrap();
    reports.opened().await;
    (reports, link, peer)
}

fn frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    [&[first, 127][..], &length.to_be_bytes(), payload].concat()
}

#[test]
fn frames_that_break_the_rules_end_the_stream_with_words() {
    run(async {
        let long = vec![b'x'; MESSAGE_MAX + 1];
        for (what, bytes) in [
            ("longer than allowed", frame(0x81, long.len() as u64, &long)),
            ("an opcode that is none", vec![0x8b, 0]),
            ("a ping longer than a ping may be", frame(0x89, 200, &[0; 200])),
            ("a frame masked as a client's", [&[0x81, 0x84][..], b"keyXtext"].concat()),
            ("a goodbye", vec![0x88, 0]),
        ] {
            let (reports, _link, mut peer) = upgraded().await;
            peer.write_all(&bytes).await.unwrap();
            let why = reports.closed().await;
            assert!(!why.to_string().is_empty(), "{what}");
        }
    });
}

#[test]
fn a_message_in_parts_without_an_end_is_cut_off_at_the_limit() {
    run(async {
        let (reports, _link, mut peer) = upgraded().await;
        let piece = vec![b'x'; 16 * 1024];
        let mut said = 0;
        let babble = async {
            let mut first = 0x01;
            while peer.write_all(&frame(first, piece.len() as u64, &piece)).await.is_ok() {
                (first, said) = (0x00, said + piece.len());
                assert!(said < ENDLESS, "it reads for ever");
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            why = reports.closed() => assert_eq!(why, LinkError::Limit("bytes of a message")),
            () = babble => {}
        }
    });
}

#[test]
fn text_and_binary_and_whole_and_in_parts_are_all_messages_and_pings_are_answered() {
    run(async {
        let (reports, _link, mut peer) = upgraded().await;
        let pieces: [&[u8]; 6] =
            [b"\x81\x03one", b"\x82\x03two", b"\x01\x02th", b"\x89\x01p", b"\x00\x01r", b"\x80\x02ee"];
        for piece in pieces {
            peer.write_all(piece).await.unwrap();
        }
        reports.got(b"onetwothree").await;
        let whole =
            reports.reports.borrow().iter().filter(|report| matches!(report, Report::Bytes(..))).count();
        assert_eq!(whole, 3);
        let mut head = [0; 2];
        tokio::io::AsyncReadExt::read_exact(&mut peer, &mut head).await.unwrap();
        assert_eq!(head, [0x8a, 0x81], "a pong, masked");
    });
}

#[test]
fn a_handshake_with_the_wrong_proof_is_refused() {
    run(async {
        for answer in [
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        ] {
            let (listener, port) = listener().await;
            let reports = Reports::default();
            let endpoint = Endpoint::WebSocket {
                host: "127.0.0.1".into(),
                port,
                path: "/".into(),
                basic: None,
                message_max: MESSAGE_MAX,
                tls: None,
            };
            let _link = Sockets::default().open(ID, endpoint, reports.sink());
            let (mut peer, _) = listener.accept().await.unwrap();
            read_until(&mut peer, b"\r\n\r\n").await;
            peer.write_all(answer.as_bytes()).await.unwrap();
            let why = reports.closed().await;
            assert!(!why.to_string().is_empty(), "{answer:?}");
            assert!(!reports.reports.borrow().contains(&Report::Opened(ID)), "{answer:?}");
        }
    });
}
