//! Conferences: as recorded, and what their members hear.

use crate::double::Extensions as _;
use std::collections::BTreeSet;

use super::ari::{frames, socket};
use super::lab::{Lab, Said, events};
use super::transcripts::{options, replay, sections, told};
use crate::asterisk::{Link, Options, Profile};
use crate::phone::{Act, Tone};

const ROOM: &str = "conf-0123456789abcdef-board";

/// Replays a recording section by section; phones do what the title says.
fn replayed(text: &str, profile: Profile) {
    let mut lab = Lab::new(options(profile));
    let link = lab.login("ifbus", "on");
    let events = socket(&mut lab, "rec");
    let mut count = 0;
    for section in sections(text) {
        let title = section.title.clone();
        match title.as_str() {
            // The rest of the context is written differently here.
            "" | "ShowDialPlan" => continue,
            "phone b holds" => lab.machine.act("1002", &Act::Hold, lab.now),
            "phone b resumes" => lab.machine.act("1002", &Act::Resume, lab.now),
            "phone b presses" => lab.machine.act("1002", &Act::Press("5".into()), lab.now),
            "phone a hangs up: last one" => lab.machine.act("1001", &Act::HangUp, lab.now),
            _ => {}
        }
        lab.collect();
        if section.client.is_empty() {
            lab.pass(800);
        }
        let ari = told(&section.ari);
        replay(&mut lab, link, section, 800);
        let heard = frames(&mut lab, events);
        assert_eq!(told(&heard), ari, "{title} ({})", profile.version);
        count += 1;
    }
    assert_eq!(count, 32);
}

#[test]
fn a_room_runs_as_on_22() {
    replayed(include_str!("../../../transcripts/asterisk/30-rooms.txt"), Profile::V22);
}

#[test]
fn a_room_runs_as_on_16() {
    replayed(include_str!("../../../transcripts/asterisk/v16-30-rooms.txt"), Profile::V16);
}

/// The steps of the room's extension in a `ShowDialPlan`.
fn steps(said: &[Said]) -> Vec<(&str, &str, &str)> {
    let of_room = said.iter().filter(|m| m.get("Extension") == "_co[n]f-.");
    of_room.map(|m| (m.get("Priority"), m.get("Application"), m.get("AppData"))).collect()
}

#[test]
fn the_rooms_extension_is_shown_as_on_the_real_server() {
    let text = include_str!("../../../transcripts/asterisk/30-rooms.txt");
    let recorded = sections(text).into_iter().find(|s| s.title == "ShowDialPlan").unwrap();
    let mut lab = Lab::new(options(Profile::V22));
    let link = lab.login("ifbus", "off");
    let said = lab.act(link, "Action: ShowDialPlan\nContext: ifbus");
    assert_eq!(steps(&said).len(), 6);
    assert_eq!(steps(&said), steps(&recorded.server));
}

fn enter(lab: &mut Lab, link: Link, id: &str) {
    let said = lab
        .act(link, &format!("Action: Redirect\nChannel: {id}\nContext: ifbus\nExten: {ROOM}\nPriority: 1"));
    assert_eq!(said[0].get("Message"), "Redirect successful");
}

fn three() -> (Lab, Link) {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    for (number, id) in [("1001", "a"), ("1002", "b"), ("1003", "c")] {
        lab.leg(link, number, id);
        enter(&mut lab, link, id);
    }
    (lab, link)
}

fn tones(numbers: &[&str]) -> BTreeSet<Tone> {
    numbers.iter().map(|number| Tone::of(number)).collect()
}

#[test]
fn one_who_is_alone_in_a_room_hears_nothing_and_three_hear_each_other() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.leg(link, "1001", "a");
    enter(&mut lab, link, "a");
    assert_eq!(lab.machine.heard("1001"), BTreeSet::new());
    let (lab, _) = three();
    assert_eq!(lab.machine.heard("1001"), tones(&["1002", "1003"]));
    assert_eq!(lab.machine.heard("1003"), tones(&["1001", "1002"]));
}

