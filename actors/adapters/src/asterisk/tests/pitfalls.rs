//! Known holes and pitfalls of AMI, by their names (sheet asterisk, sections 2, 6, 11 and 16). What other files test is
//! listed in `tests/hostile/pitfalls.rs`.

use std::time::Duration;

use ifbus_call::order::{Digits, Direction, ParkReason};
use ifbus_call::{Address, Cause, Order, ServerName, Why};

use super::pretend::Channel;
use super::rig::{A, B, C, Rig, dial, native};
use super::transcript::value;
use crate::adapter::DownReason;
use crate::asterisk::inspect::hole;
use crate::asterisk::machine::{COMMANDS, WATCH};
use crate::wire_format::ami::Action;

/// What breaks a line, cuts a value or begins an action.
const BREAKS: [&str; 7] =
    ["\r\n", "\n", "\r", "\0", "\r\n\r\nAction: Originate\r\nX: ", "\u{7f}", "\u{1b}[2J"];

/// Every order there is, on a pair that talks.
fn everything(ari: bool) -> Rig {
    let mut rig = Rig::joined(ari);
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    rig.proven(Order::Join { a: A, b: B });
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Consult });
    rig.proven(dial(C, "+4930123"));
    rig.proven(Order::Join { a: A, b: C });
    rig.proven(Order::Dtmf { leg: A, digits: "1*#D".parse().expect("digits") });
    rig.proven(Order::Mute { leg: A, direction: Direction::Out, on: true });
    for order in [Order::List, Order::Load, Order::Probe, Order::ProbeSip, Order::Inspect] {
        // How it ends is another test's; what it sends is this one's.
        let _ = rig.outcome(order);
    }
    rig.proven(Order::Drop { leg: A, cause: Cause::Answered });
    rig
}

#[test]
fn cve_2024_42365_versions_that_are_open_are_warned_of() {
    for (version, open) in [
        ("18.24.1", true),
        ("18.24.2", false),
        ("18.9.0", true),
        ("20.9.1", true),
        ("20.9.2", false),
        ("20.10.0", false),
        ("21.4.1", true),
        ("21.4.2", false),
        ("22.0.0", false),
        ("22.10.1+dfsg+~cs6.17.60671434-1", false),
        ("16.28.0~dfsg-0+deb11u4", true),
        ("19.8.1", true),
        ("13.38.3", true),
        ("certified/18.9-cert10", true),
        ("certified/18.9-cert11", false),
        ("certified-20.7-cert1", true),
        ("certified-20.7-cert2", false),
        ("20.7-cert2", false),
        ("certified/16.8-cert14", true),
        ("GIT-master-4c3a", false),
        ("unknown", false),
        ("", false),
    ] {
        assert_eq!(hole(version).is_some_and(|hole| hole.contains("CVE-2024-42365")), open, "{version}");
    }
}

#[test]
fn cve_2024_42365_and_system_nothing_is_ever_sent_that_runs_code_or_touches_files() {
    for ari in [true, false] {
        for (_, text) in everything(ari).sent {
            for word in [
                "Application:",
                "Data:",
                "${",
                "SET(",
                "FILE(",
                "SHELL(",
                "System",
                "Exec",
                "AGI",
                "Local/",
                "AsyncGoto",
                "Action: Command",
                "Action: Setvar",
                "Action: Getvar",
                "Action: UpdateConfig",
                "Action: AGI",
                "Action: ModuleLoad",
                "Action: Atxfer",
                "Action: BlindTransfer",
                "Action: ParK",
                "EarlyMedia",
            ] {
                assert!(!text.contains(word), "{word} in {text}");
            }
        }
    }
}

#[test]
fn pitfall_an_originate_is_asynchronous_bounded_in_our_context_and_under_an_id_of_ours() {
    let rig = everything(true);
    let dials = rig.sent.iter().map(|(_, text)| text).filter(|text| text.starts_with("Action: Originate"));
    // the inspection asks for a call that nobody can make
    let dials: Vec<&String> = dials.filter(|text| !text.contains("Channel: Ifbus/nobody")).collect();
    assert_eq!(dials.len(), 3);
    let mut ids = Vec::new();
    for text in dials {
        let of = |key: &str| value(text.as_bytes(), key).unwrap_or_default();
        assert_eq!((of("Async").as_str(), of("Context").as_str()), ("true", "ifbus"), "{text}");
        assert_eq!(of("Timeout"), "20000", "{text}");
        assert!(text.contains("TIMEOUT(absolute)"), "a leg that nobody joins ends by itself: {text}");
        ids.push(of("ChannelId"));
    }
    assert_eq!(ids, [A, B, C].map(native));
}

