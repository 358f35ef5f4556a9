//! Each fault does what it says, and only while it is in force.

use std::time::Duration;

use super::lab::{Lab, events};
use crate::double::{Double as _, Extensions as _, Mortal as _};
use crate::faults::Faults;
use crate::freeswitch::{Door, Options};

fn lab() -> Lab {
    Lab::new(Options::default())
}

fn set(lab: &mut Lab, change: impl FnOnce(&mut Faults)) {
    let mut faults = Faults::default();
    change(&mut faults);
    lab.machine.set_faults(faults, lab.now);
    lab.collect();
}

#[test]
fn a_frozen_server_does_nothing_and_then_goes_on() {
    let mut lab = lab();
    let link = lab.login();
    set(&mut lab, |faults| faults.freeze = true);
    lab.send(link, "api echo x\n\n");
    lab.pass(5_000);
    assert_eq!(lab.text(link), "");
    set(&mut lab, |_| ());
    assert!(lab.text(link).ends_with('x'));
}

#[test]
fn replies_are_lost_doubled_or_late() {
    let mut lab = lab();
    let link = lab.login();
    set(&mut lab, |faults| faults.lose_replies = 1.0);
    assert_eq!(lab.api(link, "echo x"), "");
    set(&mut lab, |faults| faults.duplicate_replies = 1.0);
    lab.send(link, "api echo x\n\n");
    assert_eq!(lab.text(link).matches("api/response").count(), 2);
    set(&mut lab, |faults| faults.late = Some(Duration::from_secs(3)));
    lab.send(link, "api echo x\n\n");
    assert_eq!(lab.text(link), "");
    lab.pass(3_000);
    assert!(lab.text(link).ends_with('x'));
}

#[test]
fn a_message_may_be_cut_in_its_middle() {
    let mut lab = lab();
    let link = lab.listener();
    set(&mut lab, |faults| faults.cut_next = true);
    lab.send(link, "bgapi echo x\n\n");
    lab.pass(10);
    let said = lab.text(link);
    assert!(!said.is_empty() && !said.ends_with("\n\n"), "{said:?}");
    assert_eq!(lab.closed, [link]);
}

#[test]
fn a_killed_server_says_nothing_and_comes_back_another_one() {
    let mut lab = lab();
    let link = lab.login();
    lab.send(link, "bgapi originate {origination_uuid=A}user/1001 &park()\n\n");
    lab.pass(200);
    let core = lab.api(link, "global_getvar core_uuid");
    lab.api(link, "fsctl pause inbound");
    lab.text(link);
    lab.machine.kill(lab.now);
    lab.collect();
    assert_eq!((lab.text(link).as_str(), lab.closed.as_slice()), ("", &[link][..]));
    assert!(!lab.machine.is_open(Door::Socket));
    lab.machine.restart(lab.now);
    let link = lab.login();
    assert_ne!(lab.api(link, "global_getvar core_uuid"), core);
    assert_eq!(lab.api(link, "show channels as json"), "{\"row_count\": 0}");
    assert_eq!(lab.api(link, "fsctl pause_check inbound"), "false", "a pause is forgotten");
    assert_eq!(lab.machine.live("1001"), 0);
}

#[test]
fn a_server_that_goes_down_tells_of_every_end() {
    let mut lab = lab();
    let link = lab.listener();
    lab.send(link, "bgapi originate {origination_uuid=A}user/1001 &park()\n\n");
    lab.pass(200);
    lab.text(link);
    lab.machine.shut_down(lab.now);
    lab.collect();
    let said = lab.text(link);
    let told = events(&said);
    assert_eq!(told[0]["Event-Name"], "SHUTDOWN");
    assert!(told.iter().any(|event| event["Hangup-Cause"] == "SYSTEM_SHUTDOWN"));
    lab.pass(1_000);
    let notice =
        "Content-Type: text/disconnect-notice\nContent-Length: 31\n\nThe system is being shut down.\n";
    assert_eq!(lab.text(link), notice);
    assert_eq!(lab.closed, [link]);
}

#[test]
fn a_dead_sip_rings_nobody() {
    let mut lab = lab();
    let link = lab.login();
    set(&mut lab, |faults| faults.sip_dead = true);
    lab.send(link, "bgapi originate {origination_uuid=A,originate_timeout=2}user/1001 &park()\n\n");
    lab.pass(3_000);
    assert_eq!((lab.machine.rings("1001"), lab.machine.stats().legs), (0, 0));
}

#[test]
fn garbage_and_slowness_reach_every_connection() {
    let mut lab = lab();
    let link = lab.login();
    lab.machine.garbage(lab.now);
    let mut bytes = vec![];
    while let Some(output) = lab.machine.poll() {
        if let crate::freeswitch::Output::Bytes(to, said) = output {
            assert_eq!(to, link);
            bytes.extend(said);
        }
    }
    assert!(bytes.len() >= 20);
    set(&mut lab, |faults| faults.slow = Some(Duration::from_millis(10)));
    lab.send(link, "api echo x\n\n");
    lab.pass(100);
    assert_eq!(lab.text(link).len(), 10);
}
