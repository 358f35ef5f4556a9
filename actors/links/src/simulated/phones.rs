//! A proxy and the phones behind it, as values: what a [`SipHost`] is as a rule. They sound, too: who hears whom follows
//! from what each was told.
//!
//! Not here: SIP. Two offers that meet, sessions, replies out of order: those are tested on the real stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_adapters::sip::sdp::{Direction, Origin, Sdp};
use ifbus_adapters::sip::{Ended, Reply, SipCommand, SipEvent, SipInvite, Wire};
use ifbus_call::LegId;

use super::sip::SipHost;

/// What a phone does with the next call to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pickup {
    /// Rings at once and answers after this time.
    Answers(Duration),
    /// This status, after this time.
    Refuses(u16, Duration),
    /// Rings for ever.
    Rings,
    /// The server says nothing at all.
    Silent,
}

/// All phones of one proxy. Numbers nobody planned for answer after 100 ms.
#[derive(Debug, Default)]
pub struct FarEnds {
    plans: BTreeMap<String, Pickup>,
    /// By Call-ID: that is what outlives us.
    calls: BTreeMap<String, Call>,
    due: BTreeSet<(Duration, String)>,
    out: VecDeque<(u64, SipEvent)>,
    digits: BTreeMap<String, String>,
    calls_ever: u16,
    tokens: u64,
    /// What a number was told last of a transfer of its own.
    transferred: BTreeMap<String, u16>,
    /// Who has asked for the transfer of this token.
    referring: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct Call {
    endpoint: u64,
    leg: LegId,
    number: String,
    port: u16,
    up: bool,
    holds: bool,
    /// What it was told last.
    told: String,
    version: u64,
    wire: Wire,
    pickup: Pickup,
}

impl FarEnds {
    /// No calls yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the phone of this number does from now on.
    pub fn plan(&mut self, number: &str, pickup: Pickup) {
        self.plans.insert(number.to_owned(), pickup);
    }

    /// Answered calls of a number.
    #[must_use]
    pub fn live(&self, number: &str) -> usize {
        self.calls.values().filter(|call| call.up && call.number == number).count()
    }

    /// Digits that a number was sent.
    #[must_use]
    pub fn digits(&self, number: &str) -> &str {
        self.digits.get(number).map_or("", String::as_str)
    }

    /// Whom a number hears: every phone that was told to send to it, and may.
    #[must_use]
    pub fn heard(&self, number: &str) -> BTreeSet<String> {
        let listens = |call: &&Call| call.up && call.number == number && !call.holds;
        let ports: Vec<u16> = self
            .calls
            .values()
            .filter(listens)
            .filter(|call| call.told_direction().sends())
            .map(|call| call.port)
            .collect();
        let speaks = |call: &&Call| call.up && !call.holds && call.told_direction().receives();
        let to = |call: &Call| ports.iter().any(|port| call.told.contains(&format!("m=audio {port} ")));
        self.calls.values().filter(speaks).filter(|call| to(call)).map(|call| call.number.clone()).collect()
    }

    /// The phone of a number hangs up.
    pub fn hang_up(&mut self, number: &str) {
        let over: Vec<String> = self
            .calls
            .iter()
            .filter(|(_, call)| call.up && call.number == number)
            .map(|(id, _)| id.clone())
            .collect();
        for call in over.into_iter().filter_map(|id| self.calls.remove(&id)) {
            let event =
                SipEvent::Ended { leg: call.leg, ended: Ended::ByPeer, reason: Some((16, String::new())) };
            self.out.push_back((call.endpoint, event));
        }
    }

    /// The hold button of a phone, on or off.
    pub fn hold(&mut self, number: &str, on: bool) {
        for call in self.calls.values_mut().filter(|call| call.up && call.number == number) {
            call.holds = on;
            self.tokens += 1;
            let direction = if on { Direction::SendOnly } else { Direction::SendRecv };
            let (leg, token, sdp) = (call.leg, self.tokens, Some(call.describe(direction)));
            self.out.push_back((call.endpoint, SipEvent::PeerOffer { leg, token, sdp, session: None }));
        }
    }

    /// The phone of a number asks that its partner be sent to another one. `Refer-To` is taken as it is, so a test may
    /// forge it.
    pub fn refer(&mut self, number: &str, to: &str) {
        self.tokens += 1;
        let token = self.tokens;
        let first = self.calls.values().find(|call| call.up && call.number == number);
        if let Some(call) = first {
            self.referring.insert(token, number.to_owned());
            let event = SipEvent::Referred { leg: call.leg, token, to: to.to_owned() };
            self.out.push_back((call.endpoint, event));
        }
    }

