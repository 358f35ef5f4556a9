//! A server whose AMI takes us: its Asterisk does everything, and pbxapi says how telephones are dialled.

use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Cause, Event, Order, RecordingId, Role, Verdict};

use super::rig::{A, B, INSTANCE, Rig, dial, json, page};
use crate::adapter::{HttpReply, Input, LinkError};
use crate::asterisk::{Ids, names};

fn call(rig: &mut Rig) {
    rig.proven(dial(A, Role::A, "1001", None));
    rig.proven(dial(B, Role::B, "1002", Some(A)));
    rig.proven(Order::Join { a: A, b: B });
}

fn originates(rig: &Rig) -> Vec<&String> {
    rig.sent.iter().filter(|text| text.starts_with("Action: Originate")).collect()
}

#[test]
fn a_call_is_made_over_ami_under_ids_of_digits_alone() {
    let mut rig = Rig::ready(&[]);
    call(&mut rig);
    assert!(
        rig.events.contains(&Event::Joined(A, B)) || rig.events.contains(&Event::Joined(B, A)),
        "{:?}",
        rig.events
    );
    let native = Ids::Digits.native(INSTANCE, A);
    assert!(originates(&rig)[0].contains(&format!("\r\nChannelId: {native}\r\n")));
    let (left, right) = native.split_once('.').expect("two parts");
    assert!([left, right].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())));
    assert!(rig.sent.iter().all(|text| !text.contains("Action: Command")));
}

#[test]
fn the_part_of_an_id_that_call_records_keep_still_tells_legs_apart() {
    // `uniqueid` of Issabel's call records has 32 characters
    let kept = |leg| Ids::Digits.native(INSTANCE, leg)[..32].to_owned();
    assert_ne!(kept(A), kept(B));
    assert_eq!(names::ours(INSTANCE, Ids::Digits.native(INSTANCE, B).as_bytes()), Some(B));
    let other = ifbus_call::InstanceId(INSTANCE.0 + 1);
    assert_eq!(names::ours(other, Ids::Digits.native(INSTANCE, B).as_bytes()), None);
    for foreign in ["1795341300.12", "1795341300.", "", "0.0"] {
        assert_eq!(names::ours(INSTANCE, foreign.as_bytes()), None);
    }
}

#[test]
fn a_telephone_is_dialled_as_the_server_says() {
    let mut rig = Rig::ready(&[]);
    call(&mut rig);
    let sent = originates(&rig);
    assert!(sent[0].contains("\r\nChannel: PJSIP/1001\r\n") && sent[1].contains("\r\nChannel: SIP/1002\r\n"));
    let mut rig = Rig::ready(&[("dial_extension", "IAX2/{n}")]);
    rig.give(dial(A, Role::A, "1001", None));
    assert!(originates(&rig)[0].contains("\r\nChannel: IAX2/1001\r\n"), "the operator knows better");
    assert!(rig.asked("extensions").is_empty());
}

#[test]
fn without_pbxapi_everything_works_by_the_template() {
    for more in [&[("api_secret", "-")][..], &[("web_port", "0")]] {
        let mut rig = Rig::ready(more);
        call(&mut rig);
        assert!(originates(&rig)[0].contains("\r\nChannel: SIP/1001\r\n"));
        assert!(rig.web.asked.is_empty() && rig.warnings.is_empty());
    }
}

