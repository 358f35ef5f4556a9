//! One order after the other, and what came of it.

use ifbus_call::order::{Direction, Done, Inbound};
use ifbus_call::{Evidence, Interface, Load, Order, Stage, Why};

use super::rig::{A, B, Rig, dial, dialog, error};
use crate::adapter::Input;
use crate::sip::{SipCommand, SipEvent};

#[test]
fn the_list_shows_who_talks_to_whom_and_nothing_that_is_over() {
    let mut rig = Rig::ready(&[]);
    rig.dialogs = vec![dialog("new@x", 1), dialog("rings@x", 2), dialog("up@x", 4), dialog("over@x", 5)];
    let seen = rig.listed();
    let shown: Vec<_> =
        seen.iter().map(|seen| (seen.native.as_str(), seen.stage, seen.age.as_secs())).collect();
    assert_eq!(shown, [("new@x", Stage::Dialing, 0), ("rings@x", Stage::Ringing, 0), ("up@x", Stage::Up, 9)]);
    assert!(seen.iter().all(|seen| seen.tag.is_none() && seen.party == "1001 to 1002"));
    assert_eq!(seen, rig.listed(), "a leg keeps its id");
}

#[test]
fn load_counts_dialogs() {
    let mut rig = Rig::ready(&[]);
    let load = Load { legs: Some(3), legs_max: None, legs_ever: Some(77) };
    assert_eq!(rig.outcome(Order::Load), Ok(Done::Loaded(load)));
    rig.instead.insert("stats.fetchn", error(500, "Method Not Found"));
    assert_eq!(rig.outcome(Order::Load), Ok(Done::Loaded(Load { legs_ever: None, ..load })));
}

#[test]
fn a_drain_turns_the_switch_and_says_what_is_missing() {
    let mut rig = Rig::ready(&[]);
    assert_eq!(rig.outcome(Order::Drain { on: true }), Ok(Done::Drained(Inbound::Closed)));
    assert_eq!(rig.last("htable.seti").to_string(), r#"["ifbus","drain",1]"#);
    assert_eq!(rig.outcome(Order::Drain { on: false }), Ok(Done::Drained(Inbound::Open { need: None })));
    assert_eq!(rig.last("htable.seti").to_string(), r#"["ifbus","drain",0]"#);
    rig.table = false;
    let Ok(Done::Drained(Inbound::Open { need: Some(need) })) = rig.outcome(Order::Drain { on: true }) else {
        panic!("something is needed");
    };
    assert!(need.contains("ifbus setup kamailio"), "{need}");
    assert_eq!(rig.outcome(Order::Drain { on: false }), Ok(Done::Drained(Inbound::Open { need: None })));
}

#[test]
fn probes_ask_each_side_on_its_own_way() {
    let mut rig = Rig::ready(&[]);
    let interfaces = |outcome| match outcome {
        Ok(Done::Probed(probed)) => {
            let answered = |probed: ifbus_call::order::Probed| (probed.interface, probed.answered.is_ok());
            probed.into_iter().map(answered).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(interfaces(rig.outcome(Order::Probe)), [(Interface::Management, true)]);
    assert_eq!(interfaces(rig.outcome(Order::ProbeSip)), [(Interface::Sip, true)]);
    rig.instead.insert("core.uptime", (401, "denied".into()));
    assert_eq!(interfaces(rig.outcome(Order::Probe)), [(Interface::Management, false)]);
    let mut rig = Rig::ready(&[("sip", "off")]);
    assert_eq!(interfaces(rig.outcome(Order::ProbeSip)), []);
}

#[test]
fn a_call_of_ours_goes_through_the_agent() {
    let mut rig = Rig::ready(&[]);
    let ticket = rig.give(dial(A, "1001"));
    let Some(SipCommand::Invite(invite)) = rig.sip.last() else { panic!("{:?}", rig.sip) };
    assert_eq!(
        (invite.target.as_str(), invite.caller.as_str()),
        ("sip:1001@127.0.0.1", "sip:1002@127.0.0.1")
    );
    assert_eq!(rig.persisted[0].leg, A, "it is written down first");
    rig.input(Input::Sip(SipEvent::Provisional { leg: A, code: 100, media: false }));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    assert_eq!(rig.listed()[0].leg, A);
    let call_id = rig.listed()[0].native.clone();
    rig.dialogs = vec![dialog(&call_id, 2)];
    assert_eq!(rig.listed().len(), 1, "the server's line of it is no other leg");
}

#[test]
fn what_needs_media_is_refused_with_what_is_needed() {
    let mut rig = Rig::ready(&[]);
    let conference = "sales".parse().expect("a name");
    for order in [
        Order::Mute { leg: A, direction: Direction::In, on: true },
        Order::Enter { leg: A, conference },
        Order::Leave { leg: A },
    ] {
        let refused = rig.outcome(order).expect_err("there is no media");
        assert_eq!((refused.why, refused.evidence), (Why::Prerequisite, Evidence::NothingSent));
        assert!(refused.said.expect("what").text.contains("media anchor"));
    }
}

#[test]
fn without_sip_no_call_is_made_and_an_unknown_leg_is_gone() {
    let mut rig = Rig::ready(&[("sip", "off")]);
    let refused = rig.outcome(dial(A, "1001")).expect_err("sip is off");
    assert_eq!(refused.why, Why::Prerequisite);
    assert_eq!(rig.outcome(Order::Drop { leg: B, cause: ifbus_call::Cause::Answered }), Ok(Done::Proven));
    assert!(rig.sip.is_empty());
}

#[test]
fn a_server_without_dialogs_lists_what_is_ours() {
    let mut rig = Rig::with(&[]);
    rig.instead
        .insert("system.listMethods", (200, serde_json::json!({"result": ["core.version", "core.uptime"]})));
    rig.start();
    assert_eq!(rig.warnings[0].code, "no_dialog");
    assert_eq!(rig.listed(), []);
    assert_eq!(rig.count("dlg.list"), 0);
}

#[test]
fn too_many_orders_are_refused_before_anything_is_sent() {
    let mut rig = Rig::ready(&[]);
    rig.mute = true;
    let tickets: Vec<u64> = (0..300).map(|_| rig.give(Order::Load)).collect();
    let refused: Vec<_> = tickets.iter().filter_map(|ticket| rig.answers.get(ticket)).collect();
    assert_eq!(refused.len(), 100);
    assert!(
        refused.iter().all(|outcome| outcome.as_ref().is_err_and(|refused| refused.why == Why::Overloaded))
    );
}
