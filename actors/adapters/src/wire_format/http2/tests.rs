//! The receiver against the words of its standards, against its limits, and against chance.

mod hostile;
mod packing;

use super::*;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the path of a device looks like (sheet flexisip, section 4).
pub(crate) const DEVICE: &str =
    "/api/statistics/calls/80183bf6/devices/\"<urn:uuid:9f9d51bc-0000-1000-8000-000000005062>\"";

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    super::frame::write(&mut out, kind, flags, stream, payload);
    out
}

/// The beginning of every client: preface and empty settings.
pub(crate) fn beginning() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[])].concat()
}

fn text(out: &mut Vec<u8>, text: &str) {
    // a length beyond 126 goes on in further bytes
    match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
        Some(length) => out.push(length),
        None => {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// Headers as a client packs them the first time: into the table.
pub(crate) fn packed(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0x40);
        text(&mut out, name);
        text(&mut out, value);
    }
    out
}

/// A request in two frames.
pub(crate) fn request(stream: u32, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let fields = [
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "127.0.88.1:8443"),
        ("accept", "application/json"),
        ("x-api-key", "LABKEY123"),
        ("content-length", &length),
    ];
    let head = frame(1, 0x4, stream, &packed(&fields));
    [head, frame(0, 0x1, stream, body)].concat()
}

/// What comes of bytes in these pieces: the requests, what was said, and how it ended.
fn fed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Request>, Vec<u8>, Option<Broken>) {
    let (mut connection, mut requests, mut said) = (Connection::default(), Vec::new(), Vec::new());
    let mut broken = None;
    for piece in pieces {
        broken = broken.or(connection.push(piece).err());
        requests.extend(std::iter::from_fn(|| connection.next()));
        said.extend(connection.output().unwrap_or_default());
    }
    (requests, said, broken)
}

#[test]
fn a_path_that_no_library_takes_arrives_as_it_is() {
    let body = br#"{"rang_at":"2026-11-22T10:16:34Z"}"#;
    let bytes = [beginning(), request(1, "PATCH", DEVICE, body)].concat();
    let (requests, _, broken) = fed([&bytes[..]]);
    assert_eq!(broken, None);
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((&request.method[..], &request.path[..]), (&b"PATCH"[..], DEVICE.as_bytes()));
    assert_eq!(request.header("x-api-key"), Some(&b"LABKEY123"[..]));
    assert_eq!(request.body, body);
}

#[test]
fn every_request_is_answered_by_a_bare_200() {
    let bytes = [beginning(), request(1, "POST", "/a", b"{}"), request(3, "POST", "/b", b"{}")].concat();
    let (requests, said, _) = fed([&bytes[..]]);
    assert_eq!(requests.len(), 2);
    for stream in [1, 3] {
        let answer = frame(1, 0x5, stream, &[0x88]);
        assert!(said.windows(answer.len()).any(|part| part == answer));
    }
}

#[test]
fn a_split_changes_nothing() {
    let bytes =
        [beginning(), request(1, "POST", "/calls", b"{\"id\":1}"), request(3, "PATCH", DEVICE, b"{}")]
            .concat();
    let whole = fed([&bytes[..]]);
    assert_eq!(whole.0.len(), 2);
    for cut in 0..bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(whole, fed([head, tail]), "cut at {cut}");
    }
    assert_eq!(whole, fed(bytes.chunks(1)));
}

#[test]
fn headers_in_several_frames_with_padding_and_priority_are_read() {
    let block = packed(&[(":method", "POST"), (":path", "/p"), ("x", "y")]);
    let (head, tail) = block.split_at(9);
    // three bytes of padding, a priority of five
    let first = [&[3u8][..], &[0, 0, 0, 0, 16], head, &[0; 3]].concat();
    let bytes =
        [beginning(), frame(1, 0x8 | 0x20 | 0x1, 1, &first), frame(9, 0, 1, &[]), frame(9, 0x4, 1, tail)]
            .concat();
    let (requests, _, broken) = fed([&bytes[..]]);
    assert_eq!((requests.len(), broken), (1, None));
    assert_eq!(requests[0].path, b"/p");
}

#[test]
fn a_request_whose_body_is_not_as_long_as_it_said_is_taken_back_alone() {
    let fields = packed(&[(":method", "POST"), (":path", "/p"), ("content-length", "5")]);
    let bytes =
        [beginning(), frame(1, 0x4, 1, &fields), frame(0, 0x1, 1, b"four"), request(3, "POST", "/q", b"")]
            .concat();
    let (requests, said, broken) = fed([&bytes[..]]);
    assert_eq!((requests.len(), broken), (1, None));
    assert_eq!(requests[0].path, b"/q");
    let reset = frame(3, 0, 1, &[0, 0, 0, 1]);
    assert!(said.windows(reset.len()).any(|part| part == reset));
}

#[test]
fn a_question_is_answered_and_one_of_ours_is_asked() {
    let mut connection = Connection::default();
    connection.ping();
    connection.output();
    connection.push(&beginning()).unwrap();
    connection.push(&frame(6, 0, 0, b"12345678")).unwrap();
    let said = connection.output().unwrap();
    assert!(said.ends_with(&frame(6, 1, 0, b"12345678")));
    connection.ping();
    assert_eq!(connection.output().unwrap(), frame(6, 0, 0, &1u64.to_be_bytes()));
}

#[test]
fn a_long_life_needs_no_more_room_than_a_short_one() {
    let mut connection = Connection::default();
    connection.push(&beginning()).unwrap();
    connection.output();
    let body = [b'x'; 3000];
    for number in 0..2000 {
        connection.push(&request(2 * number + 1, "POST", "/calls", &body)).unwrap();
        assert_eq!(connection.next().unwrap().body.len(), 3000);
        assert!(connection.output().unwrap().len() < 40);
    }
}
