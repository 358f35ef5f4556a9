//! An orchestrator in the background: found if it runs, started if it does not, proven alive before it is believed.
//!
//! Of many commands at once exactly one starts it: a lock is held around looking and starting. The child proves itself
//! over loopback with a random number that only its environment holds; if it dies, its last words are ours.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ifbus_config::{Paths, Reference, private};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::client::{Base, Client};
use super::errors::Failure;

/// The environment variable by which a child is told where to prove itself, and with which number.
pub const READY: &str = "IFBUS_READY";
/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How long another command's start is waited for: its own time and a little.
const OTHERS_WITHIN: Duration = Duration::from_secs(8);
/// How often a lock or a child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest proof: number, process id, address.
const PROOF_MAX: usize = 200;

/// An orchestrator that runs here; what `Paths::running` holds.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
}

/// An orchestrator that was waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Started {
    /// It.
    pub running: Running,
    /// How long the start took; absent if another command started it meanwhile.
    pub took: Option<Duration>,
}

/// The orchestrator of this installation, if one runs: its file is there, its process lives, and it answers.
pub async fn running(paths: &Paths) -> Option<Running> {
    let text = private::read(&paths.running()).ok()??;
    let running: Running = serde_json::from_str(&text).ok()?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.pid).ok()?)?;
    // Only a process of our own user can be signalled: nobody else gets our token by taking a port that is free again.
    rustix::process::test_kill_process(pid).ok()?;
    Client::new(Base::of(running.address), None).is_alive().await.then_some(running)
}

/// Starts one, unless another command just did. It inherits our environment but for the variables in `secret`, and
/// those too if the configuration takes secrets from them.
///
/// # Errors
/// It died, with its last words; or it was not ready in time.
pub async fn start(paths: &Paths, secret: &[&str]) -> Result<Started, Failure> {
    let no_folder = |error: private::BadPrivate| Failure::here(error.to_string());
    private::folder(&paths.data).map_err(no_folder)?;
    private::folder(&paths.runtime).map_err(no_folder)?;
    let _alone = lock(&paths.runtime.join("start.lock")).await?;
    if let Some(running) = running(paths).await {
        return Ok(Started { running, took: None });
    }
    let began = Instant::now();
    // A child that outlives this command is nobody's: it is never waited for.
    let (_child, running) = launch(paths, &[], &not_inherited(paths, secret)).await?;
    Ok(Started { running, took: Some(began.elapsed()) })
}

/// A secret that was handed to one command stays out of the environment of a process that lives for months.
fn not_inherited<'a>(paths: &Paths, secret: &[&'a str]) -> Vec<&'a str> {
    // A configuration that cannot be read is refused by the orchestrator itself.
    let config = ifbus_config::load(&paths.config).unwrap_or_default();
    let servers = config.servers.values().flat_map(|server| server.auth.values());
    let tokens = config.tokens.values().map(|token| &token.secret);
    let needed: Vec<&Reference> = servers.chain(tokens).collect();
    let is_needed =
        |name: &str| needed.iter().any(|from| matches!(from, Reference::Env(used) if used == name));
    secret.iter().copied().filter(|name| !is_needed(name)).collect()
}

/// Launches `ifbus serve` with these arguments, without these variables, and waits until it is ready.
///
/// # Errors
/// It died, with its last words; or it was not ready in time, and was ended.
pub async fn launch(
    paths: &Paths,
    arguments: &[&str],
    without: &[&str],
) -> Result<(Child, Running), Failure> {
    let failed = |what: &str, error: std::io::Error| Failure::not_started(format!("{what}: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed("loopback", error))?;
    let here = listener.local_addr().map_err(|error| failed("loopback", error))?;
    let number = random()?;
    let log_path = paths.log();
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
    let log = log.map_err(|error| failed(&log_path.display().to_string(), error))?;
    let log_from = log.metadata().map_or(0, |metadata| metadata.len());
    let mut child = spawn(paths, (arguments, without), log, &format!("{here} {number}"))
        .map_err(|error| failed("ifbus", error))?;
    let deadline = tokio::time::sleep(READY_WITHIN);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if let Some(running) = proof(stream, &number).await {
                    return Ok((child, running));
                }
            }
            () = &mut deadline => {
                let _ = child.kill().and_then(|()| child.wait()); // it is of no use, and ours
                let seconds = READY_WITHIN.as_secs();
                let failure = Failure::not_started(format!("the orchestrator was not ready within {seconds} s"));
                return Err(failure.with(format!("its log: {}", log_path.display())));
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(died(status, &log_path, log_from));
                }
            }
        }
    }
}

