//! What becomes of orders: proofs, refusals, deadlines.

use std::time::Duration;

use ifbus_call::order::{Direction, Done, Evidence, ParkReason, Role};
use ifbus_call::{By, Cause, Event, Order, Why};

use super::rig::{A, B, C, Rig, dial};

fn refusal(rig: &Rig, ticket: u64) -> (Why, Cause, Evidence) {
    let Some(Err(refused)) = rig.answers.get(&ticket) else {
        panic!("{ticket} was not refused: {:?}", rig.answers)
    };
    (refused.why, refused.cause, refused.evidence)
}

#[test]
fn a_dial_is_done_when_the_leg_exists_by_whatever_comes_first() {
    let mut rig = Rig::ready();
    rig.held = vec!["call.execute"];
    let ticket = rig.order(dial(A, Role::A, "1001"));
    rig.event("chan.startup", A, "sip/9", "direction=outgoing");
    rig.proven(ticket);
    assert_eq!(rig.events, [Event::Started(A)]);
    rig.reply(true, "call.execute", "id=dumb/1:peerid=sip/9:targetid=sip/9");
    rig.event("call.ringing", A, "sip/9", "");
    rig.event("call.answered", A, "sip/9", "");
    rig.event("call.ringing", A, "sip/9", "");
    assert_eq!(rig.events[1..], [Event::Ringing(A), Event::Answered(A)], "late ringing undoes nothing");
}

#[test]
fn a_bare_refusal_means_no_route_or_no_room() {
    for (figures, cause) in [
        ("name=engine,acceptcalls=accept%M%Jname=sip;total=1,chans=1%M%J", Cause::Unreachable),
        ("name=engine,acceptcalls=reject%M%J", Cause::Congestion),
    ] {
        let mut rig = Rig::ready();
        rig.held = vec!["call.execute", "engine.status"];
        let ticket = rig.order(dial(A, Role::A, "1001"));
        rig.reply(false, "call.execute", "");
        let message = rig.waiting.pop_front().expect("the figures are asked for");
        rig.says(&format!("%%<message:{}:false:engine.status:{figures}", message.id));
        assert_eq!(refusal(&rig, ticket), (Why::Refused, cause, Evidence::NotDone));
        assert!(rig.events.is_empty(), "there was no leg: {:?}", rig.events);
    }
}

#[test]
fn a_refusal_with_a_word_is_told_and_an_end_before_it_is_none() {
    let mut rig = Rig::ready();
    rig.held = vec!["call.execute"];
    let ticket = rig.order(dial(A, Role::A, "sip:x@nohost.invalid"));
    rig.event("chan.hangup", A, "sip/16", "status=outgoing:reason=Failed to create party");
    rig.reply(false, "call.execute", "error=notransport:reason=Failed to create party");
    assert_eq!(refusal(&rig, ticket), (Why::Refused, Cause::Unreachable, Evidence::NotDone));
    assert!(rig.events.is_empty(), "{:?}", rig.events);
}

#[test]
fn ringing_ends_at_its_time_by_our_hand() {
    for answered_first in [false, true] {
        let mut rig = Rig::ready();
        rig.held = vec!["call.drop"];
        if answered_first {
            rig.up(A, Role::A, "1001");
        } else {
            rig.order(dial(A, Role::A, "1001"));
        }
        rig.pass(Duration::from_secs(21));
        assert_eq!(rig.waiting.len(), usize::from(!answered_first));
        if !answered_first {
            let native = rig.machine.channel(A).expect("it was dialled").to_string();
            rig.event("chan.hangup", A, &native, "status=noanswer:cause_sip=180");
            let Some(Event::Ended { cause, by, .. }) = rig.events.last() else { panic!("{:?}", rig.events) };
            assert_eq!((*cause, *by), (Cause::NoAnswer, By::Us));
        }
    }
}

#[test]
fn causes_are_those_of_the_last_status() {
    for (code, cause) in [
        ("486", Cause::Busy),
        ("480", Cause::NoAnswer),
        ("603", Cause::Rejected),
        ("404", Cause::Unreachable),
        ("503", Cause::Congestion),
        ("500", Cause::ServerFailure),
        ("408", Cause::Unreachable),
    ] {
        let mut rig = Rig::ready();
        rig.order(dial(A, Role::A, "1001"));
        let native = rig.machine.channel(A).expect("it was dialled").to_string();
        rig.event(
            "chan.hangup",
            A,
            &native,
            &format!("peerid=dumb/1:cause_sip={code}:status=outgoing:reason=x"),
        );
        let Some(Event::Ended { cause: told, by, .. }) = rig.events.last() else {
            panic!("{:?}", rig.events)
        };
        assert_eq!((*told, *by), (cause, By::Party), "{code}");
    }
}

