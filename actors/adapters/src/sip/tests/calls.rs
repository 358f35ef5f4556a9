//! Flow E and what is built on it: what is offered to whom, and in which order (sheet sip-3pcc, sections 1, 2, 5).

use std::time::Duration;

use ifbus_call::order::{Done, Evidence, ParkReason};
use ifbus_call::{Cause, Event, Order, Why};

use super::rig::{A, B, C, Rig, directed, phone};
use crate::sip::{Progress, Reply, SipCommand, SipEvent};

fn port(sdp: &str) -> &str {
    sdp.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()).unwrap()
}

#[test]
fn the_first_phone_is_offered_a_held_description_and_the_second_the_first_ones() {
    let mut rig = Rig::new();
    let first = rig.dial(A, None);
    let sent = rig.take();
    let Some(SipCommand::Invite(invite)) = sent.last() else { panic!("{sent:?}") };
    assert_eq!(
        (invite.target.as_str(), invite.caller.as_str()),
        ("sip:1003@example.org", "sip:1000@example.org")
    );
    assert!(invite.sdp.contains("a=inactive") && invite.sdp.contains("c=IN IP4 0.0.0.0"), "{}", invite.sdp);
    assert!(invite.sdp.contains(" IN IP4 192.0.2.2\r\n"), "o= is ours: {}", invite.sdp);
    assert!(rig.outcome(first).is_none(), "nothing was heard of it");
    rig.hear(SipEvent::Provisional { leg: A, code: 100, media: false });
    assert!(rig.is_done(first));
    rig.up_with(A, &directed(&phone(4000), "inactive"), None);
    rig.dial(B, Some(A));
    let sent = rig.take();
    let Some(SipCommand::Invite(invite)) = sent.last() else { panic!("{sent:?}") };
    assert!(invite.sdp.contains("m=audio 4000 ") && invite.sdp.contains("a=sendrecv"), "{}", invite.sdp);
    assert!(!invite.sdp.contains("o=phone"), "{}", invite.sdp);
    rig.up(B, 5000);
    let join = rig.order(Order::Join { a: A, b: B });
    let offer = rig.accept(A, &phone(4000));
    assert_eq!(port(&offer), "5000");
    assert!(rig.offered(B).is_none(), "B knows already where A is");
    assert!(rig.is_done(join));
    let told =
        [Event::Started(A), Event::Ringing(A), Event::Answered(A), Event::Started(B), Event::Ringing(B)];
    assert_eq!(rig.events[..5], told);
    assert_eq!(rig.events[5..], [Event::Answered(B), Event::Joined(A, B)]);
}

#[test]
fn an_address_that_promises_encryption_is_not_called_in_the_open() {
    let mut rig = Rig::new();
    rig.take();
    let ifbus_call::Order::Dial(mut dial) = super::rig::dial(A, None) else { panic!("a dial") };
    dial.tag.party = "sips:1003@example.org".parse().unwrap();
    let ticket = rig.order(Order::Dial(dial));
    let refused = rig.outcome(ticket).unwrap().clone().unwrap_err();
    assert_eq!((refused.why, refused.evidence), (Why::NoTemplate, Evidence::NothingSent));
    assert!(refused.said.is_some_and(|said| said.text.contains("udp")), "it says what is missing");
    assert!(rig.sent.is_empty() && rig.store.is_empty(), "{:?}", rig.sent);
}

#[test]
fn an_answer_that_leads_elsewhere_is_handed_to_the_partner() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.up_with(
        A,
        "v=0\r\no=p 1 1 IN IP4 192.0.2.9\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n",
        None,
    );
    rig.dial(B, Some(A));
    rig.up(B, 5000);
    let join = rig.order(Order::Join { a: A, b: B });
    rig.accept(A, &phone(4002));
    assert!(rig.outcome(join).is_none(), "B does not know where A is");
    let offer = rig.accept(B, &phone(5000));
    assert_eq!(port(&offer), "4002");
    assert!(rig.is_done(join));
}

