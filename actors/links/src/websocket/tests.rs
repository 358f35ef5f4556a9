//! Messages in parts, under chance.

use actix_http::ws::Item;
use awc::ws::Frame;
use ifbus_adapters::adapter::LinkError;

use super::{Parts, Taken};
use crate::tests::fuzzed;

#[test]
fn parts_in_any_order_never_grow_beyond_the_limit_and_lose_nothing_of_a_whole_message() {
    const MAX: usize = 100;
    fuzzed(20_000, |chance| {
        let mut parts = Parts { whole: Vec::new(), max: MAX };
        // What a peer has said since the beginning of the message that is open.
        let mut said: Vec<u8> = Vec::new();
        for _ in 0..chance() % 20 {
            let bytes: Vec<u8> = (0..chance() % 60).map(|_| chance() as u8).collect();
            let piece = bytes.clone().into();
            let (frame, begins, ends) = match chance() % 7 {
                0 => (Frame::Text(piece), false, false),
                1 => (Frame::Continuation(Item::FirstText(piece)), true, false),
                2 => (Frame::Continuation(Item::FirstBinary(piece)), true, false),
                3 => (Frame::Continuation(Item::Continue(piece)), false, false),
                4 => (Frame::Continuation(Item::Last(piece)), false, true),
                5 => (Frame::Ping(piece), false, false),
                _ => (Frame::Pong(piece), false, false),
            };
            let in_parts = matches!(frame, Frame::Continuation(_));
            let is_ping = matches!(frame, Frame::Ping(_));
            if begins {
                said.clear();
            }
            if in_parts {
                said.extend_from_slice(&bytes);
            }
            match parts.take(frame) {
                Err(why) => {
                    assert_eq!(why, LinkError::Limit("bytes of a message"));
                    assert!(said.len() > MAX);
                    return;
                }
                Ok(Taken::Message(message)) if ends => assert_eq!(message, std::mem::take(&mut said)),
                Ok(Taken::Message(message)) => assert_eq!(message, bytes),
                Ok(Taken::Answer(_)) => assert!(is_ping),
                Ok(Taken::Nothing) => {}
            }
            assert!(parts.whole.len() <= MAX);
        }
    });
}
