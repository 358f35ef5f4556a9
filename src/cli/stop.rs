//! `ifbus stop`: ends the orchestrator of this machine. Calls go on at their servers.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::errors::Failure;
use super::screen::Screen;
use super::{background, session};

/// How long an orchestrator may take to write down what it has to.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stops it.
pub async fn run(screen: &Screen, on: Option<&str>) -> Result<(), Failure> {
    if session::named(on)?.is_some() {
        let failure = Failure::usage("stop ends the orchestrator that was started here, not another one");
        return Err(failure.with("leave out --on and IFBUS_URL"));
    }
    let paths = session::paths()?;
    let Some(running) = background::running(&paths).await else {
        return if screen.json {
            screen.line(&json!({ "stopped": false }).to_string())
        } else {
            screen.line("no orchestrator runs here")
        };
    };
    let failed = |why: &dyn std::fmt::Display| Failure::here(format!("process {}: {why}", running.pid));
    let pid =
        i32::try_from(running.pid).ok().and_then(Pid::from_raw).ok_or_else(|| failed(&"no such number"))?;
    kill_process(pid, Signal::TERM).map_err(|error| failed(&error))?;
    screen.wait("stopping", gone(&paths.lock())).await.map_err(|()| {
        let seconds = STOPPED_WITHIN.as_secs();
        failed(&format!("told to end and still there after {seconds} s"))
    })?;
    if screen.json {
        return screen.line(&json!({ "stopped": true, "pid": running.pid }).to_string());
    }
    screen.line(&format!("stopped (pid {}); calls go on at their servers", running.pid))
}

/// It has ended when its lock is given back. Its number may be there for longer, until its parent asks for it.
async fn gone(lock: &Path) -> Result<(), ()> {
    let looks = STOPPED_WITHIN.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        match File::open(lock).map(|lock| lock.try_lock_shared()) {
            Ok(Err(TryLockError::WouldBlock)) => tokio::time::sleep(LOOK_EVERY).await,
            Ok(Ok(()) | Err(TryLockError::Error(_))) | Err(_) => return Ok(()),
        }
    }
    Err(())
}
