//! Far ends that a phone double does not play: a hand-made server, message by message (sheet sip-3pcc, section 11).

use std::net::SocketAddr;

use ifbus_call::order::Evidence;
use ifbus_call::{Cause, Event, Order};
use ifbus_doubles::phone::shell::SipServer;
use tokio::net::UdpSocket;

use super::rig::{A, GUARD, Lab, Rig, address, run};

/// A server that says what a test wants.
struct Peer {
    socket: UdpSocket,
    /// Where we were heard from.
    us: SocketAddr,
}

/// One message of ours.
struct Heard(String);

impl Heard {
    fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.0.lines().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap_or_default()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{name}: ");
        self.0.lines().filter_map(|line| line.strip_prefix(prefix.as_str())).collect()
    }

    fn target(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    fn number(&self) -> u32 {
        self.header("CSeq").split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }
}

const ANSWER: &str =
    "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

impl Peer {
    async fn new() -> (Self, Lab) {
        let socket = UdpSocket::bind(address(5060)).await.unwrap();
        let phones = SipServer::start(&[address(5060)]).unwrap();
        let lab = Lab { phones, server: socket.local_addr().unwrap(), listen: address(5070) };
        let us = lab.listen;
        (Self { socket, us }, lab)
    }

    /// The next message that begins so; others are passed over.
    async fn next(&self, begins: &str) -> Heard {
        let mut buffer = [0; 65_535];
        let waiting = async {
            loop {
                let (count, _) = self.socket.recv_from(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if text.starts_with(begins) {
                    return Heard(text);
                }
            }
        };
        tokio::time::timeout(GUARD, waiting).await.unwrap_or_else(|_| panic!("no {begins}"))
    }

    async fn send(&self, text: impl AsRef<[u8]>) {
        self.socket.send_to(text.as_ref(), self.us).await.unwrap();
    }

    /// A reply; `more` are header lines with their ends, or a body after an empty line.
    async fn reply(&self, request: &Heard, status: &str, tag: &str, more: &str) {
        self.send(self.written(request, status, tag, more)).await;
    }

    fn written(&self, request: &Heard, status: &str, tag: &str, more: &str) -> String {
        let tag = if tag.is_empty() || request.header("To").contains("tag=") {
            String::new()
        } else {
            format!(";tag={tag}")
        };
        let vias: String = request.all("Via").iter().map(|via| format!("Via: {via}\r\n")).collect();
        let more = if more.contains("\r\n\r\n") { more.to_owned() } else { format!("{more}\r\n") };
        format!(
            "SIP/2.0 {status}\r\n{vias}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}",
            request.header("From"),
            request.header("To"),
            request.header("Call-ID"),
            request.header("CSeq"),
        )
    }

    fn answer(&self) -> String {
        let at = self.socket.local_addr().unwrap();
        format!(
            "Contact: <sip:p@{at}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        )
    }

    /// A request inside the dialog that this INVITE began.
    async fn request(&self, invite: &Heard, tag: &str, method: &str, number: u32, more: &str) {
        let at = self.socket.local_addr().unwrap();
        let more = if more.contains("\r\n\r\n") { more.to_owned() } else { format!("{more}\r\n") };
        let text = format!(
            "{method} sip:ifbus@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK-{method}-{number}\r\n\
             From: {to};tag={tag}\r\nTo: {from}\r\nCall-ID: {id}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n{more}",
            us = self.us,
            to = invite.header("To"),
            from = invite.header("From"),
            id = invite.header("Call-ID"),
        );
        self.send(text).await;
    }

    /// A leg that is up, its INVITE, and its ACK.
    async fn up(&self, lab: &Lab) -> (Rig, Heard, Heard) {
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = self.next("INVITE").await;
        self.reply(&invite, "200 OK", "p1", &self.answer()).await;
        let ack = self.next("ACK").await;
        rig.event(Event::Answered(A)).await;
        (rig, invite, ack)
    }
}

#[test]
fn the_route_comes_back_reversed_and_unchanged_and_requests_go_to_the_contact() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = peer.next("INVITE").await;
        assert!(
            invite.header("Supported").contains("timer") && invite.0.contains("a=inactive"),
            "{}",
            invite.0
        );
        let routes = "Record-Route: <sip:127.0.0.8;lr=on;ftag=a;did=4e.1>, <sip:127.0.0.9;lr>\r\nRecord-Route: <sip:127.0.0.10;lr>\r\n";
        peer.reply(&invite, "200 OK", "p1", &format!("{routes}{}", peer.answer())).await;
        let ack = peer.next("ACK").await;
        let wanted = ["<sip:127.0.0.10;lr>", "<sip:127.0.0.9;lr>", "<sip:127.0.0.8;lr=on;ftag=a;did=4e.1>"];
        assert_eq!(ack.all("Route").iter().flat_map(|line| line.split(", ")).collect::<Vec<_>>(), wanted);
        assert_eq!(ack.number(), invite.number());
        rig.event(Event::Answered(A)).await;
        rig.give(Order::Drop { leg: A, cause: Cause::Answered });
        let bye = peer.next("BYE").await;
        assert_eq!(bye.all("Route"), wanted);
        assert_eq!(bye.target(), format!("sip:p@{}", peer.socket.local_addr().unwrap()));
        assert_eq!(bye.header("Reason"), "Q.850;cause=16;text=\"answered\"");
        assert_eq!(bye.number(), invite.number() + 1);
        peer.reply(&bye, "200 OK", "", "Content-Length: 0\r\n").await;
        rig.ended(A).await;
    });
}

