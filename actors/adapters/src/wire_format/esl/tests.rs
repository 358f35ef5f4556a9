use std::fmt::Display;

use proptest::prelude::*;

use super::decoder::{BODY_MAX, HEAD_MAX};
use super::{Broken, Command, Decoder, Event, Kind, Unfit, Uuid};

const GREETING: &[u8] = b"Content-Type: auth/request\n\n";

/// Everything a decoder says of these pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<(Kind, Vec<u8>), Broken>> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next() {
            found.push(frame.map(|frame| (frame.kind(), frame.body.to_vec())));
        }
    }
    found
}

fn after_greeting(bytes: &[u8]) -> Vec<Result<(Kind, Vec<u8>), Broken>> {
    let mut found = read([GREETING, bytes]);
    assert_eq!(found.remove(0), Ok((Kind::AuthRequest, Vec::new())));
    found
}

#[test]
fn a_body_is_followed_by_the_next_head_at_once() {
    let found = after_greeting(
        b"Content-Length: 2\nContent-Type: text/event-json\n\n{}Content-Type: command/reply\nReply-Text: +OK a\n\n\
          Content-Type: api/response\nContent-Length: 4\n\n+OK\nContent-Type: text/disconnect-notice\n\
          Content-Length: 3\n\nbye",
    );
    let kinds: Vec<_> = found.into_iter().map(|frame| frame.expect("all are sound")).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Event, b"{}".to_vec()),
            (Kind::Reply, Vec::new()),
            (Kind::Response, b"+OK\n".to_vec()),
            (Kind::Disconnect, b"bye".to_vec()),
        ]
    );
}

#[test]
fn a_length_that_is_none_ends_the_connection() {
    for length in ["-1", "+1", "0x10", "1 2", "", "1e3", "99999999999999999999", "\u{661}"] {
        let found =
            after_greeting(format!("Content-Type: api/response\nContent-Length: {length}\n\nxx").as_bytes());
        assert!(matches!(found[..], [Err(Broken::BadLength(_))]), "{length:?}: {found:?}");
    }
    let two = b"Content-Type: api/response\nContent-Length: 1\nContent-Length: 2\n\nxx";
    assert!(matches!(after_greeting(two)[..], [Err(Broken::BadLength(_))]));
    let huge = format!("Content-Type: api/response\nContent-Length: {}\n\n", BODY_MAX + 1);
    assert_eq!(after_greeting(huge.as_bytes()), [Err(Broken::BodyTooLong(BODY_MAX as u64 + 1))]);
}

#[test]
fn an_absent_length_is_no_body() {
    let found = after_greeting(b"Content-Type: api/response\n\nContent-Type: command/reply\n\n");
    assert_eq!(found, [Ok((Kind::Response, Vec::new())), Ok((Kind::Reply, Vec::new()))]);
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let found = after_greeting(&[b"A: ".to_vec(), vec![b'x'; HEAD_MAX + 1]].concat());
    assert_eq!(found, [Err(Broken::HeadTooLong)]);
}

#[test]
fn a_line_without_a_name_ends_the_connection() {
    for line in ["nothing", ": value"] {
        let found = after_greeting(format!("Content-Type: api/response\n{line}\n\n").as_bytes());
        assert!(matches!(found[..], [Err(Broken::BadHeader(_))]), "{line}: {found:?}");
    }
}

#[test]
fn another_protocol_is_known_by_its_first_line() {
    for peer in
        ["Asterisk Call Manager/11.0.0\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\n", "Content-Typo\n"]
    {
        assert!(matches!(read([peer.as_bytes()])[..], [Err(Broken::NotEsl(_))]), "{peer}");
    }
    assert_eq!(read([&b"Content-"[..]]), []);
}

#[test]
fn nothing_is_read_after_an_error() {
    assert_eq!(after_greeting(b"x\n\nContent-Type: command/reply\n\n").len(), 1);
}