    /// The same, instead of another call of the phone.
    pub fn refer_to_call(&mut self, number: &str, with: &str) {
        let other = self.calls.values().filter(|call| call.up && call.number == number).nth(1);
        if let Some(other) = other {
            let wire = &other.wire;
            let (call_id, ours, theirs) = (&wire.call_id, &wire.local_tag, &wire.remote_tag);
            let host = wire.remote_uri.rsplit_once('@').map_or("", |(_, host)| host);
            let to =
                format!("<sip:{with}@{host}?Replaces={call_id}%3Bto-tag%3D{ours}%3Bfrom-tag%3D{theirs}>");
            self.refer(number, &to);
        }
    }

    /// What a number was told last of a transfer of its own; 202 while it is under way.
    #[must_use]
    pub fn transferred(&self, number: &str) -> Option<u16> {
        self.transferred.get(number).copied()
    }

    fn number_of(&self, endpoint: u64, leg: LegId) -> Option<String> {
        self.call_id(endpoint, leg).map(|id| self.calls[&id].number.clone())
    }

    fn invited(&mut self, endpoint: u64, invite: SipInvite, now: Duration) {
        let user =
            invite.target.split_once(':').map_or("", |(_, rest)| rest).split('@').next().unwrap_or_default();
        let number = user.to_owned();
        let pickup = self.plans.get(&number).copied().unwrap_or(Pickup::Answers(Duration::from_millis(100)));
        let wire = Wire {
            call_id: invite.call_id.clone(),
            local_tag: invite.tag,
            local_uri: invite.caller,
            remote_uri: invite.target.clone(),
            local_cseq: 1,
            target: invite.target,
            invite: Some("z9hG4bKsimulated".to_owned()),
            ..Wire::default()
        };
        self.calls_ever = self.calls_ever.wrapping_add(1);
        let port = 10_000 + 2 * (self.calls_ever % 20_000);
        let leg = invite.leg;
        let told = invite.sdp;
        self.tell(endpoint, SipEvent::Changed(leg, Box::new(wire.clone())));
        let (up, holds, version) = (false, false, 0);
        let call = Call { endpoint, leg, number, port, up, holds, told, version, wire, pickup };
        match pickup {
            Pickup::Silent => {}
            Pickup::Refuses(_, after) => {
                self.tell(endpoint, SipEvent::Provisional { leg, code: 100, media: false });
                self.due.insert((now + after, invite.call_id.clone()));
            }
            Pickup::Rings | Pickup::Answers(_) => {
                self.tell(endpoint, SipEvent::Provisional { leg, code: 100, media: false });
                self.tell(endpoint, SipEvent::Provisional { leg, code: 180, media: false });
                if let Pickup::Answers(after) = pickup {
                    self.due.insert((now + after, invite.call_id.clone()));
                }
            }
        }
        self.calls.insert(invite.call_id, call);
    }

    fn tell(&mut self, endpoint: u64, event: SipEvent) {
        self.out.push_back((endpoint, event));
    }

    fn call_id(&self, endpoint: u64, leg: LegId) -> Option<String> {
        let mine = |call: &Call| call.endpoint == endpoint && call.leg == leg;
        self.calls.iter().find(|(_, call)| mine(call)).map(|(id, _)| id.clone())
    }

    fn decided(&mut self, id: &str) {
        let Some(call) = self.calls.get_mut(id).filter(|call| !call.up) else { return };
        let (endpoint, leg) = (call.endpoint, call.leg);
        match call.pickup {
            Pickup::Answers(_) => {
                call.up = true;
                call.wire.remote_tag = "far".to_owned();
                call.wire.invite = None;
                let (wire, sdp) = (call.wire.clone(), call.describe(Direction::SendRecv));
                self.tell(endpoint, SipEvent::Changed(leg, Box::new(wire)));
                self.tell(endpoint, SipEvent::Up { leg, sdp, session: None });
            }
            Pickup::Refuses(code, _) => {
                self.calls.remove(id);
                self.tell(endpoint, SipEvent::Rejected { leg, reply: Reply::of(code) });
            }
            Pickup::Rings | Pickup::Silent => {}
        }
    }

    fn canceled(&mut self, endpoint: u64, leg: LegId) {
        let ringing = self.call_id(endpoint, leg).filter(|id| !self.calls[id].up);
        if let Some(id) = ringing.filter(|id| self.calls[id].pickup != Pickup::Silent) {
            self.calls.remove(&id);
            self.tell(endpoint, SipEvent::Rejected { leg, reply: Reply::of(487) });
        }
    }

