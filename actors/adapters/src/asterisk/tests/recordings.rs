//! Recorders begun and ended: what proves each, and what a server may answer instead.

use std::time::Duration;

use ifbus_call::order::{Done, Evidence};
use ifbus_call::{LegId, Order, RecordingId, Refused, Why};

use super::pretend::rooms::HANDLE;
use super::rig::{A, Rig, dial, native};

fn recording() -> RecordingId {
    "rec_01JDQ0M0000000000000000ABC".parse().expect("a recording")
}

fn record(leg: LegId, segment: u16) -> Order {
    Order::Record { leg, recording: recording(), segment }
}

fn stop(leg: LegId, segment: u16) -> Order {
    Order::StopRecord { leg, recording: recording(), segment }
}

const VARIABLE: &str = "IFBUS_REC_01JDQ0M0000000000000000ABC_0";

fn waiting() -> Rig {
    let mut rig = Rig::ready(true);
    rig.proven(dial(A, "1001"));
    rig
}

fn recorders(rig: &Rig) -> u32 {
    rig.server.channels[&native(A)].recorders
}

fn refused(outcome: ifbus_call::Outcome) -> Refused {
    outcome.expect_err("it should be refused")
}

#[test]
fn a_segment_is_begun_once_and_its_variable_proves_it() {
    let mut rig = waiting();
    rig.proven(record(A, 0));
    let (_, text) =
        rig.sent.iter().find(|(_, text)| text.starts_with("Action: MixMonitor\r")).expect("it was sent");
    for line in [
        format!("Channel: {}\r\n", native(A)),
        "File: ../recording/ifbus-01jdq0m0000000000000000abc-0.wav\r\n".to_owned(),
        format!("Options: i({VARIABLE})\r\n"),
    ] {
        assert!(text.contains(&line), "{line} is not in {text}");
    }
    assert!(!text.contains("Command"), "a command would be run by a shell");
    assert_eq!(rig.count("Getvar"), 2, "before and after");
    rig.proven(record(A, 0));
    assert_eq!((rig.count("MixMonitor"), recorders(&rig)), (1, 1), "it is recorded already");
}

#[test]
fn success_without_a_recorder_is_refused() {
    let mut rig = waiting();
    rig.server.records = false;
    let refused = refused(rig.outcome(record(A, 0)));
    assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone));
}

#[test]
fn a_stop_ends_its_recorder_and_another_one_is_a_success() {
    let mut rig = waiting();
    rig.proven(record(A, 0));
    rig.proven(stop(A, 0));
    let (_, text) =
        rig.sent.iter().find(|(_, text)| text.starts_with("Action: StopMixMonitor\r")).expect("it was sent");
    assert!(text.contains(&format!("MixMonitorID: {HANDLE}\r\n")), "without it any recorder would end");
    assert_eq!(recorders(&rig), 0);
    rig.proven(stop(A, 0));
    assert_eq!(rig.count("StopMixMonitor"), 1);
}

#[test]
fn a_second_stop_of_one_segment_does_not_end_the_next_that_has_the_same_handle() {
    let mut rig = waiting();
    rig.proven(record(A, 0));
    rig.proven(stop(A, 0));
    rig.proven(record(A, 1));
    rig.proven(stop(A, 0));
    assert_eq!(recorders(&rig), 1, "the second segment goes on");
    rig.proven(stop(A, 1));
    assert_eq!(recorders(&rig), 0);
}

#[test]
fn a_segment_that_has_ended_is_not_begun_again_over_its_file() {
    let mut rig = waiting();
    rig.proven(record(A, 0));
    rig.proven(stop(A, 0));
    assert_eq!(refused(rig.outcome(record(A, 0))).evidence, Evidence::NotDone);
    assert_eq!(rig.count("MixMonitor"), 1);
}

#[test]
fn what_was_never_begun_or_ended_with_its_leg_is_stopped() {
    let mut rig = waiting();
    rig.proven(stop(A, 0));
    assert_eq!(rig.count("StopMixMonitor"), 0);
    rig.proven(record(A, 0));
    // another client has ended it, and the variable stays as it was
    rig.server.channels.get_mut(&native(A)).expect("it exists").recorders = 0;
    rig.proven(stop(A, 0));
    rig.server.hang_up(&native(A), 16, false);
    rig.pump();
    rig.proven(stop(A, 0));
    assert_eq!(refused(rig.outcome(record(A, 0))).why, Why::NoSuchLeg);
}

