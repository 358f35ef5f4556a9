//! Point 11: what `ifbus setup` prints, pasted into a fresh server, passes the test; without any line that can be seen
//! it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Classes, Options, Profile, User};
use ifbus_doubles::faults::HttpState;
use serde_json::Value;

use crate::process::Ran;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_11_what_setup_prints_passes_the_test_and_no_line_is_spare", On::OneDouble, mutations),
    ("setup_fills_in_what_is_known_and_compares_a_file", On::OneDouble, filled),
];

const CHOSEN: &str = "a-secret-of-the-operator";

/// The printed files by part, their lines without comments.
type Files = BTreeMap<String, Vec<String>>;

/// What was printed, and the lines that a test cannot see.
fn printed(rig: &Rig) -> (Files, BTreeSet<(String, String)>) {
    let body: Value =
        serde_json::from_str(&rig.ifbus("setup asterisk --for fresh --host 127.0.0.1 --json").ends(0).out)
            .expect("it is JSON");
    let (mut files, mut unseen) = (Files::new(), BTreeSet::new());
    for file in body["files"].as_array().expect("files") {
        let part = file["part"].as_str().expect("a part").to_owned();
        let text = file["text"].as_str().expect("a text");
        let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim_end().to_owned());
        files.insert(part.clone(), lines.filter(|line| !line.is_empty()).collect());
        for line in file["not_seen_by_test"].as_array().expect("lines") {
            unseen.insert((part.clone(), line["line"].as_str().expect("a line").to_owned()));
        }
    }
    (files, unseen)
}

/// A server that was given these files and nothing else.
fn fresh(files: &Files) -> Arc<AsteriskServer> {
    let manager = sections(&files["manager"]);
    let ari = sections(&files["ari"]);
    let yes = |sections: &BTreeMap<String, BTreeMap<String, String>>, section: &str, key: &str| {
        sections.get(section).and_then(|keys| keys.get(key)).is_some_and(|value| value == "yes")
    };
    let mut options = Options::new(Profile::V22);
    options.dialplan = false;
    options.users.remove("ifbus");
    if let Some(user) = manager.get("ifbus") {
        let classes = |key: &str| Classes::parse(user.get(key).map_or("", String::as_str));
        let account = User {
            secret: if user.contains_key("secret") { CHOSEN.to_owned() } else { String::new() },
            read: classes("read"),
            write: classes("write"),
            ari_read_only: true,
            // Everybody is kept out but who is let in.
            refused: user.contains_key("deny") && user.get("permit").is_none_or(|to| to != "127.0.0.1/32"),
        };
        options.users.insert("ifbus".to_owned(), account);
    }
    // The double has one list for both interfaces: the user of ARI gets a name of its own there.
    if let Some(user) = ari.get("ifbus").filter(|user| user.get("type").is_some_and(|kind| kind == "user")) {
        let account = User {
            secret: if user.contains_key("password") { CHOSEN.to_owned() } else { String::new() },
            read: Classes::parse(""),
            write: Classes::parse(""),
            ari_read_only: user.get("read_only").is_some_and(|value| value == "yes"),
            refused: false,
        };
        options.users.insert("ifbus-ari".to_owned(), account);
    }
    let double = AsteriskServer::start(Bind::default(), options).expect("loopback has ports");
    paste(&double, &files["dialplan"]);
    let http = sections(&files["http"]);
    double.faults(|faults| {
        faults.refuse = !yes(&manager, "general", "enabled");
        if !yes(&http, "general", "enabled") {
            faults.http = HttpState::Closed;
        }
    });
    Arc::new(double)
}

fn sections(lines: &[String]) -> BTreeMap<String, BTreeMap<String, String>> {
    let (mut sections, mut section) = (BTreeMap::<String, BTreeMap<String, String>>::new(), None);
    for line in lines {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.entry(name.to_owned()).or_default();
            section = Some(name.to_owned());
        } else if let (Some(section), Some((key, value))) = (&section, line.split_once('=')) {
            sections
                .entry(section.clone())
                .or_default()
                .insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    sections
}

/// Puts a dialplan in as an administrator would, line by line.
fn paste(double: &AsteriskServer, lines: &[String]) {
    let mut asks =
        "Action: Login\r\nUsername: admin\r\nSecret: admin-secret\r\nEvents: off\r\n\r\n".to_owned();
    let (mut context, mut extension, mut priority) = (None, None, 0);
    for line in lines {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (context, extension) = (Some(name.to_owned()), None);
            continue;
        }
        let (word, value) = line.trim().split_once("=>").expect("a line of a dialplan");
        let step = match word.trim() {
            "exten" => {
                let mut parts = value.trim().splitn(3, ',');
                extension = parts.next().map(str::to_owned);
                priority = 1;
                parts.nth(1).expect("a step")
            }
            _ => {
                priority += 1;
                value.trim().split_once(',').expect("n, and a step").1
            }
        };
        let (Some(context), Some(extension)) = (&context, &extension) else { continue };
        let (app, data) = step.split_once('(').expect("an application with its data");
        let data = data.strip_suffix(')').expect("the end of the data");
        asks.push_str(&format!(
            "Action: DialplanExtensionAdd\r\nContext: {context}\r\nExtension: {extension}\r\nPriority: {priority}\r\n\
             Application: {app}\r\nApplicationData: {data}\r\n\r\n"
        ));
    }
    asks.push_str("Action: Logoff\r\n\r\n");
    let mut stream = TcpStream::connect(double.ami()).expect("the manager interface answers");
    stream.write_all(asks.as_bytes()).expect("it reads");
    stream.set_read_timeout(Some(crate::rig::PATIENCE)).expect("a deadline can be set");
    stream.read_to_string(&mut String::new()).expect("it says goodbye");
}