#[test]
fn a_join_is_done_when_the_engine_shows_the_two_together() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    assert!(rig.events.contains(&Event::Joined(A, B)), "{:?}", rig.events);
    let c = rig.up(C, Role::C, "1003");
    let ticket = rig.order(Order::Join { a: A, b: C });
    rig.proven(ticket);
    assert!(
        rig.events.ends_with(&[Event::Parted(A), Event::Parted(B), Event::Joined(A, C)]),
        "{:?}",
        rig.events
    );
    rig.event("chan.hangup", B, &b, "status=answered:reason=ifbus-join");
    let Some(Event::Ended { leg, cause, .. }) = rig.events.last() else { panic!("{:?}", rig.events) };
    assert_eq!((*leg, *cause), (B, Cause::Answered));
    let _ = (a, c);
}

#[test]
fn a_join_that_the_engine_refuses_is_no_join() {
    let mut rig = Rig::ready();
    rig.talk();
    let ticket = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.proven(ticket);
    rig.held = vec!["chan.connect"];
    let ticket = rig.order(Order::Join { a: A, b: B });
    rig.reply(false, "chan.connect", "");
    assert_eq!(refusal(&rig, ticket), (Why::NoSuchLeg, Cause::ServerFailure, Evidence::NotDone));
}

#[test]
fn a_ringing_leg_is_never_moved() {
    let mut rig = Rig::ready();
    rig.up(A, Role::A, "1001");
    rig.order(dial(B, Role::B, "1002"));
    for order in [Order::Join { a: A, b: B }, Order::Park { held: A, other: B, why: ParkReason::Hold }] {
        let mark = rig.sent.len();
        let ticket = rig.order(order);
        assert_eq!(refusal(&rig, ticket).2, Evidence::NothingSent);
        assert!(rig.since(mark).is_empty());
    }
}

#[test]
fn steps_wait_for_each_other() {
    let mut rig = Rig::ready();
    rig.talk();
    rig.held = vec!["chan.masquerade"];
    let ticket = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert_eq!(rig.waiting.len(), 1);
    rig.reply(true, "call.conference", "id=sip/2:peerid=conf/1:users=2");
    assert_eq!(rig.waiting.len(), 1);
    rig.reply(true, "call.execute", "id=sip/2:peerid=wave/1");
    assert_eq!(rig.waiting.len(), 1);
    assert!(!rig.answers.contains_key(&ticket));
    rig.reply(true, "call.execute", "id=sip/1:peerid=wave/2");
    rig.proven(ticket);
}

#[test]
fn a_park_whose_held_leg_ends_meanwhile_brings_the_other_one_to_its_place() {
    let mut rig = Rig::ready();
    let (_, b) = rig.talk();
    rig.held = vec!["chan.masquerade"];
    let ticket = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.reply(true, "call.conference", "id=sip/2:peerid=conf/1:users=2");
    rig.event("chan.hangup", B, &b, "status=answered:peerid=conf/1");
    rig.reply(false, "chan.masquerade", "");
    let message = rig.reply(true, "call.execute", "id=sip/1:peerid=wave/2");
    assert!(message.text.contains("silence.slin"), "{message:?}");
    assert_eq!(refusal(&rig, ticket).0, Why::NoSuchLeg);
}

#[test]
fn orders_on_one_leg_are_carried_out_one_after_the_other() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    rig.held = vec!["chan.masquerade", "call.drop"];
    let park = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let drop = rig.order(Order::Drop { leg: A, cause: Cause::Answered });
    assert_eq!(rig.waiting.len(), 1, "the drop waits");
    rig.reply(true, "call.conference", "users=2");
    rig.reply(true, "call.execute", "peerid=wave/1");
    rig.reply(true, "call.execute", "peerid=wave/2");
    rig.proven(park);
    rig.reply(true, "call.drop", "");
    rig.event("chan.hangup", A, &a, "status=hangup");
    rig.proven(drop);
}

#[test]
fn a_drop_of_an_unknown_leg_looks_for_it_everywhere() {
    let mut rig = Rig::ready();
    let ticket = rig.order(Order::Drop { leg: C, cause: Cause::Answered });
    rig.proven(ticket);
    assert!(!rig.sent.iter().any(|line| line.starts_with("call.drop")), "{:?}", rig.sent);
    rig.set_status("sip/77", C, "status=answered:answered=true");
    let mark = rig.sent.len();
    rig.order(Order::Drop { leg: C, cause: Cause::Answered });
    assert!(rig.since(mark).contains(&"call.drop::id=sip/77:reason=hangup"), "{:?}", rig.since(mark));
}

#[test]
fn a_drop_of_one_that_is_gone_is_a_success() {
    let mut rig = Rig::ready();
    rig.up(A, Role::A, "1001");
    rig.held = vec!["call.drop"];
    let ticket = rig.order(Order::Drop { leg: A, cause: Cause::Answered });
    rig.reply(false, "call.drop", "");
    rig.pass(Duration::from_secs(2));
    rig.proven(ticket);
    assert_eq!(rig.events.last(), Some(&Event::Vanished(A)), "its end was not heard");
}

