//! Orders: what each becomes, and what no Flexisip can.

use std::time::Duration;

use ifbus_call::order::{Done, Inbound};
use ifbus_call::{Cause, Interface, Order, Why};

use super::rig::{A, ALL, Rig, dial};
use crate::adapter::Input;
use crate::sip::{SipCommand, SipEvent};

const CALL: &str = r#"{"conference_id":null,"devices":{"\"<urn:uuid:1>\"":null},"ended_at":null,"from":"alice@lab.test","id":"80183bf6","initiated_at":"2026-11-22T10:16:34Z","sip_call_id":"c3aa@x","to":"bob@lab.test"}"#;

#[test]
fn a_call_is_placed_through_the_proxy() {
    let mut rig = Rig::ready(&[("domain", "lab.test")]);
    let ticket = rig.give(dial(A, "1001"));
    let invite = rig.sip.iter().find_map(|command| match command {
        SipCommand::Invite(invite) => Some(invite),
        _ => None,
    });
    let invite = invite.expect("it was invited");
    assert_eq!(invite.target, "sip:1001@lab.test");
    assert!(invite.sdp.contains("m=audio"), "an offer at once: without one there is no relay and no push");
    rig.input(Input::Sip(SipEvent::Provisional { leg: A, code: 110, media: false }));
    assert!(rig.answers[&ticket].is_ok(), "a push to a phone is progress");
    assert_eq!(rig.listed()[0].party, "1001");
}

#[test]
fn a_call_of_others_cannot_be_ended_and_that_is_said() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.push(1, "POST", "/api/statistics/calls", CALL);
    let leg = rig.listed()[0].leg;
    let ticket = rig.give(Order::Drop { leg, cause: Cause::Canceled });
    let refused = rig.answers[&ticket].clone().unwrap_err();
    assert_eq!(refused.why, Why::Refused);
    assert!(refused.is_certain());
    assert!(refused.said.unwrap().text.contains("cannot end calls of others"));
}

#[test]
fn a_drain_says_what_the_server_goes_on_with() {
    let mut rig = Rig::ready(&[]);
    let (on, off) = (rig.give(Order::Drain { on: true }), rig.give(Order::Drain { on: false }));
    assert!(matches!(&rig.answers[&on], Ok(Done::Drained(Inbound::Open { need: Some(_) }))));
    assert!(matches!(&rig.answers[&off], Ok(Done::Drained(Inbound::Open { need: None }))));
}

#[test]
fn its_load_is_calls_of_ours_and_those_that_were_pushed() {
    let mut rig = Rig::ready(ALL);
    rig.connect(1);
    rig.push(1, "POST", "/api/statistics/calls", CALL);
    rig.give(dial(A, "1001"));
    let ticket = rig.give(Order::Load);
    let Ok(Done::Loaded(load)) = &rig.answers[&ticket] else { panic!() };
    assert_eq!((load.legs, load.legs_ever), (Some(2), Some(1)));
}

#[test]
fn a_probe_goes_where_orders_go() {
    let mut rig = Rig::ready(&[]);
    let ticket = rig.give(Order::Probe);
    let Ok(Done::Probed(probed)) = &rig.answers[&ticket] else { panic!() };
    assert!(probed[0].interface == Interface::Management && probed[0].answered.is_ok());
    rig.sip_answers = false;
    let ticket = rig.give(Order::Probe);
    let Ok(Done::Probed(probed)) = &rig.answers[&ticket] else { panic!() };
    assert!(probed[0].answered.is_err());
    let ticket = rig.give(Order::ProbeSip);
    let Ok(Done::Probed(probed)) = &rig.answers[&ticket] else { panic!() };
    assert!(probed[0].interface == Interface::Sip && probed[0].answered.is_err());
}

#[test]
fn what_needs_media_is_refused_with_the_reason() {
    let mut rig = Rig::ready(&[]);
    rig.talk();
    for order in [
        Order::Leave { leg: A },
        Order::Mute { leg: A, direction: ifbus_call::order::Direction::In, on: true },
    ] {
        let ticket = rig.give(order);
        assert_eq!(rig.answers[&ticket].as_ref().unwrap_err().why, Why::Prerequisite);
    }
}

#[test]
fn too_many_orders_are_refused_and_late_ones_are_answered() {
    let mut rig = Rig::ready(ALL);
    rig.api.clear();
    let ticket = rig.give(Order::Inspect);
    rig.advance(Duration::from_secs(13));
    assert!(rig.answers.contains_key(&ticket));
}
