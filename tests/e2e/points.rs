//! Points of the promise to users that need servers that misbehave.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::phone::Plan;
use serde_json::{Value, json};

use crate::rig::{Rig, SECRET};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_2_a_call_to_an_unknown_name_sends_no_byte", On::OneDouble, no_byte),
    ("point_7_a_hostile_caller_is_neutral_on_every_surface", On::OneDouble, hostile),
    ("point_10_auto_names_the_kind_and_says_what_was_asked", On::OneDouble, auto),
    ("point_12_a_test_of_a_black_hole_ends_and_names_what_to_do", On::OneDouble, black_hole),
    ("point_12_a_test_changes_nothing_on_the_server", On::OneDouble, changes_nothing),
    ("point_17_completion_offers_live_names_and_endings", On::OneDouble, completion),
    ("a_second_name_for_one_server_is_refused", On::OneDouble, second_name),
    ("point_28_list_shows_how_calls_went_and_nothing_without_calls", On::OneDouble, figures),
    ("point_18_a_dead_server_is_shown_with_reason_and_next_try", On::OneDouble, dead_server),
    ("point_22_a_503_lists_every_server_once_with_its_reason", On::OneDouble, skipped),
    ("point_25_each_call_ends_once_whatever_the_server_does", On::OneDouble, ends_once),
];