#[test]
fn what_the_server_says_is_one_line() {
    let mut decoder = Decoder::default();
    decoder.push(b"Content-Type: api/response\nContent-Length: 26\n\n\n-ERR No such channel!\nabc\n");
    let frame = decoder.next().expect("whole").expect("sound");
    assert_eq!(frame.said(), "-ERR No such channel!");
}

#[test]
fn an_event_gives_the_members_that_are_read() {
    let event = Event::parse(
        br#"{"Event-Name":"CUSTOM","Unique-ID":"u","x":{"y":[1]},"variable_ifbus_call":["a","b"],
            "Hangup-Cause":"","Unique-ID":"v","DTMF-Digit":7,"_body":"l1\nl2"}"#,
    )
    .expect("an object");
    assert_eq!((event.name(), event.get("Unique-ID")), ("CUSTOM", Some("u")));
    assert_eq!(event.get("variable_ifbus_call"), Some("a"));
    assert_eq!((event.get("Hangup-Cause"), event.get("DTMF-Digit"), event.get("x")), (None, None, None));
    assert_eq!(event.get("_body"), Some("l1\nl2"));
}

const GOLDEN: &str = include_str!("../../freeswitch/transcripts/golden-call.jsonl");

/// What the plain walk takes, `serde_json` takes too, and reads the same.
fn both_agree(json: &[u8]) -> bool {
    let Some(plain) = Event::parse_plain(json) else { return false };
    let tolerant: Event<'_> = serde_json::from_slice(json).expect("what is plain is JSON");
    assert_eq!(format!("{plain:?}"), format!("{tolerant:?}"));
    true
}

#[test]
fn recorded_events_are_plain_and_read_the_same_by_both_ways() {
    for line in GOLDEN.lines() {
        let compact = serde_json::from_str::<serde_json::Value>(line).expect("it is JSON").to_string();
        assert!(both_agree(line.as_bytes()) && both_agree(compact.as_bytes()), "{line}");
        // ends that are none, and bytes that were lost
        for cut in (0..line.len()).step_by(37) {
            assert!(!both_agree(&line.as_bytes()[..cut]));
            both_agree(&[&line.as_bytes()[..cut], &line.as_bytes()[cut + 1..]].concat());
        }
    }
}

