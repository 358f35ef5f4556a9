//! What needs no orchestrator.

use std::os::unix::fs::symlink;

use crate::program::{Home, is_plain};

#[test]
fn point_1_the_program_alone_says_what_it_is_in_twenty_lines() {
    let ended = Home::new().run("");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.lines().count() <= 20);
    for word in ["ifbus demo", "ifbus add", "ifbus call", "ifbus help examples"] {
        assert!(ended.out.contains(word), "{word}");
    }
}

#[test]
fn point_1_an_unknown_command_is_answered_with_the_nearest_and_does_nothing() {
    let ended = Home::new().run("cal");
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert_eq!(
        ended.err,
        "error: there is no command `cal`; nothing was done\n  did you mean `call`?   all commands: ifbus --help\n"
    );
}

#[test]
fn point_5_under_json_a_slip_is_one_problem_object_on_stderr() {
    for line in ["cal --json", "--json call sip from=1", "config example nonsense --json", "--json call"] {
        let ended = Home::new().run(line);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{line}");
        let problem: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
        assert_eq!(
            (problem["code"].as_str(), problem["exit"].as_u64()),
            (Some("invalid_request"), Some(2)),
            "{line}"
        );
    }
}

#[test]
fn point_3_the_program_called_if_takes_the_word_bus() {
    let home = Home::new();
    let program = home.folder.join("if");
    symlink(env!("CARGO_BIN_EXE_ifbus"), &program).unwrap();
    let bus = home.command_as(&program, &["bus", "help", "exit-codes"]).output().unwrap();
    let plain = home.run("help exit-codes");
    assert_eq!(String::from_utf8(bus.stdout).unwrap(), plain.out);
    assert_eq!(plain.code, 0);
    assert_eq!(home.run("bus help exit-codes").out, plain.out);
}

#[test]
fn point_6_every_topic_and_command_has_help_and_nothing_has_escape_codes() {
    let home = Home::new();
    let commands = [
        "add",
        "test",
        "call",
        "hangup",
        "list",
        "remove",
        "hold",
        "resume",
        "dtmf",
        "mute",
        "unmute",
        "transfer",
        "calls",
        "show",
        "events",
        "detect",
        "setup",
        "matrix",
        "serve",
        "stop",
        "demo",
        "config",
        "doctor",
        "man",
        "version",
        "help",
        "completion",
    ];
    for word in commands {
        let ended = home.run(&format!("help {word}"));
        assert!(
            ended.code == 0 && ended.out.contains("Usage: ifbus") && is_plain(&ended),
            "{word}: {ended:?}"
        );
        assert_eq!(home.run(&format!("{word} --help")).code, 0, "{word}");
    }
    for topic in ["", "examples", "exit-codes", "environment", "json", "examples call", "examples resume"] {
        let ended = home.run(&format!("help {topic}"));
        assert!(ended.code == 0 && !ended.out.is_empty() && is_plain(&ended), "{topic}: {ended:?}");
    }
    assert_eq!(home.run("help nonsense").code, 2);
}

#[test]
fn every_example_of_the_help_is_a_command_that_is_understood() {
    let examples = Home::new().run("help examples").out;
    // An orchestrator that is not there: whatever is understood gets as far as asking it.
    let home = Home::new().with("IFBUS_URL", "http://127.0.0.1:9").with("PBX1_SECRET", "x");
    let lines = examples
        .lines()
        .filter(|line| line.trim_start().starts_with("ifbus ") && !line.contains("file:/run"));
    let mut tried = 0;
    for line in lines.filter(|line| {
        !line.contains(" serve ")
            && !line.contains("ifbus config")
            && !line.contains("--bundle")
            && !line.contains(" stop")
    }) {
        let line = line
            .trim()
            .trim_start_matches("ifbus ")
            .replace('\'', "")
            .replace("secret=prompt", "secret=env:PBX1_SECRET");
        let ended = home.run(&line);
        assert!(
            ended.code == 4 || ended.code == 0 && (line.starts_with("setup") || line.starts_with("matrix")),
            "{line}: {ended:?}"
        );
        tried += 1;
    }
    assert!(tried >= 20, "{tried}");
}

#[test]
fn setup_names_every_part_and_no_secret() {
    let home = Home::new();
    let ended = home.run("setup asterisk --for pbx1");
    assert_eq!(ended.code, 0);
    for word in ["manager.conf", "http.conf", "ari.conf", "extensions.conf", "exten => consult,1,Answer()"] {
        assert!(ended.out.contains(word), "{word}");
    }
    assert!(ended.err.contains("ifbus test sip pbx1") && ended.out.contains("add sip pbx1"));
    assert!(!ended.out.contains("NAME"));
    for line in
        ended.out.lines().filter(|line| line.starts_with("secret =") || line.starts_with("password ="))
    {
        assert!(line.contains("(choose one"), "{line}");
    }
    let one = home.run("setup asterisk --only dialplan");
    assert!(one.out.contains("[ifbus]") && !one.out.contains("manager.conf"));
    assert_eq!(home.run("setup asterisk --only nonsense").code, 2);
    assert_eq!(home.run("setup nonsense").code, 2);
}

