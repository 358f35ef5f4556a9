//! Recorded sessions: every line of the engine is understood, and says the same in any split.

use super::rig::Rig;
use crate::adapter::Input;
use crate::wire_format::extmodule::{Line, Params};

const RECORDED: &[(&str, &str)] = &[
    ("01-handshake", include_str!("../transcripts/01-handshake.txt")),
    ("02-originate-join", include_str!("../transcripts/02-originate-join.txt")),
    ("14-tagging-and-readopt", include_str!("../transcripts/14-tagging-and-readopt.txt")),
];

/// What the engine said, line by line.
pub(crate) fn lines() -> Vec<&'static str> {
    RECORDED
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.split_once(" <E ").map(|(_, said)| said))
        .collect()
}

#[test]
fn every_recorded_line_is_understood() {
    let lines = lines();
    assert!(lines.len() > 100, "{}", lines.len());
    for line in lines {
        let read = Line::parse(line.as_bytes());
        if let Line::Other(_) = read {
            assert!(line == "%%<quit" || !line.starts_with("%%"), "{line}");
        }
        if let Line::Reply { params, .. } | Line::Watched { params, .. } | Line::Asked { params, .. } = read {
            let written = params.raw().split(|byte| *byte == b':').filter(|field| field.contains(&b'='));
            assert_eq!(written.count(), params.iter().count(), "{line}");
        }
    }
}

#[test]
fn recorded_values_are_read_as_they_were_meant() {
    let params = |name: &str| -> Vec<Params<'static>> {
        lines()
            .into_iter()
            .filter_map(|line| match Line::parse(line.as_bytes()) {
                Line::Watched { name: of, params } if of == name.as_bytes() => Some(params),
                _ => None,
            })
            .collect()
    };
    let started = params("chan.startup");
    let called = |params: &Params<'_>| params.get("callto").is_some_and(|to| to.starts_with("sip/sip:"));
    assert!(started.iter().any(called), "an escaped colon is one");
    let answered = params("call.answered");
    assert!(!answered.is_empty());
    assert!(answered.iter().all(|params| params.get("answered").is_some_and(|word| word == "true")));
    let hung_up = params("chan.hangup");
    assert!(hung_up.iter().any(|params| params.get("reason").is_some_and(|reason| !reason.is_empty())));
}

#[test]
fn a_recorded_session_of_others_changes_nothing_of_ours_in_any_split() {
    let run = |size: usize| {
        let mut rig = Rig::ready();
        rig.talk();
        rig.held = vec!["engine.status"];
        let events = rig.events.len();
        let bytes: Vec<u8> = lines().iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let link = rig.engine();
        for piece in bytes.chunks(size) {
            rig.give(Input::Bytes(link, piece));
        }
        assert!(rig.down.is_empty(), "{:?}", rig.down);
        (rig.events[events..].to_vec(), rig.unknown, rig.sent.len())
    };
    let whole = run(usize::MAX);
    assert_eq!(run(1), whole);
    assert_eq!(run(17), whole);
}
