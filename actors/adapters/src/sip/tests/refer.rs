//! A phone's own transfer: what is asked of the stack, what the calls above are told, and what a forger gets.

use std::time::Duration;

use ifbus_call::{Cause, Event, LegId};

use super::rig::{A, B, C, Rig, directed, phone};
use crate::sip::{Ended, Progress, Reply, SipCommand, SipEvent};

const ELSEWHERE: &str = "<sip:1009@example.org>";

impl Rig {
    /// The phone of a leg asks; what it is told at once.
    fn refer(&mut self, leg: LegId, to: &str) -> u16 {
        self.hear(SipEvent::Referred { leg, token: 7, to: to.to_owned() });
        let said = |command: &SipCommand| match command {
            SipCommand::Answer { token: 7, code, .. } => Some(*code),
            _ => None,
        };
        let at = self.sent.iter().position(|command| said(command).is_some()).expect("a REFER is answered");
        said(&self.sent.remove(at)).expect("it was found")
    }

    /// What a phone was told of its transfer: the request's name, the status, whether it is the last one.
    fn told(&mut self, leg: LegId) -> Option<(u64, u16, bool)> {
        let to = |command: &SipCommand| match command {
            SipCommand::Notify { leg: to, number, code, last, .. } if *to == leg => {
                Some((*number, *code, *last))
            }
            _ => None,
        };
        let at = self.sent.iter().position(|command| to(command).is_some())?;
        to(&self.sent.remove(at))
    }

    /// The guest that is being called.
    fn guest(&mut self) -> (LegId, crate::sip::SipInvite) {
        let at = self.sent.iter().position(|command| matches!(command, SipCommand::Invite(_)));
        match self.sent.remove(at.expect("somebody is called")) {
            SipCommand::Invite(invite) => (invite.leg, *invite),
            other => panic!("{other:?}"),
        }
    }

    fn is_hung_up(&self, leg: LegId) -> bool {
        self.sent.iter().any(|command| matches!(command, SipCommand::Bye { leg: to, .. } if *to == leg))
    }

    fn gone(&mut self, leg: LegId) {
        self.hear(SipEvent::Ended { leg, ended: Ended::ByPeer, reason: None });
    }

    /// B's phone has sent A elsewhere, and the guest has come.
    fn moved() -> (Self, LegId) {
        let mut rig = Self::joined();
        assert_eq!(rig.refer(B, ELSEWHERE), 202);
        let (guest, _) = rig.guest();
        rig.up(guest, 6000);
        rig.accept(A, &phone(4000));
        (rig, guest)
    }

    fn named(&self, leg: LegId) -> String {
        let wire = &self.store[&leg].wire;
        format!(
            "<sip:1003@example.org?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
            wire.call_id, wire.local_tag, wire.remote_tag
        )
    }
}

fn moved(leg: LegId, guest: Option<LegId>) -> Event {
    Event::MovedByPhone { leg, guest, to: Some("1009".to_owned()) }
}

#[test]
fn the_partner_gets_the_guest_before_the_phone_is_hung_up() {
    let mut rig = Rig::joined();
    assert_eq!(rig.refer(B, ELSEWHERE), 202);
    assert_eq!(rig.told(B).map(|(_, code, last)| (code, last)), Some((100, false)));
    let (guest, invite) = rig.guest();
    assert_eq!(invite.target, "sip:1009@example.org");
    assert!(invite.sdp.contains("m=audio 4000 ") && invite.sdp.contains("a=sendrecv"), "{}", invite.sdp);
    assert!(
        invite
            .headers
            .iter()
            .any(|(name, value)| *name == "Referred-By" && value == "<sip:1003@example.org>")
    );
    rig.up(guest, 6000);
    assert!(rig.told(B).is_none() && !rig.is_hung_up(B), "the partner does not talk to the guest yet");
    let offer = rig.accept(A, &phone(4000));
    assert!(offer.contains("m=audio 6000 "), "{offer}");
    assert_eq!(
        rig.events.iter().filter(|event| event.leg() == A).collect::<Vec<_>>(),
        [&moved(A, Some(guest))]
    );
    let (number, code, last) = rig.told(B).expect("the phone is told");
    assert_eq!((code, last), (200, true));
    assert!(!rig.is_hung_up(B), "it has not heard that");
    rig.hear(SipEvent::Replied { leg: Some(B), number, reply: Reply::of(200) });
    assert!(rig.is_hung_up(B));
    rig.gone(B);
    assert!(!rig.is_hung_up(A) && !rig.is_hung_up(guest));
}