/// What the test says of a server with these files.
fn tested(rig: &Rig, files: &Files) -> Ran {
    let double = fresh(files);
    let (host, port, ari) = (double.ami().ip(), double.ami().port(), double.http().port());
    rig.ifbus(&format!(
        "add sip fresh asterisk --host {host} --port {port} --set sip=off --set ari_port={ari} \
         --auth user=ifbus,secret={CHOSEN},ari_user=ifbus-ari,ari_secret={CHOSEN}"
    ));
    rig.until("it is looked at", |rig| rig.api().get("/v1/servers/fresh").json()["state"] != "connecting");
    let ran = rig.ifbus("test sip fresh");
    rig.ifbus("remove sip fresh --yes").ends(0);
    ran
}

fn is_clean(ran: &Ran) -> bool {
    ran.code == Some(0) && ran.out.lines().all(|line| !line.starts_with("fail") && !line.starts_with("warn"))
}

fn mutations(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.ifbus("list sip").ends(0);
    let (files, unseen) = printed(&rig);
    let whole = tested(&rig, &files);
    assert!(is_clean(&whole), "everything pasted: {whole:#?}");
    let (mut seen, mut spare) = (0, BTreeSet::new());
    for (part, lines) in &files {
        for (n, line) in lines.iter().enumerate() {
            let mut without = files.clone();
            without.get_mut(part).expect("the part is there").remove(n);
            let ran = tested(&rig, &without);
            let known =
                unseen.iter().find(|(of, start)| of == part && line.trim_start().starts_with(start.as_str()));
            match known {
                // A line of a section without its head belongs to nothing: the general heads are seen by their keys.
                Some(known) if is_clean(&ran) => drop(spare.insert(known)),
                None if !is_clean(&ran) => {
                    let name = named(part, lines, n);
                    let told = ran.out.lines().skip_while(|line| line.starts_with("ok"));
                    let told = told.collect::<Vec<_>>().join("\n");
                    assert!(
                        name.iter().any(|name| told.contains(name)),
                        "{part} without `{line}` names {name:?}: {ran:#?}"
                    );
                    seen += 1;
                }
                _ => panic!("{part} without `{line}`: seen is not what setup says: {ran:#?}"),
            }
        }
    }
    assert!(seen > 20, "{seen}");
    let told: BTreeSet<_> = unseen.iter().collect();
    assert_eq!(spare, told, "setup names as unseen what is unseen, and nothing else");
    Ok(())
}

/// What a test has to name when a line is missing: the interface, or the waiting place.
fn named(part: &str, lines: &[String], n: usize) -> Vec<String> {
    let words: &[&str] = match part {
        "manager" => &["management", "rights"],
        "http" | "ari" => &["events", "ari", "ARI"],
        _ => {
            let is_head = |line: &&String| line.starts_with("exten");
            let head = lines[..=n].iter().rev().find(is_head).or_else(|| lines.iter().find(is_head));
            let name = head.and_then(|line| line.split("=>").nth(1)?.split(',').next());
            return vec![format!("{}@ifbus", name.unwrap_or_default().trim())];
        }
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn filled(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let manager = rig.ifbus("setup asterisk --for pbx1 --only manager").ends(0);
    assert!(manager.out.contains("permit = 127.0.0.1/32"), "the address as the server sees it: {manager:#?}");
    assert!(
        manager.out.contains("bindaddr = 127.0.0.1") && manager.err.contains("1 of 4 files, all: --all"),
        "{manager:#?}"
    );
    let all = rig.ifbus("setup asterisk --all").ends(0);
    assert_eq!(all.out.matches("; =====").count(), 4, "{all:#?}");

    let file = rig.folder.join("manager.conf");
    std::fs::write(&file, &manager.out).expect("the folder is ours");
    let words = format!("setup asterisk --for pbx1 --diff {}", file.display());
    assert!(rig.ifbus(&words).ends(0).out.contains("has everything of manager.conf"));
    std::fs::write(&file, manager.out.replace("write = system,", "write = command,system,")).expect("ours");
    let diff = rig.ifbus(&words).ends(1);
    assert!(
        diff.out.contains("- write = command,system,") && diff.out.contains("+ write = system,"),
        "{diff:#?}"
    );
    let other = rig.folder.join("my-file");
    std::fs::write(&other, "").expect("ours");
    rig.ifbus(&format!("setup asterisk --diff {}", other.display())).ends(2);
    rig.ifbus(&format!("setup asterisk --only dialplan --diff {}", other.display())).ends(1);
    Ok(())
}
