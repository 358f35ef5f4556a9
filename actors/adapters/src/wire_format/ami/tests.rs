//! The parser against everything that was recorded, against its limits, and against chance.

use proptest::prelude::*;

use super::*;
use crate::asterisk::tests::transcript::{ALL, Block, blocks};

const GREETING: &[u8] = b"Asterisk Call Manager/11.0.0\r\n";

/// Every whole message a server sent in the recordings, with the file it is from.
fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let of = |(name, text): &(&'static str, &str)| {
        let name = *name;
        let server = move |block| match block {
            Block::Server(bytes) if bytes.ends_with(b"\r\n\r\n") => Some((name, bytes)),
            _ => None,
        };
        blocks(text).into_iter().filter_map(server).collect::<Vec<_>>()
    };
    ALL.iter().flat_map(of).collect()
}

/// What a decoder makes of some pieces: each message as its lines, and how it ended.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(frame) = decoder.next() {
            found.push(match frame {
                Ok(Frame::Banner(line)) => format!("banner {}", line.escape_ascii()),
                Ok(Frame::Message(message)) => shown(&message),
                Err(broken) => format!("broken {broken}"),
            });
        }
    }
    found
}

fn shown(message: &Message<'_>) -> String {
    let field = |field| message.get(field).map(|value| value.escape_ascii().to_string());
    let all = [
        Field::Event,
        Field::Response,
        Field::ActionId,
        Field::Channel,
        Field::ChannelState,
        Field::Uniqueid,
        Field::Linkedid,
        Field::DestUniqueid,
        Field::DialStatus,
        Field::Exten,
        Field::Cause,
        Field::TechCause,
        Field::BridgeUniqueid,
        Field::BridgeId,
        Field::Reason,
        Field::Message,
    ];
    format!("{:?} {} {:?}", message.kind(), message.is_ambiguous(), all.map(field))
}

#[test]
fn the_fast_and_the_tolerant_way_read_every_recorded_message_alike() {
    let recorded = recorded();
    assert!(recorded.len() > 500, "only {} messages", recorded.len());
    for (name, bytes) in recorded {
        let lines = &bytes[..bytes.len() - 2];
        let fast = Message::parse(lines).expect("within the limits");
        let tolerant = Message::parse_general(lines).expect("within the limits");
        assert_eq!(shown(&fast), shown(&tolerant), "{name}: {}", bytes.escape_ascii());
    }
}

#[test]
fn only_forged_messages_have_a_field_twice() {
    let twice = |(name, bytes): &(&'static str, Vec<u8>)| {
        let message = Message::parse(&bytes[..bytes.len() - 2]).expect("within the limits");
        message.is_ambiguous().then_some(*name)
    };
    let found: Vec<&str> = recorded().iter().filter_map(twice).collect();
    assert!(found.len() > 5, "the forged messages of transcript 17 are flagged");
    assert!(found.iter().all(|name| *name == "17-hostile-sip-values"), "{found:?}");
}

#[test]
fn a_bare_lf_belongs_to_the_value() {
    let found =
        decode([GREETING, b"Response: Error\r\nMessage: No Contacts found\n\r\n\r\nEvent: X\r\n\r\n"]);
    assert_eq!(found.len(), 3);
    assert!(found[1].contains(r"No Contacts found\\n"), "{}", found[1]);
}

#[test]
fn surplus_blank_lines_and_lines_without_a_colon_mean_nothing() {
    let bytes = b"\r\n\r\nEvent: TestEvent\r\nno colon here\r\nEmpty:\r\n\r\n\r\n\r\n\nEvent: Y\r\nUniqueid: 1\r\n\r\n";
    let found = decode([GREETING, bytes]);
    assert_eq!(found.len(), 3);
    assert!(found[2].contains("\"Y\""), "{}", found[2]);
}

#[test]
fn another_spelling_is_read_too() {
    let message = Message::parse(b"event:Hangup\r\nuniqueid:x\r\nCHANNEL: y\r\n").expect("within the limits");
    assert_eq!(message.kind(), Kind::Event);
    assert_eq!(message.get(Field::Uniqueid), Some(&b"x"[..]));
    assert_eq!(message.get(Field::Channel), Some(&b"y"[..]));
}

