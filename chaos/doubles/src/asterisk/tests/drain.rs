//! Keeping new calls away, as recorded.

use super::ari::{frames, socket};
use super::lab::{Lab, Said, originate};
use super::transcripts::{options, replay, sections};
use crate::asterisk::channels::Party;
use crate::asterisk::{Options, Profile, Stats};
use crate::double::{Extensions as _, Mortal as _, Reachable as _};
use crate::phone::Act;

fn trunk_calls(lab: &mut Lab, exten: &str) {
    let caller = Party { number: Some("x".into()), name: None };
    lab.machine.world.inbound("trunk", caller, "x", exten);
}

fn about_maintenance(title: &str) -> bool {
    ["maintenance", " from ", "calls while on"].iter().any(|words| title.contains(words))
}

fn replayed(text: &str, profile: Profile, expected: usize) {
    let mut lab = Lab::new(options(profile));
    let link = lab.login("ifbus", "on");
    let mut count = 0;
    for section in sections(text) {
        let title = section.title.clone();
        let old = !profile.maintenance;
        match title.as_str() {
            // Without maintenance these calls came in, as any other.
            t if old && t != "maintenance missing" && about_maintenance(t) => continue,
            // That server had not yet found its trunk.
            "originate trunk" if old => continue,
            "" => continue,
            "invite from trunk" => trunk_calls(&mut lab, "604"),
            "invite from phone" | "phone of the talk calls while on" => {
                lab.machine.foreign_call("1005", "604", lab.now);
            }
            "invitations and an originate, draining" => {
                trunk_calls(&mut lab, "604");
                trunk_calls(&mut lab, "1006");
                lab.machine.foreign_call("1005", "1006", lab.now);
                lab.collect();
            }
            _ => {}
        }
        lab.collect();
        replay(&mut lab, link, section, 800);
        count += 1;
    }
    assert_eq!(count, expected);
}

#[test]
fn drain_runs_as_on_22() {
    replayed(include_str!("../../../transcripts/asterisk/32-drain.txt"), Profile::V22, 21);
}

#[test]
fn drain_runs_as_on_16() {
    replayed(include_str!("../../../transcripts/asterisk/v16-32-drain.txt"), Profile::V16, 13);
}

#[test]
fn maintenance_refuses_new_calls_both_ways_and_touches_none_in_progress() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    let events = socket(&mut lab, "bus");
    lab.pair(link);
    lab.act(link, "Action: PJSIPSetMaintenance\nEndpoint: all\nState: on");
    frames(&mut lab, events);
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.act(link, &originate("1005", "c"));
    lab.pass(500);
    assert_eq!(lab.machine.stats(), Stats { refused: 1, channels: 2, ..lab.machine.stats() });
    assert_eq!(frames(&mut lab, events), Vec::<serde_json::Value>::new(), "no channel was ever made");
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1002")), (1, 1));
    lab.act(link, "Action: PJSIPSetMaintenance\nEndpoint: all\nState: off");
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.pass(500);
    assert_eq!(lab.machine.live("1004"), 1);
}

#[test]
fn a_restart_forgets_maintenance_and_the_global_variable() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "off");
    lab.act(link, "Action: PJSIPSetMaintenance\nEndpoint: all\nState: on");
    lab.act(link, "Action: Setvar\nVariable: IFBUS_DRAIN\nValue: yes");
    lab.machine.restart(lab.now);
    lab.collect();
    let link = lab.login("ifbus", "off");
    let value = lab.act(link, "Action: Getvar\nVariable: IFBUS_DRAIN");
    assert_eq!(value[0].get("Value"), "");
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.pass(500);
    assert_eq!(lab.machine.live("1004"), 1);
}

#[test]
fn the_global_variable_refuses_who_asks_for_it_and_outlives_a_reload() {
    let mut lab = Lab::new(Options::new(Profile::V16));
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.act(link, "Action: Setvar\nVariable: IFBUS_DRAIN\nValue: yes");
    lab.act(link, "Action: Reload\nModule: pbx_config");
    lab.inbox.clear();
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.collect();
    let said = lab.heard(link);
    let hangup: Vec<&Said> = said.iter().filter(|m| m.get("Event") == "Hangup").collect();
    assert_eq!((hangup.len(), hangup[0].get("Cause"), hangup[0].get("Context")), (1, "42", "ifbus-inbound"));
    assert_eq!((lab.machine.rings("1004"), lab.machine.stats().refused), (0, 1));
    lab.leg(link, "1005", "c");
    assert_eq!(lab.machine.live("1005"), 1, "our own calls do not ask");
    lab.act(link, "Action: Setvar\nVariable: IFBUS_DRAIN\nValue: ");
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.pass(500);
    assert_eq!(lab.machine.live("1004"), 1);
    lab.machine.act("1001", &Act::HangUp, lab.now);
    assert_eq!(lab.machine.stats().refused, 1);
}

#[test]
fn a_viewer_may_read_the_variable_and_the_list_but_change_nothing() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("viewer", "off");
    let mut first = |action: &str| lab.act(link, action)[0].clone();
    assert_eq!(
        first("Action: Setvar\nVariable: IFBUS_DRAIN\nValue: yes").get("Message"),
        "Permission denied"
    );
    let set = first("Action: PJSIPSetMaintenance\nEndpoint: all\nState: on");
    assert_eq!(set.get("Message"), "Permission denied");
    assert_eq!(first("Action: Getvar\nVariable: IFBUS_DRAIN").get("Response"), "Success");
    assert_eq!(first("Action: PJSIPShowMaintenance").get("Response"), "Success");
}
