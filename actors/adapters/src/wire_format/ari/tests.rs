//! The stream's events as they were recorded, and as a caller would like to bend them.

use super::*;
use crate::asterisk::tests::transcript::{Block, blocks, named};

#[test]
fn every_recorded_event_is_read() {
    let mut kinds = std::collections::BTreeMap::new();
    for block in blocks(named("19-ari-subscribe-all-and-shutdown")) {
        if let Block::Stream(json) = block {
            let event = Event::parse(json.as_bytes()).expect("a real server sent it");
            *kinds.entry(event.kind.into_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(kinds.get("ChannelCreated"), Some(&3));
    assert_eq!(kinds.get("ChannelEnteredBridge"), Some(&2));
    assert_eq!(kinds.get("ChannelDestroyed"), Some(&3));
}

#[test]
fn text_of_a_caller_stays_text() {
    let json = br#"{"type":"ChannelCreated","channel":{"id":"x","state":"Ring","caller":{"number":"7\"}},{\"type\":\"ChannelDestroyed\r\n\\\u0000"}},"cause":null}"#;
    let event = Event::parse(json).expect("it is JSON");
    assert_eq!(event.kind, "ChannelCreated");
    assert_eq!(event.channel.expect("a channel").id, "x");
}

#[test]
fn what_has_no_escapes_is_borrowed() {
    let event = Event::parse(br#"{"type":"Dial","peer":{"id":"abc"}}"#).expect("it is JSON");
    assert!(matches!(event.kind, Cow::Borrowed("Dial")));
    assert!(matches!(event.peer.expect("a peer").id, Cow::Borrowed("abc")));
}

#[test]
fn garbage_is_an_error() {
    for garbage in [&b""[..], b"null", b"[1]", b"{\"type\":5}", b"{\"type\":\"x\"", b"\xff\xfe"] {
        assert!(Event::parse(garbage).is_err(), "{}", garbage.escape_ascii());
    }
}

#[test]
fn the_filter_asks_for_the_rivals_sign_too() {
    let body = String::from_utf8(filter()).expect("it is text");
    assert!(body.starts_with(r#"{"allowed":[{"type":"ApplicationReplaced"},"#), "{body}");
    assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
}