#[test]
fn both_of_two_challenges_are_answered_and_inside_the_dialog_too() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let first = peer.next("INVITE").await;
        let asks = |name: &str, realm: &str| {
            format!(
                "{name}: Digest realm=\"{realm}\", nonce=\"n,1\", algorithm=MD5, qop=\"auth\"\r\nContent-Length: 0\r\n"
            )
        };
        peer.reply(&first, "407 Who", "x", &asks("Proxy-Authenticate", "proxy")).await;
        peer.next("ACK").await;
        let second = peer.next("INVITE").await;
        assert!(second.number() > first.number() && second.header("Via") != first.header("Via"));
        assert!(second.header("Proxy-Authorization").contains("realm=\"proxy\""), "{}", second.0);
        peer.reply(&second, "401 Who", "y", &asks("WWW-Authenticate", "behind")).await;
        let third = peer.next("INVITE").await;
        assert!(third.header("Authorization").contains("realm=\"behind\""), "{}", third.0);
        assert!(third.header("Proxy-Authorization").contains("realm=\"proxy\""), "the first one is kept");
        peer.reply(&third, "200 OK", "p1", &peer.answer()).await;
        rig.event(Event::Answered(A)).await;
        let store = rig.kill().await;
        // the next process has no memory of any challenge
        let rig = Rig::start(lab.options(), store).await;
        rig.give(Order::Dtmf { leg: A, digits: "5".parse().unwrap() });
        let info = peer.next("INFO").await;
        assert!(info.number() > third.number() + 9, "numbers leap over what may have been lost");
        peer.reply(&info, "407 Who", "", &asks("Proxy-Authenticate", "proxy")).await;
        let again = peer.next("INFO").await;
        assert!(
            again.number() > info.number()
                && again.header("Proxy-Authorization").contains("username=\"lab\"")
        );
        peer.reply(&again, "200 OK", "", "Content-Length: 0\r\n").await;
        rig.answered(1).await.unwrap();
    });
}

#[test]
fn a_password_that_is_not_taken_is_not_tried_for_ever_and_is_told() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        let ticket = rig.give(lab.dial(A, "1001", None));
        for _ in 0..2 {
            let invite = peer.next("INVITE").await;
            let asks = "Proxy-Authenticate: Digest realm=\"proxy\", nonce=\"1\"\r\nContent-Length: 0\r\n";
            peer.reply(&invite, "407 Who", "x", asks).await;
        }
        let refused = rig.answered(ticket).await.unwrap_err();
        assert_eq!((refused.cause, refused.evidence), (Cause::ServerFailure, Evidence::NotDone));
        rig.until("a warning", |seen| seen.warnings.iter().any(|warning| warning.code == "sip_credentials"))
            .await;
        let seen = rig.out.borrow();
        assert!(seen.warnings.iter().all(|warning| !warning.text.contains("labpass")));
    });
}

