//! The SIP phones against a real Asterisk of the laboratory (`lab/asterisk-up.sh`): set
//! `IFBUS_LAB_ASTERISK` to its address. The phones listen one address above it, the trunk two above.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ifbus_doubles::phone::shell::{SipServer, attack};
use ifbus_doubles::phone::{Phones, Plan, Tone};

struct Ami {
    stream: TcpStream,
    pending: String,
    actions: u32,
}

impl Ami {
    fn connect(ip: IpAddr) -> Self {
        let stream = TcpStream::connect((ip, 5038)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut ami = Ami { stream, pending: String::new(), actions: 0 };
        ami.act("Action: Login\r\nUsername: ifbus\r\nSecret: ifbus-secret\r\nEvents: on");
        ami
    }

    fn message(&mut self) -> String {
        loop {
            if let Some((message, rest)) = self.pending.split_once("\r\n\r\n") {
                let message = message.to_owned();
                self.pending = rest.to_owned();
                return message;
            }
            let mut buffer = [0; 65_536];
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the server closed the connection");
            self.pending.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    /// Reads until a message contains all of these.
    fn until(&mut self, parts: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let message = self.message();
            if parts.iter().all(|part| message.contains(part)) {
                return message;
            }
            assert!(Instant::now() < deadline, "no message with {parts:?}");
        }
    }

    fn act(&mut self, lines: &str) -> String {
        self.actions += 1;
        let id = format!("ActionID: t{}", self.actions);
        write!(self.stream, "{lines}\r\n{id}\r\n\r\n").unwrap();
        self.until(&["Response: ", &id])
    }

    fn originate(&mut self, number: &str, id: &str, caller: &str) {
        let said = self.act(&format!(
            "Action: Originate\r\nChannel: PJSIP/{number}\r\nContext: ifbus\r\nExten: wait\r\nPriority: 1\r\n\
             Timeout: 10000\r\nAsync: true\r\nChannelId: {id}\r\nCallerID: <{caller}>"
        ));
        assert!(said.contains("queued"), "{said}");
    }

    fn leg(&mut self, number: &str, id: &str, caller: &str) {
        self.originate(number, id, caller);
        self.until(&["Event: OriginateResponse", "Response: Success", id]);
    }
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn hears(phones: &SipServer, number: &str, tones: &[Tone]) {
    let wanted: BTreeSet<Tone> = tones.iter().copied().collect();
    wait_for(&format!("{number} to hear {tones:?}"), || phones.heard(number) == wanted);
}

fn above(ip: Ipv4Addr, step: u32, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(ip) + step), port))
}

#[test]
fn phones_work_with_a_real_asterisk() {
    let Ok(ip) = std::env::var("IFBUS_LAB_ASTERISK") else {
        println!("skipped: IFBUS_LAB_ASTERISK is not set");
        return;
    };
    let ip: Ipv4Addr = ip.parse().unwrap();
    let phones = SipServer::start(&[above(ip, 1, 5060), above(ip, 2, 5060)]).unwrap();
    let mut ami = Ami::connect(ip.into());
    let run = format!("{:x}", std::process::id());
    let (a, b) = (format!("{run}-a"), format!("{run}-b"));

    ami.leg("1001", &a, "5550001");
    ami.leg("1002", &b, "5550002");
    assert_eq!(phones.caller_seen("1001").as_deref(), Some("5550001"));
    assert_eq!((phones.live("1001"), phones.rings("1001")), (1, 1));
    ami.act(&format!("Action: Bridge\r\nChannel1: {a}\r\nChannel2: {b}\r\nTone: no"));
    hears(&phones, "1001", &[Tone::of("1002")]);
    hears(&phones, "1002", &[Tone::of("1001")]);

    // Our hold: music for one, silence for the other; and back.
    ami.act(&format!(
        "Action: Redirect\r\nChannel: {b}\r\nContext: ifbus\r\nExten: hold\r\nPriority: 1\r\nExtraChannel: {a}\r\n\
         ExtraContext: ifbus\r\nExtraExten: wait\r\nExtraPriority: 1"
    ));
    hears(&phones, "1002", &[Tone::HoldMusic]);
    hears(&phones, "1001", &[]);
    ami.act(&format!("Action: Bridge\r\nChannel1: {a}\r\nChannel2: {b}\r\nTone: no"));
    hears(&phones, "1002", &[Tone::of("1001")]);

    // Digits from the server and from the other phone.
    ami.act(&format!("Action: PlayDTMF\r\nChannel: {b}\r\nDigit: 7\r\nDuration: 120"));
    wait_for("a digit from the server", || phones.digits("1002") == "7");
    phones.press("1001", "42#");
    wait_for("digits from the other phone", || phones.digits("1002") == "742#");

    // Hold by the phone.
    phones.hold("1001");
    ami.until(&["Event: Hold", &a]);
    hears(&phones, "1002", &[Tone::HoldMusic]);
    phones.resume("1001");
    ami.until(&["Event: Unhold", &a]);
    hears(&phones, "1002", &[Tone::of("1001")]);

    // One hangs up, the other follows.
    phones.hang_up("1002");
    wait_for("both phones to be free", || phones.live("1001") + phones.live("1002") == 0);

    // Ringback, through the trunk too: which the server must have found alive first.
    ami.act("Action: PJSIPQualify\r\nEndpoint: trunk");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut attempt = 0;
    let ringing = loop {
        attempt += 1;
        let id = format!("{run}-ringback-{attempt}");
        ami.act(&format!(
            "Action: Originate\r\nChannel: PJSIP/5551@trunk\r\nContext: ifbus\r\nExten: ringback\r\nPriority: 1\r\n\
             Async: true\r\nChannelId: {id}"
        ));
        if ami.until(&["Event: OriginateResponse", &id]).contains("Response: Success") {
            break id;
        }
        assert!(Instant::now() < deadline, "the trunk stays unreachable");
        std::thread::sleep(Duration::from_millis(200));
    };
    wait_for("ringback", || phones.heard("5551") == BTreeSet::from([Tone::Ringback]));
    ami.act(&format!("Action: Hangup\r\nChannel: {ringing}"));
    wait_for("the trunk leg to end", || phones.live("5551") == 0);

    refusals(&phones, &mut ami, &run);
    calls_from_outside(&phones, &mut ami, ip);
}

