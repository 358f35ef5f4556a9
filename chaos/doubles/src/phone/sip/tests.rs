//! The phones against hand-made peers, and against each other, in virtual time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::message::{Message, Start};
use super::{Input, Output, SipPhones};
use crate::phone::{Act, Plan, Tone};

const SERVER: &str = "127.0.0.9:5060";
const PHONE: &str = "127.0.0.2:5060";

struct Lab {
    phones: SipPhones,
    now: Duration,
    sip: Vec<Message>,
    media: Vec<Output>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn invite(number: &str, sdp: bool) -> Message {
    let mut request = Message::request("INVITE", &format!("sip:{number}@{PHONE}"))
        .with("Via", format!("SIP/2.0/UDP {SERVER};branch=z9hG4bK1"))
        .with("From", "\"A\" <sip:5550001@127.0.0.9>;tag=far")
        .with("To", format!("<sip:{number}@{PHONE}>"))
        .with("Call-ID", "one")
        .with("CSeq", "1 INVITE")
        .with("Contact", format!("<sip:server@{SERVER}>"));
    if sdp {
        request.body = super::sdp::describe(at("127.0.0.9:9000"), 1, (true, true), 96);
    }
    request
}

fn within(method: &str, cseq: &str, to: &str) -> Message {
    let mut request = invite("1001", false);
    request.start = Start::Request { method: method.into(), uri: "sip:1001@127.0.0.2:5060".into() };
    let mut fresh = Message::request(method, "sip:1001@127.0.0.2:5060");
    for name in ["Via", "From", "Call-ID"] {
        fresh.add(name, request.get(name).unwrap());
    }
    fresh.with("To", to).with("CSeq", cseq)
}

impl Lab {
    fn new() -> Self {
        Lab { phones: SipPhones::new(7), now: Duration::ZERO, sip: vec![], media: vec![] }
    }

