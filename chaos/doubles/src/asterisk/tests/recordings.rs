//! Recording: as recorded, and what is in the files.

use crate::double::{Extensions as _, Mortal as _};
use std::collections::BTreeSet;
use std::time::Duration;

use super::ari::{AUTH, get};
use super::lab::{Lab, messages};
use super::transcripts::{options, replay, sections};
use crate::asterisk::{Door, Link, Options, Profile};
use crate::phone::tone::{encode, recognise};
use crate::phone::{Act, Tone};

/// Replays a recording; the handles of recorders in it stand for those of the double.
fn replayed(text: &str, profile: Profile) {
    let mut lab = Lab::new(options(profile));
    let link = lab.login("ifbus", "on");
    let mut handles: Vec<(String, String)> = vec![];
    let mut count = 0;
    for mut section in sections(text) {
        if section.title.is_empty() {
            for (number, id) in [("1001", "m-a"), ("1002", "m-b")] {
                lab.act(link, &super::lab::originate(number, id));
                lab.pass(200);
            }
            lab.act(link, "Action: Bridge\nChannel1: m-a\nChannel2: m-b\nTone: no");
            lab.pass(200);
            lab.inbox.clear();
            continue;
        }
        for block in &mut section.client {
            // The latest of that name: the real server uses an address of its memory again.
            if let Some((recorded, ours)) = handles.iter().rev().find(|(r, _)| block.contains(r.as_str())) {
                *block = block.replace(recorded, ours);
            }
        }
        let recorded: Vec<String> = section.server.iter().map(|m| m.get("MixMonitorID").to_owned()).collect();
        let said = replay(&mut lab, link, section, 800);
        let ours = said.iter().map(|m| m.get("MixMonitorID").to_owned());
        let some = |handles: Vec<String>| handles.into_iter().filter(|h| !h.is_empty()).collect::<Vec<_>>();
        handles.extend(some(recorded).into_iter().zip(some(ours.collect())));
        count += 1;
    }
    assert_eq!((count, handles.len()), (17, 6));
}

#[test]
fn a_recorder_works_as_on_22() {
    replayed(include_str!("../../../transcripts/asterisk/31-recording.txt"), Profile::V22);
}

#[test]
fn a_recorder_works_as_on_16() {
    replayed(include_str!("../../../transcripts/asterisk/v16-31-recording.txt"), Profile::V16);
}

fn record(lab: &mut Lab, link: Link, id: &str, name: &str) -> String {
    let said = lab.act(
        link,
        &format!(
            "Action: MixMonitor\nChannel: {id}\nFile: ../recording/{name}.wav\nOptions: i(IFBUS_REC_1_1)"
        ),
    );
    assert_eq!(said[0].get("Response"), "Success");
    let variable = lab.act(link, &format!("Action: Getvar\nChannel: {id}\nVariable: IFBUS_REC_1_1"));
    assert_eq!(variable[0].get("Value"), said[0].get("MixMonitorID"));
    variable[0].get("Value").to_owned()
}

fn stop(lab: &mut Lab, link: Link, id: &str, handle: &str) {
    let said = lab.act(link, &format!("Action: StopMixMonitor\nChannel: {id}\nMixMonitorID: {handle}"));
    assert_eq!(said[0].get("Response"), "Success");
}

/// Head and body of the file as ARI sends it.
fn fetch(lab: &mut Lab, name: &str) -> (String, Vec<u8>) {
    let link = lab.open(Door::Http);
    lab.send(link, format!("GET /ari/recordings/stored/{name}/file HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n"));
    let bytes = lab.raw(link);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
}

fn length(file: &[u8]) -> usize {
    u32::from_le_bytes(file[40..44].try_into().unwrap()) as usize
}

/// The tones in a stretch of the file, in milliseconds.
fn tones(file: &[u8], from: usize, to: usize) -> BTreeSet<Tone> {
    let samples: Vec<u8> =
        file[44..].chunks_exact(2).map(|pair| encode(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    recognise(&samples[from * 8..to * 8])
}

#[test]
fn a_file_holds_both_parties_for_as_long_as_the_recorder_ran() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let handle = record(&mut lab, link, "a", "one");
    lab.pass(2500);
    stop(&mut lab, link, "a", &handle);
    lab.pass(20);
    let (head, file) = fetch(&mut lab, "one");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: audio/wav\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", file.len())), "{head}");
    assert_eq!((length(&file), file.len()), (40_000, 40_044), "2.5 s of 8 kHz, 16 bit, mono");
    assert_eq!(&file[..4], b"RIFF");
    assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
    assert_eq!(tones(&file, 0, 2500), BTreeSet::from([Tone::of("1001"), Tone::of("1002")]));
}

#[test]
fn a_file_tells_who_spoke_when() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let handle = record(&mut lab, link, "a", "one");
    lab.pass(500);
    lab.act(
        link,
        "Action: Redirect\nChannel: b\nContext: ifbus\nExten: hold\nPriority: 1\nExtraChannel: a\n\
         ExtraContext: ifbus\nExtraExten: park\nExtraPriority: 1",
    );
    lab.pass(500);
    lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: in\nState: on");
    lab.pass(500);
    stop(&mut lab, link, "a", &handle);
    lab.pass(20);
    let (_, file) = fetch(&mut lab, "one");
    let (a, b) = (Tone::of("1001"), Tone::of("1002"));
    assert_eq!(tones(&file, 0, 500), BTreeSet::from([a, b]));
    assert_eq!(tones(&file, 500, 1000), BTreeSet::from([a]), "parked alone");
    assert_eq!(tones(&file, 1000, 1500), BTreeSet::from([b]), "joined again, and muted");
}

