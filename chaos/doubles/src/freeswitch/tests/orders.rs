//! The orders of ifbus, command by command as they were recorded: the same answers, the same events.
//!
//! Events that a server tells at the same time may come in any order, so each step is compared as a set.

use std::collections::BTreeSet;

use super::lab::{Lab, events};
use crate::double::Extensions as _;
use crate::freeswitch::Options;
use crate::phone::{Decision, Plan};

const ORDERS: &str = include_str!("../data/orders.txt");

/// What is compared.
const NAMES: [&str; 10] = [
    "CHANNEL_CREATE",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_PARK",
    "CHANNEL_HANGUP_COMPLETE",
    "PLAYBACK_START",
    "PLAYBACK_STOP",
    "BACKGROUND_JOB",
    "CUSTOM",
];

/// A command, its answer, and the events until the next command.
#[derive(Debug, Default)]
struct Step {
    at: f64,
    command: String,
    answer: Option<String>,
    events: BTreeSet<String>,
}

fn steps(section: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![Step::default()];
    for line in section.lines().skip(1) {
        let line = line.trim_start();
        if let Some((at, command)) = line.split_once(" > ") {
            let at = at.trim().parse().unwrap();
            steps.push(Step { at, command: command.to_owned(), ..Step::default() });
        } else if let Some(answer) = line.strip_prefix("< ") {
            steps.last_mut().unwrap().answer.get_or_insert_with(|| answer.to_owned());
        } else if let Some((_, event)) = line.split_once(" E ") {
            steps.last_mut().unwrap().events.extend(recorded(event));
        }
    }
    steps
}

/// `CHANNEL_BRIDGE A Bridge-A=A Bridge-B=B`, of a line of the recording.
fn recorded(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = NAMES.iter().find(|name| **name == words[0])?;
    let about = |word: &str| words.iter().find_map(|found| found.strip_prefix(word).map(str::to_owned));
    let told = match *name {
        "BACKGROUND_JOB" => words[1..].join(" "),
        "CHANNEL_BRIDGE" | "CHANNEL_UNBRIDGE" => pair(&about("Bridge-A=")?, &about("Bridge-B=")?),
        "CHANNEL_HANGUP_COMPLETE" => format!("{} {}", words[1], words[2]),
        "CUSTOM" => {
            let action =
                about("Action=").filter(|action| action.contains("member") && !action.starts_with("hup"))?;
            format!("{} {action}", words[1])
        }
        _ => words[1].to_owned(),
    };
    Some(format!("{name} {told}"))
}

/// The two in a talk, whoever was named first.
fn pair(a: &str, b: &str) -> String {
    if a < b { format!("{a}-{b}") } else { format!("{b}-{a}") }
}

/// The same words, of an event of the double.
fn happened(event: &serde_json::Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().trim().to_owned();
    let name = *NAMES.iter().find(|name| **name == text("Event-Name"))?;
    let told = match name {
        "BACKGROUND_JOB" => text("_body"),
        "CHANNEL_BRIDGE" | "CHANNEL_UNBRIDGE" => {
            pair(&text("Bridge-A-Unique-ID"), &text("Bridge-B-Unique-ID"))
        }
        "CHANNEL_HANGUP_COMPLETE" => format!("{} {}", text("Unique-ID"), text("Hangup-Cause")),
        "CUSTOM" => {
            let action = text("Action");
            action.contains("member").then(|| format!("{} {action}", text("Unique-ID")))?
        }
        _ => text("Unique-ID"),
    };
    Some(format!("{name} {told}"))
}

/// A phone of the recordings answers at once, without ringing.
fn fast() -> Plan {
    let soon = std::time::Duration::from_millis(20);
    Plan { ringing: None, early: None, decision: Decision::Answer(soon), acts: vec![] }
}

fn compare(title: &str, hangs_up: &[(&str, &str)]) {
    let sections: Vec<&str> = ORDERS.split("## ").collect();
    let section = sections.iter().find(|section| section.starts_with(title)).expect(title);
    let mut lab = Lab::new(Options::default());
    for number in ["fast-500", "fast-600", "fast-700"] {
        lab.machine.plan(number, fast());
    }
    let client = lab.login();
    let listener = lab.listener();
    if !section.contains("bgapi originate") {
        // it goes on where the section before it has ended: two that talk
        for (leg, number) in [("A", "fast-500"), ("B", "fast-600")] {
            lab.api(
                client,
                &format!("originate {{origination_uuid={leg}}}sofia/lab/{number}@phones &park()"),
            );
            lab.pass(100);
        }
        lab.api(client, "uuid_bridge A B");
        lab.pass(100);
        lab.text(listener);
    }
    let steps = steps(section);
    for (number, step) in steps.iter().enumerate() {
        let expected = step.events.clone();
        if !step.command.is_empty() {
            let (form, rest) = step.command.split_once(' ').unwrap();
            if form == "bgapi" {
                lab.send(client, &format!("bgapi {rest}\n\n"));
                lab.text(client);
            } else {
                let answer = lab.api(client, rest);
                assert_eq!(Some(answer.trim().to_owned()), step.answer, "{title}: {}", step.command);
            }
        }
        if expected.is_empty() && steps.get(number + 1).is_some_and(|next| next.at - step.at < 0.01) {
            continue; // the next command was sent in the same moment
        }
        // the longest that a step of these waits for
        lab.pass(if expected.iter().any(|event| event.contains("ALLOTTED")) { 6_000 } else { 250 });
        for (after, number) in hangs_up {
            if step.command.contains(after) {
                lab.machine.act(number, &crate::phone::Act::HangUp, lab.now);
                lab.collect();
                lab.pass(100);
            }
        }
        let told: BTreeSet<String> = events(&lab.text(listener)).iter().filter_map(happened).collect();
        assert_eq!(told, expected, "{title}: {}", step.command);
    }
}

#[test]
fn a_second_join_parts_and_joins_again() {
    compare("join again", &[]);
}

#[test]
fn a_join_releases_the_former_partner() {
    compare("Join(A,C) while A-B talk", &[("uuid_bridge A C", "fast-500")]);
}

#[test]
fn a_hold_is_a_park_with_music_and_ends_in_a_join() {
    compare("Park Hold", &[]);
}

#[test]
fn a_park_is_left_by_the_end_of_one_alone() {
    compare("while held the held party hangs up", &[("uuid_bridge B A", "fast-600")]);
}

#[test]
fn who_asks_a_third_party_is_parked_when_that_one_leaves() {
    compare(
        "same, A with park_after_bridge",
        &[("uuid_bridge A C", "fast-700"), ("uuid_getvar A park", "fast-600")],
    );
}

#[test]
fn a_member_taken_from_a_talk_ends_its_partner() {
    compare("Enter: A straight", &[("uuid_transfer A conference", "fast-500")]);
}

#[test]
fn the_end_of_a_park_waits_for_the_end_of_a_tone() {
    compare("wait=Ringback", &[]);
}
