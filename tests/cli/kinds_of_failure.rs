//! Point 4: for every command each kind of failure is an exit of its class. Every command of the help is here.

use std::collections::BTreeSet;

use ifbus_fleet::Code;

use crate::fake::{Fake, Reply, problem};
use crate::program::{Home, is_plain};

/// Commands that ask an orchestrator, in a form that gets as far as asking.
const ASKING: &[&str] = &[
    "add sip pbx1 asterisk --host 192.0.2.10",
    "test sip pbx1",
    "call sip from=1001 to=1002",
    "call sip pbx1 from=1001 to=1002 --detach",
    "hangup sip call_id=K5DQ2M",
    "hangup sip --all --yes",
    "hangup sip call_id=K5DQ2M --dry-run",
    "list sip",
    "remove sip pbx1 --yes",
    "remove sip pbx1 --dry-run",
    "hold sip call_id=K5DQ2M",
    "resume sip call_id=K5DQ2M",
    "dtmf sip call_id=K5DQ2M digits=1",
    "mute sip call_id=K5DQ2M",
    "unmute sip call_id=K5DQ2M",
    "transfer sip call_id=K5DQ2M to=1003",
    "call sip from=1001 to=1002 record=yes --detach",
    "conference create sip standup",
    "conference create sip standup server=pbx1",
    "conference add sip standup to=1003",
    "conference add sip standup call_id=K5DQ2M --detach",
    "conference list sip",
    "conference list sip standup",
    "conference kick sip standup member=K5DQ2M.a",
    "conference mute sip standup member=K5DQ2M.a",
    "conference unmute sip standup member=K5DQ2M.a",
    "conference end sip standup --yes",
    "conference end sip standup --dry-run",
    "record start sip call_id=K5DQ2M",
    "record start sip pbx1 call_id=K5DQ2M",
    "record stop sip call_id=K5DQ2M",
    "record stop sip rec_id=K5DQ2M",
    "record fetch sip call_id=K5DQ2M",
    "record fetch sip rec_id=K5DQ2M out=talk.wav",
    "drain sip pbx1 --yes",
    "drain sip pbx1 --dry-run",
    "drain sip pbx1 --yes --wait",
    "undrain sip pbx1",
    "calls",
    "show call K5DQ2M",
    "show server pbx1",
    "detect 192.0.2.10",
    "add sip pbx1 auto --host 192.0.2.10",
    "events",
    "version",
];

/// Commands that ask nobody: how each fails, and the exit.
const HERE: &[(&str, i32)] = &[
    ("setup nonsense", 2),
    ("setup asterisk --only nonsense", 2),
    ("serve --config /nonsense", 1),
    ("serve --listen nonsense", 2),
    ("stop --on http://127.0.0.1:9", 2),
    ("demo nonsense", 2),
    ("config check /nonsense", 1),
    ("config reload", 4),
    ("config example nonsense", 2),
    ("matrix --kind nonsense", 2),
    ("man /proc/nonsense", 1),
    ("help nonsense", 2),
    ("completion nonsense", 2),
];

/// The one that tells of a failure as what it found, on stdout, and exits in its class.
const TELLING: &str = "doctor";

#[test]
fn point_4_every_command_is_in_the_table() {
    let help = Home::new().run("--help").out;
    let commands: BTreeSet<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let first = |line: &'static str| line.split(' ').next().unwrap();
    let tried: BTreeSet<&str> = ASKING
        .iter()
        .copied()
        .map(first)
        .chain(HERE.iter().map(|(line, _)| first(line)))
        .chain([TELLING])
        .collect();
    assert_eq!(commands, tried);
}

#[test]
fn point_4_each_problem_of_the_api_ends_every_command_with_its_class() {
    for code in Code::ALL {
        let fake = Fake::new(move |_| problem(code, "as the test asked"));
        let home = Home::new().with("IFBUS_URL", &fake.url).with("IFBUS_TOKEN", "t0ken");
        for line in ASKING {
            // A verdict on a call that is over is no failure of `hangup --all`; its list is.
            let ended = home.run(line);
            assert_eq!(ended.code, i32::from(code.exit()), "{line}, {}: {ended:?}", code.as_str());
            assert!(
                ended.out.is_empty() && ended.err.starts_with("error: ") && is_plain(&ended),
                "{line}: {ended:?}"
            );
        }
    }
}

#[test]
fn point_4_an_orchestrator_that_is_no_orchestrator_is_a_failure() {
    for (reply, code) in [(200, 1), (500, 1), (302, 1)] {
        let fake = Fake::new(move |_| Reply::Text(reply, "<html>"));
        let home = Home::new().with("IFBUS_URL", &fake.url);
        for line in
            ASKING.iter().filter(|line| !line.starts_with("events") && !line.starts_with("call sip from"))
        {
            let ended = home.run(line);
            assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{line}, {reply}: {ended:?}");
        }
    }
}

#[test]
fn point_4_an_orchestrator_that_is_not_there_is_exit_4_for_every_command() {
    let home = Home::new().with("IFBUS_URL", "http://127.0.0.1:9");
    for line in ASKING {
        let ended = home.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{line}: {ended:?}");
    }
}

#[test]
fn point_4_commands_that_ask_nobody_fail_in_their_class() {
    let home = Home::new();
    for (line, code) in HERE {
        let ended = home.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (*code, ""), "{line}: {ended:?}");
        assert!(!ended.err.is_empty() && is_plain(&ended), "{line}: {ended:?}");
    }
}

#[test]
fn point_4_what_keeps_an_orchestrator_from_answering_is_a_finding_of_the_doctor() {
    for code in Code::ALL {
        let fake = Fake::new(move |_| problem(code, "as the \x1b[31mtest asked"));
        let home = Home::new().with("IFBUS_URL", &fake.url);
        let ended = home.run(TELLING);
        assert_eq!(ended.code, i32::from(code.exit()), "{}: {ended:?}", code.as_str());
        let line = "fail  orchestrator  as the \\x1b[31mtest asked";
        assert!(ended.out.lines().any(|told| told == line) && is_plain(&ended), "{ended:?}");
    }
    assert_eq!(Home::new().with("IFBUS_URL", "http://127.0.0.1:9").run(TELLING).code, 4);
    let none = Home::new();
    assert_eq!(none.run(TELLING).code, 0, "that none runs is nothing to fix");
    assert!(!none.folder.join(".local").exists(), "it starts nothing");
}
