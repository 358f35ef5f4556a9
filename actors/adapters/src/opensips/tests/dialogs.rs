//! The list, and ends of calls that are not ours.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{Cause, Order, Stage, Why};
use serde_json::json;

use super::rig::{INSTANCE, Rig, dialog};

fn drop_of(rig: &Rig, call_id: &str) -> Order {
    Order::Drop { leg: rig.leg(call_id), cause: Cause::Answered }
}

/// Ready, with dialogs.
fn with(dialogs: Vec<serde_json::Value>, more: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(more);
    rig.server.dialogs = dialogs;
    rig.start();
    assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
    rig
}

fn many(count: usize) -> Vec<serde_json::Value> {
    (0..count).map(|n| dialog(&format!("1.{n}"), &format!("c{n}@h"), 4)).collect()
}

#[test]
fn dialogs_are_foreign_legs_and_those_that_are_over_are_none() {
    let states = [(1, Stage::Dialing), (2, Stage::Ringing), (3, Stage::Up), (4, Stage::Up)];
    let listed = |state: u8| dialog(&format!("1.{state}"), &format!("c{state}@h"), state);
    let rig = with((1..=5).map(listed).collect(), &[]);
    let seen = &rig.ready[0].seen;
    assert_eq!(seen.len(), 4);
    for (state, stage) in states {
        let one = seen.iter().find(|one| one.native == format!("c{state}@h")).expect("it is listed");
        assert_eq!((one.stage, one.tag.as_ref(), one.party.as_str()), (stage, None, "alice to bob"));
    }
}

#[test]
fn a_long_list_comes_page_by_page() {
    for (mi, pages) in [("http", 3), ("udp", 12)] {
        let rig = with(many(230), &[("mi", mi)]);
        assert_eq!((rig.ready[0].seen.len(), rig.count("dlg_list")), (230, pages), "{mi}");
    }
}

#[test]
fn a_page_that_fits_into_no_datagram_is_asked_for_in_smaller_ones() {
    let mut rig = Rig::new(&[("mi", "udp")]);
    rig.server.page_max = 5;
    rig.server.dialogs = many(12);
    rig.start();
    assert_eq!(rig.ready[0].seen.len(), 12);
}

#[test]
fn an_answered_call_of_others_is_told_to_end_and_looked_at() {
    let mut rig = with(vec![dialog("0a5.a7c1", "z@h", 4)], &[]);
    let drop = drop_of(&rig, "z@h");
    assert_eq!(rig.outcome(drop), Ok(Done::Proven));
    assert_eq!(rig.server.ended, ["0a5.a7c1"], "by the server's own name, which no caller chooses");
}

#[test]
fn ok_alone_proves_nothing() {
    let mut rig = with(vec![dialog("1.1", "z@h", 1)], &[]);
    rig.server.obeys = false;
    let drop = drop_of(&rig, "z@h");
    let refused = rig.outcome(drop).expect_err("it is still there");
    assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::Unknown));
    assert_eq!(rig.server.ended.len(), 1);
}

#[test]
fn a_call_that_is_answered_meanwhile_is_told_again() {
    let mut rig = with(vec![dialog("1.1", "z@h", 2)], &[]);
    rig.server.obeys = false;
    let drop = drop_of(&rig, "z@h");
    let ticket = rig.order(drop);
    rig.server.dialogs[0]["state"] = json!(4);
    rig.server.obeys = true;
    rig.pass(Duration::from_secs(2));
    assert_eq!((rig.answers.get(&ticket), rig.server.ended.len()), (Some(&Ok(Done::Proven)), 2));
}

#[test]
fn an_early_call_that_it_will_not_end_is_refused_at_the_third_time() {
    let mut rig = with(vec![dialog("1.1", "z@h", 2)], &[]);
    rig.server.refusals = [(400, "Operation failed"); 5].into();
    let drop = drop_of(&rig, "z@h");
    let refused = rig.outcome(drop).expect_err("it would not");
    assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
    assert_eq!(rig.server.ended.len(), 3);
}

#[test]
fn a_call_that_went_by_itself_has_ended() {
    let mut rig = with(vec![dialog("1.1", "z@h", 4)], &[]);
    let drop = drop_of(&rig, "z@h");
    rig.server.dialogs.clear();
    assert_eq!(rig.outcome(drop), Ok(Done::Proven));
    assert!(rig.server.ended.is_empty());
}

#[test]
fn an_event_is_a_reason_to_look_at_once() {
    let mut rig = with(vec![dialog("1.1", "z@h", 4)], &[("events", "127.0.0.1:8449")]);
    rig.server.obeys = false;
    let drop = drop_of(&rig, "z@h");
    let ticket = rig.order(drop);
    rig.server.dialogs[0]["state"] = json!(5);
    assert!(!rig.answers.contains_key(&ticket));
    rig.event(
        r#"{"jsonrpc":"2.0","method":"E_DLG_STATE_CHANGED","params":{"callid":"z@h","old_state":4,"new_state":5}}"#,
    );
    assert_eq!(rig.answers.get(&ticket), Some(&Ok(Done::Proven)));
}

#[test]
fn a_dialog_of_ours_that_nobody_knows_is_ended_and_not_shown() {
    let mine = format!("ib-{INSTANCE}-{:032x}", 5);
    let mut rig = Rig::new(&[("sip", "127.0.0.1:5060")]);
    rig.server.dialogs = vec![dialog("1.1", &mine, 4), dialog("1.2", "z@h", 4)];
    rig.start();
    assert_eq!((rig.ready[0].seen.len(), rig.warned("orphan")), (1, 1));
    assert_eq!(rig.server.ended, ["1.1"]);
}

#[test]
fn a_dialog_of_another_installation_is_foreign() {
    let theirs = format!("ib-{:016x}-{:032x}", 99, 5);
    let rig = with(vec![dialog("1.1", &theirs, 4)], &[]);
    assert_eq!(rig.ready[0].seen[0].native, theirs);
    assert!(rig.server.ended.is_empty());
}
