use ifbus_call::{Cause, Finding, Verdict};
use ifbus_fleet::view::{Status, TestReport};

use super::fixture::{call, end, plain, terminal};
use crate::cli::render::{clean, ending, id, span, talk};
use crate::cli::screen::{Colour, Screen};
use crate::cli::test;

#[test]
fn point_7_hostile_text_is_shown_and_not_obeyed() {
    assert_eq!(clean("a\x1b[31mb\r\nc\td\u{7f}"), "a\\x1b[31mb\\x0d\\x0ac\\x09d\\x7f");
    assert_eq!(clean("a\u{202e}b\u{200f}c\u{2066}d\u{9b}e"), "a\\u{202e}b\\u{200f}c\\u{2066}d\\x9be");
    assert_eq!(clean("Zoë 電話 –"), "Zoë 電話 –");
}

#[test]
fn spans_have_one_unit_and_talks_are_clocks() {
    let spans: Vec<String> = [0.0, 59.9, 60.0, 3599.0, 3600.0, 86400.0 * 3.0].map(span).into();
    assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min", "1 h", "3 d"]);
    let talks: Vec<String> = [24.0, 727.0, 3723.0, -5.0].map(talk).into();
    assert_eq!(talks, ["00:24", "12:07", "1:02:03", "00:00"]);
}

#[test]
fn an_id_is_short_for_people_and_whole_for_programs() {
    let call = call(7, Status::Ringing).id;
    assert_eq!(id(call, true), call.ending());
    assert_eq!(id(call, false), call.to_string());
}

#[test]
fn an_end_says_the_cause_once_and_the_servers_words() {
    assert_eq!(ending(Status::Busy, &end(Cause::Busy, "486 Busy Here")), "busy (486 Busy Here)");
    assert_eq!(ending(Status::Failed, &end(Cause::Congestion, "")), "failed: congestion");
    assert_eq!(ending(Status::Completed, &end(Cause::Answered, "")), "completed");
}

#[test]
fn point_6_colour_is_on_a_terminal_only_and_can_be_turned_off() {
    let set =
        |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.into());
    let out = Some(Some(80));
    let painted = |screen: Screen| screen.paint(Some(Colour::Red), "x");
    assert_eq!(painted(terminal(80)), "\x1b[31mx\x1b[0m");
    assert_eq!(painted(Screen::new(false, true, &|_| None, out, true)), "x");
    assert_eq!(painted(Screen::new(false, false, &set("NO_COLOR", "1"), out, true)), "x");
    assert_eq!(painted(Screen::new(false, false, &set("TERM", "dumb"), out, true)), "x");
    assert_eq!(painted(Screen::new(false, false, &|_| None, None, true)), "x");
    // An empty NO_COLOR says nothing (no-color.org).
    assert_eq!(painted(Screen::new(false, false, &set("NO_COLOR", ""), out, true)), "\x1b[31mx\x1b[0m");
}

#[test]
fn the_width_is_the_terminals_unless_columns_says_otherwise() {
    let columns = |asked: &str| (asked == "COLUMNS").then(|| "60".into());
    assert_eq!(Screen::new(false, false, &columns, Some(Some(200)), true).width(), Some(60));
    assert_eq!(Screen::new(false, false, &|_| None, Some(None), true).width(), Some(80));
    assert_eq!(Screen::new(false, false, &columns, None, true).width(), None);
}

#[test]
fn a_report_says_what_to_do_below_what_failed() {
    let finding = |area: &str, verdict, text: &str, fix: Option<&str>| Finding {
        area: area.to_owned(),
        verdict,
        text: text.to_owned(),
        fix: fix.map(str::to_owned),
    };
    let report = TestReport {
        server: "pbx1".parse().unwrap(),
        ok: false,
        reachable: true,
        findings: vec![
            finding("management", Verdict::Ok, "5038: login 9 ms", None),
            finding(
                "dialplan",
                Verdict::Fail,
                "`ringback` is missing",
                Some("ifbus setup asterisk --only dialplan"),
            ),
            finding("media", Verdict::Skip, "no test number", None),
        ],
        took_s: 0.4,
    };
    let lines = test::lines(&plain(80), &report);
    let expected = [
        "ok    management    5038: login 9 ms",
        "fail  dialplan      `ringback` is missing",
        "      do: ifbus setup asterisk --only dialplan",
        "skip  media         no test number",
        "pbx1: 1 ok, 1 failed, 1 skipped, 0.4 s",
    ];
    assert_eq!(lines, expected);
    assert!(test::lines(&terminal(80), &report)[1].starts_with("\x1b[31mfail\x1b[0m  dialplan"));
}