#[test]
fn a_member_of_a_room_records_the_room() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    for (number, id) in [("1001", "a"), ("1002", "b"), ("1003", "c")] {
        lab.leg(link, number, id);
        let enter = format!("Action: Redirect\nChannel: {id}\nContext: ifbus\nExten: conf-00-x\nPriority: 1");
        lab.act(link, &enter);
    }
    record(&mut lab, link, "b", "room");
    lab.pass(300);
    lab.machine.act("1002", &Act::HangUp, lab.now);
    lab.pass(20);
    let (_, file) = fetch(&mut lab, "room");
    assert_eq!(length(&file), 4800, "ended with its channel");
    assert_eq!(tones(&file, 0, 300), ["1001", "1002", "1003"].map(Tone::of).into());
}

#[test]
fn the_header_says_nothing_while_the_file_is_written() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    record(&mut lab, link, "a", "one");
    lab.pass(1500);
    assert_eq!(fetch(&mut lab, "one").1.len(), 44, "less than one block");
    lab.pass(1000);
    let (_, file) = fetch(&mut lab, "one");
    assert_eq!((length(&file), &file[4..8], file.len()), (0, &[0; 4][..], 44 + 32_768));
    lab.act(link, "Action: Hangup\nChannel: a\nCause: 16");
    assert_eq!(length(&fetch(&mut lab, "one").1), 0, "a few milliseconds more");
    lab.pass(20);
    assert_eq!(length(&fetch(&mut lab, "one").1), 40_000);
    assert!(
        get(&mut lab, "/ari/recordings/stored", AUTH).ends_with("[{\"name\":\"one\",\"format\":\"wav\"}]")
    );
}

#[test]
fn files_outlive_the_process_and_one_that_was_being_written_stays_broken() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let handle = record(&mut lab, link, "a", "whole");
    lab.pass(500);
    stop(&mut lab, link, "a", &handle);
    record(&mut lab, link, "a", "broken");
    lab.pass(500);
    lab.machine.restart(lab.now + Duration::from_secs(1));
    lab.collect();
    lab.pass(60_000);
    assert_eq!(length(&fetch(&mut lab, "whole").1), 8000);
    assert_eq!(length(&fetch(&mut lab, "broken").1), 0);
}

#[test]
fn what_is_not_a_wav_file_in_the_folder_that_is_served_is_accepted_and_lost() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    for file in ["../recording/x.mp3", "x.wav", "/tmp/x.wav", "../recording/x"] {
        let said = lab.act(link, &format!("Action: MixMonitor\nChannel: a\nFile: {file}"));
        assert_eq!(said[0].get("Response"), "Success", "{file}");
        assert_eq!(said[1].get("Event"), "MixMonitorStart", "{file}");
    }
    assert!(get(&mut lab, "/ari/recordings/stored", AUTH).ends_with("\r\n\r\n[]"));
}

#[test]
fn files_are_listed_and_removed_by_those_who_may() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    record(&mut lab, link, "a", "one");
    let mut ask = |method: &str, name: &str, who: &str| {
        let link = lab.open(Door::Http);
        lab.send(
            link,
            format!("{method} /ari/recordings/stored/{name}?api_key={who} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        lab.text(link)
    };
    let ours = "ifbus:ifbus-secret";
    assert!(ask("GET", "one", ours).ends_with("{\"name\":\"one\",\"format\":\"wav\"}"));
    assert!(ask("GET", "one/file", "ifbus:wrong").starts_with("HTTP/1.1 401 Unauthorized\r\n"));
    assert!(ask("GET", "two/file", ours).ends_with("{\"message\":\"Recording not found\"}"));
    assert!(ask("GET", "..%2Fmonitor%2Fone/file", ours).starts_with("HTTP/1.1 404 "));
    assert!(ask("DELETE", "one", "viewer:viewer-secret").starts_with("HTTP/1.1 403 Forbidden\r\n"));
    assert!(ask("POST", "one", ours).starts_with("HTTP/1.1 405 "));
    let gone = ask("DELETE", "one", ours);
    assert!(gone.starts_with("HTTP/1.1 204 No Content\r\n") && !gone.contains("Content-type"), "{gone}");
    assert!(ask("DELETE", "one", ours).starts_with("HTTP/1.1 404 Not Found\r\n"));
}

#[test]
fn a_recorder_makes_pressed_keys_visible_and_a_viewer_may_not_start_one() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    record(&mut lab, link, "a", "one");
    lab.machine.act("1002", &Act::Press("7".into()), lab.now);
    lab.pass(200);
    let said = lab.heard(link);
    assert!(said.iter().any(|m| m.get("Event") == "DTMFEnd" && m.get("Digit") == "7"));
    let viewer = lab.login("viewer", "off");
    lab.send(viewer, "Action: MixMonitor\r\nChannel: a\r\nFile: ../recording/x.wav\r\n\r\n");
    assert_eq!(messages(&lab.text(viewer))[0].get("Message"), "Permission denied");
}

#[test]
fn a_handle_is_given_out_again_after_its_recorder_has_stopped() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let mut seen = BTreeSet::new();
    let again = (0..50).any(|_| {
        let handle = record(&mut lab, link, "a", "one");
        stop(&mut lab, link, "a", &handle);
        !seen.insert(handle)
    });
    assert!(again);
}
