//! Processes: a command run to its end within a time, and what the system knows about a process.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::rig::PATIENCE;

/// A command that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its words, for messages.
    pub words: String,
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It has to have ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        let Ran { words, code: ended, out, err } = &self;
        assert_eq!(*ended, Some(code), "ifbus {words}\n--- stdout\n{out}--- stderr\n{err}");
        self
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command, input: &str) -> Ran {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program can be started");
    // It may end without having read.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    finish(child, words.join(" "))
}

/// Waits for the end of a child with pipes, and ends it if it does not come.
pub fn finish(mut child: Child, words: String) -> Ran {
    let (out, err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let guard = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            break Some(status);
        }
        if Instant::now() > guard {
            // It is ours, and hangs.
            let _ = child.kill().and_then(|()| child.wait());
            break None;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    };
    let text = |thread: std::thread::JoinHandle<std::io::Result<String>>| {
        thread.join().expect("a reader does not panic").unwrap_or_default()
    };
    let ran = Ran { words, code: status.and_then(|status| status.code()), out: text(out), err: text(err) };
    assert!(status.is_some(), "it does not end: {ran:#?}");
    ran
}

/// Sends a signal; false if there is no such process.
pub fn signal(pid: u32, signal: Signal) -> bool {
    pid_of(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether the process lives; one that is dead and not yet waited for by its parent does not.
pub fn lives(pid: u32) -> bool {
    pid_of(pid).is_some_and(|pid| test_kill_process(pid).is_ok()) && !command_line(pid).is_empty()
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The words a process was started with.
pub fn command_line(pid: u32) -> String {
    proc_text(pid, "cmdline")
}

/// The environment a process was started with, a variable a line.
pub fn environment(pid: u32) -> String {
    proc_text(pid, "environ")
}

/// Whether the process has taken Ctrl-C into its own hands.
pub fn listens_to_ctrl_c(pid: u32) -> bool {
    let status = proc_text(pid, "status");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (Signal::INT.as_raw() - 1)) != 0)
}

fn proc_text(pid: u32, file: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

/// The living processes whose data folder lies in `folder`: everything a test started there, and nothing else.
pub fn of_folder(folder: &Path) -> Vec<u32> {
    let mark = format!("IFBUS_DATA={}/", folder.display());
    let entries = fs::read_dir("/proc").expect("/proc is there");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| environment(*pid).lines().any(|line| line.starts_with(&mark))).collect()
}
