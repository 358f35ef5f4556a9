//! Recordings: whether they were begun, and how two files become one.

use std::time::Duration;

use ifbus_call::{Order, RecordingId, Why};

use super::rig::{A, Rig};
use crate::wire_format::wav;

const FETCH: &[(&str, &str)] = &[("fetch", "http://127.0.0.1:8088/rec")];

fn recording() -> RecordingId {
    RecordingId::new(1, 2)
}

fn rig() -> Rig {
    let mut rig = Rig::with(FETCH);
    rig.start();
    rig
}

fn au(length: Option<u32>, samples: &[i16]) -> Vec<u8> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
    let length = length.unwrap_or_else(|| u32::try_from(bytes.len()).expect("short"));
    let head = [32, length, 3, 8000, 1].map(u32::to_be_bytes).concat();
    [&b".snd"[..], &head, &[0; 8], &bytes].concat()
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes[wav::HEADER..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn a_recording_is_begun_when_its_file_is_there() {
    let mut rig = rig();
    rig.talk();
    let ticket = rig.order(Order::Record { leg: A, recording: recording(), segment: 0 });
    assert!(!rig.answers.contains_key(&ticket));
    let path = rig.file(404, b"");
    assert!(path.starts_with("/rec/ifbus-") && path.ends_with("-0-says.au"), "{path}");
    rig.pass(Duration::from_millis(100));
    rig.file(200, &au(Some(u32::MAX), &[]));
    rig.proven(ticket);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_found_out() {
    let mut rig = rig();
    rig.talk();
    let ticket = rig.order(Order::Record { leg: A, recording: recording(), segment: 0 });
    for _ in 0..30 {
        if rig.http.is_empty() {
            break;
        }
        rig.file(404, b"");
        rig.pass(Duration::from_millis(100));
    }
    let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!(refused.why, Why::Prerequisite);
    assert!(refused.to_string().contains("/var/spool/yate/ifbus"), "{refused}");
}

#[test]
fn two_files_become_one() {
    let mut rig = rig();
    let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
    assert_eq!(rig.http.len(), 2, "both are asked for at once");
    rig.file(200, &au(None, &[1, 2, 3]));
    assert!(rig.chunks.is_empty(), "the length is known with the second header");
    rig.file(200, &au(None, &[10, 20, 30, 40, 32767]));
    rig.proven(ticket);
    let file = &rig.chunks[&ticket];
    let header = file.first_chunk().expect("a header");
    assert_eq!(wav::length(header), Ok(file.len() as u64));
    assert_eq!(samples(file), [11, 22, 33, 40, 32767]);
}

#[test]
fn a_file_that_is_not_whole_is_asked_for_again() {
    let mut rig = rig();
    let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
    rig.file(200, &au(Some(u32::MAX), &[1]));
    rig.file(200, &au(None, &[5]));
    assert!(rig.chunks.is_empty());
    rig.pass(Duration::from_millis(200));
    rig.file(200, &au(None, &[1]));
    rig.proven(ticket);
    assert_eq!(samples(&rig.chunks[&ticket]), [6]);
}

#[test]
fn a_side_that_was_silent_has_no_file() {
    let mut rig = rig();
    let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
    rig.file(200, &au(None, &[7, 8]));
    while !rig.answers.contains_key(&ticket) {
        rig.file(404, b"");
        rig.pass(Duration::from_millis(200));
    }
    rig.proven(ticket);
    assert_eq!(samples(&rig.chunks[&ticket]), [7, 8]);
}

#[test]
fn what_is_no_recording_is_refused() {
    for (body, word) in [
        (&b"<html>this is no sound file at all</html>"[..], "AU"),
        (&au(Some(2), &[1, 2]), "longer"),
        (&au(Some(8), &[1, 2]), "shorter"),
    ] {
        let mut rig = rig();
        let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
        rig.file(200, body);
        let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("{word}: {:?}", rig.answers) };
        assert!(refused.to_string().contains(word), "{refused}");
    }
}

#[test]
fn nothing_to_fetch_from_is_a_prerequisite() {
    let mut rig = Rig::ready();
    let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
    let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!(refused.why, Why::Prerequisite);
    assert!(refused.to_string().contains("fetch=http"), "{refused}");
}

#[test]
fn a_recording_that_is_nowhere_is_told() {
    let mut rig = rig();
    let ticket = rig.order(Order::Fetch { recording: recording(), segment: 0 });
    for _ in 0..40 {
        if rig.answers.contains_key(&ticket) {
            break;
        }
        while !rig.http.is_empty() {
            rig.file(404, b"");
        }
        rig.pass(Duration::from_millis(200));
    }
    let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert!(refused.to_string().contains("no such recording"), "{refused}");
}
