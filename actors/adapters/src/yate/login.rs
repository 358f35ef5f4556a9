//! From nothing to ready: connect, say how we want to be spoken to, learn version and life, watch, list.
//!
//! Everything is sent at once; the answers are the proof that the link works (sheet, section 1). The list is asked for
//! when the watches are in force, so nothing falls between them. What is listed: `listing.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::{Boot, Interface};

use super::machine::{Phase, Yate};
use super::names::KEEP;
use crate::adapter::{DownReason, LinkError, Output, Ready};
use crate::wire_format::extmodule::{install, local, query, watch};

/// From opening the connection to the last answer.
pub(super) const LOGIN_WITHIN: Duration = Duration::from_secs(5);

/// What is watched.
const WATCHED: [&str; 11] = [
    "chan.startup",
    "call.progress",
    "call.ringing",
    "call.answered",
    "chan.connected",
    "chan.disconnected",
    "chan.hangup",
    "chan.dtmf",
    "call.update",
    "engine.stop",
    "engine.halt",
];

/// What has to be loaded, by file name.
pub(super) const MODULES: [&str; 8] =
    ["pbx", "dumbchan", "conference", "wavefile", "cdrbuild", "ysipchan", "yrtpchan", "tonegen"];

/// What is still to be answered.
#[derive(Debug, Default)]
pub(super) struct Login {
    open: BTreeSet<String>,
    /// A line was understood: it is a Yate.
    spoken: bool,
}

impl Yate {
    /// Says everything that needs no answer of another thing.
    pub(super) fn greet(&mut self) {
        let mut said = b"%%>connect:global\n".to_vec();
        // A reader that is stuck must not hold the engine up: it is cut off after three seconds (sheet, section 8).
        for (name, value) in [("bufsize", "65536"), ("timeout", "3000"), ("timebomb", "true")] {
            said.extend(local(name, value));
            self.life.login.open.insert(name.to_owned());
        }
        let engine = ["engine.version", "engine.runid", "config.telephony.maxchans"].map(str::to_owned);
        let loaded = MODULES.map(|module| format!("loaded.{module}"));
        for name in engine.into_iter().chain(loaded) {
            said.extend(query(&name));
            self.life.login.open.insert(name);
        }
        for name in WATCHED {
            said.extend(watch(name));
            self.life.login.open.insert(name.to_owned());
        }
        // Asked only about legs that say so: this stands in the way of every end of theirs.
        said.extend(install(50, "chan.disconnected", Some((KEEP, "yes"))));
        self.life.login.open.insert("install".to_owned());
        self.send(said);
    }

    /// An answer to `setlocal`.
    pub(super) fn told(&mut self, name: &str, value: &str, done: bool) {
        match name {
            "engine.version" => self.life.version = Some(value.to_owned()),
            "engine.runid" if done && !value.is_empty() => self.life.boot = Some(Boot(value.to_owned())),
            "config.telephony.maxchans" => {
                self.life.legs_max = value.parse().ok().filter(|most| *most > 0);
            }
            "timebomb" if !done => {
                let text = "the engine does not take timebomb: a link that hangs can stop it".to_owned();
                self.warn("timebomb", text);
            }
            _ => {}
        }
        if let Some(module) =
            name.strip_prefix("loaded.").and_then(|name| MODULES.iter().find(|m| **m == name))
        {
            self.life.loaded.insert(module, value == "true");
        }
        self.answered_login(name);
    }

    /// An answer to `watch`, `install` or `uninstall`.
    pub(super) fn hooked(&mut self, verb: &str, name: &str, done: bool) {
        match (verb, name) {
            ("install" | "uninstall", "call.preroute") => self.preroute_hooked(verb == "install", done),
            ("install", _) => self.answered_login("install"),
            _ => {
                if !done && self.phase == Phase::Rising {
                    self.warn("watch", format!("the engine does not let us watch {name}"));
                }
                self.answered_login(name);
            }
        }
    }

    fn answered_login(&mut self, name: &str) {
        self.life.login.spoken = true;
        if self.phase != Phase::Rising
            || !self.life.login.open.remove(name)
            || !self.life.login.open.is_empty()
        {
            return;
        }
        if self.life.boot.is_none() {
            let why = "the engine does not tell its engine.runid".to_owned();
            return self.down(Interface::Management, DownReason::NotTheKind(why));
        }
        self.life.timers.disarm(super::flight::Timer::Login);
        self.list_for(None);
    }

    /// Why the link broke: an engine that does not want us closes without a word.
    pub(super) fn closed_early(&self, error: LinkError) -> DownReason {
        if self.phase == Phase::Rising && !self.life.login.spoken {
            let why = "closed without a word: is it an external module listener?".to_owned();
            return DownReason::NotTheKind(why);
        }
        DownReason::Lost(error)
    }

    /// The list is there: orders are taken, and what was heard meanwhile is applied to it.
    pub(super) fn ready(&mut self, seen: Vec<ifbus_call::Seen>) {
        let Some(boot) = self.life.boot.clone() else { return };
        let version = self.life.version.clone().unwrap_or_default();
        self.phase = Phase::Ready;
        self.out.push_back(Output::Ready(Ready { epoch: self.epoch, boot, version, seen }));
        self.life.early_bytes = 0;
        for line in std::mem::take(&mut self.life.early) {
            // one of them may have ended this life
            if self.phase != Phase::Ready {
                return;
            }
            self.watched_line(&line);
        }
    }
}
