//! Probing of endpoints by OPTIONS: trunks that are seen to die and to come back.

use std::time::Duration;

use super::happening::{Happening, SYSTEM, Teller};
use super::options::Contact;
use super::world::{Timer, World};

const EVERY: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(2);
const ROUNDTRIP: Duration = Duration::from_millis(1);

impl World {
    pub(super) fn schedule_probes(&mut self) {
        let probed: Vec<String> = self
            .endpoints
            .iter()
            .filter(|(_, e)| e.contact == Contact::Qualified)
            .map(|(name, _)| name.clone())
            .collect();
        for name in probed {
            self.after(EVERY, Timer::Qualify(name));
        }
    }

    /// One periodic probe.
    pub(super) fn qualify(&mut self, name: &str) {
        self.probe(name);
        self.after(EVERY, Timer::Qualify(name.to_owned()));
    }

    /// Sends OPTIONS now.
    pub(super) fn probe(&mut self, name: &str) {
        let probed = self.endpoints.get(name).is_some_and(|e| e.contact == Contact::Qualified);
        if probed {
            let (alive, wait) = if self.sip_dead { (false, TIMEOUT) } else { (true, ROUNDTRIP) };
            self.after(wait, Timer::QualifyResult(name.to_owned(), alive));
        }
    }

    pub(super) fn qualified(&mut self, name: &str, alive: bool) {
        let changed =
            if alive { self.unreachable.remove(name) } else { self.unreachable.insert(name.to_owned()) };
        if changed {
            let (peer, contact) = self.contact_events(name, alive);
            self.tell_at_once(vec![vec![peer], vec![contact]]);
        }
    }

    fn contact_events(&self, name: &str, alive: bool) -> (Happening, Happening) {
        let status = if alive { "Reachable" } else { "Unreachable" };
        let microseconds = if alive { ROUNDTRIP.as_micros() } else { 0 };
        let endpoint = format!(
            ",\"endpoint\":{{\"technology\":\"PJSIP\",\"resource\":\"{name}\",\"state\":\"{}\",\"channel_ids\":[]}}",
            if alive { "online" } else { "offline" }
        );
        let peer = Teller::new(self, SYSTEM, "PeerStatus")
            .line("ChannelType", "PJSIP")
            .line("Peer", format!("PJSIP/{name}"))
            .line("PeerStatus", status)
            .ari("", "PeerStatusChange", &format!("{endpoint},\"peer\":{{\"peer_status\":\"{status}\"}}"))
            .told();
        let contact = Teller::new(self, SYSTEM, "ContactStatus")
            .line("URI", self.contact_uri(name))
            .line("ContactStatus", status)
            .line("AOR", name)
            .line("EndpointName", name)
            .line("RoundtripUsec", microseconds)
            .ari(
                "",
                "ContactStatusChange",
                &format!(
                    "{endpoint},\"contact_info\":{{\"uri\":\"{}\",\"contact_status\":\"{status}\",\"aor\":\"{name}\",\
                     \"roundtrip_usec\":\"{microseconds}\"}}",
                    self.contact_uri(name)
                ),
            )
            .told();
        (peer, contact)
    }

    /// The SIP address an endpoint is reached at.
    pub(super) fn contact_uri(&self, name: &str) -> String {
        match self.endpoints.get(name).map(|e| e.contact) {
            Some(Contact::Dead) => "sip:192.0.2.1:5060".to_owned(),
            Some(Contact::Qualified) => format!("sip:{}:5061", self.phones_at),
            _ => format!("sip:{name}@{}:5060", self.phones_at),
        }
    }
}
