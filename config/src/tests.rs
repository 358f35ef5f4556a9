#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ifbus_call::{Kind, ServerName};
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::complaint::{self, nearest, printable};
use crate::file::{Mistake, refuse_clash};
use crate::paths::Paths;
use crate::private::{self, BadPrivate};
use crate::secrets::{BadSecret, Reference, Secret};
use crate::{BadConfig, Config, Diff, Kept, Known, Scope, parse, schema, token};

const CANARY: &str = "hunter2-canary";

// --- files ---

#[test]
fn every_example_is_loaded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let config = crate::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(!config.servers.is_empty(), "{} has no server", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["one-server.toml", "two-asterisk.toml"]);
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let schema = schema::schema();
    if std::env::var_os("IFBUS_BLESS").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema, "schema.json is old; do: IFBUS_BLESS=1 cargo test -p ifbus-config");
}

#[test]
fn an_empty_file_listens_on_loopback_only() {
    let config = parse("", "x.toml").unwrap();
    assert_eq!(config, Config::default());
    assert!(config.listen.ip().is_loopback());
    assert_eq!(config.listen.port(), 7070);
}

#[test]
fn a_server_keeps_what_its_file_says() {
    let text = "
[servers.pbx1]
kind = \"asterisk\"
host = \"192.0.2.10\"
port = 5038
auth = { user = \"ifbus\", secret = \"env:PBX1\" }
set = { ari_port = 8088, tls = true, music = \"calm\" }
capacity = 200
cps = 2
tags = { site = \"north\" }
";
    let config = parse(text, "x.toml").unwrap();
    let server = &config.servers[&name("pbx1")];
    assert_eq!(server.kind, Kind::Asterisk);
    assert_eq!((server.port, server.capacity, server.cps), (Some(5038), Some(200), Some(2.0)));
    assert_eq!(server.set["ari_port"].0, "8088");
    assert_eq!(server.set["tls"].0, "true");
    assert_eq!(server.set["music"].0, "calm");
    assert_eq!(server.auth["user"], Reference::Literal(Secret::new("ifbus")));
    assert_eq!(server.auth["secret"], Reference::Env("PBX1".to_owned()));
    assert_eq!(server.tags["site"], "north");
}

/// Each mistake: the text, where it must point, and words that must be in message and help.
const MISTAKES: &[(&str, (usize, usize), &str, &str)] = &[
    ("listn = \"127.0.0.1:1\"", (1, 1), "no key `listn`", "did you mean `listen`?"),
    ("[servers.a]\nkind = \"asterisk\"\nhots = \"h\"", (3, 1), "no key `hots`", "did you mean `host`?"),
    (
        "[servers.a]\nkind = \"asterix\"\nhost = \"h\"",
        (2, 8),
        "no value `asterix`",
        "did you mean `asterisk`?",
    ),
    ("[servers.a]\nkind = \"asterisk\"", (1, 1), "missing field `host`", ""),
    ("[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nport = 70000", (4, 8), "u16", ""),
    ("[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nport = 0", (4, 1), "port cannot be 0", "leave it out"),
    ("[servers.a]\nkind = \"asterisk\"\nhost = \"h:5038\"", (3, 1), "host is not", "key of its own"),
    ("[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\ncps = -1.0", (4, 1), "cps is a number above 0", ""),
    ("[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\ncapacity = 0", (4, 1), "capacity cannot be 0", ""),
    ("[servers.\"a b\"]\nkind = \"asterisk\"\nhost = \"h\"", (1, 10), "a server name is", ""),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\n[servers.a]\nkind = \"asterisk\"\nhost = \"h\"",
        (4, 10),
        "duplicate key",
        "",
    ),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\n[servers.A]\nkind = \"asterisk\"\nhost = \"h\"",
        (1, 10),
        "differ in capitals only",
        "rename one",
    ),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauth = { secret = \"hunter2-canary\" }",
        (4, 10),
        "`secret` is written out",
        "env:NAME",
    ),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauth = { secret = \"env:A B\" }",
        (4, 10),
        "names no environment variable",
        "env:PBX1_SECRET",
    ),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauth = \"hunter2-canary\"",
        (4, 8),
        "expected a map",
        "",
    ),
    (
        "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauht = { secret = \"hunter2-canary\" }",
        (4, 1),
        "no key `auht`",
        "did you mean `auth`?",
    ),
    ("[servers.a]\nkind = \"asterisk\"\nauth.secret = hunter2-canary\nhost = \"h\"", (3, 15), "", ""),
    ("[servers.a]\nkind = \"asterisk\"\nauth = {\n  hidden = hunter2-canary }\n", (4, 12), "", ""),
    (
        "[tokens.t]\nsecret = \"hunter2-canary\"\nscopes = [\"metrics\"]",
        (2, 1),
        "`secret` is written out",
        "",
    ),
    ("[tokens.t]\nsecret = \"env:T\"\nscopes = [\"metric\"]", (3, 11), "no value `metric`", "`metrics`"),
    ("[tokens.t]\nsecret = \"env:T\"\nscopes = []", (1, 9), "has no scopes", "calls:read"),
    ("hosts = [\"a b\"]", (1, 1), "host is not of its form", ""),
    ("[limits]\nevents = 0", (2, 1), "limits.events cannot be 0", ""),
];

