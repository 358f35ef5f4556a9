use clap::CommandFactory;

use crate::cli::Plan;
use crate::cli::errors::{Exit, Failure};
use crate::cli::grammar::{Cli, Command, parse};

fn read(line: &str) -> Result<Cli, Failure> {
    parse(line.split_whitespace().map(Into::into).collect()).map_err(|slip| slip.failure)
}

fn plan(line: &str) -> Result<Plan, Failure> {
    match read(line)?.command {
        Some(Command::Ask(command)) => Plan::make(command),
        other => panic!("{line} is {other:?}"),
    }
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn point_3_the_users_own_words_are_understood_under_every_name() {
    let lines = [
        "add sip pbx1 asterisk --host 192.0.2.10 --port 5038 --auth user=ifbus,secret=x --set dial_e164=PJSIP/{n}@t",
        "test sip pbx1",
        "call sip pbx1 from=1001 to=1002",
        "call sip from=1001 to=1002",
        "hangup sip pbx1 call_id=K5DQ2M",
        "list sip",
        "remove sip pbx1",
        "hold sip call_id=K5DQ2M leg=a",
        "resume sip call_id=K5DQ2M",
        "dtmf sip call_id=K5DQ2M digits=12#",
        "mute sip call_id=K5DQ2M leg=b direction=out",
        "unmute sip call_id=K5DQ2M",
        "transfer sip call_id=K5DQ2M to=1003 --attended",
        "transfer sip call_id=K5DQ2M --complete",
        "transfer sip call_id=K5DQ2M --cancel",
        "calls --status ringing --server pbx1 --limit 3",
        "call sip from=1001 to=1002 record=yes",
        "conference create sip standup",
        "conference create sip standup server=pbx1",
        "conference add sip standup to=1003 record=yes caller_id=1000 timeout=20",
        "conference add sip standup call_id=K5DQ2M --detach",
        "conference list sip",
        "conference list sip standup",
        "conference kick sip standup member=K5DQ2M.a",
        "conference mute sip standup member=c_01KAQ4ZT8M3XHWE9P6S2K5DQ2M.b",
        "conference unmute sip standup member=K5DQ2M",
        "conference end sip standup --yes",
        "record start sip pbx1 call_id=K5DQ2M",
        "record stop sip call_id=K5DQ2M",
        "record stop sip rec_id=rec_01KAQ4ZT8M3XHWE9P6S2K5DQ2M",
        "record fetch sip pbx1 call_id=K5DQ2M out=/tmp/talk.wav --force",
        "drain sip pbx1 --wait --yes",
        "drain sip pbx1 --dry-run",
        "undrain sip pbx1",
        "show call K5DQ2M",
        "show server pbx1",
        "events --type call.* --call K5DQ2M --server pbx1",
    ];
    for line in lines {
        for program in ["ifbus", "ifbus bus", "if bus", "/usr/local/bin/if", "./ifbus"] {
            let done = plan(&format!("{program} {line}"));
            assert!(done.is_ok(), "{program} {line}: {:?}", done.err());
        }
    }
}

#[test]
fn a_blank_in_place_of_a_comma_is_understood_after_auth() {
    assert!(plan("ifbus add sip pbx1 asterisk --host h --auth user=ifbus secret=env:S").is_ok());
}

#[test]
fn flags_stand_anywhere() {
    assert!(read("ifbus --json list sip").unwrap().json);
    assert!(read("ifbus list sip --json").unwrap().json);
    assert_eq!(read("ifbus list sip --on http://127.0.0.1:1").unwrap().on.unwrap(), "http://127.0.0.1:1");
}

#[test]
fn point_1_a_slip_is_answered_with_what_was_meant() {
    let failure = read("ifbus cal").unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    let text = "error: there is no command `cal`; nothing was done\n  did you mean `call`?   all commands: ifbus --help";
    assert_eq!(failure.to_string(), text);
    let text = format!(
        "error: no kind of server is called `astersik`; nothing was added\n  did you mean asterisk?   known: {}",
        ifbus_call::Kind::names()
    );
    assert_eq!(plan("ifbus add sip pbx1 astersik").err().unwrap().to_string(), text);
}

#[test]
fn point_4_every_slip_is_a_usage_error() {
    let lines = [
        "ifbus call",
        "ifbus call tel from=1 to=2",
        "ifbus call sip from=1001 to=1002 --detach --follow",
        "ifbus call sip from=1001 to=10!02",
        "ifbus call sip from=1001 to=1002 timeout=600",
        "ifbus hangup sip",
        "ifbus hangup sip --all call_id=K5DQ2M",
        "ifbus hold sip call_id=K5DQ2M leg=x",
        "ifbus dtmf sip call_id=K5DQ2M digits=E",
        "ifbus transfer sip call_id=K5DQ2M",
        "ifbus transfer sip call_id=K5DQ2M to=1003 --complete",
        "ifbus call sip from=1001 to=1002 record=perhaps",
        "ifbus conference",
        "ifbus conference add sip standup",
        "ifbus conference add sip standup pbx1 to=1003",
        "ifbus conference add sip standup to=1003 call_id=K5DQ2M",
        "ifbus conference add sip standup call_id=K5DQ2M record=yes",
        "ifbus conference create sip ../x",
        "ifbus conference kick sip standup",
        "ifbus conference kick sip standup member=../x",
        "ifbus conference kick sip standup member=..",
        "ifbus conference nonsense sip standup",
        "ifbus record start sip",
        "ifbus record start sip rec_id=K5DQ2M",
        "ifbus record stop sip",
        "ifbus record stop sip call_id=K5DQ2M rec_id=K5DQ2M",
        "ifbus record fetch sip rec_id=../x",
        "ifbus drain sip",
        "ifbus drain sip p/x",
        "ifbus undrain sip pbx1 --yes",
        "ifbus calls --status held",
        "ifbus calls --limit 501",
        "ifbus events --type CALL",
        "ifbus add sip pbx1 --set secret=x",
        "ifbus add sip pbx1 asterisk more",
        "ifbus add sip pbx1 --set capacity",
        "ifbus --nonsense",
    ];
    for line in lines {
        let failure = read(line).err().or_else(|| plan(line).err());
        assert_eq!(failure.map(|failure| failure.exit), Some(Exit::Usage), "{line}");
    }
}
