//! Final replies to invitations that no transaction waits for: we were killed in between, and the phone repeats its
//! answer to the new process (sheet sip-3pcc, W4).
//!
//! A known dialog is acknowledged again; an invitation that was taken back is acknowledged and ended.

use rsipstack::sip::{Method, Response};

use super::reply::reply;
use super::stack::Shared;
use super::text::{Text, tag};

impl Shared {
    pub(super) fn orphan(&self, response: &Response) {
        let text = Text::of(response);
        let (Some(call_id), Some(ours)) = (text.first("call-id"), text.first("from").and_then(tag)) else {
            return;
        };
        let leg = self.0.dialogs.borrow().by_call_id.get(call_id).copied();
        let Some((leg, mut wire)) = leg.and_then(|leg| Some((leg, self.wire(leg)?))) else { return };
        if wire.local_tag != ours {
            return;
        }
        let theirs = text.first("to").and_then(tag).unwrap_or_default().to_owned();
        if response.status_code.code() >= 300 {
            // of an invitation that was taken back: a refusal is acknowledged on its own branch (RFC 3261, 17.1.1.3)
            if let Some(branch) = wire.invite.clone() {
                wire.remote_tag = theirs;
                if let Some(ack) = self.draft(Method::Ack, &wire, &branch).request() {
                    let shared = self.clone();
                    self.spawn(async move { shared.0.wires.send(ack).await });
                }
                self.reject(leg, reply(response));
            }
            return;
        }
        if wire.invite.is_none() && wire.remote_tag == theirs {
            if let Some(target) = text.contact() {
                wire.target = target;
            }
            return self.acknowledge(&wire, response);
        }
        wire.remote_tag = theirs;
        wire.route = text.entries("record-route").into_iter().rev().collect();
        if let Some(target) = text.contact() {
            wire.target = target;
        }
        self.acknowledge(&wire, response);
        self.end_by_hand(wire);
        if self.0.dialogs.borrow().canceled.contains(&leg) {
            self.reject(leg, reply(response));
        }
    }
}
