//! One body for every server: what a verb promises, proved at the phones.

use std::time::Duration;

use ifbus_call::order::{Direction, Verdict};
use ifbus_call::{Cause, Mode, Role, Verb};
use ifbus_doubles::phone::Plan;
use ifbus_fleet::Code;
use ifbus_fleet::view::{ServerState, Status};

use crate::stage::Stage;

mod conference;
mod drain;
mod moved;
mod recording;

/// A cell: its name and its body.
pub type Cell = (&'static str, fn(&Stage));

/// Cells of which some kinds promise something else (`Site::instead`).
const LIST: &str = "list: foreign calls are seen and left alone";
const HANGUP_FOREIGN: &str = "hangup of a foreign call by its id";

/// Every cell.
pub const CELLS: &[Cell] = &[
    ("connect", connect),
    ("health", health),
    ("events", events),
    ("load", load),
    (LIST, list),
    (HANGUP_FOREIGN, hangup_foreign),
    ("originate", originate),
    ("originate: each failure has its cause", originate_failures),
    ("originate: a silent phone is no-answer", originate_silent),
    ("cancel", cancel),
    ("hangup", hangup),
    ("hangup by a phone", hangup_by_a_phone),
    ("hold and resume", hold_and_resume),
    ("blind-transfer", blind_transfer),
    ("blind-transfer to a busy phone", blind_transfer_busy),
    ("blind-transfer by the second party", blind_transfer_by_b),
    ("attended-transfer: complete", attended_complete),
    ("attended-transfer: cancel", attended_cancel),
    ("attended-transfer: cancel while ringing", attended_cancel_ringing),
    ("attended-transfer: busy target", attended_busy),
    ("attended-transfer: target hangs up", attended_target_hangs_up),
    ("dtmf", dtmf),
    ("dtmf from a phone", dtmf_from_a_phone),
    ("mute and unmute", mute),
    ("conference: create and add", conference::create_and_add),
    ("conference: a party that does not come", conference::a_party_that_does_not_come),
    ("conference-control: list, kick, mute, end", conference::control),
    ("conference: adopted", conference::adopted),
    ("record: start and stop", recording::start_and_stop),
    ("record: segments", recording::segments),
    ("record: adopted", recording::adopted),
    ("fetch-recording", recording::fetch),
    ("moved by a phone: blind", moved::blind),
    ("moved by a phone: blind, to a busy phone", moved::blind_busy),
    ("moved by a phone: attended", moved::attended),
    ("moved by a phone: attended, between two calls", moved::between_two_calls),
    (drain::NAME, drain::drain_and_undrain),
    ("adopt", adopt),
    ("adopt: two hundred calls", adopt_many),
    ("forged hangup", forged_hangup),
    ("two verbs at once", two_verbs_at_once),
    ("address without a template", no_template),
];

fn transfer(mode: Mode, role: Option<Role>) -> Verb {
    Verb::Transfer { to: "1003".parse().expect("an address"), mode, role }
}

fn connect(stage: &Stage) {
    let server = stage.server();
    let release = server.version.as_deref().and_then(|version| version.split('.').next());
    assert!(release.is_some_and(|release| release.parse::<u32>().is_ok()), "{server:?}");
    assert_eq!(server.state, ServerState::Up);
}

fn health(stage: &Stage) {
    stage.until("management answered a probe", |stage| {
        stage.server().interfaces.iter().any(|view| view.interface == "management" && view.up)
    });
    let report = stage.inspect();
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(report.findings.len() >= 8, "{report:?}");
}

fn events(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.hang_up(id);
    let kinds: Vec<String> = stage
        .events()
        .iter()
        .filter(|e| e.fact.call == Some(id))
        .map(|event| event.fact.kind.clone())
        .collect();
    for kind in ["call.queued", "call.ringing", "call.leg_answered", "call.answered", "call.ended"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
    let numbers: Vec<u64> = stage
        .events()
        .iter()
        .filter(|e| e.fact.call == Some(id))
        .filter_map(|event| event.fact.call_seq)
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "numbers without gaps");
}

fn load(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    assert_eq!(stage.server().calls, 1);
    stage.kill_and_restart();
    stage.until("the server says that it carries two legs", |stage| stage.server().load.legs >= Some(2));
    stage.hang_up(id);
    stage.until("the counter is back", |stage| stage.server().calls == 0);
}

fn list(stage: &Stage) {
    foreign_call(stage);
    let listed = |stage: &Stage, phone: &str| stage.foreign_id(phone).is_some();
    let both = |stage: &Stage| listed(stage, "1005") && listed(stage, "1006");
    match stage.site.instead(LIST) {
        None => {
            stage.kill_and_restart();
            stage.until("the foreign legs are listed", both);
        }
        Some(words) => {
            stage.until("a call of others is listed as it begins", both);
            stage.kill_and_restart();
            assert!(!listed(stage, "1005"), "nobody tells of it again");
            let findings = stage.inspect().findings;
            assert!(findings.iter().any(|found| found.text.contains(words)), "it is said: {findings:?}");
        }
    }
    stage.hear_each_other("1005", "1006");
    stage.phones.hang_up("1005");
    stage.is_free("1006");
}

/// Two phones talk, and nobody of ours has ordered it.
fn foreign_call(stage: &Stage) {
    stage.site.foreign_call("1005", "1006");
    stage.until("they talk", |stage| stage.hears("1005", "1006") && stage.hears("1006", "1005"));
}

fn hangup_foreign(stage: &Stage) {
    foreign_call(stage);
    let id = stage.talk("1001", "1002");
    if stage.site.instead(LIST).is_none() {
        stage.kill_and_restart();
    }
    stage.until("the foreign leg is listed", |stage| stage.foreign_id("1005").is_some());
    let leg = stage.foreign_id("1005").expect("it is listed");
    let answer = stage.hang_up_foreign(leg);
    match stage.site.instead(HANGUP_FOREIGN) {
        None => answer.expect("a listed leg can be ended"),
        Some(words) => {
            let refused = answer.expect_err("it cannot be ended");
            assert_eq!(refused.code, Code::NotOurs, "{refused}");
            assert!(
                refused.detail.contains("nothing was sent") && refused.detail.contains(words),
                "{refused}"
            );
            stage.hear_each_other("1005", "1006");
            assert_eq!(stage.foreign_id("1005"), Some(leg), "it is listed as before");
            stage.phones.hang_up("1005");
        }
    }
    stage.is_free("1005");
    stage.is_free("1006");
    let listed = |stage: &Stage, phone: &str| stage.foreign_id(phone).is_some();
    stage.until("it is listed no more", |stage| !listed(stage, "1005") && !listed(stage, "1006"));
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn originate(stage: &Stage) {
    let before = (stage.phones.rings("1001"), stage.phones.rings("1002"));
    let id = stage.talk("1001", "1002");
    assert_eq!(stage.phones.caller_seen("1001").as_deref(), Some("1002"), "the first sees the second");
    assert_eq!(stage.phones.caller_seen("1002").as_deref(), Some("1001"), "the second sees the first");
    assert_eq!(
        (stage.phones.rings("1001"), stage.phones.rings("1002")),
        (before.0 + 1, before.1 + 1),
        "each rang once"
    );
    stage.hang_up(id);
    assert_eq!(stage.status(id), Status::Completed);
}

fn originate_failures(stage: &Stage) {
    let failures = [
        (Plan::busy(), Cause::Busy, Status::Busy),
        (Plan::declines(), Cause::Rejected, Status::Failed),
        (Plan::unavailable(), Cause::NoAnswer, Status::NoAnswer),
        (Plan::not_found(), Cause::Unreachable, Status::Failed),
        (Plan::congested(), Cause::Congestion, Status::Failed),
    ];
    for (plan, cause, status) in failures {
        stage.plan("1002", plan.clone());
        let id = stage.place("1001", "1002").expect("the call is taken");
        let call = stage.over(id);
        let ended = call.cause.clone().expect("an ended call has a cause");
        assert_eq!(
            (call.status, ended.class, ended.role),
            (status, cause, Some(Role::B)),
            "{plan:?}: {call:?}"
        );
        stage.is_free("1001");
    }
    let id = stage.place(stage.site.nobody().0, "1002").expect("the call is taken");
    let call = stage.over(id);
    assert_eq!(
        call.cause.as_ref().map(|end| end.class),
        Some(Cause::Unreachable),
        "not registered: {call:?}"
    );
}

fn originate_silent(stage: &Stage) {
    for plan in [Plan::silent(), Plan::rings()] {
        stage.plan("1002", plan);
        let id = stage.place_within("1001", "1002", Duration::from_secs(3)).expect("the call is taken");
        let call = stage.over(id);
        assert_eq!(call.status, Status::NoAnswer, "{call:?}");
        stage.is_free("1001");
    }
}

fn cancel(stage: &Stage) {
    stage.plan("1002", Plan::rings());
    let id = stage.place("1001", "1002").expect("the call is taken");
    let rings =
        |stage: &Stage| stage.call(id).legs.iter().any(|leg| leg.role == Role::B && leg.stage == "ringing");
    stage.until("the second phone rings", rings);
    stage.hang_up(id);
    assert_eq!(stage.status(id), Status::Canceled);
    stage.is_free("1001");
}

fn hangup(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.hang_up(id);
    stage.is_free("1001");
    stage.is_free("1002");
    assert_eq!(
        stage.act(id, Verb::Hangup).map_err(|problem| problem.code),
        Err(Code::WrongState),
        "over is over"
    );
}

fn hangup_by_a_phone(stage: &Stage) {
    for (number, role) in [("1001", Role::A), ("1002", Role::B)] {
        let id = stage.talk("1001", "1002");
        stage.phones.hang_up(number);
        let call = stage.over(id);
        let ended = call.cause.clone().expect("an ended call has a cause");
        assert_eq!(
            (call.status, ended.by, ended.role),
            (Status::Completed, ifbus_call::By::Party, Some(role)),
            "{call:?}"
        );
        stage.is_free("1001");
        stage.is_free("1002");
    }
}

fn hold_and_resume(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.act(id, Verb::Hold { role: None }).expect("hold is taken");
    stage.comes(id, "call.held");
    stage.hears_music("1002");
    stage.until("the other hears nothing of it", |stage| !stage.hears("1001", "1002"));
    stage.act(id, Verb::Resume).expect("resume is taken");
    stage.comes(id, "call.resumed");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
    stage.is_free("1001");
    stage.is_free("1002");
}

fn blind_transfer(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Blind, None)).expect("transfer is taken");
    stage.comes(id, "transfer.completed");
    stage.hear_each_other("1002", "1003");
    stage.is_free("1001");
    assert_eq!(stage.status(id), Status::InProgress);
    stage.hang_up(id);
    stage.is_free("1003");
}

