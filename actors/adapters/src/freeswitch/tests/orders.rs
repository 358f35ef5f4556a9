use std::time::Duration;

use ifbus_call::order::{Direction, Done, Evidence, Inbound, ParkReason};
use ifbus_call::{By, Cause, Event, Load, Order, Wait, Why};

use super::pretend::commands;
use super::rig::{A, B, C, Rig, dial, dial_hearing, native};
use crate::adapter::LinkError;
use crate::freeswitch::machine::EVENTS;

#[test]
fn a_dial_is_one_line_with_ids_of_ours() {
    let mut rig = Rig::ready();
    rig.proven(dial(A, "+4930123"));
    let line = commands(&rig.sent)[0];
    let expected = "bgapi originate {origination_uuid=a0000000-0000-0000-0000-00000000000a,originate_timeout=20,\
        ignore_early_media=true,park_timeout=140:ALLOTTED_TIMEOUT,send_silence_when_idle=400,\
        origination_caller_id_number=1002,origination_caller_id_name=1002,ifbus_owner=123456789abcdef0,\
        ifbus_call='1|c_00000000010000000000000007|a|+4930123',ifbus_ends='1|1001|+4930123'}\
        sofia/gateway/trunk/+4930123 &park()";
    assert_eq!(line, expected);
    assert!(rig.sent[0].1.lines().nth(1).is_some_and(|line| line.starts_with("Job-UUID: ")));
    assert_eq!(rig.events, [Event::Started(A), Event::Ringing(A), Event::Answered(A)]);
}

#[test]
fn every_form_of_address_goes_its_way() {
    for (to, way) in [("1001", "}user/1001 "), ("sip:bob@h", "}sofia/lab/sip:bob@h ")] {
        let mut rig = Rig::ready();
        rig.proven(dial(A, to));
        assert!(commands(&rig.sent)[0].contains(way), "{to}");
    }
    let mut rig = Rig::with(&[("dial_extension", "sofia/lab/{n}@h")]).up();
    rig.proven(dial(A, "1001"));
    assert!(commands(&rig.sent)[0].contains("}sofia/lab/1001@h &park()"));
}

#[test]
fn who_is_answered_first_hears_ringing_until_it_talks() {
    let mut rig = Rig::ready();
    rig.proven(dial_hearing(A, "1001", Wait::Ringback));
    let uuid = native(A);
    assert_eq!(
        commands(&rig.sent)[1..],
        [
            format!("api sched_hangup +140 {uuid} ALLOTTED_TIMEOUT"),
            format!("api uuid_broadcast {uuid} tone_stream://%(2000,4000,440,480);loops=-1 aleg"),
        ]
    );
    rig.proven(dial(B, "1002"));
    rig.sent.clear();
    rig.proven(Order::Join { a: A, b: B });
    assert_eq!(
        commands(&rig.sent),
        [format!("api sched_del {uuid}"), format!("api uuid_bridge {uuid} {}", native(B))],
        "the end that was planned is taken away before"
    );
}

#[test]
fn a_dial_that_fails_without_a_leg_is_refused_with_its_cause() {
    for (word, cause) in [
        ("GATEWAY_DOWN", Cause::Unreachable),
        ("USER_NOT_REGISTERED", Cause::Unreachable),
        ("DESTINATION_OUT_OF_ORDER", Cause::Congestion),
        ("CHAN_NOT_IMPLEMENTED", Cause::ServerFailure),
    ] {
        let mut rig = Rig::ready();
        let refusal: &'static str = Box::leak(format!("-{word}").into_boxed_str());
        rig.server.refuse = Some(refusal);
        let refused = rig.outcome(dial(A, "1001")).expect_err(word);
        assert_eq!((refused.why, refused.cause, refused.evidence), (Why::Refused, cause, Evidence::NotDone));
        assert!(rig.events.is_empty());
        rig.server.refuse = None;
        rig.proven(dial(A, "1001"));
    }
}

#[test]
fn a_phone_that_refuses_ends_its_leg() {
    let mut rig = Rig::ready();
    rig.server.refuse = Some("USER_BUSY");
    rig.proven(dial(A, "1001"));
    rig.advance(Duration::from_secs(3));
    let Some(Event::Ended { cause, by, said, .. }) = rig.end(A) else { panic!("{:?}", rig.events) };
    assert_eq!((*cause, *by, said.code), (Cause::Busy, By::Party, Some(486)));
}

