//! The binary in a folder of its own, and a server with its phones.
//!
//! Whatever a test started is ended when its rig is dropped, also after a failure: calls at the phones, then processes
//! by their number, then the folder.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::phone::shell::SipServer;
use ifbus_doubles::phone::{Phones, Plan, Tone};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::Skipped;
use crate::api::Api;
use crate::process::{self, Ran};
use crate::target::{Place, Target};

/// A guard against hanging, far above what anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What the server knows us by.
pub const SECRET: &str = "ifbus-secret";
/// The phones of the laboratory.
const NUMBERS: std::ops::RangeInclusive<u32> = 1001..=1008;
const FREE_WITHIN: Duration = Duration::from_secs(10);

/// Everything a test needs.
pub struct Rig {
    pub folder: PathBuf,
    /// Where the server's manager interface and its HTTP are.
    pub ami: SocketAddr,
    pub ari: u16,
    /// Legs that others left on the server.
    before: BTreeSet<String>,
    /// The address of a real server.
    pub real: Option<Ipv4Addr>,
    phones: Option<Arc<dyn Phones>>,
}

impl Rig {
    /// A server with its phones.
    pub fn open(target: &Target) -> Result<Self, Skipped> {
        match &target.place {
            Place::Real(ip) => {
                let at = phones_of(*ip);
                // The phones of the test before may still be closing their socket.
                let guard = Instant::now() + Duration::from_secs(2);
                let sip = loop {
                    match SipServer::start(&[at]) {
                        Err(_) if Instant::now() < guard => {
                            std::thread::park_timeout(Duration::from_millis(20))
                        }
                        done => break done,
                    }
                };
                let sip = sip.map_err(|error| Skipped(format!("no phones at {at}: {error}")))?;
                let mut rig = Self::without_phones(target)?;
                rig.phones = Some(Arc::new(sip));
                Ok(rig)
            }
            _ => Self::without_phones(target),
        }
    }

    /// A real server alone, for others to be its phones; a double with the phones it has.
    pub fn without_phones(target: &Target) -> Result<Self, Skipped> {
        match &target.place {
            Place::Double(profile) => Ok(Self::with_double(Options::new(*profile))),
            Place::Real(ip) => {
                let ami = SocketAddr::from((*ip, 5038));
                TcpStream::connect(ami).map_err(|error| Skipped(format!("no manager at {ami}: {error}")))?;
                let before = legs(ami);
                Ok(Self { folder: folder(), ami, ari: 8088, before, real: Some(*ip), phones: None })
            }
            Place::Absent(why) => Err(Skipped(why.clone())),
        }
    }

    /// A double with options of its own.
    pub fn with_double(options: Options) -> Self {
        Self::around(Arc::new(AsteriskServer::start(Bind::default(), options).expect("loopback has ports")))
    }

    /// A double that the test has its own hands on.
    pub fn around(double: Arc<AsteriskServer>) -> Self {
        let (ami, ari) = (double.ami(), double.http().port());
        let phones: Arc<dyn Phones> = double;
        let before = BTreeSet::new();
        Self { folder: folder(), ami, ari, before, real: None, phones: Some(phones) }
    }

    /// A server of another kind, with these phones; it is not looked at here.
    pub fn with_phones(management: SocketAddr, phones: Arc<dyn Phones>) -> Self {
        let phones = Some(phones);
        Self { folder: folder(), ami: management, ari: 0, before: BTreeSet::new(), real: None, phones }
    }

    /// The double in its newest version.
    pub fn simple() -> Self {
        Self::with_double(Options::new(Profile::V22))
    }

    // --- the binary ---

