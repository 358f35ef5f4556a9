use proptest::prelude::*;

use super::escape::{decode, encode};
use super::*;

fn lines(pieces: &[&[u8]]) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(line) = decoder.next() {
            found.push(format!("{line:?}"));
        }
    }
    found
}

#[test]
fn escapes_are_those_of_the_engine() {
    assert_eq!(encode("sip:1001@h%1\r\n\t"), "sip%z1001@h%%1%M%J%I");
    assert_eq!(encode("eq=a=b"), "eq=a=b");
    assert_eq!(decode(b"sip%z1001@h%%1%M%J").as_deref(), Some("sip:1001@h%1\r\n"));
    assert_eq!(decode(b"a%}b").as_deref(), Some("a=b"));
    // the colon of the upstream document is none
    assert_eq!(decode(b"%Z").as_deref(), Some("\u{1a}"));
    for wrong in [&b"%1"[..], b"%", b"%@", b"%a"] {
        assert_eq!(decode(wrong), None, "{wrong:?}");
    }
}

#[test]
fn each_kind_of_line_is_known() {
    let reply =
        b"%%<message:if3:true:chan.connect::id=sip/1:targetid=sip/2:reason=ifbus-join:handlers=pbx%z90";
    let Line::Reply { id: b"if3", processed: true, name: b"chan.connect", value: b"", params } =
        Line::parse(reply)
    else {
        panic!("{:?}", Line::parse(reply));
    };
    assert_eq!(params.get("targetid").as_deref(), Some("sip/2"));
    assert_eq!(params.get("handlers").as_deref(), Some("pbx:90"));
    assert_eq!(params.get("target"), None, "a key is whole");
    let watched =
        b"%%<message::true:call.ringing::id=sip/2:module=sip:status=ringing:address=127.0.50.2%z5070";
    assert!(matches!(Line::parse(watched), Line::Watched { name: b"call.ringing", .. }));
    let asked = b"%%>message:0x7f66f1d12c60.98:1795340899:chan.disconnected::id=sip/84:reason=bye";
    let Line::Asked { id: b"0x7f66f1d12c60.98", name: b"chan.disconnected", params } = Line::parse(asked)
    else {
        panic!("{:?}", Line::parse(asked));
    };
    assert_eq!(params.get("id").as_deref(), Some("sip/84"));
    let hooked = Line::parse(b"%%<install:50:chan.disconnected:true");
    assert_eq!(hooked, Line::Hooked { verb: b"install", name: b"chan.disconnected", done: true });
    let hooked = Line::parse(b"%%<watch:call.ringing:false");
    assert_eq!(hooked, Line::Hooked { verb: b"watch", name: b"call.ringing", done: false });
    // the value is not escaped
    let local = Line::parse(b"%%<setlocal:config.a.b:x:y:true");
    assert_eq!(local, Line::Local { name: b"config.a.b", value: b"x:y", done: true });
    assert_eq!(Line::parse(b"Error in: %%>x"), Line::ErrorIn(b"%%>x"));
    for other in [
        &b"%%<message:if3"[..],
        b"%%<message:a:maybe:b:",
        b"%%<setlocal:a",
        b"%%>message:::a:",
        b"hello",
        b"",
    ] {
        assert!(matches!(Line::parse(other), Line::Other(_)), "{other:?}");
    }
}

#[test]
fn an_equals_sign_in_a_value_stays_and_the_first_of_two_counts() {
    let Line::Reply { params, .. } = Line::parse(b"%%<message:a:true:n::k=a=b:k=c:%}x=1") else { panic!() };
    assert_eq!(params.get("k").as_deref(), Some("a=b"));
    let all: Vec<_> = params.iter().map(|(key, value)| format!("{key}|{value}")).collect();
    assert_eq!(all, ["k|a=b", "k|c", "=x|1"]);
}

#[test]
fn a_value_that_is_unfit_never_becomes_a_line() {
    let line = |value: &str| Command::new(1, Name::Status).with("module", value).finish();
    let text = String::from_utf8(line("a:b%").unwrap()).unwrap();
    assert_eq!(text, "%%>message:00000000000000000000000000000001:0:engine.status::module=a%zb%%\n");
    assert_eq!(line("a\nb"), Err(Unfit::Control("module")));
    assert_eq!(line("a\u{85}b"), Err(Unfit::Control("module")));
    assert_eq!(line(&"x".repeat(8000)), Err(Unfit::TooLong));
}

#[test]
fn a_drop_without_a_channel_cannot_be_written() {
    for whole in ["", "sip", "sip/", "/1", "*", "sip /1", "sip/1 2", "a\n/1"] {
        assert_eq!(Channel::new(whole), None, "{whole:?}");
    }
    let channel = Channel::new("sip/12").unwrap();
    let line = Command::drop(2, &channel, "bye").finish().unwrap();
    assert!(line.ends_with(b":call.drop::id=sip/12:reason=bye\n"));
}

#[test]
fn lines_end_with_either_line_end_and_limits_hold() {
    let found = lines(&[b"%%<watch:a:true\r\n%%<watch:b:true\nError in: x\n"]);
    assert_eq!(found.len(), 3);
    assert_eq!(lines(&[b"%%<watch:a:true\r\n"]), lines(&[b"%%<watch:a:true\n"]));
    let mut decoder = Decoder::default();
    decoder.push(b"%%<");
    decoder.push(&vec![b'x'; LINE_MAX + 1]);
    assert_eq!(decoder.next(), Some(Err(Broken::TooLong)));
    decoder.push(b"\n%%<watch:a:true\n");
    assert_eq!(decoder.next(), None, "final");
}

#[test]
fn another_server_is_known_by_its_first_line() {
    for other in [&b"Asterisk Call Manager/5\r\n"[..], b"Content-Type: auth/request\n\n", b"HTTP/1.1 400\r\n"]
    {
        let mut decoder = Decoder::default();
        decoder.push(other);
        assert!(matches!(decoder.next(), Some(Err(Broken::NotYate(_)))), "{other:?}");
    }
}

const PIECES: &[&[u8]] = &[
    b"%%<message:a:true:n:v:k=v\n",
    b"%%<message::false:n::\r\n",
    b"Error in: %%>\n",
    b"\n",
    b"%%>message:i:0:n::a=b",
    b"junk",
    b":",
    b"%%<",
];

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(text in "\\PC*|[\\x01-\\x7f]*") {
        let encoded = encode(&text);
        prop_assert!(encoded.bytes().all(|byte| byte >= 0x20 && byte != b':'));
        let decoded = decode(encoded.as_bytes());
        prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn any_split_gives_the_same_lines(
        text in proptest::collection::vec(proptest::sample::select(PIECES), 0..12).prop_map(|parts| parts.concat()),
        cut in 0_usize..200,
    ) {
        let (head, tail) = text.split_at(cut.min(text.len()));
        let whole = lines(&[&text]);
        prop_assert_eq!(&whole, &lines(&[head, tail]));
        let single: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(whole, lines(&single));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Line::Reply { params, .. } | Line::Watched { params, .. } | Line::Asked { params, .. } = Line::parse(&bytes) {
            let _ = params.iter().count();
        }
        lines(&[b"%%<watch:a:true\n", &bytes]);
    }
}
