//! A secret that was given to ifbus is found in one file for it alone, and nowhere else.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::phone::Phones;
use serde_json::{Value, json};

use crate::process::{self, Ran};
use crate::rig::{Rig, words_of, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_8_a_secret_given_at_add_is_in_one_file_only", On::OneDouble, given_at_add),
    ("point_8_a_secret_of_the_configuration_is_nowhere_else", On::OneDouble, of_the_configuration),
    ("point_8_a_secret_is_not_in_an_error", On::OneDouble, in_errors),
];

const CANARY: &str = "canary-7f3a91c25e=,#4b";
/// What the server expects, in part: a login that is refused shows its secret as little as one that works.
const WRONG: &str = "canary-wrong-7f3a91c25e";

/// The canary in the forms that leave this machine: as it is, in a Basic header, in a URL.
fn forms() -> Vec<String> {
    let encoded = CANARY.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let mut forms = vec![CANARY.to_owned(), encoded.collect(), WRONG.to_owned()];
    forms.extend([CANARY, WRONG].map(|secret| base64(format!("ifbus:{secret}").as_bytes())));
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    // The last group, which may be padded, is left out: the rest is telling enough.
    for group in bytes.chunks_exact(3) {
        let all = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        text.extend([18, 12, 6, 0].map(|shift| char::from(DIGITS[(all >> shift) as usize & 63])));
    }
    text
}

#[track_caller]
fn is_clean(what: &str, text: &str) {
    for form in forms() {
        if let Some(at) = text.find(&form) {
            let begin = text.floor_char_boundary(at.saturating_sub(200));
            panic!("`{form}` is in {what}: ...{}", &text[begin..at + form.len()]);
        }
    }
}

fn rig() -> Rig {
    Rig::with_double(options())
}

fn options() -> Options {
    let mut options = Options::new(Profile::V22);
    options.users.get_mut("ifbus").expect("the laboratory's user").secret = CANARY.to_owned();
    options
}

/// Another server: one host and port has one name.
fn another() -> AsteriskServer {
    AsteriskServer::start(Bind::default(), options()).expect("loopback has ports")
}

/// Runs a command as chatty as it can be, and looks at what it says.
fn clean(rig: &Rig, words: &str, secret: Option<(&str, &str)>, input: &str) -> Ran {
    let mut command = chatty(rig);
    command.args(words.split_whitespace()).envs(secret);
    let ran = process::run(&mut command, input);
    is_clean(words, &ran.out);
    is_clean(words, &ran.err);
    ran
}

fn chatty(rig: &Rig) -> Command {
    let mut command = rig.command();
    command.envs([("IFBUS_LOG", "trace"), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]);
    command
}

