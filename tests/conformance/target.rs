//! What the cells run against.

use std::fmt;
use std::net::Ipv4Addr;

use ifbus_doubles::asterisk::Profile;

/// One server in one way of speaking to it.
pub struct Target {
    pub name: String,
    pub place: Place,
    /// Without ARI: events from AMI alone.
    pub ami_alone: bool,
}

/// Where it is.
pub enum Place {
    /// In this process, on loopback sockets.
    Double(Profile),
    /// A real server: phones are expected at the next address, the trunk's peer at the one after.
    Real(Ipv4Addr),
    /// A real server that is not there.
    Absent(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Every target: both versions, simulated and real, with ARI and without.
pub fn targets() -> Vec<Target> {
    let real = std::env::var("IFBUS_REAL_ASTERISK").unwrap_or_default();
    let mut targets = Vec::new();
    for (version, profile) in [("22", Profile::V22), ("16", Profile::V16)] {
        for ami_alone in [false, true] {
            let way = if ami_alone { " ami" } else { " ari" };
            targets.push(Target {
                name: format!("asterisk {version} double{way}"),
                place: Place::Double(profile),
                ami_alone,
            });
            targets.push(Target {
                name: format!("asterisk {version} real{way}"),
                place: find(&real, version),
                ami_alone,
            });
        }
    }
    targets
}

fn find(real: &str, version: &str) -> Place {
    let named = real.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == version);
    match named.map(|(_, address)| address.parse()) {
        Some(Ok(address)) => Place::Real(address),
        Some(Err(_)) => Place::Absent(format!("IFBUS_REAL_ASTERISK names no address for {version}: {real}")),
        None => Place::Absent(format!("no real Asterisk {version}: IFBUS_REAL_ASTERISK does not name one")),
    }
}