#[test]
fn a_hold_is_one_offer_to_each_and_the_resumption_another() {
    let mut rig = Rig::joined();
    let park = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    for (leg, port) in [(A, 4000), (B, 5000)] {
        let offer = rig.accept(leg, &directed(&phone(port), "inactive"));
        assert!(offer.contains("a=inactive"), "{offer}");
    }
    assert!(rig.is_done(park));
    assert_eq!(rig.events, [Event::Parted(B), Event::Parted(A)]);
    let seen = rig.agent.seen();
    assert_eq!(seen.iter().map(|seen| seen.hears_music).collect::<Vec<_>>(), [false, true]);
    let join = rig.order(Order::Join { a: A, b: B });
    let to_a = rig.accept(A, &phone(4000));
    let to_b = rig.accept(B, &phone(5000));
    assert_eq!((port(&to_a), port(&to_b)), ("5000", "4000"), "of what is known, not of the held answer");
    assert!(rig.is_done(join));
    assert!(rig.agent.seen().iter().all(|seen| !seen.hears_music));
}

#[test]
fn a_join_releases_the_former_partner_when_it_is_done_and_not_before() {
    let mut rig = Rig::joined();
    rig.dial(C, Some(A));
    rig.up(C, 6000);
    rig.take();
    let join = rig.order(Order::Join { a: A, b: C });
    assert!(!rig.sent.iter().any(|command| matches!(command, SipCommand::Bye { .. })), "{:?}", rig.sent);
    rig.accept(A, &phone(4000));
    assert!(rig.is_done(join));
    assert!(matches!(rig.take()[..], [SipCommand::Bye { leg: B, .. }]));
}

#[test]
fn a_join_that_a_phone_refuses_leaves_the_first_two_as_they_were() {
    let mut rig = Rig::joined();
    rig.dial(C, Some(A));
    rig.up(C, 6000);
    let join = rig.order(Order::Join { a: A, b: C });
    rig.refuse(A, Reply::of(488));
    let refused = rig.outcome(join).unwrap().clone().unwrap_err();
    assert_eq!(
        (refused.why, refused.evidence, refused.cause),
        (Why::Refused, Evidence::NotDone, Cause::ServerFailure)
    );
    assert!(rig.offered(A).is_none() && rig.offered(B).is_none(), "what A was told still counts");
    assert_eq!(rig.store[&A].partner, Some(B));
}

#[test]
fn a_leg_that_ends_during_a_join_ends_the_order() {
    let mut rig = Rig::joined();
    rig.dial(C, Some(A));
    rig.up(C, 6000);
    let join = rig.order(Order::Join { a: A, b: C });
    rig.hear(SipEvent::Ended { leg: C, ended: crate::sip::Ended::ByPeer, reason: None });
    assert_eq!(rig.outcome(join).unwrap().as_ref().unwrap_err().why, Why::NoSuchLeg);
    rig.accept(A, &phone(4000));
    let back = rig.accept(A, &phone(4000));
    assert_eq!(port(&back), "5000", "A is offered again whom it had");
}

#[test]
fn digits_are_sent_one_by_one_with_a_pause() {
    let mut rig = Rig::joined();
    let ticket = rig.order(Order::Dtmf { leg: A, digits: "1#".parse().unwrap() });
    for (digit, last) in [('1', false), ('#', true)] {
        let sent = rig.take();
        let [SipCommand::Info { number, body, kind, .. }] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(
            (*kind, body.as_str()),
            ("application/dtmf-relay", &*format!("Signal={digit}\r\nDuration=160\r\n"))
        );
        rig.hear(SipEvent::Replied { leg: Some(A), number: *number, reply: Reply::of(200) });
        assert_eq!(rig.is_done(ticket), last);
        assert!(rig.sent.is_empty(), "not before the pause");
        rig.pass(Duration::from_millis(300));
    }
}

#[test]
fn a_phone_without_digits_says_so() {
    let mut rig = Rig::joined();
    let ticket = rig.order(Order::Dtmf { leg: A, digits: "12".parse().unwrap() });
    let Some(SipCommand::Info { number, .. }) = rig.take().pop() else { panic!("no digit") };
    rig.hear(SipEvent::Replied { leg: Some(A), number, reply: Reply::of(415) });
    let refused = rig.outcome(ticket).unwrap().clone().unwrap_err();
    assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
}

#[test]
fn nothing_is_said_on_the_wire_before_it_is_written_down() {
    let mut rig = Rig::new();
    rig.take();
    rig.writes = None;
    rig.dial(A, None);
    assert!(rig.sent.is_empty(), "{:?}", rig.sent);
    let number = rig.unwritten.remove(0);
    rig.agent.persisted(number, true, rig.now);
    rig.collect();
    assert!(matches!(rig.take()[..], [SipCommand::Invite(_)]));
}

