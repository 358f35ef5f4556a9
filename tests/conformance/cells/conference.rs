//! Conferences: in, out, heard or not, and what becomes of them when ifbus is killed.

use ifbus_call::order::Direction;
use ifbus_call::{CallId, Role, Verb};
use ifbus_fleet::view::Status;

use crate::stage::Stage;

const ROOM: &str = "standup";

/// Called in one by one, and as a whole call.
pub fn create_and_add(stage: &Stage) {
    stage.create_conference(ROOM);
    let members = [stage.member(ROOM, "1003"), stage.member(ROOM, "1004")];
    stage.hear_each_other("1003", "1004");
    let pair = stage.talk("1001", "1002");
    enter(stage, pair);
    for (listener, speaker) in [("1001", "1002"), ("1002", "1003"), ("1003", "1001"), ("1004", "1002")] {
        stage.until("everybody hears everybody", |stage| stage.hears(listener, speaker));
    }
    stage.act(pair, Verb::Resume).expect("a pair goes out again");
    stage.comes(pair, "call.resumed");
    stage.hear_each_other("1001", "1002");
    stage.until("the pair is among itself", |stage| {
        !stage.hears("1001", "1003") && !stage.hears("1003", "1001")
    });
    stage.hear_each_other("1003", "1004");
    stage.end_conference(ROOM);
    for id in members {
        assert_eq!(stage.over(id).status, Status::Completed);
    }
    stage.hang_up(pair);
}

/// Listed, silenced, thrown out, ended.
pub fn control(stage: &Stage) {
    stage.create_conference(ROOM);
    let first = stage.member(ROOM, "1001");
    let second = stage.member(ROOM, "1002");
    let third = stage.member(ROOM, "1003");
    stage.until("three hear each other", |stage| {
        stage.hears("1003", "1001") && stage.hears("1003", "1002") && stage.hears("1001", "1003")
    });
    let listed = stage.conference(ROOM);
    let inside: Vec<CallId> = listed.members.iter().filter(|member| member.inside).map(|m| m.call).collect();
    assert_eq!(inside, [first, second, third], "{listed:?}");
    let mute = |on| Verb::Mute { role: Some(Role::A), direction: Direction::In, on };
    stage.act(first, mute(true)).expect("mute is taken");
    stage.until("nobody hears the first", |stage| {
        !stage.hears("1002", "1001") && !stage.hears("1003", "1001") && stage.hears("1001", "1002")
    });
    stage.until("it is shown", |stage| stage.conference(ROOM).members[0].muted);
    stage.act(first, mute(false)).expect("unmute is taken");
    stage.until("the first is heard again", |stage| stage.hears("1003", "1001"));
    stage.act(second, Verb::Kick { role: None }).expect("kick is taken");
    stage.over(second);
    stage.is_free("1002");
    stage.hear_each_other("1001", "1003");
    stage.phones.hang_up("1003");
    assert_eq!(stage.over(third).status, Status::Completed, "a member may leave by itself");
    stage.end_conference(ROOM);
    stage.over(first);
    stage.is_free("1001");
    assert!(stage.conferences().is_empty());
}

/// A phone that does not answer, or is busy, is no member; the others notice nothing.
pub fn a_party_that_does_not_come(stage: &Stage) {
    stage.create_conference(ROOM);
    let first = stage.member(ROOM, "1001");
    stage.plan("1002", ifbus_doubles::phone::Plan::busy());
    let busy = stage.invite(ROOM, "1002").expect("the invitation is taken");
    assert_eq!(stage.over(busy).status, Status::Busy);
    assert_eq!(stage.conference(ROOM).members.len(), 1);
    stage.end_conference(ROOM);
    stage.over(first);
}

/// Members are members after a kill of ours, and the conference is the same room.
pub fn adopted(stage: &Stage) {
    stage.create_conference(ROOM);
    let first = stage.member(ROOM, "1001");
    let pair = stage.talk("1002", "1003");
    enter(stage, pair);
    stage.kill_and_restart();
    stage.until("the room and its members are known again", |stage| {
        stage.conference(ROOM).members.iter().filter(|member| member.inside).count() == 3
    });
    stage.until("they still hear each other", |stage| {
        stage.hears("1001", "1002") && stage.hears("1003", "1001") && stage.hears("1002", "1003")
    });
    let late = stage.member(ROOM, "1004");
    stage.until("who comes later is in the same room", |stage| {
        stage.hears("1004", "1001") && stage.hears("1001", "1004")
    });
    stage.act(pair, Verb::Kick { role: Some(Role::A) }).expect("kick is taken");
    stage.is_free("1002");
    assert_eq!(stage.status(pair), Status::InProgress, "the other one stays");
    stage.end_conference(ROOM);
    for id in [first, pair, late] {
        stage.over(id);
    }
    for number in ["1001", "1003", "1004"] {
        stage.is_free(number);
    }
}

fn enter(stage: &Stage, pair: CallId) {
    stage.enter(ROOM, pair).expect("a call that talks goes in");
    stage.comes(pair, "conference.joined");
}
