//! The events of one call, recorded from 1.11.3: originated, joined, put on hold by hand, recorded, ended.

use ifbus_call::{By, Cause, Event, LegId};

use super::pretend::event_frame;
use super::rig::{Rig, dial};
use crate::freeswitch::machine::EVENTS;

const GOLDEN: &str = include_str!("../transcripts/golden-call.jsonl");
const FIRST: LegId = LegId(0xaaaa_aaaa_0000_4000_8000_0000_0000_0001);
const SECOND: LegId = LegId(0xbbbb_bbbb_0000_4000_8000_0000_0000_0002);

fn replayed(pieces: usize) -> Vec<Event> {
    let mut rig = Rig::ready();
    rig.server.idle = vec!["originate"];
    rig.give(dial(FIRST, "1001"));
    rig.give(dial(SECOND, "1002"));
    let bytes: Vec<u8> = GOLDEN.lines().flat_map(event_frame).collect();
    for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
        rig.feed(EVENTS, piece);
    }
    assert_eq!((rig.unknown, rig.down.len()), (0, 0));
    rig.advance(std::time::Duration::from_secs(2));
    rig.events
}

#[test]
fn a_recorded_call_is_told_in_our_words() {
    let told = replayed(1);
    let expected = [
        Event::Started(FIRST),
        Event::Ringing(FIRST),
        Event::Answered(FIRST),
        Event::Started(SECOND),
        Event::Ringing(SECOND),
        Event::Answered(SECOND),
        Event::Joined(FIRST, SECOND),
        Event::HeldByPhone(FIRST),
        Event::ResumedByPhone(FIRST),
        Event::Digit(FIRST, '5'),
    ];
    assert_eq!(told[..expected.len()], expected);
    let ends: Vec<_> = told[expected.len()..]
        .iter()
        .filter_map(|event| match event {
            Event::Ended { leg, cause, by, .. } => Some((*leg, *cause, *by)),
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [(SECOND, Cause::Answered, By::Server), (FIRST, Cause::Answered, By::Server)],
        "both were released by the server, on somebody's word who is not us"
    );
}

#[test]
fn any_split_of_the_recording_gives_the_same() {
    let whole = replayed(1);
    for pieces in [2, 3, 7, 100, 5000] {
        assert_eq!(whole, replayed(pieces), "{pieces} pieces");
    }
}
