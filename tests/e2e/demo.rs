//! `ifbus demo`: the first thing a newcomer runs.

use std::fs;

use serde_json::Value;

use crate::process;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("the_demo_ends_well_and_leaves_nothing_behind", On::OneDouble, demo),
    ("a_demo_that_is_interrupted_leaves_nothing_behind", On::OneDouble, interrupted),
];

fn demo(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let ran = rig.ifbus("demo").ends(0);
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains(['\x1b', '\r']), "a pipe gets plain lines: {text:?}");
    }
    assert!(ran.out.contains("everything is gone again"), "{ran:#?}");
    assert!(ran.out.contains("$ ifbus transfer sip call_id="), "commands are shown: {ran:#?}");
    for server in ["pbx1", "pbx2", "pbx3", "pbx4", "proxy1", "proxy2", "proxy3"] {
        let talks = format!("\t{server}\t");
        let mut lines = ran.out.lines().filter(|line| line.contains("\tin-progress\t"));
        assert!(lines.any(|line| line.contains(&talks)), "a call talks on {server}: {ran:#?}");
    }
    nothing_is_left(&rig);

    let json = rig.ifbus("demo --json").ends(0);
    for line in json.out.lines() {
        let _: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(json.out.lines().count() >= 10, "{json:#?}");
    nothing_is_left(&rig);
    Ok(())
}

fn interrupted(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let demo = rig.begin("demo");
    rig.until("its servers run", |rig| rig.orchestrators().len() == 1);
    rig.until("it plays", |_| process::listens_to_ctrl_c(demo.id()));
    process::signal(demo.id(), rustix::process::Signal::INT);
    process::finish(demo, "demo".to_owned()).ends(130);
    nothing_is_left(&rig);
    Ok(())
}

/// No process, no folder, no file of an installation.
fn nothing_is_left(rig: &Rig) {
    assert_eq!(process::of_folder(&rig.folder), [0; 0]);
    let left: Vec<_> = fs::read_dir(rig.folder.join("tmp")).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!rig.data().exists() && !rig.folder.join("run").exists(), "the own installation is not touched");
}
