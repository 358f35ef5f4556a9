//! A server with its phones, simulated or real: what the stage needs of it beside ifbus.

use std::sync::Arc;

use ifbus_adapters::Settings;
use ifbus_call::{InstanceId, Kind};
use ifbus_doubles::phone::Phones;

/// One server in one way of speaking to it.
pub trait Site {
    /// The phones it reaches.
    fn phones(&self) -> Arc<dyn Phones>;

    /// How ifbus reaches it.
    fn settings(&self) -> Settings;

    /// The server that lends it media, if one does.
    fn anchor(&self) -> Option<(Kind, Settings)> {
        None
    }

    /// Whether the server takes a call from outside now.
    fn lets_in(&self) -> bool;

    /// Somebody who is nobody calls the server with these bytes as his number.
    fn hostile_call(&self, raw: &str);

    /// What somebody writes as his number who wants to end this leg with an event of his own making.
    fn forgeries(&self, native: &str) -> Vec<String>;

    /// The server's own names of the legs of this instance, as somebody sees them who looks past ifbus.
    fn natives(&self, instance: InstanceId) -> Vec<String>;

    /// A call between two phones that nobody of ours ordered.
    fn foreign_call(&self, from: &str, to: &str);

    /// Whether who is on hold hears music.
    fn has_music(&self) -> bool {
        true
    }

    /// Whether a leg that rings goes on ringing when we die: one of the server's own does, one of our SIP agent is
    /// taken back.
    fn keeps_ringing(&self) -> bool {
        true
    }

    /// Whether a phone whose own transfer does not come off still has its call: the SIP agent hangs nobody up before the
    /// guest has come, a server's own transfer does.
    fn keeps_the_transferrer(&self) -> bool {
        !self.keeps_ringing()
    }

    /// A number without a phone that has registered, and one to which there is no way at all.
    fn nobody(&self) -> (&'static str, &'static str) {
        ("1009", "+4930123456")
    }

    /// An address that this kind cannot call, and says so before a byte is sent: one without a template as a rule; a proxy
    /// has none and calls every form, but not `sips:` in the open.
    fn beyond(&self) -> &'static str {
        if self.keeps_ringing() { self.nobody().1 } else { "sips:1003@127.0.0.1" }
    }

    /// What the server's words for a leg have in them if it is of this phone.
    fn foreign_name(&self, phone: &str) -> String {
        format!("/{phone}-")
    }

    /// Why recordings cannot be fetched in this way of speaking to it: a word that the refusal must have in it; absent
    /// where they can.
    fn keeps_recordings(&self) -> Option<&'static str> {
        None
    }

    /// What this kind promises instead of what a cell is about: words that its refusal has, which the cell asserts. Shown
    /// beside the cell.
    fn instead(&self, _cell: &str) -> Option<&'static str> {
        None
    }

    /// Cells that this kind cannot pass, by the beginnings of their names, and why.
    fn lacks(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether it is none of those.
    fn can(&self, cell: &str) -> bool {
        !self.lacks().iter().any(|(lacking, _)| cell.starts_with(lacking))
    }
}

/// One server in one way of speaking to it, not yet there.
pub struct Target {
    /// Shown in the list of results: `asterisk 22 double ari`.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Whether it is a real server.
    pub real: bool,
    /// How it is spoken to, in the words of what was proven: `ami and ari`.
    pub way: &'static str,
    /// Sets it up, or says why it is not there.
    pub open: Box<dyn Fn() -> Result<Box<dyn Site>, String> + Send + Sync>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.name)
    }
}

/// The address of a real server, from a variable of the form `22=127.0.22.1,16=127.0.26.1`.
///
/// # Errors
/// Why there is none, for the line that says what was skipped.
pub fn real(variable: &str, version: &str) -> Result<std::net::Ipv4Addr, String> {
    let value = std::env::var(variable).unwrap_or_default();
    let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
    match pairs.find(|(name, _)| *name == version).map(|(_, address)| address.parse()) {
        Some(Ok(address)) => Ok(address),
        Some(Err(_)) => Err(format!("{variable} names no address for {version}: {value}")),
        None => Err(format!("no real server {version}: {variable} does not name one")),
    }
}