#[test]
fn a_guest_is_no_leg_of_a_call_and_is_known_again_after_a_restart() {
    let (rig, guest) = Rig::moved();
    let mut rig = Rig::with(rig.store.values().filter(|dialog| dialog.leg != B).cloned().collect());
    let seen = rig.agent.seen();
    let of = |leg| seen.iter().find(|seen| seen.leg == leg).expect("it is listed");
    assert_eq!((of(A).moved.as_deref(), &of(A).partners[..]), (Some("1009"), &[guest][..]));
    assert_eq!((of(guest).tag.as_ref(), of(guest).moved.as_deref()), (None, None));
    assert!(!rig.is_hung_up(guest));
    rig.gone(A);
    assert!(rig.is_hung_up(guest), "it ends with its leg");
}

#[test]
fn a_guest_that_hangs_up_is_told_and_nobody_else_is_touched() {
    let (mut rig, guest) = Rig::moved();
    rig.gone(B);
    rig.events.clear();
    rig.gone(guest);
    assert!(matches!(rig.events[..], [Event::Ended { leg, .. }] if leg == guest), "{:?}", rig.events);
    assert!(!rig.is_hung_up(A), "its call decides that");
}

#[test]
fn a_guest_that_does_not_come_changes_nothing() {
    for code in [404, 486, 603] {
        let mut rig = Rig::joined();
        rig.refer(B, ELSEWHERE);
        rig.told(B);
        let (guest, _) = rig.guest();
        rig.hear(SipEvent::Rejected { leg: guest, reply: Reply::of(code) });
        assert_eq!(rig.told(B).map(|(_, code, last)| (code, last)), Some((code, true)));
        assert!(rig.offered(A).is_none() && rig.offered(B).is_none() && !rig.is_hung_up(B));
        assert!(!rig.events.iter().any(|event| matches!(event, Event::MovedByPhone { .. })));
        assert!(!rig.store.contains_key(&guest));
        assert_eq!(rig.refer(B, ELSEWHERE), 202, "it may be tried again");
        let id = |command: &SipCommand| matches!(command, SipCommand::Notify { id: Some(_), .. });
        assert!(rig.sent.iter().any(id), "and its words are told apart");
    }
}

#[test]
fn a_guest_that_only_rings_is_taken_back_and_the_phone_is_told() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    rig.told(B);
    let (guest, _) = rig.guest();
    rig.hear(SipEvent::Provisional { leg: guest, code: 180, media: false });
    rig.pass(Duration::from_secs(46));
    assert!(rig.sent.iter().any(|command| matches!(command, SipCommand::Cancel { leg } if *leg == guest)));
    rig.hear(SipEvent::Rejected { leg: guest, reply: Reply::of(487) });
    assert_eq!(rig.told(B).map(|(_, code, last)| (code, last)), Some((408, true)));
}

#[test]
fn a_partner_that_refuses_the_guest_keeps_the_phone() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    rig.told(B);
    let (guest, _) = rig.guest();
    rig.up(guest, 6000);
    rig.refuse(A, Reply::of(488));
    assert_eq!(rig.told(B).map(|(_, code, last)| (code, last)), Some((488, true)));
    assert!(rig.is_hung_up(guest) && !rig.is_hung_up(B));
    let kept = &rig.store[&A];
    assert_eq!((kept.partner, kept.moved.as_deref()), (Some(B), None));
}

#[test]
fn a_phone_that_hangs_up_at_once_leaves_its_partner_to_the_guest() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    let (guest, _) = rig.guest();
    rig.gone(B);
    let of_two: Vec<_> = rig.events.iter().filter(|event| [A, B].contains(&event.leg())).collect();
    assert!(
        matches!(of_two[..], [first, Event::Ended { leg: B, .. }] if *first == moved(A, None)),
        "{of_two:?}"
    );
    let seen = rig.agent.seen();
    assert_eq!(seen.iter().find(|seen| seen.leg == A).and_then(|seen| seen.moved.as_deref()), Some("1009"));
    rig.up(guest, 6000);
    rig.accept(A, &phone(4000));
    assert!(rig.events.contains(&moved(A, Some(guest))));
    assert!(
        rig.told(B).is_some_and(|(_, code, _)| code == 100) && rig.told(B).is_none(),
        "nobody is left to tell"
    );
}

