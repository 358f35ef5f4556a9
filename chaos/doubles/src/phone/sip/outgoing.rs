//! Requests of our own: BYE, re-INVITE for hold, and whole calls.

use std::net::SocketAddr;
use std::time::Duration;

use super::audio::Audio;
use super::message::{self, Message, Start};
use super::{Call, GIVE_UP, Phase, SipPhones, T1, T2, Timer};
use crate::phone::line::FarEnd;
use crate::phone::plan::Plan;
use crate::phone::tone::{Player, Tone};

impl SipPhones {
    /// The phone of `number` calls `to` through the server at `server`, from our address `local`.
    pub fn call(&mut self, number: &str, to: &str, server: SocketAddr, local: SocketAddr, now: Duration) {
        self.now = self.now.max(now);
        let audio = Audio::new(Player::new(Tone::of(number)), self.random.next());
        self.dial((number, number), format!("sip:{to}@{server}"), server, local, audio);
    }

    /// Sends the INVITE of a call from a phone, which may go by another number, to `target` by way of `hop`.
    pub(super) fn dial(
        &mut self,
        (number, shown): (&str, &str),
        target: String,
        hop: SocketAddr,
        local: SocketAddr,
        audio: Audio,
    ) -> u64 {
        let tag = format!("{:x}", self.random.next());
        let call = Call {
            phase: Phase::Calling,
            call_id: format!("{:x}@{}", self.random.next(), local.ip()),
            us: format!("<sip:{shown}@{local}>;tag={tag}"),
            them: format!("<{target}>"),
            target,
            route: vec![],
            local,
            hop,
            cseq: 0,
            invite: None,
            told: None,
            acknowledged: false,
            asked: None,
            port: 0,
            audio,
            plan: Plan::default(),
            sdp_version: 1,
            holds: false,
            dropped: false,
            line: None,
            informed: 0,
            tag,
            number: number.to_owned(),
        };
        let id = self.enter(call);
        let body = self.describe(id);
        self.ask(id, "INVITE", body);
        id
    }

    /// Sends a request within the call and repeats it until it is answered.
    fn ask(&mut self, id: u64, method: &str, body: String) {
        self.ask_with(id, method, &[], body);
    }

