//! What the recorded servers said, section by section, against what the double says to the same client.
//!
//! Compared are the keys of every message in their order, the values with times, generated ids and
//! channel serials masked, and the sequence of messages as far as the real server keeps one: per channel,
//! per dialling, per bridge, and responses in the order of their actions. Not compared are events that
//! the recordings leave out, and those of trunk probing.

use crate::double::Extensions as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::lab::{Lab, Said, messages, originate};
use crate::asterisk::{Classes, Link, Options, Profile};
use crate::digest::md5_hex;
use crate::phone::{Act, Decision, Plan};

/// Events that the recordings do not hold (filtered), or hold by chance.
const LEFT_OUT: [&str; 11] = [
    "VarSet",
    "Newexten",
    "NewCallerid",
    "NewConnectedLine",
    "TestEvent",
    "DeviceStateChange",
    "PeerStatus",
    "ContactStatus",
    "RTCPSent",
    "RTCPReceived",
    "RequestBadFormat",
];

/// One section of a transcript: its title, the client's blocks and the server's messages.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) client: Vec<String>,
    pub(super) server: Vec<Said>,
    /// What ARI said meanwhile.
    pub(super) ari: Vec<serde_json::Value>,
}

/// Lines ending in the literal text `\r\n` ended so on the wire; others in a bare line feed.
fn unescaped(block: &[&str]) -> String {
    let block = if block.last() == Some(&"") { &block[..block.len() - 1] } else { block };
    // Long runs were shortened by the recorder.
    let long = |line: &str| {
        ["900", "1100"].iter().fold(line.to_owned(), |line, times| {
            line.replace(&format!("<{times} times x>"), &"x".repeat(times.parse().unwrap()))
        })
    };
    let block: Vec<String> = block.iter().map(|line| long(line)).collect();
    block
        .iter()
        .map(|line| line.strip_suffix("\\r\\n").map_or(format!("{line}\n"), |l| format!("{l}\r\n")))
        .collect()
}

pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { title: String::new(), client: vec![], server: vec![], ari: vec![] }];
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("################ ").or(line.strip_prefix("==== ")) {
            sections.push(Section { title: title.to_owned(), client: vec![], server: vec![], ari: vec![] });
        } else if line.starts_with("[ ") && line.ends_with("A:") {
            let event = lines.next().and_then(|event| serde_json::from_str(event).ok());
            sections.last_mut().unwrap().ari.extend(event);
        } else if line.starts_with("[ ") && (line.ends_with("C:") || line.ends_with("S:")) {
            let mut block = vec![];
            while let Some(next) =
                lines.next_if(|l| !l.starts_with("[ ") && !l.starts_with("####") && !l.starts_with("===="))
            {
                block.push(next);
            }
            let section = sections.last_mut().unwrap();
            if line.ends_with("C:") {
                section.client.push(unescaped(&block));
            } else {
                section.server.extend(messages(&unescaped(&block)));
            }
        }
    }
    sections
}

fn recorded(said: Vec<Said>) -> Vec<Said> {
    said.into_iter().filter(|m| !LEFT_OUT.contains(&m.get("Event"))).collect()
}

