//! Offers of phones, offers that meet, sessions and liveness (sheet sip-3pcc, sections 2 and 3).

use std::time::Duration;

use ifbus_call::order::ParkReason;
use ifbus_call::{Event, Order, Why};

use super::rig::{A, B, Rig, directed, phone};
use crate::sip::{Reply, Session, SipCommand, SipEvent};

/// What the phone was answered.
fn answered(rig: &mut Rig) -> (u16, Option<String>) {
    let at =
        rig.sent.iter().position(|command| matches!(command, SipCommand::Answer { .. })).expect("an answer");
    match rig.sent.remove(at) {
        SipCommand::Answer { code, sdp, .. } => (code, sdp),
        other => panic!("{other:?}"),
    }
}

fn offers(rig: &mut Rig, sdp: &str) {
    rig.hear(SipEvent::PeerOffer { leg: B, token: 1, sdp: Some(sdp.to_owned()), session: None });
}

#[test]
fn the_hold_button_is_answered_mirrored_and_passed_on() {
    let mut rig = Rig::joined();
    offers(&mut rig, &directed(&phone(5000), "sendonly"));
    let (code, answer) = answered(&mut rig);
    let answer = answer.unwrap();
    assert_eq!(code, 200);
    assert!(answer.contains("a=recvonly") && answer.contains("m=audio 4000"), "{answer}");
    let passed = rig.accept(A, &directed(&phone(4000), "recvonly"));
    assert!(passed.contains("a=sendonly") && passed.contains("m=audio 5000"), "{passed}");
    assert_eq!(rig.events, [Event::HeldByPhone(B)]);
    offers(&mut rig, &phone(5000));
    assert!(answered(&mut rig).1.unwrap().contains("a=sendrecv"));
    assert!(rig.accept(A, &phone(4000)).contains("a=sendrecv"));
    assert_eq!(rig.events[1], Event::ResumedByPhone(B));
}

#[test]
fn a_hold_by_the_old_zero_address_is_one_and_keeps_what_is_known_of_the_phone() {
    let mut rig = Rig::joined();
    offers(&mut rig, &phone(5000).replace("192.0.2.9\r\nt", "0.0.0.0\r\nt"));
    assert_eq!(rig.events, [Event::HeldByPhone(B)]);
    assert!(rig.store[&B].media.theirs.contains("c=IN IP4 192.0.2.9"));
}

#[test]
fn the_same_offer_again_is_a_refresh_and_moves_nobody() {
    let mut rig = Rig::joined();
    let version = rig.store[&B].media.version;
    offers(&mut rig, &phone(5000));
    assert_eq!(answered(&mut rig).0, 200);
    assert!(rig.sent.is_empty() && rig.events.is_empty(), "{:?} {:?}", rig.sent, rig.events);
    assert_eq!(rig.store[&B].media.version, version, "an unchanged description keeps its version");
}

#[test]
fn a_phone_that_wants_an_offer_gets_its_partners() {
    let mut rig = Rig::joined();
    rig.hear(SipEvent::PeerOffer { leg: B, token: 9, sdp: None, session: None });
    let (code, offer) = answered(&mut rig);
    assert_eq!(code, 200);
    assert!(offer.unwrap().contains("m=audio 4000"));
    rig.hear(SipEvent::PeerAnswer { leg: B, sdp: phone(5004) });
    assert!(rig.accept(A, &phone(4000)).contains("m=audio 5004"), "it is elsewhere now");
}

#[test]
fn an_offer_that_meets_ours_is_491_and_ours_is_made_again_later() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    offers(&mut rig, &phone(5000));
    assert_eq!(answered(&mut rig), (491, None));
    rig.accept(A, &directed(&phone(4000), "inactive"));
    rig.refuse(B, Reply::of(491));
    rig.pass(Duration::from_millis(2_000));
    assert!(rig.offered(B).is_none(), "not before 2.1 seconds: we own the Call-ID");
    rig.pass(Duration::from_millis(2_100));
    rig.accept(B, &directed(&phone(5000), "inactive"));
    assert!(rig.is_done(park));
}

#[test]
fn offers_that_meet_for_ever_end_the_order() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.accept(A, &directed(&phone(4000), "inactive"));
    for _ in 0..5 {
        if rig.outcome(park).is_none() {
            rig.refuse(B, Reply::of(491));
            rig.pass(Duration::from_secs(4));
        }
    }
    assert_eq!(rig.outcome(park).unwrap().as_ref().unwrap_err().why, Why::Refused);
    assert!(rig.accept(A, &phone(4000)).contains("m=audio 5000"), "A goes back to B");
}

#[test]
fn an_old_offer_that_fails_does_not_fail_a_new_order() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.refuse(A, Reply::silence());
    rig.accept(B, &directed(&phone(5000), "inactive"));
    assert!(rig.outcome(park).unwrap().is_err());
    // A is offered again what it had, because nobody knows what it took; that is silence, too
    let again = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.refuse(A, Reply::silence());
    assert!(rig.outcome(again).is_none(), "{:?}", rig.outcome(again));
    assert!(rig.accept(A, &directed(&phone(4000), "inactive")).contains("a=inactive"));
    assert!(rig.accept(B, &phone(5000)).contains("a=sendrecv"), "the old one first");
    assert!(rig.accept(B, &directed(&phone(5000), "inactive")).contains("a=inactive"));
    assert!(rig.is_done(again));
}