#[test]
fn whoever_was_left_to_a_guest_that_does_not_come_ends_for_his_reason() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    let (guest, _) = rig.guest();
    rig.gone(B);
    rig.hear(SipEvent::Rejected { leg: guest, reply: Reply::of(486) });
    assert!(rig.is_hung_up(A));
    rig.hear(SipEvent::Ended { leg: A, ended: Ended::ByUs, reason: None });
    let end = rig.events.iter().find(|event| matches!(event, Event::Ended { leg: A, .. }));
    assert!(matches!(end, Some(Event::Ended { cause: Cause::Busy, .. })), "{end:?}");
}

#[test]
fn a_partner_that_hangs_up_meanwhile_takes_the_guest_with_it() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    rig.told(B);
    let (guest, _) = rig.guest();
    rig.hear(SipEvent::Provisional { leg: guest, code: 180, media: false });
    rig.gone(A);
    assert!(rig.sent.iter().any(|command| matches!(command, SipCommand::Cancel { leg } if *leg == guest)));
    assert_eq!(rig.told(B).map(|(_, code, _)| code), Some(487));
}

#[test]
fn a_guest_without_anybody_is_ended_when_he_answers_or_after_a_restart() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    let (guest, _) = rig.guest();
    let killed_before: Vec<_> = rig.store.values().cloned().collect();
    rig.up(guest, 6000);
    let mut halfway: Vec<_> = rig.store.values().cloned().collect();
    // as if only his own record had been written
    for dialog in halfway.iter_mut().filter(|dialog| dialog.leg == A) {
        dialog.partner = Some(B);
    }
    assert!(Rig::with(halfway).is_hung_up(guest));
    let mut again = Rig::with(killed_before);
    assert!(again.sent.iter().any(|command| matches!(command, SipCommand::Cancel { leg } if *leg == guest)));
    again.up(guest, 6000);
    assert!(again.is_hung_up(guest), "his answer crossed our CANCEL");
    assert!(!again.is_hung_up(A) && !again.is_hung_up(B));
}

#[test]
fn the_call_with_a_third_party_is_replaced() {
    let mut rig = Rig::joined();
    let to = "<sip:1009@example.org?Replaces=abc%40192.0.2.77%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>";
    assert_eq!(rig.refer(B, to), 202);
    let (_, invite) = rig.guest();
    let replaces =
        invite.headers.iter().find(|(name, _)| *name == "Replaces").map(|(_, value)| value.as_str());
    assert_eq!(replaces, Some("abc@192.0.2.77;to-tag=1;from-tag=2"));
}

/// Two calls of ours, A with B and C with D, where B and C are the same phone.
fn two_calls() -> (Rig, LegId) {
    const D: LegId = LegId(0xd);
    let mut rig = Rig::joined();
    for (leg, tag) in [(A, "a"), (B, "b")] {
        tagged(&mut rig, leg, tag);
    }
    rig.dial(C, None);
    rig.up_with(C, &directed(&phone(6000), "inactive"), None);
    rig.dial(D, Some(C));
    rig.up(D, 7000);
    rig.order(ifbus_call::Order::Join { a: C, b: D });
    rig.accept(C, &phone(6000));
    tagged(&mut rig, C, "c");
    rig.sent.clear();
    rig.events.clear();
    (rig, D)
}

/// The far end's tag, as the stack tells it.
fn tagged(rig: &mut Rig, leg: LegId, tag: &str) {
    let wire = crate::sip::Wire { remote_tag: tag.to_owned(), ..rig.store[&leg].wire.clone() };
    rig.hear(SipEvent::Changed(leg, Box::new(wire)));
}