#[test]
fn a_mistake_points_into_the_file_and_says_what_to_write() {
    for (text, place, message, help) in MISTAKES {
        let mistake = mistake(text);
        assert_eq!((mistake.line, mistake.column), *place, "{text}\n{mistake}");
        assert!(mistake.message.contains(message), "{text}\n{mistake}");
        assert!(mistake.help.as_deref().unwrap_or_default().contains(help), "{text}\n{mistake:?}");
        assert!(mistake.to_string().starts_with("fleet.toml:"), "{mistake}");
    }
}

#[test]
fn a_mistake_is_shown_with_its_excerpt_and_without_secrets() {
    let mut canaries = 0;
    for (text, ..) in MISTAKES {
        let mistake = mistake(text);
        let mut shown = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
        handler.render_report(&mut shown, &mistake).unwrap();
        shown.push_str(&format!("{mistake} {mistake:?}"));
        assert!(!shown.contains(CANARY), "{shown}");
        canaries += usize::from(text.contains(CANARY));
    }
    assert!(canaries >= 5);
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut shown, &mistake(MISTAKES[1].0)).unwrap();
    assert!(shown.contains("kind = \"asterisk\""), "{shown}");
    assert!(shown.contains("hots = ***"), "a value of an unknown key may be a secret: {shown}");
    assert!(shown.contains("did you mean"), "{shown}");
}

#[test]
fn a_server_that_was_also_added_by_hand_stops_the_start() {
    let text = "[servers.pbx1]\nkind = \"asterisk\"\nhost = \"h\"\n";
    let config = parse(text, "x.toml").unwrap();
    assert!(refuse_clash(text, "x.toml", &config, [&name("pbx2")]).is_ok());
    let error = refuse_clash(text, "x.toml", &config, [&name("pbx2"), &name("pbx1")]).unwrap_err();
    let BadConfig::Wrong(mistake) = error else { panic!("{error}") };
    assert_eq!((mistake.line, mistake.column), (1, 10));
    assert_eq!(mistake.help.unwrap(), "rename it here, or do: ifbus remove sip pbx1");
}

#[test]
fn a_missing_file_is_named() {
    let error = crate::load(Path::new("/nonexistent/fleet.toml")).unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/fleet.toml: "), "{error}");
}

// --- words ---

#[test]
fn the_nearest_word_is_found_and_a_far_one_is_not() {
    let known = ["host", "hosts", "port", "capacity", "tags"];
    assert_eq!(nearest("hsot", known), Some("host"));
    assert_eq!(nearest("capcity", known), Some("capacity"));
    assert_eq!(nearest("CAP", known), Some("capacity"));
    assert_eq!(nearest("weight", known), None);
    assert_eq!(nearest("", known), None);
}

