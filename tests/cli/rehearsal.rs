//! The whole program against simulated servers.

use crate::program::{Ended, Home};

/// The servers of the demo.
const KINDS: [(&str, &str); 7] = [
    ("pbx1", "asterisk"),
    ("pbx2", "freeswitch"),
    ("pbx3", "elastix"),
    ("pbx4", "yate"),
    ("proxy1", "kamailio"),
    ("proxy2", "opensips"),
    ("proxy3", "flexisip"),
];

#[test]
fn the_demo_needs_nothing_talks_on_every_kind_and_leaves_nothing() {
    let home = Home::new();
    let temporary = home.folder.join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let ended: Ended = home.command(&["demo"]).env("TMPDIR", &temporary).output().unwrap().into();
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in [
        "$ ifbus hold sip",
        " on hold, ",
        " transferred to 1003, ",
        "not connected: busy",
        "told 7 calls to end",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
    for (server, kind) in KINDS {
        let listed = format!("{server}\t{kind}\tup\t");
        assert!(ended.out.lines().any(|line| line.starts_with(&listed)), "{listed}: {}", ended.out);
        let talks = |line: &str| line.contains("\tin-progress\t") && line.contains(&format!("\t{server}\t"));
        assert!(ended.out.lines().any(talks), "a call talks on {server}: {}", ended.out);
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!home.folder.join(".local").exists());
}

#[test]
fn the_demo_under_json_is_one_document_a_line() {
    let home = Home::new();
    let ended = home.run("demo --json");
    assert_eq!(ended.code, 0, "{ended:?}");
    let documents = ended.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(documents.count(), 16);
    assert_eq!(ended.err, "");
}
