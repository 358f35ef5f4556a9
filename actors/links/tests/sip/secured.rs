//! SIP under TLS: one connection, verified before anything is said, made anew when it broke.

use std::time::Duration;

use ifbus_adapters::Trust;
use ifbus_adapters::sip::SipTransport;
use ifbus_call::order::Evidence;
use ifbus_call::{Event, LegId};
use ifbus_doubles::tls::{Days, Front, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::rig::{A, B, GUARD, Lab, Rig, address, run};

const ANSWER: &str =
    "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// The next message that begins so.
async fn next(stream: &mut TcpStream, kept: &mut String, begins: &str) -> String {
    let reading = async {
        let mut buffer = [0; 8_192];
        loop {
            while let Some(end) = kept.find("\r\n\r\n") {
                let head = kept[..end + 4].to_owned();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                let whole = head.len() + length.unwrap_or(0);
                if kept.len() < whole {
                    break;
                }
                kept.drain(..whole);
                if head.starts_with(begins) {
                    return head;
                }
            }
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed before {begins}");
            kept.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    tokio::time::timeout(GUARD, reading).await.unwrap_or_else(|_| panic!("no {begins}"))
}

async fn answer(stream: &mut TcpStream, invite: &str) {
    let header = |name: &str| {
        let line = invite.lines().find(|line| line.starts_with(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    let text = format!(
        "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=p1\r\n{}\r\n{}\r\nContact: <sip:p@127.0.0.1;transport=tls>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{ANSWER}",
        header("Via"),
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq"),
        ANSWER.len(),
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

#[test]
fn calls_share_one_verified_connection_and_another_certificate_hears_nothing() {
    run(async {
        let inside = TcpListener::bind(address(5060)).await.unwrap();
        let identity = || Identity::self_signed(&["127.0.0.1"], Days::default());
        let front = Front::before(inside.local_addr().unwrap(), &identity()).unwrap();
        let lab = Lab::direct();
        let mut options = lab.options();
        (options.endpoint.host, options.endpoint.port) = ("127.0.0.1".to_owned(), front.at().port());
        options.endpoint.transport = SipTransport::Tls(Trust::FirstUse("proxy1".parse().unwrap()));
        let rig = Rig::start(options, Default::default()).await;
        // two calls at once on a connection that is not there yet
        rig.give(lab.dial(A, "1001", None));
        rig.give(lab.dial(B, "1002", None));
        let (mut stream, _) = inside.accept().await.unwrap();
        let mut kept = String::new();
        for _ in 0..2 {
            let invite = next(&mut stream, &mut kept, "INVITE").await;
            assert!(invite.contains("Via: SIP/2.0/TLS ") && invite.contains(";transport=tls>"), "{invite}");
            answer(&mut stream, &invite).await;
        }
        for _ in 0..2 {
            next(&mut stream, &mut kept, "ACK").await;
        }
        rig.event(Event::Answered(A)).await;
        rig.event(Event::Answered(B)).await;
        // the connection breaks, and somebody else answers at its address
        front.show(&identity());
        drop(stream);
        for leg in 100..200 {
            let refused = rig.outcome(lab.dial(LegId(leg), "1003", None)).await.unwrap_err();
            if refused.evidence == Evidence::NothingSent {
                let said = refused.said.unwrap().text;
                assert!(said.contains("certificate"), "{said}");
                let up = |leg| rig.out.borrow().seen.iter().any(|seen| seen.leg == leg);
                assert!(up(A) && up(B), "calls outlive their connection");
                return;
            }
            // that the old one is broken was not noticed yet
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("another certificate was taken");
    });
}
