use ifbus_call::Cause;
use ifbus_fleet::view::{AttemptView, FiguresView, ForeignView, ServerState, Status};
use unicode_width::UnicodeWidthStr;

use super::fixture::{call, conference, end, now, pipe, plain, server, terminal};
use crate::cli::screen::Screen;
use crate::cli::{calls, conference as room, list, matrix};

fn servers(screen: &Screen) -> Vec<String> {
    let mut warned = server("kam-edge-of-the-far-north-with-a-long-na", ServerState::Degraded);
    warned.interfaces[0].up = false;
    let servers = [server("pbx1", ServerState::Up), server("old-pbx", ServerState::Down), warned];
    list::table(&servers, now(), screen).lines(screen)
}

#[test]
fn servers_on_a_terminal() {
    let some = [server("pbx1", ServerState::Up), server("old-pbx", ServerState::Down)];
    let lines = list::table(&some, now(), &plain(99)).lines(&plain(99));
    let expected = [
        "NAME     KIND      STATE   CALLS  CAP  LINK  NOTE",
        "pbx1     asterisk  ● up       42  200  3 d",
        "old-pbx  asterisk  × down     42  200  –     management: login refused; next try in 8 s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn point_16_no_line_is_wider_than_the_terminal_and_name_and_state_are_whole() {
    for width in [60, 80, 200] {
        let lines = servers(&plain(width));
        for line in &lines {
            assert!(line.width() <= width, "{} > {width}: {line}", line.width());
            assert_eq!(line.trim_end(), line, "no line ends in blanks");
        }
        assert!(lines[2].contains("old-pbx") && lines[2].contains("× down"), "{width}: {}", lines[2]);
        assert!(
            lines[3].contains("kam-edge-of-the-far-north-with-a-long-na") && lines[3].contains("◐ degraded")
        );
    }
    assert!(servers(&plain(80))[3].len() < servers(&plain(200))[3].len());
}

#[test]
fn the_last_column_is_cut_first() {
    let some = [server("pbx1", ServerState::Up), server("old-pbx", ServerState::Down)];
    let lines = list::table(&some, now(), &plain(60)).lines(&plain(60));
    assert_eq!(lines[2], "old-pbx  asterisk  × down     42  200  –     management: lo…");
}

#[test]
fn colour_changes_no_column() {
    let coloured = servers(&terminal(80));
    let stripped: Vec<String> = coloured
        .iter()
        .map(|line| {
            line.replace("\x1b[0m", "")
                .replace("\x1b[31m", "")
                .replace("\x1b[32m", "")
                .replace("\x1b[33m", "")
        })
        .collect();
    assert_ne!(coloured, stripped);
    assert_eq!(stripped, servers(&plain(80)));
}

#[test]
fn a_program_gets_tabs_a_header_and_everything() {
    let lines = servers(&pipe());
    assert_eq!(lines[0], "NAME\tKIND\tSTATE\tCALLS\tCAP\tCPS\tASR 5m\tPDD p95\tLINK\tNOTE");
    assert_eq!(
        lines[2],
        "old-pbx\tasterisk\tdown\t42\t200\t0.0\t–\t–\t–\tmanagement: login refused; next try in 8 s"
    );
}

#[test]
fn point_16_calls_on_a_terminal_and_in_a_pipe() {
    let mut held = call(0xBEEF, Status::InProgress);
    held.held = true;
    let mut busy = call(0xCAFE, Status::Busy);
    busy.cause = Some(end(Cause::Busy, "486 Busy\x1bHere"));
    busy.attempts.insert(
        0,
        AttemptView {
            ended: Some(end(Cause::Congestion, "")),
            server: "fs1".parse().unwrap(),
            ..busy.attempts[0].clone()
        },
    );
    let calls = [held, busy];
    let shown = calls::table(&calls, now(), true).lines(&plain(100));
    let (a, b) = (calls[0].id.ending(), calls[1].id.ending());
    let expected = [
        "ID      STATUS  FROM  TO    SERVER    FOR  NOTE".to_owned(),
        format!("{a}  held    1001  1002  pbx1    00:24"),
        format!(
            "{b}  busy    1001  1002  pbx1    00:30  busy: 486 Busy\\x1bHere, 2 attempts (fs1: congestion)"
        ),
    ];
    assert_eq!(shown, expected);
    let piped = calls::table(&calls, now(), false).lines(&pipe());
    assert!(piped[1].starts_with(&format!("{}\theld\t1001\t", calls[0].id)));
    for width in [60, 80, 200] {
        for line in calls::table(&calls, now(), true).lines(&plain(width)) {
            assert!(
                line.width() <= width
                    && (line.starts_with("ID") || line.contains("held") || line.contains("busy"))
            );
        }
    }
}

#[test]
fn point_16_conferences_and_members_on_a_terminal_and_in_a_pipe() {
    let view = conference(3);
    let shown = room::table(std::slice::from_ref(&view)).lines(&plain(120));
    let expected = [
        "ID                                SERVER  MEMBERS  INSIDE  MUTED  NOTE",
        "the-standup-of-the-northern-team  pbx1          3       2      1  and 1 leg that dialled in: ifbus calls --foreign",
    ];
    assert_eq!(shown, expected);
    let short: Vec<String> = view.members.iter().map(|member| member.call.ending()).collect();
    let shown = room::roll(&view.members, true).lines(&plain(80));
    let expected = [
        "MEMBER    STATE    PARTY  MUTED  CALL".to_owned(),
        format!("{0}.a  inside   1001          {0}", short[0]),
        format!("{0}.a  inside   1002   muted  {0}", short[1]),
        format!("{0}.a  ringing  1003          {0}", short[2]),
    ];
    assert_eq!(shown, expected);
    let piped = room::roll(&view.members, false).lines(&pipe());
    let whole = view.members[1].call;
    assert_eq!(piped[2], format!("{whole}.a\tinside\t1002\tmuted\t{whole}"));
    for width in [60, 80, 200] {
        let tables = [room::table(std::slice::from_ref(&view)), room::roll(&view.members, true)];
        for line in tables.iter().flat_map(|table| table.lines(&plain(width))) {
            assert!(line.width() <= width, "{width}: {line}");
        }
        assert!(tables[0].lines(&plain(width))[1].starts_with(view.id.as_str()), "the id is whole");
    }
}

#[test]
fn a_call_tells_of_its_conference_and_of_being_recorded() {
    let mut call = call(0xBEEF, Status::InProgress);
    call.conference = Some("standup".parse().unwrap());
    call.recording = Some("rec_01KAQ4ZT8M3XHWE9P6S2K5DQ2M".parse().unwrap());
    let lines = calls::table(&[call], now(), false).lines(&pipe());
    assert!(lines[1].ends_with("\tconference standup, recording"), "{}", lines[1]);
}

#[test]
fn a_wide_terminal_shows_how_calls_went_with_the_sample() {
    let mut busy = server("pbx1", ServerState::Up);
    busy.figures = FiguresView { cps: 1.4, ended_5min: 412, asr_5min: Some(0.6117), pdd_p95_s: Some(0.94) };
    let servers = [busy, server("old-pbx", ServerState::Down)];
    let lines = list::table(&servers, now(), &plain(120)).lines(&plain(120));
    let expected = [
        "NAME     KIND      STATE   CALLS  CAP  CPS  ASR 5m      PDD p95  LINK  NOTE",
        "pbx1     asterisk  ● up       42  200  1.4  61 % (412)  0.9 s    3 d",
        "old-pbx  asterisk  × down     42  200  0.0  –           –        –     management: login refused; next try in 8 s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn every_cell_of_the_matrix_stands_under_its_kind() {
    let matrix = ifbus::serve::matrix::body(&ifbus_call::Kind::ALL);
    for width in [60, 80, 200] {
        let screen = plain(width);
        for table in matrix::tables(&matrix, width) {
            let lines = table.lines(&screen);
            let kinds: Vec<&str> =
                lines[0].split_whitespace().skip(1).filter(|word| *word != "NEEDS").collect();
            for (line, verb) in lines[1..].iter().zip(&matrix.verbs) {
                for kind in &kinds {
                    let at = lines[0].find(&kind.to_uppercase()).or(lines[0].find(kind)).unwrap();
                    let how = verb.cells[&kind.to_lowercase()].how.as_str();
                    assert!(line[at..].starts_with(how), "{kind} is {how} in: {line}");
                }
            }
        }
    }
}

#[test]
fn point_16_every_table_keeps_to_the_width_and_never_cuts_what_names_a_row() {
    let matrix = ifbus::serve::matrix::body(&ifbus_call::Kind::ALL);
    let legs = [ForeignView {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        server: "kam-edge".parse().unwrap(),
        native: "PJSIP/a-very-long-name-of-a-channel-00000001".to_owned(),
        party: "sip:somebody-with-a-long-name@a-long-domain.example.net".to_owned(),
        conference: None,
        stage: "up".to_owned(),
    }];
    for width in [60, 80, 200] {
        let screen = plain(width);
        let of_matrix = matrix::tables(&matrix, width);
        let tables = [
            (of_matrix.iter().flat_map(|table| table.lines(&screen)).collect(), "attended-transfer   native"),
            (calls::foreign_table(&legs).lines(&screen), "kam-edge  up"),
        ];
        for (lines, kept) in tables {
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:#?}");
            assert!(lines.iter().any(|line| line.starts_with(kept)), "{width}: {lines:#?}");
        }
    }
}