#[test]
fn an_answer_after_our_cancel_is_acknowledged_and_ended() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = peer.next("INVITE").await;
        peer.reply(&invite, "180 Ringing", "p1", "Content-Length: 0\r\n").await;
        rig.event(Event::Ringing(A)).await;
        rig.give(Order::Drop { leg: A, cause: Cause::Canceled });
        let cancel = peer.next("CANCEL").await;
        assert_eq!((cancel.header("Via"), cancel.target()), (invite.header("Via"), invite.target()));
        assert_eq!((cancel.number(), cancel.header("To")), (invite.number(), invite.header("To")));
        peer.reply(&cancel, "200 OK", "p1", "Content-Length: 0\r\n").await;
        peer.reply(&invite, "200 OK", "p1", &peer.answer()).await;
        peer.next("ACK").await;
        let bye = peer.next("BYE").await;
        peer.reply(&bye, "200 OK", "", "Content-Length: 0\r\n").await;
        assert_eq!(rig.ended(A).await.0, Cause::Canceled);
    });
}

#[test]
fn a_cancel_waits_for_the_servers_first_word() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = peer.next("INVITE").await;
        rig.give(Order::Drop { leg: A, cause: Cause::Canceled });
        // said again because nothing was heard; a CANCEL would have come before
        let again = peer.next("").await;
        assert!(again.0.starts_with("INVITE"), "{}", again.0);
        peer.reply(&invite, "100 Trying", "", "Content-Length: 0\r\n").await;
        let cancel = peer.next("CANCEL").await;
        peer.reply(&cancel, "200 OK", "p1", "Content-Length: 0\r\n").await;
        peer.reply(&invite, "487 Gone", "p1", "Content-Length: 0\r\n").await;
        peer.next("ACK").await;
        assert_eq!(rig.ended(A).await.0, Cause::Canceled);
    });
}

#[test]
fn a_second_phone_that_answers_too_is_hung_up() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        peer.reply(&invite, "200 OK", "p2", &peer.answer()).await;
        let ack = peer.next("ACK").await;
        assert!(ack.header("To").ends_with(";tag=p2"), "{}", ack.0);
        let bye = peer.next("BYE").await;
        assert!(bye.header("To").ends_with(";tag=p2"), "{}", bye.0);
        assert_eq!(rig.out.borrow().seen.len(), 1, "the first one lives");
    });
}

#[test]
fn a_repeated_answer_gets_the_same_acknowledgement() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (_rig, invite, ack) = peer.up(&lab).await;
        peer.reply(&invite, "200 OK", "p1", &peer.answer()).await;
        assert_eq!(peer.next("ACK").await.0, ack.0);
    });
}

#[test]
fn answers_that_are_none_are_ended_and_fail_the_leg() {
    run(async {
        for (tag, more) in [
            ("p1", "Contact: <sip:p@127.0.0.1>\r\nContent-Length: 0\r\n"),
            (
                "p1",
                "Contact: <sip:p@127.0.0.1>\r\nContent-Type: multipart/mixed\r\nContent-Length: 1\r\n\r\nx",
            ),
            (
                "",
                "Contact: <sip:p@127.0.0.1>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
            ),
        ] {
            let (peer, lab) = Peer::new().await;
            let rig = lab.agent().await;
            let ticket = rig.give(lab.dial(A, "1001", None));
            let invite = peer.next("INVITE").await;
            peer.reply(&invite, "200 OK", tag, more).await;
            peer.next("ACK").await;
            peer.next("BYE").await;
            assert_eq!(rig.answered(ticket).await.unwrap_err().cause, Cause::Rejected, "{more}");
            assert!(rig.out.borrow().store.is_empty());
        }
    });
}