fn spawn(
    paths: &Paths,
    (arguments, without): (&[&str], &[&str]),
    log: File,
    ready: &str,
) -> std::io::Result<Child> {
    let program = std::env::current_exe()?;
    let absolute = |path: &Path| std::path::absolute(path);
    let log_too = log.try_clone()?;
    let mut command = Command::new(program);
    for name in without {
        command.env_remove(name);
    }
    command
        .arg("serve")
        .args(arguments)
        .env(READY, ready)
        .env("IFBUS_CONFIG", absolute(&paths.config)?)
        .env("IFBUS_DATA", absolute(&paths.data)?)
        .env("IFBUS_RUNTIME", absolute(&paths.runtime)?)
        // Those of a client are none of its business.
        .env_remove("IFBUS_TOKEN")
        .env_remove("IFBUS_URL")
        .current_dir(&paths.data)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .spawn()
}

async fn proof(stream: TcpStream, number: &str) -> Option<Running> {
    let mut text = String::new();
    let mut limited = stream.take(PROOF_MAX as u64);
    let read = limited.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(1), read).await.ok()?.ok()?;
    let mut words = text.split_whitespace();
    let is_ours = words.next()? == number;
    let running = Running { pid: words.next()?.parse().ok()?, address: words.next()?.parse().ok()? };
    is_ours.then_some(running)
}

fn died(status: std::process::ExitStatus, log: &Path, from: u64) -> Failure {
    let said = last_words(log, from);
    let detail =
        said.unwrap_or_else(|| format!("the orchestrator ended at once ({status}) and said nothing"));
    Failure::not_started(detail).with(format!("its log: {}", log.display()))
}

/// The last error in the log after `from`, else its last line.
fn last_words(log: &Path, from: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = String::new();
    file.take(64 << 10).read_to_string(&mut text).ok()?;
    let error = text.lines().rev().find_map(|line| line.strip_prefix("error: "));
    error.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty())).map(str::to_owned)
}

async fn lock(path: &PathBuf) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::here(format!("{}: {error}", path.display()));
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    let tries = OTHERS_WITHIN.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(Failure::not_started("another command has been starting an orchestrator for too long"))
}

/// 128 random bits in hexadecimal digits.
///
/// # Errors
/// The system has none.
pub fn random() -> Result<String, Failure> {
    let half = || getrandom::u64().map_err(|error| Failure::here(format!("no random numbers: {error}")));
    Ok(format!("{:016x}{:016x}", half()?, half()?))
}

/// The child's side: where it has to prove itself, and the number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    to: SocketAddr,
    number: String,
}

impl Proof {
    /// What the parent handed over; `None` in the foreground.
    pub fn of_process() -> Option<Self> {
        let text = std::env::var(READY).ok()?;
        let (to, number) = text.split_once(' ')?;
        Some(Self { to: to.parse().ok()?, number: number.to_owned() })
    }

    /// Tells the parent that this process listens at `address`.
    ///
    /// # Errors
    /// The parent is gone, which is no reason to end.
    pub fn give(&self, address: SocketAddr) -> std::io::Result<()> {
        let mut parent = std::net::TcpStream::connect_timeout(&self.to, READY_WITHIN)?;
        writeln!(parent, "{} {} {address}", self.number, std::process::id())
    }
}
