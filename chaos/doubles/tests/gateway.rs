//! The Asterisk double with a way out, and plain SIP phones: what is heard here went through real RTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod client;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use client::{Ami, wait_for};
use ifbus_doubles::asterisk::Options;
use ifbus_doubles::gateway::Studio;
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::tone::recognise_samples;
use ifbus_doubles::phone::{Phones, Plan, Tone};

/// A studio, phones at an address of their own, and a client.
struct Rig {
    ami: Ami,
    phones: SipServer,
    studio: Studio,
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 92, last])
}

fn tones(numbers: &[&str]) -> BTreeSet<Tone> {
    numbers.iter().map(|number| Tone::of(number)).collect()
}

impl Rig {
    /// On this address and the next.
    fn new(last: u8) -> Self {
        let studio = Studio::start(address(last), Options::default()).unwrap();
        let phones = SipServer::start(&[SocketAddr::new(address(last + 1), 5060)]).unwrap();
        Rig { ami: Ami::login(studio.asterisk(), "admin"), phones, studio }
    }

    fn originate(&mut self, number: &str, exten: &str) {
        let phone = self.phones.addresses()[0];
        self.ami.send(&format!(
            "Action: Originate\r\nChannel: PJSIP/trunk/sip:{number}@{phone}\r\nContext: ifbus\r\n\
             Exten: {exten}\r\nPriority: 1\r\nAsync: true\r\nChannelId: leg-{number}\r\n\
             CallerID: <4711>\r\n\r\n"
        ));
    }

    /// Calls a phone; its channel is `leg-<number>`, and waits at `exten`.
    fn call(&mut self, number: &str, exten: &str) {
        self.originate(number, exten);
        self.ami.until("Event: OriginateResponse\r\n");
        self.ami.until("Response: Success\r\n");
        wait_for("the phone", || self.phones.live(number) == 1);
    }

    /// Calls two phones and joins them.
    fn pair(&mut self) {
        self.call("1001", "stay");
        self.call("1002", "stay");
        self.act("Bridge", "Channel1: leg-1001\r\nChannel2: leg-1002");
        self.hears("1001", &tones(&["1002"]));
        self.hears("1002", &tones(&["1001"]));
    }

    fn act(&mut self, action: &str, lines: &str) {
        self.ami.send(&format!("Action: {action}\r\n{lines}\r\n\r\n"));
        self.ami.until("Response: Success\r\n");
    }

    fn hears(&self, number: &str, wanted: &BTreeSet<Tone>) {
        wait_for(&format!("{number} to hear {wanted:?}"), || self.phones.heard(number) == *wanted);
    }

    fn is_over(&self) {
        wait_for("the channels to end", || self.studio.asterisk().stats().channels == 0);
        wait_for("the phones to be free", || {
            ["1001", "1002", "1003"].iter().all(|number| self.phones.live(number) == 0)
        });
    }

    /// The samples of a recording, as ARI serves it.
    fn recording(&self, name: &str) -> Vec<i16> {
        let mut http = TcpStream::connect(self.studio.asterisk().http()).unwrap();
        http.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!("GET /ari/recordings/stored/{name}/file?api_key=admin:admin-secret HTTP/1.1");
        http.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        while !complete(&bytes) {
            let mut buffer = [0; 65_536];
            let length = http.read(&mut buffer).unwrap();
            assert!(length > 0, "closed before the end of the file");
            bytes.extend_from_slice(&buffer[..length]);
        }
        let (_, file) = split(&bytes).unwrap();
        file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }
}

/// Head and body of an HTTP response.
fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end..]))
}

fn complete(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    body.len() >= length.parse::<usize>().unwrap()
}

#[test]
fn two_phones_hear_each_other_until_one_hangs_up() {
    let mut rig = Rig::new(10);
    rig.pair();
    assert_eq!(rig.phones.caller_seen("1001").as_deref(), Some("4711"));
    rig.act("MuteAudio", "Channel: leg-1001\r\nDirection: in\r\nState: on");
    rig.hears("1002", &BTreeSet::new());
    rig.act("MuteAudio", "Channel: leg-1001\r\nDirection: in\r\nState: off");
    rig.hears("1002", &tones(&["1001"]));
    rig.phones.hold("1001");
    rig.hears("1002", &BTreeSet::from([Tone::HoldMusic]));
    rig.phones.resume("1001");
    rig.hears("1002", &tones(&["1001"]));
    rig.phones.hang_up("1002");
    rig.ami.until("Uniqueid: leg-1002\r\n");
    wait_for("the channel to end", || rig.studio.asterisk().stats().channels == 1);
    // The other waits on in the dialplan, alone.
    rig.hears("1001", &BTreeSet::new());
    rig.act("Hangup", "Channel: leg-1001");
    rig.is_over();
}