/// A way to give a secret: the server's name, what stands in the command, a variable, what comes on stdin.
type Way = (&'static str, &'static str, Option<(&'static str, &'static str)>, &'static str);

fn given_at_add(_: &Target) -> Result<(), Skipped> {
    let rig = rig();
    write(&rig.folder.join("given"), CANARY);
    let ways: [Way; 4] = [
        // The first starts the orchestrator, which inherits the environment.
        ("by-env", "env:PBX_SECRET", Some(("PBX_SECRET", CANARY)), ""),
        ("by-literal", CANARY, None, ""),
        ("by-file", "file:given", None, ""),
        ("by-stdin", "-", None, CANARY),
    ];
    let others: Vec<AsteriskServer> = ways.iter().map(|_| another()).collect();
    let only_ami =
        |name: &str, auth: &str, on: &AsteriskServer| words_of(name, on.ami(), 0, auth) + " --set sip=off";
    for ((name, secret, variable, input), other) in ways.into_iter().zip(&others) {
        let auth = format!("user=ifbus,secret={secret}");
        // The event stream, whose requests carry the secret in another form, is for one of them only.
        let words = if name == "by-env" { rig.add_words(name, &auth) } else { only_ami(name, &auth, other) };
        clean(&rig, &words, variable, input).ends(0);
    }
    clean(&rig, &only_ami("wrong", &format!("user=ifbus,secret={WRONG}"), &others[0]), None, "").ends(1);
    clean(&rig, "test sip wrong", None, "").ends(1);
    use_everything(&rig);
    nothing_leaks(&rig);

    let kept = rig.data().join("secrets.json");
    let text = fs::read_to_string(&kept).expect("secrets are kept");
    assert_eq!(text.matches(CANARY).count(), ways.len(), "each is kept");
    let mode = fs::metadata(&kept).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // What was kept is what is used after the next start.
    clean(&rig, "stop", None, "").ends(0);
    clean(&rig, "list sip", None, "").ends(0);
    for (name, ..) in ways {
        rig.until("it is up again", |rig| {
            rig.api().get(&format!("/v1/servers/{name}")).json()["state"] == "up"
        });
        clean(&rig, &format!("remove sip {name} --yes"), None, "").ends(0);
    }
    let text = fs::read_to_string(&kept).expect("the file stays");
    assert!(!text.contains(CANARY), "a removed server's secret is forgotten");
    Ok(())
}

fn of_the_configuration(_: &Target) -> Result<(), Skipped> {
    let rig = rig();
    write(&rig.folder.join("given"), CANARY);
    let other = another();
    let server = |name: &str, secret: &str, ari: u16| {
        let port = if ari == 0 { other.ami().port() } else { rig.ami.port() };
        format!(
            "[servers.{name}]\nkind = \"asterisk\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             auth = {{ user = \"ifbus\", secret = \"{secret}\" }}\nset = {{ ari_port = {ari}, sip = \"off\" }}\n"
        )
    };
    let (by_env, by_file) = (server("by-env", "env:PBX_SECRET", rig.ari), server("by-file", "file:given", 0));
    rig.configure(&format!("{by_env}{by_file}[tokens.t]\nsecret = \"file:given\"\nscopes = [\"metrics\"]\n"));
    clean(&rig, "config check", None, "").ends(0);
    clean(&rig, "config show --origin", None, "").ends(0);
    clean(&rig, "serve", None, "").ends(1); // the variable is not set
    let log = rig.folder.join("serve.log");
    let file = fs::File::create(&log).expect("the folder takes files");
    let both = [file.try_clone().expect("a file can be shared"), file];
    let [out, err] = both.map(Stdio::from);
    let mut serve = chatty(&rig);
    serve.arg("serve").env("PBX_SECRET", CANARY).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut served = serve.spawn().expect("the binary can be started");
    rig.until("it serves", |rig| rig.folder.join("run/orchestrator.json").exists());
    for name in ["by-env", "by-file"] {
        rig.until("it is up", |rig| rig.api().get(&format!("/v1/servers/{name}")).json()["state"] == "up");
    }
    use_everything(&rig);
    // Its environment has the variable, because the operator put it there.
    api_is_clean(&rig);
    clean(&rig, "stop", None, "").ends(0);
    assert_eq!(served.wait().expect("it is ours").code(), Some(0));
    is_chatty(&log);
    files_are_clean(&rig.folder);
    Ok(())
}

/// Every slip that comes near a secret.
fn in_errors(_: &Target) -> Result<(), Skipped> {
    let rig = rig();
    let to = format!("--host 127.0.0.1 --port {}", rig.ami.port());
    write(
        &rig.config(),
        &format!(
            "listen = \"127.0.0.1:0\"\n[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauth = {{ user = \"ifbus\", secret = \"{CANARY}\" }}\n"
        ),
    );
    for words in ["config check", "config show", "config show --origin", "serve", "list sip"] {
        let ran = clean(&rig, words, None, "");
        assert_ne!(ran.code, Some(0), "{ran:#?}");
    }
    rig.configure("");
    for words in [
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secrt={CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus secrt={CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth secret={CANARY},secret={CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth {CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secret=file:/nowhere --set secret={CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secret={CANARY},realm=x"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secret={CANARY} --prot 1"),
        format!("add sip pbx1 asterisk {to} --secret={CANARY}"),
        format!("add sip pbx1 asterisk {to} --secret {CANARY}"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secret={CANARY} --set ari_port=x"),
        format!("add sip pbx1 asterisk {to} --auth user=ifbus,secret={CANARY} --set nobody=knows"),
    ] {
        for json in ["", " --json"] {
            let ran = clean(&rig, &format!("{words}{json}"), None, "");
            assert_ne!(ran.code, Some(0), "{ran:#?}");
        }
    }
    files_are_clean(&rig.folder);
    Ok(())
}

/// Calls, verbs, events and every command that shows something.
fn use_everything(rig: &Rig) {
    let id = clean(rig, "call sip by-env from=1001 to=1002 --detach", None, "").ends(0).out.trim().to_owned();
    rig.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
    for words in [
        format!("hold sip call_id={id}"),
        format!("resume sip call_id={id}"),
        format!("show call {id}"),
        "calls".to_owned(),
        "calls --json".to_owned(),
        "calls --foreign".to_owned(),
        "list sip".to_owned(),
        "list sip --json".to_owned(),
        "show server by-env".to_owned(),
        "show server by-env --json".to_owned(),
        "test sip by-env".to_owned(),
        "test sip by-env --json".to_owned(),
        "config show --origin".to_owned(),
        "version".to_owned(),
        "conference create sip standup server=by-env".to_owned(),
        format!("conference add sip standup call_id={id}"),
        "conference list sip standup".to_owned(),
        format!("conference mute sip standup member={id}.a"),
        format!("conference kick sip standup member={id}.b"),
        format!("record start sip call_id={id}"),
        format!("record stop sip call_id={id}"),
        format!("record fetch sip call_id={id} out={id}.wav"),
        "drain sip by-env --yes".to_owned(),
        "undrain sip by-env".to_owned(),
        format!("hangup sip call_id={id}"),
        "conference end sip standup".to_owned(),
    ] {
        clean(rig, &words, None, "").ends(0);
    }
    // What they find is not the promise here.
    clean(rig, "doctor --bundle report.tar", None, "");
    clean(rig, "doctor --json", None, "");
    let phones: &dyn Phones = rig.phones();
    rig.until("the phones are free", |_| phones.live("1001") + phones.live("1002") == 0);
}

/// A silent log would prove nothing.
fn is_chatty(log: &Path) {
    let text = fs::read_to_string(log).expect("there is a log");
    assert!(text.contains(" DEBUG ") && text.contains("server up"), "{text}");
}

/// The API, the process, the files.
fn nothing_leaks(rig: &Rig) {
    is_chatty(&rig.data().join("orchestrator.log"));
    api_is_clean(rig);
    files_are_clean(&rig.folder);
    let pid = rig.pid();
    assert_eq!(process::command_line(pid).lines().skip(1).collect::<Vec<_>>(), ["serve"]);
    let environment = process::environment(pid);
    assert!(environment.contains("IFBUS_DATA="), "{environment}");
    is_clean("the environment of the orchestrator", &environment);
}

/// Every path that can be read, and the events since the beginning.
fn api_is_clean(rig: &Rig) {
    let api = rig.api();
    let document = api.get("/openapi.json").json();
    let call = rig.calls("completed").into_iter().next().expect("a call was made");
    api.post("/v1/conferences", &json!({ "id": "meeting" }));
    let recordings = api.get("/v1/recordings").json();
    let recording = recordings["data"][0]["id"].as_str().expect("the call was recorded");
    let mut looked = 0;
    for (path, methods) in document["paths"].as_object().expect("there are paths") {
        // The file is no text; it was fetched before, and is looked at with the other files.
        if methods.get("get").is_none() || path == "/v1/events" || path.ends_with("/file") {
            continue;
        }
        let id = match &path {
            path if path.contains("calls") => call.as_str(),
            path if path.contains("conferences") => "meeting",
            path if path.contains("recordings/") => recording,
            _ => "by-env",
        };
        let path = path.replace("{id}", id).replace("{name}", id).replace("{code}", "unknown_call");
        let answer = api.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.raw);
        is_clean(&path, &answer.raw);
        looked += 1;
    }
    assert!(looked >= 9, "{looked} paths are not all");
    let boot = api.get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
    let mut events = api.events("", Some(&format!("{boot}-0")));
    let newest = loop {
        let data: Value = serde_json::from_str(&events.next("data:")).expect("an event is JSON");
        is_clean("an event", &data.to_string());
        if data["type"] == "call.ended" {
            break data;
        }
    };
    assert_eq!(newest["call"], call.as_str());
}

/// Every file below, but for those that are meant to hold it.
fn files_are_clean(folder: &Path) {
    let meant = ["secrets.json", "given", "ifbus.toml"];
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            files_are_clean(&path);
        } else if path.is_file() && !meant.iter().any(|meant| name == *meant) {
            let mut bytes = Vec::new();
            fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("it can be read");
            is_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}
