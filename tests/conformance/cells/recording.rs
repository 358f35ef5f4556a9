//! Recordings: who is heard in the file that we fetched, whatever happened to the legs meanwhile.

use ifbus_call::{CallId, Mode, RecordingId, Role, Verb};
use ifbus_doubles::phone::Tone;
use ifbus_fleet::view::RecordingStatus;

use crate::stage::Stage;

/// Started, stopped, fetched; both parties are in it.
pub fn start_and_stop(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let recording = stage.record(id);
    stage.comes(id, "recording.started");
    assert_eq!(stage.call(id).recording, Some(recording));
    a_while(stage, id);
    stage.stop_recording(recording);
    if !came_here(stage, recording) {
        return stage.hang_up(id);
    }
    let stored = stage.stored(recording);
    assert_eq!((stored.call, stored.segments), (id, 1), "{stored:?}");
    is_heard_in(stage, recording, &["1001", "1002"]);
    stage.hang_up(id);
}

/// The file that is here is the one whose digest is told, and it is whole.
pub fn fetch(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let recording = stage.record(id);
    stage.comes(id, "recording.started");
    a_while(stage, id);
    stage.hang_up(id);
    if !came_here(stage, recording) {
        return;
    }
    let stored = stage.stored(recording);
    let file = stage.recorded(recording);
    assert_eq!(stored.bytes, Some(file.len() as u64));
    assert_eq!(stored.sha256.as_deref(), Some(&*stage.sha256(recording)));
    assert!(stored.seconds > Some(0.2), "{stored:?}");
    assert_eq!(&file[..4], b"RIFF");
}

/// It goes on while one is on hold, and with the leg that stays when the other one leaves.
pub fn segments(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let recording = stage.record(id);
    stage.comes(id, "recording.started");
    a_while(stage, id);
    stage.act(id, Verb::Hold { role: None }).expect("hold is taken");
    stage.comes(id, "call.held");
    stage.act(id, Verb::Resume).expect("resume is taken");
    stage.comes(id, "call.resumed");
    stage.hear_each_other("1001", "1002");
    let to = "1003".parse().expect("an address");
    stage.act(id, Verb::Transfer { to, mode: Mode::Blind, role: Some(Role::A) }).expect("transfer is taken");
    stage.comes(id, "transfer.completed");
    stage.hear_each_other("1002", "1003");
    stage.is_free("1001");
    stage.until("the next part is being recorded", |stage| stage.recording(recording).segments == 2);
    a_while(stage, id);
    stage.stop_recording(recording);
    if !came_here(stage, recording) {
        return stage.hang_up(id);
    }
    let stored = stage.stored(recording);
    assert_eq!(stored.segments, 2, "{stored:?}");
    is_heard_in(stage, recording, &["1001", "1002", "1003"]);
    stage.hang_up(id);
}

/// It goes on while ifbus is dead and is fetched afterwards.
pub fn adopted(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let recording = stage.record(id);
    stage.comes(id, "recording.started");
    stage.kill_and_restart();
    assert_eq!(stage.call(id).recording, Some(recording), "known again");
    stage.hear_each_other("1001", "1002");
    a_while(stage, id);
    stage.stop_recording(recording);
    if !came_here(stage, recording) {
        return stage.hang_up(id);
    }
    let stored = stage.stored(recording);
    assert_eq!(stored.segments, 1, "one part: it was never begun anew");
    is_heard_in(stage, recording, &["1001", "1002"]);
    stage.hang_up(id);
}

/// Time passes in the call, enough to be heard in a recording: tones are played, one after the other.
fn a_while(stage: &Stage, id: CallId) {
    let sent = |stage: &Stage| stage.count(id, "call.dtmf_sent");
    let before = sent(stage);
    stage
        .act(id, Verb::Dtmf { digits: "14701".parse().expect("digits"), role: None })
        .expect("dtmf is taken");
    stage.until("the digits were played", |stage| sent(stage) > before);
}

/// Says whether the recording is here. Where nothing can be fetched, that is said.
fn came_here(stage: &Stage, recording: RecordingId) -> bool {
    let Some(word) = stage.site.keeps_recordings() else { return true };
    stage.until("the recording cannot be fetched", |stage| {
        stage.recording(recording).status == RecordingStatus::Failed
    });
    let why = stage.recording(recording).why.expect("a failure has a reason");
    assert!(why.contains("prerequisite") && why.contains(word), "{why}");
    false
}

fn is_heard_in(stage: &Stage, recording: RecordingId, numbers: &[&str]) {
    assert_eq!(stage.recording(recording).status, RecordingStatus::Stored);
    let heard = stage.tones(recording);
    for number in numbers {
        assert!(heard.contains(&Tone::of(number)), "{number} is not heard in {heard:?}");
    }
}
