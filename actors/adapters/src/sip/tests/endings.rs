//! How legs end: causes, CANCEL and its races, BYE from either side (sheet sip-3pcc, sections 4 and 5).

use std::time::Duration;

use ifbus_call::order::Evidence;
use ifbus_call::{By, Cause, Event, Order, Why};

use super::rig::{A, B, Rig, phone};
use crate::sip::cause::{Past, of_reply};
use crate::sip::{Ended, Reply, SipCommand, SipEvent};

#[test]
fn every_row_of_the_table_of_causes() {
    let rang = Past { rang: true, ..Past::default() };
    let silent = Past::default();
    let texted = |code, text: &str| Reply { text: text.to_owned(), ..Reply::of(code) };
    let reasoned = |code, cause| Reply { reason: Some((cause, String::new())), ..Reply::of(code) };
    for (reply, past, cause) in [
        (Reply::of(486), rang, Cause::Busy),
        (Reply::of(600), silent, Cause::Busy),
        (Reply::of(603), rang, Cause::Rejected),
        (Reply::of(606), silent, Cause::Rejected),
        (Reply::of(403), silent, Cause::Rejected),
        (Reply::of(488), silent, Cause::Rejected),
        (Reply::of(480), rang, Cause::NoAnswer),
        (Reply::of(408), rang, Cause::NoAnswer),
        (Reply::of(408), silent, Cause::Unreachable),
        (Reply::of(404), silent, Cause::Unreachable),
        (Reply::of(410), silent, Cause::Unreachable),
        (Reply::of(484), silent, Cause::Unreachable),
        (Reply::of(604), silent, Cause::Unreachable),
        (Reply::of(502), silent, Cause::Unreachable),
        (Reply::of(302), silent, Cause::Unreachable),
        (Reply::of(503), silent, Cause::Congestion),
        (texted(500, "Service Unavailable"), silent, Cause::Congestion),
        (Reply::of(500), silent, Cause::ServerFailure),
        (Reply::of(504), silent, Cause::ServerFailure),
        (Reply::of(407), silent, Cause::ServerFailure),
        (Reply::of(401), silent, Cause::ServerFailure),
        (Reply::silence(), silent, Cause::ServerFailure),
        (Reply::silence(), rang, Cause::NoAnswer),
        (reasoned(480, 17), silent, Cause::Busy),
        (reasoned(480, 18), silent, Cause::NoAnswer),
        (reasoned(480, 19), silent, Cause::NoAnswer),
        (reasoned(480, 21), silent, Cause::Rejected),
        (reasoned(486, 34), silent, Cause::Congestion),
        (reasoned(486, 38), silent, Cause::Congestion),
        (reasoned(486, 42), silent, Cause::Congestion),
        (reasoned(486, 1), silent, Cause::Unreachable),
        (reasoned(486, 3), silent, Cause::Unreachable),
        (reasoned(486, 20), silent, Cause::Unreachable),
        (reasoned(486, 27), silent, Cause::Unreachable),
        (reasoned(486, 99), silent, Cause::Busy),
        (Reply::of(487), Past { dropped: true, ..rang }, Cause::Canceled),
        (Reply::of(487), Past { timed_out: true, ..rang }, Cause::NoAnswer),
    ] {
        assert_eq!(of_reply(&reply, past), cause, "{reply:?} {past:?}");
    }
}

#[test]
fn a_refusal_before_any_word_is_the_answer_of_the_order() {
    let mut rig = Rig::new();
    let ticket = rig.dial(A, None);
    rig.hear(SipEvent::Rejected { leg: A, reply: Reply::of(404) });
    let refused = rig.outcome(ticket).unwrap().clone().unwrap_err();
    assert_eq!((refused.cause, refused.evidence), (Cause::Unreachable, Evidence::NotDone));
    assert!(rig.events.is_empty() && rig.store.is_empty());
}

#[test]
fn a_request_that_never_left_is_certain() {
    let mut rig = Rig::new();
    let ticket = rig.dial(A, None);
    rig.hear(SipEvent::Rejected { leg: A, reply: Reply::unsent("connection refused".to_owned()) });
    assert_eq!(rig.outcome(ticket).unwrap().as_ref().unwrap_err().evidence, Evidence::NothingSent);
}

#[test]
fn a_refusal_after_the_server_took_it_is_an_end() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.hear(SipEvent::Provisional { leg: A, code: 100, media: false });
    rig.hear(SipEvent::Rejected { leg: A, reply: Reply::of(486) });
    assert!(matches!(
        rig.events[..],
        [Event::Started(A), Event::Ended { leg: A, cause: Cause::Busy, by: By::Party, .. }]
    ));
}

