//! How commands end: the exit code of every kind of failure.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;

use ifbus_doubles::phone::Plan;
use rustix::process::Signal;

use crate::process;
use crate::rig::{Rig, SECRET, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_2_an_unknown_name_or_id_exits_3", On::OneDouble, unknown),
    ("point_2_an_ambiguous_ending_exits_3_and_lists_the_candidates", On::OneDouble, ambiguous),
    ("point_13_a_call_that_is_not_connected_exits_1", On::Each, not_connected),
    ("point_4_a_token_with_few_rights_exits_5", On::OneDouble, not_permitted),
    ("point_4_an_orchestrator_that_is_not_there_exits_4", On::OneDouble, no_orchestrator),
    ("point_4_a_slip_exits_2_and_starts_nothing", On::OneDouble, slips),
    ("point_4_a_server_that_is_not_there_exits_4", On::OneDouble, no_server),
    ("point_4_a_refused_login_exits_1", On::Each, refused_login),
    ("point_4_what_must_not_be_done_exits_1_or_2", On::OneDouble, refused),
    ("point_14_ctrl_c_exits_130_and_the_call_goes_on", On::Each, interrupted),
];

/// A port nobody listens at.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("it listens").port()
}

fn unknown(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let nobody = "c_00000000000000000000000000";
    let rings = rig.phones().rings("1001");
    for words in [
        "test sip pbx9",
        "call sip pbx9 from=1001 to=1002",
        "remove sip pbx9",
        "remove sip pbx9 --yes",
        "show server pbx9",
        "calls --server pbx9",
        "events --server pbx9",
        &format!("show call {nobody}"),
        "show call 000000",
        "hangup sip call_id=000000",
        &format!("hangup sip pbx1 call_id={nobody}"),
        "hold sip call_id=000000",
        "transfer sip call_id=000000 to=1003",
    ] {
        let ran = rig.ifbus(words).ends(3);
        assert_eq!(ran.out, "", "{ran:#?}");
        assert!(ran.err.starts_with("error: "), "{ran:#?}");
        let json = rig.ifbus(&format!("{words} --json")).ends(3);
        let problem: serde_json::Value = serde_json::from_str(&json.err).expect("one problem object");
        assert_eq!((problem["exit"].as_u64(), json.out.as_str()), (Some(3), ""), "{json:#?}");
    }
    let near = rig.ifbus("call sip pbx9 from=1001 to=1002").ends(3);
    assert!(near.err.contains("did you mean pbx1?"), "{near:#?}");
    assert_eq!(rig.phones().rings("1001"), rings, "nobody was rung");
    Ok(())
}

fn ambiguous(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.plan("1001", Plan::busy());
    rig.add();
    // Of 33 ids two end in the same of 32 characters.
    let mut by_ending: BTreeMap<char, Vec<String>> = BTreeMap::new();
    for _ in 0..33 {
        let id = rig.ifbus("call sip from=1001 to=1002 --detach").ends(0).out.trim().to_owned();
        by_ending.entry(id.chars().last().expect("an id has characters")).or_default().push(id);
        if by_ending.values().any(|ids| ids.len() > 1) {
            break;
        }
    }
    // An ending means the living ones first.
    rig.until("all are over", |rig| rig.calls("queued,ringing,in-progress").is_empty());
    let (ending, ids) =
        by_ending.into_iter().find(|(_, ids)| ids.len() > 1).expect("there are more than endings");
    for words in [format!("show call {ending}"), format!("hangup sip call_id={ending}")] {
        let ran = rig.ifbus(&words).ends(3);
        assert!(ids.iter().all(|id| ran.err.contains(id.as_str())), "{ids:?}: {ran:#?}");
    }
    Ok(())
}