#[test]
fn a_pbxapi_that_fails_costs_a_warning_and_no_call() {
    let failures =
        [page(500), page(404), json("[]"), json("{"), Err(LinkError::Refused), json(r#"{"status":"fail"}"#)];
    for failure in failures {
        let mut rig = Rig::with(&[]);
        rig.web.instead.insert("extensions", [failure].into());
        rig.start();
        assert_eq!((rig.ready.len(), rig.codes()), (1, vec!["pbxapi_down"]));
        call(&mut rig);
    }
}

#[test]
fn a_pbxapi_that_hangs_delays_the_server_and_does_not_stop_it() {
    let mut rig = Rig::with(&[]);
    rig.web.deaf = Some("extensions");
    rig.start();
    assert!(rig.ready.is_empty(), "how telephones are dialled is not known yet");
    rig.advance(Duration::from_secs(7));
    assert_eq!((rig.ready.len(), rig.codes()), (1, vec!["pbxapi_down"]));
}

#[test]
fn what_happens_before_pbxapi_has_answered_is_told_after_ready() {
    let mut rig = Rig::ready(&[]);
    call(&mut rig);
    rig.events.clear();
    rig.web.deaf = Some("extensions");
    rig.start();
    let native = Ids::Digits.native(INSTANCE, A);
    rig.server.hang_up(&native, 16, false);
    rig.pump();
    assert!(rig.ready.len() == 1 && rig.events.is_empty());
    rig.advance(Duration::from_secs(7));
    assert_eq!(rig.ready.len(), 2);
    assert!(rig.events.iter().any(|event| matches!(event, Event::Ended { leg: A, .. })), "{:?}", rig.events);
}

#[test]
fn health_is_asked_each_minute_and_a_failure_is_told_once() {
    let mut rig = Rig::ready(&[]);
    rig.web.instead.insert("dbget", [page(500), page(500), page(500)].into());
    rig.advance(Duration::from_secs(190));
    assert_eq!(rig.asked("dbget").len(), 3);
    assert_eq!(rig.codes(), ["pbxapi_down"]);
    assert!(rig.warnings[0].text.contains("restart httpd"), "{:?}", rig.warnings);
    rig.advance(Duration::from_secs(120));
    assert_eq!(rig.asked("extensions").len(), 2, "a telephone that was made meanwhile");
    assert!(rig.down.is_empty());
}

#[test]
fn an_inspection_has_a_line_on_pbxapi_and_names_our_setup() {
    let mut rig = Rig::ready(&[]);
    let Ok(Done::Inspected(findings)) = rig.outcome(Order::Inspect) else { panic!("{:?}", rig.answers) };
    assert!(
        findings.iter().any(|line| line.area == "pbxapi" && line.text.contains("2 telephones")),
        "{findings:?}"
    );
    assert!(findings.iter().any(|line| line.area == "recording" && line.verdict == Verdict::Ok));
    let fixes = findings.iter().filter_map(|line| line.fix.as_deref());
    assert!(fixes.clone().count() > 0 && fixes.clone().all(|fix| !fix.contains("setup asterisk")));
    assert!(findings.iter().all(|line| !line.text.contains("no ARI")), "{findings:?}");
}

#[test]
fn an_inspection_is_answered_once_when_pbxapi_hangs_and_when_the_link_breaks() {
    let mut rig = Rig::ready(&[]);
    rig.web.deaf = Some("dbget");
    let ticket = rig.give(Order::Inspect);
    rig.advance(Duration::from_secs(1));
    rig.reply(Err(LinkError::TimedOut));
    rig.advance(Duration::from_secs(10));
    assert!(matches!(rig.answers[&ticket], Ok(Done::Inspected(_))));
    let ticket = rig.give(Order::Inspect);
    rig.input(Input::Stop);
    assert!(rig.answers.contains_key(&ticket) && rig.down.len() == 1);
}

fn fetch() -> Order {
    Order::Fetch { recording: RecordingId::new(1_795_519_231_000, 7), segment: 3 }
}

fn wav(samples: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((samples + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(samples.to_le_bytes());
    file.extend((0..samples).map(|at| (at % 251) as u8));
    file
}

#[test]
fn a_recording_is_made_in_a_folder_of_ours_and_fetched_from_the_web_server() {
    let mut rig = Rig::ready(&[]);
    call(&mut rig);
    rig.proven(Order::Record { leg: A, recording: RecordingId::new(1_795_519_231_000, 7), segment: 3 });
    let name = RecordingId::new(1_795_519_231_000, 7).to_string()["rec_".len()..].to_lowercase();
    let begun = rig.sent.iter().find(|text| text.contains("Action: MixMonitor")).expect("it was begun");
    assert!(begun.contains(&format!("\r\nFile: ifbus/ifbus-{name}-3.wav\r\n")), "{begun}");
    let ticket = rig.give(fetch());
    let (id, request) = rig.web.hanging.pop_front().expect("it is asked for");
    assert_eq!(request.path, format!("/ifbus-recordings/ifbus-{name}-3.wav"));
    assert!(request.streamed && request.basic.is_some() && request.bearer.is_none() && request.tls.is_some());
    for part in wav(320).chunks(100) {
        rig.input(Input::HttpPart(id, part));
    }
    rig.input(Input::Http(id, Ok(HttpReply { status: 200, body: Vec::new() })));
    assert_eq!((rig.answers[&ticket].clone(), rig.chunks.clone()), (Ok(Done::Proven), wav(320)));
}

#[test]
fn a_recording_that_is_not_given_out_is_refused_with_the_reason() {
    for (status, word) in
        [(401, "password"), (403, "may not read"), (404, "no such recording"), (500, "not give")]
    {
        let mut rig = Rig::ready(&[]);
        let ticket = rig.give(fetch());
        rig.reply(Ok(HttpReply { status, body: b"<html>".to_vec() }));
        let refused = rig.answers[&ticket].clone().expect_err("there is none");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    let mut rig = Rig::ready(&[("recordings", "off")]);
    let refused = rig.refused(fetch());
    assert!(refused.to_string().contains("recordings is off"), "{refused}");
}

#[test]
fn a_leg_that_nobody_answers_on_chan_sip_is_no_answer() {
    let mut rig = Rig::ready(&[("dial_extension", "SIP/{n}ring")]);
    rig.give(dial(A, Role::A, "1001", None));
    rig.pump();
    rig.server.hang_up(&Ids::Digits.native(INSTANCE, A), 16, true);
    rig.pump();
    rig.advance(Duration::from_secs(2));
    let end = rig.events.iter().find(|event| matches!(event, Event::Ended { leg: A, .. })).expect("its end");
    assert!(matches!(end, Event::Ended { cause: Cause::NoAnswer, .. }), "{end:?}");
}