#[test]
fn a_room_of_three_mixes_the_others_without_those_who_are_muted() {
    let mut rig = Rig::new(20);
    for number in ["1001", "1002", "1003"] {
        rig.call(number, "conf-board");
    }
    rig.hears("1001", &tones(&["1002", "1003"]));
    rig.hears("1002", &tones(&["1001", "1003"]));
    rig.hears("1003", &tones(&["1001", "1002"]));
    // The third channel, by its name: these actions take no other.
    let third = "Conference: board\r\nChannel: PJSIP/trunk-00000002";
    rig.act("ConfbridgeMute", third);
    rig.hears("1001", &tones(&["1002"]));
    rig.hears("1002", &tones(&["1001"]));
    rig.act("ConfbridgeUnmute", third);
    rig.hears("1001", &tones(&["1002", "1003"]));
    for number in ["1001", "1002", "1003"] {
        rig.phones.hang_up(number);
    }
    rig.is_over();
}

#[test]
fn music_and_ringback_are_heard() {
    let mut rig = Rig::new(30);
    rig.call("1001", "hold");
    rig.call("1002", "ringback");
    rig.hears("1001", &BTreeSet::from([Tone::HoldMusic]));
    rig.hears("1002", &BTreeSet::from([Tone::Ringback]));
    rig.act("Hangup", "Channel: /^PJSIP\\/trunk-/");
    rig.is_over();
}

#[test]
fn digits_go_both_ways() {
    let mut rig = Rig::new(40);
    rig.call("1001", "wait");
    for digit in ["4", "#", "4"] {
        rig.act("PlayDTMF", &format!("Channel: leg-1001\r\nDigit: {digit}"));
    }
    wait_for("the digits", || rig.phones.digits("1001") == "4#4");
    rig.phones.press("1001", "7");
    rig.ami.until("Event: DTMFEnd\r\n");
    rig.ami.until("Digit: 7\r\n");
    rig.call("1002", "wait");
    rig.act("Bridge", "Channel1: leg-1001\r\nChannel2: leg-1002");
    rig.hears("1001", &tones(&["1002"]));
    rig.phones.press("1001", "19*");
    wait_for("the digits to be passed on", || rig.phones.digits("1002") == "19*");
}

#[test]
fn a_recording_has_what_both_phones_say() {
    let mut rig = Rig::new(50);
    rig.pair();
    rig.act("MixMonitor", "Channel: leg-1001\r\nFile: ../recording/talk.wav\r\nOptions: i(ID)");
    // The next action waits until the digit is over.
    let second = "Channel: leg-1002\r\nDigit: 8\r\nDuration: 1000";
    rig.act("PlayDTMF", second);
    rig.act("MuteAudio", "Channel: leg-1002\r\nDirection: in\r\nState: on");
    rig.act("PlayDTMF", second);
    rig.act("Hangup", "Channel: leg-1001");
    let heard = || {
        let samples = rig.recording("talk");
        samples.chunks(2400).map(recognise_samples).collect::<Vec<_>>()
    };
    wait_for("both, then one", || {
        let heard = heard();
        heard.contains(&tones(&["1001", "1002"])) && heard.contains(&tones(&["1001"]))
    });
}

#[test]
fn what_a_phone_answers_instead_is_the_servers_answer_too() {
    let mut rig = Rig::new(60);
    rig.phones.plan("1001", Plan::busy());
    rig.originate("1001", "wait");
    rig.ami.until("Event: OriginateResponse\r\n");
    rig.ami.until("Response: Failure\r\n");
    rig.phones.plan("1002", Plan::rings());
    rig.originate("1002", "wait");
    rig.ami.until("ChannelStateDesc: Ringing\r\n");
    rig.act("Hangup", "Channel: leg-1002");
    rig.is_over();
    // It is called again as if nothing had been.
    rig.phones.plan("1002", Plan::default());
    rig.call("1002", "wait");
    rig.act("Hangup", "Channel: leg-1002");
    rig.is_over();
}

#[test]
fn a_server_that_dies_says_nothing_and_knows_nothing_afterwards() {
    let mut rig = Rig::new(70);
    rig.pair();
    rig.studio.asterisk().kill();
    rig.hears("1001", &BTreeSet::new());
    assert_eq!((rig.phones.live("1001"), rig.phones.live("1002")), (1, 1));
    rig.studio.asterisk().restart();
    wait_for("the port to open", || TcpStream::connect(rig.studio.asterisk().ami()).is_ok());
    rig.ami = Ami::login(rig.studio.asterisk(), "admin");
    ["1001", "1002"].iter().for_each(|number| rig.phones.hang_up(number));
    rig.pair();
}

#[test]
fn options_are_answered_and_calls_from_outside_are_not_taken() {
    let rig = Rig::new(80);
    let socket = UdpSocket::bind((address(82), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ask = |method: &str| {
        let (here, sip) = (socket.local_addr().unwrap(), rig.studio.sip());
        let request = format!(
            "{method} sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{method}\r\n\
             From: <sip:x@{here}>;tag=1\r\nTo: <sip:{sip}>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:x@{here}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), sip).unwrap();
        loop {
            let mut buffer = [0; 65_536];
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            let status = String::from_utf8_lossy(&buffer[8..length.min(11)]).into_owned();
            if status != "100" {
                return status;
            }
        }
    };
    assert_eq!(ask("OPTIONS"), "200");
    assert_eq!(ask("INVITE"), "404");
}
