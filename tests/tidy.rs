//! What a machine can check of our habits.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of ours with one of these endings, without what is built or fetched.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours can be read") {
            let path = entry.expect("an entry of ours can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name, "target" | ".git" | "corpus" | "proptest-regressions") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

fn manifest(folder: &str) -> String {
    text(&root().join(folder).join("Cargo.toml"))
}

#[test]
fn the_pure_crates_know_neither_clock_nor_sockets_nor_actors() {
    for folder in ["actors/call", "actors/adapters"] {
        for banned in ["tokio", "actix", "rand", "ifbus-links", "ifbus-fleet", "ifbus-supervision"] {
            let named = |line: &str| {
                line.starts_with(&format!("{banned}.")) || line.starts_with(&format!("{banned} ="))
            };
            assert!(!manifest(folder).lines().any(named), "{folder} must not know {banned}");
        }
    }
}

#[test]
fn only_the_supervision_kernel_names_actix() {
    for folder in
        ["actors/call", "actors/adapters", "actors/links", "actors/fleet", "config", "chaos/doubles", "."]
    {
        let named = |line: &str| line.starts_with("actix.") || line.starts_with("actix =");
        let own = manifest(folder);
        let own = own.split("[workspace.dependencies]").next().unwrap_or_default().to_owned()
            + own.split("[package]").nth(1).unwrap_or_default();
        assert!(!own.lines().any(named), "{folder} must not know actix");
    }
}

#[test]
fn a_double_never_knows_the_adapters() {
    assert!(!manifest("chaos/doubles").contains("ifbus-adapters"));
    for path in files(&[".rs"]).iter().filter(|path| path.starts_with(root().join("chaos/doubles"))) {
        assert!(!text(path).contains("ifbus_adapters"), "{} knows the adapters", shown(path));
    }
}

/// What a folder of a kind has under another name, and where it is.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("elastix", "orders.rs", "narrow/orders.rs"),
    ("elastix", "events.rs", "narrow/facts.rs"),
    ("elastix", "transcripts", "../wire_format/pbxapi/tests.rs"),
    ("flexisip", "events.rs", "pushed.rs"),
    ("opensips", "transcripts", "tests/golden.rs"),
];

#[test]
fn every_folder_of_a_kind_has_the_same_files() {
    for kind in ifbus_call::Kind::ALL {
        let folder = root().join("actors/adapters/src").join(kind.as_str());
        for name in [
            "mod.rs",
            "options.rs",
            "orders.rs",
            "events.rs",
            "machine.rs",
            "tests.rs",
            "LIFECYCLE.md",
            "transcripts",
        ] {
            let elsewhere = ELSEWHERE.iter().find(|(of, file, _)| (*of, *file) == (kind.as_str(), name));
            let place = elsewhere.map_or(name, |(_, _, place)| place);
            assert!(folder.join(place).exists(), "{kind}/{place} is missing");
        }
    }
}

#[test]
fn nothing_is_half_done_and_no_test_is_ignored() {
    // Put together so that this file does not find itself.
    let banned = [
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["#[ign", "ore"].concat(),
        ["not yet impl", "emented"].concat(),
    ];
    for path in files(&[".rs"]) {
        let text = text(&path);
        for word in &banned {
            assert!(!text.contains(word.as_str()), "{}: {word}", shown(&path));
        }
    }
}

#[test]
fn tests_wait_for_conditions_and_do_not_sleep() {
    let sleeps = [["thread::", "sleep"].concat()];
    let tests = files(&[".rs"]).into_iter().filter(|path| {
        let path = shown(path);
        path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
    });
    for path in tests {
        for (number, line) in text(&path).lines().enumerate() {
            assert!(
                !sleeps.iter().any(|word| line.contains(word)),
                "{}:{}: {line}",
                shown(&path),
                number + 1
            );
        }
    }
}

#[test]
fn files_can_be_held_in_mind() {
    for path in files(&[".rs"]) {
        let lines = text(&path).lines().count();
        assert!(lines <= 700, "{} has {lines} lines", shown(&path));
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Paths of a machine and hosts of a package mirror have no place here.
    let banned = [
        ["/ro", "ot/"].concat(),
        ["/wo", "rk/"].concat(),
        ["../sha", "red/"].concat(),
        ["deb.deb", "ian.org"].concat(),
    ];
    for path in files(&[".rs", ".md", ".toml", ".sh", ".conf", "run"]) {
        let text = text(&path);
        for word in &banned {
            assert!(!text.contains(word.as_str()), "{}: {word}", shown(&path));
        }
    }
}

#[test]
fn every_example_and_every_command_is_documented() {
    let readme = text(&root().join("README.md"));
    for command in ["ifbus demo", "ifbus add sip", "ifbus test sip", "ifbus call sip", "tests/run"] {
        let cargo = command.replace("ifbus demo", "-- demo");
        assert!(
            readme.contains(command) || readme.contains(&cargo),
            "the README does not mention `{command}`"
        );
    }
}

#[test]
fn every_event_type_is_in_the_lexicon() {
    let lexicon = text(&root().join("docs/LEXICON.md"));
    let mut missing = Vec::new();
    for path in files(&[".rs"]).iter().filter(|path| path.starts_with(root().join("actors/fleet/src"))) {
        if shown(path).contains("tests") {
            continue;
        }
        for word in text(path).split('"').skip(1).step_by(2) {
            let is_type = ["call.", "server.", "transfer.", "conference.", "recording."]
                .iter()
                .any(|prefix| word.starts_with(prefix))
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
            if is_type && !lexicon.contains(word) {
                missing.push(word.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/LEXICON.md: {missing:?}");
}
