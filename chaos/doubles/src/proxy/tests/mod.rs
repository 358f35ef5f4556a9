//! A caller, a phone and the proxy between them, by datagrams that are written by hand.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::Message;
use super::{Proxy, Rules, State, What};

const CALLER: ([u8; 4], u16) = ([127, 0, 0, 9], 5070);
const PHONE: ([u8; 4], u16) = ([127, 0, 0, 2], 5060);

fn at(address: ([u8; 4], u16)) -> SocketAddr {
    address.into()
}

struct Rig {
    proxy: Proxy,
    now: Duration,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::new(([127, 0, 0, 1], 5060).into(), "kamailio (5.6.3)");
        rules.routes.push(("10".to_owned(), at(PHONE)));
        change(&mut rules);
        Self { proxy: Proxy::new(rules, 7), now: Duration::ZERO }
    }

    fn says(&mut self, who: ([u8; 4], u16), text: &str) {
        self.proxy.datagram(at(who), text.replace('\n', "\r\n").as_bytes(), self.now);
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.proxy.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.proxy.tick(self.now);
        }
        self.now = end;
    }

    /// What was sent: to whom, and the message.
    fn sent(&mut self) -> Vec<(SocketAddr, Message)> {
        std::iter::from_fn(|| self.proxy.poll())
            .map(|(to, bytes)| (to, Message::parse(&bytes).expect("it is SIP")))
            .collect()
    }

    fn starts(&mut self) -> Vec<String> {
        self.sent().into_iter().map(|(_, message)| message.start).collect()
    }

    fn happened(&mut self) -> Vec<(What, Option<u16>, &'static str)> {
        std::iter::from_fn(|| self.proxy.happening()).map(|told| (told.what, told.code, told.local)).collect()
    }

    fn state(&self) -> State {
        self.proxy.find("c1", None).expect("it is in the table").state
    }

    /// The INVITE as the phone got it.
    fn invite(&mut self) -> Message {
        self.says(CALLER, INVITE);
        let sent = self.sent();
        assert_eq!(sent[0].1.code(), Some(100));
        assert_eq!((sent[1].0, sent[1].1.method()), (at(PHONE), "INVITE"));
        sent[1].1.clone()
    }

    fn phone_says(&mut self, invite: &Message, status: &str) {
        let reply = reply_to(invite, status);
        self.says(PHONE, &reply);
    }
}

const INVITE: &str = "INVITE sip:1001@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bKa1;rport\n\
                      Max-Forwards: 70\nFrom: <sip:ifbus@127.0.0.1>;tag=ft\nTo: <sip:1001@127.0.0.1>\nCall-ID: c1\n\
                      CSeq: 20 INVITE\nContact: <sip:ifbus@127.0.0.9:5070>\nContent-Length: 0\n\n";

fn reply_to(request: &Message, status: &str) -> String {
    let header = |name: &str| request.get(name).unwrap_or_default().to_owned();
    let mut vias = request.clone();
    let mut text = format!("SIP/2.0 {status}\n");
    while let Some(via) = vias.pop("Via") {
        text += &format!("Via: {via}\n");
    }
    let tag = if request.get("To").is_some_and(|to| to.contains("tag=")) { "" } else { ";tag=tt" };
    text + &format!(
        "From: {}\nTo: {}{tag}\nCall-ID: {}\nCSeq: {}\nRecord-Route: {}\nContact: <sip:1001@127.0.0.2:5060>\n\
         Content-Length: 0\n\n",
        header("From"),
        header("To"),
        header("Call-ID"),
        header("CSeq"),
        header("Record-Route"),
    )
}

/// A request in the dialog, with or without the route that was recorded.
fn in_dialog(method: &str, cseq: u32, route: &str) -> String {
    format!(
        "{method} sip:1001@127.0.0.2:5060 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bK{method}{cseq}\n\
         {route}Max-Forwards: 70\nFrom: <sip:ifbus@127.0.0.1>;tag=ft\nTo: <sip:1001@127.0.0.1>;tag=tt\nCall-ID: c1\n\
         CSeq: {cseq} {method}\nContent-Length: 0\n\n"
    )
}

#[test]
fn a_call_goes_through_and_its_route_finds_the_dialog_again() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    let route = invite.get("Record-Route").expect("a route").to_owned();
    assert!(route.contains(";lr=on;ftag=ft;did="), "{route}");
    assert_eq!(invite.get("Max-Forwards"), Some("69"));
    rig.phone_says(&invite, "180 Ringing");
    assert_eq!(rig.state(), State::Early);
    rig.phone_says(&invite, "200 Answering");
    assert_eq!(rig.state(), State::Answered);
    let sent = rig.sent();
    assert!(sent.iter().all(|(to, message)| *to == at(CALLER) && !message.branch().contains("z9hG4bK0")));
    assert_eq!(sent[1].1.branch(), "z9hG4bKa1", "our Via is gone again");
    let route = format!("Route: {route}\n");
    rig.says(CALLER, &in_dialog("ACK", 20, &route));
    assert_eq!(rig.state(), State::Confirmed);
    rig.says(CALLER, &in_dialog("BYE", 21, &route));
    assert_eq!(rig.state(), State::Ended);
    assert_eq!(
        rig.happened().into_iter().map(|(what, ..)| what).collect::<Vec<_>>(),
        [What::Invite, What::Ringing, What::Answered, What::Ended, What::InDialog]
    );
    rig.wait(Duration::from_secs(6));
    assert!(rig.proxy.find("c1", None).is_none(), "it lingers for some seconds only");
}