#[test]
fn an_originate_that_says_it_was_canceled_is_asked_about() {
    let mut rig = Rig::ready();
    rig.server.idle = vec!["originate"];
    let ticket = rig.give(dial(A, "1001"));
    let uuid = native(A);
    rig.server.legs.insert(uuid.clone(), super::pretend::Leg { up: true, ..Default::default() });
    let owner = ("variable_ifbus_owner", "123456789abcdef0");
    rig.server.tell("CHANNEL_CREATE", &uuid, &[owner]);
    rig.server.tell("CHANNEL_ANSWER", &uuid, &[owner]);
    rig.pump();
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
    let job = rig.sent[0].1.lines().nth(1).expect("a job").trim_start_matches("Job-UUID: ").to_owned();
    rig.server.job_ends(&job, "-ERR ORIGINATOR_CANCEL");
    rig.pump();
    rig.advance(Duration::from_secs(5));
    assert_eq!(rig.end(A), None, "it lives on: seen where it was joined in the moment of its answer");
    assert!(commands(&rig.sent).contains(&format!("api uuid_dump {uuid} json").as_str()));
}

#[test]
fn a_pair_that_talks_is_not_joined_again() {
    let mut rig = Rig::joined();
    rig.proven(Order::Join { a: B, b: A });
    assert!(rig.sent.is_empty());
}

#[test]
fn a_leg_that_rings_is_never_joined() {
    let mut rig = Rig::ready();
    rig.server.idle = vec!["originate"];
    rig.give(dial(A, "1001"));
    rig.server.idle.clear();
    rig.proven(dial(B, "1002"));
    let uuid = native(A);
    rig.server.legs.insert(uuid.clone(), super::pretend::Leg::default());
    rig.server.tell("CHANNEL_CREATE", &uuid, &[("variable_ifbus_owner", "123456789abcdef0")]);
    rig.pump();
    rig.sent.clear();
    for order in [Order::Join { a: A, b: B }, Order::Join { a: B, b: A }, Order::Join { a: B, b: B }] {
        let refused = rig.outcome(order).expect_err("it would destroy both");
        assert_eq!(refused.evidence, Evidence::NothingSent);
    }
    assert!(rig.sent.is_empty(), "{:?}", rig.sent);
}

#[test]
fn a_hold_parks_both_and_plays_to_one() {
    let mut rig = Rig::joined();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let (a, b) = (native(A), native(B));
    assert_eq!(
        commands(&rig.sent),
        [
            format!("api uuid_transfer {b} -both park inline"),
            format!("api uuid_broadcast {b} local_stream://moh aleg"),
            format!("api sched_hangup +86400 {b} ALLOTTED_TIMEOUT"),
            format!("api sched_hangup +86400 {a} ALLOTTED_TIMEOUT"),
        ]
    );
    assert!(rig.sent.iter().all(|(_, text)| !text.contains("uuid_hold")));
    assert!(rig.events.contains(&Event::Parted(A)) && rig.events.contains(&Event::Parted(B)));
    rig.sent.clear();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert!(
        commands(&rig.sent).iter().all(|line| !line.contains("uuid_transfer")),
        "that would stop the music"
    );
    rig.sent.clear();
    rig.proven(Order::Join { a: A, b: B });
    assert_eq!(
        commands(&rig.sent),
        [format!("api sched_del {a}"), format!("api sched_del {b}"), format!("api uuid_bridge {a} {b}")]
    );
}

#[test]
fn who_asks_a_third_party_comes_back_and_is_released_when_it_is_done() {
    let mut rig = Rig::joined();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Consult });
    rig.proven(dial(C, "1003"));
    rig.sent.clear();
    rig.proven(Order::Join { a: A, b: C });
    let set = format!("api uuid_setvar {} park_after_bridge true", native(A));
    assert!(commands(&rig.sent).contains(&set.as_str()), "{:?}", commands(&rig.sent));
    rig.sent.clear();
    rig.events.clear();
    // complete
    rig.proven(Order::Join { a: B, b: C });
    let clear = format!("api uuid_setvar {} park_after_bridge", native(A));
    assert_eq!(
        commands(&rig.sent).iter().filter(|line| **line == clear).count(),
        1,
        "{:?}",
        commands(&rig.sent)
    );
    assert!(matches!(rig.end(A), Some(Event::Ended { cause: Cause::Answered, .. })), "{:?}", rig.events);

    let mut rig = Rig::joined();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Consult });
    rig.proven(dial(C, "1003"));
    rig.proven(Order::Join { a: A, b: C });
    rig.events.clear();
    // the third party hangs up: the one who asked waits, and goes back
    rig.server.end(&native(C), "NORMAL_CLEARING", &[("variable_sip_hangup_disposition", "recv_bye")]);
    rig.pump();
    assert!(rig.events.contains(&Event::Parted(A)) && rig.end(A).is_none());
    rig.proven(Order::Join { a: A, b: B });
    assert!(!rig.server.legs[&native(A)].variables.contains_key("park_after_bridge"));
}

