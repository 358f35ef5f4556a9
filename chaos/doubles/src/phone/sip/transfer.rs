//! A phone's own transfer: REFER (RFC 3515), blind, or attended with Replaces (RFC 3891), what the far
//! end reports of it, and a call that comes in place of another one. The phone hangs up when its transfer is reported done, if the far end has not.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::{self, Message};
use super::{Phase, SipPhones, Timer};
use crate::phone::{Act, Plan};

/// From the word that a transfer is done to the phone's own hang-up. A FreeSWITCH that hears BYE sooner than its bridge
/// is made ends the call that was transferred (seen on 1.11), and no telephone is as fast as a program on loopback.
const HANG_UP: Duration = Duration::from_millis(60);

impl SipPhones {
    /// The phone asks the far end of its first answered call to call `to` instead of it.
    pub fn transfer(&mut self, number: &str, to: &str, now: Duration) {
        self.now = self.now.max(now);
        let Some(id) = self.answered_calls(number).first().copied() else { return };
        let host = self.calls[&id].hop;
        self.refer(id, format!("<sip:{to}@{host}>"));
    }

    /// The phone, with two answered calls, asks the far end of the first to take its place in the second.
    pub fn transfer_attended(&mut self, number: &str, now: Duration) {
        self.now = self.now.max(now);
        let calls = self.answered_calls(number);
        let [first, second, ..] = calls[..] else { return };
        let to = self.named(second);
        self.refer(first, to);
    }

    /// The phone asks the far end of its first answered call to do what this `Refer-To` says.
    pub fn transfer_as(&mut self, number: &str, to: &str, now: Duration) {
        self.now = self.now.max(now);
        if let Some(id) = self.answered_calls(number).first().copied() {
            self.refer(id, to.to_owned());
        }
    }

    /// The far end of the phone's first answered call, to be called in place of that call: a `Refer-To`.
    pub fn consulted(&self, number: &str) -> Option<String> {
        self.answered_calls(number).first().map(|id| self.named(*id))
    }

    fn named(&self, id: u64) -> String {
        let consulted = &self.calls[&id];
        let theirs = message::parameter(&consulted.them, "tag").unwrap_or_default();
        let uri = message::uri(&consulted.them);
        let replaces = format!("{};to-tag={theirs};from-tag={}", consulted.call_id, consulted.tag);
        format!("<{uri}?Replaces={}>", escaped(&replaces))
    }

    // ---- the other side ----------------------------------------------------------------------------------------------

    /// The call that a `Replaces` names, if it is one of ours and answered.
    pub(super) fn replaced(&self, replaces: &str) -> Option<u64> {
        let (call_id, _) = replaces.split_once(';')?;
        let of = |name| message::parameter(replaces, name);
        let id = *self.by_call_id.get(call_id.trim())?;
        let call = &self.calls[&id];
        let theirs = message::parameter(&call.them, "tag");
        let same = of("to-tag") == Some(call.tag.as_str()) && of("from-tag") == theirs;
        (same && call.phase == Phase::Answered).then_some(id)
    }

    /// A call comes in place of another one: it is answered at once, and the other one is hung up.
    pub(super) fn takes_place(&mut self, old: u64, local: SocketAddr, from: SocketAddr, request: &Message) {
        let number = self.calls[&old].number.clone();
        let call = self.new_call(number, Plan::default(), local, from, request);
        let id = self.enter(call);
        self.offered(id, request);
        self.answer(id);
        self.bye(old);
    }

    /// The last status that the far end reported of a transfer of this phone: 202 while it is under way.
    pub fn transferred(&self, number: &str) -> Option<u16> {
        self.witnesses.get(number)?.transferred
    }

    fn answered_calls(&self, number: &str) -> Vec<u64> {
        let of_number = self.of_number(number).into_iter();
        of_number.filter(|id| self.calls[id].phase == Phase::Answered).collect()
    }

    fn refer(&mut self, id: u64, to: String) {
        let by = self.calls[&id].us.split(";tag=").next().unwrap_or_default().to_owned();
        self.ask_with(id, "REFER", &[("Refer-To", to), ("Referred-By", by)], String::new());
    }

    /// The answer to our REFER.
    pub(super) fn refer_answered(&mut self, id: u64, status: u16) {
        if let Some(number) = self.calls.get(&id).map(|call| call.number.clone()) {
            self.witnesses.entry(number).or_default().transferred = Some(status);
        }
    }

    /// NOTIFY: how the call that was asked for goes.
    pub(super) fn notified(&mut self, id: u64, request: &Message) {
        let status = request.body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let Some(status @ 200..) = status else { return };
        self.refer_answered(id, status);
        let answered = self.calls.get(&id).is_some_and(|call| call.phase == Phase::Answered);
        if answered && status < 300 {
            self.after(id, HANG_UP, Timer::Act(Act::HangUp));
        }
    }
}

/// For a header within a URI: everything that is not plain is escaped.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