#[test]
fn silence_is_unproven_and_the_invitation_is_taken_back() {
    let mut rig = Rig::new();
    let ticket = rig.dial(A, None);
    rig.take();
    rig.pass(Duration::from_secs(5));
    let refused = rig.outcome(ticket).unwrap().clone().unwrap_err();
    assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::Unknown));
    assert!(matches!(rig.take()[..], [SipCommand::Cancel { leg: A }]));
    rig.pass(Duration::from_secs(60));
    assert!(matches!(rig.events[..], [Event::Ended { leg: A, .. }]), "{:?}", rig.events);
}

#[test]
fn a_phone_that_rings_too_long_is_no_answer() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.hear(SipEvent::Provisional { leg: A, code: 180, media: false });
    rig.take();
    rig.pass(Duration::from_secs(20));
    assert!(matches!(rig.take()[..], [SipCommand::Cancel { leg: A }]));
    rig.hear(SipEvent::Rejected { leg: A, reply: Reply::of(487) });
    assert!(matches!(rig.events.last(), Some(Event::Ended { cause: Cause::NoAnswer, by: By::Us, .. })));
}

#[test]
fn an_answer_that_crosses_our_cancel_is_ended_and_canceled() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.hear(SipEvent::Provisional { leg: A, code: 180, media: false });
    let drop = rig.order(Order::Drop { leg: A, cause: Cause::Canceled });
    rig.take();
    rig.hear(SipEvent::Up { leg: A, sdp: phone(4000), session: None });
    assert!(matches!(rig.take()[..], [SipCommand::Bye { leg: A, .. }]));
    assert!(!rig.events.contains(&Event::Answered(A)));
    rig.hear(SipEvent::Ended { leg: A, ended: Ended::ByUs, reason: None });
    assert!(rig.is_done(drop));
    assert!(matches!(rig.events.last(), Some(Event::Ended { cause: Cause::Canceled, by: By::Us, .. })));
}

#[test]
fn a_ringing_that_comes_after_the_answer_counts_for_nothing() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.up(A, 4000);
    let told = rig.events.len();
    rig.hear(SipEvent::Provisional { leg: A, code: 180, media: false });
    rig.hear(SipEvent::Up { leg: A, sdp: phone(4000), session: None });
    assert_eq!(rig.events.len(), told);
}

#[test]
fn early_media_and_ringing_are_told_once_each() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    for (code, media) in [(183, true), (183, true), (180, false), (180, false), (183, false)] {
        rig.hear(SipEvent::Provisional { leg: A, code, media });
    }
    assert_eq!(rig.events[..2], [Event::Started(A), Event::EarlyMedia(A)]);
    assert_eq!(rig.events.len(), 2, "it sounds, so it rings no more: {:?}", rig.events);
}

#[test]
fn who_hung_up_is_told_with_what_was_said() {
    let mut rig = Rig::joined();
    rig.hear(SipEvent::Ended { leg: B, ended: Ended::ByPeer, reason: Some((16, "bye".to_owned())) });
    let Some(Event::Ended { leg: B, cause: Cause::Answered, by: By::Party, said }) = rig.events.last() else {
        panic!("{:?}", rig.events)
    };
    assert_eq!((said.code, said.text.as_str()), (Some(16), "bye"));
    assert_eq!(rig.store[&A].partner, None);
    let gone = rig.order(Order::Drop { leg: B, cause: Cause::Answered });
    assert!(rig.is_done(gone), "gone already is a success");
}

#[test]
fn a_drop_does_not_wait_for_an_offer() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ifbus_call::order::ParkReason::Hold });
    rig.take();
    let drop = rig.order(Order::Drop { leg: A, cause: Cause::Answered });
    let sent = rig.take();
    let [SipCommand::Bye { leg: A, reason: Some((16, _)), .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(rig.outcome(park).unwrap().as_ref().unwrap_err().why, Why::NoSuchLeg);
    rig.hear(SipEvent::Ended { leg: A, ended: Ended::ByUs, reason: None });
    assert!(rig.is_done(drop));
}

#[test]
fn an_answer_that_describes_nothing_is_ended() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.hear(SipEvent::Up {
        leg: A,
        sdp: "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n".to_owned(),
        session: None,
    });
    assert!(matches!(rig.take().last(), Some(SipCommand::Bye { leg: A, .. })));
    assert_eq!(rig.warnings[0].code, "sip_answer");
}

#[test]
fn a_broken_endpoint_answers_every_open_order() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ifbus_call::order::ParkReason::Hold });
    let probe = rig.order(Order::ProbeSip);
    rig.hear(SipEvent::Closed(crate::adapter::LinkError::Closed));
    assert_eq!(rig.outcome(park).unwrap().as_ref().unwrap_err().why, Why::LinkLost);
    assert!(rig.outcome(probe).unwrap().is_err());
    let late = rig.order(Order::List);
    assert_eq!(rig.outcome(late).unwrap().as_ref().unwrap_err().why, Why::NotReady);
    assert_eq!(rig.agent.deadline(), None);
    rig.take();
    rig.agent.start(rig.now);
    rig.collect();
    assert!(rig.take().iter().filter(|command| matches!(command, SipCommand::Restore(..))).count() == 2);
}
