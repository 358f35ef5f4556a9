use ifbus_call::order::Done;
use ifbus_call::{Order, RecordingId, Why};

use super::rig::Rig;
use crate::adapter::LinkError;

/// A WAV file of so many bytes of sound.
fn wav(length: u32) -> Vec<u8> {
    let mut file = b"RIFF".to_vec();
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend((0..length).map(|at| (at % 251) as u8));
    file
}

fn fetch() -> Order {
    Order::Fetch { recording: RecordingId::new(1, 2), segment: 3 }
}

#[test]
fn a_file_comes_through_the_socket_in_slices() {
    for length in [0, 100, 768 * 1024 - 44, 768 * 1024, 2_000_000] {
        let mut rig = Rig::with(&[("fetch", "socket")]).up();
        rig.server.file = wav(length);
        let ticket = rig.give(fetch());
        rig.advance(std::time::Duration::from_secs(1));
        assert_eq!(rig.answers[&ticket], Ok(Done::Proven), "{length}");
        assert_eq!(rig.chunks[&ticket], wav(length));
    }
}

#[test]
fn the_line_for_a_slice_holds_nothing_a_shell_would_read() {
    let mut rig = Rig::with(&[("fetch", "socket")]).up();
    rig.server.file = wav(10);
    rig.proven(fetch());
    let (_, line) = rig.sent.iter().find(|(_, text)| text.starts_with("api system")).expect("a slice");
    let expected =
        "api system tail -c +1 /rec/ifbus-00000000010000000000000002-3.wav | head -c 786432 | base64 -w0\n\n";
    assert_eq!(line, expected);
}

#[test]
fn a_file_that_is_not_there_or_not_whole_is_refused() {
    let mut rig = Rig::with(&[("fetch", "socket")]).up();
    assert_eq!(rig.outcome(fetch()).expect_err("no file").why, Why::Refused);
    rig.server.file = wav(100);
    rig.server.file[4..8].fill(0);
    let refused = rig.outcome(fetch()).expect_err("its lengths are not set");
    assert!(refused.said.expect("a reason").text.contains("still being written"));
    rig.server.file = b"OggS and something else that is no WAV file at all....".to_vec();
    assert!(rig.outcome(fetch()).is_err());
    rig.server.file = wav(100);
    rig.server.file.extend([0; 4]);
    assert!(rig.outcome(fetch()).is_err(), "longer than it says");
}

#[test]
fn without_a_way_the_operator_is_told() {
    let refused = Rig::ready().outcome(fetch()).expect_err("fetch is off");
    assert_eq!(refused.why, Why::Prerequisite);
    assert!(refused.said.expect("a reason").text.contains("fetch=socket"));
    let mut rig = Rig::with(&[("fetch", "socket")]).up();
    rig.server.says.insert("api system", "-ERR system Command not found!\n");
    assert_eq!(rig.outcome(fetch()).expect_err("no shell").why, Why::Prerequisite);
}

#[test]
fn a_file_comes_from_a_web_server() {
    let mut rig = Rig::with(&[("fetch", "http://files:8080/rec")]).up();
    let ticket = rig.give(fetch());
    let (_, request) = rig.asked.front().expect("a request");
    assert_eq!((request.host.as_str(), request.port), ("files", 8080));
    assert_eq!(request.path, "/rec/ifbus-00000000010000000000000002-3.wav");
    rig.serve(Ok(200), &wav(5000));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert_eq!(rig.chunks[&ticket], wav(5000));
    for (result, why) in [
        (Ok(404), Why::Refused),
        (Ok(403), Why::Refused),
        (Err(LinkError::Refused), Why::Prerequisite),
        (Err(LinkError::TimedOut), Why::Unproven),
        (Err(LinkError::Reset), Why::LinkLost),
    ] {
        let ticket = rig.give(fetch());
        rig.serve(result.clone(), b"");
        assert_eq!(rig.answers[&ticket].clone().expect_err("no file").why, why, "{result:?}");
    }
}
