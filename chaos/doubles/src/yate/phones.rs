//! The phones: what they do by plan, by themselves, and what they testify.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Yate;
use super::world::{Question, Status, Timer, What, World};
use crate::double::{Extensions, Reachable};
use crate::phone::{Act, Decision, Plan, Tone, plan::DIGIT};

impl World {
    /// Schedules what the phone of a leg will do.
    pub(super) fn follow(&mut self, id: &str, plan: &Plan) {
        if plan.decision == Decision::Silent {
            // nobody answers the INVITE: the engine gives up (seen: 7.5 s)
            return self.after(Duration::from_millis(7500), Timer::Refuses(id.to_owned(), 408));
        }
        if let Some(at) = plan.ringing {
            self.after(at, Timer::Rings(id.to_owned()));
        }
        if let Some(at) = plan.early {
            self.after(at, Timer::Early(id.to_owned()));
        }
        match plan.decision {
            Decision::Answer(at) => {
                self.after(at, Timer::Answers(id.to_owned()));
                for (later, act) in &plan.acts {
                    self.after(at + *later, Timer::Act(id.to_owned(), act.clone()));
                }
            }
            Decision::Refuse(code, at) => self.after(at, Timer::Refuses(id.to_owned(), code)),
            Decision::Ring | Decision::Silent => {}
        }
    }

    /// Carries out what is due.
    pub(super) fn due(&mut self, timer: Timer) {
        match timer {
            Timer::Rings(id) => {
                let Some(channel) =
                    self.channels.get_mut(&id).filter(|channel| channel.status == Status::Outgoing)
                else {
                    return;
                };
                (channel.status, channel.sip) = (Status::Ringing, Some(180));
                let mut params = self.about(&id);
                params.push(("earlymedia".to_owned(), "false".to_owned()));
                self.event("call.ringing", params);
            }
            Timer::Early(id) => {
                if self.channels.contains_key(&id) {
                    let params = self.about(&id);
                    self.event("call.progress", params);
                }
            }
            Timer::Answers(id) => self.answers(&id),
            Timer::Refuses(id, code) => {
                let Some(channel) = self.channels.get_mut(&id).filter(|c| c.status != Status::Answered)
                else {
                    return;
                };
                channel.sip = Some(code);
                self.end(&id, "", None, true);
            }
            Timer::Act(id, act) => self.acts(&id, &act),
            Timer::Digit(id, digit) => self.pressed(&id, digit),
            Timer::MaxCall(id) => {
                if self.channels.get(&id).is_some_and(|channel| channel.status != Status::Answered) {
                    self.end(&id, "noanswer", Some("noanswer"), false);
                }
            }
            Timer::NoFile(id) => self.end(&id, "", None, false),
            Timer::Timeout(id, at) => {
                if self.channels.get(&id).is_some_and(|channel| channel.timeout == Some(at)) {
                    self.end(&id, "timeout", Some("timeout"), false);
                }
            }
            Timer::Unanswered(number) => self.decided(number, false, "", &Vec::new()),
            Timer::Event(..) | Timer::Reply(..) => {}
        }
    }

    fn answers(&mut self, id: &str) {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(id).filter(|channel| channel.status != Status::Answered)
        else {
            return;
        };
        (channel.status, channel.sip) = (Status::Answered, Some(200));
        channel.since = channel.since.min(now);
        let peer = channel.peer.clone();
        let params = self.about(id);
        self.event("call.answered", params);
        // a caller from outside is answered by it
        if let Some(peer) = peer.filter(|peer| peer.starts_with("sip/"))
            && let Some(other) = self.channels.get_mut(&peer).filter(|other| !other.outgoing)
        {
            (other.status, other.sip) = (Status::Answered, Some(200));
        }
    }

