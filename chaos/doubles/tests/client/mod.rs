//! A client of AMI for tests, without a runtime.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ifbus_doubles::asterisk::AsteriskServer;

/// A session, and what it has read and not yet looked at.
pub struct Ami(pub TcpStream, String);

impl Ami {
    /// Connects and logs in.
    pub fn login(server: &AsteriskServer, user: &str) -> Self {
        let stream = TcpStream::connect(server.ami()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut ami = Ami(stream, String::new());
        ami.send(&format!(
            "Action: Login\r\nUsername: {user}\r\nSecret: {user}-secret\r\nEvents: on\r\n\r\n"
        ));
        ami.until("Authentication accepted");
        ami
    }

    /// Sends this.
    pub fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to and with this text.
    pub fn until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.1.find(text) {
                self.1.drain(..at + text.len());
                return;
            }
            let mut buffer = [0; 65_536];
            let length = self.0.read(&mut buffer);
            let length = length.unwrap_or_else(|error| panic!("{error} before {text:?}, after:\n{}", self.1));
            assert!(length > 0, "closed before {text:?}");
            self.1.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }
}

/// Waits until it is so.
///
/// # Panics
///
/// It is not so for 30 s.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