#[test]
fn a_leg_that_ends_under_the_order_is_a_success_to_a_stop_and_no_leg_to_a_record() {
    for question in ["Getvar", "MixMonitor", "StopMixMonitor"] {
        for (order, before) in [(record(A, 0), false), (stop(A, 0), true)] {
            let mut rig = waiting();
            if before {
                rig.proven(record(A, 0));
            }
            rig.server.refuses.insert(question, "No such channel");
            let stops = matches!(order, Order::StopRecord { .. });
            match (rig.outcome(order), stops, question) {
                (Ok(done), true, _) => assert_eq!(done, Done::Proven),
                (Ok(_), false, "StopMixMonitor") => {}
                (Err(refused), false, _) => assert_eq!(refused.why, Why::NoSuchLeg),
                other => panic!("{question}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_server_that_will_not_is_quoted() {
    for (question, order) in [("MixMonitor", record(A, 0)), ("Getvar", record(A, 0)), ("Getvar", stop(A, 0))]
    {
        let mut rig = waiting();
        rig.server.refuses.insert(question, "Permission denied");
        let refused = refused(rig.outcome(order));
        assert_eq!(refused.why, Why::Refused);
        assert_eq!(refused.said.expect("its words").text, "Permission denied");
    }
    let mut rig = waiting();
    rig.proven(record(A, 0));
    rig.server.refuses.insert("StopMixMonitor", "Permission denied");
    assert_eq!(refused(rig.outcome(stop(A, 0))).why, Why::Refused);
}

#[test]
fn an_order_without_an_answer_may_have_taken_effect_once_it_has_left_us() {
    for (question, evidence) in [("Getvar", Evidence::Unknown), ("MixMonitor", Evidence::Unknown)] {
        let mut rig = waiting();
        rig.server.deaf = vec![question];
        let refused = refused(rig.outcome(record(A, 0)));
        assert_eq!((refused.why, refused.evidence), (Why::Unproven, evidence));
    }
    for (question, evidence) in [("Getvar", Evidence::NothingSent), ("MixMonitor", Evidence::Unknown)] {
        let mut rig = waiting();
        rig.server.deaf = vec![question];
        let ticket = rig.give(record(A, 0));
        rig.input(crate::adapter::Input::Stop);
        assert_eq!(refused(rig.answers[&ticket].clone()).evidence, evidence, "{question}");
    }
}

#[test]
fn a_variable_that_holds_junk_is_neither_a_recorder_nor_none() {
    let junk = [
        "",
        "Value: 1\r\n",
        "Value: 0x\r\n",
        "Value: 0xfeg\r\n",
        "Value: 0x11112222333344445\r\n",
        "Value: 0x1\r\nValue: \r\n",
        "Value: \r\nValue: 0x1\r\n",
        "Value: ${SHELL(id)}\r\n",
        "Value: 0x1 0x2\r\n",
        "Value: 0x1\n\r\n",
        "Value: ENDED\r\n",
    ];
    for junk in junk {
        for order in [record(A, 0), stop(A, 0)] {
            let mut rig = waiting();
            rig.server.junk = Some(junk);
            assert_eq!(refused(rig.outcome(order)).why, Why::Refused, "{junk:?}");
            assert_eq!((rig.count("MixMonitor"), rig.count("StopMixMonitor")), (0, 0), "{junk:?}");
        }
    }
}

#[test]
fn record_and_stop_given_together_are_carried_out_in_their_order() {
    let mut rig = waiting();
    rig.server.deaf = vec!["Getvar"];
    let first = rig.give(record(A, 0));
    let second = rig.give(stop(A, 0));
    assert_eq!(rig.count("Getvar"), 1, "the second waits for the first");
    rig.server.deaf.clear();
    rig.advance(Duration::from_secs(6));
    assert!(rig.answers[&first].is_err());
    assert_eq!(rig.answers[&second], Ok(Done::Proven));
}
