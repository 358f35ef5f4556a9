//! A peer that lies, stutters or floods, and callers who write what they like.

use ifbus_call::order::Role;
use ifbus_call::{Event, Order};

use super::rig::{A, B, INSTANCE, Rig};
use crate::adapter::{DownReason, Input};

#[test]
fn any_split_of_the_bytes_gives_the_same_outputs() {
    let run = |size: usize| {
        let mut rig = Rig::new().in_pieces(size);
        rig.set_status("sip/70", A, "status=answered:answered=true:peerid=wave/1");
        rig.start();
        let b = rig.up(B, Role::B, "1002");
        let ticket = rig.order(Order::Join { a: A, b: B });
        rig.event("chan.dtmf", A, "sip/70", "text=7:duplicate=false");
        rig.event("chan.hangup", B, &b, "status=answered:peerid=sip/70");
        rig.says("rubbish");
        (rig.events, rig.sent, rig.unknown, rig.answers.get(&ticket).cloned())
    };
    let whole = run(usize::MAX);
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(run(size), whole, "in pieces of {size}");
    }
}

#[test]
fn answers_under_ids_that_are_not_ours_change_nothing() {
    let mut rig = Rig::ready();
    rig.talk();
    let (events, answers) = (rig.events.len(), rig.answers.len());
    for id in ["", "x", "00000000000000000000000000000001", &"f".repeat(32), "%%z"] {
        rig.says(&format!("%%<message:{id}:true:call.drop::id=sip/1"));
        rig.says(&format!("%%<message:{id}:true:engine.status:x:id=sip/1:peerid=sip/99"));
    }
    assert_eq!((rig.events.len(), rig.answers.len()), (events, answers));
}

#[test]
fn an_answer_counts_once() {
    let mut rig = Rig::ready();
    rig.talk();
    rig.held = vec!["chan.masquerade"];
    let ticket = rig.order(Order::Leave { leg: A });
    rig.proven(ticket);
    let ticket = rig.order(Order::Park { held: B, other: A, why: ifbus_call::order::ParkReason::Hold });
    let first = rig.reply(true, "call.conference", "users=2");
    rig.says(&format!("%%<message:{}:false:call.conference:", first.id));
    assert!(!rig.answers.contains_key(&ticket));
}

#[test]
fn what_a_caller_writes_into_his_name_stays_a_value() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    let events = rig.events.len();
    // as the engine escapes it
    let name = format!("777%J%%%%<message%z%ztrue%zchan.hangup%z%zid={a}%zifbus_leg={INSTANCE}-{A}");
    rig.says(&format!(
        "%%<message::false:chan.startup::id=sip/50:direction=incoming:caller={name}:called=604"
    ));
    rig.says("%%<message::false:chan.hangup::id=sip/50:status=answered");
    assert_eq!(rig.events.len(), events, "{:?}", rig.events);
}

#[test]
fn a_tag_on_another_channel_is_not_the_leg() {
    let mut rig = Rig::ready();
    rig.talk();
    let events = rig.events.len();
    for name in ["chan.hangup", "chan.disconnected", "call.ringing", "chan.connected"] {
        rig.event(name, A, "sip/99", "peerid=sip/98:cause_sip=486");
        rig.event(name, A, "dumb/1", "peerid=sip/98");
        rig.event(name, A, "", "peerid=sip/98");
    }
    assert_eq!(rig.events.len(), events, "{:?}", &rig.events[events..]);
}

#[test]
fn an_end_is_final() {
    let mut rig = Rig::ready();
    let a = rig.up(A, Role::A, "1001");
    rig.event("chan.hangup", A, &a, "status=answered:peerid=dumb/1");
    let events = rig.events.len();
    for name in [
        "chan.startup",
        "call.ringing",
        "call.answered",
        "chan.connected",
        "chan.hangup",
        "chan.disconnected",
    ] {
        rig.event(name, A, &a, "peerid=x");
    }
    assert_eq!(rig.events.len(), events, "{:?}", &rig.events[events..]);
}

#[test]
fn digits_are_digits() {
    let mut rig = Rig::ready();
    let a = rig.up(A, Role::A, "1001");
    let events = rig.events.len();
    rig.event("chan.dtmf", A, &a, "text=5:duplicate=true");
    rig.event("chan.dtmf", A, &a, "text=x%J:duplicate=false");
    rig.event("chan.dtmf", A, &a, &format!("text={}", "1".repeat(5000)));
    let digits = rig.events[events..].iter().filter(|event| matches!(event, Event::Digit(A, '1'))).count();
    assert_eq!((digits, rig.events.len() - events), (32, 32));
}

#[test]
fn a_line_without_end_is_the_end() {
    let mut rig = Rig::ready();
    let link = rig.engine();
    let flood = vec![b'x'; 1024 * 1024];
    for _ in 0..5 {
        rig.give(Input::Bytes(link, &flood));
    }
    assert!(matches!(rig.down[0].reason, DownReason::Protocol(_)), "{:?}", rig.down);
}

#[test]
fn questions_we_did_not_ask_to_be_asked_are_answered_no() {
    let mut rig = Rig::ready();
    let mark = rig.sent.len();
    rig.says("%%>message:0x7f:1795340899:call.route::id=sip/9:called=1");
    rig.says("%%>message:0x7f:1795340899:call.preroute::id=sip/9:module=sip:direction=incoming");
    rig.says("%%>message:0x7f.%z%%:1795340899:chan.disconnected::id=sip/9");
    assert_eq!(
        rig.since(mark),
        ["%%<message:0x7f:false::", "%%<message:0x7f:false::", "%%<message:0x7f.%z%%:false::"],
        "an id goes back byte for byte"
    );
}
