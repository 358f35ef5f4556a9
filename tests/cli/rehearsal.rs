//! The whole program against simulated servers.

use crate::program::{Ended, Home};

#[test]
fn the_demo_needs_nothing_plays_every_verb_and_leaves_nothing() {
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
        "ended: completed",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
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
    assert_eq!(documents.count(), 11);
    assert_eq!(ended.err, "");
}