#[test]
fn a_drop_is_done_when_the_leg_has_ended() {
    let mut rig = Rig::joined();
    rig.proven(Order::Drop { leg: A, cause: Cause::Busy });
    assert_eq!(commands(&rig.sent), [format!("api uuid_kill {} USER_BUSY", native(A))]);
    assert!(matches!(rig.end(A), Some(Event::Ended { by: By::Us, cause: Cause::Answered, .. })));
    assert!(rig.end(B).is_some(), "its partner is released");
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    rig.proven(Order::Drop { leg: C, cause: Cause::Answered });
}

#[test]
fn mute_and_digits_are_answers() {
    let mut rig = Rig::joined();
    rig.proven(Order::Mute { leg: A, direction: Direction::In, on: true });
    rig.proven(Order::Mute { leg: A, direction: Direction::Out, on: false });
    let began = rig.now;
    rig.proven(Order::Dtmf { leg: B, digits: "15#D".parse().expect("digits") });
    let (a, b) = (native(A), native(B));
    assert_eq!(
        commands(&rig.sent),
        [
            format!("api uuid_audio {a} start read mute 1"),
            format!("api uuid_audio {a} start write mute 0"),
            format!("api uuid_send_dtmf {b} 15#D@100"),
        ]
    );
    assert_eq!(rig.now.since(began), Duration::from_millis(640), "it is done when the last one has sounded");
    assert_eq!(rig.events, [Event::Muted(A, Direction::In, true), Event::Muted(A, Direction::Out, false)]);
}

#[test]
fn a_digit_of_the_phone_is_told() {
    let mut rig = Rig::joined();
    rig.server.tell("DTMF", &native(A), &[("DTMF-Digit", "7")]);
    rig.server.tell("DTMF", &native(A), &[("DTMF-Digit", "x")]);
    rig.server.tell("DTMF", "another", &[("DTMF-Digit", "7")]);
    rig.pump();
    assert_eq!(rig.events, [Event::Digit(A, '7')]);
}

#[test]
fn a_conference_is_entered_from_waiting_and_left_into_it() {
    let mut rig = Rig::joined();
    let conference: ifbus_call::ConferenceId = "sales".parse().expect("a conference");
    let enter = |leg| Order::Enter { leg, conference: conference.clone() };
    let refused = rig.outcome(enter(A)).expect_err("its partner would be released");
    assert_eq!(refused.evidence, Evidence::NothingSent);
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.sent.clear();
    rig.events.clear();
    rig.proven(enter(A));
    let a = native(A);
    assert_eq!(
        commands(&rig.sent),
        [
            format!("api sched_del {a}"),
            format!("api uuid_transfer {a} conference:123456789abcdef0-sales@default inline"),
        ]
    );
    rig.sent.clear();
    rig.proven(enter(A));
    assert!(rig.sent.is_empty(), "once more would be leaving it first");
    assert!(rig.outcome(Order::Join { a: A, b: B }).is_err(), "it has to leave first");
    rig.proven(Order::Leave { leg: A });
    rig.proven(Order::Leave { leg: A });
    assert_eq!(rig.events, [Event::Entered(A, conference.clone()), Event::Left(A)]);
}

