//! Every pitfall that the sheet names of this kind, and the test that keeps us out of it. What is Asterisk's own is listed
//! in `tests/hostile/pitfalls.rs`.

/// Section of the sheet, pitfall, test.
const COVERED: &[(u8, &str, &str)] = &[
    (0, "Elastix 5 is 3CX and has nothing of the others", "a_3cx_is_refused_by_its_name"),
    (0, "Elastix 2 to 4 have no pbxapi", "a_pbxapi_that_fails_costs_a_warning_and_no_call"),
    (1, "a certificate that the server has signed itself", "the_defaults_are_those_of_an_installed_server"),
    (
        1,
        "an expired token is told with status 200",
        "an_expired_token_costs_one_login_and_the_question_is_asked_again",
    ),
    (1, "a bad token is a 403 without a body", "a_token_that_is_refused_costs_one_login_too"),
    (
        1,
        "garbage is renewed as well: never renew",
        "one_token_serves_many_questions_and_goes_into_the_header_alone",
    ),
    (
        1,
        "without a signing key no token is ever taken",
        "a_server_that_takes_no_token_is_not_logged_into_without_end",
    ),
    (1, "a wrong password is a 403 without a body", "a_wrong_password_is_named_as_the_reason"),
    (1, "values are pasted into lines of AMI", "what_could_inject_a_line_never_reaches_the_wire"),
    (
        1,
        "an error is a page in HTML, of any status",
        "a_page_is_known_by_its_first_character_whatever_its_status",
    ),
    (2, "all scalars are strings", "extensions_say_how_they_are_dialled"),
    (2, "SIP or PJSIP is not to be guessed", "a_telephone_is_dialled_as_the_server_says"),
    (2, "the passwords of telephones come back in clear", "a_secret_is_in_no_debug_output"),
    (
        3,
        "an originate says the same words of every failure",
        "an_originate_that_fails_says_nothing_but_that_it_failed",
    ),
    (
        3,
        "an originate does not tell its channel",
        "a_call_is_one_originate_and_its_legs_are_found_in_the_list",
    ),
    (3, "an empty value is false", "an_empty_value_of_a_channel_is_false_and_reads_as_nothing"),
    (3, "the value of a variable is not escaped", "a_value_is_read_though_the_server_does_not_escape_it"),
    (
        3,
        "an Asterisk that is down is told with status 200",
        "an_asterisk_that_is_down_is_told_with_status_200",
    ),
    (
        3,
        "no transfer, hold, bridge, tone, room, recording",
        "everything_else_is_refused_with_what_is_missing",
    ),
    (4, "remote logins are refused as installed", "a_user_that_may_not_log_in_from_here_is_a_closed_ami_too"),
    (5, "a name between slashes hangs up many", "a_channel_of_somebody_else_is_listed_and_has_no_tag"),
    (5, "the server's pages take ids of digits alone", "a_call_is_made_over_ami_under_ids_of_digits_alone"),
    (
        5,
        "call records keep 32 characters of an id",
        "the_part_of_an_id_that_call_records_keep_still_tells_legs_apart",
    ),
    (
        5,
        "chan_sip ends what nobody answers with cause 16",
        "a_leg_that_nobody_answers_on_chan_sip_is_no_answer",
    ),
    (
        6,
        "no interface gives out a recording",
        "a_recording_is_made_in_a_folder_of_ours_and_fetched_from_the_web_server",
    ),
    (
        8,
        "after the database came back pbxapi stays broken",
        "health_is_asked_each_minute_and_a_failure_is_told_once",
    ),
    (8, "an originate occupies a worker for its whole time", "at_most_four_calls_are_placed_at_once"),
];

#[test]
fn every_pitfall_of_the_sheet_has_a_test_that_is_there() {
    let files = [
        include_str!("api.rs"),
        include_str!("calls.rs"),
        include_str!("hostile.rs"),
        include_str!("narrow.rs"),
        include_str!("options.rs"),
        include_str!("../../wire_format/pbxapi/tests.rs"),
    ]
    .concat();
    for (section, pitfall, test) in COVERED {
        assert!(files.contains(&format!("fn {test}(")), "section {section}, {pitfall}: no test {test}");
    }
}
