//! Links that do not come, break, hang, or lead to somebody else.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, Role};
use ifbus_call::{Epoch, Interface, Order, Why};

use super::rig::{A, B, Rig, dial};
use crate::adapter::{Adapter, DownReason, Input, LinkError, LinkId};
use crate::yate::machine::ENGINE;

#[test]
fn orders_before_ready_are_refused_unsent() {
    let mut rig = Rig::new();
    let ticket = rig.order(Order::Load);
    let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!((refused.why, refused.evidence), (Why::NotReady, Evidence::NothingSent));
}

#[test]
fn a_dropped_link_answers_every_open_order() {
    let mut rig = Rig::ready();
    rig.talk();
    rig.held = vec!["chan.masquerade", "call.execute", "engine.status"];
    let tickets = [
        rig.order(Order::Park { held: B, other: A, why: ifbus_call::order::ParkReason::Hold }),
        rig.order(Order::Leave { leg: A }),
        rig.order(dial(super::rig::C, Role::C, "1003")),
        rig.order(Order::List),
        rig.order(Order::Load),
    ];
    rig.close(LinkError::Reset);
    assert!(tickets.iter().all(|ticket| rig.answers.contains_key(ticket)), "{:?}", rig.answers);
    let evidence = |ticket: u64| rig.answers[&ticket].as_ref().expect_err("refused").evidence;
    assert_eq!(evidence(tickets[0]), Evidence::Unknown);
    assert_eq!(evidence(tickets[1]), Evidence::NothingSent, "it waited for the first");
    assert_eq!(evidence(tickets[2]), Evidence::Unknown);
    assert_eq!(rig.down[0].reason, DownReason::Lost(LinkError::Reset));
    assert_eq!(rig.machine.deadline(), None, "no timer is left");
}

#[test]
fn nobody_who_listens_is_unreachable() {
    let mut rig = Rig::new();
    rig.machine.handle(Input::Start(Epoch(1)), rig.now);
    while rig.machine.poll().is_some() {}
    rig.machine.handle(Input::Closed(LinkId { epoch: Epoch(1), slot: ENGINE }, LinkError::Refused), rig.now);
    let Some(crate::adapter::Output::Down(down)) = rig.machine.poll() else { panic!("it is down") };
    assert_eq!(
        (down.interface, down.reason),
        (Interface::Management, DownReason::Unreachable(LinkError::Refused))
    );
}

#[test]
fn another_server_is_told_from_a_yate() {
    let mut rig = Rig::new();
    rig.machine.handle(Input::Start(Epoch(1)), rig.now);
    rig.epoch = Epoch(1);
    while rig.machine.poll().is_some() {}
    let link = rig.engine();
    rig.machine.handle(Input::Opened(link), rig.now);
    while rig.machine.poll().is_some() {}
    rig.says("Asterisk Call Manager/11.0.0\r");
    assert!(
        matches!(&rig.down[0].reason, DownReason::NotTheKind(why) if why.contains("Asterisk")),
        "{:?}",
        rig.down
    );
}

#[test]
fn one_who_closes_without_a_word_is_no_listener_of_ours() {
    let mut rig = Rig::new();
    rig.machine.handle(Input::Start(Epoch(1)), rig.now);
    rig.epoch = Epoch(1);
    while rig.machine.poll().is_some() {}
    let link = rig.engine();
    rig.machine.handle(Input::Opened(link), rig.now);
    while rig.machine.poll().is_some() {}
    rig.close(LinkError::Closed);
    assert!(matches!(&rig.down[0].reason, DownReason::NotTheKind(_)), "{:?}", rig.down);
}

#[test]
fn a_silent_engine_is_given_up() {
    let mut rig = Rig::new();
    rig.machine.handle(Input::Start(Epoch(1)), rig.now);
    rig.epoch = Epoch(1);
    while rig.machine.poll().is_some() {}
    rig.pass(Duration::from_secs(6));
    assert!(matches!(rig.down[0].reason, DownReason::Silent(_)), "{:?}", rig.down);
    let mut rig = Rig::ready();
    rig.held = vec!["engine.status"];
    let ticket = rig.order(Order::Probe);
    rig.pass(Duration::from_secs(3));
    let Some(Ok(Done::Probed(probed))) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert!(probed[0].answered.is_err());
    rig.pass(Duration::from_secs(8));
    assert!(matches!(rig.down[0].reason, DownReason::Silent(_)), "{:?}", rig.down);
}

#[test]
fn a_probe_is_a_question_once_around() {
    let mut rig = Rig::ready();
    let ticket = rig.order(Order::Probe);
    let Some(Ok(Done::Probed(probed))) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!((probed[0].interface, probed[0].answered.is_ok()), (Interface::Management, true));
    rig.pass(Duration::from_secs(60));
    assert!(rig.down.is_empty(), "nothing was asked: {:?}", rig.down);
}

#[test]
fn an_engine_that_says_goodbye_is_shutting_down() {
    let mut rig = Rig::ready();
    rig.says("%%<message::false:engine.stop::signal=15");
    rig.close(LinkError::Closed);
    assert_eq!(rig.down[0].reason, DownReason::ShuttingDown);
}

#[test]
fn nothing_of_an_older_life_is_believed() {
    let mut rig = Rig::ready();
    rig.talk();
    let old = rig.engine();
    rig.close(LinkError::Reset);
    rig.legs.clear();
    rig.start();
    let events = rig.events.len();
    let line = format!("%%<message::false:chan.startup::ifbus_leg={}-{A}:id=sip/1\n", super::rig::INSTANCE);
    rig.give(Input::Bytes(old, line.as_bytes()));
    rig.give(Input::Closed(old, LinkError::Reset));
    assert_eq!((rig.events.len(), rig.down.len()), (events, 1));
    rig.give(Input::Start(Epoch(1)));
    assert_eq!(rig.ready.len(), 2, "an epoch does not come again");
}

#[test]
fn stopping_is_polite() {
    let mut rig = Rig::ready();
    rig.give(Input::Stop);
    assert_eq!(rig.sent.last().map(String::as_str), Some("%%>quit"));
    assert_eq!((&rig.down[0].reason, &*rig.closed), (&DownReason::Stopped, &[ENGINE][..]));
}

#[test]
fn a_listener_with_a_role_of_its_own_is_taken() {
    let mut rig = Rig::ready();
    rig.says("Error in: %%>connect:global");
    assert_eq!(rig.unknown, 0);
    rig.says("Error in: something else");
    assert_eq!(rig.unknown, 1);
}

#[test]
fn too_many_orders_are_refused_and_drops_are_not() {
    let mut rig = Rig::ready();
    rig.held = vec!["engine.status"];
    for _ in 0..1000 {
        rig.order(Order::Load);
    }
    let ticket = rig.order(Order::Load);
    let Some(Err(refused)) = rig.answers.get(&ticket) else { panic!("it is refused") };
    assert_eq!(refused.why, Why::Overloaded);
    let ticket = rig.order(Order::Drop { leg: A, cause: ifbus_call::Cause::Answered });
    assert!(!rig.answers.contains_key(&ticket), "it is taken");
}