#[test]
fn a_route_is_followed_without_any_memory_and_without_a_route_nobody_is_here() {
    let mut rig = Rig::new(|_| {});
    let route = "Route: <sip:127.0.0.1:5060;lr=on;ftag=ft;did=b36.122d>\n";
    rig.says(CALLER, &in_dialog("BYE", 21, route));
    let sent = rig.sent();
    assert_eq!((sent[0].0, sent[0].1.method()), (at(PHONE), "BYE"));
    assert_eq!(sent[0].1.get("Route"), None);
    rig.says(CALLER, &in_dialog("INFO", 22, ""));
    assert_eq!(rig.starts(), ["SIP/2.0 404 Not here"]);
    assert!(rig.happened().is_empty());
}

#[test]
fn a_503_of_the_phone_reaches_the_caller_as_500() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    rig.happened();
    rig.phone_says(&invite, "503 Service Unavailable");
    assert_eq!(rig.starts(), ["ACK sip:1001@127.0.0.1 SIP/2.0", "SIP/2.0 500 Service Unavailable"]);
    assert_eq!(rig.happened(), [(What::Failed, Some(503), "remote")]);
}

#[test]
fn silence_is_a_408_of_the_proxys_own() {
    let mut rig = Rig::new(|_| {});
    rig.invite();
    rig.happened();
    rig.wait(Duration::from_secs(6));
    let starts = rig.starts();
    assert!(starts.len() > 2, "the INVITE is repeated: {starts:?}");
    assert_eq!(starts.last().map(String::as_str), Some("SIP/2.0 408 Request Timeout"));
    assert_eq!(rig.happened(), [(What::Failed, Some(408), "unreachable")]);
}

#[test]
fn ringing_for_too_long_is_a_408_and_the_phone_is_told() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    rig.phone_says(&invite, "180 Ringing");
    rig.wait(Duration::from_secs(61));
    let starts = rig.starts();
    assert!(starts.iter().any(|start| start.starts_with("CANCEL ")), "{starts:?}");
    assert_eq!(rig.happened().last(), Some(&(What::Failed, Some(408), "no-answer")));
}

#[test]
fn a_cancel_goes_on_when_the_phone_was_heard() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    let cancel = INVITE.replace("INVITE", "CANCEL");
    rig.says(CALLER, &cancel);
    assert_eq!(rig.starts(), ["SIP/2.0 200 canceling"]);
    rig.phone_says(&invite, "180 Ringing");
    assert!(rig.starts().iter().any(|start| start.starts_with("CANCEL ")));
    rig.phone_says(&invite, "487 Request Terminated");
    assert_eq!(rig.starts().last().map(String::as_str), Some("SIP/2.0 487 Request Terminated"));
    assert_eq!(rig.state(), State::Ended);
}

#[test]
fn a_repeated_invite_hears_the_last_reply_and_rings_nobody_twice() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    rig.phone_says(&invite, "180 Ringing");
    rig.sent();
    rig.says(CALLER, INVITE);
    assert_eq!(rig.starts(), ["SIP/2.0 180 Ringing"]);
    assert_eq!(rig.proxy.processed, 1);
}

#[test]
fn an_answer_that_is_repeated_is_passed_on_each_time_even_after_a_restart() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    rig.phone_says(&invite, "200 OK");
    rig.phone_says(&invite, "200 OK");
    assert_eq!(rig.starts(), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
    rig.proxy.forget();
    rig.phone_says(&invite, "200 OK");
    assert_eq!(rig.starts(), ["SIP/2.0 200 OK"]);
}