fn blind_transfer_by_b(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Blind, Some(Role::B))).expect("transfer is taken");
    stage.comes(id, "transfer.completed");
    stage.hear_each_other("1001", "1003");
    stage.is_free("1002");
    stage.hang_up(id);
}

fn blind_transfer_busy(stage: &Stage) {
    stage.plan("1003", Plan::busy());
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Blind, None)).expect("transfer is taken");
    stage.comes(id, "transfer.failed");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn attended(stage: &Stage) -> ifbus_call::CallId {
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Attended, None)).expect("transfer is taken");
    stage.comes(id, "transfer.consulting");
    stage.hear_each_other("1001", "1003");
    stage.hears_music("1002");
    id
}

fn attended_complete(stage: &Stage) {
    let id = attended(stage);
    stage.act(id, Verb::CompleteTransfer).expect("complete is taken");
    stage.comes(id, "transfer.completed");
    stage.hear_each_other("1002", "1003");
    stage.is_free("1001");
    stage.hang_up(id);
    stage.is_free("1002");
}

fn attended_cancel(stage: &Stage) {
    let id = attended(stage);
    stage.act(id, Verb::CancelTransfer).expect("cancel is taken");
    stage.comes(id, "transfer.canceled");
    stage.hear_each_other("1001", "1002");
    stage.is_free("1003");
    stage.hang_up(id);
}