    fn acts(&mut self, id: &str, act: &Act) {
        if self.channels.get(id).is_none_or(|channel| channel.status != Status::Answered) {
            return;
        }
        match act {
            Act::HangUp => {
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.sip = None;
                }
                self.end(id, "", None, true);
            }
            Act::Press(digits) => {
                for (at, digit) in digits.chars().enumerate() {
                    let wait = (DIGIT.0 + DIGIT.1) * u32::try_from(at).unwrap_or(0);
                    self.after(wait, Timer::Digit(id.to_owned(), digit));
                }
            }
            Act::Hold | Act::Resume => {
                let holds = *act == Act::Hold;
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.holds = holds;
                }
                let mut params = self.about(id);
                params.push(("operation".to_owned(), "notify".to_owned()));
                let way = if holds { "sdp_sendonly" } else { "sdp_sendrecv" };
                params.push((way.to_owned(), String::new()));
                self.event("call.update", params);
            }
        }
    }

    fn pressed(&mut self, id: &str, digit: char) {
        if !self.channels.contains_key(id) {
            return;
        }
        let mut params = vec![("text".to_owned(), digit.to_string())];
        params.push(("detected".to_owned(), "rfc2833".to_owned()));
        params.push(("duplicate".to_owned(), "false".to_owned()));
        params.extend(self.about(id));
        self.event("chan.dtmf", params);
    }

    /// A digit of ours on its way to a phone: lost on a placeholder without media, and behind another one too soon.
    pub(super) fn send_digit(&mut self, id: &str, text: &str) -> bool {
        let now = self.now;
        let Some(channel) = self.channels.get_mut(id) else { return false };
        let soon =
            channel.last_digit.is_some_and(|last| now.saturating_sub(last) < Duration::from_millis(250));
        channel.last_digit = Some(now);
        let silent = channel.peer.as_ref().is_none_or(|peer| peer.starts_with("dumb/"));
        let What::Phone(number) = &channel.what else { return false };
        if !soon
            && !silent
            && channel.status == Status::Answered
            && let Some(digit) = text.chars().last()
        {
            self.witnesses.entry(number.clone()).or_default().digits.push(digit);
        }
        true
    }

    pub(super) fn legs_of(&self, number: &str) -> Vec<String> {
        let is = |what: &What| matches!(what, What::Phone(of) if of == number);
        let mut ids: Vec<(Duration, String)> =
            self.channels.iter().filter(|(_, c)| is(&c.what)).map(|(id, c)| (c.since, id.clone())).collect();
        ids.sort_by_key(|(since, id)| (*since, number_of(id)));
        ids.into_iter().map(|(_, id)| id).collect()
    }

    fn answered_of(&self, number: &str) -> Vec<String> {
        let up = |id: &String| self.channels[id].status == Status::Answered;
        self.legs_of(number).into_iter().filter(up).collect()
    }

    fn transfer(&mut self, number: &str, to: &str) {
        let Some(leg) = self.answered_of(number).into_iter().next() else { return };
        let Some(partner) = self.channels[&leg].peer.clone() else { return };
        let caller = self.channels[&partner].called.clone();
        if !self.options.phones.contains(to) {
            self.witnesses.entry(number.to_owned()).or_default().transferred = Some(404);
            return;
        }
        self.witnesses.entry(number.to_owned()).or_default().transferred = Some(200);
        let new = self.call(to, &caller, &partner);
        self.started(&new);
        self.connect(&partner, &new, "transfer");
    }

    fn transfer_attended(&mut self, number: &str) {
        let legs = self.answered_of(number);
        let [first, second, ..] = legs.as_slice() else { return };
        let peer = |id: &String| self.channels[id].peer.clone();
        if let (Some(a), Some(b)) = (peer(first), peer(second)) {
            self.witnesses.entry(number.to_owned()).or_default().transferred = Some(200);
            self.connect(&a, &b, "transfer");
        }
    }

    /// Somebody calls in.
    fn inbound(&mut self, number: &str, caller: &str, to: &str) -> String {
        let id = self.make("sip", What::Phone(number.to_owned()), false);
        if let Some(channel) = self.channels.get_mut(&id) {
            (channel.caller, channel.called) = (caller.to_owned(), to.to_owned());
        }
        self.started(&id);
        if self.asks_preroute {
            let mut params = self.about(&id);
            params.push(("caller".to_owned(), caller.to_owned()));
            params.push(("called".to_owned(), to.to_owned()));
            self.ask("call.preroute", params, Question::Preroute { channel: id.clone() });
        } else {
            self.admitted += 1;
            self.route(&id);
        }
        id
    }

    /// The server's own routing of a call from outside.
    pub(super) fn route(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id) else { return };
        let (caller, called) = (channel.caller.clone(), channel.called.clone());
        if called == "604" {
            if let Some(channel) = self.channels.get_mut(id) {
                channel.status = Status::Answered;
            }
            if let Some((inside, _)) = self.enter_room(id, "lobby", true, 10) {
                self.connect(id, &inside, "");
            }
        } else if self.options.phones.contains(&called) {
            let new = self.call(&called, &caller, id);
            self.started(&new);
            self.connect(id, &new, "");
        } else {
            self.end(id, "noroute", None, false);
        }
    }
}

fn number_of(id: &str) -> u64 {
    id.split('/').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Extensions for Yate {
    fn plan(&mut self, number: &str, plan: Plan) {
        self.world.plans.insert(number.to_owned(), plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        let legs = self.world.legs_of(number).into_iter();
        legs.filter(|id| self.world.channels[id].status == Status::Answered)
            .flat_map(|id| self.world.hears(&id))
            .collect()
    }

    fn rings(&self, number: &str) -> u32 {
        self.world.witnesses.get(number).map_or(0, |witness| witness.rings)
    }

    fn digits(&self, number: &str) -> String {
        self.world.witnesses.get(number).map(|witness| witness.digits.clone()).unwrap_or_default()
    }

    fn live(&self, number: &str) -> usize {
        let legs = self.world.legs_of(number).into_iter();
        legs.filter(|id| self.world.channels[id].status == Status::Answered).count()
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.world.witnesses.get(number)?.caller.clone()
    }

    fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.advance(now);
        for id in self.world.legs_of(number) {
            let answered = self.world.channels.get(&id).is_some_and(|c| c.status == Status::Answered);
            if answered {
                self.world.due(Timer::Act(id, act.clone()));
            } else if *act == Act::HangUp {
                self.world.due(Timer::Refuses(id, 486));
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

impl Reachable for Yate {
    fn foreign_call(&mut self, from: &str, to: &str, now: Duration) -> String {
        self.advance(now);
        let id = self.world.inbound(from, from, to);
        self.advance(now);
        id
    }

    /// Where a client is asked about calls, it is let in when the client says so: see [`Yate::stats`].
    fn hostile_call(&mut self, raw_caller: &str, now: Duration) -> bool {
        self.advance(now);
        let admitted = self.world.admitted;
        self.world.inbound("hostile", raw_caller, "604");
        self.advance(now);
        self.world.admitted > admitted
    }
}
