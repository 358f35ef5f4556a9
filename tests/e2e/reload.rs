//! The configuration read again while calls go on.

use std::sync::Arc;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process;
use crate::rig::{Rig, SECRET, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("a_reload_changes_servers_by_difference_and_cuts_no_call", On::OneDouble, by_difference),
    ("a_reload_of_a_bad_file_changes_nothing_and_says_where", On::OneDouble, bad_file),
    ("a_reload_by_signal_is_the_same", On::OneDouble, by_signal),
];

fn double() -> Arc<AsteriskServer> {
    Arc::new(AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports"))
}

/// A server in the file; `more` are lines of it.
fn server(name: &str, double: &AsteriskServer, more: &str) -> String {
    format!(
        "[servers.{name}]\nkind = \"asterisk\"\nhost = \"127.0.0.1\"\nport = {}\n\
         auth = {{ user = \"ifbus\", secret = \"file:secret\" }}\n\
         set = {{ ari_port = {}, sip = \"off\" }}\n{more}\n",
        double.ami().port(),
        double.http().port()
    )
}

fn names(rig: &Rig) -> Vec<String> {
    let servers = rig.api().get("/v1/servers").json();
    let servers = servers["data"].as_array().expect("a list").iter();
    servers.map(|server| server["name"].as_str().expect("a name").to_owned()).collect()
}

fn is_up(rig: &Rig, name: &str) {
    rig.until("it is up", |rig| rig.api().get(&format!("/v1/servers/{name}")).json()["state"] == "up");
}

fn by_difference(_: &Target) -> Result<(), Skipped> {
    let doubles = [double(), double(), double()];
    let rig = Rig::around(Arc::clone(&doubles[0]));
    write(&rig.folder.join("secret"), SECRET);
    rig.configure(&(server("one", &doubles[0], "") + &server("two", &doubles[1], "")));
    rig.ifbus("list sip").ends(0);
    is_up(&rig, "one");
    let same = rig.ifbus("config reload").ends(0);
    assert!(same.out.contains("says what holds already"), "{same:#?}");

    let call = rig.api().post("/v1/calls", &json!({ "from": "1001", "to": "1002", "server": "one" })).json();
    let id = call["id"].as_str().expect("an id").to_owned();
    rig.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
    // `one` carries a call and changes, `two` goes, `three` comes.
    rig.configure(&(server("one", &doubles[0], "capacity = 7") + &server("three", &doubles[2], "")));
    let done = rig.ifbus("config reload").ends(1);
    for line in ["added three", "removed two", "kept as it was: one: one carries 1 calls"] {
        assert!(done.out.contains(line), "{line}: {done:#?}");
    }
    assert_eq!(names(&rig), ["one", "three"]);
    assert_eq!(rig.call(&id)["status"], "in-progress");
    rig.hear_each_other("1001", "1002");
    assert_eq!(rig.api().get("/v1/servers/one").json()["capacity"], 500, "as it was");
    is_up(&rig, "three");

    // Later the same file is done in full.
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    let body: Value = serde_json::from_str(&rig.ifbus("config reload --json").ends(0).out).expect("JSON");
    assert_eq!((&body["changed"], &body["kept"]), (&json!(["one"]), &json!([])));
    assert_eq!(rig.api().get("/v1/servers/one").json()["capacity"], 7);
    is_up(&rig, "one");

    // A secret that changed behind its reference is a change; keys of the start are named.
    write(&rig.folder.join("secret"), "another");
    let hosts = "hosts = [\"ifbus.example.net\"]\n".to_owned();
    rig.configure(&(hosts + &server("one", &doubles[0], "capacity = 7")));
    let done = rig.ifbus("config reload").ends(0);
    for line in ["changed one", "removed three", "at the next start: hosts"] {
        assert!(done.out.contains(line), "{line}: {done:#?}");
    }
    rig.until("the login is refused", |rig| rig.api().get("/v1/servers/one").json()["state"] == "down");
    Ok(())
}

fn bad_file(_: &Target) -> Result<(), Skipped> {
    let doubles = [double(), double()];
    let rig = Rig::around(Arc::clone(&doubles[0]));
    write(&rig.folder.join("secret"), SECRET);
    let good = server("one", &doubles[0], "");
    rig.configure(&good);
    rig.ifbus("list sip").ends(0);
    is_up(&rig, "one");
    let auth = format!("user=ifbus,secret={SECRET}");
    let double = &doubles[1];
    let add = crate::rig::words_of("byhand", double.ami(), double.http().port(), &auth) + " --set sip=off";
    rig.ifbus(&add).ends(0);
    let epoch = rig.api().get("/v1/servers/one").json()["link"].clone();
    let two = server("two", &doubles[1], "");
    for (file, place) in [
        (
            good.clone() + &two + "[servers.three]\nkind = \"astersik\"\nhost = \"h\"\n",
            "did you mean `asterisk`?",
        ),
        (two.replace("file:secret", "file:nowhere"), "servers.two.auth.secret"),
        (two.replace("ari_port = ", "ari_prt = "), "ari_prt"),
        (server("byhand", &doubles[1], ""), "the server `byhand` was also added by hand"),
        ("listen = ".to_owned(), "ifbus.toml:"),
    ] {
        rig.configure(&file);
        let refused = rig.ifbus("config reload").ends(1);
        assert!(refused.out.is_empty() && refused.err.contains(place), "{place}: {refused:#?}");
        assert!(refused.err.contains("nothing was changed"), "{refused:#?}");
        assert_eq!(names(&rig), ["byhand", "one"]);
        assert_eq!(rig.api().get("/v1/servers/one").json()["link"], epoch, "the same life of its links");
    }
    rig.configure(&(good + "[servers.three]\nkind = \"astersik\"\n"));
    let json = rig.ifbus("config reload --json").ends(1);
    let problem: Value = serde_json::from_str(&json.err).expect("one problem object");
    assert_eq!(problem["code"], "bad_configuration");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("ifbus.toml:")), "{problem}");
    Ok(())
}

fn by_signal(_: &Target) -> Result<(), Skipped> {
    let doubles = [double(), double()];
    let rig = Rig::around(Arc::clone(&doubles[0]));
    write(&rig.folder.join("secret"), SECRET);
    rig.configure(&server("one", &doubles[0], ""));
    rig.ifbus("list sip").ends(0);
    is_up(&rig, "one");
    rig.configure("nonsense = 1\n");
    process::signal(rig.pid(), Signal::HUP);
    let log = || std::fs::read_to_string(rig.data().join("orchestrator.log")).unwrap_or_default();
    rig.until("the refusal is logged", |_| log().contains("reload_refused"));
    assert!(log().contains("there is no key `nonsense`"), "{}", log());
    assert_eq!(names(&rig), ["one"]);
    rig.configure(&(server("one", &doubles[0], "") + &server("two", &doubles[1], "")));
    process::signal(rig.pid(), Signal::HUP);
    is_up(&rig, "two");
    Ok(())
}