/// A message with everything masked that differs from run to run.
fn masked(message: &Said) -> Said {
    let mask = |key: &str, value: &str| -> String {
        let told = message.get("Event");
        match key {
            "Timestamp" | "EventTV" | "SessionTV" | "SessionID" | "LocalAddress" | "RemoteAddress"
            | "Challenge" | "BridgeUniqueid" | "Uptime" | "LastReload" | "CoreStartupDate"
            | "CoreStartupTime" | "CoreReloadDate" | "CoreReloadTime" => "*".into(),
            // "differ by run" (sheet section 13)
            "BridgeNumChannels" | "BridgeTechnology" if told == "BridgeLeave" => "*".into(),
            // Who comes first into a room, or leaves it first, is a matter of chance.
            "BridgeNumChannels"
                if told.starts_with("Confbridge") || message.get("BridgeTechnology") == "softmix" =>
            {
                "*".into()
            }
            _ if key.ends_with("BridgeUniqueid") => "*".into(),
            "AnsweredTime" | "Duration" | "Seconds" | "Readformat" | "Readtrans" | "Writeformat"
            | "Writetrans" | "MixMonitorID" => "*".into(),
            "BridgeID" | "BridgeId" if !value.is_empty() => "*".into(),
            "Value" if value.starts_with("0x") => "0x*".into(),
            "BridgeTechnology" if told == "BridgeDestroy" => "*".into(),
            // What is told first still shows the state before, and only then the place.
            "DestChannelState" | "DestChannelStateDesc" | "DestExten" if told.starts_with("Dial") => {
                "*".into()
            }
            "Priority" | "Exten" | "Context" if told == "BridgeLeave" => "*".into(),
            _ if value.starts_with("lab-") => "lab-*".into(),
            _ if value.starts_with("PJSIP/") && value.rfind('-').is_some_and(|at| value.len() - at == 9) => {
                value[..value.rfind('-').unwrap()].to_owned()
            }
            _ => value.to_owned(),
        }
    };
    Said(message.0.iter().map(|(key, value)| (key.clone(), mask(key, value))).collect())
}

/// Which thread of the sequence a message belongs to.
fn thread(message: &Said) -> String {
    match message.get("Event") {
        "" => "responses".into(),
        "BlindTransfer" | "AttendedTransfer" => message.name(),
        // The music of one whose partner held him ends whenever it is noticed.
        "MusicOnHoldStop" => format!("music {}", message.get("Uniqueid")),
        "OriginateResponse" => format!("originate {}", message.get("ActionID")),
        event if event.starts_with("Dial") => {
            format!("dial {}", mask_id(message.get("DestUniqueid"), message.get("DestChannel")))
        }
        "BridgeCreate" | "BridgeDestroy" => format!("bridge {}", message.get("BridgeName")),
        "PJSIPMaintenanceStatus" => format!("maintenance {}", message.get("Endpoint")),
        // The conference tells of its members from another thread than the bridge.
        event if event.starts_with("Confbridge") && !event.starts_with("ConfbridgeList") => {
            format!("{event} {}", mask_id(message.get("Uniqueid"), message.get("Channel")))
        }
        _ => format!("channel {}", mask_id(message.get("Uniqueid"), message.get("Channel"))),
    }
}

/// An id of the server's own making says nothing; the name without its number does.
pub(super) fn mask_id(id: &str, channel: &str) -> String {
    let name = channel.rsplit_once('-').map_or(channel, |(name, _)| name);
    if id.starts_with("lab-") { format!("of {name}") } else { id.to_owned() }
}

fn compare(title: &str, real: Vec<Said>, double: Vec<Said>) {
    let grouped = |said: Vec<Said>| {
        let mut threads: BTreeMap<String, Vec<Said>> = BTreeMap::new();
        for message in recorded(said) {
            threads.entry(thread(&message)).or_default().push(masked(&message));
        }
        threads
    };
    let (real, double) = (grouped(real), grouped(double));
    for (name, wanted) in &real {
        let got = double.get(name).cloned().unwrap_or_default();
        let names = |said: &[Said]| said.iter().map(Said::name).collect::<Vec<_>>();
        assert_eq!(names(&got), names(wanted), "{title}: {name}");
        for (got, wanted) in got.iter().zip(wanted) {
            assert_eq!(got.keys(), wanted.keys(), "{title}: keys of {} ({name})", wanted.name());
            assert_eq!(got, wanted, "{title}: {} ({name})", wanted.name());
        }
    }
    let extra: Vec<_> = double.keys().filter(|name| !real.contains_key(*name)).collect();
    assert!(extra.is_empty(), "{title}: the recording has nothing of {extra:?}");
}

