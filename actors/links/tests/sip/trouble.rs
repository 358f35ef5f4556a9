//! Things that go wrong: a restart of ours, a phone that is gone, silence, offers that meet.

use std::time::Duration;

use ifbus_adapters::sip::{SipTransport, Standing};
use ifbus_call::order::Evidence;
use ifbus_call::{Cause, Event, Order, Stage, Why};
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Plan};
use tokio::net::UdpSocket;

use super::rig::{A, B, Lab, Rig, address, both, run};

#[test]
fn a_joined_call_goes_on_under_the_next_process() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let store = rig.kill().await;
        lab.hears("1001", &["1002"]).await;
        let rig = Rig::start(lab.options(), store).await;
        let seen = rig.out.borrow().seen.clone();
        assert!(seen.iter().all(|seen| seen.stage == Stage::Up && seen.partners.len() == 1), "{seen:?}");
        rig.park(B, A).await;
        lab.hears("1001", &[]).await;
        lab.hears("1002", &[]).await;
        rig.done(Order::Join { a: A, b: B }).await;
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_both().await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
    });
}

#[test]
fn a_bye_that_comes_while_nobody_is_there_is_answered_by_the_next_process() {
    both(|lab| async move {
        let rig = lab.joined().await;
        let store = rig.kill().await;
        lab.phones.hang_up("1002");
        let rig = Rig::start(lab.options(), store).await;
        rig.ended(B).await;
        rig.done(Order::Drop { leg: A, cause: Cause::Answered }).await;
        lab.lives("1001", 0).await;
        lab.lives("1002", 0).await;
    });
}

#[test]
fn a_phone_that_rings_when_we_die_is_let_go_by_the_next_process() {
    both(|lab| async move {
        lab.phones.plan("1001", Plan::rings());
        let rig = lab.agent().await;
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Ringing(A)).await;
        let store = rig.kill().await;
        let rig = Rig::start(lab.options(), store).await;
        rig.ended(A).await;
        assert!(rig.out.borrow().store.is_empty());
        // it is free again: nothing rings there any more
        lab.phones.plan("1001", Plan::default());
        rig.out.borrow_mut().events.clear();
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Answered(A)).await;
        lab.lives("1001", 1).await;
    });
}

#[test]
fn an_answer_that_comes_while_nobody_is_there_is_acknowledged_and_ended() {
    both(|lab| async move {
        lab.phones.plan("1001", Plan::answers(Duration::from_millis(400)));
        let rig = lab.agent().await;
        rig.done(lab.dial(A, "1001", None)).await;
        rig.event(Event::Ringing(A)).await;
        let store = rig.kill().await;
        lab.lives("1001", 1).await;
        let rig = Rig::start(lab.options(), store).await;
        lab.lives("1001", 0).await;
        rig.until("nothing to remember", |seen| seen.store.is_empty()).await;
    });
}

#[test]
fn both_phones_pressing_hold_at_once_end_in_agreement() {
    both(|lab| async move {
        let rig = lab.joined().await;
        lab.phones.hold("1001");
        lab.phones.hold("1002");
        rig.event(Event::HeldByPhone(A)).await;
        rig.event(Event::HeldByPhone(B)).await;
        lab.phones.resume("1001");
        lab.phones.resume("1002");
        rig.event(Event::ResumedByPhone(A)).await;
        rig.event(Event::ResumedByPhone(B)).await;
        lab.hears("1001", &["1002"]).await;
        lab.hears("1002", &["1001"]).await;
        rig.drop_both().await;
    });
}

#[test]
fn a_server_that_says_nothing_leaves_the_dial_unproven() {
    run(async {
        let silent = UdpSocket::bind(address(5060)).await.unwrap();
        let phones = SipServer::start(&[address(5060)]).unwrap();
        let lab = Lab { phones, server: silent.local_addr().unwrap(), listen: address(5070) };
        let rig = lab.agent().await;
        let refused = rig.outcome(lab.dial(A, "1001", None)).await.unwrap_err();
        assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::Unknown));
        assert_eq!(rig.out.borrow().seen.len(), 1, "it may ring, so it is not forgotten");
    });
}

#[test]
fn a_server_that_takes_no_connection_was_sent_nothing() {
    run(async {
        let lab = Lab::direct();
        let mut options = lab.options();
        options.endpoint.transport = SipTransport::Tcp;
        let rig = Rig::start(options, Default::default()).await;
        let refused = rig.outcome(lab.dial(A, "1001", None)).await.unwrap_err();
        assert_eq!(refused.evidence, Evidence::NothingSent, "{refused}");
        assert!(rig.out.borrow().store.is_empty());
    });
}

#[test]
fn an_address_that_is_taken_is_told_and_tried_again() {
    run(async {
        let lab = Lab::direct();
        let taken = UdpSocket::bind(lab.listen).await.unwrap();
        let rig = Rig::begin(lab.options(), Default::default());
        rig.until("a failed endpoint", |seen| matches!(seen.standing, Some(Standing::Failed(_)))).await;
        drop(taken);
        let refused = rig.outcome(lab.dial(A, "1001", None)).await.unwrap_err();
        assert_eq!((refused.why, refused.evidence), (Why::NotReady, Evidence::NothingSent));
    });
}

#[test]
fn a_stopped_agent_leaves_its_calls_to_the_phones() {
    run(async {
        let lab = Lab::direct();
        let rig = lab.joined().await;
        rig.stop();
        rig.until("a closed endpoint", |seen| seen.standing == Some(Standing::Off)).await;
        lab.hears("1001", &["1002"]).await;
        assert_eq!(rig.out.borrow().store.len(), 2);
    });
}
