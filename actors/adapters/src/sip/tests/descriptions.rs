//! The editor of descriptions, on what phones said and on what nobody should.

use proptest::prelude::*;

use super::rig::phone;
use crate::sip::sdp::{BYTES_MAX, BadSdp, Direction, Origin, STREAMS_MAX, Sdp};

const OURS: Origin<'_> = Origin { id: 7, version: 3, host: "192.0.2.2" };

const VIDEO: &str = "v=0\r\no=bs 1 1 IN IP4 192.0.2.9\r\ns=a b\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\na=tool:baresip\r\n\
    m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\na=label:1\r\n\
    m=video 4002 RTP/AVP 96\r\nb=AS:512\r\na=rtpmap:96 H264/90000\r\na=recvonly\r\n";

#[test]
fn only_origin_and_direction_change() {
    let text = Sdp::parse(VIDEO).unwrap().directed(Direction::Inactive).write(OURS);
    let wanted = VIDEO
        .replace("o=bs 1 1 IN IP4 192.0.2.9", "o=ifbus 7 3 IN IP4 192.0.2.2")
        .replace("a=sendrecv\r\na=label:1\r\n", "a=label:1\r\na=inactive\r\n")
        .replace("a=recvonly\r\n", "a=inactive\r\n");
    assert_eq!(text, wanted);
}

#[test]
fn a_direction_of_the_session_gives_way_to_that_of_the_streams() {
    let text = phone(4000).replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n").replace("a=sendrecv\r\n", "");
    let sdp = Sdp::parse(&text).unwrap();
    assert_eq!(sdp.direction(), Direction::SendOnly);
    let text = sdp.directed(Direction::SendRecv).write(OURS);
    assert!(!text.contains("sendonly") && text.ends_with("a=sendrecv\r\n"), "{text}");
}

#[test]
fn directions_are_mirrored_and_met() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    for (one, mirrored) in
        [(SendRecv, SendRecv), (SendOnly, RecvOnly), (RecvOnly, SendOnly), (Inactive, Inactive)]
    {
        assert_eq!(one.mirrored(), mirrored);
        assert_eq!(one.and(SendRecv), one);
        assert_eq!(one.and(Inactive), Inactive);
    }
    assert_eq!(SendOnly.and(RecvOnly), Inactive);
    assert!(SendOnly.is_hold() && Inactive.is_hold() && !RecvOnly.is_hold() && !SendRecv.is_hold());
}

#[test]
fn a_stream_that_is_gone_is_refused_and_not_left_out() {
    let (two, one) = (Sdp::parse(VIDEO).unwrap(), Sdp::parse(&phone(5000)).unwrap());
    let text = one.clone().grown_like(&two).write(OURS);
    assert!(text.contains("m=audio 5000 ") && text.contains("m=video 0 RTP/AVP 96\r\n"), "{text}");
    assert_eq!(two.clone().grown_like(&one).streams(), 2, "more may come");
}

#[test]
fn an_answer_has_the_streams_of_the_offer_in_its_order() {
    let (two, one) = (Sdp::parse(VIDEO).unwrap(), Sdp::parse(&phone(5000)).unwrap());
    let text = one.clone().answering(&two).write(OURS);
    assert!(text.contains("m=audio 5000 ") && text.contains("m=video 0 "), "{text}");
    assert_eq!(two.answering(&one).streams(), 1);
}

#[test]
fn a_place_is_told_from_its_words() {
    let here = Sdp::parse(&phone(4000)).unwrap();
    let fewer = Sdp::parse(&phone(4000).replace(" 0 101", " 0")).unwrap();
    assert!(here.same_transport(&fewer) && !here.same_words(&fewer));
    let renamed = Sdp::parse(&phone(4000).replace("o=phone 1 1", "o=x 9 9")).unwrap();
    assert!(here.same_words(&renamed), "whoever says it");
    for other in [phone(4002), phone(4000).replace("c=IN IP4 192.0.2.9", "c=IN IP4 192.0.2.8")] {
        assert!(!here.same_transport(&Sdp::parse(&other).unwrap()));
    }
}

