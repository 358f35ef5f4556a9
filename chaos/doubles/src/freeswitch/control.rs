//! Faults, life and death, and the phones: what a test does to the double.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{FreeSwitch, SHUTDOWN, Stats};
use crate::double::{Extensions, Mortal, Reachable};
use crate::faults::Faults;
use crate::phone::{Act, Plan, Tone};

impl Mortal for FreeSwitch {
    fn faults(&self) -> &Faults {
        &self.wire.faults
    }

    fn set_faults(&mut self, faults: Faults, now: Duration) {
        self.advance(now);
        self.world.sip_dead = faults.sip_dead;
        self.wire.faults = faults;
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

    /// No event, no BYE: a bare reset (sheet section 5).
    fn kill(&mut self, now: Duration) {
        self.advance(now);
        for link in self.wire.links(None) {
            self.sessions.remove(&link);
            self.wire.reset(link);
        }
        self.held.clear();
        self.world.reboot();
        self.down = true;
        self.stopping = None;
    }

    fn restart(&mut self, now: Duration) {
        self.kill(now);
        self.world.now = self.world.now.max(now);
        self.world.reboot();
        self.down = false;
    }

    /// `fsctl shutdown`: SHUTDOWN, the end of every leg, a notice, the close.
    fn shut_down(&mut self, now: Duration) {
        self.advance(now);
        self.world.say_shutdown();
        for uuid in self.world.uuids() {
            self.world.hang_up(&uuid, "SYSTEM_SHUTDOWN", "send_bye");
        }
        self.stopping = Some(now + SHUTDOWN);
        self.advance(now);
    }
}

impl FreeSwitch {
    /// Whether new connections would be refused.
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats {
            originates: self.world.originates,
            refused: self.world.refused,
            legs: self.world.legs.len(),
            sessions: self.sessions.values().filter(|session| session.is_in()).count(),
            links: self.wire.links(None).len(),
        }
    }
}

impl Extensions for FreeSwitch {
    fn plan(&mut self, number: &str, plan: Plan) {
        self.world.plans.insert(number.to_owned(), plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.world.heard(number)
    }

    fn rings(&self, number: &str) -> u32 {
        self.world.witnesses.get(number).map_or(0, |witness| witness.rings)
    }

    fn digits(&self, number: &str) -> String {
        self.world.witnesses.get(number).map(|witness| witness.digits.clone()).unwrap_or_default()
    }

    fn live(&self, number: &str) -> usize {
        self.world.legs.values().filter(|leg| leg.number == number && leg.up).count()
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.world.witnesses.get(number)?.caller.clone()
    }

    fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.advance(now);
        for uuid in self.world.legs_of(number) {
            self.world.phone_does(&uuid, act);
        }
        self.advance(now);
    }

    fn transfer(&mut self, number: &str, to: &str, now: Duration) {
        self.advance(now);
        self.world.refer(number, to);
        self.advance(now);
    }

    fn transfer_attended(&mut self, number: &str, now: Duration) {
        self.advance(now);
        self.world.refer_replaces(number);
        self.advance(now);
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.world.witnesses.get(number)?.transferred
    }
}

impl Reachable for FreeSwitch {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        self.advance(now);
        let uuid = self.world.inbound(from, from, to);
        self.advance(now);
        uuid.unwrap_or_default()
    }

    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        self.advance(now);
        let uuid = self.world.inbound("hostile", raw_caller, "604");
        self.advance(now);
        uuid.is_some()
    }
}
