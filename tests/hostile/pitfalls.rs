//! Every pitfall and every hole that the sheet names, and the test that keeps us out of it.
//!
//! The table is checked: a test that is renamed or removed is missed here. Tests named `pitfall_...`, `cve_...` and
//! `smuggled_...` were written for a line of it; the others were there for reasons of their own.

use ifbus_doubles::double::{Extensions as _, Mortal as _};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ifbus_call::{Mode, Verb};
use ifbus_fleet::view::{ServerState, Status};

use crate::mischief::{AMI, Handle, Mischief, it_is_used_again};
use crate::world::{address, run};

const ADAPTER: &str = "actors/adapters/src/asterisk/tests";
const AMI_WIRE: &str = "actors/adapters/src/wire_format/ami";
const LINKS: &str = "actors/links/src";
const SIM: &str = "tests/sim";
const HOSTILE: &str = "tests/hostile";
const CELLS: &str = "tests/conformance";

/// Section of the sheet, pitfall, folder and test.
const COVERED: &[(u8, &str, &str, &str)] = &[
    (2, "the banner is one line and names the protocol", ADAPTER, "the_recorded_logins_are_understood"),
    (2, "before the login everything is refused", ADAPTER, "no_action_comes_before_the_login"),
    (2, "MD5 keeps the secret off the wire", ADAPTER, "the_secret_is_never_sent_where_a_challenge_is_known"),
    (
        2,
        "a peer that offers no challenge gets no secret in clear text",
        ADAPTER,
        "a_peer_without_a_challenge_gets_the_secret_where_nobody_else_can_read_it_and_nowhere_else",
    ),
    (2, "every bad login looks alike", ADAPTER, "a_refused_login_is_told_in_the_servers_words"),
    (
        2,
        "too many sessions: closed without a banner",
        ADAPTER,
        "pitfall_a_server_that_closes_without_a_greeting_is_told_as_closed",
    ),
    (
        2,
        "FullyBooted never comes without the system right",
        ADAPTER,
        "pitfall_a_user_without_the_system_right_is_ready_without_fully_booted",
    ),
    (2, "another start time: every call is gone", SIM, "a_killed_server_is_down_and_calls_go_to_the_other"),
    (2, "a half-open connection says nothing", ADAPTER, "a_half_open_connection_is_found_by_the_ping"),
    (2, "plain bytes on a TLS port are closed at once", LINKS, "clear_text_to_a_port_with_tls_ends_the_link"),
    (
        2,
        "actions of a session run one after the other",
        ADAPTER,
        "digits_are_paced_on_a_connection_of_their_own",
    ),
    (
        2,
        "an over-long message is answered without its id",
        ADAPTER,
        "pitfall_an_answer_without_an_id_is_nobodys",
    ),
    (
        2,
        "an over-long line is refused by the server",
        AMI_WIRE,
        "a_line_that_the_server_would_refuse_is_not_sent",
    ),
    (2, "an empty list is an error", ADAPTER, "a_list_that_we_may_not_ask_for_is_told"),
    (
        2,
        "the old form of a command's output",
        ADAPTER,
        "pitfall_the_old_form_of_a_commands_output_breaks_nothing",
    ),
    (2, "responses and events are interleaved", ADAPTER, "answers_find_their_orders_in_any_order"),
    (2, "a bare LF is part of a value", AMI_WIRE, "a_bare_lf_belongs_to_the_value"),
    (
        2,
        "surplus blank lines, no colon, no value",
        AMI_WIRE,
        "surplus_blank_lines_and_lines_without_a_colon_mean_nothing",
    ),
    (2, "(null) and <unknown> mean nothing", AMI_WIRE, "the_servers_words_for_nothing_are_nothing"),
    (
        2,
        "what is buffered has a limit",
        AMI_WIRE,
        "a_line_or_message_beyond_the_limit_breaks_the_connection_at_once_and_for_good",
    ),
    (
        2,
        "the last message before a close may be cut",
        ADAPTER,
        "a_message_that_was_cut_by_the_close_changes_nothing",
    ),
    (
        6,
        "Bridge tears a joined pair apart",
        ADAPTER,
        "joined_legs_are_not_joined_again_because_that_tears_them_apart",
    ),
    (6, "Bridge and Redirect spoil a ringing leg", ADAPTER, "a_ringing_leg_is_neither_joined_nor_parked"),
    (6, "Redirect of one releases the other", ADAPTER, "parked_legs_are_moved_both_at_once_and_proven_apart"),
    (
        6,
        "Redirect to a missing extension succeeds",
        ADAPTER,
        "a_leg_that_never_reaches_its_place_is_not_joined",
    ),
    (6, "an id that is in use fails late", HOSTILE, "pitfall_a_second_try_uses_new_ids"),
    (6, "native_rtp hides digits", CELLS, "dtmf_from_a_phone"),
    (
        6,
        "Atxfer types digits, Park releases the other",
        HOSTILE,
        "pitfall_only_actions_that_were_seen_to_be_safe_are_sent",
    ),
    (
        6,
        "a phone's own hold, and a stray Unhold",
        HOSTILE,
        "pitfall_a_phone_that_holds_changes_no_hold_of_ours",
    ),
    (6, "a comma begins another variable", ADAPTER, "a_tag_comes_back_as_it_was_written"),
    (
        6,
        "an id between slashes is a pattern for Hangup",
        ADAPTER,
        "pitfall_a_leg_whose_name_is_a_pattern_is_never_hung_up",
    ),
    (
        6,
        "a conference keeps the fence of a dial",
        ADAPTER,
        "the_fence_of_the_dial_is_taken_away_before_the_leg_is_moved",
    ),
    (6, "Bridge with a member of a room hurts others", ADAPTER, "a_member_is_neither_joined_nor_parked"),
    (
        6,
        "one of a pair taken into a room ends the other",
        ADAPTER,
        "one_of_a_talking_pair_does_not_enter_because_the_other_would_end",
    ),
    (
        6,
        "a room is shown before the leg is inside",
        ADAPTER,
        "the_application_alone_is_no_proof_because_it_is_shown_before_the_leg_is_inside",
    ),
    (8, "Success says nothing about the file", ADAPTER, "success_without_a_recorder_is_refused"),
    (
        8,
        "stopped without its id, another recorder ends",
        ADAPTER,
        "a_stop_ends_its_recorder_and_another_one_is_a_success",
    ),
    (
        8,
        "handles of recorders are given out again",
        ADAPTER,
        "a_second_stop_of_one_segment_does_not_end_the_next_that_has_the_same_handle",
    ),
    (8, "a recording ends with its leg", CELLS, "segments"),
    (
        8,
        "a file that is being written says length 0",
        ADAPTER,
        "a_file_that_is_still_written_is_asked_for_again_and_nothing_of_it_remains",
    ),
    (
        8,
        "a name under way again overwrites its file",
        ADAPTER,
        "a_segment_that_has_ended_is_not_begun_again_over_its_file",
    ),
    (
        8,
        "MixMonitor's Command runs a shell",
        HOSTILE,
        "pitfall_only_actions_that_were_seen_to_be_safe_are_sent",
    ),
    (
        9,
        "a reader that stalls is dropped by the server",
        LINKS,
        "a_peer_that_does_not_read_ends_the_link_and_not_our_memory",
    ),
    (
        9,
        "a listener of ours that stalls",
        HOSTILE,
        "a_reader_of_the_journal_that_never_reads_holds_up_nobody",
    ),
    (9, "goodbye, then the end", ADAPTER, "a_goodbye_is_believed_when_the_connection_closes"),
    (
        9,
        "an end alone means nothing is known",
        SIM,
        "a_frozen_server_is_suspect_before_it_is_down_and_adopts_its_calls_when_it_thaws",
    ),
    (
        9,
        "an overloaded server answers some and not others",
        ADAPTER,
        "an_order_that_the_server_does_not_answer_is_answered_from_the_truth",
    ),
    (9, "not answered is not: not done", ADAPTER, "an_unanswered_dial_is_looked_for_before_it_is_refused"),
    (
        11,
        "forged Hangup by CR LF in a caller's number",
        ADAPTER,
        "a_forged_hangup_changes_nothing_even_if_the_forger_knew_the_id",
    ),
    (11, "forged Uniqueid line inside a message", AMI_WIRE, "only_forged_messages_have_a_field_twice"),
    (11, "every other forged event", ADAPTER, "every_other_forged_fact_changes_nothing_either"),
    (
        11,
        "the end of a list forged by a line in it",
        ADAPTER,
        "the_end_of_a_list_cannot_be_forged_by_a_line_in_it",
    ),
    (11, "forged, seen by the whole fleet", SIM, "a_forged_hangup_changes_no_state"),
    (11, "forged, sent to the real servers", CELLS, "forged_hangup"),
    (11, "text of a caller in ARI stays text", ADAPTER, "caller_text_in_the_stream_stays_text"),
    (11, "actions smuggled in values", ADAPTER, "smuggled_no_type_that_reaches_a_wire_takes_what_breaks_one"),
    (11, "actions smuggled in settings", ADAPTER, "smuggled_no_setting_takes_what_breaks_a_wire"),
    (11, "SET(FILE()), CVE-2024-42365: told", ADAPTER, "cve_2024_42365_versions_that_are_open_are_warned_of"),
    (
        11,
        "SET(FILE()), System, Exec: never sent",
        ADAPTER,
        "cve_2024_42365_and_system_nothing_is_ever_sent_that_runs_code_or_touches_files",
    ),
    (11, "templates that run code", ADAPTER, "a_template_reaches_phones_and_nothing_else"),
    (16, "orders left open when the connection dies", ADAPTER, "a_dropped_link_answers_every_open_order"),
    (
        16,
        "a loop on the end of a stream",
        HOSTILE,
        "pitfall_a_connection_that_ends_at_once_is_not_tried_in_a_loop",
    ),
    (16, "one lost answer freezes everything", HOSTILE, "one_answer_that_is_lost_leaves_nobody_waiting"),
    (16, "answers matched by their order", ADAPTER, "answers_find_their_orders_in_any_order"),
    (16, "answers to nobody", ADAPTER, "late_double_and_foreign_answers_are_ignored"),
    (
        16,
        "the response to Originate is not its result",
        ADAPTER,
        "the_response_to_an_originate_is_not_its_result",
    ),
    (
        16,
        "OriginateResponse waited for with events off",
        ADAPTER,
        "the_result_of_an_originate_is_subscribed_to",
    ),
    (
        16,
        "Async forgotten",
        ADAPTER,
        "pitfall_an_originate_is_asynchronous_bounded_in_our_context_and_under_an_id_of_ours",
    ),
    (
        16,
        "wrong outcome by Local channels and time windows",
        ADAPTER,
        "every_recorded_outcome_of_a_leg_has_its_cause",
    ),
    (16, "a list whose end never comes", ADAPTER, "a_list_that_never_ends_is_given_up"),
    (16, "a ping before the login", ADAPTER, "no_action_comes_before_the_login"),
    (
        16,
        "a back-off that grows to a day",
        HOSTILE,
        "pitfall_a_server_that_was_away_for_a_day_is_back_within_a_minute",
    ),
    (16, "events missed in the gap", ADAPTER, "a_leg_that_ended_in_the_gap_vanishes_with_the_next_list"),
    (
        16,
        "surviving channels are not announced again",
        SIM,
        "talking_held_and_ringing_calls_are_adopted_under_their_ids",
    ),
    (16, "a parser that dies on another spelling", AMI_WIRE, "another_spelling_is_read_too"),
    (16, "lists polled too often", HOSTILE, "pitfall_lists_are_asked_for_twice_a_minute_and_not_more"),
];

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_of_the_table_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (section, pitfall, folder, test) in COVERED {
        let mut text = String::new();
        sources(&root.join(folder), &mut text);
        assert!(
            text.contains(&format!("fn {test}(")),
            "section {section}, {pitfall}: no test {test} in {folder}"
        );
    }
}