#[test]
fn smuggled_no_type_that_reaches_a_wire_takes_what_breaks_one() {
    for bad in BREAKS {
        for text in
            [format!("1001{bad}"), format!("{bad}1001"), format!("sip:a{bad}@h"), format!("+49{bad}30")]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
        assert!(format!("12{bad}").parse::<Digits>().is_err(), "{bad:?}");
        assert!(format!("pbx{bad}").parse::<ServerName>().is_err(), "{bad:?}");
        // and whatever came past all of them does not leave
        assert!(Action::new("Hangup").with("Channel", format_args!("x{bad}y")).finish().is_err(), "{bad:?}");
    }
}

#[test]
fn smuggled_no_setting_takes_what_breaks_a_wire() {
    use crate::asterisk::{KEYS, Options};
    for key in KEYS {
        for bad in BREAKS {
            for text in [
                format!("ifbus{bad}"),
                format!("PJSIP/{{n}}{bad}"),
                format!("h:5060{bad}"),
                format!("ca:/f{bad}"),
            ] {
                let mut given = std::collections::BTreeMap::from([
                    ("host".to_owned(), "h".to_owned()),
                    ("secret".to_owned(), "s".to_owned()),
                ]);
                given.insert(key.name.to_owned(), text.clone());
                let refused = Options::new(&given).expect_err(key.name).to_string();
                assert!(!refused.chars().any(char::is_control), "{}: {refused:?}", key.name);
            }
        }
    }
}

#[test]
fn pitfall_a_leg_whose_name_is_a_pattern_is_never_hung_up() {
    for ari in [true, false] {
        let mut rig = Rig::new(ari);
        for name in ["/^PJSIP/", "lab-1795342388.8"] {
            let channel =
                Channel { state: 6, name: "PJSIP/7-1".into(), number: "7".into(), ..Default::default() };
            rig.server.channels.insert(name.to_owned(), channel);
        }
        rig.start();
        for seen in rig.ready[0].seen.clone() {
            let ticket = rig.give(Order::Drop { leg: seen.leg, cause: Cause::Answered });
            rig.advance(Duration::from_secs(10));
            if let Err(refused) = &rig.answers[&ticket] {
                assert_eq!(refused.why, Why::Refused);
            }
        }
        assert_eq!(rig.count("Hangup"), 1, "the other one alone");
        assert!(rig.server.channels.contains_key("/^PJSIP/"));
    }
}

#[test]
fn pitfall_the_old_form_of_a_commands_output_breaks_nothing() {
    let mut rig = Rig::joined(false);
    for slot in [COMMANDS, WATCH] {
        rig.feed(slot, b"Response: Follows\r\nPrivilege: Command\r\nActionID: 7\r\nno colon\nEvent: Hangup\n--END COMMAND--\r\n\r\n");
    }
    rig.proven(Order::Park { held: B, other: A, why: ParkReason::Hold });
    assert!(rig.down.is_empty());
}

#[test]
fn pitfall_a_user_without_the_system_right_is_ready_without_fully_booted() {
    let mut rig = Rig::new(true);
    rig.server.boots = false;
    rig.start();
    assert_eq!(rig.ready.len(), 0);
    rig.advance(Duration::from_secs(5));
    assert_eq!(rig.ready.len(), 1, "{:?}", rig.down);
}

#[test]
fn pitfall_an_answer_without_an_id_is_nobodys() {
    let mut rig = Rig::joined(true);
    rig.server.deaf = vec!["MuteAudio"];
    let ticket = rig.give(Order::Mute { leg: A, direction: Direction::In, on: true });
    rig.feed(COMMANDS, b"Response: Error\r\nMessage: Failed to parse message: line too long\r\n\r\n");
    rig.feed(COMMANDS, b"Response: Success\r\n\r\n");
    assert!(!rig.answers.contains_key(&ticket));
    rig.advance(Duration::from_secs(10));
    assert!(rig.answers[&ticket].is_err(), "its own deadline answers it");
}

#[test]
fn pitfall_a_server_that_closes_without_a_greeting_is_told_as_closed() {
    let mut rig = Rig::new(true);
    rig.server.greeting = "";
    rig.start();
    rig.close(WATCH, crate::adapter::LinkError::Closed);
    assert_eq!(rig.down[0].reason, DownReason::Lost(crate::adapter::LinkError::Closed));
}