#[test]
fn what_is_not_plain_is_left_to_the_other_way() {
    for text in ["{}", r#"{"a":1}"#, r#"{"a" :"b"}"#, r#"{"a":"b"} "#, r#"{"a":"\ud800"}"#, r#"{"a":"b",}"#] {
        assert!(Event::parse_plain(text.as_bytes()).is_none(), "{text}");
    }
    for text in [r#"{"Unique-ID":["u","v"]}"#, r#"{"Unique-ID":[]}"#, r#"{"x":"\u00fc\"","Unique-ID":"\n"}"#]
    {
        assert!(both_agree(text.as_bytes()), "{text}");
    }
}

#[test]
fn what_is_no_object_is_no_event() {
    for text in ["", "[]", "\"x\"", "{", "{\"a\":}", "{\"Event-Name\":\"\\ud800\"}"] {
        assert!(Event::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_command_is_one_line() {
    let line = |command: Command| command.finish().map(|bytes| String::from_utf8(bytes).expect("text"));
    let bridge = Command::api("uuid_bridge").word(Uuid(1)).word(Uuid(2));
    assert_eq!(
        line(bridge).as_deref(),
        Ok("api uuid_bridge 00000000-0000-0000-0000-000000000001 00000000-0000-0000-0000-000000000002\n\n")
    );
    let from: &dyn Display = &"1001#";
    let dial = Command::background("originate", Uuid(3))
        .leg(&[("origination_uuid", &Uuid(4)), ("a", from), ("b", &"c|d")], "sofia/lab/1001@h")
        .word("&park()");
    assert_eq!(
        line(dial).as_deref(),
        Ok("bgapi originate {origination_uuid=00000000-0000-0000-0000-000000000004,a='1001#',b='c|d'}\
            sofia/lab/1001@h &park()\nJob-UUID: 00000000-0000-0000-0000-000000000003\n\n")
    );
}

#[test]
fn a_value_that_would_leave_its_place_is_refused() {
    let word = |word: &str| Command::api("uuid_kill").word(word).finish();
    assert_eq!(word("a\n\napi shutdown"), Err(Unfit::Control));
    assert_eq!(word("a\0"), Err(Unfit::Control));
    assert_eq!(
        (word("a b"), word(""), word("a\u{a0}b")),
        (Err(Unfit::Word), Err(Unfit::Word), Err(Unfit::Word))
    );
    assert_eq!(word(&"x".repeat(5000)), Err(Unfit::TooLong));
    assert_eq!(word("reload_mod_event_socket"), Err(Unfit::Reload));
    for value in ["a,b", "a}b", "{a}", "${x}", "it's", "a\\b", "a\"b", "", "a b", "ü", "a&b"] {
        let command = Command::api("originate").leg(&[("v", &value)], "sofia/x");
        assert!(matches!(command.finish(), Err(Unfit::Special)), "{value}");
    }
    for to in ["", "sofia/a,b", "sofia/a|error/b", "sofia/x y", "loopback/${x}"] {
        assert!(matches!(Command::api("originate").leg(&[], to).finish(), Err(Unfit::Special)), "{to}");
    }
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let id = Uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    assert_eq!(id.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(Uuid::read(&id.to_string()), Some(id));
    for text in [
        "01234567-89AB-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "",
        "0123456-789ab-cdef-0123-456789abcdef",
    ] {
        assert_eq!(Uuid::read(text), None, "{text}");
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    let one = (body, any::<bool>()).prop_map(|(body, length)| {
        let head = if length {
            format!("Content-Type: api/response\nContent-Length: {}\n\n", body.len())
        } else {
            "Content-Type: command/reply\nReply-Text: +OK\n\n".to_owned()
        };
        [head.into_bytes(), if length { body } else { Vec::new() }].concat()
    });
    proptest::collection::vec(one, 0..6).prop_map(|frames| [GREETING.to_vec(), frames.concat()].concat())
}

proptest! {
    #[test]
    fn a_split_changes_nothing(bytes in frames(), cuts in proptest::collection::vec(0_usize..400, 0..6)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(read(pieces), read([&bytes[..]]));
        prop_assert_eq!(read(bytes.chunks(1)), read([&bytes[..]]));
    }

    #[test]
    fn no_bytes_panic_and_a_split_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [GREETING, &bytes].concat();
        prop_assert_eq!(read(bytes.chunks(1)), read([&bytes[..]]));
        let _ = Event::parse(&bytes);
    }

    #[test]
    fn both_ways_of_reading_an_event_agree(
        members in proptest::collection::vec(
            ("Unique-ID|Event-Name|_body|variable_.{0,8}|.{0,12}", proptest::collection::vec(".{0,20}", 0..3)),
            1..12,
        ),
        at in 0_usize..600,
        byte in any::<u8>(),
    ) {
        let value = |texts: &Vec<String>| match &texts[..] {
            [one] => serde_json::Value::from(one.as_str()),
            many => serde_json::Value::from(many.to_vec()),
        };
        let written = members.iter().map(|(name, texts)| format!("{}:{}", serde_json::Value::from(name.as_str()), value(texts)));
        let mut json = format!("{{{}}}", written.collect::<Vec<_>>().join(",")).into_bytes();
        both_agree(&json);
        if let Some(place) = json.get_mut(at) {
            *place = byte;
            both_agree(&json);
        }
    }

    #[test]
    fn a_command_that_is_sent_is_one_command(word in ".{0,20}", value in ".{0,20}") {
        let command = Command::background("originate", Uuid(1)).leg(&[("v", &value)], "sofia/x").word(&word);
        if let Ok(bytes) = command.finish() {
            let text = String::from_utf8(bytes).expect("text");
            prop_assert_eq!(text.find("\n\n"), Some(text.len() - 2));
            prop_assert_eq!(text.lines().count(), 3);
        }
    }
}
