//! A phone's own transfer key: the call goes on with the one who was sent elsewhere.

use ifbus_call::order::Direction;
use ifbus_call::{CallId, Cause, Role, Verb};
use ifbus_doubles::phone::Plan;
use ifbus_fleet::Code;
use ifbus_fleet::view::Status;

use crate::stage::Stage;

/// The guest is one that the server calls; ifbus is killed meanwhile.
pub fn blind(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let recording = stage.site.can("record").then(|| stage.record(id));
    if recording.is_some() {
        stage.comes(id, "recording.started");
    }
    stage.phones.transfer("1002", "1003");
    stage.comes(id, "call.moved_by_phone");
    stage.hear_each_other("1001", "1003");
    stage.is_free("1002");
    goes_on(stage, id, "1003");
    for verb in [Verb::Hold { role: None }, Verb::Resume] {
        assert_eq!(stage.act(id, verb).map_err(|problem| problem.code), Err(Code::WrongState));
    }
    if stage.site.can("mute") {
        let mute = |on| Verb::Mute { role: None, direction: Direction::In, on };
        stage.act(id, mute(true)).expect("mute is taken");
        stage.comes(id, "call.muted");
        stage.until("the guest hears nothing", |stage| !stage.hears("1003", "1001"));
        stage.act(id, mute(false)).expect("mute is taken");
        stage.hear_each_other("1001", "1003");
    }

    stage.kill_and_restart();
    goes_on(stage, id, "1003");
    assert_eq!(stage.call(id).recording, recording, "known again");
    stage.hear_each_other("1001", "1003");
    stage.hang_up(id);
    stage.is_free("1001");
    stage.is_free("1003");
    assert_eq!(stage.status(id), Status::Completed);

    // Whoever hangs up ends it, once.
    for last in ["1001", "1003"] {
        let id = stage.talk("1001", "1002");
        stage.phones.transfer("1001", "1003");
        stage.comes(id, "call.moved_by_phone");
        stage.hear_each_other("1002", "1003");
        stage.phones.hang_up(if last == "1001" { "1002" } else { last });
        ends_once(stage, id, Cause::Answered);
        stage.is_free("1002");
        stage.is_free("1003");
    }
}

/// Where the server has given up the transferring phone by then, everybody loses the call; where it has not, nothing has
/// changed.
pub fn blind_busy(stage: &Stage) {
    stage.plan("1003", Plan::busy());
    let id = stage.talk("1001", "1002");
    stage.phones.transfer("1002", "1003");
    if stage.site.keeps_the_transferrer() {
        stage.until("the phone hears that", |stage| stage.phones.transferred("1002") == Some(486));
        stage.hear_each_other("1001", "1002");
        assert_eq!(stage.call(id).legs.len(), 2, "{:?}", stage.call(id));
        assert!(!stage.came(id, "call.moved_by_phone"));
        stage.hang_up(id);
        stage.is_free("1001");
        return stage.is_free("1002");
    }
    stage.over(id);
    ends_once(stage, id, Cause::Busy);
    stage.is_free("1001");
}

/// The guest is one that the phone has called by itself.
pub fn attended(stage: &Stage) {
    for guest_leaves in [true, false] {
        let id = stage.talk("1001", "1002");
        stage.site.foreign_call("1002", "1003");
        stage.hear_each_other("1002", "1003");
        stage.phones.transfer_attended("1002");
        stage.comes(id, "call.moved_by_phone");
        stage.hear_each_other("1001", "1003");
        stage.is_free("1002");
        stage.until("it is known with whom", |stage| stage.call(id).moved_to.as_deref() == Some("1003"));
        goes_on(stage, id, "1003");
        stage.kill_and_restart();
        goes_on(stage, id, "1003");
        stage.hear_each_other("1001", "1003");
        if guest_leaves {
            stage.phones.hang_up("1003");
            ends_once(stage, id, Cause::Answered);
        } else {
            stage.hang_up(id);
        }
        stage.is_free("1001");
        stage.is_free("1003");
    }
}

/// Each of the two calls goes on with the leg it has left; the other call's leg is its guest.
pub fn between_two_calls(stage: &Stage) {
    let first = stage.talk("1001", "1002");
    let second = stage.talk("1002", "1003");
    stage.phones.transfer_attended("1002");
    stage.comes(first, "call.moved_by_phone");
    stage.comes(second, "call.moved_by_phone");
    stage.hear_each_other("1001", "1003");
    stage.is_free("1002");
    goes_on(stage, first, "1003");
    goes_on(stage, second, "1001");
    stage.kill_and_restart();
    goes_on(stage, first, "1003");
    goes_on(stage, second, "1001");
    stage.hear_each_other("1001", "1003");
    stage.phones.hang_up("1001");
    ends_once(stage, first, Cause::Answered);
    ends_once(stage, second, Cause::Answered);
    stage.is_free("1003");
}

fn goes_on(stage: &Stage, id: CallId, with: &str) {
    stage.until("the one who stays is left", |stage| stage.call(id).legs.len() == 1);
    let call = stage.call(id);
    assert_eq!((call.status, call.legs.len()), (Status::InProgress, 1), "{call:?}");
    assert!(matches!(call.legs[0].role, Role::A | Role::B), "{call:?}");
    assert_eq!(call.moved_to.as_deref(), Some(with), "{call:?}");
}

fn ends_once(stage: &Stage, id: CallId, cause: Cause) {
    let call = stage.over(id);
    assert_eq!(call.cause.as_ref().map(|end| end.class), Some(cause), "{call:?}");
    assert_eq!(stage.count(id, "call.ended"), 1);
}
