//! The line protocol: framing, limits, rights, filters, lists.

use crate::double::{Extensions as _, Mortal as _, Reachable as _};
use std::time::Duration;

use super::lab::{Lab, events, messages, originate};
use crate::asterisk::{Door, Options, Profile};

fn lab() -> Lab {
    Lab::new(Options::default())
}

#[test]
fn any_split_of_the_input_gets_the_same_answers() {
    let script = "Action: Login\r\nUsername: ifbus\r\nSecret: ifbus-secret\r\nEvents: off\r\n\r\nAction: Ping\n\
                  ActionID: lf\n\nAction:CoreSettings\r\nactionid:  x\r\n\r\nnonsense\r\n\r\n\r\n";
    let whole = {
        let mut lab = lab();
        let link = lab.open(Door::Ami);
        lab.send(link, script);
        lab.text(link)
    };
    assert_eq!(whole.matches("Missing action in request").count(), 2, "{whole}");
    for cut in 1..script.len() {
        let mut lab = lab();
        let link = lab.open(Door::Ami);
        lab.send(link, &script[..cut]);
        lab.send(link, &script[cut..]);
        assert_eq!(lab.text(link), whole, "cut at {cut}");
    }
}

#[test]
fn long_lines_and_long_messages_are_refused_as_the_real_server_does() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    let said = lab.act(link, &format!("Action: Ping\nX: {}\nActionID: after", "x".repeat(1019)));
    assert_eq!(said[0].get("Ping"), "Pong", "1024 bytes with the line end are fine");
    let said = lab.act(link, &format!("Action: Ping\nX: {}\nActionID: after", "x".repeat(1100)));
    assert_eq!(
        (said[0].get("ActionID"), said[0].get("Message")),
        ("after", "Failed to parse message: line too long")
    );
    let said = lab.act(link, &format!("Action: Ping\nActionID: n\n{}", "X: y\n".repeat(126)));
    assert_eq!(said[0].get("Ping"), "Pong");
    let said = lab.act(link, &format!("Action: Ping\nActionID: n\n{}", "X: y\n".repeat(127)));
    assert_eq!(said[0].get("Message"), "Too many lines in message or allocation failure");
    lab.send(link, b"Action: Ping\0x\r\nActionID: nul\r\n\r\n");
    assert_eq!(lab.heard(link)[0].get("Ping"), "Pong");
}

#[test]
fn a_second_action_rides_along_in_a_value() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    lab.send(
        link,
        "Action: Setvar\r\nVariable: X\r\nValue: 1\r\n\r\nAction: Ping\r\nActionID: smuggled\r\n\r\n",
    );
    let said = lab.heard(link);
    assert_eq!((said[0].get("Message"), said[1].get("ActionID")), ("Variable Set", "smuggled"));
}

#[test]
fn a_session_without_login_is_closed() {
    let mut lab = lab();
    let link = lab.open(Door::Ami);
    assert_eq!(lab.text(link), "Asterisk Call Manager/11.0.0\r\n");
    lab.pass(29_000);
    assert!(lab.ended.is_empty());
    lab.pass(1_100);
    assert!(lab.ended.contains_key(&link));
}

#[test]
fn rights_are_those_of_the_user() {
    let mut lab = lab();
    let ifbus = lab.login("ifbus", "off");
    assert_eq!(
        lab.act(ifbus, "Action: Command\nCommand: core show uptime")[0].get("Message"),
        "Permission denied"
    );
    let unknown = lab.act(ifbus, "Action: Fly");
    let words = "Invalid/unknown command: Fly. Use Action: ListCommands to show available commands.";
    assert_eq!(unknown[0].get("Message"), words);
    let viewer = lab.login("viewer", "on");
    assert_eq!(lab.act(viewer, &originate("1001", "a"))[0].get("Message"), "Permission denied");
    assert_eq!(lab.act(viewer, "Action: CoreStatus")[0].get("CoreCurrentCalls"), "0");
    let commands = lab.act(ifbus, "Action: ListCommands");
    assert!(!commands[0].get("Originate").is_empty() && commands[0].get("Command").is_empty());
}

