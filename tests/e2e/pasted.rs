//! Point 11 on real servers: what `ifbus setup` prints, pasted as it is, passes the test; without any line it is
//! refused by the server itself, or by the test, unless setup says that a test cannot see the line.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Ran;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_11_what_setup_prints_for_a_real_kamailio_passes_and_no_line_is_spare", On::OneDouble, kamailio),
    ("point_11_what_setup_prints_for_a_real_opensips_passes_and_no_line_is_spare", On::OneDouble, opensips),
    (
        "point_11_what_setup_prints_for_a_real_freeswitch_passes_and_no_line_is_spare",
        On::OneDouble,
        freeswitch,
    ),
    ("point_11_what_setup_prints_for_a_real_yate_passes_and_no_line_is_spare", On::OneDouble, yate),
];

/// A kind of server that the laboratory can start.
struct Kind {
    /// Its word, and that of its scripts.
    word: &'static str,
    /// The beginning of its script's variables.
    prefix: &'static str,
    /// Where it is installed, if its script wants to know.
    installed: Option<String>,
    /// What `add` is told beside the host.
    words: fn(&Lab) -> String,
}

fn kamailio(_: &Target) -> Result<(), Skipped> {
    let found = Command::new("kamailio").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map_err(|error| Skipped(format!("no real Kamailio: {error}")))?;
    let words = |lab: &Lab| format!("--auth secret=labtoken --set sip_listen={}:5070", lab.ours);
    no_line_is_spare(&Kind { word: "kamailio", prefix: "KAM", installed: None, words })
}

fn opensips(_: &Target) -> Result<(), Skipped> {
    let installed = installed("IFBUS_LAB_OPENSIPS")?;
    let words = |lab: &Lab| format!("--set sip_listen={0}:5070 --set events={0}:8449", lab.ours);
    no_line_is_spare(&Kind { word: "opensips", prefix: "OSIPS", installed: Some(installed), words })
}

fn freeswitch(_: &Target) -> Result<(), Skipped> {
    let installed = installed("IFBUS_LAB_FREESWITCH")?;
    let words = |_: &Lab| {
        "--auth secret=ifbus-secret --set fetch=socket --set music=tone_stream://%(1000,0,400)".to_owned()
    };
    no_line_is_spare(&Kind { word: "freeswitch", prefix: "FS", installed: Some(installed), words })
}

fn yate(_: &Target) -> Result<(), Skipped> {
    let installed = installed("IFBUS_LAB_YATE")?;
    let words = |lab: &Lab| {
        let (host, folder) = (&lab.host, lab.folder.display());
        format!("--set recordings={folder}/recordings --set sounds={folder} --set fetch=http://{host}:8088/")
    };
    no_line_is_spare(&Kind { word: "yate", prefix: "YATE", installed: Some(installed), words })
}

fn installed(name: &str) -> Result<String, Skipped> {
    std::env::var(name)
        .map_err(|_| Skipped(format!("none to start: {name} does not say where one is installed")))
}

/// How many servers are tried side by side.
const SIDE_BY_SIDE: u8 = 4;
/// Its script ends so when the server itself refuses its configuration.
const REFUSED: i32 = 3;
/// Whoever hears no heartbeat for this long, of one each second, hears none.
const HEARTBEATS: Duration = Duration::from_secs(3);

/// The printed files by name, line by line.
type Files = BTreeMap<String, Vec<String>>;

/// A line of a file, and the heads under which it can be called unseen: its own beginning, its block.
struct Line {
    file: String,
    n: usize,
    text: String,
    block: Option<String>,
}

/// What came of a server without one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It does not start.
    Refused,
    /// The test fails or warns.
    Seen,
    /// The test is content.
    Unseen,
}

