//! Life and death, and faults.

use std::time::Duration;

use super::{Stats, Yate};
use crate::double::Mortal;
use crate::faults::{Faults, HttpState};

impl Yate {
    /// Whether new connections would be refused.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            dials: self.world.dials,
            refused: self.world.refused,
            admitted: self.world.admitted,
            channels: self.world.channels.len(),
            legs: self.world.channels.keys().filter(|id| id.starts_with("sip/")).count(),
            links: self.wire.links(None).len(),
        }
    }

    pub(super) fn die(&mut self) {
        self.sessions.clear();
        self.http.clear();
        self.held.clear();
        self.world.reboot();
        self.down = true;
        self.stopping = None;
    }
}

impl Mortal for Yate {
    fn faults(&self) -> &Faults {
        &self.wire.faults
    }

    fn set_faults(&mut self, faults: Faults, now: Duration) {
        self.advance(now);
        self.world.sip_dead = faults.sip_dead;
        let closed = faults.http == HttpState::Closed;
        self.wire.faults = faults;
        if closed {
            for link in self.wire.links(Some(super::Door::Files)) {
                self.forget(link);
                self.wire.reset(link);
            }
        }
        if !self.wire.faults.cut_off() {
            for input in std::mem::take(&mut self.held) {
                self.take(input);
            }
        }
        self.advance(now);
    }

    fn garbage(&mut self, now: Duration) {
        self.wire.garbage(now);
        self.advance(now);
    }

    fn kill(&mut self, now: Duration) {
        self.advance(now);
        for link in self.wire.links(None) {
            self.wire.reset(link);
        }
        self.die();
    }

    fn restart(&mut self, now: Duration) {
        self.kill(now);
        self.world.now = self.world.now.max(now);
        self.down = false;
    }

    /// SIGTERM: every call ends, then the connections, then the process (sheet yate, section 8).
    fn shut_down(&mut self, now: Duration) {
        self.advance(now);
        self.world.event("engine.stop", vec![("signal".to_owned(), "15".to_owned())]);
        let legs: Vec<String> = self.world.channels.keys().cloned().collect();
        for leg in legs {
            self.world.end(&leg, "", None, false);
        }
        self.stopping = Some(now + Duration::from_millis(1700));
        self.advance(now);
    }
}