#[test]
fn an_answer_without_a_contact_is_acknowledged_all_the_same() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = peer.next("INVITE").await;
        let answer = peer.answer();
        let (_, without) = answer.split_once("\r\n").unwrap();
        peer.reply(&invite, "200 OK", "p1", without).await;
        let ack = peer.next("ACK").await;
        assert_eq!(ack.target(), invite.target());
        rig.event(Event::Answered(A)).await;
    });
}

#[test]
fn what_the_parser_would_lose_is_mended_before_it() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let rig = lab.agent().await;
        rig.give(lab.dial(A, "1001", None));
        let invite = peer.next("INVITE").await;
        // no Content-Length, and a name in Latin-1 before everything that matters
        let answer = peer.answer();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.split_once("Content-Length").unwrap().0;
        let text = peer.written(&invite, "200 OK", "p1", &format!("Server: M#ller\r\n{head}\r\n{body}"));
        let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'#' { 0xfc } else { byte }).collect();
        peer.send(bytes).await;
        peer.next("ACK").await;
        rig.event(Event::Answered(A)).await;
    });
}

#[test]
fn requests_are_answered_as_they_should_be() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        for (method, number, more, status) in [
            ("OPTIONS", 5, "", "200"),
            (
                "INFO",
                6,
                "Content-Type: application/dtmf-relay\r\nContent-Length: 10\r\n\r\nSignal=7\r\n",
                "200",
            ),
            ("NOTIFY", 7, "Event: refer\r\nContent-Length: 0\r\n", "200"),
            ("REFER", 8, "Refer-To: <sip:1@127.0.0.1>\r\nContent-Length: 0\r\n", "603"),
            ("UPDATE", 9, "Content-Length: 0\r\n", "405"),
            ("OPTIONS", 3, "Content-Length: 0\r\n", "500"),
            ("INVITE", 10, "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nx=1", "488"),
        ] {
            peer.request(&invite, "p1", method, number, more).await;
            let reply = peer.next("SIP/2.0").await;
            assert!(reply.0.starts_with(&format!("SIP/2.0 {status} ")), "{method}: {}", reply.0);
        }
        rig.event(Event::Digit(A, '7')).await;
        // a dialog that is none
        peer.request(&invite, "other", "BYE", 20, "Content-Length: 0\r\n").await;
        assert!(peer.next("SIP/2.0").await.0.starts_with("SIP/2.0 481 "));
        assert!(rig.out.borrow().seen.len() == 1, "nobody else ends it");
        peer.request(
            &invite,
            "p1",
            "BYE",
            21,
            "Reason: SIP;cause=200, Q.850;cause=17;text=\"b, c\"\r\nContent-Length: 0\r\n",
        )
        .await;
        assert!(peer.next("SIP/2.0").await.0.starts_with("SIP/2.0 200 "));
        let (_, _, said) = rig.ended(A).await;
        assert_eq!((said.code, said.text.as_str()), (Some(17), "b, c"));
    });
}

#[test]
fn a_new_contact_in_an_offer_or_an_answer_is_where_requests_go() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        let at = peer.socket.local_addr().unwrap();
        let offer = format!(
            "Contact: <sip:moved@{at}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        peer.request(&invite, "p1", "INVITE", 5, &offer).await;
        let reply = peer.next("SIP/2.0 200").await;
        assert!(reply.header("Contact").contains("ifbus@") && reply.0.contains("o=ifbus "), "{}", reply.0);
        peer.request(&invite, "p1", "ACK", 5, "Content-Length: 0\r\n").await;
        rig.give(Order::Dtmf { leg: A, digits: "5".parse().unwrap() });
        assert_eq!(peer.next("INFO").await.target(), format!("sip:moved@{at}"));
    });
}