fn not_connected(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    for (plan, said) in [
        (Plan::busy(), "not connected: busy"),
        (Plan::declines(), "not connected: failed: rejected"),
        (Plan::unavailable(), "not connected: no-answer"),
        (Plan::not_found(), "not connected: failed: unreachable"),
        (Plan::congested(), "not connected: failed: congestion"),
    ] {
        rig.plan("1002", plan);
        let ran = rig.ifbus("call sip from=1001 to=1002").ends(1);
        assert!(ran.out.lines().last().is_some_and(|line| line.starts_with(said)), "{said}: {ran:#?}");
        assert!(ran.out.contains("1 attempt (pbx1 "), "{ran:#?}");
        rig.is_free("1001");
    }
    Ok(())
}

fn not_permitted(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let few = "a-token-that-may-only-look";
    write(&rig.folder.join("few"), few);
    rig.configure("[tokens.few]\nsecret = \"file:few\"\nscopes = [\"calls:read\"]\n");
    rig.add();
    let id = rig.talk("1001", "1002");
    let ran = |token: &str, words: &str| {
        let mut command: Command = rig.command();
        process::run(command.args(words.split_whitespace()).env("IFBUS_TOKEN", token), "")
    };
    ran(few, "calls").ends(0);
    ran(few, &format!("show call {id}")).ends(0);
    let add = rig.add_words("pbx2", &format!("user=ifbus,secret={SECRET}"));
    for (words, scope) in [
        ("call sip from=1001 to=1002", "calls:write"),
        ("call sip from=1001 to=1002 --detach", "calls:write"),
        (&format!("hangup sip call_id={id}"), "calls:write"),
        ("hangup sip --all --yes", "calls:write"),
        ("list sip", "servers:read"),
        ("test sip pbx1", "servers:write"),
        (&add, "servers:write"),
        ("remove sip pbx1 --yes", "servers:"),
        ("events", "events"),
    ] {
        let refused = ran(few, words).ends(5);
        assert!(refused.err.contains(scope) || words.starts_with("call sip from"), "{scope}: {refused:#?}");
        let wrong = ran("a-token-that-nobody-knows", words).ends(5);
        assert!(!wrong.err.contains("a-token-that-nobody-knows"), "{wrong:#?}");
    }
    assert_eq!(rig.call(&id)["status"], "in-progress", "nothing was done");
    assert_eq!(rig.api().get("/v1/servers").json()["data"].as_array().map(Vec::len), Some(1));
    Ok(())
}

fn no_orchestrator(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let on = format!("http://127.0.0.1:{}", closed_port());
    for words in ["list sip", "calls", "call sip from=1001 to=1002", "show call K5DQ2M", "events", "version"]
    {
        let ran = rig.ifbus(&format!("{words} --on {on}")).ends(4);
        assert!(ran.err.contains(&on) && ran.out.is_empty(), "{ran:#?}");
        let json = rig.ifbus(&format!("{words} --on {on} --json")).ends(4);
        let problem: serde_json::Value = serde_json::from_str(&json.err).expect("one problem object");
        assert_eq!(problem["code"], "orchestrator_unreachable", "{json:#?}");
    }
    let mut command = rig.command();
    process::run(command.args(["list", "sip"]).env("IFBUS_URL", &on), "").ends(4);
    assert_eq!(rig.orchestrators(), [0; 0], "none was started");
    Ok(())
}

fn slips(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    for words in [
        "cal",
        "cal sip from=1001 to=1002",
        "list",
        "list tel",
        "call sip from=1001",
        "call sip from=1001 to=",
        "call sip from=1001 to=1002 to=1003",
        "call sip from=1001 to=1002 tmeout=3",
        "call sip from=1001 to=1002 timeout=0",
        "call sip from=10;01 to=1002",
        "call sip pbx1 pbx2 from=1001 to=1002",
        "hangup sip",
        "hangup sip call_id=?",
        "hangup sip call_id=K5DQ2M --all",
        "transfer sip call_id=K5DQ2M",
        "dtmf sip call_id=K5DQ2M digits=12x",
        "add sip pbx1 astersk",
        "add sip pbx1 asterisk --auth secret",
        "add sip pbx1 asterisk --auth user=ifbus,secret=env:NOBODY_SET_THIS",
        "add sip pbx1 asterisk --port 0",
        "calls --status busyy",
        "list sip --on ftp://127.0.0.1",
        "list sip --on http://192.0.2.1:7070",
    ] {
        let ran = rig.ifbus(words);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:#?}");
        assert!(ran.err.starts_with("error: "), "{ran:#?}");
    }
    let near = rig.ifbus("cal sip from=1001 to=1002");
    assert!(near.err.contains("did you mean `call`?"), "{near:#?}");
    let alone = rig.ifbus("").ends(0);
    assert!((1..=20).contains(&alone.out.lines().count()), "{alone:#?}");
    Ok(())
}

