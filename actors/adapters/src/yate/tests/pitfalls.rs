//! The pitfalls of the sheet, each with the test that holds it off: by name, so that none is lost.

/// What is dangerous (sheet yate, section), and where it is held off.
const PITFALLS: &[(&str, &str, &str)] = &[
    (
        "a drop without an id ends every call",
        "5.3",
        "wire_format::extmodule::tests::a_drop_without_a_channel_cannot_be_written",
    ),
    ("a reader that hangs stops the engine", "8.2", "golden::a_life_begins_with_what_protects_the_engine"),
    (
        "lines of 8192 bytes close the connection",
        "1",
        "wire_format::extmodule::tests::a_value_that_is_unfit_never_becomes_a_line",
    ),
    ("`target` is needed also with `direct`", "5.1", "golden::forms_of_addresses_take_their_ways"),
    (
        "joining does not take the fence away",
        "14",
        "golden::the_first_join_proves_the_sounds_and_the_next_ones_only_connect",
    ),
    (
        "a join can be repeated and no event proves it",
        "14",
        "golden::the_first_join_proves_the_sounds_and_the_next_ones_only_connect",
    ),
    ("pipelined, a park loses a leg", "14", "orders::steps_wait_for_each_other"),
    ("a missing file ends the leg that is placed on it", "14", "orders::without_sounds_places_need_no_file"),
    ("an override outlives a join", "5.7", "orders::mutes_follow_into_the_next_talk"),
    ("without `single` an override says no and acts", "14", "golden::mutes_lay_silence_over_ears"),
    ("several digits in a message are one digit", "5.8", "orders::digits_go_one_by_one"),
    ("digits right after the answer are lost", "14", "orders::digits_go_one_by_one"),
    (
        "record says yes to a folder it cannot write to",
        "5.10",
        "files::a_folder_that_cannot_be_written_to_is_found_out",
    ),
    (
        "to begin a recording again empties it",
        "5.10",
        "golden::recordings_are_two_files_noted_beside_the_leg",
    ),
    ("events come in any order", "4", "orders::a_dial_is_done_when_the_leg_exists_by_whatever_comes_first"),
    ("an answered message needs its last colon", "2", "golden::a_drain_asks_to_be_asked"),
    ("a bare refusal has two meanings", "6", "orders::a_bare_refusal_means_no_route_or_no_room"),
    ("a leg whose partner leaves ends", "5.5", "orders::one_who_asks_a_third_party_outlives_it"),
    (
        "placed behind a join, a leg tears the pair apart",
        "seen",
        "orders::one_who_asks_a_third_party_outlives_it",
    ),
    ("entered again, a room forgets a mute", "14", "adoption::rooms_are_known_again"),
    ("a room takes ten by itself", "5.9", "golden::rooms_are_entered_without_a_fence_and_left_to_silence"),
    ("ids begin anew with each life", "1", "adoption::another_runid_is_another_life"),
];

/// Every file of tests that the table names.
const SOURCES: &[(&str, &str)] = &[
    ("golden", include_str!("golden.rs")),
    ("orders", include_str!("orders.rs")),
    ("files", include_str!("files.rs")),
    ("adoption", include_str!("adoption.rs")),
    ("wire_format::extmodule::tests", include_str!("../../wire_format/extmodule/tests.rs")),
];

#[test]
fn every_pitfall_is_held_off_by_a_test_that_exists() {
    for (pitfall, section, test) in PITFALLS {
        let (file, name) = test.rsplit_once("::").expect("a file and a name");
        let source = SOURCES.iter().find(|(of, _)| *of == file).map(|(_, text)| *text);
        let there = source.is_some_and(|text| text.contains(&format!("fn {name}()")));
        assert!(there, "{pitfall} (section {section}): there is no test {test}");
    }
}