#[test]
fn a_segment_is_begun_once_and_ended_once() {
    let mut rig = Rig::joined();
    let recording = ifbus_call::RecordingId::new(1, 2);
    let name = "ifbus-00000000010000000000000002-0";
    rig.proven(Order::Record { leg: A, recording, segment: 0 });
    let (a, variable) = (native(A), name.replace('-', "_"));
    assert_eq!(
        commands(&rig.sent),
        [
            format!("api uuid_getvar {a} {variable}"),
            format!("api uuid_setvar {a} {variable} on"),
            format!("api uuid_record {a} start /rec/{name}.wav"),
        ]
    );
    rig.sent.clear();
    rig.proven(Order::Record { leg: A, recording, segment: 0 });
    assert!(commands(&rig.sent).iter().all(|line| !line.contains("uuid_record")));
    rig.proven(Order::StopRecord { leg: A, recording, segment: 0 });
    rig.sent.clear();
    rig.proven(Order::StopRecord { leg: A, recording, segment: 0 });
    let refused = rig.outcome(Order::Record { leg: A, recording, segment: 0 }).expect_err("it has ended");
    assert_eq!(refused.evidence, Evidence::NotDone);
    assert!(commands(&rig.sent).iter().all(|line| !line.contains("uuid_record")));
    rig.proven(Order::StopRecord { leg: C, recording, segment: 0 });
}

#[test]
fn a_recording_that_cannot_begin_may_begin_later() {
    let mut rig = Rig::joined();
    rig.server.says.insert("api uuid_record", "-ERR Cannot record session!\n");
    let recording = ifbus_call::RecordingId::new(1, 2);
    let order = || Order::Record { leg: A, recording, segment: 0 };
    assert_eq!(rig.outcome(order()).expect_err("it says so").why, Why::Refused);
    rig.server.says.clear();
    rig.proven(order());
}

#[test]
fn a_drain_closes_the_outside_alone() {
    let mut rig = Rig::ready();
    assert_eq!(rig.outcome(Order::Drain { on: true }), Ok(Done::Drained(Inbound::Closed)));
    assert_eq!(commands(&rig.sent), ["api fsctl pause inbound", "api fsctl pause_check inbound"]);
    assert_eq!(rig.outcome(Order::Drain { on: false }), Ok(Done::Drained(Inbound::Open { need: None })));
    rig.server.says.insert("api fsctl", "-ERR permission denied");
    assert_eq!(rig.outcome(Order::Drain { on: true }).expect_err("no right").why, Why::Refused);
}

#[test]
fn load_counts_legs() {
    let mut rig = Rig::ready();
    let load = Load { legs: Some(2), legs_max: Some(1000), legs_ever: Some(9) };
    assert_eq!(rig.outcome(Order::Load), Ok(Done::Loaded(load)));
}

#[test]
fn what_was_taken_and_has_not_worked_is_known_for_certain() {
    let mut rig = Rig::joined();
    rig.server.idle = vec!["uuid_transfer"];
    let refused =
        rig.outcome(Order::Park { held: B, other: A, why: ParkReason::Hold }).expect_err("no event");
    assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::NotDone));
    rig.server.idle.clear();
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
}

#[test]
fn a_join_whose_event_was_missed_is_proven_by_asking() {
    let mut rig = Rig::ready();
    for leg in [A, B] {
        rig.proven(dial(leg, "1001"));
    }
    rig.server.idle = vec!["uuid_bridge"];
    let ticket = rig.give(Order::Join { a: A, b: B });
    for (leg, other) in [(A, B), (B, A)] {
        let known = rig.server.legs.get_mut(&native(leg)).expect("a leg");
        known.partner = Some(native(other));
        known.app = ("uuid_bridge".into(), native(other));
    }
    rig.advance(Duration::from_secs(6));
    assert_eq!(rig.answers[&ticket], Ok(Done::Proven));
}

#[test]
fn an_end_that_was_missed_is_told_after_a_while() {
    let mut rig = Rig::joined();
    rig.server.legs.clear();
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    assert!(matches!(rig.end(A), Some(Event::Vanished(_))));
}

#[test]
fn orders_on_one_leg_wait_for_each_other() {
    let mut rig = Rig::joined();
    rig.server.mute = vec!["api uuid_transfer"];
    rig.give(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let drop = rig.give(Order::Drop { leg: A, cause: Cause::Answered });
    let mute = rig.give(Order::Mute { leg: C, direction: Direction::In, on: true });
    assert!(rig.answers.contains_key(&mute), "an order for another leg is not held up");
    assert!(
        !rig.answers.contains_key(&drop)
            && commands(&rig.sent).iter().all(|line| !line.contains("uuid_kill"))
    );
    rig.close(EVENTS, LinkError::Reset);
    assert!(rig.answers.contains_key(&drop));
}