fn attended_cancel_ringing(stage: &Stage) {
    stage.plan("1003", Plan::rings());
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Attended, None)).expect("transfer is taken");
    stage.until("the target rings", |stage| stage.call(id).legs.iter().any(|leg| leg.stage == "ringing"));
    stage.act(id, Verb::CancelTransfer).expect("cancel is taken");
    stage.comes(id, "transfer.canceled");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn attended_busy(stage: &Stage) {
    stage.plan("1003", Plan::busy());
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Attended, None)).expect("transfer is taken");
    stage.comes(id, "transfer.failed");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn attended_target_hangs_up(stage: &Stage) {
    let id = attended(stage);
    stage.phones.hang_up("1003");
    stage.comes(id, "transfer.failed");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn dtmf(stage: &Stage) {
    let before = stage.phones.digits("1002");
    let id = stage.talk("1001", "1002");
    stage.act(id, Verb::Dtmf { digits: "159#".parse().expect("digits"), role: None }).expect("dtmf is taken");
    stage.comes(id, "call.dtmf_sent");
    stage.until("the phone received them", |stage| stage.phones.digits("1002") == format!("{before}159#"));
    stage.hang_up(id);
}

fn dtmf_from_a_phone(stage: &Stage) {
    // Two plain legs joined natively hide digits from every interface of Asterisk (sheet section 6); a held leg does not.
    let id = stage.talk("1001", "1002");
    stage.act(id, Verb::Hold { role: None }).expect("hold is taken");
    stage.comes(id, "call.held");
    stage.phones.press("1002", "7");
    stage.comes(id, "call.digit");
    stage.hang_up(id);
}

fn mute(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    let mute = |on| Verb::Mute { role: Some(Role::A), direction: Direction::In, on };
    stage.act(id, mute(true)).expect("mute is taken");
    stage.comes(id, "call.muted");
    stage.until("1002 does not hear 1001", |stage| !stage.hears("1002", "1001"));
    stage.until("only one direction", |stage| stage.hears("1001", "1002") && !stage.hears("1002", "1001"));
    stage.kill_and_restart();
    assert_eq!(stage.call(id).legs[0].muted, [Direction::In], "known again");
    stage.act(id, mute(false)).expect("unmute is taken");
    stage.comes(id, "call.unmuted");
    stage.hear_each_other("1001", "1002");
    stage.hang_up(id);
}

fn adopt(stage: &Stage) {
    let talking = stage.talk("1001", "1002");
    let held = stage.talk("1003", "1004");
    stage.act(held, Verb::Hold { role: None }).expect("hold is taken");
    stage.comes(held, "call.held");
    stage.plan("1006", Plan::rings());
    let ringing = stage.place("1005", "1006").expect("the call is taken");
    let b_rings = |stage: &Stage| {
        stage.call(ringing).legs.iter().any(|leg| leg.role == Role::B && leg.stage == "ringing")
    };
    stage.until("the second phone rings", b_rings);
    let rings = stage.phones.rings("1006");
    stage.kill_and_restart();
    stage.hear_each_other("1001", "1002");
    stage.hears_music("1004");
    assert_eq!(stage.status(talking), Status::InProgress);
    assert!(stage.call(held).held);
    if stage.site.keeps_ringing() {
        assert_eq!(stage.status(ringing), Status::Ringing);
    } else {
        // Nobody is left who could take its answer: it is taken back, and ended if it comes all the same.
        stage.over(ringing);
        stage.is_free("1006");
    }
    assert_eq!(stage.phones.rings("1006"), rings, "nobody rings twice");
    stage.act(held, Verb::Resume).expect("resume is taken");
    stage.hear_each_other("1003", "1004");
    let rings_on = stage.site.keeps_ringing().then_some(ringing);
    for id in [talking, held].into_iter().chain(rings_on) {
        stage.hang_up(id);
    }
    for number in ["1001", "1002", "1003", "1004", "1005"] {
        stage.is_free(number);
    }
}

fn adopt_many(stage: &Stage) {
    // nor does it carry the sound of four hundred phones beside everything else
    stage.phones.silence(true);
    // A small machine takes a hundred or so legs a second (sheet section 12): twenty at a time.
    let mut ids = Vec::new();
    for _ in 0..10 {
        let place =
            |_| stage.place_within("1001", "1002", Duration::from_secs(60)).expect("the call is taken");
        let batch: Vec<_> = (0..20).map(place).collect();
        for id in &batch {
            stage.until("talks", |stage| stage.status(*id) == Status::InProgress);
        }
        ids.extend(batch);
    }
    assert_eq!(stage.phones.live("1001"), 200);
    stage.kill_and_restart();
    for id in &ids {
        assert_eq!(stage.status(*id), Status::InProgress, "adopted under its id");
    }
    assert_eq!(stage.phones.live("1001"), 200, "none was cut");
    for id in &ids {
        stage.act(*id, Verb::Hangup).expect("a hangup is always taken");
    }
    for id in &ids {
        stage.over(*id);
    }
    stage.is_free("1001");
    stage.is_free("1002");
    stage.until("the counter is back", |stage| stage.server().calls == 0);
}

fn forged_hangup(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    // A server's list may be late.
    stage.until("the server lists both legs", |stage| stage.natives().len() == 2);
    let victims = stage.natives();
    for forgery in victims.iter().flat_map(|victim| stage.site.forgeries(victim)) {
        stage.site.hostile_call(&forgery);
    }
    // Something after it that needs the same streams: when it is done, the forged text was read.
    let after = stage.talk("1003", "1004");
    stage.hang_up(after);
    assert_eq!(stage.status(id), Status::InProgress);
    assert!(!stage.came(id, "call.ended"));
    stage.hear_each_other("1001", "1002");
    assert_eq!(stage.state(), ServerState::Up);
    stage.hang_up(id);
}

fn two_verbs_at_once(stage: &Stage) {
    let id = stage.talk("1001", "1002");
    stage.act(id, transfer(Mode::Attended, None)).expect("transfer is taken");
    let second = stage.act(id, Verb::Hold { role: None }).expect_err("one verb at a time");
    assert!(matches!(second.code, Code::VerbUnderWay | Code::WrongState), "{second}");
    stage.comes(id, "transfer.consulting");
    stage.hang_up(id);
    for number in ["1001", "1002", "1003"] {
        stage.is_free(number);
    }
}

fn no_template(stage: &Stage) {
    let beyond = stage.site.beyond();
    let rang = |stage: &Stage| ["1001", "1002", "1003"].map(|number| stage.phones.rings(number));
    let before = rang(stage);
    let id = stage.place(beyond, "1002").expect("the call is taken");
    let call = stage.over(id);
    let why = call.cause.as_ref().map(|end| end.server_said.text.as_str()).unwrap_or_default();
    assert_eq!(call.status, Status::Failed, "{call:?}");
    assert!(why.contains("address"), "it says why: {call:?}");
    assert_eq!(rang(stage), before, "nobody was called");
    // As the second party, when the first one is there already.
    let id = stage.place("1001", beyond).expect("the call is taken");
    assert_eq!(stage.over(id).status, Status::Failed);
    stage.is_free("1001");
    assert_eq!(rang(stage)[1..], before[1..], "nobody else was called");
    assert_eq!(stage.state(), ServerState::Up);
}