fn double() -> Arc<AsteriskServer> {
    Arc::new(AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports"))
}

fn no_byte(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let ran = rig.ifbus("call sip pbx9 from=1001 to=1002").ends(3);
    assert!(ran.err.contains("did you mean pbx1?"), "{ran:#?}");
    assert_eq!(rig.phones().rings("1001"), 0);
    assert!(rig.legs_on_server().is_empty());
    Ok(())
}

/// Escape codes, marks that change the direction of writing.
const EVIL: &str = "777\x1b[2J\x1b]0;owned\x07\u{202e}abc\u{200f}";
/// Line ends, and a message of the manager that is none.
const FORGED: &str = "777\r\nEvent: Hangup\r\nUniqueid: x\r\n\r\n";

fn hostile(_: &Target) -> Result<(), Skipped> {
    let double = double();
    let rig = Rig::around(Arc::clone(&double));
    // Before ifbus comes: it is found at the first look.
    double.hostile_call(EVIL);
    rig.add();
    let foreign = rig.api().get("/v1/calls?foreign=true").json();
    assert!(foreign["data"].as_array().is_some_and(|legs| !legs.is_empty()), "{foreign:#}");
    let id = rig.talk("1001", "1002");
    double.hostile_call(FORGED);
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    let events = {
        let boot = rig.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
        let mut stream = rig.api().events("", Some(&format!("{boot}-0")));
        let mut lines = String::new();
        loop {
            let line = stream.next("data:");
            lines.push_str(&line);
            lines.push('\n');
            let event: Value = serde_json::from_str(&line).expect("an event is JSON");
            if event["type"] == "call.ended" {
                break lines;
            }
        }
    };
    let log = std::fs::read_to_string(rig.data().join("orchestrator.log")).expect("there is a log");
    let mut texts = vec![("events", events), ("log", log)];
    for words in ["calls --foreign", "calls", "list sip", "show server pbx1", "test sip pbx1"] {
        let ran = rig.ifbus(words);
        texts.push((words, ran.out + &ran.err));
    }
    let shown = rig.ifbus(&format!("show call {id}"));
    texts.push(("show call", shown.out + &shown.err));
    for (what, text) in texts {
        for bad in ['\x1b', '\x07', '\r', '\u{202e}', '\u{200f}'] {
            assert!(!text.contains(bad), "{what} holds {bad:?}: {text:?}");
        }
    }
    let foreign = rig.ifbus("calls --foreign").ends(0);
    for line in foreign.out.lines() {
        assert_eq!(line.matches('\t').count(), 4, "a row stays a row: {foreign:#?}");
    }
    assert_eq!(rig.call(&id)["status"], "completed", "a forged message ended nothing");
    Ok(())
}

fn auto(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let words = rig.add_words("pbx1", &format!("user=ifbus,secret={SECRET}"));
    let added = rig.ifbus(&words.replace(" asterisk ", " auto ")).ends(0);
    assert!(added.err.contains("detected asterisk (Asterisk Call Manager/"), "{added:#?}");
    assert!(added.out.starts_with("added pbx1: up, asterisk 22"), "{added:#?}");
    let (host, port) = (rig.ami.ip(), rig.ami.port());
    let found = rig.ifbus(&format!("detect {host} --port {port}")).ends(0);
    assert!(found.out.contains("asterisk manager interface, clear text"), "{found:#?}");
    assert!(found.out.lines().last().is_some_and(|line| line.starts_with("asterisk, ")), "{found:#?}");

    // An address of loopback at which nobody listens, and a port that says nothing.
    let silent = TcpListener::bind("127.77.51.9:0").expect("all of 127 is loopback");
    let port = silent.local_addr().expect("it listens").port();
    for words in [
        format!("detect 127.77.51.9 --port {port}"),
        format!("add sip pbx2 auto --host 127.77.51.9 --port {port}"),
    ] {
        let ran = rig.ifbus(&words).ends(4);
        assert!(
            ran.out.is_empty() && ran.err.contains(&format!("{port}/tcp, 5039/tcp, 8088/tcp")),
            "{ran:#?}"
        );
        assert!(ran.err.contains("5060/udp"), "{ran:#?}");
    }
    let other = std::thread::spawn(move || {
        for stream in silent.incoming().take(12) {
            let mut stream = stream.expect("a connection");
            // Whoever asks may have had enough.
            let _ =
                std::io::Write::write_all(&mut stream, b"YATE 6.4.1-1 r (http://YATE.null.ro) ready.\r\n");
        }
    });
    let found = rig.ifbus(&format!("detect 127.77.51.9 --port {port}")).ends(0);
    assert!(found.out.contains("yate remote manager"), "{found:#?}");
    other.join().expect("it was asked in each way");
    assert_eq!(
        rig.api().get("/v1/servers").json()["data"].as_array().map(Vec::len),
        Some(1),
        "nothing was added"
    );
    Ok(())
}

fn black_hole(_: &Target) -> Result<(), Skipped> {
    let auth = format!("--auth user=ifbus,secret={SECRET}");
    let secret = format!("--auth secret={SECRET}");
    let kinds = [
        ("asterisk", format!("{auth} --set sip=off")),
        ("freeswitch", format!("{secret} --set sip=off")),
        ("kamailio", format!("{secret} --set sip=127.0.0.1:{{udp}}")),
        ("opensips", "--set sip=127.0.0.1:{udp}".to_owned()),
        ("elastix", format!("{auth} --set sip=off")),
        ("yate", "--set sip=off".to_owned()),
        ("flexisip", "--set sip_listen=127.0.0.1:0".to_owned()),
    ];
    let rig = &Rig::simple();
    rig.ifbus("list sip").ends(0);
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            kinds.iter().map(|(kind, words)| scope.spawn(move || of_black_hole(rig, kind, words))).collect();
        for one in asked {
            one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    Ok(())
}

fn of_black_hole(rig: &Rig, kind: &str, words: &str) {
    // Takes connections, or datagrams, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let deaf = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
    let (tcp, udp) = (silent.local_addr(), deaf.local_addr());
    let (tcp, udp) = (tcp.expect("it listens").port(), udp.expect("it listens").port());
    let port = if kind == "flexisip" { udp } else { tcp };
    let words = words.replace("{udp}", &udp.to_string());
    let added = rig.ifbus(&format!("add sip hole-{kind} {kind} --host 127.0.0.1 --port {port} {words}"));
    assert!(!added.err.contains("nothing was added"), "{added:#?}");
    let tested = rig.ifbus(&format!("test sip hole-{kind}")).ends(1);
    let lines: Vec<&str> = tested.out.lines().collect();
    let failed: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("fail")).collect();
    assert!(!failed.is_empty(), "{kind}: {tested:#?}");
    let interface = |line: &&str| line.contains("management") || line.contains("sip");
    assert!(failed.iter().all(interface), "the interface is named: {kind}: {tested:#?}");
    assert!(tested.out.contains(&format!("127.0.0.1:{port}")), "and the address: {kind}: {tested:#?}");
    for pair in lines.windows(2).filter(|pair| pair[0].starts_with("fail")) {
        assert!(pair[1].trim_start().starts_with("do: "), "what to do next: {kind}: {tested:#?}");
    }
}

fn changes_nothing(_: &Target) -> Result<(), Skipped> {
    let double = double();
    let rig = Rig::around(Arc::clone(&double));
    rig.add();
    let id = rig.talk("1001", "1002");
    double.foreign_call("1003", "1004");
    rig.until("it rings", |rig| rig.phones().rings("1004") > 0);
    let standing = |rig: &Rig| {
        let phones = ["1001", "1002", "1003", "1004"];
        let phones = phones.map(|number| (rig.phones().live(number), rig.phones().rings(number)));
        (phones, rig.legs_on_server(), rig.call(&id)["seq"].clone())
    };
    rig.until("both of the foreign ones talk", |rig| rig.phones().live("1004") == 1);
    let before = standing(&rig);
    for _ in 0..3 {
        rig.ifbus("test sip pbx1").ends(0);
    }
    assert_eq!(standing(&rig), before);
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    Ok(())
}

fn completion(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let id = rig.talk("1001", "1002");
    let ending = &id[id.len() - 6..];
    let complete = |line: &str| {
        let ran = crate::process::run(rig.command().args(["__complete", line]), "").ends(0);
        assert_eq!(ran.err, "", "{ran:#?}");
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = format!("call_id={ending}");
    rig.ifbus("conference create sip standup").ends(0);
    rig.ifbus(&format!("conference add sip standup call_id={id}")).ends(0);
    let member = format!("member={ending}.b");
    for (line, expected) in [
        ("ifbus test sip ", "pbx1"),
        ("ifbus test sip p", "pbx1"),
        ("ifbus show server ", "pbx1"),
        ("ifbus calls --server ", "pbx1"),
        ("ifbus show call ", ending),
        ("ifbus hangup sip call_id=", &whole),
        ("ifbus bus hold sip pbx1 call_id=", &whole),
        ("ifbus events --call ", ending),
        ("ifbus drain sip ", "pbx1"),
        ("ifbus conference add sip ", "standup"),
        ("ifbus conference mute sip standup ", &member),
        ("ifbus conference kick sip standup member=", &member),
        ("ifbus record stop sip call_id=", &whole),
    ] {
        assert!(complete(line).iter().any(|word| word == expected), "{line}: {:?}", complete(line));
    }
    // As bash itself asks: words are broken at =.
    let script = rig.ifbus("completion bash").ends(0).out;
    for (line, expected) in
        [("ifbus hangup sip call_id=", ending), ("ifbus test sip ", "pbx1"), ("ifbus mut", "mute")]
    {
        let asked = format!(
            "{script}\nCOMP_LINE='{line}' COMP_POINT={} COMP_WORDS=('{}') COMP_CWORD=0\n_ifbus\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            line.len(),
            env!("CARGO_BIN_EXE_ifbus"),
        );
        let mut bash = rig.command_of("/bin/bash".as_ref());
        let ran = crate::process::run(bash.args(["--norc", "-c", &asked]), "").ends(0);
        assert!(ran.out.lines().any(|word| word == expected) && ran.err.is_empty(), "{line}: {ran:#?}");
    }
    for (shell, program) in [("zsh", "/bin/zsh"), ("fish", "/usr/bin/fish")] {
        let script = rig.ifbus(&format!("completion {shell}")).ends(0).out;
        if std::path::Path::new(program).exists() {
            let mut check = rig.command_of(program.as_ref());
            crate::process::run(check.args(["-n", "-c", &script]), "").ends(0);
        }
    }
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    Ok(())
}

fn second_name(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let auth = format!("user=ifbus,secret={SECRET}");
    let refused = rig.ifbus(&rig.add_words("pbx2", &auth)).ends(1);
    assert!(refused.err.contains("is pbx1 already; nothing was added"), "{refused:#?}");
    let id = rig.talk("1001", "1002");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.ifbus("remove sip pbx1").ends(0);
    rig.ifbus(&rig.add_words("pbx2", &auth)).ends(0);
    // In a file it stops the start.
    rig.ifbus("stop").ends(0);
    let server = |name: &str| {
        format!(
            "[servers.{name}]\nkind = \"asterisk\"\nhost = \"H\"\nauth = {{ user = \"x\", secret = \"file:token\" }}\n"
        )
    };
    crate::rig::write(&rig.folder.join("token"), "x");
    rig.configure(&(server("a") + &server("b").replace("\"H\"", "\"h\"\nport = 5038")));
    let refused = rig.ifbus("list sip").ends(1);
    assert!(refused.err.contains("a and b are the same server"), "{refused:#?}");
    Ok(())
}

fn figures(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let row = |rig: &Rig| {
        let listed = rig.ifbus("list sip").ends(0).out;
        listed.lines().find(|line| line.starts_with("pbx1\t")).expect("it is listed").to_owned()
    };
    assert!(row(&rig).contains("\t0.0\t–\t–\t"), "no call, no figure: {}", row(&rig));
    rig.plan("1002", Plan::busy());
    for _ in 0..3 {
        rig.ifbus("call sip from=1001 to=1002").ends(1);
    }
    let id = rig.talk("1001", "1003");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.until("they are counted", |rig| row(rig).contains("\t25 % (4)\t"));
    assert!(row(&rig).contains(" s\t"), "the delay: {}", row(&rig));
    Ok(())
}

fn dead_server(_: &Target) -> Result<(), Skipped> {
    let double = double();
    let rig = Rig::around(Arc::clone(&double));
    rig.add();
    double.faults(|faults| faults.refuse = true);
    double.kill();
    rig.until("it is shown", |rig| rig.ifbus("list sip").out.contains("\tdown\t"));
    let listed = rig.ifbus("list sip").ends(0);
    let line = listed.out.lines().find(|line| line.starts_with("pbx1\t")).expect("it is listed");
    assert!(line.contains("next try "), "{line}");
    double.heal();
    double.restart();
    rig.until("it is up again", |rig| rig.ifbus("list sip").out.contains("\tup\t"));
    Ok(())
}

fn skipped(_: &Target) -> Result<(), Skipped> {
    let doubles = [double(), double(), double()];
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let rig = Rig::around(Arc::clone(&doubles[0]));
    let auth = format!("user=ifbus,secret={SECRET}");
    for (name, double) in ["full", "slow", "dead"].into_iter().zip(&doubles) {
        let more = match name {
            "full" => "--set capacity=1",
            "slow" => "--set cps=0.001",
            _ => "",
        };
        let words = crate::rig::words_of(name, double.ami(), double.http().port(), &auth);
        let words = match name {
            "full" => words.replace("--set capacity=1000", ""),
            "slow" => words.replace("--set cps=1000", ""),
            _ => words,
        };
        rig.ifbus(&format!("{words} --set sip=off {more}")).ends(0);
    }
    let at = silent.local_addr().expect("it listens");
    rig.ifbus(&format!("add sip mute asterisk --host {} --port {} --auth {auth}", at.ip(), at.port()));
    doubles[2].faults(|faults| faults.refuse = true);
    doubles[2].kill();
    rig.until("it is down", |rig| rig.ifbus("list sip").out.contains("\tdown\t"));
    let place = |server: Option<&str>| {
        let mut body = json!({ "from": "1001", "to": "1002" });
        if let Some(server) = server {
            body["server"] = json!(server);
        }
        rig.api().post("/v1/calls", &body)
    };
    for server in ["full", "slow"] {
        assert_eq!(place(Some(server)).status, 202, "the first one is taken");
    }
    let reasons = |answer: &crate::api::Answer| -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let body = answer.json();
        let skipped = body["skipped"].as_array().expect("a list").clone();
        let reasons: BTreeMap<_, _> =
            skipped.iter().map(|skip| (text(&skip["server"]), text(&skip["reason"]))).collect();
        assert_eq!(reasons.len(), skipped.len(), "each server once: {body:#}");
        reasons
    };
    let any = place(None);
    assert_eq!((any.status, &any.json()["code"]), (503, &json!("no_eligible_server")));
    let mut told = reasons(&any);
    // It is silent: connecting until that is known, then down.
    let mute = told.remove("mute").expect("it is configured");
    assert!(["connecting", "down"].contains(&mute.as_str()), "{mute}");
    let expected = [("dead", "down"), ("full", "at_capacity"), ("slow", "cps_exceeded")];
    assert_eq!(told, expected.map(|(name, why)| (name.to_owned(), why.to_owned())).into());
    let named = place(Some("slow"));
    assert_eq!((named.status, &named.json()["code"]), (429, &json!("cps_exceeded")));
    assert!(named.raw.to_lowercase().contains("retry-after: "), "{}", named.raw);
    let told = reasons(&named);
    assert_eq!((told.len(), told["slow"].as_str(), told["full"].as_str()), (4, "cps_exceeded", "not_named"));
    let ran = rig.ifbus("call sip from=1001 to=1002").ends(4);
    for name in ["dead", "full", "slow", "mute"] {
        assert!(ran.err.contains(name), "{ran:#?}");
    }
    Ok(())
}

/// Calls of every fate, on a server that loses links, replies and events.
fn ends_once(_: &Target) -> Result<(), Skipped> {
    const CALLS: usize = 48;
    let options = Options::new(Profile::V22).with_seed(7);
    let double = Arc::new(AsteriskServer::start(Bind::default(), options).expect("loopback has ports"));
    let rig = Rig::around(Arc::clone(&double));
    rig.add();
    rig.plan("1002", Plan::answers(Duration::from_millis(20)).then_hangs_up(Duration::from_millis(300)));
    rig.plan("1003", Plan::busy());
    rig.plan("1004", Plan::declines());
    rig.plan("1005", Plan::rings());
    let mut ids = Vec::new();
    for (n, to) in ["1002", "1003", "1004", "1005"].into_iter().cycle().take(CALLS).enumerate() {
        match n {
            12 => double.faults(|faults| faults.double_events = 0.5),
            24 => double.faults(|faults| faults.cut_next = true),
            36 => double.faults(|faults| faults.duplicate_replies = 0.5),
            _ => {}
        }
        let body = json!({ "from": "1001", "to": to, "timeout_s": 2 });
        let placed = rig.until_some("the call is taken", |rig| {
            let placed = rig.api().post("/v1/calls", &body);
            (placed.status == 202).then_some(placed) // between two links there is no server
        });
        ids.push(placed.json()["id"].as_str().expect("an id").to_owned());
    }
    double.heal();
    rig.until("all are over", |rig| {
        ids.iter().all(|id| rig.call(id)["ended_at"].is_string()) || {
            rig.ifbus("hangup sip --all --yes");
            false
        }
    });
    let ended = ended(&rig, ids.len());
    for id in &ids {
        let call = rig.call(id);
        let over = ["completed", "busy", "failed", "no-answer", "canceled"];
        assert!(over.iter().any(|status| call["status"] == *status), "{call:#}");
        assert_eq!(ended.get(id), Some(&1), "one end: {call:#}");
    }
    assert_eq!(ended.len(), ids.len(), "and no other");
    Ok(())
}

/// How often each call was told to be over.
fn ended(rig: &Rig, calls: usize) -> BTreeMap<String, u32> {
    let boot = rig.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
    // The marker: whatever was told before it is in the stream before it.
    let marker = rig.place("1001", "1003");
    rig.until("the marker is over", |rig| rig.call(&marker)["ended_at"].is_string());
    let mut events = rig.api().events("?type=call.ended", Some(&format!("{boot}-0")));
    let mut ended = BTreeMap::new();
    loop {
        let event: Value = serde_json::from_str(&events.next("data:")).expect("an event is JSON");
        let id = event["call"].as_str().expect("it is about a call").to_owned();
        if id == marker {
            assert!(ended.len() <= calls);
            return ended;
        }
        *ended.entry(id).or_insert(0) += 1;
    }
}
