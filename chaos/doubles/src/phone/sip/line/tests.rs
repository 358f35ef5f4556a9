//! Lines against a far end made of single messages.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::audio::Audio;
use super::super::message::{Message, Start};
use super::super::{Input, Output, SipPhones, sdp};
use super::escaped;
use crate::phone::line::{FarEnd, Line, Order};
use crate::phone::tone::{Player, Tone, recognise};

const OURS: &str = "127.0.0.2:5060";
const THEIRS: &str = "127.0.0.9:5070";
const LINE: Line = Line(7);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Lab {
    phones: SipPhones,
    now: Duration,
    sip: Vec<(SocketAddr, Message)>,
    media: Vec<(SocketAddr, Vec<u8>)>,
}

impl Lab {
    /// A line that is being called.
    fn new() -> Self {
        let mut lab =
            Lab { phones: SipPhones::for_lines(3), now: Duration::ZERO, sip: vec![], media: vec![] };
        let (uri, caller) = (format!("sip:ifbus-1@{THEIRS};transport=udp"), Some("+49 30".to_owned()));
        lab.order(Order::Call { line: LINE, uri, caller });
        lab
    }

    fn order(&mut self, order: Order) {
        self.phones.carry_out(order, at(OURS), self.now);
        self.collect();
    }

    fn send(&mut self, message: &Message) {
        let input = Input::Sip { local: at(OURS), from: at(THEIRS), bytes: message.encode() };
        self.phones.handle(input, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.phones.poll() {
            match output {
                Output::Sip { to, bytes, .. } => self.sip.push((to, Message::parse(&bytes).unwrap())),
                Output::Media { to, bytes, .. } => self.media.push((to, bytes)),
                Output::OpenMedia(_) | Output::CloseMedia(_) => {}
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

    /// Takes what was said since the last call, as methods and statuses.
    fn said(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.sip);
        let word = |message: &Message| match &message.start {
            Start::Request { method, .. } => method.clone(),
            Start::Response { status } => status.to_string(),
        };
        said.iter().map(|(_, message)| word(message)).collect()
    }

    fn news(&mut self) -> Vec<FarEnd> {
        let told = std::iter::from_fn(|| self.phones.line_news());
        told.map(|(line, news)| if line == LINE { news } else { panic!("news of {line:?}") }).collect()
    }

    fn invite(&self) -> Message {
        let is_invite = |message: &Message| message.cseq().1 == "INVITE";
        self.sip.iter().find(|(_, message)| is_invite(message)).unwrap().1.clone()
    }

    /// The far end answers; gives the INVITE back.
    fn answered(&mut self) -> Message {
        let invite = self.invite();
        self.send(&answer(&invite));
        assert_eq!((self.said(), self.news()), (vec!["INVITE".into(), "ACK".into()], vec![FarEnd::Answered]));
        invite
    }

    /// The media port of the line.
    fn port(invite: &Message) -> u16 {
        sdp::parse(&invite.body).unwrap().to.unwrap().port()
    }
}

fn answer(invite: &Message) -> Message {
    let mut answer = Message::response(invite, 200, "far").with("Contact", "<sip:x@127.0.0.9:5080>");
    answer.body = sdp::describe(at("127.0.0.9:9000"), 1, (true, true), 96);
    answer
}

/// A request of the far end within the call.
fn within(invite: &Message, method: &str, cseq: u32) -> Message {
    Message::request(method, "sip:asterisk@127.0.0.2:5060")
        .with("Via", format!("SIP/2.0/UDP {THEIRS};branch=z9hG4bK{cseq}"))
        .with("From", format!("{};tag=far", invite.get("To").unwrap()))
        .with("To", invite.get("From").unwrap())
        .with("Call-ID", invite.call_id())
        .with("CSeq", format!("{cseq} {method}"))
        .with("Contact", "<sip:x@127.0.0.9:5080>")
}

#[test]
fn a_line_is_called_answered_and_ended_by_its_far_end() {
    let mut lab = Lab::new();
    let invite = lab.invite();
    assert_eq!(lab.sip[0].0, at(THEIRS));
    assert!(invite.get("From").unwrap().starts_with("<sip:+49%2030@127.0.0.2:5060>;tag="));
    assert!(invite.body.contains("m=audio 10000 RTP/AVP 0 101\r\n"), "{}", invite.body);
    lab.send(&Message::response(&invite, 180, "far"));
    lab.send(&Message::response(&invite, 183, "far"));
    assert_eq!(lab.news(), [FarEnd::Ringing, FarEnd::Progress]);
    lab.pass(5000);
    assert_eq!(lab.said(), ["INVITE"], "a provisional answer ends the repetition");
    lab.send(&answer(&invite));
    assert_eq!(lab.sip[0].0, at("127.0.0.9:5080"), "the ACK goes to the contact");
    assert_eq!((lab.said(), lab.news()), (vec!["ACK".to_owned()], vec![FarEnd::Answered]));
    lab.send(&within(&invite, "BYE", 1));
    assert_eq!((lab.said(), lab.news()), (vec!["200".to_owned()], vec![FarEnd::HungUp]));
    lab.order(Order::End(LINE));
    lab.pass(100_000);
    assert_eq!((lab.said(), lab.news()), (vec![], vec![]));
}

#[test]
fn a_new_description_moves_the_audio_and_its_direction_is_mirrored() {
    let mut lab = Lab::new();
    let invite = lab.answered();
    let directions = [
        ((true, true), "sendrecv", vec![]),
        ((true, false), "recvonly", vec![FarEnd::Holds(true)]),
        ((false, false), "inactive", vec![]),
        ((false, true), "sendonly", vec![FarEnd::Holds(false)]),
    ];
    for (cseq, (direction, mirrored, news)) in (1..).zip(directions) {
        let mut offer = within(&invite, "INVITE", cseq);
        offer.body = sdp::describe(at("127.0.0.8:9100"), 2, direction, 96);
        lab.send(&offer);
        let (_, reply) = lab.sip.last().unwrap();
        assert!(reply.body.contains(&format!("a={mirrored}\r\n")), "{}", reply.body);
        assert_eq!((lab.said(), lab.news()), (vec!["200".to_owned()], news));
        lab.send(&within(&invite, "ACK", cseq));
        lab.media.clear();
        lab.pass(100);
        let takes = direction.1;
        assert_eq!(lab.media.iter().any(|(to, _)| *to == at("127.0.0.8:9100")), takes, "{mirrored}");
        assert_eq!(lab.media.is_empty(), !takes);
    }
}

#[test]
fn tones_and_digits_go_out() {
    let mut lab = Lab::new();
    lab.answered();
    let tones = [Tone::of("1001"), Tone::HoldMusic].into();
    lab.order(Order::Play(LINE, Clone::clone(&tones)));
    lab.pass(400);
    let sound: Vec<u8> = lab.media.iter().skip(1).flat_map(|(_, packet)| packet[12..].to_vec()).collect();
    assert_eq!(recognise(&sound), tones);
    lab.media.clear();
    lab.order(Order::Press(LINE, '#'));
    lab.pass(400);
    let events: Vec<u8> = lab.media.iter().filter(|(_, p)| p[1] & 0x7f == 96).map(|(_, p)| p[12]).collect();
    assert_eq!(events, [11; 8], "five packets while it sounds, the end three times");
}

#[test]
fn tones_and_digits_come_in() {
    let mut lab = Lab::new();
    let invite = lab.answered();
    let mut far = Audio::new(Player::new(Tone::of("1001")), 9);
    far.connect(sdp::parse(&invite.body).unwrap());
    for packet in 0..50 {
        if packet == 30 {
            far.press("5");
        }
        let (to, bytes) = far.next_packet().unwrap();
        lab.phones.handle(Input::Media { port: to.port(), bytes }, lab.now);
        lab.pass(20);
    }
    let voice = FarEnd::Voice([Tone::of("1001")].into());
    assert_eq!((lab.news(), Lab::port(&invite)), (vec![voice, FarEnd::Digit('5')], 10_000));
    lab.pass(1000);
    assert_eq!(lab.news(), [FarEnd::Voice([].into())], "silence is a change too");
}

#[test]
fn refusals_are_told_with_their_status_and_silence_is_408() {
    let mut lab = Lab::new();
    let invite = lab.invite();
    lab.send(&Message::response(&invite, 486, "far"));
    assert_eq!((lab.said(), lab.news()), (vec!["INVITE".into(), "ACK".into()], vec![FarEnd::Refused(486)]));
    let mut lab = Lab::new();
    lab.pass(40_000);
    assert_eq!(lab.news(), [FarEnd::Refused(408)]);
    lab.order(Order::Call { line: LINE, uri: "sip:x@far.example".into(), caller: None });
    assert_eq!(lab.news(), [FarEnd::Refused(503)], "names are not looked up");
}

#[test]
fn a_line_that_is_ended_before_its_answer_is_canceled_whatever_comes_late() {
    let mut lab = Lab::new();
    let invite = lab.invite();
    lab.order(Order::End(LINE));
    lab.send(&Message::response(&invite, 180, "far"));
    assert_eq!(lab.said(), ["INVITE", "CANCEL", "CANCEL"], "the first may have come before the INVITE");
    lab.send(&answer(&invite));
    assert_eq!(lab.said(), ["ACK", "BYE"]);
    lab.pass(100_000);
    assert_eq!((lab.news(), lab.phones.deadline()), (vec![], None));
}

#[test]
fn a_line_that_vanishes_says_nothing_and_nobody_answers_for_it() {
    let mut lab = Lab::new();
    let invite = lab.answered();
    lab.order(Order::Vanish(LINE));
    lab.media.clear();
    lab.pass(1000);
    assert_eq!((lab.said(), lab.media.len(), lab.news()), (vec![], 0, vec![]));
    lab.send(&within(&invite, "BYE", 1));
    assert_eq!(lab.said(), ["481"]);
}

#[test]
fn a_hostile_number_stays_within_its_uri() {
    assert_eq!(escaped("+49-30.1_2*"), "+49-30.1_2*");
    assert_eq!(escaped("a>\r\nX: y@\u{e9}"), "a%3E%0D%0AX%3A%20y%40%C3%A9");
}
