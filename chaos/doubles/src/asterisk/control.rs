//! Faults, life and death, and the phones: what a test does to the double.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ari::Ari;
use super::channels::{Party, State};
use super::{Asterisk, Door, Stats, happening};
use crate::double::{Extensions, Mortal, Reachable};
use crate::faults::{Faults, HttpState};
use crate::phone::{Act, Plan, Tone};

impl Mortal for Asterisk {
    fn faults(&self) -> &Faults {
        &self.wire.faults
    }

    fn set_faults(&mut self, faults: Faults, now: Duration) {
        self.advance(now);
        self.world.sip_dead = faults.sip_dead;
        let ari = faults.http;
        self.wire.faults = faults;
        if ari != HttpState::On {
            for link in self.ari.sockets() {
                self.hang_up_link(link);
            }
        }
        if ari == HttpState::Closed {
            for link in self.wire.links(Some(Door::Http)) {
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
            self.forget(link);
            self.wire.reset(link);
        }
        self.held.clear();
        self.world.reboot();
        self.ari = Ari::default();
        self.down = true;
        self.stopping = None;
    }

    fn restart(&mut self, now: Duration) {
        self.kill(now);
        self.world.now = self.world.now.max(now);
        self.world.reboot();
        self.down = false;
    }

    fn shut_down(&mut self, now: Duration) {
        self.advance(now);
        for id in self.world.channels.keys().cloned().collect::<Vec<_>>() {
            if let Some(channel) = self.world.channels.get(&id) {
                let told = self.world.hangup_request(channel, true, Some(4), None);
                self.world.tell(told);
                self.world.hang_up(&id, 16);
            }
        }
        self.world.shutting_down = true;
        self.stopping = Some(now + Duration::from_secs(1));
        self.advance(now);
    }
}

impl Asterisk {
    /// `core stop gracefully`: calls go on, every action, `Ping` and `Login` too, is refused; `false` takes
    /// it back, as the local command line can.
    pub fn refuse_actions(&mut self, refuse: bool) {
        self.world.shutting_down = refuse;
    }

    pub(super) fn complete_shutdown(&mut self) {
        let told = happening::Teller::new(&self.world, happening::SYSTEM, "Shutdown")
            .line("Shutdown", "Cleanly")
            .line("Restart", "False")
            .told();
        self.world.tell(told);
        self.pump();
        for link in self.wire.links(None) {
            self.hang_up_link(link);
        }
        self.ari = Ari::default();
        self.world.reboot();
        self.down = true;
        self.stopping = None;
    }

    /// A file of the folder of recordings, as it is on the disk now: `ifbus/name.wav`.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.world.file(path)
    }

    /// Whether new connections would be refused.
    pub fn is_down(&self) -> bool {
        self.down
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats {
            originates: self.world.originates,
            refused: self.world.refused,
            channels: self.world.channels.len(),
            bridges: self.world.bridges.len(),
            sessions: self.sessions.values().filter(|s| s.login.user.is_some()).count(),
            sockets: self.ari.sockets().len(),
            links: self.wire.links(None).len(),
        }
    }
}

impl Extensions for Asterisk {
    fn plan(&mut self, number: &str, plan: Plan) {
        self.world.plans.insert(number.to_owned(), plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.world.heard(number)
    }

    fn rings(&self, number: &str) -> u32 {
        self.world.witnesses.get(number).map_or(0, |w| w.rings)
    }

    fn digits(&self, number: &str) -> String {
        self.world.witnesses.get(number).map(|w| w.digits.clone()).unwrap_or_default()
    }

    fn live(&self, number: &str) -> usize {
        let stuck = self.world.witnesses.get(number).map_or(0, |witness| witness.stuck);
        self.world.channels.values().filter(|c| c.number == number && c.phone_up).count() + stuck
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.world.witnesses.get(number)?.caller.clone()
    }

    fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.advance(now);
        if *act == Act::HangUp {
            self.world.witness(number).stuck = 0;
        }
        for id in self.world.legs_of(number) {
            let answered = self.world.channels.get(&id).is_some_and(|c| c.phone_up);
            let calling = self.world.channels.get(&id).is_some_and(|c| c.state == State::Ring);
            if answered {
                self.world.phone_acts(&id, act);
            } else if *act == Act::HangUp && calling {
                self.world.phone_cancels(&id);
            } else if *act == Act::HangUp {
                self.world.phone_refuses(&id, 486);
            }
        }
        self.advance(now);
    }

    fn transfer(&mut self, number: &str, to: &str, now: Duration) {
        self.advance(now);
        self.world.transfer(number, to);
        self.advance(now);
    }

    fn transfer_attended(&mut self, number: &str, now: Duration) {
        self.advance(now);
        self.world.transfer_attended(number);
        self.advance(now);
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.world.witnesses.get(number)?.transferred
    }
}

impl Reachable for Asterisk {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        self.advance(now);
        let caller = Party { number: Some(from.to_owned()), name: Some(format!("Phone {from}")) };
        let id = self.world.inbound(from, caller, from, to);
        self.advance(now);
        id
    }

    /// Through the trunk; the caller is printed raw into every AMI event of the call (sheet section 11).
    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        self.advance(now);
        let caller = Party { number: Some(raw_caller.to_owned()), name: None };
        let refused = self.world.refused;
        self.world.inbound("trunk", caller, "hostile", "604");
        self.advance(now);
        self.world.refused == refused
    }
}