#[test]
fn strangers_and_garbage_are_not_heard() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        let stranger = UdpSocket::bind(address(5060)).await.unwrap();
        let bye = format!(
            "BYE sip:ifbus@{us} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nFrom: {to};tag=p1\r\nTo: {from}\r\n\
             Call-ID: {id}\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n",
            us = peer.us,
            to = invite.header("To"),
            from = invite.header("From"),
            id = invite.header("Call-ID"),
        );
        stranger.send_to(bye.as_bytes(), peer.us).await.unwrap();
        let mut state: u64 = 7;
        for length in 0..200_u16 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = peer.written(&invite, "200 OK", "p1", &peer.answer()).into_bytes();
            let at = usize::try_from(state >> 33).unwrap() % bytes.len();
            bytes[at] = u8::try_from(state >> 56).unwrap();
            bytes.truncate(bytes.len() - usize::from(length).min(bytes.len() / 2));
            peer.send(&bytes).await;
            // alive after each
            peer.request(&invite, "p1", "OPTIONS", 100 + u32::from(length), "Content-Length: 0\r\n").await;
            peer.next("SIP/2.0 200").await;
        }
        peer.send(vec![b'A'; 9_000]).await;
        peer.send(b"INVITE sip:x@y SIP/2.0\r\n\r\n".to_vec()).await;
        // and the leg is untouched
        peer.request(&invite, "p1", "OPTIONS", 500, "Content-Length: 0\r\n").await;
        peer.next("SIP/2.0 200").await;
        assert!(
            !rig.out
                .borrow()
                .events
                .iter()
                .any(|event| matches!(event, Event::Ended { .. } | Event::Vanished(_)))
        );
    });
}

#[test]
fn a_new_call_to_us_is_not_taken_and_leaves_nothing() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        let new = format!(
            "INVITE sip:ifbus@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKnew\r\nFrom: <sip:x@y>;tag=1\r\n\
             To: <sip:ifbus@{us}>\r\nCall-ID: new\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            us = peer.us,
            at = peer.socket.local_addr().unwrap(),
        );
        peer.send(&new).await;
        peer.send(new.replace("INVITE", "CANCEL")).await;
        peer.request(&invite, "p1", "OPTIONS", 50, "Content-Length: 0\r\n").await;
        let first = peer.next("SIP/2.0").await;
        assert_eq!(first.header("CSeq"), "50 OPTIONS", "nobody calls us: {}", first.0);
        assert_eq!(rig.out.borrow().seen.len(), 1);
    });
}

#[test]
fn an_answer_to_our_offer_that_comes_to_the_next_process_is_acknowledged() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let (rig, invite, _) = peer.up(&lab).await;
        // a second leg, so that there is somebody to be parked with
        rig.give(lab.dial(super::rig::B, "1002", None));
        let other = peer.next("INVITE").await;
        peer.reply(&other, "200 OK", "q1", &peer.answer()).await;
        rig.event(Event::Answered(super::rig::B)).await;
        rig.give(Order::Join { a: A, b: super::rig::B });
        let offer = loop {
            let offer = peer.next("INVITE").await;
            if offer.header("Call-ID") == invite.header("Call-ID") && offer.number() > invite.number() {
                break offer;
            }
        };
        let store = rig.kill().await;
        let _rig = Rig::start(lab.options(), store).await;
        peer.reply(&offer, "200 OK", "", &peer.answer()).await;
        let ack = loop {
            let ack = peer.next("ACK").await;
            if ack.header("Call-ID") == offer.header("Call-ID") && ack.number() == offer.number() {
                break ack;
            }
        };
        assert_eq!(ack.target(), offer.target());
    });
}

#[test]
fn a_server_whose_name_has_no_address_is_told() {
    run(async {
        let (peer, lab) = Peer::new().await;
        let mut options = lab.options();
        options.endpoint.host = "no-such-host.invalid".to_owned();
        let rig = Rig::begin(options, Default::default());
        rig.until("a failed endpoint", |seen| {
            matches!(seen.standing, Some(ifbus_adapters::sip::Standing::Failed(_)))
        })
        .await;
        drop(peer);
        let refused = rig.outcome(lab.dial(A, "1", None)).await.unwrap_err();
        assert_eq!(refused.evidence, Evidence::NothingSent);
    });
}
