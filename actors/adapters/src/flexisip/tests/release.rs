//! The release, asked for at the beginning of a life, and the domain beside it.

use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Finding, Order, Verdict};

use super::rig::{ALL, Rig};
use crate::adapter::{Endpoint, Input, LinkError};

fn version(refuses: Option<&'static str>) -> String {
    let mut rig = Rig::with(&[("domain", "sip.example.org")]);
    rig.refuses = refuses;
    rig.start();
    rig.advance(Duration::from_secs(3));
    assert_eq!((rig.ready.len(), rig.down.len()), (1, 0));
    rig.ready[0].version.clone()
}

fn finding(rig: &mut Rig, area: &str) -> Finding {
    let ticket = rig.give(Order::Inspect);
    rig.advance(Duration::from_secs(13));
    let Ok(Done::Inspected(findings)) = &rig.answers[&ticket] else { panic!("{:?}", rig.answers[&ticket]) };
    findings.iter().find(|finding| finding.area == area).expect("it is looked at").clone()
}

#[test]
fn the_refusal_of_a_stranger_tells_the_release() {
    let rig = Rig::ready(&[("domain", "sip.example.org")]);
    assert_eq!(rig.ready[0].version, "2.3.3");
    assert!(matches!(&rig.opened[..], [Endpoint::Udp { host, port: 5060 }] if host == "127.0.0.1"));
    let question = &rig.questions[0];
    assert!(question.starts_with("OPTIONS sip:ifbus-") && question.contains("@sip.example.org SIP/2.0\r\n"));
    assert!(question.contains("Max-Forwards: 1\r\n"), "nobody behind it is asked");
    assert_eq!(version(Some("407 x\r\nServer: Flexisip/2.7.0-alpha (sofia-sip-nta/2.0)")), "2.7.0-alpha");
}

#[test]
fn nobody_waits_long_for_a_name_and_another_name_is_none() {
    assert_eq!(version(None), "Flexisip");
    assert_eq!(version(Some("404 Not Found")), "Flexisip");
    assert_eq!(version(Some("404 x\r\nServer: kamailio (5.6.3)")), "Flexisip");
    assert_eq!(version(Some("404 x\r\nServer: Flexisip/\u{1b}[2J")), "Flexisip");
}

#[test]
fn a_lost_question_is_asked_again_and_a_dead_link_is_no_dead_server() {
    let mut rig = Rig::with(&[]);
    rig.refuses = None;
    rig.start();
    rig.advance(Duration::from_millis(600));
    assert_eq!((rig.questions.len(), rig.ready.len()), (2, 0));
    assert_eq!(rig.questions[0], rig.questions[1], "a repetition, no other question");
    rig.input(Input::Closed(rig.link(101), LinkError::Refused));
    assert_eq!((rig.ready.len(), rig.down.len()), (1, 0));
}

#[test]
fn by_a_stream_it_is_asked_by_a_stream_and_the_first_word_is_not_the_last() {
    let mut rig = Rig::with(&[("sip_transport", "tcp")]);
    rig.refuses = None;
    rig.start();
    assert!(matches!(rig.opened[..], [Endpoint::Tcp { .. }]));
    assert!(rig.questions[0].contains("Via: SIP/2.0/TCP "));
    let call_id = rig.questions[0].lines().find(|line| line.starts_with("Call-ID: ")).unwrap().to_owned();
    let word = |status: &str| {
        format!("SIP/2.0 {status}\r\n{call_id}\r\nServer: Flexisip/2.5.0\r\n\r\n").into_bytes()
    };
    let both = [word("100 Trying"), word("404 Not Found")].concat();
    let (first, second) = both.split_at(both.len() - 9);
    rig.input(Input::Bytes(rig.link(101), first));
    assert!(rig.ready.is_empty());
    rig.input(Input::Bytes(rig.link(101), second));
    assert_eq!(rig.ready[0].version, "2.5.0");
}

#[test]
fn the_domain_is_its_own_or_that_is_said() {
    for (refuses, verdict) in [
        (Some("404 Not Found"), Verdict::Ok),
        (Some("483 Too Many Hops"), Verdict::Warn),
        (Some("403 Domain forbidden"), Verdict::Warn),
        (Some("407 Proxy Authentication Required"), Verdict::Skip),
        (None, Verdict::Skip),
    ] {
        let mut rig = Rig::with(ALL);
        rig.refuses = refuses;
        rig.start();
        rig.advance(Duration::from_secs(3));
        assert_eq!(finding(&mut rig, "domain").verdict, verdict, "{refuses:?}");
    }
}

#[test]
fn what_it_cannot_is_said_before_somebody_tries() {
    let mut rig = Rig::ready(&[]);
    for area in ["drain", "hangup", "list"] {
        let finding = finding(&mut rig, area);
        assert!(finding.verdict == Verdict::Skip && finding.text.starts_with("Flexisip "), "{finding:?}");
    }
}