fn no_line_is_spare(kind: &Kind) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.ifbus("list sip").ends(0);
    let first = Lab::of(&rig, kind, 1);
    let (files, unseen) = first.printed();
    let whole = first.outcome(&files);
    assert_eq!(whole.0, Outcome::Unseen, "everything pasted: {:#?}", whole.1);

    let lines: VecDeque<Line> = files.iter().flat_map(|(file, lines)| lines_of(file, lines)).collect();
    let (todo, spare, wrong) = (Mutex::new(lines), Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    let next = || todo.lock().expect("no other thread has panicked").pop_front();
    std::thread::scope(|scope| {
        for n in 1..=SIDE_BY_SIDE {
            let lab = Lab::of(&rig, kind, n);
            let (unseen, next, spare, wrong) = (&unseen, &next, &spare, &wrong);
            scope.spawn(move || {
                let (files, _) = lab.printed();
                while let Some(line) = next() {
                    let mut without = files.clone();
                    without.get_mut(&line.file).expect("the file is there").remove(line.n);
                    let (outcome, ran) = lab.outcome(&without);
                    let known = unseen.iter().find(|(file, start)| {
                        *file == line.file
                            && (line.text.trim_start().starts_with(start.as_str())
                                || line.block.as_ref() == Some(start))
                    });
                    match (outcome, known) {
                        (Outcome::Unseen, Some(known)) => {
                            spare.lock().expect("no other thread has panicked").insert(known.clone());
                        }
                        (Outcome::Refused, _) | (Outcome::Seen, None) => {}
                        (outcome, known) => {
                            let said = ran
                                .map(|ran| ran.out)
                                .filter(|_| outcome == Outcome::Seen)
                                .unwrap_or_default();
                            let why =
                                format!("without `{}`: {outcome:?}, setup: {known:?}\n{said}", line.text);
                            wrong.lock().expect("no other thread has panicked").push(why);
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no other thread has panicked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let spare = spare.into_inner().expect("no other thread has panicked");
    assert_eq!(spare, unseen, "setup names as unseen what is unseen, and nothing else");
    Ok(())
}

/// The lines that are no comments.
fn lines_of(file: &str, lines: &[String]) -> Vec<Line> {
    let mut block = None;
    let mut found = Vec::new();
    for (n, text) in lines.iter().enumerate() {
        if text.starts_with(|first: char| first.is_alphabetic()) {
            block = text.split_once(" {").map(|(head, _)| head.trim_end().to_owned());
        }
        let text = text.as_str();
        let is_comment = ["# ", ";", "<!--", "#loadmodule", "#modparam"];
        let is_comment = is_comment.iter().any(|start| text.trim_start().starts_with(start));
        if !is_comment && !text.trim().is_empty() {
            found.push(Line { file: file.to_owned(), n, text: text.to_owned(), block: block.clone() });
        }
    }
    found
}

/// Where one server after the other is started.
struct Lab<'a> {
    rig: &'a Rig,
    kind: &'a Kind,
    name: String,
    host: String,
    ours: String,
    folder: PathBuf,
}

impl<'a> Lab<'a> {
    fn of(rig: &'a Rig, kind: &'a Kind, n: u8) -> Self {
        // Addresses of this process alone.
        let pid = std::process::id();
        let (a, b) = (100 + pid % 100, pid / 100 % 250 + 1);
        Lab {
            rig,
            kind,
            name: format!("fresh{n}"),
            host: format!("127.{a}.{b}.{}", 10 * n),
            ours: format!("127.{a}.{b}.{}", 10 * n + 9),
            folder: rig.folder.join(format!("lab{n}")),
        }
    }

    /// What a newcomer is given, filled in, and the lines that a test cannot see.
    fn printed(&self) -> (Files, BTreeSet<(String, String)>) {
        let words = format!("setup {} --for {} --host {} --json", self.kind.word, self.name, self.host);
        let body: Value = serde_json::from_str(&self.rig.ifbus(&words).ends(0).out).expect("it is JSON");
        let (mut files, mut unseen) = (Files::new(), BTreeSet::new());
        for file in body["files"].as_array().expect("files") {
            let name = file["file"].as_str().expect("a name").to_owned();
            let text = file["text"].as_str().expect("a text");
            for line in file["not_seen_by_test"].as_array().expect("lines") {
                unseen.insert((name.clone(), line["line"].as_str().expect("a line").to_owned()));
            }
            files.insert(name, text.lines().map(str::to_owned).collect());
        }
        (files, unseen)
    }

    /// A server with these files and nothing else of ours, looked at by a test.
    fn outcome(&self, files: &Files) -> (Outcome, Option<Ran>) {
        let pasted = self.folder.join("printed");
        fs::create_dir_all(&pasted).expect("the folder is ours");
        for (name, lines) in files {
            // A heartbeat each second instead of five: the test waits for one.
            let text =
                lines.join("\n").replace("interval=5", "interval=1").replace("_beat, 5", "_beat, 1") + "\n";
            fs::write(pasted.join(name), text).expect("the folder is ours");
        }
        let up = self.script("up", &pasted);
        let ran = (up != Some(REFUSED)).then(|| self.tested());
        self.script("down", &pasted);
        match ran {
            None => (Outcome::Refused, None),
            Some(ran) if is_clean(&ran) => (Outcome::Unseen, Some(ran)),
            Some(ran) => (Outcome::Seen, Some(ran)),
        }
    }

    fn script(&self, what: &str, pasted: &Path) -> Option<i32> {
        let Kind { word, prefix, installed, .. } = self.kind;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/lab/{word}-{what}.sh"));
        let mut command = Command::new("sh");
        command.arg(script);
        let by_prefix = matches!(*word, "freeswitch" | "yate");
        if let Some(installed) = installed.as_ref().filter(|_| by_prefix && what == "up") {
            command.arg(installed);
        }
        command.arg(&self.folder);
        if !by_prefix || what == "up" {
            command.arg(&self.host);
        }
        let set = |name: &str| format!("{prefix}_{name}");
        command
            .env(set("SETUP"), pasted)
            .env(set("TRIES"), if *word == "freeswitch" { "50" } else { "10" })
            .env("PURGE", "1");
        command.env(set("OURS"), &self.ours).envs(installed.as_ref().map(|at| (set("ROOT"), at)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("there is a shell").code()
    }

    /// What the test says when it has nothing more to wait for.
    fn tested(&self) -> Ran {
        let (name, host, kind) = (&self.name, &self.host, self.kind.word);
        self.rig.ifbus(&format!("add sip {name} {kind} --host {host} {}", (self.kind.words)(self)));
        let state = format!("/v1/servers/{name}");
        self.rig.until("it is looked at", |rig| rig.api().get(&state).json()["state"] != "connecting");
        let test = format!("test sip {name}");
        let began = Instant::now();
        let ran = loop {
            let ran = self.rig.ifbus(&test);
            let waits = ran.out.contains("heard yet") && began.elapsed() < HEARTBEATS;
            if !waits {
                break ran;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        };
        self.rig.ifbus(&format!("remove sip {name} --yes")).ends(0);
        ran
    }
}

fn is_clean(ran: &Ran) -> bool {
    ran.code == Some(0) && ran.out.lines().all(|line| !line.starts_with("fail") && !line.starts_with("warn"))
}
