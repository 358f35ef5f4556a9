//! Calls: what happens to legs and bridges, and what the phones hear of it.

use crate::double::{Extensions as _, Reachable as _};
use std::collections::BTreeSet;
use std::time::Duration;

use super::lab::{Lab, events, originate};
use crate::asterisk::{Options, Profile};
use crate::phone::{Act, Plan, Tone};

fn lab() -> Lab {
    Lab::new(Options::default())
}

#[test]
fn two_joined_legs_hear_each_other() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    assert_eq!(lab.machine.heard("1001"), BTreeSet::from([Tone::of("1002")]));
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::of("1001")]));
    assert_eq!(lab.machine.rings("1001"), 1);
    assert_eq!(lab.machine.live("1001"), 1);
    assert_eq!(lab.machine.stats().channels, 2);
}

#[test]
fn a_parked_pair_lives_on_with_music_and_can_be_joined_again() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let park = "Action: Redirect\nChannel: b\nContext: ifbus\nExten: hold\nPriority: 1\nExtraChannel: a\n\
                ExtraContext: ifbus\nExtraExten: wait\nExtraPriority: 1";
    let said = lab.act(link, park);
    assert_eq!(said[0].get("Message"), "Dual Redirect successful");
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::HoldMusic]));
    assert_eq!(lab.machine.heard("1001"), BTreeSet::new());
    let said = lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b\nTone: no");
    assert_eq!(said[0].get("Message"), "Channels have been bridged");
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::of("1001")]));
}

#[test]
fn the_partner_of_a_leg_that_hangs_up_ends_by_itself() {
    for profile in [Profile::V16, Profile::V22] {
        let mut lab = Lab::new(Options::new(profile));
        let link = lab.login("ifbus", "on");
        lab.pair(link);
        lab.machine.act("1002", &Act::HangUp, lab.now);
        lab.collect();
        let said = lab.heard(link);
        assert_eq!(events(&said)[..3], ["HangupRequest", "BridgeLeave", "BridgeLeave"]);
        let ends: Vec<_> = said.iter().filter(|m| m.get("Event") == "Hangup").collect();
        assert_eq!(ends.len(), 2);
        assert!(ends.iter().all(|m| m.get("Cause") == "16"));
        assert_eq!(lab.machine.stats().channels, 0);
    }
}

#[test]
fn a_single_redirect_ends_the_partner() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.act(link, "Action: Redirect\nChannel: b\nContext: ifbus\nExten: hold\nPriority: 1");
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1002")), (0, 1));
}

#[test]
fn a_leg_at_stay_outlives_its_partner() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.act(
        link,
        "Action: Redirect\nChannel: a\nContext: ifbus\nExten: stay\nPriority: 1\nExtraChannel: b\n\
         ExtraContext: ifbus\nExtraExten: wait\nExtraPriority: 1",
    );
    lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
    lab.machine.act("1002", &Act::HangUp, lab.now);
    lab.collect();
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1002")), (1, 0));
}

#[test]
fn joining_a_joined_pair_fails_and_tears_it_apart() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    let said = lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b");
    assert_eq!(said[0].get("Message"), "Unable to add Channel2 to bridge: PJSIP/1002-00000001");
    assert_eq!(lab.machine.stats().bridges, 0);
    assert_eq!(lab.machine.stats().channels, 0, "both go on to the Hangup of their extension");
}

#[test]
fn joining_one_of_a_pair_to_a_third_releases_the_other() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.leg(link, "1003", "c");
    lab.act(link, "Action: Bridge\nChannel1: b\nChannel2: c");
    assert_eq!(lab.machine.live("1001"), 0);
    assert_eq!(lab.machine.heard("1003"), BTreeSet::from([Tone::of("1002")]));
    assert_eq!(lab.machine.stats().bridges, 1);
}

#[test]
fn a_bridge_with_a_ringing_leg_succeeds_late_and_spoils_the_originate() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.plan("1002", Plan::rings());
    lab.leg(link, "1001", "a");
    lab.leg(link, "1002", "b");
    lab.inbox.clear();
    assert_eq!(lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: b"), vec![]);
    lab.pass(500);
    let said = lab.heard(link);
    assert_eq!(said[0].get("Message"), "Channels have been bridged");
    let response = said.iter().find(|m| m.get("Event") == "OriginateResponse").unwrap();
    assert_eq!((response.get("Response"), response.get("Reason")), ("Failure", "0"));
}

#[test]
fn refusals_end_with_their_cause_and_reason_zero() {
    let cases = [
        (Plan::busy(), "17", "BUSY", "486"),
        (Plan::declines(), "21", "NOANSWER", "603"),
        (Plan::not_found(), "1", "NOANSWER", "404"),
        (Plan::unavailable(), "19", "NOANSWER", "480"),
        (Plan::congested(), "34", "CONGESTION", "503"),
    ];
    for (plan, cause, status, sip) in cases {
        let mut lab = lab();
        let link = lab.login("ifbus", "on");
        lab.machine.plan("1001", plan);
        lab.act(link, &originate("1001", "a"));
        lab.pass(200);
        let said = lab.heard(link);
        let one = |event: &str| said.iter().find(|m| m.get("Event") == event).unwrap().clone();
        assert_eq!((one("Hangup").get("Cause"), one("Hangup").get("TechCause")), (cause, sip));
        assert_eq!(one("DialEnd").get("DialStatus"), status);
        assert_eq!(one("OriginateResponse").get("Reason"), "0");
    }
}

