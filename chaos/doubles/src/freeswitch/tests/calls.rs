//! Calls: what a phone does, and how it shows.

use super::lab::{Lab, events};
use crate::double::{Extensions as _, Reachable as _};
use crate::freeswitch::Options;
use crate::phone::{Plan, Tone};

fn dial(lab: &mut Lab, link: crate::double::Link, uuid: &str, to: &str) -> Vec<serde_json::Value> {
    let command = format!("bgapi originate {{origination_uuid={uuid},originate_timeout=3}}{to} &park()\n\n");
    lab.send(link, &command);
    lab.pass(200);
    events(&lab.text(link))
}

fn names(events: &[serde_json::Value]) -> Vec<&str> {
    events.iter().map(|event| event["Event-Name"].as_str().unwrap()).collect()
}

#[test]
fn a_phone_that_refuses_ends_its_leg_with_its_status() {
    for (status, cause) in [(486, "USER_BUSY"), (404, "UNALLOCATED_NUMBER"), (603, "CALL_REJECTED")] {
        let mut lab = Lab::new(Options::default());
        let link = lab.listener();
        lab.machine.plan("1001", Plan::refuses(status));
        let told = dial(&mut lab, link, "A", "user/1001");
        let end = told.iter().find(|event| event["Event-Name"] == "CHANNEL_HANGUP_COMPLETE").unwrap();
        assert_eq!(end["Hangup-Cause"], cause);
        assert_eq!(end["variable_sip_term_status"], status.to_string());
        let job = told.iter().find(|event| event["Event-Name"] == "BACKGROUND_JOB").unwrap();
        assert_eq!(job["_body"], format!("-ERR {cause}\n"));
    }
}

#[test]
fn what_never_became_a_leg_is_told_by_the_job_alone() {
    for (to, cause, others) in [
        ("user/1009", "USER_NOT_REGISTERED", 0),
        ("sofia/gateway/gw-dead/1", "GATEWAY_DOWN", 1),
        ("nosuch/x", "CHAN_NOT_IMPLEMENTED", 0),
    ] {
        let mut lab = Lab::new(Options::default());
        let link = lab.listener();
        let told = dial(&mut lab, link, "A", to);
        assert_eq!(told.len(), 1 + others, "{:?}", names(&told));
        assert_eq!(told.last().unwrap()["_body"], format!("-ERR {cause}\n"));
    }
}

#[test]
fn limits_and_pauses_all_say_the_same() {
    for command in ["fsctl pause", "fsctl max_sessions 0", "fsctl sps 1"] {
        let mut lab = Lab::new(Options::default());
        let link = lab.listener();
        lab.api(link, command);
        let told = dial(&mut lab, link, "A", "user/1001");
        assert_eq!(told.last().unwrap()["_body"], "-ERR DESTINATION_OUT_OF_ORDER\n", "{command}");
    }
    let mut lab = Lab::new(Options::default());
    let link = lab.listener();
    lab.api(link, "fsctl pause inbound");
    assert!(names(&dial(&mut lab, link, "A", "user/1001")).contains(&"CHANNEL_PARK"), "calls of ours go on");
    assert!(!lab.machine.hostile_call("1", lab.now));
    lab.api(link, "fsctl resume inbound");
    assert!(lab.machine.hostile_call("1", lab.now));
}

#[test]
fn a_bridge_with_a_leg_that_rings_destroys_both() {
    let mut lab = Lab::new(Options::default());
    let link = lab.listener();
    dial(&mut lab, link, "A", "user/1001");
    lab.machine.plan("1002", Plan::rings());
    dial(&mut lab, link, "B", "user/1002");
    assert_eq!(lab.api(link, "uuid_bridge A B"), "+OK B\n");
    lab.pass(100);
    assert_eq!(lab.machine.stats().legs, 0);
}

#[test]
fn a_leg_of_the_directory_that_is_joined_at_once_says_it_was_canceled() {
    let mut lab = Lab::new(Options::default());
    let link = lab.listener();
    dial(&mut lab, link, "A", "user/1001");
    lab.send(link, "bgapi originate {origination_uuid=B}user/1002 &park()\n\n");
    lab.pass(100);
    lab.api(link, "uuid_bridge A B");
    lab.pass(100);
    let told = events(&lab.text(link));
    let job = told.iter().find(|event| event["Event-Name"] == "BACKGROUND_JOB");
    assert_eq!(job.unwrap()["_body"], "-ERR ORIGINATOR_CANCEL\n");
    assert!(names(&told).contains(&"CHANNEL_BRIDGE"));
    assert_eq!(lab.machine.heard("1001"), [Tone::of("1002")].into());
}

#[test]
fn the_lists_are_late_and_the_descriptions_are_not() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login();
    let mut late = 0;
    for number in 0..20 {
        lab.send(link, &format!("bgapi originate {{origination_uuid=L{number}}}user/1001 &park()\n\n"));
        late += usize::from(!lab.api(link, "show channels as json").contains(&format!("\"L{number}\"")));
        assert!(lab.api(link, &format!("uuid_dump L{number} json")).contains("\"Unique-ID\":\"L"));
    }
    assert!(late > 0);
    lab.pass(400);
    assert!(
        lab.api(link, "show channels as json").starts_with("{\"row_count\":20,\"rows\":[{\"uuid\":\"L0\"")
    );
}

#[test]
fn a_transfer_by_a_phone_goes_through_the_dialplan() {
    let mut lab = Lab::new(Options::default());
    let link = lab.listener();
    dial(&mut lab, link, "A", "user/1001");
    dial(&mut lab, link, "B", "user/1002");
    lab.api(link, "uuid_bridge A B");
    lab.pass(100);
    lab.machine.transfer("1002", "1003", lab.now);
    lab.pass(300);
    let told = events(&lab.text(link));
    let end = told.iter().find(|event| event["Event-Name"] == "CHANNEL_HANGUP_COMPLETE").unwrap();
    assert_eq!(
        (&end["Unique-ID"], &end["variable_endpoint_disposition"]),
        (&"B".into(), &"BLIND_TRANSFER".into())
    );
    assert_eq!(lab.machine.heard("1001"), [Tone::of("1003")].into());
    assert_eq!(lab.machine.transferred("1002"), Some(200));
}
