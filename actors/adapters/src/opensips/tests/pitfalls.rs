//! Known holes and pitfalls of OpenSIPS, by the sections of its sheet, and which test stands against each.

use ifbus_call::Order;
use serde_json::Value;

use super::rig::Rig;
use crate::opensips::mi::Command;

/// Where the sheet says it, what it is, and what is done about it: a test of this name, or `never` where the
/// dangerous command is not among those that are ever given.
const PITFALLS: [(&str, &str, &str); 14] = [
    ("2.1", "one waiting command blocks all of HTTP", "never"),
    ("2.1", "an answer may stay unsent until the next", "a_deaf_server_is_silent_after_two_questions"),
    ("2.1", "long datagrams", "a_page_that_fits_into_no_datagram_is_asked_for_in_smaller_ones"),
    ("2.2", "ids are cut to 31 bits", "ids_stay_below_31_bits"),
    ("2.2", "parameters must match exactly", "every_question_is_as_the_server_takes_it"),
    ("3", "new names exist in 4.0 only", "both_ways_and_both_generations_become_ready"),
    ("5.1", "subscriptions end", "subscriptions_are_renewed_and_made_again_when_forgotten"),
    ("5.2", "lost datagrams are silent", "a_missing_heartbeat_counts_as_lost_events"),
    ("6", "ua_session_* leaks sessions and sends stray memory", "never"),
    ("7", "b2b_bridge hangs up before the new party answers", "never"),
    ("8", "call_transfer says Accepted whatever comes of it", "never"),
    ("8", "OK to an end is not its end", "ok_alone_proves_nothing"),
    ("9", "dialogs that are over stay", "dialogs_are_foreign_legs_and_those_that_are_over_are_none"),
    ("12", "a restart forgets all", "a_server_that_began_anew_ends_the_life_and_nothing_else"),
];

#[test]
fn each_pitfall_has_its_test() {
    let tests = [
        include_str!("connection.rs"),
        include_str!("dialogs.rs"),
        include_str!("events.rs"),
        include_str!("golden.rs"),
        include_str!("pitfalls.rs"),
    ]
    .concat();
    for (section, pitfall, test) in PITFALLS {
        assert!(
            test == "never" || tests.contains(&format!("fn {test}()")),
            "{section} {pitfall}: no test {test}"
        );
    }
}

#[test]
fn dangerous_commands_are_never_given() {
    for command in Command::ALL {
        for danger in
            ["ua_session", "b2b", "call_", "t_uac", "send_sequential", "kill", "reload", "profile_end"]
        {
            assert!(!command.name().contains(danger), "{command:?}");
        }
    }
}

#[test]
fn ids_stay_below_31_bits() {
    let mut rig = Rig::ready(&[]);
    rig.machine.life.questions.wind((1 << 31) - 2);
    for _ in 0..3 {
        assert!(rig.outcome(Order::Load).is_ok());
    }
    let id = |asked: &String| serde_json::from_str::<Value>(asked).expect("JSON")["id"].as_u64();
    let ids: Vec<Option<u64>> = rig.asked.iter().rev().take(3).map(id).collect();
    assert_eq!(ids, [Some(1), Some(0), Some((1 << 31) - 1)]);
}
