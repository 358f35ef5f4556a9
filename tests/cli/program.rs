//! Running the built program in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a command left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("an exit, not a signal");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A home of its own, gone when dropped, with whatever orchestrator was started in it.
pub struct Home {
    pub folder: PathBuf,
    env: Vec<(String, String)>,
}

impl Home {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ifbus-cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, env: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The program with these words, nothing inherited but what it needs to run.
    pub fn command(&self, words: &[&str]) -> Command {
        self.command_as(Path::new(env!("CARGO_BIN_EXE_ifbus")), words)
    }

    pub fn command_as(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("HOME", &self.folder).env("TZ", "UTC").stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, line: &str) -> Ended {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.command(&words).output().unwrap().into()
    }

    pub fn spawn(&self, line: &str) -> Child {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.folder.join(".local/share/ifbus/run/orchestrator.json").exists() {
            let _ = self.command(&["stop"]).output();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What nobody who is not a terminal may be sent.
pub fn is_plain(ended: &Ended) -> bool {
    ![&ended.out, &ended.err].iter().any(|text| text.contains('\x1b') || text.contains('\r'))
}