#[test]
fn the_events_that_end_a_leg_come_in_every_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..60 {
        let mut lab = Lab::new(Options::default().with_seed(seed));
        let link = lab.login("ifbus", "on");
        lab.machine.plan("1001", Plan::busy());
        lab.act(link, &originate("1001", "a"));
        lab.pass(200);
        let said = lab.heard(link);
        let order: Vec<String> = events(&said)
            .into_iter()
            .filter(|e| ["Hangup", "DialEnd", "OriginateResponse"].contains(e))
            .map(str::to_owned)
            .collect();
        orders.insert(order);
    }
    assert_eq!(orders.len(), 6);
}

#[test]
fn an_originate_times_out_with_reason_three() {
    for (profile, cause) in [(Profile::V16, "0"), (Profile::V22, "19")] {
        for plan in [Plan::rings(), Plan::silent()] {
            let mut lab = Lab::new(Options::new(profile));
            let link = lab.login("ifbus", "on");
            lab.machine.plan("1001", plan);
            lab.act(link, &originate("1001", "a"));
            lab.pass(10_000);
            let said = lab.heard(link);
            assert!(!events(&said).contains(&"DialEnd"));
            let gone = said.iter().find(|m| m.get("Event") == "Hangup").unwrap();
            let response = said.iter().find(|m| m.get("Event") == "OriginateResponse").unwrap();
            assert_eq!((gone.get("Cause"), response.get("Reason")), (cause, "3"));
        }
    }
}

#[test]
fn a_peer_that_says_nothing_for_32_seconds_is_not_there() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.plan("1001", Plan::silent());
    lab.act(link, &originate("1001", "a").replace("10000", "60000"));
    lab.pass(33_000);
    let said = lab.heard(link);
    let gone = said.iter().find(|m| m.get("Event") == "Hangup").unwrap();
    assert_eq!((gone.get("Cause"), gone.get("TechCause")), ("18", "408"));
    assert_eq!(lab.machine.rings("1001"), 0);
}

#[test]
fn an_unreachable_target_shows_in_the_originate_response_alone() {
    for target in ["1010", "nosuch", "x@deadtrunk"] {
        let mut lab = lab();
        let link = lab.login("ifbus", "on");
        let said = lab.act(link, &originate(target, "a"));
        assert_eq!(events(&said), ["OriginateResponse"], "{target}");
        assert_eq!((said[1].get("Response"), said[1].get("Reason")), ("Failure", "0"));
    }
}

#[test]
fn a_used_id_is_queued_and_fails_late() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.leg(link, "1001", "a");
    lab.inbox.clear();
    let said = lab.act(link, &originate("1002", "a"));
    assert_eq!(said[0].get("Message"), "Originate successfully queued");
    assert_eq!((said[1].get("Event"), said[1].get("Reason")), ("OriginateResponse", "0"));
    assert_eq!(lab.machine.rings("1002"), 0);
}

#[test]
fn an_early_end_by_us_is_told_as_such() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.plan("1001", Plan::rings());
    lab.leg(link, "1001", "a");
    lab.inbox.clear();
    let said = lab.act(link, "Action: Hangup\nChannel: a");
    assert_eq!(said[0].get("Message"), "Channel Hungup");
    assert_eq!(said.iter().find(|m| m.get("Event") == "DialEnd").unwrap().get("DialStatus"), "NOANSWER");
    assert_eq!(said.iter().find(|m| m.get("Event") == "Hangup").unwrap().get("Cause"), "0");
    assert_eq!(lab.act(link, "Action: Hangup\nChannel: a")[0].get("Message"), "No such channel");
}

#[test]
fn early_media_is_progress_without_ringing() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.plan("1001", Plan::default().with_early_media(Duration::from_millis(10)));
    lab.act(link, &originate("1001", "a"));
    lab.pass(50);
    let said = lab.heard(link);
    let state = said.iter().find(|m| m.get("Event") == "DialState").unwrap();
    assert_eq!(state.get("DialStatus"), "PROGRESS");
    assert!(!events(&said).contains(&"Newstate"));
}

#[test]
fn digits_pass_unseen_through_a_native_bridge_and_are_seen_without() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.machine.act("1001", &Act::Press("12".into()), lab.now);
    lab.pass(500);
    assert_eq!(lab.machine.digits("1002"), "12");
    assert!(events(&lab.heard(link)).is_empty());
    lab.act(link, "Action: Hangup\nChannel: a");
    lab.act(link, "Action: BridgeTechnologySuspend\nBridgeTechnology: native_rtp");
    lab.pair(link);
    lab.machine.act("1001", &Act::Press("3".into()), lab.now);
    lab.pass(500);
    let said = lab.heard(link);
    assert_eq!(events(&said), ["DTMFBegin", "DTMFBegin", "TestEvent", "DTMFEnd", "DTMFEnd"]);
    assert_eq!(lab.machine.digits("1002"), "123");
}

