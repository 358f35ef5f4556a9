//! What is found on a server, and what a phone's own transfer does.

use ifbus_call::order::{Direction, Done, Role};
use ifbus_call::{By, Cause, Event, Order, Stage};

use super::rig::{A, B, C, INSTANCE, Rig, call, tag};
use crate::adapter::LinkError;

#[test]
fn legs_are_found_again_with_their_call_and_what_is_kept_with_them() {
    let mut rig = Rig::new();
    rig.set_status("sip/1", A, "status=answered:answered=true:peerid=sip/2:ifbus_mute=i:ifbus_rec=x-0");
    rig.set_status("sip/2", B, "status=answered:answered=true:peerid=sip/1");
    rig.set_status("sip/3", C, "status=answered:answered=true:peerid=wave/7:ifbus_music=wave/7");
    rig.legs.insert("sip/4".into(), "status=answered:answered=true:direction=incoming:peerid=sip/5".into());
    rig.legs.insert("sip/5".into(), "status=ringing:answered=false:direction=outgoing:peerid=sip/4".into());
    rig.start();
    let ready = &rig.ready[0];
    let of = |native: &str| ready.seen.iter().find(|seen| seen.native == native).expect("it is listed");
    assert_eq!(ready.seen.len(), 5);
    let a = of("sip/1");
    assert_eq!((a.leg, a.stage, &*a.partners, a.age.as_secs()), (A, Stage::Up, &[B][..], 42));
    assert_eq!(a.tag.as_ref().map(|tag| tag.call), Some(call(7)));
    assert!(of("sip/3").hears_music && !a.hears_music);
    let foreign = of("sip/4");
    assert_eq!((&foreign.tag, &*foreign.party, foreign.stage), (&None, "1005", Stage::Up));
    assert_eq!((&*of("sip/5").party, of("sip/5").stage), ("1006", Stage::Ringing));
    assert_eq!(foreign.partners, [of("sip/5").leg]);
    assert!(rig.events.is_empty(), "the list itself tells it: {:?}", rig.events);

    // the mute that was noted goes with the leg
    let mark = rig.sent.len();
    let c = rig.order(Order::Join { a: A, b: C });
    rig.proven(c);
    assert!(
        rig.since(mark)
            .iter()
            .any(|line| line.starts_with("chan.masquerade::id=sip/3:message=chan.attach:override=wave/play"))
    );
}

#[test]
fn another_instances_legs_and_broken_tags_are_foreign() {
    let mut rig = Rig::new();
    rig.legs.insert(
        "sip/1".into(),
        format!("ifbus_leg=00000000000000ff-{A}:answered=true:ifbus_call=1|{}|a|1001", call(7)),
    );
    rig.legs.insert("sip/2".into(), format!("ifbus_leg={INSTANCE}-{B}x:answered=true"));
    rig.set_status("sip/3", C, "answered=true");
    rig.legs.insert("sip/3".into(), format!("ifbus_leg={INSTANCE}-{C}:ifbus_call=junk:answered=true"));
    rig.start();
    let ids: Vec<_> = rig.ready[0].seen.iter().map(|seen| (seen.leg == C, seen.tag.is_some())).collect();
    assert_eq!(ids, [(false, false), (false, false), (true, false)]);
}

#[test]
fn rooms_are_known_again() {
    let mut rig = Rig::new();
    rig.set_status("sip/1", A, "answered=true:peerid=conf/4");
    rig.set_status("sip/2", B, "answered=true:peerid=conf/5");
    rig.rooms.push(("conf/4".into(), format!("ifb-{INSTANCE}-standup"), "sip/1".into()));
    rig.rooms.push(("conf/5".into(), "lobby".into(), "sip/2".into()));
    rig.start();
    let rooms: Vec<_> =
        rig.ready[0].seen.iter().map(|seen| seen.conference.as_ref().map(ToString::to_string)).collect();
    assert_eq!(rooms, [Some("standup".to_owned()), None]);
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Enter { leg: A, conference: "standup".parse().expect("an id") });
    rig.proven(ticket);
    assert!(rig.since(mark).is_empty(), "inside already");
}

#[test]
fn events_before_the_list_are_applied_after_it() {
    let mut rig = Rig::new();
    rig.set_status("sip/1", A, "status=answered:answered=true:peerid=wave/1");
    rig.held = vec!["engine.status"];
    rig.start();
    rig.event("chan.hangup", A, "sip/1", "status=answered:peerid=wave/1");
    assert!(rig.events.is_empty());
    rig.held.clear();
    for message in std::mem::take(&mut rig.waiting) {
        let module = message.text.rsplit('=').next().expect("a module").to_owned();
        let list = if module == "sip" { "name=sip;chans=1;sip/1=answered|x|wave/1%M%J" } else { "" };
        rig.says(&format!("%%<message:{}:false:engine.status:{list}", message.id));
    }
    assert_eq!(rig.ready.len(), 1);
    assert!(matches!(rig.events[..], [Event::Ended { leg: A, by: By::Party, .. }]), "{:?}", rig.events);
}