#[test]
fn a_deadline_asks_what_is_true() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.held = vec!["chan.connect"];
    let ticket = rig.order(Order::Join { a: A, b: B });
    rig.set_status(&a, A, &format!("status=answered:answered=true:peerid={b}"));
    rig.set_status(&b, B, &format!("status=answered:answered=true:peerid={a}"));
    rig.pass(Duration::from_secs(6));
    rig.proven(ticket);
}

#[test]
fn silence_at_a_deadline_is_no_evidence() {
    let mut rig = Rig::ready();
    rig.talk();
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.held = vec!["chan.connect", "engine.status"];
    let ticket = rig.order(Order::Join { a: A, b: B });
    rig.pass(Duration::from_secs(12));
    assert_eq!(refusal(&rig, ticket), (Why::Unproven, Cause::ServerFailure, Evidence::Unknown));
}

#[test]
fn digits_go_one_by_one() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Dtmf { leg: A, digits: "15#".parse().expect("digits") });
    assert!(rig.since(mark).is_empty(), "right after the answer they would be lost");
    rig.pass(Duration::from_millis(500));
    assert_eq!(rig.since(mark).len(), 1);
    rig.pass(Duration::from_millis(299));
    assert_eq!(rig.since(mark).len(), 1);
    rig.pass(Duration::from_millis(301));
    let expected = ["1", "5", "#"].map(|digit| format!("chan.dtmf::targetid={a}:text={digit}"));
    assert_eq!(rig.since(mark), expected);
    rig.proven(ticket);
}

#[test]
fn mutes_follow_into_the_next_talk() {
    let mut rig = Rig::ready();
    let (_, b) = rig.talk();
    rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(rig.events.contains(&Event::Muted(A, Direction::In, true)));
    let c = rig.up(C, Role::C, "1003");
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Join { a: A, b: C });
    rig.proven(ticket);
    let sent = rig.since(mark).join("\n");
    let deaf = format!("id={c}:message=chan.attach:override=wave/play//var/lib/yate/ifbus/silence.slin");
    let at = sent.find(&deaf).expect("the new partner does not hear it");
    assert!(at < sent.find("chan.connect").expect("they are joined"), "before they are joined: {sent}");
    let _ = b;
}

#[test]
fn a_mute_that_is_not_in_force_is_refused() {
    let mut rig = Rig::ready();
    rig.missing = true;
    rig.talk();
    assert_eq!(rig.warnings.iter().filter(|warning| warning.code == "sounds").count(), 2);
    let ticket = rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(matches!(rig.answers.get(&ticket), Some(Err(_))), "{:?}", rig.answers.get(&ticket));
    let noted = rig.sent.iter().rfind(|line| line.contains("ifbus_mute=")).expect("it was noted");
    assert!(noted.ends_with("ifbus_mute=-"), "and taken back: {noted}");
}

#[test]
fn without_sounds_places_need_no_file() {
    let mut rig = Rig::ready();
    rig.missing = true;
    rig.talk();
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.proven(ticket);
    assert_eq!(rig.since(mark).iter().filter(|line| line.contains("callto=dumb/ifbus")).count(), 2);
}

#[test]
fn one_who_asks_a_third_party_outlives_it() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Consult });
    let c = rig.up(C, Role::C, "1003");
    rig.order(Order::Join { a: A, b: C });
    let mark = rig.sent.len();
    rig.held = vec!["chan.masquerade"];
    rig.event("chan.hangup", C, &c, &format!("status=answered:peerid={a}"));
    rig.says(&format!(
        "%%>message:0x7.5:1795340899:chan.disconnected::ifbus_leg={}-{A}:ifbus_keep=yes:id={a}:lastpeerid={c}",
        super::rig::INSTANCE
    ));
    let join = rig.order(Order::Join { a: A, b: B });
    assert_eq!(rig.since(mark).len(), 1, "nothing touches it meanwhile: {:?}", rig.since(mark));
    rig.held.clear();
    rig.reply(true, "call.execute", &format!("id={a}:peerid=wave/9"));
    assert_eq!(rig.sent[mark + 1], "%%<message:0x7.5:true::");
    rig.proven(join);
    // back with the one who waited, it is kept no more
    let mark = rig.sent.len();
    rig.says(&format!(
        "%%>message:0x7.6:1795340899:chan.disconnected::ifbus_leg={}-{A}:ifbus_keep=yes:id={a}",
        super::rig::INSTANCE
    ));
    assert_eq!(rig.since(mark), ["%%<message:0x7.6:false::"]);
}

#[test]
fn one_who_is_left_by_our_own_join_is_released() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Consult });
    rig.up(C, Role::C, "1003");
    rig.order(Order::Join { a: A, b: C });
    let mark = rig.sent.len();
    rig.says(&format!(
        "%%>message:0x7.5:1795340899:chan.disconnected::ifbus_leg={}-{A}:ifbus_keep=yes:id={a}:reason=ifbus-join",
        super::rig::INSTANCE
    ));
    assert_eq!(rig.since(mark), ["%%<message:0x7.5:false::"]);
    assert_eq!(rig.answers.values().filter(|outcome| **outcome != Ok(Done::Proven)).count(), 0);
}