/// Per channel and for the bridges: what ARI said, as far as runs do not differ.
pub(super) fn told(events: &[serde_json::Value]) -> BTreeMap<String, Vec<String>> {
    const OF_INTEREST: [&str; 12] = [
        "ChannelEnteredBridge",
        "ChannelLeftBridge",
        "BridgeCreated",
        "BridgeDestroyed",
        "ChannelHangupRequest",
        "ChannelDestroyed",
        "ChannelHold",
        "ChannelUnhold",
        "ChannelDtmfReceived",
        "ChannelCreated",
        "BridgeBlindTransfer",
        "BridgeAttendedTransfer",
    ];
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().unwrap();
        if !OF_INTEREST.contains(&kind) {
            continue;
        }
        let (bridge, channel) = (&event["bridge"], &event["channel"]);
        let class = if bridge["creator"] == "ConfBridge" || kind == "ChannelEnteredBridge" {
            format!("{} {} {}", bridge["technology"], bridge["bridge_class"], bridge["name"])
        } else {
            String::new()
        };
        let place = format!("{} {}", channel["dialplan"]["exten"], channel["dialplan"]["app_name"]);
        let details = format!("{kind} {class} {place} {} {}", event["cause"], event["digit"]);
        let keys: BTreeSet<&String> =
            event.as_object().unwrap().keys().filter(|key| *key != "asterisk_id").collect();
        let details = if kind.ends_with("Transfer") { format!("{details} {keys:?}") } else { details };
        let name = channel["name"].as_str().unwrap_or_default();
        let thread = match channel["id"].as_str() {
            _ if kind.ends_with("Transfer") => kind.to_owned(),
            Some(id) => mask_id(id, name),
            None => format!("bridge {}", bridge["name"]),
        };
        all.entry(thread).or_default().push(details);
    }
    all
}

/// As the recordings: 100 ms to ring, 500 ms to answer.
fn slow() -> Plan {
    Plan { ringing: Some(Duration::from_millis(100)), ..Plan::answers(Duration::from_millis(500)) }
}

pub(super) fn options(profile: Profile) -> Options {
    let mut options = Options::new(profile);
    let ifbus = options.users.get_mut("ifbus").unwrap();
    (ifbus.read, ifbus.write) = (Classes::parse("all"), Classes::parse("all"));
    options
}

/// Sends a section's blocks, lets time pass, and compares; what was said.
pub(super) fn replay(lab: &mut Lab, link: Link, section: Section, millis: u64) -> Vec<Said> {
    for block in &section.client {
        lab.send(link, block);
        lab.pass(millis);
    }
    let said = lab.heard(link);
    compare(&section.title, section.server, said.clone());
    said
}

fn model(text: &str, profile: Profile) {
    let mut lab = Lab::new(options(profile));
    for number in ["1001", "1002", "1003", "1004", "ans"] {
        lab.machine.plan(number, slow());
    }
    let link = lab.login("ifbus", "on");
    let mut replayed = 0;
    for section in sections(text) {
        let title = section.title.clone();
        let prepare: &[(&str, &str)] = match title.as_str() {
            "Hangup action on A: B follows by itself" => &[("1001", "8-a"), ("1002", "8-b")],
            "attended: hold B" => &[("1001", "9-a"), ("1002", "9-b")],
            "attended: consult A-C" => &[("1003", "9-c")],
            t if t.starts_with("blind transfer to any target") => &[("1001", "10-a"), ("1002", "10-b")],
            "leg A"
            | "leg B"
            | "join"
            | "hold B"
            | "resume"
            | "attended: complete B-C; A goes by itself"
            | "new leg"
            | "join B-C"
            | "drop A"
            | "B hangs up: A follows by itself" => &[],
            _ => continue,
        };
        for (number, id) in prepare {
            lab.act(link, &originate(number, id));
            lab.pass(600);
        }
        if let [(_, a), (_, b)] = prepare {
            lab.act(link, &format!("Action: Bridge\nChannel1: {a}\nChannel2: {b}\nTone: no"));
        }
        lab.inbox.clear();
        if title.starts_with("B hangs up") {
            lab.machine.act("1002", &Act::HangUp, lab.now);
            lab.collect();
        }
        replay(&mut lab, link, section, 600);
        replayed += 1;
    }
    assert_eq!(replayed, 14);
}

#[test]
fn the_recommended_model_runs_as_on_22() {
    model(include_str!("../../../transcripts/asterisk/20-recommended-model.txt"), Profile::V22);
}

