//! Peers that mean harm: each is ended, and before that costs little.

use proptest::prelude::*;

use super::super::{Broken, Connection};
use super::{PREFACE, beginning, fed, frame, packed, request};

fn ended(bytes: &[u8]) -> Option<Broken> {
    fed([bytes]).2
}

fn after_beginning(frames: &[u8]) -> Option<Broken> {
    ended(&[&beginning(), frames].concat())
}

#[test]
fn another_protocol_is_ended_at_its_first_byte() {
    assert_eq!(ended(b"G"), Some(Broken::Preface));
    assert_eq!(ended(b"PRI * HTTP/1.1\r\n\r\n"), Some(Broken::Preface));
    assert_eq!(fed([&b"GET / HTTP/1.1\r\n"[..]]).1.len(), 40, "no word to whom speaks another protocol");
}

#[test]
fn frames_that_are_wrong_where_they_stand_end_it() {
    use Broken::{FrameSize, Protocol};
    assert!(matches!(ended(&[PREFACE, &frame(6, 0, 0, &[0; 8])].concat()), Some(Protocol(_))));
    for (bytes, is_size) in [
        (vec![0, 0x40, 1, 0, 0, 0, 0, 0, 1], true),
        (frame(0, 0, 0, b"x"), false),
        (frame(0, 0, 7, b"x"), false),
        (frame(1, 4, 2, &packed(&[(":method", "POST")])), false),
        (frame(1, 0x8, 1, &[]), true),
        (frame(1, 0x8, 1, &[9, 1]), false),
        (frame(1, 0x20, 1, &[0]), true),
        (frame(2, 0, 1, &[0]), true),
        (frame(3, 0, 1, &[0; 4]), false),
        (frame(4, 0, 0, &[0; 5]), true),
        (frame(4, 0, 1, &[]), false),
        (frame(5, 0, 1, &[]), false),
        (frame(6, 0, 0, &[0; 7]), true),
        (frame(8, 0, 0, &[0; 4]), false),
        (frame(8, 0, 9, &[0, 0, 0, 1]), false),
        (frame(9, 0, 1, &[]), false),
        ([frame(1, 0, 1, &[]), frame(6, 0, 0, &[0; 8])].concat(), false),
    ] {
        let broken = after_beginning(&bytes);
        let is_right = match broken {
            Some(FrameSize(_)) => is_size,
            Some(Protocol(_)) => !is_size,
            _ => false,
        };
        assert!(is_right, "{bytes:?}: {broken:?}");
    }
}

#[test]
fn headers_of_a_request_that_is_none_cost_the_stream_alone() {
    for fields in [
        &[(":path", "/")][..],
        &[(":method", "POST")],
        &[(":method", "POST"), (":path", "")],
        &[(":method", "POST"), (":path", "/"), (":path", "/")],
        &[(":method", "POST"), ("x", "y"), (":path", "/")],
        &[(":method", "POST"), (":path", "/"), (":nonsense", "/")],
        &[(":method", "POST"), (":path", "/"), ("content-length", "-1")],
    ] {
        let bytes = [beginning(), frame(1, 0x5, 1, &packed(fields)), request(3, "POST", "/a", b"")].concat();
        let (requests, _, broken) = fed([&bytes[..]]);
        assert_eq!((requests.len(), broken), (1, None), "{fields:?}");
    }
}

#[test]
fn floods_are_ended_at_a_thousand_frames() {
    let floods = [
        frame(6, 0, 0, &[0; 8]),
        frame(4, 0, 0, &[]),
        frame(8, 0, 0, &[0, 0, 0, 1]),
        frame(2, 0, 1, &[0; 5]),
        frame(0xee, 0, 0, &[]),
    ];
    for flood in floods {
        let mut connection = Connection::default();
        connection.push(&beginning()).unwrap();
        let taken = (0..2000).take_while(|_| connection.push(&flood).is_ok()).count();
        assert!((990..1000).contains(&taken), "{taken}");
        assert!(connection.output().unwrap().len() < 64 * 1024);
    }
}

#[test]
fn rapid_resets_are_ended_before_a_hundred() {
    let mut connection = Connection::default();
    connection.push(&beginning()).unwrap();
    let open = packed(&[(":method", "POST"), (":path", "/")]);
    let taken = (0..1000u32)
        .take_while(|number| {
            let stream = 2 * number + 1;
            connection.push(&[frame(1, 4, stream, &open), frame(3, 0, stream, &[0; 4])].concat()).is_ok()
        })
        .count();
    assert!(taken < 100, "{taken}");
}

#[test]
fn endless_headers_bodies_and_streams_are_ended() {
    let long = [frame(1, 0, 1, &[0; 16_000]), frame(9, 0, 1, &[0; 1000])].concat();
    assert_eq!(after_beginning(&long), Some(Broken::Limit("bytes of headers")));
    let open = |stream| frame(1, 4, stream, &packed(&[(":method", "POST"), (":path", "/")]));
    let mut body = open(1);
    (0..5).for_each(|_| body.extend(frame(0, 0, 1, &[0; 16_000])));
    assert_eq!(after_beginning(&body), Some(Broken::Limit("bytes of a body")));
    let streams: Vec<u8> = (0..200).flat_map(|number| open(2 * number + 1)).collect();
    assert_eq!(after_beginning(&streams), Some(Broken::Limit("open streams")));
}

#[test]
fn an_end_is_told_with_its_code() {
    let (_, said, _) = fed([&[beginning(), frame(6, 0, 1, &[0; 8])].concat()[..]]);
    assert!(said.ends_with(&frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 1])));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_a_split_changes_nothing(
        frames in prop::collection::vec((0u8..12, any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..40)), 0..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = beginning();
        for (kind, flags, stream, payload) in &frames {
            bytes.extend(frame(*kind, *flags, *stream, payload));
        }
        let (head, tail) = bytes.split_at(cut.index(bytes.len()));
        prop_assert_eq!(fed([&bytes[..]]), fed([head, tail]));
    }

    #[test]
    fn a_bent_request_panics_nothing(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut bytes = [beginning(), request(1, "POST", "/calls", b"{\"a\":1}"), request(3, "PATCH", super::DEVICE, b"{}")].concat();
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(fed([&bytes[..]]), fed(bytes.chunks(1)));
    }
}