#[test]
fn two_calls_of_one_phone_are_given_each_other() {
    let (mut rig, d) = two_calls();
    let to = rig.named(C);
    assert_eq!(rig.refer(B, &to), 202);
    assert!(!rig.sent.iter().any(|command| matches!(command, SipCommand::Invite(_))), "both are there");
    let (to_a, to_d) = (rig.accept(A, &phone(4000)), rig.accept(d, &phone(7000)));
    assert!(to_a.contains("m=audio 7000 ") && to_d.contains("m=audio 4000 "), "{to_a} {to_d}");
    let told: Vec<_> = rig.events.iter().map(|event| (event.leg(), event.clone())).collect();
    assert!(
        matches!(&told[..], [
            (A, Event::MovedByPhone { guest: Some(first), .. }),
            (second, Event::MovedByPhone { guest: Some(A), .. }),
        ] if *first == d && *second == d),
        "{told:?}"
    );
    assert!(rig.is_hung_up(C) && !rig.is_hung_up(B), "the phone has not heard of it on the other leg");
    let seen =
        Rig::with(rig.store.values().filter(|dialog| ![B, C].contains(&dialog.leg)).cloned().collect());
    let seen = seen.agent.seen();
    assert!(seen.iter().all(|seen| seen.moved.is_some() && seen.partners.len() == 1 && seen.tag.is_some()));
}

#[test]
fn a_forged_request_changes_nothing() {
    let (mut rig, d) = two_calls();
    let of_c = rig.named(C);
    let before = rig.store.clone();
    let wrong_tag = of_c.replace("from-tag%3Dc", "from-tag%3Dx");
    let made_up = of_c.replace(&rig.store[&C].wire.call_id[20..], "0123456789abcdef");
    let own = rig.named(B);
    let forged = [
        ("<sip:1009@elsewhere.example>", 403),
        ("<sip:1009@192.0.2.77>", 403),
        ("<tel:+493012345>", 400),
        ("<sips:1009@example.org>", 400),
        ("<sip:%0d%0aX-Evil:1@example.org>", 400),
        ("<sip:@example.org>", 400),
        ("<sip:1009@example.org?Replaces=a%0d%0aX:1%3Bto-tag%3D1%3Bfrom-tag%3D2>", 400),
        ("<sip:1009@example.org?Replaces=a>", 400),
        ("1009", 400),
        ("", 400),
        (&*wrong_tag, 603),
        (&*made_up, 603),
        (&*own, 603),
    ];
    for (to, code) in forged {
        assert_eq!(rig.refer(B, to), code, "{to}");
    }
    assert_eq!(rig.refer(LegId(99), ELSEWHERE), 481, "a leg that nobody knows");
    assert_eq!(rig.store, before);
    assert!(rig.sent.is_empty() && rig.events.is_empty(), "{:?} {:?}", rig.sent, rig.events);
    assert!(!rig.is_hung_up(d));
}

#[test]
fn a_phone_without_a_partner_or_with_a_transfer_under_way_is_refused() {
    let mut rig = Rig::new();
    rig.dial(A, None);
    rig.hear(SipEvent::Provisional { leg: A, code: 180, media: false });
    assert_eq!(rig.refer(A, ELSEWHERE), 481);
    rig.up(A, 4000);
    assert_eq!(rig.store[&A].progress, Progress::Up);
    assert_eq!(rig.refer(A, ELSEWHERE), 603);
    let mut rig = Rig::joined();
    assert_eq!(rig.refer(B, ELSEWHERE), 202);
    assert_eq!((rig.refer(B, ELSEWHERE), rig.refer(A, ELSEWHERE)), (603, 603));
    let (mut rig, _) = Rig::moved();
    rig.gone(B);
    assert_eq!(rig.refer(A, ELSEWHERE), 603, "its call has no other leg that could go on");
}

#[test]
fn a_broken_endpoint_ends_a_transfer_and_not_the_call() {
    let mut rig = Rig::joined();
    rig.refer(B, ELSEWHERE);
    let (guest, _) = rig.guest();
    rig.up(guest, 6000);
    rig.hear(SipEvent::Closed(crate::adapter::LinkError::Other("address in use".to_owned())));
    assert_eq!((rig.store[&A].partner, rig.store[&A].moved.as_deref()), (Some(B), None));
    assert!(rig.agent.seen().iter().filter(|seen| seen.tag.is_some()).all(|seen| seen.partners.len() == 1));
}