fn refusals(phones: &SipServer, ami: &mut Ami, run: &str) {
    let cases = [
        ("busy", Plan::busy(), "Cause: 17"),
        ("declines", Plan::declines(), "Cause: 21"),
        ("notfound", Plan::not_found(), "Cause: 1\r"),
        ("unavailable", Plan::unavailable(), "Cause: 19"),
        ("congested", Plan::congested(), "Cause: 34"),
    ];
    for (name, plan, cause) in cases {
        phones.plan("1003", plan);
        let id = format!("{run}-{name}");
        ami.originate("1003", &id, "1001");
        ami.until(&["Event: Hangup\r", &id, cause]);
    }
    // Canceled while ringing, hung up and digits by plan.
    phones.plan("1003", Plan::rings());
    let id = format!("{run}-rings");
    ami.originate("1003", &id, "1001");
    ami.until(&["Event: Newstate", "ChannelStateDesc: Ringing", &id]);
    ami.act(&format!("Action: Hangup\r\nChannel: {id}"));
    ami.until(&["Event: OriginateResponse", "Response: Failure", &id]);
    phones.plan("1003", Plan::default().then_hangs_up(Duration::from_millis(300)));
    let id = format!("{run}-leaves");
    ami.originate("1003", &id, "1001");
    ami.until(&["Event: HangupRequest", &id]);
    phones.plan("1003", Plan::silent());
    let id = format!("{run}-silent");
    ami.act(&format!(
        "Action: Originate\r\nChannel: PJSIP/1003\r\nContext: ifbus\r\nExten: wait\r\nPriority: 1\r\n\
         Timeout: 1000\r\nAsync: true\r\nChannelId: {id}"
    ));
    let said = ami.until(&["Event: OriginateResponse", &id]);
    assert!(said.contains("Reason: 3"), "{said}");
    phones.plan("1003", Plan::default().with_early_media(Duration::from_millis(30)));
    let id = format!("{run}-early");
    ami.originate("1003", &id, "1001");
    ami.until(&["Event: DialState", "DialStatus: PROGRESS", &id]);
    ami.until(&["Event: OriginateResponse", "Response: Success", &id]);
    ami.act(&format!("Action: Hangup\r\nChannel: {id}"));
    wait_for("the phone to be free", || phones.live("1003") == 0);
}

fn calls_from_outside(phones: &SipServer, ami: &mut Ami, ip: Ipv4Addr) {
    let server = SocketAddr::from((ip, 5060));
    phones.call("1004", "1005", server);
    hears(phones, "1004", &[Tone::of("1005")]);
    hears(phones, "1005", &[Tone::of("1004")]);
    phones.hang_up("1004");
    wait_for("both to be free", || phones.live("1004") + phones.live("1005") == 0);
    let forged = "777\r\nX-Forged: yes";
    let status = attack(above(ip, 2, 0), server, forged, "604", Duration::from_millis(100)).unwrap();
    assert_eq!(status, 200);
    ami.until(&["Event: Newchannel", "X-Forged: yes"]);
}