/// The values of one header in everything that was said to a server.
fn values(heard: &[u8], key: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(heard);
    let key = format!("{key}: ");
    text.split("\r\n").filter_map(|line| line.strip_prefix(&key)).map(str::to_owned).collect()
}

#[test]
fn pitfall_only_actions_that_were_seen_to_be_safe_are_sent() {
    const SAFE: [&str; 18] = [
        "Bridge",
        "Challenge",
        "CoreSettings",
        "CoreStatus",
        "Events",
        "Filter",
        "Hangup",
        "ListCommands",
        "Login",
        "Logoff",
        "MuteAudio",
        "Originate",
        "Ping",
        "PlayDTMF",
        "Redirect",
        "ShowDialPlan",
        "Status",
        "UserEvent",
    ];
    run(500, &["pbx1"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        let id = world.talk("1001", "1002").await;
        let quiet = |verb: &str, verb_is: Verb| (verb.to_owned(), verb_is);
        for (what, verb) in [
            quiet("hold", Verb::Hold { role: None }),
            quiet("resume", Verb::Resume),
            quiet("dtmf", Verb::Dtmf { digits: "12".parse().unwrap(), role: None }),
            quiet("mute", Verb::Mute { role: None, direction: ifbus_call::order::Direction::In, on: true }),
            quiet("blind", Verb::Transfer { to: address("1003"), mode: Mode::Blind, role: None }),
            quiet("attended", Verb::Transfer { to: address("1004"), mode: Mode::Attended, role: None }),
        ] {
            world.act(id, verb).await.unwrap();
            let quiet = |call: &ifbus_fleet::view::CallView| {
                call.verb.is_none() && call.legs.iter().all(|leg| leg.stage == "up")
            };
            world.until(&format!("{what} is over"), |world| quiet(&world.call(id))).await;
        }
        world.fleet.control.test_server("pbx1".parse().unwrap()).await.unwrap();
        world.hang_up(id).await;
        let heard = peer.peer.borrow().heard.clone();
        let sent: BTreeSet<String> = values(&heard, "Action").into_iter().collect();
        assert!(sent.len() > 10, "{sent:?}");
        let unsafe_ones: Vec<&String> =
            sent.iter().filter(|action| !SAFE.contains(&action.as_str())).collect();
        assert!(
            unsafe_ones.is_empty(),
            "{unsafe_ones:?}: see sections 6, 8 and 11 of the sheet before adding one"
        );
    });
}