    fn send(&mut self, message: &Message) {
        let input = Input::Sip { local: at(PHONE), from: at(SERVER), bytes: message.encode() };
        self.phones.handle(input, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.phones.poll() {
            match output {
                Output::Sip { bytes, .. } => self.sip.push(Message::parse(&bytes).unwrap()),
                other => self.media.push(other),
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.phones.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.phones.handle(Input::Tick, self.now);
            self.collect();
        }
        self.now = end;
    }

    /// Statuses and methods said since the last call.
    fn said(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.sip);
        said.iter()
            .map(|m| match &m.start {
                Start::Request { method, .. } => method.clone(),
                Start::Response { status } => status.to_string(),
            })
            .collect()
    }

    fn answered(&mut self) -> String {
        self.send(&invite("1001", true));
        self.pass(150);
        let to = self.sip.last().unwrap().get("To").unwrap().to_owned();
        self.send(&within("ACK", "1 ACK", &to));
        self.said();
        to
    }
}

#[test]
fn a_call_is_rung_answered_and_repeated_until_acknowledged() {
    let mut lab = Lab::new();
    lab.send(&invite("1001", true));
    assert_eq!(lab.said(), ["100"]);
    lab.send(&invite("1001", true));
    assert_eq!(lab.said(), ["100"], "a repeated INVITE gets the last response again");
    lab.pass(150);
    let to = lab.sip.last().unwrap().get("To").unwrap().to_owned();
    assert_eq!(lab.said(), ["180", "200"]);
    assert_eq!(lab.phones.rings("1001"), 1);
    lab.pass(1600);
    assert_eq!(lab.said(), ["200", "200"]);
    lab.send(&within("ACK", "1 ACK", &to));
    lab.pass(10_000);
    assert_eq!(lab.said(), Vec::<String>::new());
    assert_eq!(lab.phones.live("1001"), 1);
    assert_eq!(lab.phones.caller_seen("1001").as_deref(), Some("5550001"));
}

#[test]
fn an_answer_that_nobody_acknowledges_is_taken_back() {
    let mut lab = Lab::new();
    lab.send(&invite("1001", true));
    lab.pass(40_000);
    assert!(lab.said().contains(&"BYE".to_owned()));
    assert_eq!(lab.phones.live("1001"), 0);
}

#[test]
fn a_canceled_invitation_ends_with_487() {
    let mut lab = Lab::new();
    lab.phones.plan("1001", Plan::rings());
    lab.send(&invite("1001", true));
    lab.pass(100);
    lab.said();
    lab.send(&within("CANCEL", "1 CANCEL", "<sip:1001@127.0.0.2:5060>"));
    assert_eq!(lab.said(), ["200", "487"]);
    lab.pass(600);
    assert_eq!(lab.said(), ["487"], "repeated until its ACK");
    lab.send(&within("ACK", "1 ACK", "<sip:1001@127.0.0.2:5060>;tag=x"));
    lab.pass(60_000);
    assert_eq!(lab.said(), Vec::<String>::new());
    assert!(lab.phones.deadline().is_none(), "nothing is left of it");
}

#[test]
fn a_silent_phone_says_nothing_and_a_busy_one_486() {
    let mut lab = Lab::new();
    lab.phones.plan("1001", Plan::silent());
    lab.send(&invite("1001", true));
    lab.pass(40_000);
    assert_eq!(lab.said(), Vec::<String>::new());
    lab.phones.plan("1001", Plan::busy());
    lab.send(&invite("1001", true));
    lab.pass(100);
    assert_eq!(lab.said(), ["100", "486"]);
}

#[test]
fn requests_outside_of_calls_are_answered() {
    let mut lab = Lab::new();
    lab.send(&within("OPTIONS", "1 OPTIONS", "<sip:x@y>"));
    lab.send(&within("BYE", "1 BYE", "<sip:x@y>;tag=z"));
    lab.send(&within("SUBSCRIBE", "1 SUBSCRIBE", "<sip:x@y>"));
    assert_eq!(lab.said(), ["200", "481", "501"]);
    lab.phones
        .handle(Input::Sip { local: at(PHONE), from: at(SERVER), bytes: b"\r\n\r\n".to_vec() }, lab.now);
    assert!(lab.phones.poll().is_none());
}

#[test]
fn an_invite_without_an_offer_is_answered_with_one_and_takes_the_answer_from_the_ack() {
    let mut lab = Lab::new();
    lab.send(&invite("1001", false));
    lab.pass(150);
    let answer = lab.sip.last().unwrap().clone();
    assert!(answer.body.contains("m=audio 20000 RTP/AVP 0 101"), "{}", answer.body);
    lab.media.clear();
    let mut ack = within("ACK", "1 ACK", answer.get("To").unwrap());
    ack.body = super::sdp::describe(at("127.0.0.9:9100"), 1, (true, true), 101);
    lab.send(&ack);
    lab.pass(100);
    let to = lab.media.iter().find_map(|o| if let Output::Media { to, .. } = o { Some(*to) } else { None });
    assert_eq!(to, Some(at("127.0.0.9:9100")));
}

#[test]
fn hold_is_offered_acknowledged_and_tried_again_after_a_collision() {
    let mut lab = Lab::new();
    lab.answered();
    lab.phones.act("1001", &Act::Hold, lab.now);
    lab.collect();
    let offer = lab.sip.last().unwrap().clone();
    assert!(offer.body.contains("a=sendonly"));
    lab.said();
    lab.send(&Message::response(&offer, 491, "x"));
    assert_eq!(lab.said(), ["ACK"]);
    lab.pass(600);
    let again = lab.sip.last().unwrap().clone();
    assert_eq!(lab.said(), ["INVITE"]);
    let mut accept = Message::response(&again, 200, "x");
    accept.body = super::sdp::describe(at("127.0.0.9:9000"), 2, (true, true), 96);
    lab.send(&accept);
    assert_eq!(lab.said(), ["ACK"]);
    lab.media.clear();
    lab.pass(100);
    assert!(lab.media.is_empty(), "a phone that holds is silent");
}

#[test]
fn a_reinvite_while_ours_is_open_meets_491() {
    let mut lab = Lab::new();
    let to = lab.answered();
    lab.phones.act("1001", &Act::Hold, lab.now);
    lab.collect();
    lab.said();
    lab.send(&within("INVITE", "2 INVITE", &to));
    assert_eq!(lab.said(), ["491"]);
}

#[test]
fn our_bye_is_repeated_and_follows_the_record_route() {
    let mut lab = Lab::new();
    let mut request = invite("1001", true);
    request.add("Record-Route", "<sip:127.0.0.7:5070;lr>");
    lab.send(&request);
    lab.pass(150);
    lab.phones.act("1001", &Act::HangUp, lab.now);
    let outputs: Vec<Output> = std::iter::from_fn(|| lab.phones.poll()).collect();
    let sent = outputs.iter().find_map(|o| match o {
        Output::Sip { to, bytes, .. } if bytes.starts_with(b"BYE ") => {
            Some((*to, String::from_utf8_lossy(bytes)))
        }
        _ => None,
    });
    let (to, text) = sent.unwrap();
    assert_eq!(to, at("127.0.0.7:5070"));
    assert!(text.starts_with("BYE sip:server@127.0.0.9:5060 SIP/2.0\r\n"));
    assert!(text.contains("\r\nRoute: <sip:127.0.0.7:5070;lr>\r\n"));
    lab.said();
    lab.pass(600);
    assert!(lab.said().contains(&"BYE".to_owned()));
}

/// Two machines, each the other's server, with their media connected.
#[test]
fn two_phones_hear_each_others_tone_and_digits() {
    let (here, there) = (at("127.0.0.2:5060"), at("127.0.0.3:5060"));
    let mut machines = [SipPhones::new(1), SipPhones::new(2)];
    let addresses = [here, there];
    let mut now = Duration::ZERO;
    machines[0].call("1001", "1002", there, here, now);
    for step in 0..100 {
        now = Duration::from_millis(20 * step);
        for machine in &mut machines {
            machine.handle(Input::Tick, now);
        }
        loop {
            let mut moved = false;
            for side in [0, 1] {
                while let Some(output) = machines[side].poll() {
                    moved = true;
                    let input = match output {
                        Output::Sip { bytes, .. } => {
                            Input::Sip { local: addresses[1 - side], from: addresses[side], bytes }
                        }
                        Output::Media { to, bytes, .. } => Input::Media { port: to.port(), bytes },
                        Output::OpenMedia(_) | Output::CloseMedia(_) => continue,
                    };
                    machines[1 - side].handle(input, now);
                }
            }
            if !moved {
                break;
            }
        }
        if step == 40 {
            machines[0].act("1001", &Act::Press("19*".into()), now);
        }
    }
    assert_eq!(machines[0].heard("1001", now), BTreeSet::from([Tone::of("1002")]));
    assert_eq!(machines[1].heard("1002", now), BTreeSet::from([Tone::of("1001")]));
    assert_eq!(machines[1].digits("1002"), "19*");
    machines[0].act("1001", &Act::HangUp, now);
    assert_eq!(machines[0].live("1001"), 0);
}

#[test]
fn no_datagram_makes_the_phones_panic() {
    let mut lab = Lab::new();
    let whole = invite("1001", true).encode();
    for cut in 0..whole.len() {
        let bytes = whole[..cut].to_vec();
        lab.phones.handle(Input::Sip { local: at(PHONE), from: at(SERVER), bytes }, lab.now);
        lab.phones.handle(Input::Media { port: 20_000, bytes: whole[cut..].to_vec() }, lab.now);
    }
    lab.pass(100_000);
}

/// A NOTIFY about our transfer.
fn notify(to: &str, body: &str, cseq: &str) -> Message {
    let mut request = within("NOTIFY", cseq, to).with("Event", "refer");
    request.body = body.into();
    request
}

#[test]
fn a_blind_transfer_is_asked_for_and_the_phone_hangs_up_when_it_is_done() {
    let mut lab = Lab::new();
    let to = lab.answered();
    lab.phones.transfer("1001", "1003", lab.now);
    lab.collect();
    let refer = lab.sip.last().unwrap().clone();
    assert_eq!(lab.said(), ["REFER"]);
    assert_eq!(refer.get("Refer-To"), Some("<sip:1003@127.0.0.9:5060>"));
    lab.send(&Message::response(&refer, 202, "x"));
    assert_eq!(lab.phones.transferred("1001"), Some(202));
    lab.send(&notify(&to, "SIP/2.0 100 Trying\r\n", "2 NOTIFY"));
    assert_eq!((lab.phones.transferred("1001"), lab.said()), (Some(202), vec!["200".to_owned()]));
    lab.send(&notify(&to, "SIP/2.0 200 OK\r\n", "3 NOTIFY"));
    assert_eq!((lab.phones.transferred("1001"), lab.said()), (Some(200), vec!["200".to_owned()]));
    lab.pass(60);
    assert_eq!((lab.phones.live("1001"), lab.said()), (0, vec!["BYE".to_owned()]));
}

#[test]
fn a_transfer_that_failed_leaves_the_phone_in_its_call() {
    let mut lab = Lab::new();
    let to = lab.answered();
    lab.phones.transfer("1001", "1003", lab.now);
    lab.collect();
    let refer = lab.sip.last().unwrap().clone();
    lab.send(&Message::response(&refer, 202, "x"));
    lab.send(&notify(&to, "SIP/2.0 503 Service Unavailable\r\n", "2 NOTIFY"));
    assert_eq!((lab.phones.transferred("1001"), lab.phones.live("1001")), (Some(503), 1));
    lab.phones.transfer("1001", "888", lab.now);
    lab.collect();
    let refer = lab.sip.last().unwrap().clone();
    lab.send(&Message::response(&refer, 404, "x"));
    assert_eq!((lab.phones.transferred("1001"), lab.phones.live("1001")), (Some(404), 1));
}

#[test]
fn an_attended_transfer_names_the_second_call_by_its_identifiers() {
    let mut lab = Lab::new();
    lab.answered();
    lab.phones.call("1001", "1003", at(SERVER), at(PHONE), lab.now);
    lab.collect();
    let call = lab.sip.last().unwrap().clone();
    let mut answer = Message::response(&call, 200, "far-2").with("Contact", format!("<sip:server@{SERVER}>"));
    answer.body = super::sdp::describe(at("127.0.0.9:9002"), 1, (true, true), 96);
    lab.send(&answer);
    lab.said();
    lab.phones.transfer_attended("1001", lab.now);
    lab.collect();
    let refer = lab.sip.last().unwrap();
    assert_eq!(refer.call_id(), "one", "it is said in the first call");
    let id = call.call_id().replace('@', "%40");
    let tag = call.tag("From").unwrap();
    let wanted = format!("<sip:1003@{SERVER}?Replaces={id}%3Bto-tag%3Dfar-2%3Bfrom-tag%3D{tag}>");
    assert_eq!(refer.get("Refer-To"), Some(wanted.as_str()));
}
