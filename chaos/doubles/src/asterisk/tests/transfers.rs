//! A phone's own transfer, as recorded.

use crate::double::{Extensions as _, Reachable as _};
use std::collections::BTreeSet;

use super::ari::{frames, socket};
use super::lab::Lab;
use super::transcripts::{options, replay, sections, told};
use crate::asterisk::{Options, Profile};
use crate::phone::{Act, Plan, Tone};

/// What a section's title orders the phones to do.
fn phones(lab: &mut Lab, order: &str) {
    let now = lab.now;
    match order.split(' ').collect::<Vec<_>>()[..] {
        ["transfer", number, to] => lab.machine.transfer(number, to, now),
        ["attended", number] => lab.machine.transfer_attended(number, now),
        ["hangup", number] => lab.machine.act(number, &Act::HangUp, now),
        ["hold", number] => lab.machine.act(number, &Act::Hold, now),
        ["call", number, to] => {
            lab.machine.foreign_call(number, to, now);
        }
        _ => {}
    }
    lab.collect();
}

fn replayed(text: &str, profile: Profile) {
    let mut lab = Lab::new(options(profile));
    let link = lab.login("ifbus", "on");
    let events = socket(&mut lab, "rec");
    let mut count = 0;
    for section in sections(text) {
        let title = section.title.clone();
        let Some((scene, order)) = title.split_once(": ") else {
            for number in ["1001", "1002", "1003"] {
                phones(&mut lab, &format!("hangup {number}"));
            }
            lab.pass(800);
            lab.inbox.clear();
            continue;
        };
        let plan = if title == "t4: transfer 1002 1003" { Plan::busy() } else { Plan::default() };
        lab.machine.plan("1003", plan);
        phones(&mut lab, order);
        if section.client.is_empty() {
            lab.pass(1200);
        }
        if ["leg", "join", "into"].iter().any(|word| order.starts_with(word)) {
            // What that says is compared elsewhere.
            for block in section.client {
                lab.send(link, block);
                lab.pass(800);
            }
            lab.inbox.clear();
            continue;
        }
        let ari = told(&section.ari);
        replay(&mut lab, link, section, 800);
        let heard = frames(&mut lab, events);
        assert_eq!(told(&heard), ari, "{title} ({}, {scene})", profile.version);
        count += 1;
    }
    assert_eq!(count, 26);
}

#[test]
fn transfers_run_as_on_22() {
    replayed(include_str!("../../../transcripts/asterisk/33-transfer.txt"), Profile::V22);
}

#[test]
fn transfers_run_as_on_16() {
    replayed(include_str!("../../../transcripts/asterisk/v16-33-transfer.txt"), Profile::V16);
}

fn tone(number: &str) -> BTreeSet<Tone> {
    BTreeSet::from([Tone::of(number)])
}

fn joined() -> (Lab, crate::asterisk::Link) {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    (lab, link)
}

#[test]
fn a_blind_transfer_leaves_the_transferee_with_the_guest_and_ends_with_him() {
    let (mut lab, _) = joined();
    phones(&mut lab, "transfer 1002 1003");
    assert_eq!(lab.machine.transferred("1002"), Some(202));
    lab.pass(300);
    assert_eq!(lab.machine.transferred("1002"), Some(200));
    assert_eq!((lab.machine.heard("1001"), lab.machine.heard("1003")), (tone("1003"), tone("1001")));
    assert_eq!(lab.machine.live("1002"), 0);
    phones(&mut lab, "hangup 1003");
    assert_eq!(lab.machine.stats().channels, 0, "the transferee came back to the Hangup of its place");
}

#[test]
fn an_attended_transfer_joins_the_partners_of_a_phone() {
    let (mut lab, _) = joined();
    phones(&mut lab, "hold 1002");
    assert_eq!(lab.machine.heard("1001"), BTreeSet::from([Tone::HoldMusic]));
    phones(&mut lab, "call 1002 1003");
    lab.pass(300);
    assert_eq!(lab.machine.live("1002"), 2);
    phones(&mut lab, "attended 1002");
    assert_eq!(lab.machine.transferred("1002"), Some(200));
    assert_eq!((lab.machine.heard("1001"), lab.machine.heard("1003")), (tone("1003"), tone("1001")));
    assert_eq!((lab.machine.live("1002"), lab.machine.stats().bridges), (0, 1));
}

#[test]
fn a_transferee_who_stood_in_consult_outlives_the_guest() {
    for how in ["transfer 1002 1003", "attended 1002"] {
        let (mut lab, link) = joined();
        lab.act(
            link,
            "Action: Redirect\nChannel: a\nContext: ifbus\nExten: consult\nPriority: 1\nExtraChannel: b\n\
             ExtraContext: ifbus\nExtraExten: park\nExtraPriority: 1",
        );
        lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
        if how.starts_with("attended") {
            phones(&mut lab, "call 1002 1003");
            lab.pass(300);
        }
        phones(&mut lab, how);
        lab.pass(300);
        phones(&mut lab, "hangup 1003");
        assert_eq!((lab.machine.live("1001"), lab.machine.stats().channels), (1, 1), "{how}");
        lab.pass(121_000);
        assert_eq!(lab.machine.stats().channels, 0, "{how}");
    }
}

#[test]
fn a_transfer_to_one_who_is_busy_ends_everybody_but_the_transferers_belief() {
    let (mut lab, _) = joined();
    lab.machine.plan("1003", Plan::busy());
    phones(&mut lab, "transfer 1002 1003");
    lab.pass(300);
    assert_eq!((lab.machine.transferred("1002"), lab.machine.stats().channels), (Some(503), 0));
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1002")), (0, 1));
    phones(&mut lab, "hangup 1002");
    assert_eq!(lab.machine.live("1002"), 0);
}

#[test]
fn a_transfer_that_is_impossible_changes_nothing() {
    let (mut lab, link) = joined();
    phones(&mut lab, "transfer 1002 888");
    assert_eq!((lab.machine.transferred("1002"), lab.machine.heard("1001")), (Some(404), tone("1002")));
    lab.leg(link, "1003", "c");
    phones(&mut lab, "transfer 1003 1004");
    assert_eq!((lab.machine.transferred("1003"), lab.machine.live("1003")), (Some(400), 1), "it waits");
}

#[test]
fn a_drained_server_drops_whom_a_phone_transfers() {
    let drains = [
        ("Action: Setvar\nVariable: IFBUS_DRAIN\nValue: yes", "42"),
        ("Action: PJSIPSetMaintenance\nEndpoint: all\nState: on", "3"),
    ];
    for (drain, cause) in drains {
        let (mut lab, link) = joined();
        lab.act(link, drain);
        phones(&mut lab, "transfer 1002 1003");
        let said = lab.heard(link);
        let end = said.iter().find(|m| m.get("Event") == "Hangup" && m.get("Uniqueid") == "a").unwrap();
        assert_eq!((end.get("Cause"), lab.machine.transferred("1002")), (cause, Some(503)), "{drain}");
    }
}

#[test]
fn a_recorder_goes_on_through_a_transfer() {
    let (mut lab, link) = joined();
    lab.act(link, "Action: MixMonitor\nChannel: a\nFile: ../recording/x.wav\nOptions: i(REC)");
    phones(&mut lab, "transfer 1002 1003");
    lab.pass(300);
    let said = lab.act(link, "Action: StopMixMonitor\nChannel: a");
    assert_eq!(said[0].get("Response"), "Success");
}