#[test]
fn filters_and_masks_choose_the_events() {
    let mut lab = lab();
    let watcher = lab.login("ifbus", "on");
    lab.act(watcher, "Action: Filter\nOperation: Add\nFilter: Event: OriginateResponse");
    let off = lab.login("ifbus", "off");
    let system = lab.login("ifbus", "system");
    let black = lab.login("admin", "on");
    lab.act(black, "Action: Filter\nOperation: Add\nFilter: !Event: VarSet");
    let worker = lab.login("ifbus", "call");
    lab.leg(worker, "1001", "a");
    assert_eq!(events(&lab.heard(watcher)), ["OriginateResponse"]);
    assert!(lab.heard(off).is_empty() && lab.heard(system).is_empty());
    let heard = lab.heard(black);
    assert!(events(&heard).contains(&"Newexten") && !events(&heard).contains(&"VarSet"));
}

#[test]
fn lists_name_every_channel_once_and_end_with_their_count() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    lab.pair(link);
    lab.act(link, "Action: Setvar\nChannel: a\nVariable: IFBUS_CALL\nValue: c1");
    let said = lab.act(link, "Action: Status\nActionID: s\nVariables: IFBUS_CALL");
    assert_eq!(
        (said[0].get("EventList"), said[1].get("Variable"), said[2].get("Variable")),
        ("start", "IFBUS_CALL=c1", "IFBUS_CALL=(null)")
    );
    assert_eq!(said[1].get("BridgeID"), said[2].get("BridgeID"));
    assert_eq!((said[3].get("Event"), said[3].get("ListItems")), ("StatusComplete", "2"));
    let one = lab.act(link, "Action: Status\nChannel: b");
    assert_eq!(one.len(), 3);
    assert_eq!(lab.act(link, "Action: Status\nChannel: nope")[0].get("Message"), "No such channel");
    let said = lab.act(link, "Action: CoreShowChannels");
    assert_eq!(said.last().unwrap().get("ListItems"), "2");
    let dialplan = lab.act(link, "Action: ShowDialPlan\nContext: ifbus\nExtension: wait");
    assert_eq!(dialplan.last().unwrap().get("ListPriorities"), "3");
    assert_eq!(
        lab.act(link, "Action: ShowDialPlan\nContext: no")[0].get("Message"),
        "Did not find context no"
    );
}

#[test]
fn a_server_without_our_dialplan_is_set_up_over_ami_until_a_reload() {
    let mut lab = Lab::new(Options { dialplan: false, ..Options::default() });
    let link = lab.login("ifbus", "off");
    assert_eq!(lab.act(link, &originate("1001", "a"))[0].get("Message"), "Extension does not exist.");
    for (priority, app) in
        [(1, "Answer"), (2, "Wait\nApplicationData: 86400"), (3, "Hangup\nApplicationData: 16")]
    {
        let add = "Action: DialplanExtensionAdd\nContext: ifbus\nExtension: wait";
        let said = lab.act(link, &format!("{add}\nPriority: {priority}\nApplication: {app}"));
        assert_eq!(said[0].get("Message"), "Added requested extension");
    }
    assert_eq!(lab.act(link, &originate("1001", "a"))[0].get("Response"), "Success");
    lab.act(link, "Action: Reload\nModule: pbx_config");
    assert_eq!(lab.act(link, &originate("1002", "b"))[0].get("Message"), "Extension does not exist.");
}

#[test]
fn values_of_variables_keep_quoted_commas() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    lab.act(
        link,
        &format!("{}\nVariable: V1=a,V2=b\nVariable: W1=\"a,b\"\nVariable: W2=a\\,b", originate("1001", "a")),
    );
    for (name, value) in [("V1", "a"), ("V2", "b"), ("W1", "a,b"), ("W2", "a,b")] {
        let said = lab.act(link, &format!("Action: Getvar\nChannel: a\nVariable: {name}"));
        assert_eq!(said[0].get("Value"), value);
    }
}

