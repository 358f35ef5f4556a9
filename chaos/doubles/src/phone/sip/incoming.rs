//! Requests from the far end.

use std::net::SocketAddr;
use std::time::Duration;

use super::audio::Audio;
use super::message::{self, Message, Start};
use super::{Call, GIVE_UP, Phase, SipPhones, T1, T2, Timer, sdp};
use crate::phone::plan::{Decision, Plan};
use crate::phone::tone::{Player, Tone};

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY";

impl SipPhones {
    pub(super) fn request(&mut self, local: SocketAddr, from: SocketAddr, request: Message) {
        let Start::Request { method, uri } = request.start.clone() else { return };
        let known = self.by_call_id.get(request.call_id()).copied();
        match (method.as_str(), known) {
            ("INVITE", None) => self.invited(local, from, &request, &uri),
            ("INVITE", Some(id)) => self.invited_again(id, from, request),
            ("ACK", Some(id)) => self.acknowledged(id, &request),
            ("ACK", None) => {}
            ("CANCEL", Some(id)) => self.canceled(id, local, from, &request),
            ("BYE", Some(id)) => {
                self.reply(local, from, &request, 200);
                if self.calls.get(&id).is_some_and(|call| call.phase == Phase::Invited) {
                    self.refuse(id, 487);
                }
                self.end(id);
            }
            ("UPDATE", Some(id)) => self.updated(id, local, from, &request),
            ("BYE" | "CANCEL" | "UPDATE", None) => self.reply(local, from, &request, 481),
            ("NOTIFY", Some(id)) => {
                self.reply(local, from, &request, 200);
                self.notified(id, &request);
            }
            ("INFO", Some(id)) => {
                self.reply(local, from, &request, 200);
                self.informed(id, &request);
            }
            ("OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE", _) => self.reply(local, from, &request, 200),
            _ => self.reply(local, from, &request, 501),
        }
    }