#[test]
fn pitfall_a_second_try_uses_new_ids() {
    run(501, &["pbx1", "pbx2"], async |world| {
        let world = &*world;
        let peers = [Handle::before(world, "pbx1").await, Handle::before(world, "pbx2").await];
        // 1009 is known to neither, so the call is tried on both; then a good one.
        let failed = world.place("1009", "1002").await.unwrap().id;
        world.until("over", |world| world.status(failed).is_terminal()).await;
        assert_eq!(world.call(failed).attempts.len(), 2);
        let id = world.talk("1001", "1002").await;
        world.hang_up(id).await;
        let ids: Vec<String> =
            peers.iter().flat_map(|peer| values(&peer.peer.borrow().heard, "ChannelId")).collect();
        assert_eq!(ids.len(), 4);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4, "{ids:?}");
    });
}

#[test]
fn pitfall_a_connection_that_ends_at_once_is_not_tried_in_a_loop() {
    run(502, &["pbx1"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        peer.turns(AMI, Mischief::SaysAndCloses(Vec::new()));
        let before = peer.peer.borrow().connected;
        world.pass(Duration::from_secs(3_600)).await;
        let tried = peer.peer.borrow().connected - before;
        // two connections a life, a life each 20 to 30 s
        assert!((200..=500).contains(&tried), "{tried} connections in an hour");
        peer.heals();
        it_is_used_again(world, "pbx1").await;
    });
}

