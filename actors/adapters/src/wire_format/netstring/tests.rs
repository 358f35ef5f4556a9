//! What goes in comes out, in any split; what is none breaks the stream for good.

use proptest::prelude::*;

use super::*;

fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Vec<u8>, Broken>> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(next) = decoder.next() {
            found.push(next.map(<[u8]>::to_vec));
        }
    }
    found
}

#[test]
fn several_in_one_piece_and_one_in_several_are_the_same() {
    let bytes = [encode(b"{\"a\":1}"), encode(b""), encode(b"a,b:c")].concat();
    let expected = vec![Ok(b"{\"a\":1}".to_vec()), Ok(Vec::new()), Ok(b"a,b:c".to_vec())];
    assert_eq!(decoded([&bytes[..]]), expected);
    assert_eq!(decoded(bytes.chunks(1)), expected);
}

#[test]
fn what_is_no_netstring_ends_the_stream() {
    for (bytes, why) in [
        (&b"HTTP/1.1 200 OK\r\n"[..], Broken::Length),
        (b":x,", Broken::Length),
        (b"-1:x,", Broken::Length),
        (b" 1:x,", Broken::Length),
        (b"1:xy,", Broken::End),
        (b"262145:", Broken::TooLong),
        (b"9999999999999999999999:", Broken::TooLong),
        (b"0000000:", Broken::TooLong),
    ] {
        let after = [bytes, &encode(b"later")[..]].concat();
        assert_eq!(decoded([&after[..]]), [Err(why)], "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_length_is_refused_before_its_bytes_come() {
    let mut decoder = Decoder::default();
    decoder.push(b"262145");
    assert_eq!(decoder.next(), Some(Err(Broken::TooLong)));
    decoder.push(b"1:x,");
    assert_eq!(decoder.next(), None);
}

#[test]
fn the_longest_is_taken() {
    let longest = vec![b'x'; LENGTH_MAX];
    assert_eq!(decoded(encode(&longest).chunks(1000)), [Ok(longest)]);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8), cuts in proptest::collection::vec(1..20_usize, 1..60)) {
        let bytes = strings.iter().map(|string| encode(string)).collect::<Vec<_>>().concat();
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let expected: Vec<_> = strings.into_iter().map(Ok).collect();
        prop_assert_eq!(decoded(pieces), expected);
    }
}