    fn replied(&mut self, endpoint: u64, leg: LegId, number: u64, work: impl FnOnce(&mut Call) -> Reply) {
        let call = self.call_id(endpoint, leg).and_then(|id| self.calls.get_mut(&id)).filter(|call| call.up);
        let reply = call.map_or_else(|| Reply::of(481), work);
        self.tell(endpoint, SipEvent::Replied { leg: Some(leg), number, reply });
    }
}

impl Call {
    /// What the phone says of itself.
    fn describe(&mut self, direction: Direction) -> String {
        self.version += 1;
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\n",
            self.port
        );
        let sdp = Sdp::parse(&text).expect("it is written here");
        sdp.directed(direction).write(Origin { id: 1, version: self.version, host: "192.0.2.1" })
    }

    fn told_direction(&self) -> Direction {
        Sdp::parse(&self.told).map_or(Direction::Inactive, |sdp| sdp.direction())
    }
}

impl SipHost for FarEnds {
    fn ask(&mut self, endpoint: u64, command: SipCommand, now: Duration) {
        match command {
            SipCommand::Bind => {
                self.tell(endpoint, SipEvent::Opened { contact: "192.0.2.2:5070".to_owned() })
            }
            SipCommand::Restore(leg, wire) => {
                if let Some(call) = self.calls.get_mut(&wire.call_id) {
                    (call.endpoint, call.leg) = (endpoint, leg);
                }
            }
            SipCommand::Invite(invite) => self.invited(endpoint, *invite, now),
            SipCommand::Cancel { leg } => self.canceled(endpoint, leg),
            SipCommand::Reinvite { leg, number, sdp, .. } => self.replied(endpoint, leg, number, |call| {
                call.told = sdp;
                let own = if call.holds { Direction::SendOnly } else { Direction::SendRecv };
                let answer = call.describe(call.told_direction().mirrored().and(own));
                Reply { sdp: Some(answer), ..Reply::of(200) }
            }),
            SipCommand::Info { leg, number, body, .. } => {
                let digit = body.lines().find_map(|line| line.strip_prefix("Signal=")).unwrap_or_default();
                let to = self.number_of(endpoint, leg);
                self.digits.entry(to.unwrap_or_default()).or_default().push_str(digit);
                self.replied(endpoint, leg, number, |_| Reply::of(200));
            }
            SipCommand::Options { leg: Some(leg), number, .. } => {
                self.replied(endpoint, leg, number, |_| Reply::of(200));
            }
            SipCommand::Options { leg: None, number, .. } => {
                self.tell(endpoint, SipEvent::Replied { leg: None, number, reply: Reply::of(200) });
            }
            SipCommand::Refer { leg, number, .. } => self.replied(endpoint, leg, number, |_| Reply::of(603)),
            SipCommand::Notify { leg, number, code, .. } => {
                if let (Some(phone), 200..) = (self.number_of(endpoint, leg), code) {
                    self.transferred.insert(phone, code);
                }
                self.replied(endpoint, leg, number, |_| Reply::of(200));
            }
            SipCommand::Bye { leg, .. } => {
                if let Some(id) = self.call_id(endpoint, leg) {
                    self.calls.remove(&id);
                }
                self.tell(endpoint, SipEvent::Ended { leg, ended: Ended::ByUs, reason: None });
            }
            SipCommand::Answer { leg, code: 200, sdp: Some(sdp), .. } => {
                if let Some(call) = self.call_id(endpoint, leg).and_then(|id| self.calls.get_mut(&id)) {
                    call.told = sdp;
                }
            }
            SipCommand::Answer { token, code, .. } => {
                if let Some(phone) = self.referring.remove(&token) {
                    self.transferred.insert(phone, code);
                }
            }
            SipCommand::Open(_)
            // nobody calls us here: there is no media anchor
            | SipCommand::Accept { .. }
            | SipCommand::Decline { .. }
            | SipCommand::Forget(_)
            | SipCommand::Close => {}
        }
    }

    fn tick(&mut self, now: Duration) {
        while let Some((at, id)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.due.remove(&(at, id.clone()));
            self.decided(&id);
        }
    }

    fn poll(&mut self, endpoint: u64) -> Option<SipEvent> {
        let at = self.out.iter().position(|(to, _)| *to == endpoint)?;
        self.out.remove(at).map(|(_, event)| event)
    }

    fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }
}
