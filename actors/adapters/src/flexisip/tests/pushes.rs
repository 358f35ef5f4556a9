//! Pushes, as they were recorded (sheet, section 4), and what they teach.

use std::time::Duration;

use ifbus_call::Stage;
use sha2::{Digest, Sha256};

use super::rig::{A, ALL, Rig, dial};
use crate::sip::SipCommand;

/// The recording of four calls; a line of a request, of a header, or of a body.
const RECORDED: &str = include_str!("../transcripts/event-push-http2.txt");

/// The requests of a recording.
fn recorded() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut head: Option<(String, String)> = None;
    for line in RECORDED.lines() {
        if let Some((_, request)) = line.split_once("HTTP/2 ") {
            head = request.split_once(' ').map(|(method, path)| (method.to_owned(), path.to_owned()));
        } else if line.starts_with('{')
            && let Some((method, path)) = head.take()
        {
            found.push((method, path, line.to_owned()));
        }
    }
    found
}

#[test]
fn the_recorded_pushes_tell_of_calls_that_ring_are_answered_and_end() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    let mut stages = Vec::new();
    for (method, path, body) in recorded() {
        rig.push(1, &method, &path, &body);
        stages.push(rig.listed().first().map(|seen| seen.stage));
    }
    let (dialing, ringing, up) = (Some(Stage::Dialing), Some(Stage::Ringing), Some(Stage::Up));
    // answered and ended; busy: `error`; declined
    assert_eq!(stages, [dialing, ringing, up, None, dialing, None, dialing, None]);
    assert_eq!(rig.unknown, 0);
    assert!(rig.warnings.is_empty(), "{:?}", rig.warnings);
}

#[test]
fn the_bytes_of_a_real_2_3_3_are_read() {
    // three calls: answered and ended, busy, answered; devices without quotes, as nobody had registered
    const BYTES: &[u8] = include_bytes!("../transcripts/push-2.3.3.bin");
    let mut connection = crate::wire_format::http2::Connection::default();
    connection.push(BYTES).unwrap();
    let requests: Vec<_> = std::iter::from_fn(|| connection.next()).collect();
    assert_eq!(requests.len(), 10);
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    let mut listed = Vec::new();
    for request in &requests {
        assert_eq!(request.header("x-api-key"), Some(&b"LABKEY123"[..]));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        rig.push(1, &text(&request.method), &text(&request.path), &text(&request.body));
        listed.push(rig.listed().first().map(|seen| seen.stage));
    }
    let (dialing, ringing, up) = (Some(Stage::Dialing), Some(Stage::Ringing), Some(Stage::Up));
    assert_eq!(listed, [dialing, ringing, up, None, dialing, ringing, None, dialing, ringing, up]);
    assert_eq!((rig.unknown, rig.warnings.len()), (0, 0));
}

#[test]
fn each_push_is_answered_before_anything_else() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.sent.clear();
    rig.push(1, "PATCH", "/api/statistics/calls/nobody/devices/\"<urn:uuid:1>\"", r#"{"rang_at":"x"}"#);
    rig.push(1, "POST", "/api/statistics/messages", "{}");
    rig.push(1, "POST", "/api/statistics/calls", "no json");
    assert_eq!(rig.sent.len(), 3, "also what is about nobody, or nonsense");
    assert!(rig.listed().is_empty());
    assert_eq!(rig.unknown, 1);
}

#[test]
fn a_call_with_several_devices_lives_while_one_may_answer() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    let calls = "/api/statistics/calls";
    rig.push(1, "POST", calls, r#"{"id":"x","from":"a@l","to":"b@l","devices":{}}"#);
    for device in ["1", "2"] {
        rig.push(1, "PATCH", &format!("{calls}/x/devices/\"<urn:{device}>\""), r#"{"rang_at":"t"}"#);
    }
    let settle = |rig: &mut Rig, device: &str, state: &str| {
        let body = format!(r#"{{"invite_terminated":{{"at":"t","state":"{state}"}}}}"#);
        rig.push(1, "PATCH", &format!("{calls}/x/devices/\"<urn:{device}>\""), &body);
    };
    settle(&mut rig, "1", "error");
    assert_eq!(rig.listed().len(), 1);
    settle(&mut rig, "2", "accepted");
    assert_eq!(rig.listed()[0].stage, Stage::Up);
    settle(&mut rig, "1", "accepted_elsewhere");
    rig.push(1, "PATCH", &format!("{calls}/x"), r#"{"ended_at":"t"}"#);
    assert!(rig.listed().is_empty());
}

#[test]
fn a_call_of_ours_is_known_by_each_of_its_names() {
    let named = |rig: &mut Rig, call_id: &str, how: u8| {
        let (from, to) = ("1001@lab.test", "1001@lab.test");
        let hash: String = Sha256::digest(format!("{from}{to}{call_id}").as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match how {
            0 => format!(r#"{{"id":"x","sip_call_id":"{call_id}","from":"{from}","to":"{to}"}}"#),
            1 => format!(r#"{{"id":"{hash}","from":"{from}","to":"{to}"}}"#),
            _ => {
                assert!(!rig.listed().is_empty());
                let name = super::super::name::before_2_4(from, to, call_id);
                format!(r#"{{"id":"{name}","from":"{from}","to":"{to}"}}"#)
            }
        }
    };
    for how in 0..3 {
        let mut rig = Rig::ready(&[ALL, &[("domain", "lab.test")]].concat());
        rig.connect(1);
        rig.give(dial(A, "1001"));
        let call_id = rig.sip.iter().find_map(|command| match command {
            SipCommand::Invite(invite) => Some(invite.call_id.clone()),
            _ => None,
        });
        let body = named(&mut rig, &call_id.expect("it was invited"), how);
        rig.push(1, "POST", "/api/statistics/calls", &body);
        assert_eq!(rig.listed().len(), 1, "by way {how}");
    }
}

/// Seen on 2.3.3: the end of a call has a name of its own if the callee has hung up.
#[test]
fn before_2_4_the_ends_that_callees_make_are_counted_until_all_that_were_up_are_over() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    let calls = "/api/statistics/calls";
    let ends = |rig: &mut Rig, id: u64| {
        rig.push(1, "PATCH", &format!("{calls}/{id}"), r#"{"ended_at":"t"}"#);
    };
    for id in [11, 12, 13] {
        rig.push(1, "POST", calls, &format!(r#"{{"id":"{id}","from":"a@l","to":"b@l","devices":{{}}}}"#));
        let settled = r#"{"invite_terminated":{"at":"t","state":"accepted"}}"#;
        rig.push(1, "PATCH", &format!("{calls}/{id}/devices/fs-gen-1"), settled);
    }
    ends(&mut rig, 911);
    // told twice
    ends(&mut rig, 911);
    assert_eq!((rig.listed().len(), rig.load()), (3, Some(2)), "which one is not known");
    ends(&mut rig, 12);
    assert_eq!((rig.listed().len(), rig.load()), (2, Some(1)));
    ends(&mut rig, 913);
    assert_eq!((rig.listed().len(), rig.load()), (0, Some(0)), "all have ended");
    // of a call before our time
    ends(&mut rig, 914);
    assert_eq!(rig.load(), Some(0));
}

#[test]
fn what_nobody_speaks_of_any_more_grows_old() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.push(1, "POST", "/api/statistics/calls", r#"{"id":"x","from":"a@l","to":"b@l"}"#);
    rig.advance(Duration::from_secs(119));
    assert_eq!(rig.listed().len(), 1);
    rig.advance(Duration::from_secs(2));
    assert!(rig.listed().is_empty());
}
