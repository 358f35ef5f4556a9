//! The table, the page and what was run say the same.

use std::path::Path;

use ifbus_call::Kind;

use super::{How, VERBS, body, markdown, needs, proven};

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

#[test]
fn every_cell_of_the_page_stands_under_its_kind() {
    let (matrix, page) = (body(&Kind::ALL), markdown());
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut rows = page.lines().filter(|line| line.starts_with('|'));
    let head = cells(rows.next().unwrap());
    let kinds = &head[2..head.len() - 2];
    assert_eq!(kinds, matrix.kinds);
    for (row, verb) in rows.skip(1).zip(&matrix.verbs) {
        let row = cells(row);
        assert_eq!(row[1], verb.verb);
        for (kind, how) in kinds.iter().zip(&row[2..]) {
            assert_eq!(how, verb.cells[kind].how.as_str(), "{} on {kind}", verb.verb);
        }
    }
}

#[test]
fn each_need_is_told_once_with_the_kinds_it_is_for() {
    let matrix = body(&Kind::ALL);
    let of = |verb: &str, kinds: &[String]| {
        let verb = matrix.verbs.iter().find(|known| known.verb == verb).unwrap();
        needs(verb, kinds)
    };
    for verb in VERBS {
        let told = of(verb, &matrix.kinds);
        let texts: std::collections::BTreeSet<_> =
            told.iter().map(|line| line.split_once(": ").map_or(line.as_str(), |(_, text)| text)).collect();
        assert_eq!(texts.len(), told.len(), "{told:?}");
    }
    let mute = of("mute", &matrix.kinds);
    assert!(
        mute.contains(&"kamailio, opensips, flexisip: a media anchor: `--set anchor=NAME`".to_owned()),
        "{mute:?}"
    );
    let alone = ["kamailio".to_owned(), "opensips".to_owned()];
    assert_eq!(of("mute", &alone), ["a media anchor: `--set anchor=NAME`"]);
}

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
            assert!(seen || cell.how == How::NotYet, "{} on {kind} was run on no server", verb.verb);
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