#[test]
fn a_muted_member_is_not_heard_and_hears_however_he_was_muted() {
    let (mut lab, link) = three();
    let ways = [
        (
            "Action: MuteAudio\nChannel: b\nDirection: in\nState: on",
            "Action: MuteAudio\nChannel: b\nDirection: in\nState: off",
        ),
        (
            "Action: ConfbridgeMute\nConference: 0123456789abcdef-board\nChannel: PJSIP/1002-00000001",
            "Action: ConfbridgeUnmute\nConference: 0123456789abcdef-board\nChannel: PJSIP/1002-00000001",
        ),
    ];
    for (mute, unmute) in ways {
        assert_eq!(lab.act(link, mute)[0].get("Response"), "Success");
        assert_eq!(lab.machine.heard("1001"), tones(&["1003"]), "{mute}");
        assert_eq!(lab.machine.heard("1002"), tones(&["1001", "1003"]), "{mute}");
        assert_eq!(lab.act(link, unmute)[0].get("Response"), "Success");
        assert_eq!(lab.machine.heard("1001"), tones(&["1002", "1003"]), "{unmute}");
    }
}

#[test]
fn leaving_by_redirect_leaves_the_others_together() {
    let (mut lab, link) = three();
    lab.act(link, "Action: Redirect\nChannel: b\nContext: ifbus\nExten: wait\nPriority: 1");
    assert_eq!(lab.machine.heard("1001"), tones(&["1003"]));
    assert_eq!((lab.machine.live("1002"), lab.machine.heard("1002")), (1, BTreeSet::new()));
    lab.act(link, "Action: Hangup\nChannel: c\nCause: 16");
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1003")), (1, 0));
    assert_eq!(lab.machine.stats().bridges, 1);
    lab.act(link, "Action: Redirect\nChannel: a\nContext: ifbus\nExten: wait\nPriority: 1");
    assert_eq!((lab.machine.stats().bridges, lab.machine.stats().channels), (0, 2));
}

#[test]
fn members_are_counted_with_the_hidden_announcer() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login("ifbus", "on");
    lab.leg(link, "1001", "a");
    let said =
        lab.act(link, &format!("Action: Redirect\nChannel: a\nContext: ifbus\nExten: {ROOM}\nPriority: 1"));
    let count = |event: &str| {
        let message = said.iter().find(|m| m.get("Event") == event).unwrap();
        message.get("BridgeNumChannels").to_owned()
    };
    let events = ["BridgeCreate", "ConfbridgeStart", "BridgeEnter", "ConfbridgeJoin"];
    assert_eq!(events.map(count), ["0", "1", "2", "2"]);
}

#[test]
fn a_member_cannot_be_joined_and_who_was_to_be_joined_to_him_is_torn_out_of_his_place() {
    let (mut lab, link) = three();
    lab.leg(link, "1004", "d");
    let said = lab.act(link, "Action: Bridge\nChannel1: a\nChannel2: d");
    assert_eq!(said[0].get("Message"), "Unable to add Channel1 to bridge: PJSIP/1001-00000000");
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1004")), (1, 1));
    let said = lab.act(link, "Action: Bridge\nChannel1: d\nChannel2: a");
    assert_eq!(said[0].get("Message"), "Unable to add Channel2 to bridge: PJSIP/1001-00000000");
    assert!(events(&said).contains(&"Hangup"));
    assert_eq!((lab.machine.live("1001"), lab.machine.live("1004")), (1, 0));
    assert_eq!(lab.machine.heard("1001"), tones(&["1002", "1003"]));
}

#[test]
fn a_member_who_is_sent_nowhere_ends_alone() {
    let (mut lab, link) = three();
    lab.act(link, "Action: Redirect\nChannel: b\nContext: ifbus\nExten: nope\nPriority: 1");
    assert_eq!((lab.machine.live("1002"), lab.machine.stats().channels), (0, 2));
}