fn no_server(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let port = closed_port();
    let added = rig
        .ifbus(&format!(
            "add sip gone asterisk --host 127.0.0.1 --port {port} --auth user=ifbus,secret={SECRET}"
        ))
        .ends(4);
    assert!(added.out.starts_with("added gone, but it is down"), "{added:#?}");
    let tested = rig.ifbus("test sip gone").ends(4);
    assert!(tested.out.contains(&port.to_string()), "the port is named: {tested:#?}");
    rig.ifbus("call sip gone from=1001 to=1002").ends(4);
    let any = rig.ifbus("call sip from=1001 to=1002").ends(4);
    assert!(any.err.contains("gone"), "who was passed over is told: {any:#?}");
    Ok(())
}

fn refused_login(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    let wrong = "not-the-secret-4711";
    let added = rig.ifbus(&rig.add_words("pbx1", &format!("user=ifbus,secret={wrong}"))).ends(1);
    let tested = rig.ifbus("test sip pbx1").ends(1);
    for ran in [&added, &tested] {
        assert!(!ran.out.contains(wrong) && !ran.err.contains(wrong), "{ran:#?}");
    }
    assert!(tested.out.lines().any(|line| line.starts_with("fail")), "{tested:#?}");
    rig.ifbus("call sip pbx1 from=1001 to=1002").ends(4);
    // The same name with the right one is a change, and all is well.
    rig.add();
    rig.ifbus("test sip pbx1").ends(0);
    Ok(())
}

fn refused(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    write(&rig.folder.join("secret"), SECRET);
    rig.configure(&format!(
        "[servers.fixed]\nkind = \"asterisk\"\nhost = \"127.0.0.1\"\nport = {}\n\
         auth = {{ user = \"ifbus\", secret = \"file:secret\" }}\nset = {{ ari_port = {}, sip = \"off\" }}\n",
        rig.ami.port(),
        rig.ari
    ));
    rig.ifbus("list sip").ends(0);
    rig.until("it is up", |rig| rig.api().get("/v1/servers/fixed").json()["state"] == "up");
    rig.ifbus("remove sip fixed --yes").ends(1);
    let id = rig.talk("1001", "1002");
    let asked = rig.ifbus("hangup sip --all").ends(2);
    assert!(asked.err.contains("add --yes"), "{asked:#?}");
    rig.ifbus("hangup sip --all --dry-run").ends(0);
    assert_eq!(rig.call(&id)["status"], "in-progress");
    rig.ifbus(&format!("resume sip call_id={id}")).ends(0);
    rig.ifbus(&format!("transfer sip call_id={id} --complete")).ends(1);
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.ifbus(&format!("hold sip call_id={id}")).ends(1);
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(1);
    Ok(())
}

fn interrupted(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let calling = rig.begin("call sip from=1001 to=1002 --follow");
    rig.hear_each_other("1001", "1002");
    process::signal(calling.id(), Signal::INT);
    let ran = process::finish(calling, "call --follow".to_owned()).ends(130);
    let id = ran.out.lines().next().expect("the first line is the id").to_owned();
    assert_eq!(ran.err, format!("the call goes on; end it: ifbus hangup sip call_id={id}\n"));
    rig.hear_each_other("1001", "1002");

    let listening = rig.begin("events");
    rig.until("it listens", |_| process::listens_to_ctrl_c(listening.id()));
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    process::signal(listening.id(), Signal::INT);
    process::finish(listening, "events".to_owned()).ends(0);
    Ok(())
}