#[test]
fn playing_a_digit_holds_the_session_up_as_long_as_it_sounds() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    assert_eq!(lab.act(link, "Action: PlayDTMF\nChannel: b\nDigit: 5\nDuration: 150"), vec![]);
    assert_eq!(lab.act(link, "Action: Ping"), vec![], "the ping waits its turn");
    lab.pass(150);
    let said = lab.heard(link);
    assert_eq!(said[0].get("Message"), "DTMF successfully queued");
    assert_eq!(said.last().unwrap().get("Ping"), "Pong");
    assert_eq!(lab.machine.digits("1002"), "5");
}

#[test]
fn a_muted_leg_is_not_heard() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: in\nState: on");
    assert_eq!(lab.machine.heard("1002"), BTreeSet::new());
    assert_eq!(lab.machine.heard("1001"), BTreeSet::from([Tone::of("1002")]));
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: in\nState: off");
    lab.act(link, "Action: MuteAudio\nChannel: a\nDirection: out\nState: on");
    assert_eq!(lab.machine.heard("1001"), BTreeSet::new());
}

#[test]
fn a_phone_that_holds_leaves_music_to_the_other() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.machine.act("1001", &Act::Hold, lab.now);
    lab.collect();
    assert_eq!(events(&lab.heard(link)), ["Hold", "MusicOnHoldStart"]);
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::HoldMusic]));
    lab.machine.act("1001", &Act::Resume, lab.now);
    lab.collect();
    assert_eq!(events(&lab.heard(link)), ["Unhold", "MusicOnHoldStop"]);
    assert_eq!(lab.machine.heard("1002"), BTreeSet::from([Tone::of("1001")]));
}

#[test]
fn a_plan_carries_itself_out_after_the_answer() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    let plan = Plan::default()
        .then_presses(Duration::from_millis(400), "4")
        .then_hangs_up(Duration::from_millis(900));
    lab.machine.plan("1001", plan);
    lab.pair(link);
    lab.pass(1000);
    assert_eq!(lab.machine.digits("1002"), "4");
    assert_eq!(lab.machine.stats().channels, 0);
}

#[test]
fn a_foreign_call_is_dialled_answered_and_ended_by_its_phones() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.pass(300);
    assert_eq!(lab.machine.heard("1003"), BTreeSet::from([Tone::of("1004")]));
    let said = lab.act(link, "Action: CoreShowChannels");
    let ids: Vec<_> = said.iter().filter(|m| m.get("Event") == "CoreShowChannel").collect();
    assert!(ids.iter().all(|m| m.get("Uniqueid").starts_with("lab-")));
    assert_eq!(ids[0].get("BridgeId"), ids[1].get("BridgeId"));
    lab.machine.act("1004", &Act::HangUp, lab.now);
    lab.collect();
    assert_eq!(lab.machine.stats().channels, 0);
    lab.machine.plan("1004", Plan::rings());
    lab.machine.foreign_call("1003", "1004", lab.now);
    lab.pass(30_500);
    assert_eq!(lab.machine.stats().channels, 0, "Dial gives up after 30 s");
}

#[test]
fn ringback_is_heard_where_it_is_asked_for() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.act(link, &originate("1001", "a").replace("wait", "ringback"));
    lab.pass(200);
    assert_eq!(lab.machine.heard("1001"), BTreeSet::from([Tone::Ringback]));
}

#[test]
fn a_thousand_joined_calls_are_cheap_and_the_same_seed_gives_the_same_trace() {
    let run = || {
        let mut lab = Lab::new(Options::default().with_phones(2000..=3999));
        let link = lab.login("ifbus", "on");
        for call in 0..1000 {
            lab.act(link, &originate(&(2000 + 2 * call).to_string(), &format!("{call}-a")));
            lab.act(link, &originate(&(2001 + 2 * call).to_string(), &format!("{call}-b")));
        }
        lab.pass(200);
        for call in 0..1000 {
            lab.act(link, &format!("Action: Bridge\nChannel1: {call}-a\nChannel2: {call}-b"));
        }
        assert_eq!((lab.machine.stats().channels, lab.machine.stats().bridges), (2000, 1000));
        assert_eq!(lab.machine.heard("3999"), BTreeSet::from([Tone::of("3998")]));
        lab.act(link, "Action: CoreShowChannels")
    };
    assert_eq!(run(), run());
}

#[test]
fn a_redirect_of_one_who_waits_and_one_of_a_pair_closes_the_pair() {
    let mut lab = lab();
    let link = lab.login("ifbus", "on");
    lab.pair(link);
    lab.leg(link, "1003", "c");
    lab.act(
        link,
        "Action: Redirect\nChannel: c\nContext: ifbus\nExten: hold\nPriority: 1\nExtraChannel: a\n\
         ExtraContext: ifbus\nExtraExten: park\nExtraPriority: 1",
    );
    assert_eq!((lab.machine.stats().bridges, lab.machine.live("1002")), (0, 0));
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1003")), (1, 1));
}