#[test]
fn the_servers_words_for_nothing_are_nothing() {
    let message = Message::parse(b"Event: X\r\nChannel: <unknown>\r\nExten: (null)\r\nReason: \r\n")
        .expect("within limits");
    for field in [Field::Channel, Field::Exten, Field::Reason] {
        assert_eq!(message.text(field), None, "{field:?}");
    }
}

#[test]
fn a_line_or_message_beyond_the_limit_breaks_the_connection_at_once_and_for_good() {
    let line = [&b"Event: "[..], &vec![b'x'; LINE_MAX + 1]].concat();
    let message =
        [&b"Event: X\r\n"[..], &b"Output: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(22_000)]
            .concat();
    assert!(message.len() > MESSAGE_MAX);
    for bytes in [line, message] {
        let found = decode([GREETING, &bytes, b"\r\n\r\nEvent: Y\r\n\r\n"]);
        assert_eq!(found.len(), 2);
        assert!(found[1].starts_with("broken"), "{}", found[1]);
    }
}

#[test]
fn a_line_at_the_limit_is_taken() {
    let line = [&b"Event: "[..], &vec![b'x'; LINE_MAX - 7], b"\r\n\r\n"].concat();
    let found = decode([GREETING, &line]);
    assert!(found[1].starts_with("Event"), "{}", &found[1][..40]);
}

#[test]
fn whoever_does_not_greet_as_a_manager_is_not_one() {
    for greeting in ["SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 400 Bad Request\r\n", "Asterisk Call Manager/\r\n"]
    {
        let found = decode([greeting.as_bytes()]);
        assert!(found.len() == 1 && found[0].starts_with("broken"), "{greeting}: {found:?}");
    }
}

#[test]
fn a_message_that_was_cut_is_never_delivered() {
    assert_eq!(decode([GREETING, b"Event: Hangup\r\nUniqueid: x\r\nCause: 16\r\n"]).len(), 1);
    assert_eq!(decode([GREETING, b"Event: Hangup\r\nUniqueid: x\r\n\r"]).len(), 1);
}

#[test]
fn no_control_character_reaches_the_wire() {
    for byte in (0..0x20).chain([0x7f]) {
        let value = format!("1001{}Action: Ping", char::from(byte));
        let built = Action::new("Hangup").with("Channel", value).finish();
        assert_eq!(built, Err(Unfit::Control { key: "Channel" }), "{byte:#x}");
    }
}

#[test]
fn a_line_that_the_server_would_refuse_is_not_sent() {
    let fits = "x".repeat(SENT_LINE_MAX - "Channel: ".len());
    assert!(Action::new("Hangup").with("Channel", &fits).finish().is_ok());
    let built = Action::new("Hangup").with("Channel", format!("{fits}x")).finish();
    assert_eq!(built, Err(Unfit::TooLong { key: "Channel", bytes: SENT_LINE_MAX + 1 }));
}

#[test]
fn an_action_is_read_back_as_it_was_meant() {
    let bytes = Action::new("Ping").with("ActionID", 7).finish().expect("it is fit");
    assert_eq!(bytes, b"Action: Ping\r\nActionID: 7\r\n\r\n");
}

fn session() -> Vec<u8> {
    let messages: Vec<Vec<u8>> = recorded().into_iter().map(|(_, bytes)| bytes).step_by(7).collect();
    [GREETING, &messages.concat()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_a_stream_gives_the_same_messages(cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        let bytes = session();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(decode(pieces), decode([&bytes[..]]));
    }

    #[test]
    fn broken_streams_split_anywhere_break_alike(
        text in "(Event: X|:|\r|\n|\r\n|a){0,60}",
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = [GREETING, text.as_bytes()].concat();
        let (head, tail) = bytes.split_at(cut.index(bytes.len()));
        prop_assert_eq!(decode([head, tail]), decode([&bytes[..]]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode([GREETING, &bytes]);
        decode([&bytes[..]]);
    }
}
