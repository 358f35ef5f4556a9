//! Recordings fetched: nothing before its header, nothing twice, every end told.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Order, RecordingId, Refused, Why};
use proptest::prelude::*;

use super::rig::Rig;
use crate::adapter::{Adapter, HttpReply, Input, LinkError};
use crate::asterisk::machine::COMMANDS;

fn fetch() -> Order {
    Order::Fetch { recording: RecordingId::new(1_795_519_231_000, 7), segment: 3 }
}

/// A file with this many bytes of samples, and these lengths in its header.
fn file(samples: u32, riff: u32, data: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend(riff.to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(data.to_le_bytes());
    file.extend((0..samples).map(|at| (at % 251) as u8));
    file
}

fn whole(samples: u32) -> Vec<u8> {
    file(samples, samples + 36, samples)
}

fn refused(rig: &Rig, ticket: u64) -> Refused {
    rig.answers[&ticket].clone().expect_err("it should be refused")
}

#[test]
fn a_file_is_asked_for_by_its_name_with_basic_authentication() {
    let mut rig = Rig::ready(true);
    rig.give(fetch());
    let (_, request) = rig.asked.front().expect("it was asked for");
    let name = RecordingId::new(1_795_519_231_000, 7).to_string()["rec_".len()..].to_lowercase();
    assert_eq!(request.path, format!("/ari/recordings/stored/ifbus-{name}-3/file"));
    assert_eq!((request.method, request.streamed), ("GET", true));
    assert!(request.basic.is_some() && request.body.is_none());
    assert_eq!(request.reply_max, 512 * 1024 * 1024);
}

#[test]
fn a_file_is_handed_on_whole_however_it_comes() {
    for samples in [0, 1, 320, 5000] {
        for piece in [1, 7, 43, 44, 45, 100_000] {
            let mut rig = Rig::ready(true);
            let ticket = rig.give(fetch());
            rig.serve(&whole(samples), piece);
            assert_eq!(rig.answers[&ticket], Ok(Done::Proven), "{samples} in pieces of {piece}");
            assert_eq!(rig.chunks[&ticket], whole(samples));
        }
    }
}

#[test]
fn nothing_is_handed_on_before_the_header_was_checked() {
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    let (id, _) = rig.asked[0].clone();
    for byte in &whole(10)[..43] {
        rig.input(Input::HttpPart(id, &[*byte]));
    }
    assert!(rig.chunks.is_empty());
    rig.input(Input::HttpPart(id, &whole(10)[43..50]));
    assert_eq!(rig.chunks[&ticket], whole(10)[..50]);
}

#[test]
fn a_file_that_is_still_written_is_asked_for_again_and_nothing_of_it_remains() {
    for unfinished in
        [file(44, 0, 0), file(3000, 0, 3000), file(3000, 3036, 0), Vec::new(), whole(0)[..20].to_vec()]
    {
        let mut rig = Rig::ready(true);
        let ticket = rig.give(fetch());
        for _ in 0..3 {
            rig.serve(&unfinished, 64);
            assert!(rig.asked.is_empty(), "not at once");
            rig.advance(Duration::from_millis(200));
        }
        assert!(rig.chunks.is_empty());
        rig.serve(&whole(500), 64);
        assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
        assert_eq!(rig.chunks[&ticket], whole(500));
    }
}

#[test]
fn a_file_that_is_never_finished_is_given_up_after_two_seconds() {
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    let mut tries = 0;
    while !rig.answers.contains_key(&ticket) {
        rig.serve(&file(0, 0, 0), 64);
        tries += 1;
        rig.advance(Duration::from_millis(200));
    }
    assert_eq!(tries, 11);
    let refused = refused(&rig, ticket);
    assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
    assert!(rig.chunks.is_empty() && rig.machine.deadline().is_none());
}

#[test]
fn a_header_that_lies_is_found_out_at_the_end_or_as_soon_as_more_comes() {
    for (samples, said) in [(100, "shorter"), (300, "longer")] {
        let mut rig = Rig::ready(true);
        let ticket = rig.give(fetch());
        rig.serve(&file(samples, 236, 200), 50);
        let refused = refused(&rig, ticket);
        assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
        assert!(refused.said.expect("a reason").text.contains(said));
        assert!(rig.chunks.get(&ticket).is_none_or(|chunks| chunks.len() <= 244));
        assert!(rig.asked.is_empty(), "a second try would follow bytes of the first");
    }
}

#[test]
fn another_format_is_refused_at_once() {
    let mut mp3 = whole(100);
    mp3[..3].copy_from_slice(b"ID3");
    let mut stereo = whole(100);
    stereo[22] = 2;
    for body in
        [mp3, stereo, b"<html><body>a page of a proxy, longer than a header is</body></html>".to_vec()]
    {
        let mut rig = Rig::ready(true);
        let ticket = rig.give(fetch());
        rig.serve(&body, 10);
        assert_eq!(refused(&rig, ticket).why, Why::Refused);
        assert!(rig.chunks.is_empty());
    }
}

#[test]
fn a_file_beyond_the_limit_is_not_begun() {
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    let samples = 512 * 1024 * 1024;
    let (id, _) = rig.asked[0].clone();
    rig.input(Input::HttpPart(id, &file(0, samples + 36, samples)));
    assert!(refused(&rig, ticket).said.expect("a reason").text.contains("512 MB"));
    assert!(rig.chunks.is_empty());
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    rig.deny(Err(LinkError::Limit("the largest body")));
    assert!(refused(&rig, ticket).said.expect("a reason").text.contains("512 MB"));
}

#[test]
fn a_status_is_told_with_what_it_means() {
    for (status, word) in
        [(404, "no such recording"), (401, "password"), (403, "may not"), (500, "give"), (206, "give")]
    {
        let mut rig = Rig::ready(true);
        let ticket = rig.give(fetch());
        rig.deny(Ok(status));
        let refused = refused(&rig, ticket);
        assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
        let said = refused.said.expect("a reason");
        assert_eq!(said.code, Some(status));
        assert!(said.text.contains(word), "{}", said.text);
    }
}

#[test]
fn without_ari_or_http_the_operator_is_told_what_is_missing() {
    let mut rig = Rig::ready(false);
    let ticket = rig.give(fetch());
    assert!(rig.asked.is_empty());
    let mut all = vec![refused(&rig, ticket)];
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    rig.deny(Err(LinkError::Refused));
    all.push(refused(&rig, ticket));
    // ARI is wanted and off: the stream did not open, and every path is unknown
    let mut rig = Rig::new(true);
    rig.server.ari = false;
    rig.dead = vec![crate::asterisk::machine::STREAM];
    rig.start();
    let ticket = rig.give(fetch());
    rig.deny(Ok(404));
    all.push(refused(&rig, ticket));
    for refused in all {
        assert_eq!(refused.why, Why::Prerequisite);
        let text = refused.said.expect("what is missing").text;
        assert!(text.contains("http.conf") && text.contains("ari.conf"), "{text}");
        assert!(refused.evidence != Evidence::Unknown);
    }
}

#[test]
fn a_lost_link_a_late_end_and_silence_are_answered() {
    for (error, why) in [
        (LinkError::Reset, Why::LinkLost),
        (LinkError::Closed, Why::LinkLost),
        (LinkError::TimedOut, Why::Unproven),
    ] {
        let mut rig = Rig::ready(true);
        let ticket = rig.give(fetch());
        let (id, _) = rig.asked[0].clone();
        rig.input(Input::HttpPart(id, &whole(100)[..60]));
        rig.deny(Err(error));
        assert_eq!(refused(&rig, ticket).why, why);
    }
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    let (id, _) = rig.asked[0].clone();
    for part in whole(100).chunks(10) {
        rig.input(Input::HttpPart(id, part));
        rig.advance(Duration::from_secs(14));
    }
    assert!(!rig.answers.contains_key(&ticket), "slow is not silent");
    rig.advance(Duration::from_secs(15));
    assert_eq!(refused(&rig, ticket).why, Why::Unproven);
    rig.input(Input::Http(id, Ok(HttpReply { status: 200, body: Vec::new() })));
}

#[test]
fn a_life_that_ends_answers_a_download_and_takes_nothing_more_of_it() {
    let mut rig = Rig::ready(true);
    let ticket = rig.give(fetch());
    let (id, _) = rig.asked[0].clone();
    rig.input(Input::HttpPart(id, &whole(100)[..60]));
    rig.close(COMMANDS, LinkError::Reset);
    assert_eq!(refused(&rig, ticket).why, Why::LinkLost);
    rig.start();
    rig.input(Input::HttpPart(id, &whole(100)[60..]));
    rig.input(Input::Http(id, Ok(HttpReply { status: 200, body: Vec::new() })));
    assert_eq!(rig.chunks[&ticket].len(), 60);
}

#[test]
fn two_downloads_do_not_mix() {
    let mut rig = Rig::ready(true);
    let (first, second) = (rig.give(fetch()), rig.give(fetch()));
    let ids: Vec<_> = rig.asked.iter().map(|(id, _)| *id).collect();
    let (left, right) = (whole(100), whole(90));
    for at in 0..15 {
        for (id, body) in [(ids[0], &left), (ids[1], &right)] {
            let end = body.len().min(10 * at + 10);
            rig.input(Input::HttpPart(id, &body[(10 * at).min(end)..end]));
        }
    }
    rig.deny(Ok(200));
    rig.deny(Ok(200));
    assert_eq!((&rig.chunks[&first], &rig.chunks[&second]), (&left, &right));
    assert_eq!((&rig.answers[&first], &rig.answers[&second]), (&Ok(Done::Proven), &Ok(Done::Proven)));
}

proptest! {
    #[test]
    fn any_split_of_any_body_gives_the_same_bytes_and_the_same_answer(
        start in prop_oneof![Just(whole(40)), Just(file(40, 0, 0)), Just(file(40, 60, 24)), Just(file(10, 76, 40))],
        noise in proptest::collection::vec(any::<u8>(), 0..30),
        change in proptest::option::of((0_usize..44, any::<u8>())),
        piece in 1_usize..60,
    ) {
        let mut body = [start, noise].concat();
        if let Some((at, byte)) = change {
            body[at] = byte;
        }
        let outcome = |piece: usize| {
            let mut rig = Rig::ready(true);
            let ticket = rig.give(fetch());
            rig.serve(&body, piece);
            let answer = rig.answers.get(&ticket).cloned();
            // what a refusal leaves behind is to be forgotten
            let chunks = rig.chunks.remove(&ticket).filter(|_| answer == Some(Ok(Done::Proven)));
            prop_assert!(chunks.as_ref().is_none_or(|chunks| *chunks == body));
            Ok((answer, chunks))
        };
        prop_assert_eq!(outcome(piece)?, outcome(1000)?);
    }
}
