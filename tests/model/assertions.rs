//! What must hold, whatever happens.

use ifbus_call::{Goal, Notice, Stage};

use crate::sut::Pair;

/// After every step.
pub fn hold(pair: &Pair) {
    assert!(pair.ends.len() <= 1, "ended twice: {:?}", pair.ends);
    assert_eq!(pair.effects_after_end, 0, "something was wanted after the end");
    assert_eq!(pair.server.doubled, 0, "a leg was made twice");
    assert_eq!(pair.server.joins_of_ringing, 0, "a leg that rings was joined");
    assert!(pair.server.torn == 0 || pair.unfair, "a leg was taken away from its partner");
    assert_eq!(pair.server.overwritten, 0, "a part of a recording was begun twice");
    for (party, rings) in &pair.server.rings {
        let allowed = if party == "1003" { pair.transfers } else { 1 };
        assert!(*rings <= allowed, "{party} was rung {rings} times, {allowed} allowed");
    }
}

/// When everything works and nothing is left to do: the call is over or its goal is reached, and no order is open.
pub fn hold_at_rest(pair: &Pair) {
    hold(pair);
    assert!(pair.open.is_empty(), "orders without end: {:?}", pair.open);
    if pair.call.is_finished() {
        nothing_is_left(pair);
        return;
    }
    let partner = |leg| pair.server.legs.get(&leg).and_then(|leg| leg.partner);
    match *pair.call.goal() {
        Goal::Talk { a, b } => assert_eq!(partner(a), Some(b), "should talk: {:?}", pair.call),
        Goal::Hold { held, other } => {
            assert!(pair.server.legs[&held].music, "should hear music: {:?}", pair.call);
            assert_eq!(partner(other), None);
        }
        Goal::Consult { asks, target, waits } => {
            assert_eq!(partner(asks), Some(target), "should ask: {:?}", pair.call);
            assert_eq!(pair.server.legs[&waits].stage, Stage::Up);
        }
        Goal::Moved { leg, guest } => {
            let away = pair.server.legs.get(&leg).and_then(|leg| leg.away);
            assert!(away.is_some() || pair.unfair, "should be elsewhere: {:?} {:?}", pair.server, pair.call);
            assert!(away == Some(guest) || pair.unfair, "should talk to {guest:?}: {:?}", pair.server);
        }
        Goal::Meet { .. } => {
            assert!(
                pair.server.legs.values().all(|leg| leg.conference.is_some()),
                "should meet: {:?}",
                pair.call
            );
        }
        Goal::Blind { .. } | Goal::Complete { .. } | Goal::End => panic!("not at rest: {:?}", pair.call),
    }
    assert_eq!(pair.server.legs.len(), pair.call.legs().len(), "strays: {:?} {:?}", pair.server, pair.call);
    recordings_are_as_wanted(pair);
}

/// A recording that goes on is carried by exactly one leg; one that is over by none.
fn recordings_are_as_wanted(pair: &Pair) {
    let carriers = pair.server.legs.values().filter(|leg| leg.recorder.is_some()).count();
    let wanted = usize::from(pair.call.recording().is_some());
    // Part of a recording that could not be stopped, or whose order came too late, ends with its leg.
    let excused = pair.unfair || pair.refused_a_recording;
    assert!(
        carriers == wanted || excused,
        "{carriers} carriers, {wanted} wanted: {:?} {:?}",
        pair.server,
        pair.call
    );
}

/// After a hangup on a server that works.
pub fn hold_at_the_end(pair: &Pair) {
    hold(pair);
    assert_eq!(pair.ends.len(), 1, "not ended: {:?}", pair.call);
    nothing_is_left(pair);
    let over = |notice: &&Notice| matches!(notice, Notice::RecordingStopped { .. });
    let over = pair.notices.iter().filter(over).count();
    assert_eq!(over, pair.recordings as usize, "every recording is over exactly once: {:?}", pair.notices);
}

fn nothing_is_left(pair: &Pair) {
    let unconfirmed = &pair.ends[0].unconfirmed;
    let left: Vec<_> = pair.server.legs.keys().filter(|leg| !unconfirmed.contains(leg)).collect();
    assert!(left.is_empty(), "left behind: {left:?} in {:?}", pair.server);
}

/// No party hung up, so two of them are still there.
pub fn the_parties_still_talk_or_are_held(pair: &Pair) {
    hold_at_rest(pair);
    assert!(!pair.call.is_finished(), "the call was lost: {:?}", pair.ends);
}

/// A talk that was found on the server goes on.
pub fn the_talk_was_not_cut(pair: &Pair) {
    assert!(!pair.call.is_finished(), "a talk was cut by adoption: {:?}", pair.ends);
}

/// Nobody hung up: whom a phone sent elsewhere is still there, and the call knows it.
pub fn the_moved_talk_goes_on(pair: &Pair) {
    hold_at_rest(pair);
    assert!(!pair.call.is_finished(), "the call was lost: {:?} {:?}", pair.ends, pair.notices);
    let away = pair.server.legs.values().any(|leg| leg.away.is_some());
    assert_eq!(away, pair.call.is_moved(), "{:?} {:?}", pair.server, pair.call);
    assert!(
        away || pair.server.moved == 0,
        "one that was sent away was cut: {:?} {:?}",
        pair.server,
        pair.call
    );
}
