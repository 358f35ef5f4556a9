//! The six commands of the user's own words, and the orchestrator they start and stop.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};

use crate::process::{self, Ran};
use crate::rig::{Rig, SECRET, words_of, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_3_the_six_commands_work_word_for_word", On::Each, word_for_word),
    ("point_3_the_six_commands_work_after_bus", On::OneDouble, after_bus),
    ("point_3_the_six_commands_work_under_the_name_if", On::OneDouble, under_the_name_if),
    ("point_9_ten_adds_at_once_start_one_orchestrator", On::OneDouble, ten_at_once),
    ("a_second_orchestrator_in_the_same_folders_is_refused", On::OneDouble, one_is_enough),
    ("point_9_a_port_in_use_is_one_sentence", On::OneDouble, port_in_use),
    ("stop_ends_it_and_calls_live_on", On::Each, stop_and_go_on),
];

fn word_for_word(target: &Target) -> Result<(), Skipped> {
    six_commands(&Rig::open(target)?, Path::new(env!("CARGO_BIN_EXE_ifbus")), &[]);
    Ok(())
}

fn after_bus(target: &Target) -> Result<(), Skipped> {
    six_commands(&Rig::open(target)?, Path::new(env!("CARGO_BIN_EXE_ifbus")), &["bus"]);
    Ok(())
}

fn under_the_name_if(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    let name = rig.folder.join("if");
    symlink(env!("CARGO_BIN_EXE_ifbus"), &name).expect("the folder takes a link");
    six_commands(&rig, &name, &["bus"]);
    Ok(())
}

fn six_commands(rig: &Rig, program: &Path, before: &[&str]) {
    let run = |words: &str| -> Ran {
        process::run(rig.command_of(program).args(before).args(words.split_whitespace()), "").ends(0)
    };
    let added = run(&rig.add_words("pbx1", &format!("user=ifbus,secret={SECRET}")));
    assert!(added.out.starts_with("added pbx1: up, asterisk"), "{added:#?}");
    assert!(added.err.contains("orchestrator started in the background"), "{added:#?}");
    assert!(added.err.contains("secret=prompt"), "the safer way is named: {added:#?}");

    let tested = run("test sip pbx1");
    assert!(!tested.out.lines().any(|line| line.starts_with("fail")), "{tested:#?}");

    for server in ["", "pbx1 "] {
        let called = run(&format!("call sip {server}from=1001 to=1002"));
        let id = called.out.lines().next().expect("the first line is the id").to_owned();
        assert!(called.out.contains("connected: 1001 and 1002 talk on pbx1"), "{called:#?}");
        rig.hear_each_other("1001", "1002");
        let listed = run("list sip");
        let row: Vec<&str> = listed.out.lines().nth(1).expect("a server").split('\t').collect();
        assert_eq!((row[0], row[1], row[3]), ("pbx1", "asterisk", "1"), "{listed:#?}");

        run(&format!("hangup sip {server}call_id={id}"));
        rig.is_free("1001");
        rig.is_free("1002");
        rig.until("the call is off the server's account", |rig| {
            rig.api().get("/v1/servers/pbx1").json()["calls"] == 0
        });
    }
    run("remove sip pbx1");
    let listed = run("list sip");
    assert_eq!(listed.out.lines().count(), 1, "only the head is left: {listed:#?}");
    run("stop");
}

fn ten_at_once(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    // A server has room for one event stream of ours, so each needs one of its own.
    let double =
        |_| AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports");
    let doubles: Vec<AsteriskServer> = (0..10).map(double).collect();
    let added: Vec<Ran> = std::thread::scope(|scope| {
        let add = |(number, double): (usize, &AsteriskServer)| {
            let (rig, name) = (&rig, format!("pbx{number}"));
            let auth = format!("user=ifbus,secret={SECRET}");
            let words = words_of(&name, double.ami(), double.http().port(), &auth) + " --set sip=off";
            scope.spawn(move || rig.ifbus(&words))
        };
        let adding: Vec<_> = doubles.iter().enumerate().map(add).collect();
        adding.into_iter().map(|thread| thread.join().expect("a command is run")).collect()
    });
    let added: Vec<Ran> = added.into_iter().map(|ran| ran.ends(0)).collect();
    let started = added.iter().filter(|ran| ran.err.contains("orchestrator started in the background"));
    assert_eq!(started.count(), 1, "{added:#?}");
    assert_eq!(rig.orchestrators(), [rig.pid()], "one process serves");
    let listed = rig.api().get("/v1/servers").json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(10));
    Ok(())
}

fn one_is_enough(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let second = rig.ifbus("serve --listen 127.0.0.1:0").ends(1);
    let (pid, address) = (rig.pid(), rig.api().address);
    let expected = format!(
        "error: an orchestrator runs here already (pid {pid}, http://{address}); nothing was started\n"
    );
    assert_eq!(second.err, expected);
    assert_eq!(rig.orchestrators(), [pid]);
    assert_eq!(rig.api().get("/v1/servers/pbx1").json()["state"], "up", "the first goes on");
    Ok(())
}

fn port_in_use(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let foreign = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let at = foreign.local_addr().expect("it listens");
    write(&rig.config(), &format!("listen = \"{at}\"\n"));
    let sentence = format!("error: {at} is in use by another program; nothing was started");

    let listed = rig.ifbus("list sip").ends(1);
    let said: Vec<&str> = listed.err.lines().collect();
    let log = format!("  its log: {}", rig.data().join("orchestrator.log").display());
    assert_eq!((said, listed.out.as_str()), (vec![sentence.as_str(), &log], ""));
    let served = rig.ifbus("serve").ends(1);
    assert_eq!(served.err.lines().last(), Some(sentence.as_str()), "{served:#?}");
    assert_eq!(rig.orchestrators(), [0; 0], "none is left");
    Ok(())
}

fn stop_and_go_on(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    assert_eq!(rig.ifbus("stop").ends(0).out, "no orchestrator runs here\n");
    rig.add();
    let id = rig.talk("1001", "1002");
    let pid = rig.pid();

    let stopped = rig.ifbus("stop").ends(0);
    assert_eq!(stopped.out, format!("stopped (pid {pid}); calls go on at their servers\n"));
    assert_eq!(rig.orchestrators(), [0; 0]);
    rig.hear_each_other("1001", "1002");
    rig.start_again();
    rig.until("it is adopted", |rig| rig.told(&id, "call.adopted"));
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.is_free("1001");
    rig.is_free("1002");
    assert_eq!(["1001", "1002"].map(|number| rig.phones().rings(number)), [1, 1]);
    Ok(())
}
