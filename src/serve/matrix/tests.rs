//! The table, the page and what was run say the same.

use std::path::Path;

use ifbus_call::Kind;

use super::{How, VERBS, body, markdown, proven};

#[test]
fn the_table_is_closed() {
    let matrix = body(&Kind::ALL);
    assert_eq!((matrix.verbs.len(), matrix.kinds.len()), (20, Kind::ALL.len()));
    assert!(matrix.verbs.iter().all(|verb| verb.cells.len() == Kind::ALL.len()));
    let words: Vec<&str> = matrix.verbs.iter().map(|verb| verb.verb.as_str()).collect();
    assert_eq!(words, VERBS);
    assert_eq!(body(&[]).kinds, [""; 0]);
}

#[test]
fn the_committed_page_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/matrix.md");
    if std::env::var_os("IFBUS_BLESS").is_some() {
        return std::fs::write(path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == markdown(), "docs/matrix.md is old; do: IFBUS_BLESS=1 cargo test -p ifbus matrix");
}

/// Cells that conformance has no way to look at, and `actors/links/tests/flexisip` shows: the server tells no version, has no
/// management beside SIP, lists nothing and has no switch.
const ELSEWHERE: [(&str, &str); 4] =
    [("flexisip", "connect"), ("flexisip", "health"), ("flexisip", "list"), ("flexisip", "drain")];

#[test]
fn a_cell_that_is_said_to_work_was_seen_to_work() {
    let matrix = body(&Kind::ALL);
    for verb in &matrix.verbs {
        for (kind, cell) in &verb.cells {
            // Where no real server of the kind passed everything, the page says so; its double has to, in any case.
            let mut runs = matrix.proven.iter().filter(|run| run.kind == *kind);
            let seen = runs.any(|run| {
                run.cells.iter().any(|cell| {
                    let names = cell.split(':').next().unwrap_or_default();
                    names.split(" and ").any(|name| name == verb.verb)
                })
            });
            let elsewhere = ELSEWHERE.contains(&(kind, &verb.verb));
            assert!(
                seen || elsewhere || matches!(cell.how, How::NotYet | How::Anchor),
                "{} on {kind} was run on no server",
                verb.verb
            );
        }
    }
}

#[test]
fn what_was_proven_names_versions_and_days() {
    let line = proven(&body(&Kind::ALL));
    for word in ["proven: asterisk ", "22.", "16.", " on 20"] {
        assert!(line.contains(word), "{line}");
    }
    let mut none = body(&Kind::ALL);
    none.proven.retain(|run| run.server == "simulated");
    assert!(proven(&none).starts_with("proven only against simulated servers: "), "never more than was seen");
    none.proven.clear();
    assert_eq!(proven(&none), "proven: no whole conformance run is recorded");
}