#[test]
fn a_hostile_caller_forges_messages() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.hostile_call(
        "777\r\n\r\nEvent: Hangup\r\nUniqueid: victim\r\nCause: 16\r\n\r\nEvent: Junk\r\nZ: z",
        lab.now,
    );
    lab.collect();
    let said = lab.heard(link);
    assert!(said.iter().any(|m| m.get("Event") == "Hangup" && m.get("Uniqueid") == "victim"));
    let listed = lab.act(link, "Action: CoreShowChannels");
    assert!(listed.iter().any(|m| m.get("Event") == "Hangup" && m.get("Uniqueid") == "victim"));
}

#[test]
fn a_dead_trunk_is_noticed_and_refused_without_a_channel() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    let mut faults = lab.machine.faults().clone();
    faults.sip_dead = true;
    lab.machine.set_faults(faults.clone(), lab.now);
    lab.act(link, "Action: PJSIPQualify\nEndpoint: trunk");
    lab.pass(2_100);
    assert!(lab.heard(link).iter().any(|m| m.get("ContactStatus") == "Unreachable"));
    let said = lab.act(link, &originate("1@trunk", "a"));
    assert_eq!(events(&said), ["OriginateResponse"]);
    faults.sip_dead = false;
    lab.machine.set_faults(faults, lab.now);
    lab.pass(15_100);
    assert!(lab.heard(link).iter().any(|m| m.get("ContactStatus") == "Reachable"));
}

#[test]
fn a_restart_has_a_new_boot_time_and_no_calls() {
    let mut lab = lab();
    let link = lab.login("ifbus", "off");
    lab.pair(link);
    let before = lab.act(link, "Action: CoreStatus")[0].clone();
    lab.machine.restart(lab.now + Duration::from_millis(10));
    lab.collect();
    assert!(lab.ended.contains_key(&link));
    let again = lab.login("ifbus", "off");
    let after = lab.act(again, "Action: CoreStatus")[0].clone();
    assert_ne!(before.get("CoreStartupTime"), after.get("CoreStartupTime"));
    assert_eq!((before.get("CoreCurrentCalls"), after.get("CoreCurrentCalls")), ("2", "0"));
}

#[test]
fn a_shutdown_hangs_up_then_says_so_then_ends() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.leg(link, "1001", "a");
    lab.inbox.clear();
    lab.machine.shut_down(lab.now);
    lab.collect();
    assert_eq!(events(&lab.heard(link)).last(), Some(&"DeviceStateChange"));
    lab.pass(1_000);
    let text = lab.text(link);
    assert!(messages(&text).iter().any(|m| m.get("Shutdown") == "Cleanly"), "{text}");
    assert!(lab.ended.contains_key(&link) && lab.machine.is_down());
}

#[test]
fn a_server_that_is_to_stop_refuses_every_action() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.machine.refuse_actions(true);
    assert_eq!(lab.act(link, "Action: Ping")[0].get("Message"), "Asterisk is shutting down");
    assert_eq!(lab.machine.live("1001"), 1);
    lab.machine.refuse_actions(false);
    assert_eq!(lab.act(link, "Action: Ping")[0].get("Ping"), "Pong");
}

#[test]
fn versions_differ_where_they_did() {
    let ask = |profile| {
        let mut lab = Lab::new(Options::new(profile));
        let link = lab.login("ifbus", "off");
        let settings = lab.act(link, "Action: CoreSettings")[0].clone();
        let maintenance = lab.act(link, "Action: PJSIPSetMaintenance\nEndpoint: all")[0].clone();
        (settings.get("AMIversion").to_owned(), settings.keys().len(), maintenance.get("Message").to_owned())
    };
    let (old, new) = (ask(Profile::V16), ask(Profile::V22));
    assert_eq!((old.0.as_str(), new.0.as_str(), new.1 - old.1), ("5.0.4", "11.0.0", 1));
    assert!(old.2.starts_with("Invalid/unknown command"), "{}", old.2);
    assert_eq!(new.2, "State parameter missing");
}
