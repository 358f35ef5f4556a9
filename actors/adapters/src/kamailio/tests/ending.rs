//! Calls that are not ours, on their way out.

use ifbus_call::order::Done;
use ifbus_call::{Cause, LegId, Order, Outcome, Why};
use serde_json::json;

use crate::adapter::Input;
use crate::sip::{Ended, SipCommand, SipEvent};

use super::rig::{Rig, dialog, error};

fn with(state: u8) -> (Rig, LegId) {
    let mut rig = Rig::ready(&[]);
    rig.dialogs = vec![dialog("x@y", state)];
    let leg = rig.listed()[0].leg;
    (rig, leg)
}

fn drop_leg(rig: &mut Rig, leg: LegId) -> Outcome {
    rig.outcome(Order::Drop { leg, cause: Cause::Answered })
}

#[test]
fn one_that_talks_is_ended_by_its_names_and_looked_at_until_it_is_over() {
    let (mut rig, leg) = with(4);
    assert_eq!(drop_leg(&mut rig, leg), Ok(Done::Proven));
    assert_eq!(rig.last("dlg.terminate_dlg").to_string(), r#"["x@y","fromtag","totag"]"#);
    assert_eq!(rig.count("tm.cancel"), 0);
    assert_eq!(rig.count("dlg.dlg_list"), 2);
}

#[test]
fn the_phone_that_the_server_may_have_forgotten_is_told_once_more_by_us() {
    let (mut rig, leg) = with(4);
    rig.sip.clear();
    assert_eq!(drop_leg(&mut rig, leg), Ok(Done::Proven));
    let [SipCommand::Restore(named, wire), SipCommand::Bye { leg: told, .. }] = &rig.sip[..] else {
        panic!("{:?}", rig.sip);
    };
    assert_eq!((*named, *told), (leg, leg));
    assert_eq!((wire.local_tag.as_str(), wire.remote_tag.as_str()), ("fromtag", "totag"));
    assert_eq!((wire.target.as_str(), wire.local_cseq), ("sip:1002@127.0.0.3", 103));
    assert!(wire.route[0].ends_with(";lr>"), "through the server: {wire:?}");
    assert_eq!(rig.events, [], "nothing of it is told");
    let ended = SipEvent::Ended { leg, ended: Ended::ByUs, reason: None };
    rig.input(Input::Sip(ended));
    assert_eq!(rig.sip.last(), Some(&SipCommand::Forget(leg)), "and nothing of it is kept");
}

#[test]
fn one_that_rings_is_canceled_because_ending_it_would_do_nothing() {
    let (mut rig, leg) = with(2);
    assert_eq!(drop_leg(&mut rig, leg), Ok(Done::Proven));
    assert_eq!(rig.last("tm.cancel").to_string(), r#"["x@y","102"]"#, "the number is a text");
    assert_eq!(rig.count("dlg.terminate_dlg"), 0);
}

#[test]
fn one_that_answers_meanwhile_is_ended_in_the_other_way() {
    let (mut rig, leg) = with(2);
    rig.obeys = false;
    let ticket = rig.give(Order::Drop { leg, cause: Cause::Answered });
    rig.dialogs[0] = dialog("x@y", 4);
    rig.obeys = true;
    rig.tick();
    rig.tick();
    assert_eq!(rig.answers.get(&ticket), Some(&Ok(Done::Proven)));
    assert_eq!((rig.count("tm.cancel"), rig.count("dlg.terminate_dlg")), (1, 1));
}

#[test]
fn sent_is_not_gone() {
    let (mut rig, leg) = with(4);
    rig.obeys = false;
    let refused = drop_leg(&mut rig, leg).expect_err("it is there still");
    assert_eq!(refused.why, Why::Unproven);
    assert_eq!(rig.count("dlg.terminate_dlg"), 1);
}

#[test]
fn one_that_went_by_itself_is_a_success() {
    let (mut rig, leg) = with(4);
    rig.dialogs.clear();
    assert_eq!(drop_leg(&mut rig, leg), Ok(Done::Proven));
    assert_eq!(rig.count("dlg.terminate_dlg"), 0);

    let (mut rig, leg) = with(4);
    rig.instead.insert("dlg.terminate_dlg", error(404, "Dialog not found"));
    let ticket = rig.give(Order::Drop { leg, cause: Cause::Answered });
    rig.dialogs.clear();
    rig.tick();
    assert_eq!(rig.answers.get(&ticket), Some(&Ok(Done::Proven)));
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let (mut rig, leg) = with(4);
    rig.instead.insert("dlg.terminate_dlg", error(500, "Internal"));
    let refused = drop_leg(&mut rig, leg).expect_err("refused");
    assert_eq!(refused.said.map(|said| said.text), Some("500 Internal".to_owned()));
    assert!(Rig::ready(&[]).listed().is_empty());
}

#[test]
fn an_event_brings_the_look_forward_and_proves_nothing() {
    let (mut rig, leg) = with(4);
    rig.obeys = false;
    let ticket = rig.give(Order::Drop { leg, cause: Cause::Answered });
    let looks = rig.count("dlg.dlg_list");
    rig.tell(r#"{"event":"ended","call_id":"another@y"}"#);
    assert_eq!(rig.count("dlg.dlg_list"), looks);
    rig.tell(r#"{"event":"ended","call_id":"x@y"}"#);
    assert_eq!(rig.count("dlg.dlg_list"), looks + 1);
    assert_eq!(rig.answers.get(&ticket), None, "the server lists it still");
    rig.dialogs[0]["state"] = json!(5);
    rig.tell(r#"{"event":"ended","call_id":"x@y"}"#);
    assert_eq!(rig.answers.get(&ticket), Some(&Ok(Done::Proven)));
}