#[test]
fn the_recommended_model_runs_as_on_16() {
    model(include_str!("../../../transcripts/asterisk/v16-20-recommended-model.txt"), Profile::V16);
}

fn outcomes(text: &str, profile: Profile, expected: usize) {
    let hundred = Duration::from_millis(100);
    let refuses = |status| Plan { decision: Decision::Refuse(status, hundred), ..Plan::refuses(status) };
    let plans = [
        ("busy", refuses(486)),
        ("reject", refuses(603)),
        ("unavail", refuses(480)),
        ("cong", refuses(503)),
        ("busy600", refuses(600)),
        ("ring", Plan { ringing: Some(hundred), ..Plan::rings() }),
        ("silent", Plan::silent()),
        ("ansdrop", slow().then_hangs_up(Duration::from_millis(20))),
        ("ansbye", slow().then_hangs_up(Duration::from_millis(1500))),
        ("early", Plan::answers(Duration::from_millis(1600)).with_early_media(hundred)),
        ("1001", slow()),
    ];
    let mut replayed = 0;
    for section in sections(text) {
        let title = section.title.clone();
        if section.client.is_empty() || title.starts_with("302") {
            continue;
        }
        let mut lab = Lab::new(options(profile));
        for (number, plan) in &plans {
            lab.machine.plan(number, plan.clone());
        }
        let link = lab.login("ifbus", "on");
        let canceled = title.starts_with("cancel");
        let dialled = title.contains("Dial") || title.starts_with("no");
        // Not so long that what the recording no longer shows would happen.
        let millis = if canceled {
            1000
        } else if dialled {
            12_000
        } else {
            2200
        };
        replay(&mut lab, link, section, millis);
        replayed += 1;
    }
    assert_eq!(replayed, expected);
}

#[test]
fn legs_end_as_on_22() {
    outcomes(include_str!("../../../transcripts/asterisk/03-leg-a-outcomes.txt"), Profile::V22, 13);
}

#[test]
fn legs_end_as_on_16() {
    outcomes(include_str!("../../../transcripts/asterisk/v16-03-leg-a-outcomes.txt"), Profile::V16, 6);
}

#[test]
fn dialled_legs_end_as_on_22() {
    outcomes(include_str!("../../../transcripts/asterisk/04-leg-b-outcomes.txt"), Profile::V22, 4);
}

/// Puts the right key into a recorded MD5 login.
fn with_key(block: &str, challenge: &str) -> String {
    let line = |line: &str| match line.strip_prefix("Key: ") {
        Some(recorded) if recorded.trim().len() == 32 => {
            format!("Key: {}\r\n", md5_hex(format!("{challenge}md5-secret").as_bytes()))
        }
        _ => line.to_owned(),
    };
    block.split_inclusive('\n').map(line).collect()
}

fn login(text: &str, profile: Profile) {
    let mut options = options(profile);
    options.login_within = Duration::from_secs(10);
    for section in sections(text) {
        let mut lab = Lab::new(options.clone());
        let link = lab.open(crate::asterisk::Door::Ami);
        // The banner is one line without an end of message.
        let mut all = messages(&lab.text(link));
        let (mut said, mut challenge) = (String::new(), String::new());
        for block in &section.client {
            lab.send(link, with_key(block, &challenge));
            lab.pass(1000);
            let text = lab.text(link);
            if let Some((_, rest)) = text.split_once("Challenge: ") {
                challenge = rest.lines().next().unwrap_or_default().to_owned();
            }
            said.push_str(&text);
        }
        all.extend(messages(&said));
        compare(&section.title, section.server, all);
        let ends = ["bad secret", "unknown user", "address", "wrong MD5"]
            .iter()
            .any(|t| section.title.starts_with(t));
        if ends {
            assert!(lab.ended.contains_key(&link), "{}", section.title);
        }
    }
}

#[test]
fn a_login_runs_as_on_22() {
    login(include_str!("../../../transcripts/asterisk/01-connect-login.txt"), Profile::V22);
}

#[test]
fn a_login_runs_as_on_16() {
    login(include_str!("../../../transcripts/asterisk/v16-01-connect-login.txt"), Profile::V16);
}