    /// A digit that comes as `application/dtmf-relay`: `Signal=5`. A repeated request is one digit.
    fn informed(&mut self, id: u64, request: &Message) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.informed < request.cseq().0) else {
            return;
        };
        call.informed = request.cseq().0;
        let number = call.number.clone();
        let signal = request.body.lines().find_map(|line| line.trim().strip_prefix("Signal="));
        if let Some(digit) = signal.and_then(|signal| signal.trim().chars().next()) {
            self.witnesses.entry(number).or_default().digits.push(digit);
        }
    }

    /// A response outside of any call's state.
    fn reply(&mut self, local: SocketAddr, to: SocketAddr, request: &Message, status: u16) {
        let tag = format!("{:x}", self.random.next());
        let response = Message::response(request, status, &tag).with("Allow", ALLOW);
        self.send(local, to, response.encode());
    }

    fn invited(&mut self, local: SocketAddr, from: SocketAddr, request: &Message, uri: &str) {
        if request.tag("To").is_some() {
            return self.reply(local, from, request, 481);
        }
        if let Some(replaces) = request.get("Replaces") {
            return match self.replaced(replaces) {
                Some(old) => self.takes_place(old, local, from, request),
                None => self.reply(local, from, request, 481),
            };
        }
        let number = message::user(uri).to_owned();
        let plan = self.plans.get(&number).unwrap_or(&self.usual).clone();
        if plan.decision == Decision::Silent {
            return;
        }
        let witness = self.witnesses.entry(number.clone()).or_default();
        witness.rings += 1;
        let caller = request.get("From").map(message::uri).map(message::user).unwrap_or_default();
        witness.caller = Some(caller.to_owned()).filter(|caller| !caller.is_empty());
        let call = self.new_call(number, plan.clone(), local, from, request);
        let id = self.enter(call);
        self.offered(id, request);
        self.tell(id, 100, false);
        self.schedule(id, &plan);
    }

    pub(super) fn new_call(
        &mut self,
        number: String,
        plan: Plan,
        local: SocketAddr,
        from: SocketAddr,
        request: &Message,
    ) -> Call {
        let tag = format!("{:x}", self.random.next());
        let route = request.all("Record-Route");
        let target = request.get("Contact").map_or("", message::uri).to_owned();
        let next = route.first().map_or(target.as_str(), |first| message::uri(first));
        Call {
            hop: message::address(next).unwrap_or(from),
            phase: Phase::Invited,
            call_id: request.call_id().to_owned(),
            us: format!("{};tag={tag}", request.get("To").unwrap_or_default()),
            them: request.get("From").unwrap_or_default().to_owned(),
            target,
            route,
            local,
            cseq: 1,
            invite: Some(request.clone()),
            told: None,
            acknowledged: false,
            asked: None,
            port: 0,
            audio: Audio::new(Player::new(Tone::of(&number)), self.random.next()),
            plan,
            sdp_version: 1,
            holds: false,
            dropped: false,
            line: None,
            informed: 0,
            tag,
            number,
        }
    }

    fn schedule(&mut self, id: u64, plan: &Plan) {
        if let Some(after) = plan.ringing {
            self.after(id, after, Timer::Ring);
        }
        if let Some(after) = plan.early {
            self.after(id, after, Timer::Progress);
        }
        match plan.decision {
            Decision::Answer(after) => self.after(id, after, Timer::Answer),
            Decision::Refuse(status, after) => self.after(id, after, Timer::Refuse(status)),
            Decision::Ring | Decision::Silent => {}
        }
    }

    /// Takes the far end's description, if the message has one.
    pub(super) fn offered(&mut self, id: u64, message: &Message) -> bool {
        let Some(remote) = sdp::parse(&message.body) else { return false };
        let Some(call) = self.calls.get_mut(&id) else { return false };
        call.audio.connect(remote);
        self.notice_hold(id);
        true
    }

    pub(super) fn describe(&mut self, id: u64) -> String {
        let call = self.calls.get_mut(&id).expect("only live calls describe themselves");
        call.sdp_version += 1;
        let local = SocketAddr::new(call.local.ip(), call.port);
        sdp::describe(local, call.sdp_version, call.direction(), call.audio.events().unwrap_or(sdp::EVENTS))
    }

    /// A response to the pending INVITE, if it is still undecided.
    pub(super) fn tell(&mut self, id: u64, status: u16, with_sdp: bool) {
        let undecided = self.calls.get(&id).is_some_and(|call| call.phase == Phase::Invited);
        if undecided {
            self.respond(id, status, with_sdp);
            if status == 183 {
                self.play(id);
            }
        }
    }

    fn respond(&mut self, id: u64, status: u16, with_sdp: bool) {
        let body = if with_sdp { self.describe(id) } else { String::new() };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(invite) = &call.invite else { return };
        let mut response = Message::response(invite, status, &call.tag);
        if status > 100 {
            response.add("Contact", format!("<sip:{}@{}>", call.number, call.local));
            response.add("Allow", ALLOW);
        }
        response.body = body;
        let bytes = response.encode();
        call.told = Some((status, bytes.clone()));
        let (local, hop) = (call.local, via_or(invite, call.hop));
        self.send(local, hop, bytes);
    }

    pub(super) fn answer(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.phase == Phase::Invited) else { return };
        call.phase = Phase::Answered;
        let (plan, early) = (call.plan.clone(), call.plan.early.is_some());
        self.respond(id, 200, true);
        self.after(id, T1, Timer::Repeat(T1, self.now + GIVE_UP));
        if !early {
            self.play(id);
        }
        for (after, act) in plan.acts {
            self.after(id, after, Timer::Act(act));
        }
    }

    pub(super) fn refuse(&mut self, id: u64, status: u16) {
        if self.calls.get(&id).is_some_and(|call| call.phase == Phase::Invited) {
            self.respond(id, status, false);
            self.end(id);
            self.after(id, T1, Timer::Repeat(T1, self.now + GIVE_UP));
        }
    }

    /// Repeats a final response until it is acknowledged; an answer nobody acknowledges is taken back.
    pub(super) fn repeat(&mut self, id: u64, wait: Duration, until: Duration) {
        let Some(call) = self.calls.get(&id).filter(|call| !call.acknowledged) else { return };
        let Some((_, bytes)) = call.told.clone() else { return };
        if self.now >= until {
            return if call.phase == Phase::Answered { self.bye(id) } else { self.forget(id) };
        }
        let hop = call.invite.as_ref().map_or(call.hop, |invite| via_or(invite, call.hop));
        self.send(call.local, hop, bytes);
        let wait = (wait * 2).min(T2);
        self.after(id, wait, Timer::Repeat(wait, until));
    }

    /// A repetition of the INVITE, or a new one within the call.
    fn invited_again(&mut self, id: u64, from: SocketAddr, request: Message) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let local = call.local;
        if call.invite.as_ref().is_some_and(|invite| invite.cseq() == request.cseq()) {
            if let Some((_, bytes)) = call.told.clone() {
                self.send(local, from, bytes);
            }
            return;
        }
        if call.asked.as_ref().is_some_and(|asked| asked.cseq().1 == "INVITE") {
            return self.reply(local, from, &request, 491);
        }
        if call.phase != Phase::Answered {
            return self.reply(local, from, &request, 481);
        }
        call.acknowledged = false;
        self.offered(id, &request);
        if let Some(call) = self.calls.get_mut(&id) {
            call.invite = Some(request);
        }
        self.respond(id, 200, true);
        self.after(id, T1, Timer::Repeat(T1, self.now + GIVE_UP));
    }

    fn acknowledged(&mut self, id: u64, request: &Message) {
        // An INVITE without an offer has its answer here.
        self.offered(id, request);
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.acknowledged = true;
        if call.phase == Phase::Over && call.asked.is_none() {
            self.forget(id);
        }
    }

    fn canceled(&mut self, id: u64, local: SocketAddr, from: SocketAddr, request: &Message) {
        self.reply(local, from, request, 200);
        self.refuse(id, 487);
    }

    fn updated(&mut self, id: u64, local: SocketAddr, from: SocketAddr, request: &Message) {
        let offered = self.offered(id, request);
        let body = if offered { self.describe(id) } else { String::new() };
        let Some(call) = self.calls.get(&id) else { return };
        let mut response = Message::response(request, 200, &call.tag)
            .with("Contact", format!("<sip:{}@{}>", call.number, call.local))
            .with("Allow", ALLOW);
        response.body = body;
        self.send(local, from, response.encode());
    }
}

/// Where responses to a request go: the address in its topmost Via, else where requests go.
fn via_or(request: &Message, fallback: SocketAddr) -> SocketAddr {
    let via = request.get("Via").unwrap_or_default();
    let host = via.split_whitespace().nth(1).and_then(|rest| rest.split(';').next()).unwrap_or_default();
    host.parse()
        .ok()
        .or_else(|| Some((host.parse::<std::net::IpAddr>().ok()?, 5060).into()))
        .unwrap_or(fallback)
}