#[test]
fn what_leads_nowhere_is_known() {
    assert!(Sdp::parse(&phone(4000)).unwrap().is_real());
    assert!(!Sdp::parse(&phone(0)).unwrap().is_real());
    assert!(!Sdp::held().is_real());
    let nowhere = phone(4000).replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0");
    let nowhere = Sdp::parse(&nowhere).unwrap();
    assert!(!nowhere.is_real());
    assert_eq!(nowhere.direction(), Direction::SendOnly, "the old way to say hold");
}

#[test]
fn what_is_none_is_refused_with_the_reason() {
    let many =
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(STREAMS_MAX + 1));
    for (text, bad) in [
        ("", BadSdp::Header),
        ("o=- 1 1 IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP 0\r\n", BadSdp::Header),
        ("v=0\r\nm=audio 1 RTP/AVP 0\r\n", BadSdp::Header),
        ("v=0\r\no=a\r\no=b\r\nm=audio 1 RTP/AVP 0\r\n", BadSdp::Header),
        ("v=0\r\no=a\r\n", BadSdp::Streams),
        ("v=0\r\no=a\r\nm=audio 70000 RTP/AVP 0\r\n", BadSdp::Line),
        ("v=0\r\no=a\r\nm=audio 1\r\n", BadSdp::Line),
        ("v=0\r\no=a\r\nm=audio 1 RTP/AVP 0\r\nX\r\n", BadSdp::Line),
        ("v=0\r\no=a\rb\r\nm=audio 1 RTP/AVP 0\r\n", BadSdp::Line),
        ("v=0\r\no=a\0\r\nm=audio 1 RTP/AVP 0\r\n", BadSdp::Line),
        (&many, BadSdp::Streams),
        (&"v=0\r\n".repeat(BYTES_MAX), BadSdp::TooLong),
    ] {
        assert_eq!(Sdp::parse(text).err(), Some(bad), "{text:.60}");
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a=sendonly".to_owned()),
        Just("a=inactive".to_owned()),
        Just("c=IN IP4 0.0.0.0".to_owned()),
        Just("c=IN IP6 2001:db8::1".to_owned()),
        Just("m=audio 4000 RTP/AVP 0".to_owned()),
        Just("m=video 0 RTP/AVP 96".to_owned()),
        "[a-z]=[ -~]{0,40}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,300}") {
        let _ = Sdp::parse(&text);
    }

    #[test]
    fn what_is_written_is_read_again_as_the_same(
        lines in proptest::collection::vec(line(), 0..40),
        direction in 0..4usize,
        breaks in any::<bool>(),
    ) {
        let end = if breaks { "\r\n" } else { "\n" };
        let text = format!("v=0{end}o=- 1 1 IN IP4 192.0.2.9{end}{}{end}", lines.join(end));
        let Ok(sdp) = Sdp::parse(&text) else { return Ok(()) };
        let direction = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive][direction];
        let edited = sdp.clone().directed(direction);
        let written = edited.write(OURS);
        prop_assert!(written.lines().all(|line| line.as_bytes()[1] == b'='));
        prop_assert_eq!(written.matches("o=ifbus 7 3 ").count(), 1);
        let again = Sdp::parse(&written).expect("what we write is well formed");
        prop_assert!(again.same_words(&edited) && again.same_transport(&sdp));
        prop_assert_eq!(again.streams(), sdp.streams());
        let directions = written.lines().filter(|line| *line == format!("a={}", direction.as_str())).count();
        prop_assert_eq!(directions, sdp.streams());
    }

    #[test]
    fn an_answer_always_has_the_streams_of_its_offer(
        ours in proptest::collection::vec(line(), 0..20),
        theirs in proptest::collection::vec(line(), 0..20),
    ) {
        let read = |lines: &[String]| Sdp::parse(&format!("v=0\no=- 1 1 IN IP4 1.2.3.4\n{}\n", lines.join("\n")));
        let (Ok(ours), Ok(theirs)) = (read(&ours), read(&theirs)) else { return Ok(()) };
        prop_assert_eq!(ours.clone().answering(&theirs).streams(), theirs.streams());
        prop_assert_eq!(ours.clone().grown_like(&theirs).streams(), ours.streams().max(theirs.streams()));
    }
}