    /// The binary, with this rig's folders and nothing of ours in its environment.
    pub fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_ifbus")))
    }

    /// The same under another path.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["PATH", "LANG"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
            .env("HOME", &self.folder)
            .env("TMPDIR", self.folder.join("tmp"))
            .env("IFBUS_CONFIG", self.config())
            .env("IFBUS_DATA", self.data())
            .env("IFBUS_RUNTIME", self.folder.join("run"))
            .current_dir(&self.folder);
        command
    }

    /// Runs a command to its end; words are separated by blanks.
    pub fn ifbus(&self, words: &str) -> Ran {
        process::run(self.command().args(words.split_whitespace()), "")
    }

    /// Starts a command and does not wait.
    pub fn begin(&self, words: &str) -> Child {
        let mut command = self.command();
        command
            .args(words.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("the binary can be started")
    }

    /// The words that add the server as `name`, with this `--auth`.
    pub fn add_words(&self, name: &str, auth: &str) -> String {
        let sip = if self.real.is_some() { "" } else { " --set sip=off" };
        words_of(name, self.ami, self.ari, auth) + sip
    }

    /// Adds the server as pbx1, which starts the orchestrator.
    #[track_caller]
    pub fn add(&self) -> Ran {
        self.ifbus(&self.add_words("pbx1", &format!("user=ifbus,secret={SECRET}"))).ends(0)
    }

    /// Writes the configuration: the port is free whatever else it says.
    pub fn configure(&self, more: &str) {
        write(&self.config(), &format!("listen = \"127.0.0.1:0\"\n{more}"));
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("ifbus.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    // --- the orchestrator ---

    fn running(&self) -> Option<Value> {
        let text = fs::read_to_string(self.folder.join("run/orchestrator.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The process of the orchestrator.
    pub fn pid(&self) -> u32 {
        let running = self.running().expect("an orchestrator runs");
        running["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("its process is a number")
    }

    /// Its API, with every right.
    pub fn api(&self) -> Api {
        let running = self.running().expect("an orchestrator runs");
        let address = running["address"].as_str().and_then(|text| text.parse().ok());
        let token = fs::read_to_string(self.data().join("token")).expect("an orchestrator has a token");
        Api { address: address.expect("it listens"), token: token.trim().to_owned() }
    }

    /// The processes that serve for this rig.
    pub fn orchestrators(&self) -> Vec<u32> {
        let all = process::of_folder(&self.folder).into_iter();
        all.filter(|pid| process::command_line(*pid).lines().nth(1) == Some("serve")).collect()
    }

    /// Ends the orchestrator as the system's memory killer would.
    pub fn kill_9(&self) {
        let pid = self.pid();
        assert!(process::signal(pid, Signal::KILL), "{pid} is there");
        self.until("it is dead", |_| !process::lives(pid));
    }

    /// Starts the orchestrator again, by a command that needs it.
    #[track_caller]
    pub fn start_again(&self) {
        let listed = self.ifbus("list sip").ends(0);
        assert!(listed.err.contains("orchestrator started in the background"), "{listed:#?}");
        self.until("the server is up", |rig| {
            let server = rig.api().get("/v1/servers/pbx1").json();
            matches!(server["state"].as_str(), Some("up" | "degraded"))
        });
    }

    // --- calls ---

    /// Places a call and waits until both talk.
    pub fn talk(&self, from: &str, to: &str) -> String {
        let id = self.place(from, to);
        self.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
        self.hear_each_other(from, to);
        id
    }

    /// A call on this server that both talk on; who hears whom is not looked at.
    pub fn talk_on(&self, server: &str, from: &str, to: &str) -> String {
        let placed = self.api().post("/v1/calls", &json!({ "from": from, "to": to, "server": server }));
        assert_eq!(placed.status, 202, "{}", placed.raw);
        let id = placed.json()["id"].as_str().expect("a call has an id").to_owned();
        self.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
        id
    }

    /// Places a call and does not wait.
    pub fn place(&self, from: &str, to: &str) -> String {
        let placed = self.api().post("/v1/calls", &json!({ "from": from, "to": to }));
        assert_eq!(placed.status, 202, "{}", placed.raw);
        placed.json()["id"].as_str().expect("a call has an id").to_owned()
    }

    pub fn call(&self, id: &str) -> Value {
        let shown = self.api().get(&format!("/v1/calls/{id}"));
        assert_eq!(shown.status, 200, "{}", shown.raw);
        shown.json()
    }

    /// The ids of the calls with this status.
    pub fn calls(&self, status: &str) -> BTreeSet<String> {
        let list = self.api().get(&format!("/v1/calls?status={status}&limit=500")).json();
        let calls = list["data"].as_array().expect("a list").iter();
        calls.map(|call| call["id"].as_str().expect("a call has an id").to_owned()).collect()
    }

    /// Where the leg with this letter stands: `ringing`, `up`; nothing if there is none.
    pub fn stage(&self, id: &str, role: &str) -> Option<String> {
        let call = self.call(id);
        let leg = call["legs"].as_array().expect("legs").iter().find(|leg| leg["role"] == role)?;
        leg["stage"].as_str().map(str::to_owned)
    }

    /// Every event of this life of the orchestrator that is about a call.
    pub fn told(&self, id: &str, kind: &str) -> bool {
        self.call_events(id).iter().any(|event| event == kind)
    }

    fn call_events(&self, id: &str) -> Vec<String> {
        let seq = self.call(id)["seq"].as_u64().expect("a number");
        let boot = self.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
        let mut events = self.api().events(&format!("?call={id}"), Some(&format!("{boot}-0")));
        let mut kinds = Vec::new();
        let mut last = 0;
        while last < seq {
            let data: Value = serde_json::from_str(&events.next("data:")).expect("an event is JSON");
            kinds.push(data["type"].as_str().unwrap_or_default().to_owned());
            // One that is no call's is a gap: what came before it is not to be had.
            last = data["call_seq"].as_u64().unwrap_or(seq);
        }
        kinds
    }

    // --- the phones ---

    pub fn phones(&self) -> &dyn Phones {
        self.phones.as_deref().expect("this rig has phones")
    }

    pub fn plan(&self, number: &str, plan: Plan) {
        self.phones().plan(number, plan);
    }

    pub fn hear_each_other(&self, a: &str, b: &str) {
        self.until(&format!("{a} and {b} hear each other"), |rig| rig.hears(a, b) && rig.hears(b, a));
    }

    pub fn hears(&self, listener: &str, speaker: &str) -> bool {
        self.phones().heard(listener).contains(&Tone::of(speaker))
    }

    pub fn is_free(&self, number: &str) {
        self.until(&format!("{number} is free"), |rig| rig.phones().live(number) == 0);
    }

    // --- the server ---

    /// The legs that the server has since this rig was opened, in its own words.
    pub fn legs_on_server(&self) -> BTreeSet<String> {
        &legs(self.ami) - &self.before
    }

    // --- waiting ---

    /// Waits until it is so; tells the log if that never comes.
    #[track_caller]
    pub fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let guard = Instant::now() + PATIENCE;
        while !so(self) {
            assert!(Instant::now() < guard, "never came: {what}\n{}", self.evidence());
            // A look every few milliseconds at what is being waited for.
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// What a look sees at last.
    pub fn until_some<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let seen = std::cell::RefCell::new(None);
        self.until(what, |rig| {
            let found = look(rig);
            let is_there = found.is_some();
            seen.replace(found);
            is_there
        });
        seen.into_inner().expect("it was waited for")
    }

    /// The end of the log.
    fn evidence(&self) -> String {
        let log = fs::read_to_string(self.data().join("orchestrator.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(phones) = &self.phones {
            let numbers: Vec<String> = NUMBERS.map(|number| number.to_string()).collect();
            let guard = Instant::now() + FREE_WITHIN;
            while numbers.iter().any(|number| phones.live(number) > 0) && Instant::now() < guard {
                numbers.iter().for_each(|number| phones.hang_up(number));
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
        for pid in process::of_folder(&self.folder) {
            process::signal(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.folder.display());
        } else {
            // A leftover in the temporary folder harms nobody.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The words that add a server, with room for every call of a test.
pub fn words_of(name: &str, ami: SocketAddr, ari: u16, auth: &str) -> String {
    let (host, port) = (ami.ip(), ami.port());
    format!(
        "add sip {name} asterisk --host {host} --port {port} --auth {auth} --set ari_port={ari} --set capacity=1000 --set cps=1000"
    )
}

/// The legs that an ifbus, of this rig or another, has on a server.
fn legs(ami: SocketAddr) -> BTreeSet<String> {
    let mut stream = TcpStream::connect(ami).expect("the manager interface answers");
    let ask = format!(
        "Action: Login\r\nUsername: ifbus\r\nSecret: {SECRET}\r\nEvents: off\r\n\r\n\
         Action: CoreShowChannels\r\n\r\nAction: Logoff\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).expect("the manager interface reads");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline can be set");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the manager interface says goodbye");
    let ids = text.lines().filter_map(|line| line.strip_prefix("Uniqueid: "));
    ids.filter(|id| id.starts_with("ib-")).map(str::to_owned).collect()
}

/// Where a real server expects its phones.
pub fn phones_of(server: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(u32::from(server) + 1), 5060))
}

/// A file of a test.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A fresh folder with a configuration that takes a free port.
fn folder() -> PathBuf {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("ifbus-e2e-{}-{number}", std::process::id()));
    // One of an earlier run with our process number is of no use to anybody.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("tmp")).expect("the temporary folder takes folders");
    write(&folder.join("ifbus.toml"), "listen = \"127.0.0.1:0\"\n");
    folder
}