#[test]
fn serdes_complaints_are_understood() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Two {
        from: String,
        to: String,
    }
    let of = |json: &str| serde_json::from_str::<Two>(json).unwrap_err().to_string();
    let unknown = complaint::unknown(&of(r#"{"form":"1"}"#)).unwrap();
    assert_eq!((unknown.word.as_str(), unknown.known), ("form", vec!["from".to_owned(), "to".to_owned()]));
    let hostile = complaint::unknown(&of(r#"{"a`, expected `\u001b[2J":"1"}"#)).unwrap();
    assert_eq!(hostile.known, ["from", "to"]);
    assert!(!hostile.word.contains('\u{1b}'), "{hostile:?}");
    assert_eq!(complaint::unknown(&of("{}")), None);
    let typed = of(r#"{"from":["x, expected y"]}"#);
    assert_eq!(complaint::without_value(&typed), "expected a string");
    let told = serde_json::from_str::<u8>(r#""secret, expected x""#).unwrap_err().to_string();
    assert_eq!(complaint::without_value(&told), "expected u8");
}

#[test]
fn text_from_outside_is_harmless_on_a_terminal() {
    assert_eq!(printable("a\u{1b}[2J\n\u{202e}b", 40), "a\\u{1b}[2J\\n\\u{202e}b");
    assert_eq!(printable("abcdef", 3), "abc...");
}

// --- changes ---

#[test]
fn a_diff_names_what_was_added_removed_and_changed() {
    let server = |host: &str| format!("kind = \"asterisk\"\nhost = \"{host}\"\n");
    let old = parse(&format!("[servers.a]\n{0}[servers.b]\n{0}[servers.c]\n{0}", server("h")), "").unwrap();
    let (same, other) = (server("h"), server("i"));
    let text =
        format!("listen = \"127.0.0.1:1\"\n[servers.a]\n{same}[servers.b]\n{other}[servers.d]\n{same}");
    let new = parse(&text, "").unwrap();
    let diff = Diff::between(&old, &new);
    assert_eq!(diff.added, [name("d")]);
    assert_eq!(diff.removed, [name("c")]);
    assert_eq!(diff.changed, [name("b")]);
    assert_eq!(diff.at_restart, ["listen"]);
    assert!(Diff::between(&new, &new).is_empty());
}

// --- secrets and private files ---

#[test]
fn references_are_resolved_and_absent_ones_named() {
    let folder = Folder::new("references");
    fs::write(folder.0.join("s"), format!("{CANARY}\n")).unwrap();
    let env = |name: &str| (name == "SET").then(|| CANARY.to_owned());
    let resolve = |text: &str| text.parse::<Reference>().unwrap().resolve(&folder.0, &env);
    assert_eq!(resolve("env:SET").unwrap().expose(), CANARY);
    assert_eq!(resolve("file:s").unwrap().expose(), CANARY);
    assert_eq!(resolve("ifbus").unwrap().expose(), "ifbus");
    assert_eq!(resolve("env:UNSET"), Err(BadSecret::NoVariable("UNSET".to_owned())));
    assert!(matches!(resolve("file:missing"), Err(BadSecret::NoFile { .. })));
    fs::write(folder.0.join("s"), "\n").unwrap();
    assert!(matches!(resolve("file:s"), Err(BadSecret::Empty(_))));
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!("{:?} {:?}", Secret::new(CANARY), Reference::Literal(Secret::new(CANARY)));
    assert_eq!(shown, "*** ***");
}

#[test]
fn kept_secrets_survive_a_restart_in_a_file_for_us_alone() {
    let folder = Folder::new("kept");
    let path = folder.0.join("data/secrets.json");
    let mut kept = Kept::open(&path).unwrap();
    let secrets = BTreeMap::from([("secret".to_owned(), Secret::new(CANARY))]);
    kept.keep(name("pbx1"), secrets.clone()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut kept = Kept::open(&path).unwrap();
    assert_eq!(kept.of(&name("pbx1")), Some(&secrets));
    kept.forget(&name("pbx1")).unwrap();
    assert_eq!(Kept::open(&path).unwrap().of(&name("pbx1")), None);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn known_certificates_survive_a_restart_and_are_forgotten_with_their_server() {
    let folder = Folder::new("known");
    let path = folder.0.join("certificates.json");
    let (at, other) = ("192.0.2.10:5039", "192.0.2.10:8089");
    let mut known = Known::open(&path).unwrap();
    known.keep(&name("pbx1"), at, "aa").unwrap();
    known.keep(&name("pbx2"), at, "bb").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut known = Known::open(&path).unwrap();
    assert_eq!((known.of(&name("pbx1"), at), known.of(&name("pbx1"), other)), (Some("aa"), None));
    known.forget(&name("pbx1")).unwrap();
    let known = Known::open(&path).unwrap();
    assert_eq!((known.of(&name("pbx1"), at), known.of(&name("pbx2"), at)), (None, Some("bb")));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Known::open(&path), Err(BadPrivate::Exposed { .. })), "whoever could write it decides");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = Folder::new("exposed");
    let path = folder.0.join("secrets.json");
    private::write(&path, "{}").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Kept::open(&path).unwrap_err();
    assert!(matches!(error, BadPrivate::Exposed { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_damaged_file_of_secrets_is_named_without_its_content() {
    let folder = Folder::new("damaged");
    let path = folder.0.join("secrets.json");
    private::write(&path, &format!("{{\"pbx1\": \"{CANARY}\"}}")).unwrap();
    let error = Kept::open(&path).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
}

#[test]
fn of_many_starts_at_once_one_makes_the_token_and_all_read_it() {
    let folder = Folder::new("token");
    let path = folder.0.join("token");
    let tokens: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| token::read_or_make(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().expose().to_owned()).collect()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(tokens[0].len(), "ifbus_".len() + 64);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(token::fresh(), token::fresh());
    private::write(&path, CANARY).unwrap();
    let error = token::read_or_make(&path).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY));
}

#[test]
fn paths_follow_xdg_and_their_overrides() {
    let of = |set: &[(&str, &str)]| {
        let set: BTreeMap<String, String> =
            set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Paths::from_env(&move |name| set.get(name).map(Into::into))
    };
    let plain = of(&[("HOME", "/h")]).unwrap();
    assert_eq!(plain.config, PathBuf::from("/h/.config/ifbus/ifbus.toml"));
    assert_eq!(plain.token(), PathBuf::from("/h/.local/share/ifbus/token"));
    assert_eq!(plain.running(), PathBuf::from("/h/.local/share/ifbus/run/orchestrator.json"));
    let xdg = [("XDG_CONFIG_HOME", "/c"), ("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r"), ("HOME", "/h")];
    let xdg = of(&xdg).unwrap();
    assert_eq!(xdg.config, PathBuf::from("/c/ifbus/ifbus.toml"));
    assert_eq!((xdg.data, xdg.runtime), (PathBuf::from("/d/ifbus"), PathBuf::from("/r/ifbus")));
    let own = of(&[("IFBUS_CONFIG", "/x.toml"), ("IFBUS_DATA", "/y"), ("XDG_RUNTIME_DIR", "/r")]).unwrap();
    assert_eq!(own.config, PathBuf::from("/x.toml"));
    assert_eq!((own.data, own.runtime), (PathBuf::from("/y"), PathBuf::from("/y/run")));
    let relative = of(&[("XDG_DATA_HOME", "d"), ("HOME", "/h")]).unwrap();
    assert_eq!(relative.data, PathBuf::from("/h/.local/share/ifbus"));
    assert!(of(&[]).unwrap_err().to_string().contains("IFBUS_CONFIG"));
}

#[test]
fn every_scope_is_read_by_the_word_it_is_shown_by() {
    for scope in Scope::ALL {
        assert_eq!(serde_json::from_str::<Scope>(&format!("\"{}\"", scope.as_str())).unwrap(), scope);
    }
}

// --- supporting ---

fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

fn mistake(text: &str) -> Mistake {
    match parse(text, "fleet.toml") {
        Err(BadConfig::Wrong(mistake)) => *mistake,
        other => panic!("{text}\n{other:?}"),
    }
}

/// A folder of this test alone, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ifbus-config-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
