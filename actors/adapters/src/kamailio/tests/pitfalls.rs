//! Every pitfall of the sheet that concerns this machine, and the test that has it.

/// Section of the sheet, what happens, where it is tested.
const PITFALLS: &[(&str, &str, &str)] = &[
    ("0.4", "JSON-RPC answers while all SIP stands still", "probes_ask_each_side_on_its_own_way"),
    ("0.5", "dlg.list_ctx kills the server", "nothing_that_kills_the_server_or_waits_in_it_is_ever_said"),
    (
        "0.6",
        "ending a ringing call succeeds and does nothing",
        "one_that_rings_is_canceled_because_ending_it_would_do_nothing",
    ),
    (
        "0.7",
        "broken requests are never answered",
        "an_order_is_answered_by_its_deadline_although_no_request_ever_is",
    ),
    ("0.9", "a restart loses dialogs, not calls", "calls_go_on_when_a_life_of_the_links_ends"),
    ("1", "a wrong token is a 401 in plain text", "who_is_not_let_in_is_told_so"),
    ("1", "errors are HTTP status too, all of them 4xx and 5xx", "the_recorded_answers_are_read"),
    ("1", "1 is not \"1\"", "a_drain_turns_the_switch_and_says_what_is_missing"),
    ("1", "{} for a dialog that is not there", "one_that_went_by_itself_is_a_success"),
    (
        "1",
        "a blocking question holds one of few workers",
        "at_most_two_questions_are_with_the_server_and_a_probe_waits_for_no_list",
    ),
    (
        "1",
        "the version ends with a blank",
        "it_asks_who_it_is_before_anything_else_and_is_ready_with_the_list",
    ),
    ("1", "modules are known by the names of methods", "a_server_without_dialogs_lists_what_is_ours"),
    ("2", "{} means sent, not gone", "sent_is_not_gone"),
    ("2", "no drain of its own", "a_drain_turns_the_switch_and_says_what_is_missing"),
    ("3", "dialogs in state 5 are over", "the_list_shows_who_talks_to_whom_and_nothing_that_is_over"),
    (
        "3",
        "duration is nonsense before the answer",
        "the_list_shows_who_talks_to_whom_and_nothing_that_is_over",
    ),
    ("3", "early dialogs have no tag of the callee", "odd_lists_are_survived"),
    (
        "4",
        "no greeting, and the first event may be minutes away",
        "a_stream_without_heartbeat_is_closed_and_opened_again_later",
    ),
    ("4", "the ninth client is closed at once", "events_that_break_off_are_followed_by_a_question"),
    ("4", "events of a disconnect are lost", "without_events_it_is_ready_says_so_and_asks_again_and_again"),
    ("4", "false events", "an_event_brings_the_look_forward_and_proves_nothing"),
    ("7", "a restart is seen", "another_life_of_the_server_ends_ours"),
    ("7", "left-over dialogs after a crash of ours", "a_call_of_ours_that_nothing_is_known_of_is_ended_once"),
];

#[test]
fn every_pitfall_has_a_test_that_is_there() {
    let sources = [
        include_str!("adoption.rs"),
        include_str!("connection.rs"),
        include_str!("ending.rs"),
        include_str!("hostile.rs"),
        include_str!("orders.rs"),
        include_str!("replay.rs"),
    ];
    for (section, what, test) in PITFALLS {
        let head = format!("fn {test}(");
        assert!(sources.iter().any(|source| source.contains(&head)), "{section} {what}: no test {test}");
    }
}