#[test]
fn each_challenge_has_its_own_nonce_and_a_right_answer_is_let_in() {
    let users = [("lab".to_owned(), "labpass".to_owned())].into();
    let mut rig = Rig::new(|rules| rules.users = Some(users));
    let mut nonces = Vec::new();
    for branch in ["a1", "a2"] {
        rig.says(CALLER, &INVITE.replace("z9hG4bKa1", &format!("z9hG4bK{branch}")));
        let (_, challenge) = rig.sent().remove(0);
        assert_eq!(challenge.code(), Some(407));
        nonces.push(challenge.get("Proxy-Authenticate").expect("a challenge").to_owned());
    }
    assert_ne!(nonces[0], nonces[1]);
    let nonce = nonces[1].split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
    let md5 = |text: String| crate::digest::md5_hex(text.as_bytes());
    let (a1, a2) = (md5("lab:127.0.0.1:labpass".to_owned()), md5("INVITE:sip:1001@127.0.0.1".to_owned()));
    let proof = md5(format!("{a1}:{nonce}:00000001:x:auth:{a2}"));
    let shown = format!(
        "Proxy-Authorization: Digest username=\"lab\", realm=\"127.0.0.1\", nonce=\"{nonce}\", \
         uri=\"sip:1001@127.0.0.1\", qop=auth, nc=00000001, cnonce=\"x\", response=\"{proof}\"\n"
    );
    let invite =
        INVITE.replace("z9hG4bKa1", "z9hG4bKa3").replace("Max-Forwards", &format!("{shown}Max-Forwards"));
    rig.says(CALLER, &invite);
    let sent = rig.sent();
    assert_eq!(sent[1].1.method(), "INVITE");
    assert_eq!(sent[1].1.get("Proxy-Authorization"), None, "the phone does not see it");
    rig.says(CALLER, &invite.replace(&proof, "0").replace("z9hG4bKa3", "z9hG4bKa4"));
    assert_eq!(rig.sent()[0].1.code(), Some(407));
}

#[test]
fn a_drain_refuses_new_calls_of_others_and_nothing_else() {
    let mut rig = Rig::new(|rules| rules.trusted = vec![at(CALLER)]);
    rig.invite();
    rig.proxy.rules.drained = true;
    rig.says(CALLER, &INVITE.replace("z9hG4bKa1", "z9hG4bKa2").replace("c1", "c2"));
    assert_eq!(rig.starts().len(), 2);
    rig.says(PHONE, &INVITE.replace("z9hG4bKa1", "z9hG4bKa3").replace("c1", "c3"));
    assert_eq!(rig.starts(), ["SIP/2.0 503 Draining"]);
    rig.says(CALLER, &in_dialog("INFO", 22, "Route: <sip:127.0.0.1:5060;lr=on>\n"));
    assert!(rig.starts()[0].starts_with("INFO "));
}

#[test]
fn a_user_nobody_knows_and_hops_that_ran_out_are_refused() {
    let mut rig = Rig::new(|_| {});
    rig.says(CALLER, &INVITE.replace("1001", "2001"));
    assert_eq!(rig.starts(), ["SIP/2.0 404 Not registered"]);
    assert!(rig.happened().is_empty(), "nobody is told of what was never passed on");
    rig.says(CALLER, &INVITE.replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(rig.starts(), ["SIP/2.0 483 Too Many Hops"]);
}

#[test]
fn session_timers_are_imposed_and_replies_may_swap() {
    let mut rig = Rig::new(|rules| {
        rules.session_expires = Some(90);
        rules.swaps = true;
    });
    let invite = rig.invite();
    rig.phone_says(&invite, "180 Ringing");
    rig.phone_says(&invite, "200 OK");
    let sent = rig.sent();
    assert_eq!(sent.iter().map(|(_, message)| message.code()).collect::<Vec<_>>(), [Some(200), Some(180)]);
    assert_eq!(sent[0].1.get("Session-Expires"), Some("90;refresher=uac"));
}

#[test]
fn what_is_no_sip_is_dropped() {
    let mut rig = Rig::new(|_| {});
    for text in
        ["", "\n\n", "hello", "INVITE sip:1001@127.0.0.1 SIP/2.0\n\n", "SIP/2.0 200 OK\n\n", "\u{0}\u{1}\n\n"]
    {
        rig.says(CALLER, text);
    }
    assert!(rig.sent().is_empty() && rig.proxy.dialogs.is_empty());
}

#[test]
fn a_call_that_is_ended_from_outside_is_told_to_both_until_both_have_answered() {
    let mut rig = Rig::new(|_| {});
    let invite = rig.invite();
    rig.phone_says(&invite, "200 OK");
    rig.sent();
    let key = rig.proxy.find("c1", None).expect("it is in the table").key;
    assert!(rig.proxy.terminate(key, rig.now));
    let byes = rig.sent();
    assert_eq!(
        byes.iter().map(|(to, bye)| (*to, bye.method())).collect::<Vec<_>>(),
        [(at(PHONE), "BYE"), (at(CALLER), "BYE")]
    );
    rig.says(CALLER, &reply_to(&byes[1].1, "200 OK"));
    assert!(rig.sent().is_empty(), "nobody waits for the answer");
    rig.wait(Duration::from_secs(1));
    let again = rig.sent();
    assert!(!again.is_empty() && again.iter().all(|(to, bye)| *to == at(PHONE) && *bye == byes[0].1));
    rig.says(PHONE, &reply_to(&byes[0].1, "200 OK"));
    rig.wait(Duration::from_secs(5));
    assert!(rig.sent().is_empty());
}