#[test]
fn another_runid_is_another_life() {
    let mut rig = Rig::ready();
    rig.close(LinkError::Reset);
    rig.runid = "1795349999";
    rig.start();
    assert_ne!(rig.ready[0].boot, rig.ready[1].boot);
}

#[test]
fn a_list_on_order_finds_what_was_missed() {
    let mut rig = Rig::ready();
    rig.set_status("sip/9", C, "status=answered:answered=true");
    let ticket = rig.order(Order::List);
    let Some(Ok(Done::Listed(seen))) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!(seen.len(), 1);
    assert_eq!(rig.events, [Event::Started(C), Event::Answered(C)]);
}

#[test]
fn a_phone_sends_its_partner_to_somebody_who_answers() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    let told = rig.events.len();
    rig.says(&format!(
        "%%<message::false:chan.startup::id=sip/30:direction=outgoing:called=1003:targetid={a}"
    ));
    rig.set_status(&a, A, "status=answered:answered=true:peerid=sip/30");
    rig.legs.insert("sip/30".into(), format!("status=outgoing:answered=false:peerid={a}"));
    rig.event("chan.hangup", B, &b, &format!("status=answered:lastpeerid={a}:reason=transfer"));
    rig.event("chan.connected", A, &a, &format!("peerid=sip/30:lastpeerid={b}:reason=transfer"));
    let events = &rig.events[told..];
    let to = Some("1003".to_owned());
    let moved = Event::MovedByPhone { leg: A, guest: None, to: to.clone() };
    let at = events.iter().position(|event| *event == moved).unwrap_or_else(|| panic!("{events:?}"));
    let ended = events.iter().position(|event| matches!(event, Event::Ended { leg, .. } if *leg == B));
    assert!(ended.is_some_and(|ended| at < ended), "the move is told before the end: {events:?}");
    let told = rig.events.len();
    rig.says(&format!("%%<message::false:call.answered::id=sip/30:peerid={a}"));
    assert!(
        matches!(&rig.events[told..], [Event::Joined(A, guest), Event::MovedByPhone { leg: A, guest: Some(same), to: too }]
            if guest == same && *too == to),
        "{:?}",
        &rig.events[told..]
    );
}

#[test]
fn one_who_was_sent_to_a_busy_phone_ends_busy() {
    for heard in [true, false] {
        let mut rig = Rig::ready();
        let (a, b) = rig.talk();
        rig.says("%%<message::false:chan.startup::id=sip/30:direction=outgoing:called=1003");
        rig.event("chan.hangup", B, &b, &format!("status=answered:lastpeerid={a}:reason=transfer"));
        if heard {
            rig.set_status(&a, A, "status=answered:answered=true:peerid=sip/30");
            rig.legs.insert("sip/30".into(), format!("status=outgoing:answered=false:peerid={a}"));
            rig.event("chan.connected", A, &a, "peerid=sip/30:reason=transfer");
        }
        rig.says("%%<message::false:chan.hangup::id=sip/30:cause_sip=486:peerid=x:reason=Busy Here");
        rig.event("chan.disconnected", A, &a, "cause_sip=486:lastpeerid=sip/30:reason=busy");
        rig.event("chan.hangup", A, &a, "status=answered:lastpeerid=sip/30:reason=Busy Here");
        let Some(Event::Ended { leg: A, cause, .. }) = rig.events.last() else { panic!("{:?}", rig.events) };
        assert_eq!(*cause, Cause::Busy, "heard of before: {heard}");
    }
}

#[test]
fn a_guest_does_not_hear_one_who_is_muted() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    rig.order(Order::Mute { leg: A, direction: Direction::In, on: true });
    rig.says("%%<message::false:chan.startup::id=sip/30:direction=outgoing:called=1003");
    rig.set_status(&a, A, "status=answered:answered=true:peerid=sip/30");
    rig.legs.insert("sip/30".into(), format!("status=answered:answered=true:peerid={a}"));
    let mark = rig.sent.len();
    rig.event("chan.connected", A, &a, "peerid=sip/30:reason=transfer");
    let silenced = "chan.masquerade::id=sip/30:message=chan.attach:override=wave/play";
    assert!(rig.since(mark).iter().any(|line| line.starts_with(silenced)), "{:?}", rig.since(mark));
}

#[test]
fn a_hangup_by_a_phone_is_told_at_once_and_in_order() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    let told = rig.events.len();
    rig.event("chan.hangup", A, &a, &format!("status=answered:peerid={b}"));
    rig.event("chan.hangup", B, &b, &format!("status=answered:lastpeerid={a}"));
    let ends: Vec<_> = rig.events[told..]
        .iter()
        .filter_map(|event| match event {
            Event::Ended { leg, by, cause, .. } => Some((*leg, *by, *cause)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(A, By::Party, Cause::Answered), (B, By::Server, Cause::Answered)]);
    let _ = tag(Role::A, "1001");
}
