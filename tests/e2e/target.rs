//! What the tests run against.

use std::fmt;
use std::net::Ipv4Addr;

use ifbus_doubles::asterisk::Profile;

use crate::On;

/// One server, simulated or real.
pub struct Target {
    pub name: &'static str,
    pub place: Place,
}

/// Where it is.
pub enum Place {
    /// In this process, on loopback sockets.
    Double(Profile),
    /// A real server: phones are expected at the next address.
    Real(Ipv4Addr),
    /// A real server that is not there.
    Absent(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl Target {
    /// Whether a test that runs on these is for this one.
    pub fn is_for(&self, on: On) -> bool {
        match (on, &self.place) {
            (On::Each, _) => true,
            (On::OneDouble, Place::Double(profile)) => *profile == Profile::V22,
            (On::Real, Place::Double(_)) | (On::OneDouble, _) => false,
            (On::Real, _) => true,
        }
    }
}

/// Both versions, simulated and real.
pub fn targets() -> Vec<Target> {
    let real = std::env::var("IFBUS_REAL_ASTERISK").unwrap_or_default();
    vec![
        Target { name: "asterisk 22 double", place: Place::Double(Profile::V22) },
        Target { name: "asterisk 16 double", place: Place::Double(Profile::V16) },
        Target { name: "asterisk 22 real", place: find(&real, "22") },
        Target { name: "asterisk 16 real", place: find(&real, "16") },
    ]
}

fn find(real: &str, version: &str) -> Place {
    let named = real.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == version);
    match named.map(|(_, address)| address.parse()) {
        Some(Ok(address)) => Place::Real(address),
        Some(Err(_)) => Place::Absent(format!("IFBUS_REAL_ASTERISK names no address for {version}: {real}")),
        None => Place::Absent(format!("no real Asterisk {version}: IFBUS_REAL_ASTERISK does not name one")),
    }
}