#[test]
fn a_store_that_cannot_write_takes_no_new_call_and_lets_the_others_go_on() {
    let mut rig = Rig::joined();
    rig.writes = Some(false);
    let ticket = rig.dial(C, Some(A));
    let refused = rig.outcome(ticket).unwrap().clone().unwrap_err();
    assert_eq!(refused.evidence, Evidence::NothingSent);
    assert!(!rig.store.contains_key(&C));
    rig.take();
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert!(rig.offered(A).is_some(), "a call that lives goes on");
    assert_eq!(rig.warnings.iter().filter(|warning| warning.code == "sip_store").count(), 1);
}

#[test]
fn a_list_and_a_load_are_of_its_own_legs() {
    let mut rig = Rig::joined();
    let list = rig.order(Order::List);
    let Some(Ok(Done::Listed(seen))) = rig.outcome(list) else { panic!("no list") };
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].partners.as_slice(), seen[1].partners.as_slice()), (&[B][..], &[A][..]));
    assert_eq!(rig.agent.owner(&seen[0].native), Some(A));
    assert!(
        rig.agent.is_of_this_instance(&seen[0].native)
            && !rig.agent.is_of_this_instance("ib-0000000000000008-x")
    );
    let load = rig.order(Order::Load);
    assert!(matches!(rig.outcome(load), Some(Ok(Done::Loaded(load))) if load.legs == Some(2)));
}

#[test]
fn a_restored_call_goes_on_with_greater_numbers() {
    let before = Rig::joined();
    let dialogs: Vec<_> = before.store.values().cloned().collect();
    let mut rig = Rig::with(dialogs.clone());
    let sent = rig.take();
    let wires: Vec<_> = sent
        .iter()
        .filter_map(|command| match command {
            SipCommand::Restore(leg, wire) => Some((*leg, wire.local_cseq)),
            _ => None,
        })
        .collect();
    assert_eq!(wires, [(A, dialogs[0].wire.local_cseq + 10), (B, dialogs[1].wire.local_cseq + 10)]);
    assert!(matches!(sent.last(), Some(SipCommand::Bind)), "restored before it is bound: {sent:?}");
    assert!(rig.agent.seen().iter().all(|seen| seen.partners.len() == 1));
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.accept(A, &directed(&phone(4000), "inactive"));
    assert!(rig.store[&A].media.version > dialogs[0].media.version + 9);
}

#[test]
fn an_offer_that_was_under_way_at_our_death_is_made_again() {
    let mut before = Rig::joined();
    before.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let mut rig = Rig::with(before.store.values().cloned().collect());
    for leg in [A, B] {
        let offer = rig.accept(leg, &directed(&phone(4000), "inactive"));
        assert!(offer.contains("a=inactive"), "{offer}");
    }
}

#[test]
fn a_ringing_leg_of_an_earlier_life_is_taken_back() {
    let mut before = Rig::new();
    before.dial(A, None);
    before.hear(SipEvent::Provisional { leg: A, code: 180, media: false });
    assert_eq!(before.store[&A].progress, Progress::Ringing);
    let mut rig = Rig::with(before.store.values().cloned().collect());
    assert!(matches!(rig.take().last(), Some(SipCommand::Cancel { leg: A })));
    rig.hear(SipEvent::Rejected { leg: A, reply: Reply::of(487) });
    assert!(matches!(rig.events[..], [Event::Ended { leg: A, .. }]), "{:?}", rig.events);
    assert!(rig.store.is_empty());
}

#[test]
fn only_an_answered_dialog_leaps_when_it_is_taken_up_again() {
    let rig = Rig::joined();
    for (progress, leaps) in [
        (Progress::Dialing, false),
        (Progress::Ringing, false),
        (Progress::Up, true),
        (Progress::Ending, true),
    ] {
        let dialog = crate::sip::Dialog { progress, ..rig.store[&A].clone() };
        let restored = crate::sip::legs::Leg::restored(dialog.clone());
        // a CANCEL has the number of its INVITE (RFC 3261, 9.1); every other request a new one
        let leap = restored.dialog.wire.local_cseq - dialog.wire.local_cseq;
        assert_eq!(leap, if leaps { 10 } else { 0 }, "{progress:?}");
        assert_eq!(restored.dialog.media.version, dialog.media.version + 10, "{progress:?}");
        assert_eq!(restored.past.answered, progress == Progress::Up);
    }
}