#[test]
fn a_description_that_is_none_is_refused_and_changes_nothing() {
    let mut rig = Rig::joined();
    for text in ["", "v=0", "hello", "v=0\r\no=x\r\nm=audio\r\n", &"v=0\r\n".repeat(3000)] {
        offers(&mut rig, text);
        assert_eq!(answered(&mut rig), (488, None), "{text:?}");
    }
    assert!(rig.events.is_empty() && rig.sent.is_empty());
}

#[test]
fn an_offer_outside_of_any_leg_is_unknown() {
    let mut rig = Rig::new();
    rig.take();
    offers(&mut rig, &phone(1));
    assert_eq!(answered(&mut rig), (481, None));
}

#[test]
fn a_session_timer_of_ours_is_refreshed_at_half_time_with_the_same_words() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.up_with(A, &phone(4000), Some(Session { every: 90, ours: true }));
    rig.take();
    let version = rig.store[&A].media.version;
    rig.pass(Duration::from_secs(46));
    let at =
        rig.sent.iter().position(|command| matches!(command, SipCommand::Reinvite { session: Some(90), .. }));
    assert!(at.is_some(), "{:?}", rig.sent);
    let offer = rig.accept(A, &phone(4000));
    assert!(offer.contains(&format!(" {version} IN IP4")), "{offer}");
    // too short for somebody on the way
    rig.pass(Duration::from_secs(46));
    rig.take_options();
    rig.refuse(A, Reply { session: Some(Session { every: 200, ours: true }), ..Reply::of(422) });
    assert!(
        rig.sent.iter().any(|command| matches!(command, SipCommand::Reinvite { session: Some(200), .. }))
    );
}

#[test]
fn a_session_that_the_phone_does_not_refresh_is_over() {
    let mut rig = Rig::joined();
    let session = Some(Session { every: 90, ours: false });
    rig.hear(SipEvent::PeerOffer { leg: B, token: 1, sdp: Some(phone(5000)), session });
    rig.pass(Duration::from_secs(40));
    rig.hear(SipEvent::PeerOffer { leg: B, token: 2, sdp: Some(phone(5000)), session });
    rig.pass(Duration::from_secs(40));
    assert!(!rig.sent.iter().any(|command| matches!(command, SipCommand::Bye { .. })), "it was refreshed");
    rig.pass(Duration::from_secs(40));
    assert!(rig.sent.iter().any(|command| matches!(command, SipCommand::Bye { leg: B, .. })));
}

impl Rig {
    /// Answers every question whether a phone lives.
    fn take_options(&mut self) {
        self.options_with(&Reply::of(200));
    }

    fn options_with(&mut self, reply: &Reply) {
        let sent = self.take();
        for command in sent {
            match command {
                SipCommand::Options { leg, number, .. } => {
                    self.hear(SipEvent::Replied { leg, number, reply: reply.clone() });
                }
                other => self.sent.push(other),
            }
        }
    }

    /// How often phones are asked, and answered so, until a BYE or this much time.
    fn asked_until_bye(&mut self, reply: &Reply, span: u64) -> bool {
        for _ in 0..span {
            self.pass(Duration::from_secs(1));
            self.options_with(reply);
            if self.sent.iter().any(|command| matches!(command, SipCommand::Bye { .. })) {
                return true;
            }
        }
        false
    }
}

#[test]
fn a_phone_that_is_said_to_be_gone_twice_is_gone() {
    for code in [481, 408, 404] {
        let mut rig = Rig::joined();
        assert!(rig.asked_until_bye(&Reply::of(code), 60), "{code}");
        let Some(SipCommand::Bye { leg, .. }) = rig.take().into_iter().next() else { panic!("no end") };
        rig.hear(SipEvent::Ended { leg, ended: crate::sip::Ended::ByUs, reason: None });
        assert!(rig.events.contains(&Event::Vanished(leg)), "{:?}", rig.events);
    }
}

#[test]
fn silence_is_borne_for_a_minute_because_a_proxy_may_start_anew() {
    let mut rig = Rig::joined();
    assert!(!rig.asked_until_bye(&Reply::silence(), 50));
    assert!(!rig.asked_until_bye(&Reply::of(200), 200), "it is back");
    assert!(rig.asked_until_bye(&Reply::silence(), 150), "it does not come back");
}

#[test]
fn any_word_of_a_phone_is_a_sign_of_life() {
    for code in [200, 405, 501, 500, 483] {
        let mut rig = Rig::joined();
        assert!(!rig.asked_until_bye(&Reply::of(code), 200), "{code}");
    }
}

#[test]
fn a_doubted_leg_is_asked_at_once() {
    let mut rig = Rig::joined();
    rig.agent.doubt(A, rig.now);
    rig.pass(Duration::ZERO);
    assert!(matches!(rig.take()[..], [SipCommand::Options { leg: Some(A), .. }]));
}