#[test]
fn pitfall_a_server_that_was_away_for_a_day_is_back_within_a_minute() {
    run(503, &["pbx1"], async |world| {
        world.with("pbx1", |pbx, now| pbx.kill(now));
        world.pass(Duration::from_secs(86_400)).await;
        world.with("pbx1", |pbx, now| pbx.restart(now));
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.state("pbx1"), ServerState::Up);
        let id = world.talk("1001", "1002").await;
        world.hang_up(id).await;
    });
}

#[test]
fn pitfall_lists_are_asked_for_twice_a_minute_and_not_more() {
    run(504, &["pbx1"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        let id = world.talk("1001", "1002").await;
        peer.peer.borrow_mut().heard.clear();
        world.pass(Duration::from_secs(600)).await;
        let lists =
            values(&peer.peer.borrow().heard, "Action").iter().filter(|action| *action == "Status").count();
        assert!((15..=25).contains(&lists), "{lists} lists in ten minutes");
        assert_eq!(world.status(id), Status::InProgress);
        world.hang_up(id).await;
    });
}

#[test]
fn pitfall_a_phone_that_holds_changes_no_hold_of_ours() {
    use ifbus_doubles::phone::Act;
    run(505, &["pbx1"], async |world| {
        let id = world.talk("1001", "1002").await;
        let act = |act: Act| world.with("pbx1", |pbx, now| pbx.act("1001", &act, now));
        act(Act::Resume); // as a transfer makes one
        act(Act::Hold);
        world.pass(Duration::from_secs(1)).await;
        assert!(!world.call(id).held, "nobody of us asked for it");
        world.act(id, Verb::Hold { role: None }).await.unwrap();
        world.until("on hold", |world| world.call(id).held && world.call(id).verb.is_none()).await;
        act(Act::Resume);
        world.pass(Duration::from_secs(1)).await;
        assert!(world.call(id).held, "the phone's resume is not ours");
        world.act(id, Verb::Resume).await.unwrap();
        world.until("resumed", |world| !world.call(id).held && world.call(id).verb.is_none()).await;
        world.hang_up(id).await;
    });
}
