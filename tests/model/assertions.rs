//! What must hold, whatever happens.

use ifbus_call::{Goal, Stage};

use crate::sut::Pair;

/// After every step.
pub fn hold(pair: &Pair) {
    assert!(pair.ends.len() <= 1, "ended twice: {:?}", pair.ends);
    assert_eq!(pair.effects_after_end, 0, "something was wanted after the end");
    assert_eq!(pair.server.doubled, 0, "a leg was made twice");
    assert_eq!(pair.server.joins_of_ringing, 0, "a leg that rings was joined");
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
        Goal::Blind { .. } | Goal::Complete { .. } | Goal::End => panic!("not at rest: {:?}", pair.call),
    }
    assert_eq!(pair.server.legs.len(), pair.call.legs().len(), "strays: {:?} {:?}", pair.server, pair.call);
}

/// After a hangup on a server that works.
pub fn hold_at_the_end(pair: &Pair) {
    hold(pair);
    assert_eq!(pair.ends.len(), 1, "not ended: {:?}", pair.call);
    nothing_is_left(pair);
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
