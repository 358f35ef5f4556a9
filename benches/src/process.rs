//! A double in a process of its own, so that its memory and CPU time are not ours.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use serde_json::{Value, json};

use crate::figure::say;

/// A running double, seen from outside.
pub struct Double {
    child: Child,
    ask: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
    /// Ports of AMI and HTTP.
    pub ports: (u16, u16),
}

impl Double {
    /// Starts one.
    pub fn start() -> Self {
        let mut child = again(&["double"]);
        let ask = child.stdin.take();
        let told = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut double = Self { child, ask, told, ports: (0, 0) };
        let first = double.line();
        let port = |key: &str| first[key].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        double.ports = (port("ami"), port("http"));
        double
    }

    /// Channels on it now.
    pub fn channels(&mut self) -> u64 {
        if let Some(ask) = &mut self.ask {
            ask.write_all(b"stats\n").expect("the double listens");
        }
        self.line()["channels"].as_u64().expect("the double counts")
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).expect("the double speaks");
        serde_json::from_str(&line).expect("the double speaks JSON")
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        // It ends when nobody asks any more.
        drop(self.ask.take());
        let _ = self.child.wait();
    }
}

/// This program again, for one thing only.
pub fn again(words: &[&str]) -> Child {
    let program = std::env::current_exe().expect("a program knows where it is");
    let child = Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.expect("a program can be started again")
}

/// The other side: a double until nobody asks any more.
pub fn double() {
    let options = Options::new(Profile::V22).with_phones(2000..=9999);
    let bind = Bind { write_timeout: Duration::from_secs(30), ..Bind::default() };
    let server = AsteriskServer::start(bind, options).expect("loopback has ports");
    say(&json!({ "ami": server.ami().port(), "http": server.http().port() }).to_string());
    for _ in io::stdin().lines() {
        let stats = server.stats();
        say(&json!({ "channels": stats.channels, "bridges": stats.bridges }).to_string());
    }
}