    /// The same, with further headers.
    pub(super) fn ask_with(&mut self, id: u64, method: &str, headers: &[(&str, String)], body: String) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.cseq += 1;
        let cseq = call.cseq;
        let branch = format!("z9hG4bK{:x}", self.random.next());
        let Some(call) = self.calls.get_mut(&id) else { return };
        let mut request = within(call, method, cseq, &branch);
        headers.iter().for_each(|(name, value)| request.add(name, value));
        request.body = body;
        call.asked = Some(request.clone());
        let (local, hop) = (call.local, call.hop);
        self.send(local, hop, request.encode());
        self.after(id, T1, Timer::RepeatRequest(cseq, T1, self.now + GIVE_UP));
    }

    pub(super) fn repeat_request(&mut self, id: u64, cseq: u32, wait: Duration, until: Duration) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(asked) = call.asked.as_ref().filter(|asked| asked.cseq().0 == cseq) else { return };
        if self.now >= until {
            return self.forget(id);
        }
        let (local, hop, bytes) = (call.local, call.hop, asked.encode());
        self.send(local, hop, bytes);
        let wait = (wait * 2).min(T2);
        self.after(id, wait, Timer::RepeatRequest(cseq, wait, until));
    }

    pub(super) fn bye(&mut self, id: u64) {
        self.end(id);
        self.ask(id, "BYE", String::new());
    }

    /// Takes an unanswered call of ours back.
    pub(super) fn cancel(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.dropped = true;
        let Some(asked) = &call.asked else { return };
        let Start::Request { uri, .. } = &asked.start else { return };
        let mut request = Message::request("CANCEL", uri);
        for name in ["Via", "From", "To", "Call-ID"] {
            request.add(name, asked.get(name).unwrap_or_default());
        }
        request.add("CSeq", format!("{} CANCEL", asked.cseq().0));
        let (local, hop) = (call.local, call.hop);
        self.send(local, hop, request.encode());
        self.after(id, GIVE_UP, Timer::Forget);
    }

    pub(super) fn hold(&mut self, id: u64, holds: bool) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.holds != holds) else { return };
        call.holds = holds;
        call.audio.quiet = holds;
        self.offer_hold(id);
    }

    pub(super) fn offer_hold(&mut self, id: u64) {
        if self.calls.get(&id).is_some_and(|call| call.phase == Phase::Answered) {
            let body = self.describe(id);
            self.ask(id, "INVITE", body);
        }
    }

    /// A response to a request of ours.
    pub(super) fn answered(&mut self, status: u16, response: &Message) {
        let Some(id) = self.by_call_id.get(response.call_id()).copied() else { return };
        let (cseq, method) = response.cseq();
        let invite = method == "INVITE";
        let Some(call) = self.calls.get_mut(&id) else { return };
        let waits = call.asked.as_ref().is_some_and(|asked| asked.cseq() == (cseq, method));
        match status {
            // A provisional answer ends the repetition.
            ..200 if waits && invite && call.phase == Phase::Calling => {
                let repeats = |timer: &Timer| matches!(timer, Timer::RepeatRequest(..));
                let dropped = call.dropped;
                self.timers.retain(|_, (call, timer)| *call != id || !repeats(timer));
                match status {
                    // Our CANCEL may have come before the INVITE.
                    _ if dropped => self.cancel(id),
                    180 => self.say(id, FarEnd::Ringing),
                    183 => self.say(id, FarEnd::Progress),
                    _ => {}
                }
            }
            ..200 => {}
            200..300 if invite => self.accepted(id, waits, response),
            _ if invite => self.rejected(id, waits, status, response),
            _ if waits => {
                call.asked = None;
                if method == "REFER" {
                    return self.refer_answered(id, status);
                }
                if call.phase == Phase::Over {
                    self.forget(id);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, id: u64, waits: bool, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (calling, dropped) = (call.phase == Phase::Calling, call.dropped);
        if calling {
            call.phase = Phase::Answered;
            call.them = response.get("To").unwrap_or_default().to_owned();
            call.route = response.all("Record-Route").into_iter().rev().collect();
            call.hop = call.route.first().and_then(|r| message::address(message::uri(r))).unwrap_or(call.hop);
        }
        if let Some(contact) = response.get("Contact") {
            call.target = message::uri(contact).to_owned();
        }
        if calling && call.route.is_empty() {
            call.hop = message::address(&call.target).unwrap_or(call.hop);
        }
        if waits {
            call.asked = None;
        }
        if calling && !dropped {
            self.say(id, FarEnd::Answered);
        }
        if waits {
            self.offered(id, response);
        }
        self.acknowledge(id, response.cseq().0);
        match (calling, dropped) {
            // It was answered before our CANCEL came.
            (true, true) => self.bye(id),
            (true, false) => self.play(id),
            (false, _) => {}
        }
    }

    fn acknowledge(&mut self, id: u64, cseq: u32) {
        let branch = format!("z9hG4bK{:x}", self.random.next());
        let Some(call) = self.calls.get(&id) else { return };
        let request = within(call, "ACK", cseq, &branch);
        let (local, hop) = (call.local, call.hop);
        self.send(local, hop, request.encode());
    }

    /// The ACK of a refusal belongs to the transaction: same branch, To as in the response.
    fn rejected(&mut self, id: u64, waits: bool, status: u16, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(asked) = call.asked.take_if(|_| waits) else { return };
        let Start::Request { uri, .. } = &asked.start else { return };
        let mut request = Message::request("ACK", uri);
        for name in ["Via", "From", "Call-ID"] {
            request.add(name, asked.get(name).unwrap_or_default());
        }
        request.add("To", response.get("To").unwrap_or_default());
        request.add("CSeq", format!("{} ACK", asked.cseq().0));
        let (local, hop, phase) = (call.local, call.hop, call.phase);
        self.send(local, hop, request.encode());
        if phase == Phase::Calling {
            self.say_last(id, FarEnd::Refused(status));
            self.forget(id);
        } else if status == 491 {
            let wait = Duration::from_millis(100 + self.random.below(400) as u64);
            self.after(id, wait, Timer::HoldAgain);
        }
    }
}

/// A request within the call.
fn within(call: &Call, method: &str, cseq: u32, branch: &str) -> Message {
    let mut request = Message::request(method, &call.target)
        .with("Via", format!("SIP/2.0/UDP {};branch={branch};rport", call.local))
        .with("Max-Forwards", "70")
        .with("From", &call.us)
        .with("To", &call.them)
        .with("Call-ID", &call.call_id)
        .with("CSeq", format!("{cseq} {method}"))
        .with("Contact", format!("<sip:{}@{}>", call.number, call.local));
    for route in &call.route {
        request.add("Route", route);
    }
    request
}