#[test]
fn the_dialplan_has_every_waiting_place_and_each_ends_by_itself() {
    let text = Home::new().run("setup asterisk --only dialplan").out;
    for place in ["wait", "ringback", "hold", "park", "consult"] {
        let from = text.find(&format!("exten => {place},1,Answer()")).expect(place);
        let block: Vec<&str> =
            text[from..].lines().skip(1).take_while(|line| line.starts_with(" same")).collect();
        assert_eq!(block.last(), Some(&" same => n,Hangup(16)"), "{place}");
    }
}

#[test]
fn a_configuration_is_checked_shown_and_exemplified() {
    let home = Home::new();
    let good = home.folder.join("good.toml");
    std::fs::write(&good, home.run("config example two-asterisk").out).unwrap();
    let ended = home.run(&format!("config check {}", good.display()));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("2 servers, 1 token"));

    let bad = home.folder.join("bad.toml");
    std::fs::write(&bad, "[servers.x]\nkind = \"astersik\"\nhost = \"h\"\n").unwrap();
    let ended = home.run(&format!("config check {}", bad.display()));
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(
        ended.err.contains("bad.toml:2:8: ") && ended.err.contains("did you mean `asterisk`?"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("kind = \"astersik\""));

    assert_eq!(home.run(&format!("config check {}", home.folder.join("none.toml").display())).code, 1);
    let schema: serde_json::Value = serde_json::from_str(&home.run("config schema").out).unwrap();
    assert!(schema["properties"]["servers"].is_object());
}

#[test]
fn config_show_tells_where_each_value_comes_from() {
    let data = std::env::temp_dir().join("ifbus-cli-none");
    let home = Home::new().with("IFBUS_DATA", data.to_str().unwrap());
    let ended = home.run("config show --origin");
    assert_eq!(ended.code, 0);
    assert!(ended.out.starts_with("KEY\tVALUE\tORIGIN\n"));
    assert!(ended.out.contains(&format!("data\t{}\tIFBUS_DATA\n", data.display())), "{}", ended.out);
    assert!(ended.out.contains("listen\t127.0.0.1:7070\tdefault\n"));
    assert!(!data.exists(), "a looking command changes nothing");
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let home = Home::new();
    let folder = home.folder.join("man/man1");
    let ended = home.run(&format!("man {}", folder.display()));
    assert!(ended.code == 0 && ended.out.contains(" pages in "), "{ended:?}");
    let help = home.run("--help").out;
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        let page = std::fs::read_to_string(folder.join(format!("ifbus-{command}.1"))).unwrap_or_default();
        assert!(page.contains(".TH ifbus") && page.contains("SYNOPSIS"), "{command}: {page}");
    }
    let page = std::fs::read_to_string(folder.join("ifbus-config-check.1")).unwrap();
    assert!(page.contains("ifbus config check"), "{page}");
    assert!(!folder.join("ifbus-__complete.1").exists());
}

#[test]
fn point_17_completion_is_printed_for_the_three_shells() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let ended = home.run(&format!("completion {shell}"));
        assert!(
            ended.code == 0
                && ended.out.contains("ifbus __complete") | ended.out.contains("__complete \"")
                && ended.err.is_empty(),
            "{shell}"
        );
    }
    assert_eq!(home.run("completion tcsh").code, 2);
}

#[test]
fn point_17_with_the_orchestrator_down_only_words_are_offered_and_nothing_is_said() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections and never answers
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for url in ["", "http://127.0.0.1:9", &silent, "nonsense"] {
        let home = Home::new().with("IFBUS_URL", url);
        let complete = |line: &str| {
            let ended: crate::program::Ended = home.command(&["__complete", line]).output().unwrap().into();
            assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{url} {line}");
            ended.out.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(complete("ifbus ca"), ["call", "calls"]);
        assert_eq!(complete("ifbus hangup sip ca"), ["call_id="]);
        assert_eq!(complete("ifbus hangup sip call_id="), ["call_id="]);
        assert_eq!(complete("ifbus test sip "), [""; 0]);
        assert_eq!(complete("ifbus show call "), [""; 0]);
        assert!(!home.folder.join(".local").exists(), "nothing is started");
    }
}

#[test]
fn version_and_stop_start_nothing() {
    let home = Home::new();
    assert_eq!(
        home.run("version").out,
        format!("ifbus {}\norchestrator: none runs here\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(home.run("stop").out, "no orchestrator runs here\n");
    assert!(!home.folder.join(".local").exists());
}

#[test]
fn an_orchestrator_that_was_named_and_is_not_there_is_exit_4() {
    let home = Home::new().with("IFBUS_URL", "http://127.0.0.1:9");
    for line in ["list sip", "calls", "events", "call sip from=1 to=2", "hold sip call_id=K5DQ2M"] {
        let ended = home.run(line);
        assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{line}: {ended:?}");
        assert!(
            ended.err.starts_with("error: no orchestrator answers at http://127.0.0.1:9"),
            "{}",
            ended.err
        );
    }
    assert_eq!(home.run("list sip --on http://192.0.2.1:7070").code, 2);
}
